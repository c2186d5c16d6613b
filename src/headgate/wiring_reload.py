"""The settings are read anew while the gateway runs. A part of wiring.

What is new is checked whole before any of it counts. If it is good, whoever asks from then on is served by an edition
made of it; if not, nothing has changed, and the log says why. Reading it is a deed of an administrator's.
"""

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import msgspec

from headgate.access.keys import Keys
from headgate.config import Settings
from headgate.errors import ConfigError, HeadgateError
from headgate.net.editions import Editions
from headgate.wiring_edition import Lasting, Parts, edition_of

_log = logging.getLogger("headgate.reload")

ACTOR = "signal"
"""Who did it, as far as a signal tells."""

Read = Callable[[str | None], Settings]
"""Reads the settings, as they would be if the gateway listened at an address of this one. Raises ConfigError."""

_WORDS: Mapping[str, str] = {
    "deployments": "providers",
    "extra_models": "providers",
    "admin_keys": "admin.keys",
    "book": "prices",
    "markups": "prices",
    "host": "listen",
    "port": "listen",
    "postgres": "database",
    "metrics_at": "metrics",
}
"""What a part of the settings is called in the file, where that is not its own name."""


class SettingsRefused(ConfigError):
    """What was read is not good, and nothing has changed."""

    status = 422


class Reloading:
    """Replaces the edition of a running gateway by one of the settings as they are now."""

    def __init__(self, editions: Editions, lasting: Lasting, parts: Parts) -> None:
        """`parts` are those of the edition that serves."""
        self._editions = editions
        self._lasting = lasting
        self._parts = parts
        self._one_at_a_time = asyncio.Lock()

    @property
    def settings(self) -> Settings:
        """By which new requests are served."""
        return self._parts.settings

    async def reload(self, read: Read, actor: str = ACTOR) -> None:
        """Read the settings, and go by them. Raises SettingsRefused if they are not good, Busy if it cannot be kept.

        Either is in the log already, and nothing has changed.
        """
        async with self._one_at_a_time:
            detail: dict[str, Any] = {"node": self._lasting.node}
            try:
                async with self._parts.deeds.doing(actor, "reload", "settings", detail):
                    try:
                        changed, waiting = await self._reload(read)
                    except ConfigError as error:
                        raise SettingsRefused(error.message) from error
            except HeadgateError as error:
                _log.error("the settings stay as they were: %s", error.message)
                raise
            _log.info("the settings were read anew; changed: %s", ", ".join(changed) or "nothing")
            if waiting:
                _log.warning("what has changed in %s needs a restart", ", ".join(waiting))

    async def _reload(self, read: Read) -> tuple[list[str], list[str]]:
        """What has changed, and what will only after a restart."""
        now = self._parts.settings
        found = await asyncio.to_thread(read, None)
        if (found.host, found.port) != (now.host, now.port):  # whether keys are needed depends on where it listens
            host = f"[{now.host}]" if ":" in now.host else now.host
            kept = await asyncio.to_thread(read, f"{host}:{now.port}")
        else:
            kept = found
        wanted = as_far_as_possible(kept, now)
        parts = await asyncio.to_thread(self._made, wanted)
        self._editions.replace(parts.edition)
        self._lasting.door.change(Keys(wanted.keys), closed=wanted.access.require_keys)
        for renew in self._lasting.telemetry.renew:
            renew(wanted, parts.catalogue)
        if wanted.admin_keys != now.admin_keys:
            self._lasting.onlookers.send_away()  # one who may still look on comes back by himself
        self._parts = parts
        gc.unfreeze()  # what stood since the start need not stand for good any more (cli/serve.py)
        return differing(wanted, now), differing(found, wanted)

    def _made(self, settings: Settings) -> Parts:
        try:
            return edition_of(settings, self._lasting)
        except (ValueError, OSError) as error:  # beyond what reading them finds, such as a folder of certificates
            raise ConfigError(f"the settings cannot be used: {error}") from error


_SERVERS_LIMITS = (
    "stop_seconds",
    "handover_seconds",
    "client_head_seconds",
    "client_body_seconds",
    "client_idle_seconds",
)
"""They are the listening server's, which stays."""


def as_far_as_possible(wanted: Settings, now: Settings) -> Settings:
    """The settings that are wanted, but for what stays as it is until a restart."""
    same_book = wanted.book is not None and now.book is not None and wanted.book.version == now.book.version
    put = msgspec.structs.replace
    return replace(
        wanted,
        host=now.host,
        port=now.port,
        database=now.database,
        postgres=now.postgres,
        access=put(wanted.access, secret=now.access.secret),
        holds=put(wanted.holds, lease_seconds=now.holds.lease_seconds),
        limits=put(wanted.limits, **{name: getattr(now.limits, name) for name in _SERVERS_LIMITS}),
        metrics=put(wanted.metrics, enabled=now.metrics.enabled, listen=now.metrics.listen),
        metrics_at=now.metrics_at,
        log=now.log,
        tracing=now.tracing,
        workers=now.workers,
        book=now.book if same_book else wanted.book,  # the largest thing in memory, and most often the same
    )


def differing(one: Settings, other: Settings) -> list[str]:
    """The names, as in the file, of what is not the same in both."""
    found: dict[str, None] = {}
    for field in fields(Settings):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if field.name == "book":
            first, second = (None if book is None else book.version for book in (first, second))
        if first == second:
            continue
        word = _WORDS.get(field.name, field.name)
        parts = getattr(first, "__struct_fields__", ()) if type(first) is type(second) else ()
        names = [name for name in parts if getattr(first, name) != getattr(second, name)]
        found |= dict.fromkeys([f"{word}.{name}" for name in names] or [word])
    return list(found)
