"""The tape: what a client is sent, gathered up to a bound beside the relay, where a rule asks for it.

It stands in front of the client and passes on whatever it is given, as it is given. Where no rule fits there is none.
"""

from collections.abc import Sequence

from headgate.gateway.headers import value_of
from headgate.gateway.request import Client, Front


class Tape:
    """The request as it came, and the beginning of what the client is sent."""

    __slots__ = ("_bound", "content_encoding", "content_type", "kept", "request", "request_type", "size", "taken")

    def __init__(self, request: bytes, request_type: str, bound: int) -> None:
        """`bound` is in bytes of the answer."""
        self.request = request
        self.request_type = request_type
        self.content_type = ""
        self.content_encoding = ""
        self.kept = bytearray()
        self.size = 0
        """Bytes that passed."""
        self.taken = 0
        """Those of them that are kept."""
        self._bound = bound

    def start(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """An answer's head goes out."""
        self.content_type = value_of(headers, b"content-type")
        self.content_encoding = value_of(headers, b"content-encoding")

    def feed(self, chunk: bytes) -> None:
        """Bytes that have gone out."""
        self.size += len(chunk)
        room = self._bound - len(self.kept)
        if room > 0:
            part = chunk if len(chunk) <= room else chunk[:room]
            self.kept += part
            self.taken += len(part)

    def line(self, frame: bytes) -> None:
        """A socket's frame that has gone out: a line of its own."""
        if self.kept and len(self.kept) < self._bound:
            self.kept += b"\n"
        self.feed(frame)


class TapedClient(Front):
    """A Client in front of the real one."""

    __slots__ = ("_tape",)

    def __init__(self, client: Client, tape: Tape) -> None:
        super().__init__(client)
        self._tape = tape

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]], *, trailers: bool = False) -> None:
        """Send the head. Raises ClientGone."""
        await self._client.start(status, headers, trailers=trailers)
        self._tape.start(headers)

    async def write(self, chunk: bytes) -> None:
        """Send body bytes, and keep them if they went out. Raises ClientGone."""
        await self._client.write(chunk)
        self._tape.feed(chunk)

    def put(self, chunk: bytes) -> bool:
        """Send body bytes at once, and keep them if they went out. Raises ClientGone."""
        sent = self._client.put(chunk)
        if sent:
            self._tape.feed(chunk)
        return sent
