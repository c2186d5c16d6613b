"""WebSockets for tests: frames as bytes, and a small application behind the real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from websockets.frames import Close, Frame, Opcode

from headgate.gateway.socket import SocketClosed
from headgate.net.asgi import Application
from headgate.net.server import Server, bind, make_server
from headgate.net.websocket_server import AsgiSocket

UPGRADE = (
    b"GET /v1/responses?a=%%20b HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n%b\r\n"
)
"""RFC 6455 section 1.3's key; a slot for more headers."""
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What answers it."""


def frame(opcode: Opcode, data: bytes, *, fin: bool = True, mask: bool = False) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


def closing(code: int, reason: str = "", *, mask: bool = False) -> bytes:
    return frame(Opcode.CLOSE, Close(code, reason).serialize(), mask=mask)


async def read_frame(reader: asyncio.StreamReader) -> tuple[Opcode, bytes]:
    """One unmasked frame."""
    first, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2))
    elif length == 127:
        length = int.from_bytes(await reader.readexactly(8))
    return Opcode(first & 15), await reader.readexactly(length)


Talk = Callable[[AsgiSocket], Awaitable[object]]


class Talking:
    """An application with one conversation for every socket; `heard` is how each of them ended."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.scopes: list[Any] = []
        self.sockets: list[AsgiSocket] = []
        self.heard: asyncio.Queue[SocketClosed | None] = asyncio.Queue()
        self.cuts = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 426, "headers": []})
            await asyncio.sleep(0.2)
            await send({"type": "http.response.body", "body": b"http", "more_body": False})
        else:
            socket = AsgiSocket(scope, receive, send)
            self.scopes.append(scope)
            self.sockets.append(socket)
            try:
                await self.talk(socket)
            except SocketClosed as closed:
                self.heard.put_nowait(closed)
            else:
                self.heard.put_nowait(None)

    def dismiss(self) -> None:
        """Nobody looks on."""

    def cut(self) -> None:
        """The server's patience is over."""
        self.cuts += 1
        for socket in self.sockets:
            self._closing = asyncio.ensure_future(socket.close(1012, "stopping"))


@contextlib.asynccontextmanager
async def talking(
    talk: Talk, *, stop_seconds: float = 0.2, max_frame_bytes: int = 1 << 20
) -> AsyncIterator[tuple[Talking, int, Server]]:
    """The application behind the server, and its port."""
    app = Talking(talk)
    started = asyncio.Event()
    server = make_server(cast("Application", app), stop_seconds, started.set, max_frame_bytes=max_frame_bytes)
    taken = bind("127.0.0.1", 0)
    running = asyncio.create_task(server.serve(sockets=[taken]))
    await started.wait()
    try:
        yield app, taken.getsockname()[1], server
    finally:
        server.should_exit = True
        await running


async def echo(socket: AsgiSocket) -> None:
    await socket.accept(())
    while True:
        await socket.send(await socket.receive())
