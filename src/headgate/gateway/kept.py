"""A provider's refusal that is kept while another target is tried: if none answers, the client gets this one."""

import asyncio

from msgspec import Struct

from headgate.errors import HeadgateError
from headgate.gateway.upstream import Call, CallAborted, Head, Sink

LARGEST = 256 * 1024
"""Bytes of a refusal that are kept; more is no message for people."""
_SECONDS = 2.0
"""A refusal is short, and its request is to be tried elsewhere: nobody waits for a slow one."""


class Kept(Struct, frozen=True):
    """A whole answer."""

    head: Head
    body: bytes


class KeptCall:
    """A Call whose answer is there already."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._rest = kept.body

    @property
    def sent(self) -> bool:
        """The request was sent, some time ago."""
        return True

    async def head(self) -> Head:
        """The answer's head."""
        return self._kept.head

    async def read(self, sink: Sink | None = None) -> bytes:
        """All of the body, and then its end."""
        del sink  # nothing is yet to come
        chunk, self._rest = self._rest, b""
        return chunk

    def abort(self) -> None:
        """Nothing is under way."""


async def keep(call: Call, head: Head) -> Kept | None:
    """The answer, whole; None if it is too large, too slow, or breaks off."""
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            while chunk := await call.read():
                body += chunk
                if len(body) > LARGEST:
                    return None
    except (HeadgateError, CallAborted, TimeoutError):
        return None
    return Kept(head, bytes(body))
