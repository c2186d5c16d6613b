"""SqliteStore: records, ledger, directory and audit log in one SQLite file.

Changes go through the one thread of `writer.py`. What the hot path asks is read in the calling thread, which takes
some microseconds; what may be long is asked in a thread of its own.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from headgate.access.budgets import Budget
from headgate.access.virtual import VirtualKey
from headgate.errors import Busy, ConfigError
from headgate.ledger.commands import Checkpoint, Command, Resolution
from headgate.ledger.entries import Account, Counter, Entry, Hold, Outcome
from headgate.ledger.store import Trial
from headgate.records import Record, Trail, Wanted
from headgate.stores import directory_sqlite, entry_sums, ledger_sqlite, queries, rollups_sqlite
from headgate.stores.audit_sqlite import SqliteAudit
from headgate.stores.queries import Reader, SqliteRecords
from headgate.stores.rolling import PRUNED_AT_ONCE, ROLLED_AT_ONCE
from headgate.stores.searching import Found
from headgate.stores.series import Series, SeriesOf
from headgate.stores.storable import require_storable, storable
from headgate.stores.summary import GroupBy, UsageRow
from headgate.stores.turn import OneTurn
from headgate.stores.writer import Writer

MAX_BACKLOG = 50_000
"""What may wait to be written before the store stops accepting: well below 100 MB."""

T = TypeVar("T")


class SqliteStore(SqliteAudit):
    """RecordLog, Ledger, Directory and AuditLog. Thread-safe; other processes may have the same file open.

    Opening it makes or migrates the file and reads in what an earlier stop spilled. Raises ConfigError if the file
    cannot be opened or a newer headgate has written it. Questions raise Busy while the file cannot be read.
    """

    def __init__(self, path: Path, *, max_backlog: int = MAX_BACKLOG, close_seconds: float = 10.0) -> None:
        self.path = path
        self._reader = Reader(path)
        self._aside = SqliteRecords(path)
        self._writer = Writer(path, self._reader, max_backlog, close_seconds)
        self._keys: OneTurn[bytes, VirtualKey | None] = OneTurn()

    @property
    def accepting(self) -> bool:
        """False while the backlog is at its bound."""
        return self._writer.accepting

    @property
    def backlog(self) -> int:
        """How many items wait to be written, or are being written."""
        return self._writer.backlog

    async def aclose(self) -> None:
        """Write what is left and stop; what cannot be written in time is spilled for the next start."""
        await asyncio.to_thread(self._writer.close)
        self._reader.close()

    # Records

    def append(self, record: Record) -> None:
        """Take a record for writing: never waits, never raises."""
        self._writer.append(record)

    async def trail(self, response_id: str) -> Trail | None:
        """The provider of the newest exchange of that response id on disk, and whether any of them was counted.

        None also while the file cannot be read, which is logged.
        """
        try:
            return self._reader.ask(lambda db: queries.trail(db, response_id))
        except Busy:
            return None

    async def find(self, exchange_id: str) -> Record | None:
        """The record of an exchange, if it is on disk."""
        return self._reader.ask(lambda db: queries.find(db, exchange_id))

    async def records(self, since_ns: int | None = None, limit: int = 100) -> list[Record]:
        """The newest records, newest first; `since_ns`, since the Unix epoch, leaves out what began before it."""
        return await self._ask_aside(lambda db: queries.records(db, since_ns, limit))

    async def search(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> list[Record]:
        """At most `limit` records in descending order of (started_at_ns, exchange_id), below `before`."""
        return await self._ask_aside(lambda db: queries.search(db, wanted, limit, before))

    async def page(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> Found:
        """The same; fewer where they are hard to find, and where to go on."""
        return await self._ask_aside(lambda db: queries.page(db, wanted, limit, before))

    async def arrived(self, after: int, limit: int, missing: Sequence[int] = ()) -> list[tuple[int, Record]]:
        """At most `limit` records written after a number, each with its number, and those of missed numbers."""
        return await self._ask_aside(lambda db: queries.arrived(db, after, limit, missing))

    async def last_arrivals(self, limit: int) -> list[int]:
        """The numbers of the records that were written last."""
        return await self._ask_aside(lambda db: queries.last_arrivals(db, limit))

    async def older_than(self, before_ns: int) -> tuple[int, int | None]:
        """How many records began before then, and when the first of them did; nanoseconds since the epoch."""
        return await self._ask_aside(lambda db: queries.older_than(db, before_ns))

    async def usage(self, since_ns: int | None, by: GroupBy, until_ns: int | None = None) -> list[UsageRow]:
        """The sums over the records that began in a span, one row for each group."""
        return await self._ask_aside(lambda db: queries.usage(db, since_ns, until_ns, by))

    async def series(self, of: SeriesOf) -> Series:
        """The sums step by step, in all or by group."""
        return await self._ask_aside(lambda db: queries.series(db, of))

    async def roll(self, now_ns: int, limit: int = ROLLED_AT_ONCE) -> int:
        """Add records to the roll-ups now, which else happens by itself every few seconds; returns how many."""
        return await self._change(partial(rollups_sqlite.roll, limit=limit, now_ns=now_ns))

    async def prune(self, before_ns: int, limit: int = PRUNED_AT_ONCE) -> int:
        """Remove at most `limit` of the oldest records that began before then; returns how many.

        Sums still have them; entries and holds stay. A record that is not yet in the roll-ups is not removed.
        """
        return await self._change(partial(rollups_sqlite.prune, before_ns=before_ns, limit=limit))

    # Ledger

    async def submit(self, command: Command) -> Outcome:
        """Apply a command; it is on disk when this returns.

        Raises LedgerUnavailable if the ledger is closed first, ValueError for what cannot be kept.
        """
        return cast("Outcome", await self._writer.submit(storable(command)))

    async def settle(self, resolution: Resolution, record: Record) -> Outcome:
        """Resolve a hold and keep its exchange's record, in one transaction; both are on disk when this returns.

        The record is kept as `disputed` where the resolution does not stand. Raises as `submit` does; what cannot be
        written before the end is spilled.
        """
        return cast("Outcome", await self._writer.submit(storable(resolution), record))

    def note(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint for the next commit: never waits, never raises."""
        self._writer.note(checkpoint)

    async def account(self, account_id: str) -> Account | None:
        """An account as it stands."""
        return self._reader.ask(lambda db: ledger_sqlite.account(db, account_id))

    async def accounts(self) -> list[Account]:
        """All accounts, by id."""
        return await self._ask_aside(ledger_sqlite.accounts)

    async def hold(self, hold_id: str) -> Hold | None:
        """A hold as it stands."""
        return self._reader.ask(lambda db: ledger_sqlite.hold(db, hold_id))

    async def open_holds(self) -> list[Hold]:
        """The holds that are not resolved, oldest first."""
        return await self._ask_aside(ledger_sqlite.open_holds)

    async def count_open_holds(self) -> int:
        """How many there are."""
        return await self._ask_aside(ledger_sqlite.count_open_holds)

    async def entries(
        self, account_id: str | None = None, hold_id: str | None = None, limit: int = 100, before: int | None = None
    ) -> list[tuple[int, Entry]]:
        """Entries with their serial numbers, newest first; of an account or a hold; below a serial number."""
        return await self._ask_aside(lambda db: ledger_sqlite.entries(db, account_id, hold_id, limit, before))

    async def counters(self, cap_ids: tuple[str, ...]) -> list[Counter]:
        """Where caps stand, by id; those never used are left out."""
        return self._reader.ask(lambda db: ledger_sqlite.counters(db, cap_ids))

    async def trial(self, *, every: bool = False) -> Trial:
        """Everything added up, as it stood at one moment, however much moves meanwhile."""
        return await self._ask_aside(lambda db: rollups_sqlite.at_once(db, entry_sums.trial(every=every)))

    async def beat(self, node: str, lease_ns: int) -> None:
        """Tell that a gateway process lives, and will tell so again within the lease."""
        await self._change(partial(ledger_sqlite.beat, node=node, lease_ns=lease_ns))

    async def leave(self, node: str) -> None:
        """Tell that a gateway process ends in good order: its lease is over now."""
        await self._change(partial(ledger_sqlite.leave, node=node))

    async def orphans(self, limit: int = 100) -> list[Hold]:
        """Open holds of processes whose lease has run out by this machine's clock, oldest first."""
        return await self._ask_aside(lambda db: ledger_sqlite.orphans(db, limit))

    async def forget_counters(self, ended_before_ns: int) -> int:
        """Remove the counters of windows that ended before then and hold nothing; returns how many."""
        return await self._change(partial(ledger_sqlite.forget_counters, ended_before_ns=ended_before_ns))

    # Directory

    async def by_digest(self, digest: bytes) -> VirtualKey | None:
        """The key of a digest, revoked and expired ones too, with all the budgets that bind it.

        It is looked up once for all requests that are served in the same turn of the event loop.
        """
        known = self._keys.answers
        if digest not in known:
            known[digest] = self._reader.ask(lambda db: directory_sqlite.by_digest(db, digest))
        return known[digest]

    async def put_key(self, key: VirtualKey) -> None:
        """Keep a key, new or changed, by its id; see Directory. Raises ValueError if another key has its digest."""
        await self._change(partial(directory_sqlite.put_key, key=require_storable(key)))

    async def key(self, key_id: str) -> VirtualKey | None:
        """A key by its id."""
        return self._reader.ask(lambda db: directory_sqlite.key(db, key_id))

    async def keys(self) -> list[VirtualKey]:
        """All keys, revoked and expired ones too, the newest first."""
        return await self._ask_aside(directory_sqlite.keys)

    async def empty(self) -> bool:
        """Whether no key was ever made."""
        return self._reader.ask(directory_sqlite.empty)

    async def put_budget(self, budget: Budget) -> None:
        """Keep a budget, new or changed, by its id."""
        await self._change(partial(directory_sqlite.put_budget, budget=require_storable(budget)))

    async def remove_budget(self, budget_id: str) -> bool:
        """Remove a budget; False if there is none of that id."""
        return await self._change(partial(directory_sqlite.remove_budget, budget_id=budget_id))

    async def budgets(self) -> list[Budget]:
        """All budgets, by id."""
        return await self._ask_aside(directory_sqlite.budgets)

    async def _change(self, task: Callable[[sqlite3.Connection], T]) -> T:
        return cast("T", await self._writer.ask(task))

    async def _ask_aside(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.to_thread(self._aside.ask, question)
        except ConfigError as error:
            raise Busy("The database cannot be read at the moment.") from error
