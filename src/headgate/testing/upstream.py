r"""A scripted upstream: an HTTP/1.1 server on loopback that says exactly what a test tells it to, byte by byte.

A handler looks at each request and gives a script, an iterable of steps. It may be a generator, so that a test can act
between two steps::

    def handler(request: Received) -> Script:
        yield head(content_type="text/event-stream")
        yield chunk(b"data: 1\n\n")
        first_frame_sent.set()
        yield WaitFor(client_has_left)
        yield Reset()

    async with ScriptedUpstream(handler) as upstream:
        ...  # call upstream.url
        await upstream.until(lambda: upstream.open_connections == 0)

It keeps every request and the life of every connection, so that a test can prove that none has leaked.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from types import TracebackType
from typing import Self, cast

import httptools

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes to the socket as they stand, in one write; waits while the peer reads slowly."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Say nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Say nothing until the event is set."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing more until the peer closes the connection."""


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Send a FIN and keep reading."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection once everything has been sent."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection with a RST. Bytes that the peer's kernel has not taken yet are lost."""


Step = Send | Pause | WaitFor | Hang | HalfClose | Close | Reset
Script = Iterable[Step]


class Coding(Enum):
    """How a body's length is told (RFC 9112 section 6)."""

    CHUNKED = "chunked"
    LENGTH = "length"
    CLOSE = "close"


def head(
    status: int = 200,
    *,
    content_type: str = "application/json",
    headers: Headers = (),
    coding: Coding = Coding.CHUNKED,
    length: int = 0,
) -> Send:
    """The status line and headers of an answer. `length` is the body's, in bytes, for Coding.LENGTH only."""
    framing = {
        Coding.CHUNKED: (b"transfer-encoding", b"chunked"),
        Coding.LENGTH: (b"content-length", b"%d" % length),
        Coding.CLOSE: (b"connection", b"close"),
    }
    lines = [(b"content-type", content_type.encode()), *headers, framing[coding]]
    known = {each.value: each.phrase for each in HTTPStatus}  # 529 is Anthropic's own
    start = b"HTTP/1.1 %d %s\r\n" % (status, known.get(status, "Unknown").encode())
    return Send(start + b"".join(b"%s: %s\r\n" % line for line in lines) + b"\r\n")


def chunk(data: bytes) -> Send:
    """One chunk of the chunked coding, in one write. `data` must not be empty: that would end the body."""
    if not data:
        raise ValueError("an empty chunk ends the body; use LAST_CHUNK")
    return Send(b"%x\r\n%s\r\n" % (len(data), data))


LAST_CHUNK = Send(b"0\r\n\r\n")
"""The end of a chunked body."""


def response(
    pieces: Iterable[bytes],
    status: int = 200,
    *,
    content_type: str = "application/json",
    headers: Headers = (),
    coding: Coding = Coding.CHUNKED,
) -> list[Step]:
    """A whole answer: its head, then each piece in a write (and chunk) of its own, then the body's end."""
    pieces = list(pieces)
    top = head(status, content_type=content_type, headers=headers, coding=coding, length=sum(map(len, pieces)))
    match coding:
        case Coding.CHUNKED:
            return [top, *(chunk(piece) for piece in pieces), LAST_CHUNK]
        case Coding.LENGTH:
            return [top, *map(Send, pieces)]
        case Coding.CLOSE:
            return [top, *map(Send, pieces), Close()]


class Progress(Enum):
    """How far the script of a request has come."""

    PLAYING = "playing"
    PLAYED = "played"
    ABANDONED = "abandoned"
    """The connection went away before the script's end."""


@dataclass(slots=True)
class Received:
    """One request, read whole, and what has become of its script."""

    method: str
    target: bytes
    """As in the request line: path and query."""
    headers: Headers
    """As received, names in lower case."""
    body: bytes
    connection: int
    """The number of its connection, counted from 0."""
    progress: Progress = Progress.PLAYING

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition(b"?")[0].decode("latin-1")

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


Handler = Callable[[Received], Script]


