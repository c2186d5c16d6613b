"""An edition, put together: all that follows from one reading of the settings, and nothing else. A part of wiring."""

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, unquote, urlsplit

from headgate import __version__, tokenizer
from headgate.admin.api import admin_application
from headgate.admin.bookkeeping import Bookkeeping, Since
from headgate.admin.deeds import Deeds
from headgate.admin.handlers import Sight
from headgate.admin.health import Health, Process, price_book_view
from headgate.admin.offer import Offer
from headgate.admin.office import Office
from headgate.admin.onlookers import Onlookers
from headgate.admin.prices import price_of_from, prices_from
from headgate.admin.snapshot import LiveView
from headgate.audit.redaction import Redactor
from headgate.audit.rules import Rule
from headgate.config import Settings, catalogue_data, price_data
from headgate.gateway.appraise import Appraiser
from headgate.gateway.deadline import Deadline
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
from headgate.gateway.settle import Settler
from headgate.gateway.tariff import Tariff
from headgate.net.client import HttpUpstream
from headgate.net.connection_dial import tls_context
from headgate.net.editions import Asgi, Edition
from headgate.net.tokens import Tokens
from headgate.net.websocket_client import WebSockets
from headgate.pricing.book import PriceBook
from headgate.routing.aliases import Target, with_contexts
from headgate.routing.catalogue import Catalogue
from headgate.routing.health import Health as TargetHealth
from headgate.routing.models import Models
from headgate.tokenizer import Tokenizer
from headgate.wiring_store import Store, StoreRecords, kind_of
from headgate.wiring_telemetry import Telemetry

_MIB = 1024 * 1024
_LAST_DEEDS_SECONDS = 5.0
"""For how the last deeds ended to be kept, before the store closes."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """What there is once in a process, whatever its settings become."""

    store: Store
    node: str
    started_at_ns: int
    secret: bytes
    door: Doorkeeper
    live: Live
    settler: Settler
    trails: Trails
    targets: TargetHealth
    take: Callable[[], Awaitable[LiveView]]
    """A snapshot of what is under way."""
    onlookers: Onlookers
    books: Bookkeeping
    since: Since
    telemetry: Telemetry
    dashboard: Asgi

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Who is told of every exchange that is over."""
        return (self.since, self.onlookers, *self.telemetry.observers)


@dataclass(frozen=True, slots=True)
class Parts:
    """An edition, and what others need of it."""

    edition: Edition
    settings: Settings
    models: Models
    catalogue: Catalogue
    deeds: Deeds


def catalogue_of(settings: Settings) -> Catalogue:
    """The packaged catalogue, with the operator's own models."""
    return Catalogue.from_json(catalogue_data()).with_models(settings.extra_models)


def _context_of(book: PriceBook, target: Target) -> int | None:
    """The context window that the price book knows of a target's model, in tokens."""
    price = book.find(target.deployment.provider.name, target.model, time.time_ns())
    return None if price is None else price.context_window


def edition_of(settings: Settings, lasting: Lasting) -> Parts:
    """Put an edition together. Raises ConfigError. It may be done in a thread: nothing of it runs yet."""
    store, live, node = lasting.store, lasting.live, lasting.node
    catalogue = catalogue_of(settings)
    book = settings.book or PriceBook.from_json(price_data())
    aliases = [with_contexts(alias, partial(_context_of, book)) for alias in settings.aliases]
    models = Models(settings.deployments, catalogue, settings.fallback, aliases)
    tariff = Tariff(book, settings.markups, settings.holds.output_tokens)
    tls = tls_context()
    upstream = HttpUpstream(ssl_context=tls)
    redactor = make_redactor(settings)
    scribe = _scribe(settings, store, redactor)
    gateway = Gateway(
        door=lasting.door,
        models=models,
        holds=_holds(settings, store, tariff, node, lasting.settler),
        forwarder=_forwarder(settings, upstream),
        appraiser=Appraiser(tariff, settings.holds.on_upstream_failure),
        settler=lasting.settler,
        log=store,
        trails=lasting.trails,
        health=lasting.targets,
        clock=Clock(time.time_ns, time.monotonic_ns, new_exchange_id),
        live=live,
        observers=lasting.observers,
        redactor=redactor,
        scribe=scribe if settings.audit.bodies else None,
        tracing=lasting.telemetry.tracing,
    )
    sessions = Sessions(
        gateway,
        WebSockets(ssl_context=tls),
        gateway.forwarder.bounds.limits,
        settings.limits.drain_seconds,
        settings.origins,
    )
    deeds = Deeds(store, redactor, time.time_ns, os.urandom)
    local = LocalAnswers(models, lasting.door, store, live, __version__)
    sight = _sight(settings, lasting, book, models)
    mounts: dict[str, Asgi] = {
        "/dashboard": lasting.dashboard,
        "/admin/v1": _admin(settings, lasting, book, sight=sight, deeds=deeds),
        **lasting.telemetry.mounts,
    }
    life = _Life(upstream, scribe, _pruner(settings, store), deeds)
    edition = Edition(
        gateway, sessions, local, settings.limits.max_body_mib * _MIB, mounts,
        life.start, life.retire, upstream.aclose, life.close, settings.limits.client_body_seconds,
    )  # fmt: skip
    return Parts(edition, settings, models, catalogue, deeds)


