"""What tells the world outside of exchanges, put together: Prometheus, OpenTelemetry, the log. A part of wiring."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from headgate import __version__
from headgate.access.keys import Keys
from headgate.addresses import is_loopback
from headgate.config import Settings
from headgate.errors import ConfigError
from headgate.gateway.holder import Doorkeeper
from headgate.gateway.live import Observer
from headgate.gateway.trace import Tracing
from headgate.net.editions import Asgi
from headgate.net.listener import Listener
from headgate.routing.catalogue import Catalogue
from headgate.telemetry.attributes import Site
from headgate.telemetry.families import Families, Standing
from headgate.telemetry.log import LEVELS, ExchangeLog, LogWriter
from headgate.telemetry.names import Names
from headgate.telemetry.page import Company, Page, Readers, to_anybody, to_nobody
from headgate.telemetry.semconv import provider_name
from headgate.telemetry.sums import Sums

if TYPE_CHECKING:
    from headgate.telemetry.otlp import Connection


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the world outside is told, and what that takes."""

    observers: tuple[Observer, ...] = ()
    mounts: Mapping[str, Asgi] = field(default_factory=dict)
    start: tuple[Callable[[], Awaitable[None]], ...] = ()
    close: tuple[Callable[[], Awaitable[None]], ...] = ()
    tracing: Tracing | None = None
    renew: tuple[Callable[[Settings, Catalogue], None], ...] = ()
    """Told when the settings have been read anew."""

    def __add__(self, other: "Telemetry") -> "Telemetry":
        """Both."""
        return Telemetry(
            self.observers + other.observers,
            {**self.mounts, **other.mounts},
            self.start + other.start,
            self.close + other.close,
            self.tracing or other.tracing,
            self.renew + other.renew,
        )


def telemetry_of(
    settings: Settings,
    door: Doorkeeper,
    catalogue: Catalogue,
    standing: Standing,
    log: LogWriter | None,
    *,
    company: Company | None = None,
) -> Telemetry:
    """All that the settings ask for. `log` is where lines go, if they go anywhere. Raises ConfigError."""
    names = Names(_known(settings, catalogue))
    shared = Telemetry(renew=(lambda settings, catalogue: names.know(_known(settings, catalogue)),))
    metrics, tracing = _metrics(settings, door, names, standing, company), _tracing(settings, names, standing.node)
    return shared + metrics + tracing + _log(settings, log)


def _known(settings: Settings, catalogue: Catalogue) -> frozenset[str]:
    return frozenset(model for deployment in settings.deployments for model in catalogue.models_of(deployment))


def _metrics(
    settings: Settings, door: Doorkeeper, names: Names, standing: Standing, company: Company | None
) -> Telemetry:
    if not settings.metrics.enabled:
        return Telemetry()
    sums = Sums(names)
    page = Page(Families(sums, standing), _readers(settings, door), company)

    async def close() -> None:
        page.close()

    def renew(settings: Settings, _: Catalogue) -> None:
        page.let_in(_readers(settings, door))

    if settings.metrics_at is None:
        return Telemetry((sums,), {"/metrics": page}, close=(close,), renew=(renew,))
    listener = Listener(page, *settings.metrics_at, shared=company is not None)
    return Telemetry((sums,), start=(listener.open,), close=(listener.aclose, close), renew=(renew,))


def _tracing(settings: Settings, names: Names, node: str) -> Telemetry:
    """OpenTelemetry, which is imported only where it is asked for: it takes a tenth of a second. Raises ConfigError."""
    section = settings.tracing
    if section is None:
        return Telemetry()
    try:
        otlp = import_module("headgate.telemetry.otlp")
    except ImportError as error:
        raise ConfigError(f"`tracing`: needs the extra headgate[otel]: {error}") from error
    sites = _sites(settings)
    connection: Connection = otlp.connect(section, sites, names, version=__version__, node=node)

    def renew(settings: Settings, _: Catalogue) -> None:
        sites.update(_sites(settings))  # and what is under way elsewhere still has its own

    return Telemetry(connection.observers, close=(connection.close,), tracing=connection.tracing, renew=(renew,))


def _sites(settings: Settings) -> dict[str, Site]:
    return {
        deployment.name: Site(provider_name(deployment.provider.name), deployment.origin.host, deployment.origin.port)
        for deployment in settings.deployments
    }


def _log(settings: Settings, writer: LogWriter | None) -> Telemetry:
    """A line for each exchange. What is written after the last one is written at once: the process may be gone."""
    if writer is None:
        return Telemetry()
    lines = ExchangeLog(writer, LEVELS[settings.log.level])
    return Telemetry((lines,), close=(partial(asyncio.to_thread, writer.close),))


def _readers(settings: Settings, door: Doorkeeper) -> Readers:
    """Who may read the metrics: without a key, only who could as well spend without one (decision 29)."""
    section, own = settings.metrics, settings.metrics_at
    keys = {f"admin {name}": key for name, key in settings.admin_keys.items()}
    if section.key is not None:
        keys["metrics"] = section.key
    if section.open:
        return Readers(Keys(keys), to_anybody)
    if section.key is not None or not is_loopback(settings.host if own is None else own[0]):
        return Readers(Keys(keys))
    if own is not None:
        return Readers(Keys(keys), to_anybody)
    return Readers(Keys(keys), to_nobody if settings.admin_keys else door.is_open)
