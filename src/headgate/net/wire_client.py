"""The way back to one client in HTTP/1.1, written straight to its connection.

It stands where uvicorn's protocol has its cycle of a request and its answer, and has those of its names that the
protocol asks for. A head waits for the first bytes of its body, so that a document is one write, but for no longer than
one turn of the event loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from headgate.gateway.request import ClientGone

Headers = Sequence[tuple[bytes, bytes]]

_STATUS_LINES = {status: line.rstrip(b"\r\n") for status, line in STATUS_LINE.items()}
_PLAIN = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
"""What may stand in a line of a head (RFC 9110 section 5.5)."""
_WITHOUT_BODY = frozenset({204, 304})
"""Statuses whose answers are over with their heads (RFC 9112 section 6.3)."""
_LARGE = 64 * 1024
"""Bytes from which on a write of its own is cheaper than a copy."""


class Line(Protocol):
    """A client's connection, as the answer whose turn it is knows it."""

    transport: asyncio.Transport
    flow: FlowControl
    loop: asyncio.AbstractEventLoop

    @property
    def leaving(self) -> bool:
        """The next request is to come on another connection."""

    def linger(self) -> None:
        """Close once the client has read what it was told."""

    def on_response_complete(self) -> None:
        """The answer is over: the next request has its turn."""


class WireClient:
    """The way back to one client.

    Attributes:
        gone: True once the client has left before the answer's end.
        more_body: True while the request's body is still on its way.
        keep_alive: False where the connection ends with this answer.
        response_started: True once the head has been sent, or is about to be.
        response_complete: True once the answer has been sent.
    """

    __slots__ = (
        "_callback", "_chunked", "_flow", "_head", "_head_only", "_left", "_line", "_lost", "_old", "_over", "_silent",
        "_trails", "_transport", "_turn", "gone", "keep_alive", "more_body", "response_complete", "response_started",
    )  # fmt: skip

    def __init__(self, line: Line, *, keep_alive: bool, head_only: bool = False, old: bool = False) -> None:
        """`head_only`: the method is HEAD. `old`: the client speaks HTTP/1.0, which has no chunks and no trailers."""
        self._line = line
        self._transport = line.transport
        self._flow = line.flow
        self._old = old
        self._head_only = head_only
        self._silent = False
        """What is written as its body goes nowhere."""
        self._chunked = False
        self._trails = False
        self._left: int | None = None
        """Bytes that are still to come of those that the head has promised."""
        self._head = b""
        """One that waits for the first bytes of its body."""
        self._turn: asyncio.Handle | None = None
        self._callback: Callable[[], None] | None = None
        self._over = False
        """The answer has its end, or will have none."""
        self._lost = False
        """There is no connection any more."""
        self.gone = False
        self.keep_alive = keep_alive
        self.more_body = True
        self.response_started = False
        self.response_complete = False

    @property
    def started(self) -> bool:
        """True once the head has been sent."""
        return self.response_started

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Call back when the client leaves; at once if it has."""
        self._callback = callback
        if self.gone:
            callback()

    def leave(self) -> None:
        """The connection has ended. Nobody is told if the answer was already whole."""
        self._lost = True
        if self._over or self.gone:
            return
        self.gone = True
        if self._callback is not None:
            self._callback()

    async def start(self, status: int, headers: Headers, *, trailers: bool = False) -> None:
        """Send the head. Raises ClientGone, and ValueError for a head that would not be read as it is meant."""
        if self.gone:
            raise ClientGone
        left: int | None = None
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
        for pair in headers:
            if pair[0] == b"content-length":
                left = int(pair[1])
            lines.append(b": ".join(pair))
        silent = self._head_only or status in _WITHOUT_BODY
        chunked = left is None and not silent and not self._old
        if chunked:
            lines.append(b"transfer-encoding: chunked")
        self.keep_alive = self.keep_alive and not self.more_body and not self._line.leaving
        if not self.keep_alive:
            lines.append(b"connection: close")
        lines.append(b"\r\n")
        head = b"\r\n".join(lines)
        if head.translate(None, _PLAIN) != b"\r\n" * len(lines):
            raise ValueError("a header has bytes in it that end it or are none of a header's")
        self._left, self._silent, self._chunked, self._trails = left, silent, chunked, trailers and chunked
        self._head, self.response_started = head, True
        self._turn = self._line.loop.call_soon(self._send_head)

    def put(self, chunk: bytes) -> bool:
        """Send body bytes at once, if the client keeps up and has the head. Raises ClientGone."""
        if self.gone:
            raise ClientGone
        if self._flow.write_paused or not self.response_started:
            return False
        self._send(chunk)
        return True

    async def write(self, chunk: bytes) -> None:
        """Send body bytes, after those that the client has yet to take. Raises ClientGone."""
        await self._writable()
        if self.gone:
            raise ClientGone
        self._send(chunk)

    async def end(self, trailers: Headers = ()) -> None:
        """End the answer. Raises ClientGone, and ValueError if the head promised more bytes."""
        if self.gone:
            raise ClientGone
        if self._left and not self._silent:
            raise ValueError("an answer shorter than its head says")
        self._over = True
        await self._writable()
        if self._trails and trailers:
            self._write(b"0\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % pair for pair in trailers))
        elif self._chunked:
            self._write(b"0\r\n\r\n")
        else:
            self._send_head()
        self.response_complete = True
        self._callback = None  # a connection that waits for its next request keeps nothing of the last
        if self.more_body:  # to close on what the client is still sending would be a reset
            self._line.on_response_complete()
            self._line.linger()
            return
        if not self.keep_alive:
            self._transport.close()
        self._line.on_response_complete()

    def abort(self) -> None:
        """Break the connection, so that what the client has cannot pass for a whole answer."""
        self._over = True
        self._send_head()
        self._transport.close()

    async def _writable(self) -> None:
        while self._flow.write_paused and not self.gone:
            await self._flow.drain()

    def _send(self, chunk: bytes) -> None:
        if self._silent or not chunk:
            return
        if self._chunked:
            self._write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            return
        if self._left is not None:
            if len(chunk) > self._left:
                raise ValueError("an answer longer than its head says")
            self._left -= len(chunk)
        self._write(chunk)

    def _write(self, data: bytes) -> None:
        if self._head:
            if len(data) < _LARGE:
                data, self._head = self._head + data, b""
            self._send_head()
        if not self._lost:
            self._transport.write(data)

    def _send_head(self) -> None:
        """By itself, unless it has gone out with the first bytes of its body."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        head, self._head = self._head, b""
        if head and not self._lost:
            self._transport.write(head)
