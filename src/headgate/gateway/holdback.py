"""The beginning of a stream, held back for a moment: an error right after its start can then be tried elsewhere.

Bounded in time and in bytes; whatever comes first opens it, and from then on everything passes as it comes.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from headgate.gateway.request import Client, ClientGone, Front
from headgate.gateway.upstream import Headers

LARGEST = 64 * 1024
"""Bytes that are held back at most."""


class HoldBack(Front):
    """A Client in front of the real one. Sealed from its start until `open`, which comes by itself."""

    def __init__(self, client: Client, seconds: float, failed: Callable[[], bool], now: Callable[[], int]) -> None:
        """`failed`: what has come is an error that is not to be passed on; asked before it would be."""
        super().__init__(client)
        self._seconds = seconds
        self._failed = failed
        self._now = now
        self._head: tuple[int, Headers, bool] | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._turn = asyncio.Lock()
        self._timer: asyncio.Task[None] | None = None
        self.sealed = True
        """True while the client has been sent nothing."""
        self.opened_ns: int | None = None
        """On the clock that was passed in."""

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]], *, trailers: bool = False) -> None:
        """Keep the head; the time begins. Raises ClientGone never: the first write finds out."""
        self._head = (status, headers, trailers)
        self._timer = asyncio.get_running_loop().create_task(self._open_in_time())

    async def write(self, chunk: bytes) -> None:
        """Keep the bytes, or pass them on once it is open. Raises ClientGone."""
        if not self.sealed:
            async with self._turn:  # behind what was kept
                await self._client.write(chunk)
            return
        self._chunks.append(chunk)
        self._size += len(chunk)
        if not self._failed() and self._size > LARGEST:
            await self.open()

    def put(self, chunk: bytes) -> bool:
        """Pass the bytes on at once, if it is open and what was kept has gone. Raises ClientGone."""
        return not self.sealed and not self._turn.locked() and self._client.put(chunk)

    async def open(self) -> None:
        """Send what was kept. Raises ClientGone."""
        async with self._turn:
            if not self.sealed or self._head is None:
                return
            self.sealed, self.opened_ns = False, self._now()
            status, headers, trailers = self._head
            body = b"".join(self._chunks)
            self._chunks.clear()
            await self._client.start(status, headers, trailers=trailers)
            if body:
                await self._client.write(body)

    async def end(self, trailers: Headers = ()) -> None:
        """Open if need be, and end. Raises ClientGone."""
        await self.open()
        async with self._turn:
            await self._client.end(trailers)

    def rest(self) -> None:
        """It no longer opens by itself."""
        if self._timer is not None and self.sealed:
            self._timer.cancel()

    async def _open_in_time(self) -> None:
        await asyncio.sleep(self._seconds)
        if not self._failed():
            with suppress(ClientGone):  # whoever writes next finds out
                await self.open()
