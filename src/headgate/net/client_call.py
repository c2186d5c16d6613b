"""One request on its way: what it waits for and for how long, and all the ways in which it can end."""

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf

from headgate.errors import UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from headgate.gateway.upstream import CallAborted, Clearance, Head, Sink, UpstreamRequest
from headgate.net.client_request import request_head
from headgate.net.client_response import Response
from headgate.net.connection import Connection
from headgate.net.pool import Pool

_MAY_BE_SENT_TWICE = frozenset({b"GET", b"HEAD", b"OPTIONS"})


class HttpCall:
    """One request on its way: a `gateway.upstream.Call`, and the Listener of the connection that carries it.

    It is dialling, then it has a connection, then it has neither: because the body was read to its end, because of
    `_failure`, or because it was aborted.
    """

    __slots__ = (
        "_aborted",
        "_clearance",
        "_connection",
        "_deadline",
        "_dialling",
        "_failure",
        "_head",
        "_idle",
        "_loop",
        "_on_over",
        "_pool",
        "_request",
        "_response",
        "_reused",
        "_sink",
        "_timer",
        "_timer_at",
        "_total_at",
        "_waiter",
        "sent",
    )

    def __init__(
        self,
        pool: Pool,
        request: UpstreamRequest,
        on_over: Callable[["HttpCall"], None],
        clearance: Clearance | None = None,
    ) -> None:
        """A call with a clearance takes a new connection.

        Raises BadRequest if the request cannot be sent as one unmistakable HTTP request.
        """
        self.sent = False
        """True once any byte of the request has been handed to a connection."""
        self._pool = pool
        self._request = request
        self._head = request_head(request)
        self._on_over = on_over
        self._clearance = clearance
        self._loop = asyncio.get_running_loop()
        self._response = Response(bodyless=request.method == b"HEAD")
        self._dialling: asyncio.Task[Connection] | None = None
        self._connection: Connection | None = None
        self._reused = False
        self._failure: BaseException | None = None
        self._aborted = False
        self._idle = request.limits.idle
        self._sink: Sink | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._total_at = self._loop.time() + request.limits.total

    def begin(self) -> None:
        """Send the request on an idle connection, or dial."""
        connection = self._pool.take(self._request.origin) if self._clearance is None else None
        if connection is None:
            self._dial()
        else:
            self._reused = True
            self._send(connection)

    async def head(self) -> Head:
        """The final answer's head; see `gateway.upstream.Call`."""
        while self._response.head is None or self._aborted:
            self._raise_what_happened()
            await self._woken()
        return self._response.head

    async def read(self, sink: Sink | None = None) -> bytes:
        """The next bytes of the body; see `gateway.upstream.Call`."""
        response = self._response
        while self._aborted or not response.chunks:
            if response.complete and not self._aborted:
                self._end()
                return b""
            self._raise_what_happened()
            # The clock starts with the wait: a client that drains slowly is not an upstream that is silent.
            self._limit(self._idle)
            self._sink = sink
            try:
                await self._woken()
            finally:
                self._sink = None
        chunk = response.take()
        if not response.buffered and self._connection is not None:
            self._connection.drained()
        return chunk

    def abort(self) -> None:
        """Give up; see `gateway.upstream.Call`."""
        if self._dialling or self._connection or self._failure:
            self._aborted = True
            self._drop()
            self._wake()

    def received(self) -> None:
        """For the connection: there is more to look at. Who waits for it is woken, unless a sink takes it."""
        sink, response = self._sink, self._response
        if sink is not None and response.chunks:
            try:
                taken = sink(response.chunks[0])
            except Exception as fault:  # noqa: BLE001  whose sink it is has to know; the connection has no part in it
                self._wake(fault)
                return
            if taken:
                response.chunks.clear()  # of this one: a sink is offered nothing before what came earlier
                response.buffered = 0
                if not response.complete and self._connection is not None:  # None: the sink has aborted the call
                    self._deadline = self._loop.time() + self._idle
                    return
        self._wake()

    def failed(self, error: BaseException) -> None:
        """For the connection: this is how the call ends, after the chunks that have come."""
        self._failure = error
        self._drop()
        self._wake()

    def lost(self, cause: Exception | None) -> None:
        """For the connection: it is gone."""
        response = self._response
        if self._reused and not response.started and self._request.method in _MAY_BE_SENT_TWICE:
            # Closed as it was idle, most likely. A POST is not sent again: it may have had its effect (RFC 9110 9.2.2).
            self._reused, self._connection = False, None
            self._dial()
            return
        if cause is None:
            response.end()
        if response.complete:
            self._wake()
            return
        error = UpstreamCut(
            "The provider's connection broke off in the middle of its answer."
            if response.started
            else "The provider closed the connection without an answer."
        )
        error.__cause__ = cause
        self.failed(error)

    def _dial(self) -> None:
        limits = self._request.limits
        dialling = self._pool.dial(self._request.origin, min(limits.connect, limits.total))
        if self._clearance is not None:
            cleared = self._loop.create_task(_cleared(dialling, self._clearance))
            cleared.add_done_callback(partial(_unless_cleared, dialling))
            dialling = cleared
        self._dialling = dialling
        self._dialling.add_done_callback(self._dialled)

    def _dialled(self, task: asyncio.Task[Connection]) -> None:
        self._dialling = None
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.failed(error)
        elif self._aborted or self._failure:  # in the moment between the dialling's end and this
            task.result().close()
        else:
            self._send(task.result())

    def _send(self, connection: Connection) -> None:
        if not connection.alive:  # closed as soon as it stood, or while its clearance was awaited: nothing was sent
            self.failed(UpstreamUnreachable("The provider closed the connection before anything was sent."))
            return
        self._connection = connection
        self.sent = True
        self._limit(self._request.limits.first_byte)
        connection.begin(self._head, self._request.body, self._response, self)

    def _end(self) -> None:
        """The body was read to its end; does nothing the second time."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.finish():
            self._pool.give(connection, self._response.keep_alive)
        else:
            connection.close()
        self._drop()

    def _drop(self) -> None:
        """Let go of everything that outlives the call."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._on_over(self)

    def _raise_what_happened(self) -> None:
        if self._aborted:
            raise CallAborted
        if self._failure is not None:
            raise self._failure

    def _woken(self) -> asyncio.Future[None]:
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self, fault: Exception | None = None) -> None:
        self._sink = None
        if self._waiter is None or self._waiter.done():
            return
        if fault is None:
            self._waiter.set_result(None)
        else:
            self._waiter.set_exception(fault)

    def _limit(self, seconds: float) -> None:
        """Whoever waits, waits no longer than this from now on, nor than the call may take in all.

        The one timer is re-armed only where it would be late; for every chunk after that, this is an assignment.
        """
        self._deadline = self._loop.time() + seconds
        if self._timer is not None and self._timer_at > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._arm()

    def _arm(self) -> None:
        self._timer_at = min(self._deadline, self._total_at)
        self._timer = self._loop.call_at(self._timer_at, self._on_timer)

    def _on_timer(self) -> None:
        now = self._loop.time()
        if now < min(self._deadline, self._total_at):
            self._arm()
            return
        self._timer = None
        if self._response.head is None:
            self.failed(UpstreamTimeout("The provider did not begin to answer in time."))
        elif now >= self._total_at:  # unless all of it has come, and is only yet to be read
            if not self._response.complete:
                self.failed(UpstreamTimeout("The provider did not finish its answer in time."))
        elif self._waiter is not None and not self._waiter.done():
            self.failed(UpstreamTimeout("The provider fell silent in the middle of its answer."))
        elif self._total_at < inf:  # nobody waits: a client is slow to take what there is
            self._deadline = self._total_at
            self._arm()


async def _cleared(dialling: asyncio.Task[Connection], clearance: Clearance) -> Connection:
    """A connection that may be used."""
    connection = await dialling
    await clearance()
    return connection


def _unless_cleared(dialling: asyncio.Task[Connection], cleared: asyncio.Task[Connection]) -> None:
    """Close a connection that is not used, whenever it stands: `_cleared` may be cancelled before it has it."""
    if cleared.cancelled() or cleared.exception() is not None:
        dialling.cancel()
        dialling.add_done_callback(_discard)


def _discard(dialled: asyncio.Task[Connection]) -> None:
    if not dialled.cancelled() and dialled.exception() is None:
        dialled.result().close()
