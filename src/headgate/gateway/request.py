"""What comes in, and the way back. `net/wire_client.py` and `net/asgi.py` fulfil Client."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from headgate.errors import HeadgateError
from headgate.gateway.trace import Trace


class Request(Struct, frozen=True):
    """A client's request, read whole."""

    method: str
    path: str
    """Percent-encoding kept, query left off."""
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    """As received, names in lower case; content-encoding and content-length are gone: they were undone."""
    body: bytes
    unreadable: HeadgateError | None = None
    """Why the body could not be read whole; then `body` is empty and the exchange is refused with this."""

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Opening(Struct, frozen=True):
    """An exchange's name and its clock."""

    exchange_id: str
    started_at_ns: int
    """Nanoseconds since the Unix epoch."""
    origin_ns: int
    """The monotonic clock at the start."""
    monotonic_ns: Callable[[], int]
    trace: Trace | None = None
    """The span that it is; None where no trace is kept, and then the client's headers about one pass as they are."""

    def now(self) -> int:
        """Nanoseconds since the start."""
        return self.monotonic_ns() - self.origin_ns


class ClientGone(Exception):
    """Raised by a Client's writes after it left. Not an error: clients do that."""


class Client(Protocol):
    """The way back to who asked."""

    @property
    def gone(self) -> bool:
        """True once the client has closed its connection before the answer's end."""

    @property
    def started(self) -> bool:
        """True once the head has been sent: from then on no whole error can be answered."""

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call back once when the client leaves; at once if it has. A later callback replaces an earlier one."""

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]], *, trailers: bool = False) -> None:
        """Send the head; `trailers` says that the end will bring some. Raises ClientGone."""

    async def write(self, chunk: bytes) -> None:
        """Send body bytes; waits while the client reads slowly. Raises ClientGone."""

    def put(self, chunk: bytes) -> bool:
        """Send body bytes at once, if the client keeps up and has the head.

        False: nothing was sent, and `write`, which waits, is how to send it. Raises ClientGone.
        """

    async def end(self, trailers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """End the answer; trailers only where the head said so. Raises ClientGone."""

    def abort(self) -> None:
        """Break the connection, so that a truncated answer cannot pass for a whole one."""


class Front:
    """A Client in front of another, on to which it passes everything; whoever needs it otherwise overrides that."""

    __slots__ = ("_client",)

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def gone(self) -> bool:
        """True once the client has left."""
        return self._client.gone

    @property
    def started(self) -> bool:
        """True once the real head has been sent."""
        return self._client.started

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call back when the client leaves."""
        self._client.on_gone(callback)

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]], *, trailers: bool = False) -> None:
        """Send the head. Raises ClientGone."""
        await self._client.start(status, headers, trailers=trailers)

    async def write(self, chunk: bytes) -> None:
        """Send body bytes. Raises ClientGone."""
        await self._client.write(chunk)

    def put(self, chunk: bytes) -> bool:
        """Send body bytes at once, or not at all. Raises ClientGone."""
        return self._client.put(chunk)

    async def end(self, trailers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """End the answer. Raises ClientGone."""
        await self._client.end(trailers)

    def abort(self) -> None:
        """Break the connection."""
        self._client.abort()
