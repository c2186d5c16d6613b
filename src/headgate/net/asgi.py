"""The gateway as an ASGI application: sockets' events become a Request and a Client.

Each exchange runs in a task of its own. The ASGI callable itself is the one receive loop: when the request has been
read, it waits for the client's leaving while the exchange goes on, and tells the Client. So an upstream that is silent
is stopped the moment nobody waits for it, and a server that cancels the callable cannot cancel the books.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from headgate.errors import BadRequest, HeadgateError, RequestTimeout, TooLarge
from headgate.framing.inflate import decompress
from headgate.gateway.local import LocalAnswer
from headgate.gateway.request import Client, ClientGone, Request
from headgate.net.editions import Edition, Editions, Message, Receive, Scope, Send
from headgate.net.websocket_server import AsgiSocket

TRAILERS_EXTENSION = "http.response.trailers"
"""ASGI's own extension (asgiref, "HTTP Trailers")."""
ABORT_EXTENSION = "headgate.abort"
"""Drops a connection with whatever its client has not taken, for applications that are mounted."""

LATE = "The request body did not come in time."
CUT_SHORT = "The connection closed before the request was whole."


class AsgiClient:
    """The way back to one client, over ASGI's `send`. `break_connection` closes it without an end."""

    __slots__ = ("_break_connection", "_callback", "_can_trail", "_gone", "_over", "_send", "_started", "_trailers")

    def __init__(self, send: Send, break_connection: Callable[[], object], *, can_trail: bool = False) -> None:
        """`can_trail`: the server knows ASGI's trailers; without that they are left out."""
        self._send = send
        self._break_connection = break_connection
        self._can_trail = can_trail
        self._trailers = False
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

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]], *, trailers: bool = False) -> None:
        """Send the head. Raises ClientGone."""
        if self._gone:
            raise ClientGone
        self._started = True
        self._trailers = trailers and self._can_trail
        await self._send(
            {"type": "http.response.start", "status": status, "headers": headers, "trailers": self._trailers}
        )

    async def write(self, chunk: bytes) -> None:
        """Send body bytes; the server waits while its buffer to the client is full. Raises ClientGone."""
        if self._gone:
            raise ClientGone
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    def put(self, chunk: bytes) -> bool:
        """Nothing goes out at once: ASGI's `send` may wait. Raises ClientGone."""
        del chunk
        if self._gone:
            raise ClientGone
        return False

    async def end(self, trailers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """End the answer. Raises ClientGone."""
        if self._gone:
            raise ClientGone
        self._over = True
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        if self._trailers:
            await self._send({"type": "http.response.trailers", "headers": trailers, "more_trailers": False})

    def abort(self) -> None:
        """Break the connection, so that what the client has cannot pass for a whole answer."""
        self._over = True
        self._break_connection()


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What has to happen before the first request, and after the last."""

    start: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    dismiss: Callable[[], None] = lambda: None
    """Sends those away who only look on: a stop does not wait for them."""


class Application:
    """The ASGI callable. Mounts in any ASGI server or application; `net/server.py` serves it with uvicorn."""

    def __init__(self, edition: Edition, lifecycle: Lifecycle, *, settle_seconds: float = 5.0) -> None:
        """`settle_seconds`: how long a stop waits for a database that cannot be written.

        Raises ValueError if two mounts begin with the same segment.
        """
        self.editions = Editions(edition, settle_seconds)
        self._lifecycle = lifecycle
        self._starting: asyncio.Future[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope, as the ASGI specification has it."""
        if scope["type"] == "http":
            await self._start()
            root = scope.get("root_path", "")
            path = scope["path"].removeprefix(root)  # a path holds its root (ASGI's HTTP scope, `root_path`)
            mounted = self.editions.mount(path)
            if mounted is not None:
                await mounted[1]({**scope, "root_path": root + mounted[0]}, receive, send)
            else:
                await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._start()
            await self._websocket(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A socket's session, in a task of its own, so that a server that cancels us cannot cancel the books."""
        client = AsgiSocket(scope, receive, send)
        await asyncio.wait({self.editions.run(self.editions.now.sessions.serve(upgrade_of(scope), client))})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        can_trail = TRAILERS_EXTENSION in scope.get("extensions", {}) and scope.get("http_version") != "1.0"
        client = AsgiClient(send, _breaker(), can_trail=can_trail)
        now = self.editions.now
        request = await read_request(scope, receive, now.max_body_bytes, now.body_seconds)
        answer = self.editions.now.local.answer(request)
        if answer is not None:
            await tell(await answer, client)
            return
        self.editions.run(self.editions.now.gateway.exchange(request, client))  # whichever serves by now
        await _watch(receive, client)

    def serve(self, request: Request, client: Client) -> None:
        """Serve a request that has been read, in a task of its own; somebody tells the client when its caller leaves.

        The lifespan has to have begun.
        """
        now = self.editions.now
        answer = now.local.answer(request)
        self.editions.run(now.gateway.exchange(request, client) if answer is None else _answer(answer, client))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._start()
                except HeadgateError as error:
                    await send({"type": "lifespan.startup.failed", "message": error.message})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _start(self) -> None:
        """Once; by the server's lifespan, or by the first request of one that has none."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._begin())
        if not self._starting.done() or self._starting.exception() is not None:
            await self._starting

    async def _begin(self) -> None:
        await self._lifecycle.start()
        self.editions.now.start()

    def dismiss(self) -> None:
        """Send those away who only look on."""
        self._lifecycle.dismiss()

    def cut(self) -> None:
        """Break off what still runs; each client is told that the gateway is stopping."""
        self.editions.cut()

    async def stop(self) -> None:
        """Cut what still runs, and wait until every exchange is settled and recorded, and all of that is kept.

        A settlement that cannot be written in time is spilled with its record, for the next start.
        """
        self.dismiss()
        await self.editions.finish()
        await self._lifecycle.close()


def _breaker() -> Callable[[], object]:
    """How to break this connection: the callable is cancelled.

    ASGI has no message for it; servers close the connection of an application that fails in the middle of an answer.
    """
    task = asyncio.current_task()
    return task.cancel if task is not None else lambda: None


async def tell(answer: LocalAnswer, client: Client) -> None:
    """Give an answer of the gateway's own. Raises ClientGone."""
    await client.start(answer.status, answer.headers)
    await client.write(answer.body)
    await client.end()


async def _answer(answer: Awaitable[LocalAnswer], client: Client) -> None:
    """Make an answer of the gateway's own. What goes wrong breaks the connection, and is the event loop's to report."""
    told = False
    try:
        await tell(await answer, client)
        told = True
    except ClientGone:
        pass
    finally:
        if not told:
            client.abort()


async def _watch(receive: Receive, client: AsgiClient) -> None:
    """Wait until the answer is over or the client has left."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass  # a request's late body events mean nothing here: it was read whole
    finally:  # also when the server cancels us: its patience at shutdown is over
        client.leave()


def upgrade_of(scope: Scope) -> Request:
    """The upgrade of a websocket scope. A browser's key, which can only be a subprotocol, becomes a header."""
    offered: Sequence[str] = scope.get("subprotocols", ())
    keys = (name.removeprefix(_KEY_SUBPROTOCOL).encode() for name in offered if name.startswith(_KEY_SUBPROTOCOL))
    headers = [*scope["headers"], *((b"authorization", b"Bearer " + key) for key in keys)]
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    return Request("GET", path.removeprefix(scope.get("root_path", "")), scope["query_string"], headers, b"")


_KEY_SUBPROTOCOL = "openai-insecure-api-key."


async def read_request(scope: Scope, receive: Receive, max_body_bytes: int, body_seconds: float = 300.0) -> Request:
    """The request, read whole and decompressed. What makes a body unreadable is told in `unreadable`, not raised.

    Limits hold for what is read, never for what a header claims. `body_seconds`: how long it may take to come.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):  # it came in one piece, as most do
        body, error = _bounded([message.get("body", b"")], max_body_bytes)
    else:
        try:
            async with asyncio.timeout(body_seconds):
                body, error = await _read_body(message, receive, max_body_bytes)
        except TimeoutError:
            body, error = b"", RequestTimeout(LATE)
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    path = path.removeprefix(scope.get("root_path", ""))
    request = Request(scope["method"], path, scope["query_string"], scope["headers"], body, error)
    return undone(request, max_body_bytes)


def undone(request: Request, max_body_bytes: int) -> Request:
    """The request with its content-encoding undone, or unreadable for it."""
    encodings = [value for name, value in request.headers if name == b"content-encoding"]
    if not encodings or request.unreadable is not None:
        return request
    body, error = b"", None
    try:
        body = decompress(request.body, b",".join(encodings).decode("latin-1"), max_body_bytes)
    except HeadgateError as refusal:
        error = refusal
    headers = [pair for pair in request.headers if pair[0] != b"content-encoding"]
    return replace(request, headers=headers, body=body, unreadable=error)


async def _read_body(message: Message, receive: Receive, limit: int) -> tuple[bytes, HeadgateError | None]:
    pieces: list[bytes] = []
    size = 0
    while message["type"] != "http.disconnect":
        piece = message.get("body", b"")
        size += len(piece)
        pieces.append(piece)
        if size > limit or not message.get("more_body", False):
            return _bounded(pieces, limit)
        message = await receive()
    return b"", BadRequest(CUT_SHORT)


def _bounded(pieces: list[bytes], limit: int) -> tuple[bytes, HeadgateError | None]:
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(body) > limit:
        return b"", too_large(limit)
    return body, None


def too_large(limit: int) -> TooLarge:
    """What a body over the limit, in bytes, is refused with."""
    return TooLarge(f"The request body is over the limit of {limit} bytes.")
