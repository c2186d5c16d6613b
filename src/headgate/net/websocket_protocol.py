"""uvicorn's WebSocket protocol, made fit for clients that are slow, that break it, or that leave.

uvicorn and `websockets` own the handshake, the frames, compression and flow control. Ours is what happens at the edges:
each override says what it changes.
"""

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request
from websockets.protocol import State

from headgate.net.http_protocol import client_limits
from headgate.net.stall import Stall
from headgate.net.websocket_server import BREAK_EXTENSION

_LAST = {"websocket.close", "websocket.http.response.body"}


class SocketProtocol(WebSocketsSansIOProtocol):
    """One client's connection, from its upgrade on."""

    _owed: bytes = b""
    """The pong to the latest ping that came while the client took nothing (RFC 6455 section 5.5.3)."""
    _whole: bytearray | None = None
    """A fragmented message, from its second fragment on."""

    def connection_made(self, transport: Any) -> None:
        """The HTTP protocol hands over the connection."""
        super().connection_made(transport)
        self._stall = Stall(client_limits(self.config).idle)

    def shutdown(self) -> None:
        """The server stops: nothing, where uvicorn closes at once. The application closes its sockets in its time."""

    def handle_connect(self, event: Request) -> None:
        """The scope learns the extension; the application starts in the next turn of the loop."""
        super().handle_connect(event)
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[BREAK_EXTENSION] = self.transport.abort

    def data_received(self, data: bytes) -> None:
        """Hear the frames that came whole before one that is broken; uvicorn drops them.

        A client that speaks before it was accepted (RFC 6455 section 4.1) is cut off: uvicorn would fail.
        """
        if self.handshake_initiated and not self.handshake_complete:
            self.transport.abort()
            return
        failed = self.conn.parser_exc is not None
        self.conn.receive_data(data)
        self.handle_events()
        if self.conn.parser_exc is not None and not failed:
            self.handle_parser_exception()

    def handle_cont(self, event: Frame) -> None:
        """A fragment is added to one buffer: a list of empty ones grows without a bound."""
        if self._whole is None:
            self._whole = bytearray(self.frames[0])
        self._whole += event.data
        if event.fin:
            self.frames, self._whole = [bytes(self._whole)], None
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """Text that is no UTF-8 ends the socket, without uvicorn's stack trace in the log."""
        data, self.frames = self.frames[0], []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        else:
            try:
                self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
            except UnicodeDecodeError as error:
                if self.conn.state is State.OPEN:
                    self.conn.fail(CloseCode.INVALID_DATA, error.reason)
                self.handle_parser_exception()
                return
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def handle_ping(self) -> None:
        """Answer, unless the client takes nothing: then it is owed one pong, not a buffer full of them."""
        output = self.conn.data_to_send()
        if self.writable.is_set() or self.conn.state is not State.OPEN:
            self.transport.write(b"".join(output))
        elif output:
            self._owed = output[-1]

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        super().pause_writing()
        self._stall.begin(self.transport)

    def resume_writing(self) -> None:
        """The client takes again: it gets its pong."""
        self._stall.end()
        super().resume_writing()
        owed, self._owed = self._owed, b""
        if owed and self.conn.state is State.OPEN:
            self.transport.write(owed)

    def handle_parser_exception(self) -> None:
        """Tell the client what it did, and read on for a while: closing on unread bytes is a reset (RFC 2525 2.17).

        The half close is for clients that wait for the server to close first. The application hears 1006: the code that
        we close with is not the client's.
        """
        reason = self.conn.close_sent.reason if self.conn.close_sent is not None else ""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.ABNORMAL_CLOSURE, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._limit_patience()

    def handle_close(self, event: Frame) -> None:
        """Close; a client that does not take what it was sent keeps nothing open."""
        super().handle_close(event)
        self._limit_patience()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that breaks without a close frame is 1006, where uvicorn says 1005."""
        self._stall.end()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.ABNORMAL_CLOSURE, "reason": ""})
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """ASGI's `send`. A socket that is over is a client that has left, where uvicorn may call it a mistake."""
        await self.writable.wait()
        if self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)
        if message["type"] in _LAST:
            self._limit_patience()

    def _limit_patience(self) -> None:
        """From the close frame on there is `close_timeout` for the rest, whether or not the client reads."""
        if self.close_timer is not None:
            self.close_timer.cancel()
        if not self.disconnected:
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
