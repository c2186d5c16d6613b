"""The short way for exchanges: from a connection's parser to a Request and its Client, and to the exchange's task.

What is mounted and what becomes a WebSocket goes uvicorn's way, and so does everything of a foreign application: a
scope, two coroutines and a task that waits for the client to leave. An exchange needs none of that. Here a request is
put together as it is parsed, and when it is whole it is served in one task; the connection itself tells its client that
it has ended. An `Arrival` stands where uvicorn has the application of a cycle.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from headgate.errors import BadRequest, HeadgateError, RequestTimeout
from headgate.gateway.request import Request
from headgate.net.asgi import CUT_SHORT, LATE, Application, too_large, undone
from headgate.net.http_protocol import GuardedProtocol, State
from headgate.net.wire_client import WireClient

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Arrival:
    """A request on its way in: its head, and what has come of its body. Limits hold for what has come."""

    __slots__ = (
        "_error",
        "_limit",
        "_pieces",
        "_size",
        "encoded",
        "expects",
        "headers",
        "method",
        "over",
        "path",
        "query",
    )

    def __init__(
        self, method: str, path: str, query: bytes, headers: Sequence[tuple[bytes, bytes]], limit: int
    ) -> None:
        """`limit` is in bytes of the body."""
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.expects = False
        """The client waits to be told that it may send the body."""
        self.encoded = False
        """The body has a content-encoding."""
        self.over = False
        """No more of the body is wanted."""
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._error: HeadgateError | None = None

    def take(self, piece: bytes) -> bool:
        """A piece of the body; none is kept of one that is over the limit. Returns False where no more is wanted."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > self._limit:
            self.refuse(too_large(self._limit))
        return not self.over

    def refuse(self, error: HeadgateError) -> None:
        """The body cannot be read whole."""
        self._error, self.over = error, True
        self._pieces.clear()

    def request(self) -> Request:
        """What has come, decompressed."""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        request = Request(self.method, self.path, self.query, self.headers, body, self._error)
        return undone(request, self._limit) if self.encoded else request


def split_target(target: bytes) -> tuple[str, bytes]:
    """A request's path, as it was written, and its query. Raises HttpParserError where there is no path."""
    if target.startswith(b"/") and b"#" not in target:  # as all are that come from clients of an API
        path, _, query = target.partition(b"?")
    else:
        parsed = httptools.parse_url(target)
        path, query = parsed.path, parsed.query or b""
    return path.decode("ascii"), query


class WireProtocol(GuardedProtocol):
    """One client's connection."""

    def __init__(self, config: uvicorn.Config, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._application = self.app if isinstance(self.app, Application) else None
        self._arrival: Arrival | None = None
        """The request of which more is to come."""
        self._patience: asyncio.TimerHandle | None = None

    @property
    def leaving(self) -> bool:
        """The next request is to come on another connection."""
        return isinstance(self.server_state, State) and self.server_state.leaving

    def on_body(self, body: bytes) -> None:
        """For httptools: a piece of the body."""
        arrival = self._arrival
        if arrival is None:
            super().on_body(body)
            return
        self._bare = 0
        if not arrival.over and not arrival.take(body):
            self._serve(self.cycle, arrival)

    def on_message_complete(self) -> None:
        """For httptools: the request is whole."""
        arrival, self._arrival = self._arrival, None
        if arrival is None:
            super().on_message_complete()
            return
        self._bare = 0
        self.cycle.more_body = False
        if not arrival.over:
            arrival.over = True
            self._serve(self.cycle, arrival)

    def connection_lost(self, exc: Exception | None) -> None:
        """The exchange hears that its client has left."""
        serving = self._serving
        if isinstance(serving, WireClient):
            self._give_up(serving)
            self._serving = None  # uvicorn has nobody to tell
        super().connection_lost(exc)

    def _begin(self) -> None:
        """A head is whole: an exchange's, or for uvicorn."""
        application = self._application
        path, query = split_target(self.url)
        if (
            application is None
            or self._upgrades
            or application.editions.mount(unquote(path) if "%" in path else path) is not None
        ):
            super()._begin()
            return
        method, old = self.parser.get_method().decode("ascii"), self._version == "1.0"
        arrival = Arrival(method, path, query, self.headers, application.editions.now.max_body_bytes)
        arrival.expects, arrival.encoded = self.expect_100_continue and not old, self._encoded
        keep_alive = not old and self.parser.should_keep_alive()
        client = WireClient(self, keep_alive=keep_alive, head_only=method == "HEAD", old=old)
        before, self.cycle = self.cycle, cast("RequestResponseCycle", client)
        self._arrival = arrival
        if before is None or before.response_complete:
            self._take_turn(self.cycle, arrival)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, cast("Any", arrival)))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not isinstance(app, Arrival):
            super()._start_asgi_task(cycle, app)
            return
        self._take_turn(cycle, app)  # after those before it in the line
        self._watch_body()

    def _take_turn(self, cycle: RequestResponseCycle, arrival: Arrival) -> None:
        self._serving = cycle
        if arrival.over:
            self._serve(cycle, arrival)
        elif arrival.expects:
            self.transport.write(_CONTINUE)

    def _serve(self, cycle: RequestResponseCycle, arrival: Arrival) -> None:
        """Begin the exchange of a request of which no more is to come, if it is its turn."""
        if cycle is not self._serving or self._application is None:
            return
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._application.serve(arrival.request(), cast("WireClient", cycle))

    def _watch(self) -> None:
        super()._watch()
        if self._arrival is not None:
            self._watch_body()

    def _watch_body(self) -> None:
        """Set a limit to the time in which the body is to come, unless it is here."""
        arrival = self._arrival
        if arrival is None or arrival.over or self._patience is not None or self.cycle is not self._serving:
            return
        if self._application is not None:
            seconds = self._application.editions.now.body_seconds
            self._patience = self.loop.call_later(seconds, self._stop_reading, RequestTimeout(LATE))

    def _stop_reading(self, error: HeadgateError) -> None:
        """The rest of the body does not come, or not in time; that is the exchange's to tell."""
        arrival = self._arrival
        if arrival is not None and not arrival.over:
            arrival.refuse(error)
            self._serve(self.cycle, arrival)

    def _give_up(self, cycle: RequestResponseCycle | WireClient) -> None:
        if not isinstance(cycle, WireClient):
            super()._give_up(cycle)
            return
        if cycle is cast("object", self.cycle):
            self._stop_reading(BadRequest(CUT_SHORT))
        cycle.leave()