@dataclass(frozen=True, slots=True)
class _Life:
    """What of an edition runs on its own account."""

    upstream: HttpUpstream
    scribe: Scribe
    pruner: Pruner | None
    deeds: Deeds

    def start(self) -> None:
        self.scribe.start()
        if self.pruner is not None:
            self.pruner.start()

    def retire(self) -> None:
        self.upstream.retire()
        self.scribe.retire()
        if self.pruner is not None:
            self.pruner.stop()

    async def close(self) -> None:
        await self.scribe.aclose()
        if self.pruner is not None:
            await self.pruner.aclose()
        await self.deeds.settled(_LAST_DEEDS_SECONDS)


def _holds(settings: Settings, store: Store, tariff: Tariff, node: str, settler: Settler) -> Holds:
    return Holds(
        store,
        tariff,
        node,
        tokenizer=Tokenizer() if tokenizer.INSTALLED else None,
        deadline=Deadline(settings.holds.patience_seconds),
        abandon=settler.abandon,
    )


def _sight(settings: Settings, lasting: Lasting, book: PriceBook, models: Models) -> Sight:
    """What an operator can look at beside the database."""
    store = lasting.store
    health = Health(
        Process(lasting.node, lasting.started_at_ns, kind_of(store), price_book_view(book)),
        store,
        lasting.books,
        lasting.since,
        running=partial(len, lasting.live),
        onlookers=partial(len, lasting.onlookers),
        count_open_holds=store.count_open_holds,
        clock_ns=time.time_ns,
    )
    offer = Offer(
        settings.deployments,
        models.list_models(),
        price_of_from(book, time.time_ns),
        lambda: lasting.targets.cooling(time.monotonic_ns()),
        models.list_aliases(),
    )
    return Sight(lasting.take, lasting.onlookers, health, lasting.books, offer)


def _admin(settings: Settings, lasting: Lasting, book: PriceBook, *, sight: Sight, deeds: Deeds) -> Asgi:
    """The admin API; without admin keys it answers everything with 404."""
    store, secret = lasting.store, lasting.secret
    office = Office(store, store, secret, time.time_ns, os.urandom)
    providers = sorted({deployment.provider.name for deployment in settings.deployments})
    prices = prices_from(book, providers, time.time_ns)
    return admin_application(office, StoreRecords(store), prices, settings.admin_keys, secret, sight=sight, deeds=deeds)


def _forwarder(settings: Settings, upstream: HttpUpstream) -> Forwarder:
    limits = settings.limits
    general = limits.of_upstreams()
    patience = Patience(limits.drain_mib * _MIB, keep_alive_seconds=general.keep_alive)
    bounds = Bounds(general, limits.drain_seconds, patience)
    credentials = Tokens(upstream, time.time)
    return Forwarder(upstream, bounds, credentials=credentials, trailers=Trailers(settings.holds.trailers))


def _pruner(settings: Settings, store: Store) -> Pruner | None:
    """Who removes old records, where they are not kept for good."""
    days = settings.retention.records_days
    return None if days is None else Pruner(store.prune, days, time.time_ns)


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


def new_exchange_id() -> str:
    """A fresh id: milliseconds since the epoch, then 80 random bits, in hexadecimal, so that ids sort by time."""
    return f"ex_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
