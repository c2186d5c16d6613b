"""The provider's end of a WebSocket. The `websockets` library speaks the protocol; the bytes go in and out here.

Each socket has a connection of its own, straight to the provider: no redirect is followed, no proxy asked, no cookie
kept, and no header added beside the handshake's own. Compression is not offered: answers over HTTP are asked for
uncompressed too, and a frame of a few hundred bytes gains less than undoing it costs.
"""

import asyncio
import logging
import ssl
from collections import deque
from typing import cast

from websockets.client import ClientProtocol
from websockets.datastructures import Headers as FieldList
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.uri import WebSocketURI

from headgate.errors import UpstreamCut, UpstreamTimeout
from headgate.framing.base import MAX_FRAME_BYTES
from headgate.gateway.socket import BinaryFrame, Refusal, SocketClosed
from headgate.gateway.upstream import Headers, UpstreamRequest
from headgate.net.client_request import request_head
from headgate.net.connection_dial import dial_as, tls_context
from headgate.net.websocket_codes import fitting, sendable

logging.getLogger("websockets").setLevel(logging.WARNING)
"""At level debug it tells every header and frame: credentials, and what was said."""

HIGH_WATER = 64 * 1024
"""Bytes of whole frames that may wait for their reader; above it, reading from the connection pauses."""

_OVERHEAD = 64
"""Bytes that a waiting frame counts beside its own: empty ones take room too."""

_PING_SECONDS = 30.0
"""Boxes on the way forget connections that are silent for a minute. Nothing depends on the answer: it comes behind
frames that a slow client has not taken yet."""

_CLOSE_SECONDS = 3.0
"""For the provider to answer a close frame and to close the connection."""


class WebSockets:
    """Fulfils `gateway.socket.Sockets`. Belongs to the event loop that it is used in."""

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES, ssl_context: ssl.SSLContext | None = None) -> None:
        """A provider's message over `max_frame_bytes` ends its socket.

        `ssl_context` stands in for `connection_dial.tls_context()`, e.g. to trust an authority of one's own.
        """
        self._max_frame_bytes = max_frame_bytes
        self._tls = ssl_context or tls_context()

    async def connect(self, request: UpstreamRequest) -> "WebSocket | Refusal":
        """Upgrade at the request's origin and target; a refusal's body is at most 1 MiB.

        Headers that begin with sec-websocket- are left out: they are about the client's connection, and may hold its
        key. Raises BadRequest if the request cannot be sent as one unmistakable HTTP request, UpstreamUnreachable
        (nothing was sent), UpstreamTimeout, UpstreamCut.
        """
        request_head(request)
        handshake = _Handshake(request, self._max_frame_bytes)
        link = await dial_as(lambda: Link(handshake), request.origin, request.limits.connect, self._tls)
        upgraded = False
        try:
            async with asyncio.timeout(request.limits.first_byte):
                answer = await link.upgrade()
            upgraded = True
        except InvalidStatus as refused:
            return _refusal(refused.response)
        except TimeoutError as error:
            raise UpstreamTimeout("The provider did not begin to answer in time.") from error
        finally:
            if not upgraded:
                link.abort()
        return WebSocket(link, _headers(answer))


class WebSocket:
    """A `gateway.socket.UpstreamSocket`."""

    def __init__(self, link: "Link", headers: Headers) -> None:
        self._link = link
        self._headers = headers

    @property
    def headers(self) -> Headers:
        """Of its 101 answer, in order, names in lower case."""
        return self._headers

    async def receive(self) -> bytes:
        """The next text frame. Raises SocketClosed, after the frames that came before; BinaryFrame."""
        frame = await self._link.take()
        if frame is None:
            raise BinaryFrame
        return frame

    async def send(self, frame: bytes) -> None:
        """Send a text frame, first waiting while the provider reads slowly. Raises SocketClosed: it was not sent."""
        await self._link.put(frame)

    def holds_back(self, frame: bytes) -> bool:
        """Never: what `send` took has gone out."""
        del frame
        return False

    async def close(self, code: int, reason: str = "") -> None:
        """Close, telling why; does nothing the second time. Frames that have not been received are dropped.

        Waits a few seconds for the provider to close too, then breaks the connection.
        """
        await self._link.close(code, reason)


class _Handshake(ClientProtocol):
    """The library's protocol, whose upgrade is the request that we were given."""

    def __init__(self, request: UpstreamRequest, max_frame_bytes: int) -> None:
        origin = request.origin
        super().__init__(WebSocketURI(origin.tls, origin.host, origin.port, "", ""), max_size=max_frame_bytes)
        self._request = request

    def connect(self) -> Request:
        """The upgrade, host first."""
        request = self._request
        fields = FieldList([("host", request.host.decode("latin-1"))])
        fields.update((name, value) for name, value in super().connect().headers.raw_items() if name != "Host")
        fields.update(
            (name.decode("ascii"), value.decode("latin-1"))
            for name, value in request.headers
            if not name.lower().startswith(b"sec-websocket-")
        )
        return Request(request.target.decode("ascii"), fields)


