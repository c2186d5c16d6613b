"""A whole answer is held back until it is complete, so that its cost can stand in its head.

Nobody loses by it: who asked for a document can do nothing with the half of one. An answer that turns out too large,
or that its provider keeps alive with blank lines, goes on as it comes, without the cost.
"""

from collections.abc import Sequence

from headgate.gateway.request import Client, Front
from headgate.gateway.upstream import Headers

LARGEST = 1024 * 1024
"""Bytes that are held back at most, for each exchange."""


class Envelope(Front):
    """A Client in front of the real one. Sealed until `open`, or until it overflows."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._head: tuple[int, Headers] | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._blank = True
        """Nothing but blank lines so far: the provider keeps the connection alive (facts/stream_cases.md 7.14)."""
        self._sealed = True

    @property
    def sealed(self) -> bool:
        """True while the client has been sent nothing."""
        return self._sealed

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]], *, trailers: bool = False) -> None:
        """Keep the head. Raises ClientGone never: the first write finds out."""
        del trailers  # what they would say will stand in the head
        self._head = (status, headers)

    async def write(self, chunk: bytes) -> None:
        """Keep the bytes, or pass them on once the envelope is open. Raises ClientGone."""
        if not self._sealed:
            await self._client.write(chunk)
            return
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._blank = self._blank and chunk.isspace()
        if self._size > LARGEST or self._blank:
            await self.open()

    def put(self, chunk: bytes) -> bool:
        """Keep the bytes if nothing has to go out for it, or pass them on once the envelope is open."""
        if not self._sealed:
            return self._client.put(chunk)
        if self._size + len(chunk) > LARGEST or (self._blank and chunk.isspace()):
            return False
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._blank = False
        return True

    async def open(self, more: Headers = (), *, resized: bool = False) -> None:
        """Send what was kept, with further headers. Raises ClientGone.

        `resized`: the document is whole, though fewer bytes came than its head had announced.
        """
        if not self._sealed or self._head is None:
            return
        self._sealed = False
        status, headers = self._head
        if resized:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        await self._client.start(status, [*headers, *more])
        body = b"".join(self._chunks)
        self._chunks.clear()
        if body:
            await self._client.write(body)

    async def end(self, trailers: Headers = ()) -> None:
        """Open if need be, and end. Raises ClientGone."""
        await self.open()
        await self._client.end(trailers)