class ScriptedUpstream:
    """The server. An async context manager; `url` is known inside it.

    Leaving it breaks what is still open. It raises the first error of a handler or script.
    """

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.handler = handler
        """Asked for each request's script; may be replaced between requests."""
        self.requests: list[Received] = []
        """Every request so far, in order of their completion."""
        self.connections: list[Connection] = []
        """Every connection ever accepted, in order."""
        self._address = (host, port)
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        host, port = self._address
        self._server = await asyncio.get_running_loop().create_server(lambda: Connection(self), host, port)
        self._address = (host, self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            for connection in self.connections:
                connection.abort()
            await asyncio.gather(*(each.player for each in self.connections), return_exceptions=True)
            await self._server.wait_closed()
        if error is None:
            self._raise_failure()

    @property
    def port(self) -> int:
        """The port listened on."""
        return self._address[1]

    @property
    def url(self) -> str:
        """The server's address without a path, e.g. http://127.0.0.1:40001."""
        return f"http://{self._address[0]}:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections are open, idle ones included."""
        return sum(connection.open for connection in self.connections)

    @property
    def playing(self) -> int:
        """How many requests are being answered."""
        return sum(request.progress is Progress.PLAYING for request in self.requests)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on this server; it is asked again after everything that happens here.

        Raises the first error of a handler or script.
        """
        while not condition():
            self._raise_failure()
            await self._changed.wait()

    def _raise_failure(self) -> None:
        for connection in self.connections:
            if connection.player.done() and not connection.player.cancelled():
                connection.player.result()

    def changed(self) -> None:
        """Wake those who wait in `until`."""
        self._changed.set()
        self._changed = asyncio.Event()


class Connection(asyncio.Protocol):
    """One accepted connection: reads requests, plays their scripts one after the other."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self.number = len(upstream.connections)
        self.open = False
        self.closed_by_peer = False
        """True once the peer ended the connection, by a FIN or a RST, before this side did."""
        self.reset_by_peer = False
        """True if it did so by a RST."""
        self._upstream = upstream
        self._ended_here = False
        self._inbox: asyncio.Queue[Received] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to play, in a task of the connection's own."""
        self._transport = cast("asyncio.Transport", transport)
        self.open = True
        self._writable.set()
        self.player = asyncio.get_running_loop().create_task(self._play_all())
        self._upstream.connections.append(self)
        self._upstream.changed()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; what is not HTTP/1.1 ends the connection."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()

    def eof_received(self) -> bool:
        """The peer's FIN closes the connection, as it does at most servers."""
        self.closed_by_peer = not self._ended_here
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop playing."""
        if exc is not None and not self._ended_here:
            self.closed_by_peer = self.reset_by_peer = True
        self.open = False
        self._writable.set()
        self.player.cancel()
        self._upstream.changed()

    def pause_writing(self) -> None:
        """The peer reads slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._writable.set()

    # What httptools calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target, self._headers, self._body = b"", [], b""

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        """A part of the body, its transfer coding undone."""
        self._body += body

    def on_message_complete(self) -> None:
        """The request is whole."""
        method = self._parser.get_method().decode()
        request = Received(method, self._target, self._headers, self._body, self.number)
        self._upstream.requests.append(request)
        self._inbox.put_nowait(request)
        self._upstream.changed()

    # What scripts do.

    async def _play_all(self) -> None:
        while True:
            request = await self._inbox.get()
            try:
                for step in self._upstream.handler(request):
                    await self._perform(step)
                request.progress = Progress.PLAYED
            finally:
                if request.progress is Progress.PLAYING:
                    request.progress = Progress.ABANDONED
                    self.abort()
                self._upstream.changed()

    async def _perform(self, step: Step) -> None:
        match step:
            case Send(data):
                self._transport.write(data)
                await self._writable.wait()
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case WaitFor(event):
                await event.wait()
            case Hang():
                await asyncio.get_running_loop().create_future()
            case HalfClose():
                self._ended_here = True
                self._transport.write_eof()
            case Close():
                self.close()
            case Reset():
                self.reset()

    def close(self) -> None:
        """End the connection once what was written has been sent."""
        self._ended_here = True
        self._transport.close()

    def reset(self) -> None:
        """Break the connection with a RST."""
        if not self.open:
            return
        # A duplicate shares the connection's options, and can be set under any event loop's kind of transport.
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def abort(self) -> None:
        """Break the connection now; does nothing to one that is closed."""
        if self.open:
            self._ended_here = True
            self._transport.abort()
