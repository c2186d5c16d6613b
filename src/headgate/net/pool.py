"""Connections that are being dialled or idle; one in use belongs to its call."""

import asyncio
import ssl
from typing import NamedTuple

from headgate.net.connection import Connection
from headgate.net.connection_dial import dial
from headgate.providers.base import Origin

_FRESH_SECONDS = 1.0
"""A connection idle for longer is looked at once more before it is used: servers close idle ones after 2, 5 or 60 s,
and a POST that was sent into a closing connection must not be sent twice (RFC 9110 section 9.2.2)."""


class _Idle(NamedTuple):
    connection: Connection
    since: float
    until: float


class Pool:
    """Idle connections are handed out most recently used first, so that those that only a burst needed get old and go.

    A connection that its server closes while it is idle has closed itself; here it is passed over, and dropped in time.
    """

    def __init__(self, max_idle_per_origin: int, idle_seconds: float, tls: ssl.SSLContext) -> None:
        self._max_idle = max_idle_per_origin
        self._idle_seconds = idle_seconds
        self._tls = tls
        self._idle: dict[Origin, list[_Idle]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._dialling: set[asyncio.Task[Connection]] = set()

    def take(self, origin: Origin) -> Connection | None:
        """A connection ready for a request, or None."""
        stack = self._idle.get(origin)
        now = asyncio.get_running_loop().time()
        while stack:
            connection, since, until = stack.pop()
            if now < until and connection.alive and (now - since < _FRESH_SECONDS or not connection.readable):
                return connection
            connection.close()
        return None

    def has_idle(self, origin: Origin) -> bool:
        """Whether `take` is likely to find one."""
        return bool(self._idle.get(origin))

    def dial(self, origin: Origin, limit: float) -> asyncio.Task[Connection]:
        """A new connection, made within `limit` seconds. The task raises UpstreamUnreachable."""
        task = asyncio.get_running_loop().create_task(dial(origin, limit, self._tls))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)
        return task

    def give(self, connection: Connection, keep_alive: float) -> None:
        """Keep a connection that can carry another request, and that its server holds open for `keep_alive` seconds.

        A second is taken off for the time that the next request needs to get there.
        """
        seconds = min(self._idle_seconds, keep_alive - 1)
        if seconds <= 0 or self._max_idle <= 0:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        stack = self._idle.setdefault(connection.origin, [])
        stack.append(_Idle(connection, now, now + seconds))
        if len(stack) > self._max_idle:
            stack.pop(0).connection.close()
        if self._sweeper is None:
            self._sweeper = loop.call_at(now + seconds, self._sweep)

    def retire(self) -> None:
        """Keep nothing any more: what is idle is closed, and what is in use is closed when it is given back."""
        self._max_idle = 0
        self._close_idle()

    async def aclose(self) -> None:
        """Close what is idle and stop all dialling. What is in use belongs to its call."""
        self._close_idle()
        for task in self._dialling:
            task.cancel()
        if self._dialling:
            await asyncio.wait(self._dialling)
        await asyncio.sleep(0)  # transports close their sockets in the next turn of the loop

    def _close_idle(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for stack in self._idle.values():
            for idle in stack:
                idle.connection.close()
        self._idle.clear()

    def _sweep(self) -> None:
        """Close what is too old. One timer for all: a connection may be swept late, but is never handed out late."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        kept: dict[Origin, list[_Idle]] = {}
        for origin, stack in self._idle.items():
            for idle in stack:
                if now < idle.until and idle.connection.alive:
                    kept.setdefault(origin, []).append(idle)
                else:
                    idle.connection.close()
        self._idle = kept
        ends = [idle.until for stack in kept.values() for idle in stack]
        self._sweeper = loop.call_at(min(ends), self._sweep) if ends else None
