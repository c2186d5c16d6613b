"""The only place where parts are put together."""

import os
import time
from dataclasses import dataclass

from headgate import __version__
from headgate.access.keys import Keys
from headgate.config import Settings, catalogue_data
from headgate.gateway.exchange import Clock, Gateway
from headgate.gateway.forward import Bounds, Forwarder
from headgate.gateway.local import LocalAnswers
from headgate.gateway.record import Trails
from headgate.gateway.relay import Patience
from headgate.gateway.upstream import TimeLimits
from headgate.net.asgi import Application
from headgate.net.client import HttpUpstream
from headgate.net.tokens import Tokens
from headgate.records import RecordLog
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from headgate.stores.sqlite import SqliteRecordLog

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Assembly:
    """A gateway put together: the ASGI application, and the log that outlives its requests."""

    application: Application
    log: RecordLog
    models: Models


def build(settings: Settings, log: RecordLog | None = None) -> Assembly:
    """Put a gateway together; with a log of the caller's own, or else the SQLite file of the settings.

    The log is closed when the application shuts down. Raises ConfigError.
    """
    log = SqliteRecordLog(settings.database) if log is None else log
    limits = settings.limits
    catalogue = Catalogue.from_json(catalogue_data()).with_models(settings.extra_models)
    models = Models(settings.deployments, catalogue, settings.fallback)
    keys = Keys(settings.keys)
    upstream = HttpUpstream()
    time_limits = TimeLimits(limits.connect_seconds, limits.first_byte_seconds, limits.idle_seconds)
    bounds = Bounds(time_limits, limits.drain_seconds, Patience(limits.drain_mib * _MIB))
    gateway = Gateway(
        forwarder=Forwarder(upstream, bounds, credentials=Tokens(upstream, time.time)),
        models=models,
        keys=keys,
        log=log,
        trails=Trails(log),
        clock=Clock(time.time_ns, time.monotonic_ns, new_exchange_id),
    )
    local = LocalAnswers(models, keys, log, __version__)
    application = Application(gateway, local, limits.max_body_mib * _MIB, upstream.aclose, log.close)
    return Assembly(application, log, models)


def new_exchange_id() -> str:
    """A fresh id: milliseconds since the epoch, then 80 random bits, in hexadecimal, so that ids sort by time."""
    return f"ex_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
