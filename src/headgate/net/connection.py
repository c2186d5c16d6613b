"""One connection to a provider, carrying one request at a time. Works on any asyncio transport, TLS or not."""

import asyncio
import select
from typing import Protocol, cast

from headgate.errors import UpstreamCut
from headgate.net.client_response import Response
from headgate.providers.base import Origin

HIGH_WATER = 64 * 1024
"""Bytes of a body that may wait for their reader; above it, reading from the socket pauses until they are taken."""

_JOINED_BODY = 64 * 1024
"""A body up to this size is copied behind the head, for one write."""

_SLICE = 256 * 1024
"""How much of a larger body is written in one turn of the event loop."""


class Listener(Protocol):
    """Who is told what happens to the request under way."""

    def received(self) -> None:
        """The response has moved on."""

    def failed(self, error: UpstreamCut) -> None:
        """The response cannot be read on."""

    def lost(self, cause: Exception | None) -> None:
        """The connection is gone: closed by the other side in good order, or broken by `cause`."""


class Connection(asyncio.Protocol):
    """Made by `connection_dial.dial`."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._transport: asyncio.Transport
        self._response: Response | None = None
        self._listener: Listener | None = None
        self._unsent: memoryview | None = None
        self._reading_paused = False
        self._writing_paused = False

    def begin(self, head: bytes, body: bytes, response: Response, listener: Listener) -> None:
        """Send a request; from now on `response` is fed, and `listener` told so."""
        self._response, self._listener = response, listener
        if len(body) <= _JOINED_BODY:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._unsent = memoryview(body)
            self._send_on()

    def drained(self) -> None:
        """The response's chunks have been taken."""
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    def finish(self) -> bool:
        """Leave the response, which was read to its end. True if the connection can carry another request."""
        response, self._response, self._listener = self._response, None, None
        told = response is not None and response.complete and response.keep_alive > 0
        sent = self._unsent is None and self._transport.get_write_buffer_size() == 0
        return told and sent and not self._reading_paused

    def close(self) -> None:
        """Close the socket now, whatever is under way; nobody is told."""
        self._response = self._listener = self._unsent = None
        self._transport.abort()

    @property
    def alive(self) -> bool:
        """False once it is known to be closed."""
        return not self._transport.is_closing()

    @property
    def readable(self) -> bool:
        """True if bytes, or the end, have come that the event loop has not looked at yet. Costs a system call."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For asyncio."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """For asyncio."""
        response, listener = self._response, self._listener
        if response is None or listener is None or response.complete:
            # Bytes that no request asked for. Whatever they are, no later answer may begin with them.
            self.close()
            return
        try:
            response.feed(data)
        except UpstreamCut as error:
            listener.failed(error)
            return
        listener.received()
        if response.buffered > HIGH_WATER and self._response is response:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """For asyncio. Half closed is closed: the rest of a request would get no answer."""
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """For asyncio."""
        self._lost(exc)

    def pause_writing(self) -> None:
        """For asyncio."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """For asyncio."""
        self._writing_paused = False
        self._send_on()

    def _lost(self, cause: Exception | None) -> None:
        listener = self._listener
        self.close()
        if listener is not None:
            listener.lost(cause)

    def _send_on(self) -> None:
        """Write one slice of a large body; the next one in another turn of the loop, so that other work gets its own.

        An answer that is already here goes first: a provider that refuses a large body answers and closes, and writing
        on would then fail and take the unread answer with it.
        """
        response = self._response
        if self._unsent is None or self._writing_paused or response is None or response.complete:
            return
        if self._reading_paused or not self.readable:
            self._transport.write(self._unsent[:_SLICE])
            self._unsent = self._unsent[_SLICE:] or None
        if self._unsent is not None and not self._writing_paused:
            asyncio.get_running_loop().call_soon(self._send_on)
