"""The gateway as an ASGI application: sockets' events become a Request and a Client.

Each exchange runs in a task of its own. The ASGI callable itself is the one receive loop: when the request has been
read, it waits for the client's leaving while the exchange goes on, and tells the Client. So an upstream that is silent
is stopped the moment nobody waits for it, and a server that cancels the callable cannot cancel the books.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from headgate.errors import BadRequest, HeadgateError, TooLarge
from headgate.framing.inflate import decompress
from headgate.gateway.exchange import Gateway
from headgate.gateway.local import LocalAnswers
from headgate.gateway.request import ClientGone, Request

BREAK_EXTENSION = "headgate.break"
"""A scope extension: a callable that closes the connection after what has been written."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiClient:
    """The way back to one client, over ASGI's `send`. `break_connection` closes it without an end."""

    __slots__ = ("_break_connection", "_callback", "_gone", "_over", "_send", "_started")

    def __init__(self, send: Send, break_connection: Callable[[], object]) -> None:
        self._send = send
        self._break_connection = break_connection
        self._callback: Callable[[], None] | None = None
        self._gone = False
        self._started = False
        self._over = False

    @property
    def gone(self) -> bool:
        """True once the client has left before the answer's end."""
        return self._gone

    @property
    def started(self) -> bool:
        """True once the head has been sent."""
        return self._started

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call back when the client leaves; at once if it has."""
        self._callback = callback
        if self._gone:
            callback()

    def leave(self) -> None:
        """The receive loop saw the connection end. Nothing happens if the answer was already whole."""
        if self._over or self._gone:
            return
        self._gone = True
        if self._callback is not None:
            self._callback()

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Send the head. Raises ClientGone."""
        if self._gone:
            raise ClientGone
        self._started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, chunk: bytes) -> None:
        """Send body bytes; the server waits while its buffer to the client is full. Raises ClientGone."""
        if self._gone:
            raise ClientGone
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        """End the answer. Raises ClientGone."""
        if self._gone:
            raise ClientGone
        self._over = True
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def abort(self) -> None:
        """Break the connection, so that what the client has cannot pass for a whole answer."""
        self._over = True
        self._break_connection()


class Application:
    """The ASGI callable. Mounts in any ASGI server or application; `net/server.py` serves it with uvicorn."""

    def __init__(
        self,
        gateway: Gateway,
        local: LocalAnswers,
        max_body_bytes: int,
        close_upstream: Callable[[], Awaitable[None]],
        close_log: Callable[[], None],
    ) -> None:
        self._gateway = gateway
        self._local = local
        self._max_body_bytes = max_body_bytes
        self._close_upstream = close_upstream
        self._close_log = close_log
        self._running: set[asyncio.Future[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope, as the ASGI specification has it."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = AsgiClient(send, _breaker(scope))
        request = await read_request(scope, receive, self._max_body_bytes)
        answer = self._local.answer(request)
        if answer is not None:
            await client.start(answer.status, answer.headers)
            await client.write(answer.body)
            await client.end()
            return
        exchange = asyncio.create_task(self._gateway.exchange(request, client))
        self._running.add(exchange)
        exchange.add_done_callback(self._running.discard)
        await _watch(receive, client)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def cut(self) -> None:
        """Break off what still runs; each client is told that the gateway is stopping."""
        closing = asyncio.ensure_future(self._close_upstream())
        self._running.add(closing)
        closing.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """Cut what still runs, and wait until every exchange has its record and every record is kept."""
        await self._close_upstream()
        if self._running:
            await asyncio.wait(self._running)
        await asyncio.to_thread(self._close_log)


def _breaker(scope: Scope) -> Callable[[], object]:
    """How to break this connection: our server's extension, or, under a foreign server, a callable that is cancelled.

    ASGI has no message for it; servers close the connection of an application that fails in the middle of an answer.
    """
    extension: Callable[[], object] | None = scope.get("extensions", {}).get(BREAK_EXTENSION)
    if extension is not None:
        return extension
    task = asyncio.current_task()
    return task.cancel if task is not None else lambda: None


async def _watch(receive: Receive, client: AsgiClient) -> None:
    """Wait until the answer is over or the client has left."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass  # a request's late body events mean nothing here: it was read whole
    finally:  # also when the server cancels us: its patience at shutdown is over
        client.leave()


async def read_request(scope: Scope, receive: Receive, max_body_bytes: int) -> Request:
    """The request, read whole and decompressed. What makes a body unreadable is told in `unreadable`, not raised.

    Limits hold for what is read, never for what a header claims.
    """
    body, error = await _read_body(receive, max_body_bytes)
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    encoding = b",".join(value for name, value in headers if name == b"content-encoding").decode("latin-1")
    if encoding and error is None:
        try:
            body = decompress(body, encoding, max_body_bytes)
        except HeadgateError as refusal:
            body, error = b"", refusal
        headers = [pair for pair in headers if pair[0] != b"content-encoding"]
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    root = scope.get("root_path", "")
    return Request(scope["method"], path.removeprefix(root), scope["query_string"], headers, body, error)


async def _read_body(receive: Receive, limit: int) -> tuple[bytes, HeadgateError | None]:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"", BadRequest("The connection closed before the request was whole.")
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            return b"", TooLarge(f"The request body is over the limit of {limit} bytes.")
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces), None
