"""The store of the settings, and what a store is asked for. A part of wiring."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from headgate.access.directory import Directory
from headgate.admin.health import DatabaseKind
from headgate.admin.records import Line, SeriesFound, SeriesWanted
from headgate.audit.log import AuditLog
from headgate.config import Settings
from headgate.gateway.settle import Books
from headgate.records import Record, Wanted
from headgate.stores.postgres import PostgresStore
from headgate.stores.searching import Found
from headgate.stores.series import Series, SeriesOf
from headgate.stores.spans import Step
from headgate.stores.sqlite import SqliteStore
from headgate.stores.summary import SUMS, GroupBy, UsageRow


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


def kind_of(store: Store) -> DatabaseKind:
    """What a store is kept in."""
    if isinstance(store, PostgresStore):
        return DatabaseKind.POSTGRES
    return DatabaseKind.SQLITE if isinstance(store, SqliteStore) else DatabaseKind.MEMORY
