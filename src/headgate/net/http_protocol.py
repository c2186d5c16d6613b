"""uvicorn's HTTP protocol, made fit for clients that are slow, that break it, or that try to be two requests in one.

The grammar is llhttp's in its strict mode (by httptools), which already refuses obs-fold, bare CR and LF, NUL, a
content-length that comes twice or next to chunked, and every odd chunk size. Added here are bounds on the time and size
of a head, what a server has to refuse that knows no other coding than chunked and no other version than 1.x
(RFC 9112), and an end for connections whose client has been refused, sends nothing or takes nothing.
"""

import asyncio
import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from headgate.errors import BadRequest, HeadersTooLarge, HeadgateError, RequestTimeout
from headgate.net.stall import Stall
from headgate.net.wire_client import WireClient

MAX_HEAD_BYTES = 64 * 1024
"""Bound on bytes in a row that carry no body: the head, a chunk's extensions, the trailers. nginx takes 32 KiB."""

_LINGER_SECONDS = 2.0
"""For a client that was refused to read why: to close on unread bytes is a reset, which takes the answer with it."""

_GRACE_SECONDS = 5.0
"""For the application to answer itself, in the client's dialect, a request whose body does not come."""

_VERSIONS = frozenset({"1.0", "1.1"})
_NOTED = frozenset({b"host", b"transfer-encoding", b"content-encoding", b"expect"})
"""Headers on which it depends how a request is read."""


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Seconds that clients may take."""

    head: float = 30.0
    """From a head's first byte to its last."""
    body: float = 300.0
    """From there to the request's last byte."""
    idle: float = 300.0
    """Taking nothing of what it is sent."""


class Config(uvicorn.Config):
    """uvicorn's configuration, with ours."""

    client_limits = ClientLimits()


class State(ServerState):
    """What the protocols of a server know of it."""

    leaving = False
    """Others have its port: whoever comes again comes to them."""


def client_limits(config: uvicorn.Config) -> ClientLimits:
    """Those of our configuration; of a foreign one, ours by default."""
    return getattr(config, "client_limits", Config.client_limits)


class _Wait(Enum):
    """What of the client's is waited for."""

    ANYTHING = "anything"
    HEAD = "head"
    BODY = "body"


