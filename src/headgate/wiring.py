"""The only place where parts are put together."""

import os
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from headgate import __version__, tokenizer
from headgate.access.directory import Directory
from headgate.access.keys import Keys
from headgate.admin.api import admin_application
from headgate.admin.bookkeeping import Bookkeeping, Since
from headgate.admin.books import check_books
from headgate.admin.dashboard import Dashboard
from headgate.admin.deeds import Deeds
from headgate.admin.handlers import Sight
from headgate.admin.health import DatabaseKind, Health, Process, price_book_view
from headgate.admin.offer import Offer
from headgate.admin.office import Office
from headgate.admin.onlookers import Onlookers
from headgate.admin.prices import price_of_from, prices_from
from headgate.admin.records import Line, SeriesFound, SeriesWanted
from headgate.admin.snapshot import Snapshots
from headgate.audit.log import AuditLog
from headgate.audit.redaction import Redactor
from headgate.audit.rules import Rule
from headgate.config import Settings, access_secret, catalogue_data, dashboard_files, price_data
from headgate.gateway.appraise import Appraiser
from headgate.gateway.checkpoint import Checkpoints
from headgate.gateway.exchange import Clock, Gateway
from headgate.gateway.forward import Bounds, Forwarder
from headgate.gateway.hold import Holds
from headgate.gateway.holder import Doorkeeper
from headgate.gateway.live import Live, Observer
from headgate.gateway.local import LocalAnswers
from headgate.gateway.receipt import Trailers
from headgate.gateway.record import Trails
from headgate.gateway.relay import Patience
from headgate.gateway.retention import Pruner
from headgate.gateway.scribe import Keeping, Scribe
from headgate.gateway.sessions import Sessions
from headgate.gateway.settle import Books, Settler
from headgate.gateway.sweep import Keeper, Lease
from headgate.gateway.tariff import Tariff
from headgate.net.asgi import Application, Asgi, Lifecycle
from headgate.net.client import HttpUpstream
from headgate.net.connection_dial import tls_context
from headgate.net.tokens import Tokens
from headgate.net.websocket_client import WebSockets
from headgate.pricing.book import PriceBook
from headgate.records import Record, Wanted
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from headgate.stores.postgres import PostgresStore
from headgate.stores.searching import Found
from headgate.stores.series import Series, SeriesOf
from headgate.stores.spans import Step
from headgate.stores.sqlite import SqliteStore
from headgate.stores.summary import SUMS, GroupBy, UsageRow
from headgate.telemetry.families import Standing
from headgate.telemetry.log import LogWriter
from headgate.tokenizer import Tokenizer
from headgate.wiring_telemetry import Telemetry, telemetry_of

_MIB = 1024 * 1024
_LAST_DEEDS_SECONDS = 5.0
"""For how the last deeds ended to be kept, before the store closes."""