class Link(asyncio.Protocol):
    """The connection under a socket: bytes to frames and back, with backpressure both ways."""

    def __init__(self, protocol: ClientProtocol) -> None:
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[Response] = self._loop.create_future()
        self._frames: deque[bytes | None] = deque()
        self._waiting = 0
        self._opcode: Opcode | None = None
        self._pieces = bytearray()
        self._over: SocketClosed | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._closing = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._owed = b""
        self._gone = asyncio.Event()
        self._pinging: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None

    async def upgrade(self) -> Response:
        """The 101 answer. Raises InvalidStatus for another, UpstreamCut for none or one that is no answer to this."""
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        answer = await self._answer
        self._pinging = self._loop.call_later(_PING_SECONDS, self._ping)
        return answer

    async def take(self) -> bytes | None:
        """The next message, None for a binary one. Raises SocketClosed."""
        while not self._frames:
            if self._over is not None:
                raise self._over
            self._waiter = self._loop.create_future()
            await self._waiter
        frame = self._frames.popleft()
        self._waiting -= len(frame or b"") + _OVERHEAD
        if self._paused and not self._frames:
            self._paused = False
            self._transport.resume_reading()
        return frame

    async def put(self, frame: bytes) -> None:
        """Send a text message once there is room for it. Raises SocketClosed: it was not sent."""
        await self._writable.wait()
        if self._protocol.state is not State.OPEN:
            raise self._over or _broken(None)
        self._protocol.send_text(frame)
        self._flush()

    async def close(self, code: int, reason: str) -> None:
        """Close and wait for it, within `_CLOSE_SECONDS`."""
        if self._closing:
            return
        self._closing = True
        self._frames.clear()
        self._waiting = 0
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(sendable(code), fitting(reason))
            self._flush()
        if self._paused:  # the answer stands behind what nobody reads any more
            self._paused = False
            self._transport.resume_reading()
        self._limit_patience()
        await self._gone.wait()

    def abort(self) -> None:
        """Break the connection."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """For asyncio."""
        self._protocol.receive_data(data)
        self._reply()
        self._heed()

    def eof_received(self) -> None:
        """For asyncio. Half closed is closed."""
        self._protocol.receive_eof()
        self._heed()

    def connection_lost(self, exc: Exception | None) -> None:
        """For asyncio."""
        self._protocol.receive_eof()
        self._heed()
        self._end(_broken(exc))
        for timer in (self._pinging, self._patience):
            if timer is not None:
                timer.cancel()
        self._writable.set()
        self._gone.set()

    def pause_writing(self) -> None:
        """For asyncio."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """For asyncio."""
        self._writable.set()
        owed, self._owed = self._owed, b""
        if owed and self._protocol.state is State.OPEN:
            self._transport.write(owed)

    def _heed(self) -> None:
        """Look at what has come, then at how it may have ended."""
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._hear(event)
            elif not self._answer.done() and isinstance(event, Response) and self._protocol.handshake_exc is None:
                self._answer.set_result(event)
        error = self._protocol.handshake_exc
        if error is not None and not self._answer.done():
            refused = isinstance(error, InvalidStatus) and error.response.status_code >= 200
            self._answer.set_exception(error if refused else _no_answer(error))
            self._answer.exception()  # retrieved: whoever has asked may have left
        if self._protocol.parser_exc is not None:
            self._end(_broken(self._protocol.parser_exc))

    def _hear(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            received = self._protocol.close_rcvd
            self._end(SocketClosed(received.code, received.reason) if received else _broken(None))
        elif frame.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT} and not self._closing:
            if frame.opcode is not Opcode.CONT:
                self._opcode = frame.opcode
            self._pieces += frame.data
            if frame.fin:
                message, self._pieces = bytes(self._pieces), bytearray()
                self._give(message)

    def _give(self, message: bytes) -> None:
        """A whole message; what follows one that is not UTF-8 is not heard (RFC 6455 section 8.1)."""
        if self._over is not None:
            return
        if self._opcode is Opcode.TEXT:
            try:
                message.decode()
            except UnicodeDecodeError as error:
                if self._protocol.state is State.OPEN:
                    self._protocol.fail(CloseCode.INVALID_DATA)
                    self._flush()
                self._end(_broken(error))
                return
        self._frames.append(message if self._opcode is Opcode.TEXT else None)
        self._waiting += len(self._frames[-1] or b"") + _OVERHEAD
        if self._waiting > HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def _end(self, how: SocketClosed) -> None:
        """The socket is over, in the first way that is told; the connection soon is."""
        if self._over is None:
            self._over = how
            self._limit_patience()
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _reply(self) -> None:
        """Answer what has come: pings, unless the provider takes nothing. Then it is owed one pong, to the latest ping.

        RFC 6455 section 5.5.3 allows it; a pong for each would be a buffer full of them.
        """
        if self._writable.is_set() or self._protocol.state is not State.OPEN:
            self._flush()
        else:
            self._owed = next(filter(None, reversed(self._protocol.data_to_send())), self._owed)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:  # an empty one asks for a half close, which TLS does not have
                self._transport.write(data)

    def _limit_patience(self) -> None:
        if self._patience is None:
            self._patience = self._loop.call_later(_CLOSE_SECONDS, self._transport.abort)

    def _ping(self) -> None:
        if self._protocol.state is State.OPEN and self._writable.is_set():
            self._protocol.send_ping(b"")
            self._flush()
        self._pinging = self._loop.call_later(_PING_SECONDS, self._ping)


def _headers(answer: Response) -> Headers:
    return [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in answer.headers.raw_items()]


def _refusal(answer: Response) -> Refusal:
    return Refusal(answer.status_code, _headers(answer), bytes(answer.body))


def _broken(cause: BaseException | None) -> SocketClosed:
    """No close frame came. What we close with is not told: 1009 would read as if the client had sent too much."""
    closed = SocketClosed(CloseCode.ABNORMAL_CLOSURE)
    closed.__cause__ = cause
    return closed


def _no_answer(cause: Exception) -> UpstreamCut:
    error = UpstreamCut("The provider's connection broke off before the upgrade, or its answer was no upgrade.")
    error.__cause__ = cause
    return error
