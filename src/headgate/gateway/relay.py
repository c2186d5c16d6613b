"""Chunks on, unchanged, the meter watching.

The relay writes the very chunk it read. What it holds are counters; what stops it is the upstream's end, the upstream's
failure, or the client's leaving, and it tells which.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf

from msgspec import Struct

from headgate.dialects.base import FrameFilter, Meter
from headgate.errors import HeadgateError
from headgate.gateway.keepalive import KeepAlive
from headgate.gateway.request import Client, ClientGone
from headgate.gateway.upstream import Call, CallAborted

_BOUNDARIES = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Relayed(Struct, frozen=True):
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


class Watch(Struct, frozen=True):
    """What looks at the chunks as they pass."""

    meter: Meter | None = None
    strip: FrameFilter | None = None
    """Takes out what headgate itself caused; None where the chunks go on untouched."""
    keep_alive: KeepAlive | None = None
    """What the client is sent in a silence."""
    by_meter: bool = False
    """Whether the client has whole frames the meter tells; else its last bytes do."""


class Patience(Struct, frozen=True):
    """How far a relay goes after its answer has lost its reader, or has said its last."""

    drain_bytes: int = 64 * 1024 * 1024
    """Read on at most for a client that has left."""
    linger_seconds: float = 5.0
    """For an upstream that keeps its connection open after its dialect's own end (facts/stream_cases.md 8.26)."""
    keep_alive_seconds: float = inf
    """Of silence, after which a client is sent a keep-alive; inf where none is sent."""


async def relay(call: Call, client: Client, watch: Watch, now: Callable[[], int], patience: Patience) -> Relayed:
    """Pass a body on until something ends it.

    Once the client has left, the call is aborted by whoever holds the policy (cut), or read on without writing (drain).
    Does not end the client's answer: the caller knows how.
    """
    passage = _Passage(client, watch, now)
    alive = watch.keep_alive
    read = call.read if alive is None else partial(alive.read, call, client, lambda: passage.rests)
    linger: asyncio.TimerHandle | None = None
    try:
        while chunk := await read(passage.put):
            await passage.take(chunk)
            if passage.unheard > patience.drain_bytes:
                return passage.relayed()
            if linger is None and passage.over:
                linger = asyncio.get_running_loop().call_later(patience.linger_seconds, call.abort)
        await passage.give_back()
        return passage.relayed(ended=True)
    except CallAborted:
        passage.left = passage.left or client.gone
        return passage.relayed()
    except HeadgateError as error:
        await passage.give_back()
        return passage.relayed(error=error)
    finally:
        if linger is not None:
            linger.cancel()


class _Passage:
    """One body on its way: the mutable half of a Relayed."""

    __slots__ = (
        "_by_meter", "_client", "_due", "_meter", "_now", "_strip", "_tail", "bytes_in", "bytes_out", "first_byte_ns",
        "left", "unheard",
    )  # fmt: skip

    def __init__(self, client: Client, watch: Watch, now: Callable[[], int]) -> None:
        self._client = client
        self._meter = watch.meter
        self._by_meter = watch.by_meter
        self._strip = watch.strip
        self._now = now
        self._tail = b""
        self._due: bytes | None = None
        """What is to go on of a chunk that was looked at, but could not be put."""
        self.bytes_in = 0
        self.bytes_out = 0
        self.first_byte_ns: int | None = None
        self.left = False
        self.unheard = 0
        """Bytes read for a client that has left."""

    @property
    def over(self) -> bool:
        """The dialect's own end has come."""
        return self._meter is not None and self._meter.over

    @property
    def rests(self) -> bool:
        """The client has whole frames, and more are to come."""
        if self.over or not self._tail:
            return not self.over
        return self._meter is not None and self._meter.rests if self._by_meter else self._tail.endswith(_BOUNDARIES)

    def put(self, chunk: bytes) -> bool:
        """A chunk: to the meter, and on to the client, where that takes no wait and no decision. If not, `take` it.

        This is what happens for nearly every chunk of a stream, so it is one function.
        """
        if self.first_byte_ns is None or self._client.gone:
            return False
        self.bytes_in += len(chunk)
        meter, strip, due = self._meter, self._strip, chunk
        if meter is not None:
            meter.feed(chunk)
        if strip is not None:
            due = strip.feed(chunk)
        try:
            if due and not self._client.put(due):
                self._due = due
                return False
        except ClientGone:
            self.left, self._due = True, b""
            return False
        self.bytes_out += len(due)
        self._tail = due[-4:] if len(due) > 3 else (self._tail + due)[-4:]
        if meter is not None and meter.over:
            self._due = b""
            return False
        return True

    async def take(self, chunk: bytes) -> None:
        """A chunk: to the meter, and on to the client if there still is one; or what `put` has left of it."""
        due, self._due = self._due, None
        if due == b"":
            return
        if self._client.gone:
            if due is None:
                self._meet(chunk)
            self.left = True
            self.unheard += len(chunk)
        else:
            await self._write(self._see(chunk) if due is None else due)

    async def give_back(self) -> None:
        """No more chunks: what the filter held back goes on."""
        if self._strip is not None:
            await self._write(self._strip.end())

    def _meet(self, chunk: bytes) -> None:
        self.bytes_in += len(chunk)
        if self._meter is not None:
            self._meter.feed(chunk)

    def _see(self, chunk: bytes) -> bytes:
        """What is to go on of a chunk."""
        self._meet(chunk)
        return chunk if self._strip is None else self._strip.feed(chunk)

    async def _write(self, due: bytes) -> None:
        if self.left or not due:
            return
        if self.first_byte_ns is None:
            self.first_byte_ns = self._now()
        try:
            await self._client.write(due)
        except ClientGone:
            self.left = True
            return
        self._passed(due)

    def _passed(self, due: bytes) -> None:
        """The client has it."""
        self.bytes_out += len(due)
        self._tail = due[-4:] if len(due) > 3 else (self._tail + due)[-4:]

    def relayed(self, *, ended: bool = False, error: HeadgateError | None = None) -> Relayed:
        """How it went."""
        return Relayed(
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            first_byte_ns=self.first_byte_ns,
            left=self.left,
            ended=ended,
            error=error,
            between_frames=not self._tail or self._tail.endswith(_BOUNDARIES),
        )