class GuardedProtocol(HttpToolsProtocol):
    """One client's connection."""

    def __init__(self, config: uvicorn.Config, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self._limits = client_limits(config)
        self._wait: _Wait | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stall = Stall(self._limits.idle)
        self._bare = 0
        """Bytes in a row that carry no body."""
        self._in_head = False
        self._lingers = False
        self._fault: HeadgateError | None = None
        self._version = ""
        self._upgrades = False
        """The connection becomes a WebSocket's."""
        self._declines = False
        """What the latest head asks for is not to be: it will come once more."""
        self._encoded = False
        """Its body has a content-encoding."""
        self._serving: RequestResponseCycle | WireClient | None = None
        """The cycle whose turn it is; `cycle` is the latest, which may stand behind it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """A client that says nothing is not waited for longer than one between two requests."""
        super().connection_made(transport)
        self._await(_Wait.ANYTHING)

    def connection_lost(self, exc: Exception | None) -> None:
        """No timer outlives the connection."""
        self._await(None)
        self._stall.end()
        self.cycle = self._serving  # type: ignore[assignment]  # uvicorn would tell the one that stands last in the line
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within bounds. What is no request is refused without a line in the log: anyone can send it."""
        if self._lingers:
            return
        self._unset_keepalive_if_required()
        self._bare += len(data)
        try:
            self._parse(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # an upgrade that cannot be declined
            self._refuse(self._fault or BadRequest("The request is not valid HTTP."))
            return
        if self._upgrades:
            self._await(None)
            self.handle_websocket_upgrade()
        elif self._bare > MAX_HEAD_BYTES:
            self._refuse(_too_large())
        else:
            self._watch()

    def _parse(self, data: bytes) -> None:
        """Have httptools read on, until the connection becomes a WebSocket's.

        It takes what follows the head of any upgrade for another protocol's, and passes over the body. A server may go
        on as if none had been asked for (RFC 9110 section 7.8): then it is fed the head once more, which asks for none.
        Java's own client offers h2c with each request.
        """
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                if self._upgrades:
                    return
                rest = rest[upgrade.args[0] :]
                again = self._head_without_upgrade()
                self._declines = False
                self.parser = httptools.HttpRequestParser(self)  # the other may take the connection for closed
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
                self.parser.feed_data(again)
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self._version.encode())]
        for name, value in self.headers:
            tokens = [token for token in value.split(b",") if token.strip().lower() != b"upgrade"]
            lines.append(b"%b: %b" % (name, b",".join(tokens) if name == b"connection" else value))
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """For httptools: a request begins. What uvicorn would make for it now it makes when it is known to serve it."""
        self._in_head = True
        self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        """For httptools: a header, or after the body a trailer.

        Trailers are passed over: among the headers they could name another key or provider than whoever looked at the
        head has seen (RFC 9110 section 6.5.1).
        """
        if self._in_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """For httptools: the head is whole. Raises HttpParserError if it may be read in more ways than one."""
        self._in_head = False
        self._fault = self._wrong_with_head()
        if self._fault is not None:
            raise httptools.HttpParserError(self._fault.message)
        self._declines = self.parser.should_upgrade() and not self._may_upgrade()
        self._upgrades = self.parser.should_upgrade() and not self._declines
        if not self._declines:
            self._begin()

    def _begin(self) -> None:
        """The request's head is whole and good: uvicorn makes its scope, and starts the application."""
        self._make_scope()
        super().on_headers_complete()

    def _make_scope(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # it is the scope's list

    def _should_upgrade(self) -> bool:
        """For uvicorn, which asks more than once: what was so at the head's end, so that a request has one answer."""
        return self._upgrades

    def _may_upgrade(self) -> bool:
        """Not while an earlier answer is on its way: whoever asked for it would never hear that its client has left."""
        return (self.cycle is None or self.cycle.response_complete) and super()._should_upgrade()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._serving = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """For httptools: a piece of the body."""
        super().on_body(body)
        self._bare = 0

    def on_message_complete(self) -> None:
        """For httptools: the request is whole."""
        if not self._declines:
            super().on_message_complete()
        self._bare = 0

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        super().pause_writing()
        self._stall.begin(self.transport)

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._stall.end()

    def linger(self) -> None:
        """Say nothing more, and close once the client has read what was said, or has had its time for that."""
        self._await(None)
        self._unset_keepalive_if_required()
        if self._lingers or self.transport.is_closing():
            return
        self._lingers = True
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def _look_into_head(self) -> tuple[int, list[bytes]]:
        """Note what decides on how the request is read. Returns how many hosts it names, and its codings."""
        self.expect_100_continue = self._encoded = False
        hosts = 0
        codings: list[bytes] = []
        for name, value in [pair for pair in self.headers if pair[0] in _NOTED]:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == b"content-encoding":
                self._encoded = True
            elif value.lower() == b"100-continue":
                self.expect_100_continue = True
        return hosts, codings

    def _wrong_with_head(self) -> HeadgateError | None:
        """What RFC 9112 has a server refuse (3.2, 6.1, 6.3), and a head over the bound."""
        self._version = version = self.parser.get_http_version()
        hosts, codings = self._look_into_head()
        if codings and codings != [b"chunked"]:
            return BadRequest("The only transfer-encoding that is understood is chunked.")
        if version not in _VERSIONS or self.parser.get_method() == b"CONNECT":
            return BadRequest("The only versions of HTTP that are understood here are 1.1 and 1.0, without CONNECT.")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            return BadRequest("Expected one Host header.")
        if codings and version == "1.0":
            return BadRequest("HTTP/1.0 has no transfer-encoding.")
        if self._bare > MAX_HEAD_BYTES:  # some of that may be body, which came in the same piece
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            return _too_large() if size > MAX_HEAD_BYTES else None
        return None

    def _refuse(self, error: HeadgateError) -> None:
        """Answer what is no request. Where another answer is on its way nothing can be said, and the client is left."""
        serving = self._serving
        under_way = serving is not None and not serving.response_complete
        if serving is not None and under_way and (serving.response_started or not serving.more_body):
            self.transport.close()
            return
        told = {"message": error.message, "type": error.code, "param": None, "code": error.code}
        body = json.dumps({"error": told}).encode()
        self.transport.write(
            STATUS_LINE[error.status]
            + b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            + body
        )
        if serving is not None and under_way:
            self._give_up(serving)
        self.linger()

    def _give_up(self, cycle: RequestResponseCycle | WireClient) -> None:
        """Its body cannot be read on: who waits for it is told that the client has left."""
        if isinstance(cycle, RequestResponseCycle):
            cycle.disconnected = True
            cycle.message_event.set()

    def _watch(self) -> None:
        """Set a limit to what is waited for; for a request that comes in one piece there is none to set."""
        cycle = self.cycle
        if self._in_head or cycle is None or cycle.response_complete:
            self._await(_Wait.HEAD)
        else:
            self._await(_Wait.BODY if cycle.more_body else None)

    def _await(self, wait: _Wait | None) -> None:
        if wait is self._wait:
            return
        self._wait = wait
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait is not None:
            self._arm(wait)

    def _arm(self, wait: _Wait) -> None:
        limits = self._limits
        seconds = {
            _Wait.ANYTHING: float(self.timeout_keep_alive),
            _Wait.HEAD: limits.head,
            _Wait.BODY: limits.body + _GRACE_SECONDS,
        }[wait]
        self._timer = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        wait, self._timer = self._wait, None
        if wait is not None and self.flow.read_paused:  # we are the slow ones
            self._arm(wait)
        elif wait is _Wait.HEAD:
            self._refuse(RequestTimeout("The request's head did not come in time."))
        else:
            self.transport.abort()


def _too_large() -> HeadersTooLarge:
    return HeadersTooLarge(f"The request's head is over the limit of {MAX_HEAD_BYTES} bytes.")