class Store(Books, Directory, AuditLog, Protocol):
    """One database: records, ledger, keys, budgets and the audit log."""

    async def page(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> Found:
        """At most `limit` records, newest first, below `before`; fewer where they are hard to find: where to go on."""

    async def arrived(self, after: int, limit: int, missing: Sequence[int] = ()) -> list[tuple[int, Record]]:
        """At most `limit` records written after a number, each with its number, and those of missed numbers."""

    async def last_arrivals(self, limit: int) -> list[int]:
        """The numbers of the records that were written last."""

    async def usage(self, since_ns: int | None, by: GroupBy, until_ns: int | None = None) -> list[UsageRow]:
        """The sums over the records that began in a span, one row for each group."""

    async def series(self, of: SeriesOf) -> Series:
        """The sums step by step, in all or by group."""

    async def older_than(self, before_ns: int) -> tuple[int, int | None]:
        """How many records began before then, and when the first of them did; nanoseconds since the epoch."""

    async def prune(self, before_ns: int, limit: int = ...) -> int:
        """Remove at most `limit` of the oldest records that began before then; returns how many. Sums stay."""


@dataclass(frozen=True, slots=True)
class StoreRecords:
    """A store's records as the admin API asks for them."""

    store: Store

    async def find(self, exchange_id: str) -> Record | None:
        """The record of an exchange."""
        return await self.store.find(exchange_id)

    async def page(
        self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None
    ) -> tuple[Sequence[Record], tuple[int, str] | None]:
        """At most `limit` records, newest first, below `before`; fewer where they are hard to find: where to go on."""
        return await self.store.page(wanted, limit, before)

    async def summed(self, by: str, since_ns: int | None, until_ns: int | None = None) -> Sequence[Mapping[str, Any]]:
        """One row for each group. Raises ValueError if it cannot sum by that."""
        group_by = GroupBy(by)
        return [row.as_json(group_by) for row in await self.store.usage(since_ns, group_by, until_ns)]

    async def series(self, wanted: SeriesWanted) -> SeriesFound:
        """The sums step by step. Raises ValueError if there are none by that."""
        by = None if wanted.by is None else GroupBy(wanted.by)
        sums = tuple(name for name in SUMS if wanted.sums is None or name in wanted.sums)
        of = SeriesOf(Step(wanted.step), wanted.since_ns, wanted.until_ns, by, wanted.top, wanted.name, sums)
        groups = (await self.store.series(of)).groups
        return SeriesFound(SUMS, [Line(group.name, group.others, _told(group.rows, sums)) for group in groups])


def _told(rows: Iterable[UsageRow | None], sums: Sequence[str]) -> Iterator[Mapping[str, Any] | None]:
    return (None if row is None else {name: getattr(row, name) for name in sums} for row in rows)


@dataclass(frozen=True, slots=True)
class Assembly:
    """A gateway put together: the ASGI application, and what outlives its requests."""

    application: Application
    store: Store
    models: Models
    live: Live


def build(settings: Settings, store: Store | None = None, log: LogWriter | None = None) -> Assembly:
    """Put a gateway together; with a store of the caller's own, or else the one of the settings.

    Store and log are closed when the application shuts down. Raises ConfigError.
    """
    store = make_store(settings) if store is None else store
    catalogue = Catalogue.from_json(catalogue_data()).with_models(settings.extra_models)
    models = Models(settings.deployments, catalogue, settings.fallback)
    keys = Keys(settings.keys)
    secret = access_secret(settings)
    door = Doorkeeper(keys, store, secret, time.time_ns, closed=settings.access.require_keys)
    book = settings.book or PriceBook.from_json(price_data())
    tariff = Tariff(book, settings.markups, settings.holds.output_tokens)
    node = f"{os.uname().nodename}:{os.getpid()}:{os.urandom(4).hex()}"
    tls = tls_context()
    live, settler, upstream = Live(), Settler(store), HttpUpstream(ssl_context=tls)
    appraiser = Appraiser(tariff, settings.holds.on_upstream_failure)
    checkpoints = Checkpoints(store, live, appraiser)
    lease = Lease(min(1.0, settings.holds.lease_seconds / 4), settings.holds.lease_seconds)
    sight = _sight(settings, store, Snapshots(live, appraiser, node, time.time_ns), book, models)
    telemetry = telemetry_of(settings, door, catalogue, Standing(live, store, __version__, node), log)
    observers: tuple[Observer, ...] = (sight.health.since, sight.onlookers, *telemetry.observers)
    keeper = Keeper(store, node, checkpoints, time.time_ns, lease=lease, observers=observers)
    redactor = make_redactor(settings)
    scribe = _scribe(settings, store, redactor)
    gateway = Gateway(
        door=door,
        models=models,
        holds=_holds(settings, store, tariff, node, settler),
        forwarder=_forwarder(settings, upstream),
        appraiser=appraiser,
        settler=settler,
        log=store,
        trails=Trails(store),
        clock=Clock(time.time_ns, time.monotonic_ns, new_exchange_id),
        live=live,
        observers=observers,
        redactor=redactor,
        scribe=scribe if settings.audit.bodies else None,
        tracing=telemetry.tracing,
    )
    local = LocalAnswers(models, door, store, live, __version__)
    pruner = _pruner(settings, store)
    deeds = Deeds(store, redactor, time.time_ns, os.urandom)
    lifecycle = _lifecycle(
        store, keeper, upstream, sight=sight, telemetry=telemetry, pruner=pruner, scribe=scribe, deeds=deeds
    )
    max_body_bytes = settings.limits.max_body_mib * _MIB
    sockets = WebSockets(ssl_context=tls)
    sessions = Sessions(
        gateway, sockets, gateway.forwarder.bounds.limits, settings.limits.drain_seconds, settings.origins
    )
    mounts: dict[str, Asgi] = {
        "/dashboard": Dashboard(dashboard_files()),
        "/admin/v1": _admin(settings, store, secret, book, sight=sight, deeds=deeds),
        **telemetry.mounts,
    }
    application = Application(gateway, sessions, local, lifecycle, max_body_bytes=max_body_bytes, mounts=mounts)
    return Assembly(application, store, models, live)


def _holds(settings: Settings, store: Store, tariff: Tariff, node: str, settler: Settler) -> Holds:
    return Holds(
        store,
        tariff,
        node,
        tokenizer=Tokenizer() if tokenizer.INSTALLED else None,
        patience_seconds=settings.holds.patience_seconds,
        abandon=settler.abandon,
    )


def _sight(settings: Settings, store: Store, snapshots: Snapshots, book: PriceBook, models: Models) -> Sight:
    """What an operator can look at beside the database."""
    onlookers = Onlookers(snapshots.take, time.time_ns)
    books = Bookkeeping(partial(check_books, store), time.time_ns, time.monotonic_ns)
    kind = DatabaseKind.MEMORY
    if isinstance(store, PostgresStore | SqliteStore):
        kind = DatabaseKind.POSTGRES if isinstance(store, PostgresStore) else DatabaseKind.SQLITE
    health = Health(
        Process(snapshots.node, time.time_ns(), kind, price_book_view(book)),
        store,
        books,
        Since(),
        running=lambda: snapshots.running,
        onlookers=lambda: len(onlookers),
        count_open_holds=store.count_open_holds,
        clock_ns=time.time_ns,
    )
    offer = Offer(settings.deployments, models.list_models(), price_of_from(book, time.time_ns))
    return Sight(snapshots, onlookers, health, books, offer)


def _admin(settings: Settings, store: Store, secret: bytes, book: PriceBook, *, sight: Sight, deeds: Deeds) -> Asgi:
    """The admin API; without admin keys it answers everything with 404."""
    office = Office(store, store, secret, time.time_ns, os.urandom)
    providers = sorted({deployment.provider.name for deployment in settings.deployments})
    prices = prices_from(book, providers, time.time_ns)
    return admin_application(office, StoreRecords(store), prices, settings.admin_keys, secret, sight=sight, deeds=deeds)


def _forwarder(settings: Settings, upstream: HttpUpstream) -> Forwarder:
    limits = settings.limits
    bounds = Bounds(limits.of_upstreams(), limits.drain_seconds, Patience(limits.drain_mib * _MIB))
    credentials = Tokens(upstream, time.time)
    return Forwarder(upstream, bounds, credentials=credentials, trailers=Trailers(settings.holds.trailers))


def _pruner(settings: Settings, store: Store) -> Pruner | None:
    """Who removes old records, where they are not kept for good."""
    days = settings.retention.records_days
    return None if days is None else Pruner(store.prune, days, time.time_ns)


def _lifecycle(
    store: Store,
    keeper: Keeper,
    upstream: HttpUpstream,
    *,
    sight: Sight,
    telemetry: Telemetry,
    pruner: Pruner | None,
    scribe: Scribe,
    deeds: Deeds,
) -> Lifecycle:
    async def start() -> None:
        if isinstance(store, PostgresStore):
            await store.open()
        for begin in telemetry.start:
            await begin()
        keeper.start()
        sight.books.start()
        if pruner is not None:
            pruner.start()
        scribe.start()

    async def close() -> None:
        await scribe.aclose()
        await sight.books.aclose()
        if pruner is not None:
            await pruner.aclose()
        await keeper.aclose()
        await deeds.settled(_LAST_DEEDS_SECONDS)
        await store.aclose()
        for end in telemetry.close:
            await end()

    return Lifecycle(start, upstream.aclose, close, sight.onlookers.close)


def _scribe(settings: Settings, store: Store, redactor: Redactor) -> Scribe:
    """Keeps transcripts where a rule asks for them, and removes old ones in any case."""
    audit = settings.audit
    rules = tuple(Rule(frozenset(rule.keys), frozenset(rule.tags), rule.routes) for rule in audit.bodies)
    keeping = Keeping(rules, audit.max_bytes, audit.retention_days)
    return Scribe(store, keeping, redactor, time.time_ns)


def make_redactor(settings: Settings) -> Redactor:
    """What takes secrets out of texts that are kept; it knows all that the settings hold."""
    held = [secret for d in settings.deployments for secret in (d.credential, *d.secrets.values())]
    own = [*settings.keys.values(), *settings.admin_keys.values(), settings.access.secret, settings.metrics.key]
    known = [*filter(None, own), *(secret.reveal() for secret in held if secret is not None)]
    known += _passwords(settings.postgres) if settings.postgres is not None else ()
    if settings.tracing is not None:
        known += [*_passwords(settings.tracing.endpoint), *settings.tracing.headers.values()]
        known += (value.partition(" ")[2] for value in settings.tracing.headers.values())  # behind "Bearer"
    return Redactor(known, settings.audit.redact)


def _passwords(address: str) -> list[str]:
    """The passwords in an address, as they stand there and as they are meant."""
    parts = urlsplit(address)
    in_query = (value for name, value in parse_qsl(parts.query) if name in {"password", "sslpassword"})
    given = [parts.password or "", *in_query]
    return [*given, *map(unquote, given)]


def make_store(settings: Settings) -> Store:
    """The store of the settings; a PostgreSQL one is yet to be opened. Raises ConfigError."""
    if settings.postgres is not None:
        return PostgresStore(settings.postgres, spill_folder=settings.database.parent)
    return SqliteStore(settings.database)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The store of the settings, for a command. Raises ConfigError."""
    store = make_store(settings)
    try:
        if isinstance(store, PostgresStore):
            await store.open()
        yield store
    finally:
        await store.aclose()


def new_exchange_id() -> str:
    """A fresh id: milliseconds since the epoch, then 80 random bits, in hexadecimal, so that ids sort by time."""
    return f"ex_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
