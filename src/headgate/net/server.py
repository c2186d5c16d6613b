"""The HTTP server: uvicorn (uvloop, httptools, websockets) behind thin protocol subclasses.

uvicorn owns the listening, the parsing, keep-alive, flow control and signals. Ours are the ways to break a connection,
and the order of a graceful stop: no new requests, running streams finish within the limit, what is left is cut, every
exchange is recorded, and only then the process ends.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from headgate.errors import ConfigError
from headgate.framing.base import MAX_FRAME_BYTES
from headgate.net.asgi import ABORT_EXTENSION, Application
from headgate.net.http_protocol import ClientLimits, Config, State
from headgate.net.websocket_protocol import SocketProtocol
from headgate.net.wire_protocol import WireProtocol

logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


_PING_SECONDS = 30.0
"""Proxies forget connections that are silent for a minute. No answer is waited for: it would stand behind frames that
are not read while the provider is slow, and a client is not to be lost for that."""

_KEEP_ALIVE_SECONDS = 75
"""For a client between two requests, and before the first. As nginx has it."""
_PARTING_SECONDS = 5
"""For a client to come with another request, and be told that the next one is to come on another connection."""
_LOOK_SECONDS = 0.1
_CLOSE = (b"connection", b"close")

_LAST_WORDS_SECONDS = 5
"""For clients that do not take the last bytes; then the server drops them."""


class Cycle(RequestResponseCycle):
    """uvicorn's cycle of a request and its answer, for what goes by ASGI: it ends as the client can understand."""

    linger: Callable[[], None]
    """The connection's way to an end that its client can hear."""
    _until_close = False
    state: "State | None" = None
    """Of its server."""

    async def send(self, message: Any) -> None:
        """ASGI's `send`.

        HTTP/1.0 has no chunks: an answer without a length ends with its connection (RFC 9112 section 6.3).
        """
        kind = message["type"]
        if self._until_close and kind == "http.response.body":
            self.expected_content_length += len(message.get("body", b""))
        if kind == "http.response.start":
            self._until_close = self.scope["http_version"] == "1.0" and not _has_length(message["headers"])
            if self._until_close:
                self.chunked_encoding = False
            leaving = self.state is not None and self.state.leaving  # the next request is for whoever listens then
            if self.more_body or leaving:
                self.keep_alive = self.keep_alive and not leaving
                message = {**message, "headers": [*message["headers"], _CLOSE]}
            await super().send(message)
        else:
            cut_short = self.more_body and not message.get("more_body", False)
            self.keep_alive = self.keep_alive or cut_short  # uvicorn would close on what the client is still sending
            await super().send(message)
            if cut_short:
                self.linger()


def _has_length(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-length" for name, _ in headers)


class Protocol(WireProtocol):
    """uvicorn's protocol, with a way for what is mounted to break the connection."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if isinstance(cycle, RequestResponseCycle):
            cycle.__class__ = Cycle  # uvicorn makes its cycles itself; ours adds methods and attributes
        if isinstance(cycle, Cycle) and isinstance(self.server_state, State):
            cycle.linger = self.linger
            cycle.state = self.server_state
        super()._start_asgi_task(cycle, app)

    def _make_scope(self) -> None:
        """The scope learns the extension."""
        super()._make_scope()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # uvicorn's TypedDict has no place for extensions
        scope["extensions"] = {ABORT_EXTENSION: self.transport.abort}

    def shutdown(self) -> None:
        """The server stops. One that leaves its port to others lets each client have an answer that says so.

        A connection that is closed while a request is on its way to it is an error for whoever sent that; so it stays
        open until an answer has told the client to come no more on it, or until none has been asked for in a while.
        """
        if not self.leaving:
            super().shutdown()
            return
        self.timeout_keep_alive = _PARTING_SECONDS
        if self.cycle is None or self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(_PARTING_SECONDS, self.timeout_keep_alive_handler)


class Server(uvicorn.Server):
    """uvicorn's server, telling when it listens, and cutting what does not finish in time after a stop.

    Attributes:
        looked_into: Sockets of others, in which connections wait that nobody takes while those others are not there.
    """

    def __init__(
        self, config: uvicorn.Config, application: Application, stop_seconds: float, on_started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.server_state = self._state = State()
        self.looked_into: Sequence[socket.socket] = ()
        self._looking: asyncio.Task[None] | None = None
        self._patience = stop_seconds
        self._cutting: asyncio.TimerHandle | None = None
        self._application = application
        self._stop_seconds = stop_seconds
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then tell."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets=sockets)
        if self.started:
            self._on_started()
            if self.looked_into:
                self._looking = asyncio.create_task(self._look())

    def leave(self, seconds: float) -> None:
        """Others have the port now: listen no more, and end when what runs is over, or after so many seconds."""
        if not self.should_exit:
            self._state.leaving = True
            self._patience = seconds
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal stops the server, and hurries one that is leaving."""
        if self._cutting is not None and self._state.leaving:
            self._loop.call_soon_threadsafe(self._hurry)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening; give running exchanges their time; then cut them, so that each client is told why."""
        self._application.dismiss()
        if self._looking is not None:
            self._looking.cancel()
        self.config.timeout_graceful_shutdown = int(self._patience) + _LAST_WORDS_SECONDS
        self._cut_in(self._patience)
        await super().shutdown(sockets=sockets)
        self._cut_in(None)

    def _cut_in(self, seconds: float | None) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
        self._cutting = None if seconds is None else self._loop.call_later(seconds, self._cut)

    def _hurry(self) -> None:
        self._wait_for_nobody()
        self._cut_in(self._stop_seconds)

    def _cut(self) -> None:
        self._wait_for_nobody()
        self._application.cut()

    def _wait_for_nobody(self) -> None:
        """Who leaves waits no longer for what its clients may ask."""
        if self._state.leaving:
            self._state.leaving = False
            for connection in list(self.server_state.connections):
                if isinstance(connection, Protocol):
                    connection.shutdown()

    async def _look(self) -> None:
        """Take what waits in others' sockets for longer than they take to be there."""
        for each in self.looked_into:
            each.settimeout(0)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for each in self.looked_into:
                with suppress(OSError):  # nobody waits there: BlockingIOError
                    while True:
                        await self._loop.connect_accepted_socket(self._protocol, each.accept()[0])

    def _protocol(self) -> asyncio.Protocol:
        return Protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket's address taken; port 0 takes a free one. Raises ConfigError if it cannot be had.

    Shared with others who share it; the kernel spreads connections over those that listen.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by its name: asyncio switches Nagle's algorithm off for those sockets only, and with it on each small
    # answer on a kept connection waits 40 ms for the client's acknowledgement of its head.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return taken


def make_server(
    application: Application,
    stop_seconds: float,
    on_started: Callable[[], None] = lambda: None,
    *,
    max_frame_bytes: int = MAX_FRAME_BYTES,
    client_limits: ClientLimits | None = None,
) -> Server:
    """A server to `run(sockets=[bind(...)])`, or to await with `serve`; `should_exit = True` stops it gracefully.

    A client's WebSocket message over `max_frame_bytes`, as it is when decompressed, ends its socket with 1009.
    """
    config = Config(
        application,
        loop="uvloop",
        http=Protocol,
        ws=SocketProtocol,
        ws_max_size=max_frame_bytes,
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=None,
        ws_per_message_deflate=True,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(stop_seconds) + _LAST_WORDS_SECONDS,
        backlog=4096,
    )
    config.client_limits = client_limits or config.client_limits
    return Server(config, application, stop_seconds, on_started)
