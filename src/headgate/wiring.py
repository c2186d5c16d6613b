"""The only place where parts are put together: what lasts here, what follows from the settings in `wiring_edition`."""

import os
import time
from dataclasses import dataclass
from functools import partial

from headgate import __version__
from headgate.access.keys import Keys
from headgate.admin.bookkeeping import Bookkeeping, Since
from headgate.admin.books import check_books
from headgate.admin.dashboard import Dashboard
from headgate.admin.fellows import Fellows
from headgate.admin.onlookers import Onlookers
from headgate.admin.snapshot import Snapshots
from headgate.config import Settings, access_secret, dashboard_files
from headgate.gateway.checkpoint import Checkpoints
from headgate.gateway.holder import Doorkeeper
from headgate.gateway.live import Live
from headgate.gateway.record import Trails
from headgate.gateway.settle import Settler
from headgate.gateway.sweep import Keeper, Lease
from headgate.net.asgi import Application, Lifecycle
from headgate.routing.health import Health as TargetHealth
from headgate.stores.postgres import PostgresStore
from headgate.telemetry.families import Standing
from headgate.telemetry.log import LogWriter
from headgate.telemetry.page import Company
from headgate.wiring_edition import Lasting, catalogue_of, edition_of
from headgate.wiring_reload import Reloading
from headgate.wiring_store import Store, make_store
from headgate.wiring_telemetry import telemetry_of


@dataclass(frozen=True, slots=True)
class Assembly:
    """A gateway put together: the ASGI application, what outlives its requests, and how to give it other settings."""

    application: Application
    store: Store
    live: Live
    reloading: Reloading


def build(
    settings: Settings, store: Store | None = None, log: LogWriter | None = None, company: Company | None = None
) -> Assembly:
    """Put a gateway together; with a store of the caller's own, or else the one of the settings.

    `company` is of the other processes on its port. Store and log are closed when the application shuts down.
    Raises ConfigError.
    """
    store = make_store(settings) if store is None else store
    secret = access_secret(settings)
    door = Doorkeeper(Keys(settings.keys), store, secret, time.time_ns, closed=settings.access.require_keys)
    node = f"{os.uname().nodename}:{os.getpid()}:{os.urandom(4).hex()}"
    live = Live()
    snapshots = Snapshots(live, node, time.time_ns)
    targets = TargetHealth()
    fellows = None if company is None else Fellows(company, snapshots)
    onlookers = Onlookers(snapshots.take if fellows is None else fellows.watch, time.time_ns)
    if fellows is not None:
        fellows.show(onlookers)
    standing = Standing(live, store, __version__, node, lambda: targets.cooling(time.monotonic_ns()))
    lasting = Lasting(
        store=store,
        node=node,
        started_at_ns=time.time_ns(),
        secret=secret,
        door=door,
        live=live,
        settler=Settler(store),
        trails=Trails(store),
        targets=targets,
        take=snapshots.take if fellows is None else fellows.take,
        onlookers=onlookers,
        books=Bookkeeping(partial(check_books, store), time.time_ns, time.monotonic_ns),
        since=Since(),
        telemetry=telemetry_of(settings, door, catalogue_of(settings), standing, log, company=company),
        dashboard=Dashboard(dashboard_files()),
    )
    parts = edition_of(settings, lasting)
    application = Application(parts.edition, _lifecycle(lasting, _keeper(settings, lasting), company))
    return Assembly(application, store, live, Reloading(application.editions, lasting, parts))


def _keeper(settings: Settings, lasting: Lasting) -> Keeper:
    lease = Lease(min(1.0, settings.holds.lease_seconds / 4), settings.holds.lease_seconds)
    checkpoints = Checkpoints(lasting.store, lasting.live)
    return Keeper(lasting.store, lasting.node, checkpoints, time.time_ns, lease=lease, observers=lasting.observers)


def _lifecycle(lasting: Lasting, keeper: Keeper, company: Company | None) -> Lifecycle:
    store, telemetry = lasting.store, lasting.telemetry

    async def start() -> None:
        if isinstance(store, PostgresStore):
            await store.open()
        for begin in telemetry.start:
            await begin()
        if company is not None:
            await company.open()
        keeper.start()
        lasting.books.start()

    async def close() -> None:
        if company is not None:
            await company.aclose()
        await lasting.books.aclose()
        await keeper.aclose()
        await store.aclose()
        for end in telemetry.close:
            await end()

    return Lifecycle(start, close, lasting.onlookers.close)
