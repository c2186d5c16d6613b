"""The client's end of a WebSocket, over ASGI's `websocket` scope."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from headgate.gateway.socket import BinaryFrame, SocketClosed
from headgate.net.websocket_codes import fitting, sendable

REFUSAL_EXTENSION = "websocket.http.response"
"""ASGI's own extension (asgiref, "WebSocket Denial Response")."""

BREAK_EXTENSION = "headgate.break"
"""A scope extension: a callable that breaks the connection. Over HTTP what was written goes out first."""

_SUBPROTOCOL = "realtime"
"""The one that browsers offer beside their key: they must find one of theirs in the answer (facts/wire.md 3)."""

_CLOSE_SECONDS = 3.0
"""For a client that does not take what it was sent, and so would not see a close frame either."""

_HANDSHAKE = (b"connection", b"upgrade", b"content-length", b"transfer-encoding")
"""The server's own in an answer that upgrades, beside all that begins with sec-websocket-."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]


class AsgiSocket:
    """A `gateway.socket.ClientSocket`. ASGI has text as `str`: each frame is encoded, or decoded, once."""

    def __init__(
        self, scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Of a scope whose `receive` has not been called yet."""
        self._receive = receive
        self._send = send
        self._offered: Sequence[str] = scope.get("subprotocols", ())
        extensions = scope.get("extensions") or {}
        self._can_refuse = REFUSAL_EXTENSION in extensions
        self._break: Callable[[], object] = extensions.get(BREAK_EXTENSION, lambda: None)
        self._over: SocketClosed | None = None
        self._closing = False

    async def accept(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Answer 101, with these headers beside the handshake's own. Raises SocketClosed."""
        passed = [pair for pair in headers if pair[0] not in _HANDSHAKE and not pair[0].startswith(b"sec-websocket-")]
        subprotocol = _SUBPROTOCOL if _SUBPROTOCOL in self._offered else None
        await self._begin()
        await self._tell({"type": "websocket.accept", "subprotocol": subprotocol, "headers": passed})

    async def refuse(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer the upgrade with an HTTP error; where the server cannot, it answers 403 by itself."""
        self._closing = True
        try:
            await self._begin()
            if self._can_refuse:
                await self._tell({"type": "websocket.http.response.start", "status": status, "headers": list(headers)})
                await self._tell({"type": "websocket.http.response.body", "body": body, "more_body": False})
            else:
                await self._tell({"type": "websocket.close", "code": 1008})
        except SocketClosed:
            pass  # it left without waiting for its answer

    async def receive(self) -> bytes:
        """The next text frame. Raises SocketClosed, BinaryFrame."""
        if self._over is not None:
            raise self._over
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise self._ended(message)
        text: str | None = message.get("text")
        if text is None:
            raise BinaryFrame
        return text.encode()

    async def send(self, frame: bytes) -> None:
        """Send a text frame; the server waits while its buffer to the client is full. Raises SocketClosed."""
        if self._over is not None:
            raise self._over
        await self._tell({"type": "websocket.send", "text": frame.decode()})

    async def close(self, code: int, reason: str = "") -> None:
        """Close, telling why; does nothing the second time. A client that takes nothing is cut off."""
        if self._closing or self._over is not None:
            return
        self._closing = True
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._tell({"type": "websocket.close", "code": sendable(code), "reason": fitting(reason)})
        except TimeoutError:
            self._break()
        except SocketClosed:
            pass

    async def _begin(self) -> None:
        """Take ASGI's `websocket.connect`, which comes before everything."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise self._ended(message)

    async def _tell(self, message: Message) -> None:
        try:
            await self._send(message)
        except TimeoutError:
            raise  # ours; it is an OSError as well
        except OSError as error:  # ASGI 2.4: the connection is gone
            raise self._over or SocketClosed(1006) from error

    def _ended(self, message: Message) -> SocketClosed:
        self._over = SocketClosed(message.get("code") or 1005, message.get("reason") or "")
        return self._over
