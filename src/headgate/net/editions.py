"""Editions: what serves requests, which is replaced as a whole when the settings are read anew.

Whoever asks is served by the edition of that moment, to the end. An edition whose place was taken is closed when the
last exchange that began under it is over: its clients, credentials and TLS settings are there until then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from headgate.errors import Busy
from headgate.gateway.exchange import Gateway
from headgate.gateway.local import LocalAnswers
from headgate.gateway.sessions import Sessions

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Edition:
    """All that serves requests, as one reading of the settings has it."""

    gateway: Gateway
    sessions: Sessions
    local: LocalAnswers
    max_body_bytes: int
    mounts: Mapping[str, Asgi] = field(default_factory=dict)
    """Applications for what is no exchange, by their paths, such as "/admin/v1". What they need outlives an edition."""
    start: Callable[[], None] = lambda: None
    retire: Callable[[], None] = lambda: None
    """Another takes its place: what it does on its own account ends, its exchanges go on."""
    close_upstream: Callable[[], Awaitable[None]] = _nothing
    close: Callable[[], Awaitable[None]] = _nothing
    """None of its exchanges is under way any more."""
    body_seconds: float = 300.0
    """How long a request's body may take to come."""


class _Served:
    """An edition with its exchanges under way."""

    def __init__(self, edition: Edition) -> None:
        self.edition = edition
        self.mounts = {first_segment(path): (path, mounted) for path, mounted in edition.mounts.items()}
        if len(self.mounts) != len(edition.mounts):
            raise ValueError("two applications cannot be mounted below one first segment")
        self.running: set[asyncio.Future[None]] = set()


class Editions:
    """The edition that serves, and those before it that still have exchanges under way."""

    def __init__(self, edition: Edition, settle_seconds: float) -> None:
        """`settle_seconds`: how long a stop waits for a database that cannot be written.

        Raises ValueError if two mounts begin with the same segment.
        """
        self._served = _Served(edition)
        self._before: set[_Served] = set()
        self._settle_seconds = settle_seconds
        self._aside: set[asyncio.Future[None]] = set()
        self._stopping = False

    def __len__(self) -> int:
        return 1 + len(self._before)

    @property
    def now(self) -> Edition:
        """What serves requests now."""
        return self._served.edition

    def mount(self, path: str) -> tuple[str, Asgi] | None:
        """What is mounted at the first segment of a path, with where it is: one look-up, however many there are."""
        found = self._served.mounts.get(first_segment(path))
        return found if found is not None and (path == found[0] or path.startswith(found[0] + "/")) else None

    def replace(self, edition: Edition) -> None:
        """Let another edition serve from now on. What is under way ends under the one that it began under.

        Raises Busy when the gateway is stopping.
        """
        if self._stopping:
            raise Busy("The gateway is stopping.")
        before, self._served = self._served, _Served(edition)
        edition.start()
        before.edition.retire()
        if before.running:
            self._before.add(before)
        else:
            self._do_aside(_closed(before.edition))

    def run(self, exchange: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run an exchange of the edition that serves now, in a task of its own; it keeps the edition from closing."""
        served, task = self._served, asyncio.create_task(exchange)
        served.running.add(task)

        def over(task: asyncio.Task[None]) -> None:
            served.running.discard(task)
            if served in self._before and not served.running and not self._stopping:
                self._before.discard(served)
                self._do_aside(_closed(served.edition))

        task.add_done_callback(over)
        return task

    def cut(self) -> None:
        """Break off what still runs; each client is told that the gateway is stopping."""
        for served in self._all():
            served.edition.sessions.cut()
            self._do_aside(served.edition.close_upstream())

    async def finish(self) -> None:
        """Cut what still runs, wait until every exchange is settled and recorded, and close all editions."""
        self._stopping = True
        for served in self._all():
            served.edition.sessions.cut()
            await served.edition.close_upstream()
        while running := {task for served in self._all() for task in served.running}:
            # One whose client takes nothing is cancelled out of its write, and then settles.
            _, waiting = await asyncio.wait(running, timeout=self._settle_seconds)
            for exchange in waiting:
                exchange.cancel()
        if self._aside:
            await asyncio.wait(self._aside)
        for served in self._all():
            await served.edition.close()

    def _all(self) -> list[_Served]:
        return [self._served, *self._before]

    def _do_aside(self, closing: Awaitable[None]) -> None:
        """Nobody waits for it but a stop."""
        task = asyncio.ensure_future(closing)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)


async def _closed(edition: Edition) -> None:
    await edition.close_upstream()
    await edition.close()


def first_segment(path: str) -> str:
    """Of "/admin/v1/accounts" it is "admin"."""
    return path[1:].partition("/")[0]
