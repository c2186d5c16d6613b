"""The gateway as it is served, on a free port, in the test's own process and event loop."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from headgate.config import Settings
from headgate.net.http_protocol import ClientLimits
from headgate.net.server import bind, make_server
from headgate.providers import registry
from headgate.providers.base import Deployment, OnClientGone, Secret
from headgate.records import Record
from headgate.sections import AccessSection, LimitsSection
from headgate.stores.memory import MemoryStore
from headgate.wiring import build

CREDENTIAL = "the-providers-own-key"
ACCESS_SECRET = "a secret of the tests' own"


class WatchedLog(MemoryStore):
    """A record log that a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = asyncio.Event()

    def append(self, record: Record) -> None:
        super().append(record)
        self._grown.set()

    async def all(self, at_least: int) -> list[Record]:
        """All records, oldest first, once there are that many."""
        while len(found := self.kept) < at_least:
            self._grown.clear()
            await self._grown.wait()
        return found[::-1]

    async def of(self, exchange_id: str) -> Record:
        """The record of an exchange, once there is one."""
        while (record := await self.find(exchange_id)) is None:
            self._grown.clear()
            await self._grown.wait()
        return record


@dataclass(frozen=True)
class Running:
    """A gateway that is being served."""

    port: int
    log: WatchedLog

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def running_gateway(
    upstream: str, *, on_client_gone: OnClientGone = OnClientGone.CUT, limits: LimitsSection | None = None
) -> AsyncIterator[Running]:
    """A gateway in which every known provider lives at one upstream's address."""
    deployments = tuple(
        Deployment(provider.name, provider, provider.root(upstream), Secret(CREDENTIAL), on_client_gone)
        for provider in registry.all_providers()
    )
    async with serving(deployments, limits=limits) as running:
        yield running


@asynccontextmanager
async def serving(
    deployments: tuple[Deployment, ...],
    *,
    limits: LimitsSection | None = None,
    keys: Mapping[str, str] | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
    log: WatchedLog | None = None,
) -> AsyncIterator[Running]:
    """A gateway with these deployments, and `more` settings."""
    limits = limits or LimitsSection()
    taken = bind("127.0.0.1", 0)
    settings = Settings(
        "127.0.0.1",
        taken.getsockname()[1],
        Path("unused.db"),
        deployments,
        keys=keys or {},
        limits=limits,
        access=AccessSection(secret=ACCESS_SECRET),
        **more,
    )
    log, started = log or WatchedLog(), asyncio.Event()
    patience = ClientLimits(limits.client_head_seconds, limits.client_body_seconds, limits.client_idle_seconds)
    application = build(settings, log).application
    server = make_server(application, limits.stop_seconds, started.set, client_limits=patience)
    serving = asyncio.create_task(server.serve(sockets=[taken]))
    try:
        await started.wait()
        yield Running(settings.port, log)
    finally:
        server.should_exit = True
        await serving
