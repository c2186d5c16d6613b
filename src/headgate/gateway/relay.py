"""Chunks on, unchanged, the meter watching.

The relay writes the very chunk it read. What it holds are counters; what stops it is the upstream's end, the upstream's
failure, or the client's leaving, and it tells which.
"""

from collections.abc import Callable
from dataclasses import dataclass

from headgate.dialects.base import FrameFilter, Meter
from headgate.errors import HeadgateError
from headgate.gateway.request import Client, ClientGone
from headgate.gateway.upstream import Call, CallAborted

_BOUNDARIES = (b"\n\n", b"\r\n\r\n", b"\r\r")


@dataclass(frozen=True, slots=True)
class Relayed:
    """How relaying a body went. Exactly one of three: ended (neither flag), `left`, or `error`."""

    bytes_in: int
    bytes_out: int
    first_byte_ns: int | None
    """On the clock that was passed in."""
    left: bool = False
    """The client left before the end."""
    ended: bool = False
    """The upstream's body came to its clean end."""
    error: HeadgateError | None = None
    """The upstream failed before its end."""
    between_frames: bool = True
    """What the client has so far ends with a whole event, so that another can follow."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What looks at the chunks as they pass."""

    meter: Meter | None = None
    strip: FrameFilter | None = None
    """Takes out what headgate itself caused; None where the chunks go on untouched."""


class _Passage:
    """One body on its way: the mutable half of a Relayed."""

    __slots__ = ("bytes_in", "bytes_out", "client", "first_byte_ns", "left", "now", "tail")

    def __init__(self, client: Client, now: Callable[[], int]) -> None:
        self.client = client
        self.now = now
        self.bytes_in = 0
        self.bytes_out = 0
        self.first_byte_ns: int | None = None
        self.left = False
        self.tail = b""

    async def write(self, chunk: bytes) -> None:
        if self.left or not chunk:
            return
        if self.first_byte_ns is None:
            self.first_byte_ns = self.now()
        try:
            await self.client.write(chunk)
        except ClientGone:
            self.left = True
            return
        self.bytes_out += len(chunk)
        self.tail = chunk[-4:] if len(chunk) > 3 else (self.tail + chunk)[-4:]

    def relayed(self, *, ended: bool = False, error: HeadgateError | None = None) -> Relayed:
        return Relayed(
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            first_byte_ns=self.first_byte_ns,
            left=self.left,
            ended=ended,
            error=error,
            between_frames=not self.tail or self.tail.endswith(_BOUNDARIES),
        )


async def relay(call: Call, client: Client, watch: Watch, now: Callable[[], int], drain_bytes: int) -> Relayed:
    """Pass a body on until something ends it.

    Once the client has left, the call is aborted by whoever holds the policy (cut), or read on without writing for at
    most `drain_bytes` more (drain). Does not end the client's answer: the caller knows how.
    """
    meter, strip = watch.meter, watch.strip
    passage = _Passage(client, now)
    unheard = 0
    try:
        while chunk := await call.read():
            passage.bytes_in += len(chunk)
            if meter is not None:
                meter.feed(chunk)
            if client.gone:
                passage.left = True
                unheard += len(chunk)
                if unheard > drain_bytes:
                    return passage.relayed()
            else:
                await passage.write(chunk if strip is None else strip.feed(chunk))
        if strip is not None:
            await passage.write(strip.end())
    except CallAborted:
        passage.left = passage.left or client.gone
        return passage.relayed()
    except HeadgateError as error:
        if strip is not None:
            await passage.write(strip.end())
        return passage.relayed(error=error)
    return passage.relayed(ended=True)
