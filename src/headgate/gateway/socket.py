"""WebSockets, as the gateway sees them: the client's end and the provider's. `net/` fulfils the protocols.

A frame is the UTF-8 of one text message, whole; nothing of it is changed on its way but what a session edits.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from headgate.gateway.upstream import Headers, UpstreamRequest


class SocketClosed(Exception):
    """Raised by a socket's awaits once its peer has closed it, or the connection is gone. Not an error: peers do that.

    `code` is the peer's close code; 1006 where the connection broke without one (RFC 6455 section 7.1.5).
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class BinaryFrame(Exception):
    """Raised by `receive` for a binary message, which no dialect has."""


class Refusal(Struct, frozen=True):
    """A provider's answer to an upgrade that it did not accept: an HTTP answer, whole."""

    status: int
    headers: Headers
    body: bytes


class Socket(Protocol):
    """One end of a WebSocket. `receive` is awaited by one task, `send` by one other."""

    async def receive(self) -> bytes:
        """The next text frame. Raises SocketClosed, BinaryFrame."""

    async def send(self, frame: bytes) -> None:
        """Send a text frame; waits while the peer reads slowly. Raises SocketClosed."""

    async def close(self, code: int, reason: str = "") -> None:
        """Close, telling why; does nothing the second time. A code that cannot be sent is told by the nearest one."""


class ClientSocket(Socket, Protocol):
    """The client's end, from its upgrade on: first it is accepted or refused."""

    async def accept(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Answer 101, with these headers beside the protocol's own. Raises SocketClosed."""

    async def refuse(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer the upgrade with an HTTP error."""


class UpstreamSocket(Socket, Protocol):
    """The provider's end."""

    @property
    def headers(self) -> Headers:
        """Of its 101 answer, names in lower case."""

    def holds_back(self, frame: bytes) -> bool:
        """Whether a frame that `send` took, this very object, has not gone out to the provider yet."""


class Sockets(Protocol):
    """Opens WebSockets to providers."""

    async def connect(self, request: UpstreamRequest) -> UpstreamSocket | Refusal:
        """Upgrade at the request's origin and target, with its headers; its body is empty.

        Raises UpstreamUnreachable (nothing was sent), UpstreamTimeout, UpstreamCut.
        """
