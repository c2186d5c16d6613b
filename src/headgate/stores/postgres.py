"""PostgresStore: records, ledger and directory in a PostgreSQL database, for many gateway processes or hosts.

Changes of records and of the ledger go through the one task of `postgres_writer.py`, on one connection; everything else
is a statement by itself on a small pool. All of it belongs to the event loop in which the store was opened.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from headgate.errors import ConfigError
from headgate.ledger.commands import Capture, Checkpoint, Command, Expire, Resolution, Void
from headgate.ledger.entries import Outcome
from headgate.ledger.store import LedgerUnavailable
from headgate.records import Record
from headgate.stores.audit_postgres import PostgresAudit
from headgate.stores.postgres_books import Transactions
from headgate.stores.postgres_directory import PostgresDirectory
from headgate.stores.postgres_ledger import PostgresLedger
from headgate.stores.postgres_link import (
    INSTALLED,
    Away,
    Conflict,
    Connection,
    Questions,
    Unwritable,
    connect,
    hang_up,
    name_of,
    told_apart,
)
from headgate.stores.postgres_records import PostgresRecords, insert_records
from headgate.stores.postgres_rollups import ROLLED_AT_ONCE, Roller
from headgate.stores.postgres_schema import identity_of, migrate
from headgate.stores.postgres_writer import MAX_BACKLOG, Writer
from headgate.stores.rolling import PRUNED_AT_ONCE
from headgate.stores.rows import as_settled
from headgate.stores.spill import Spilled, remove_spill, spill, spill_path, spilled
from headgate.stores.storable import require_storable, storable

_READING_IN_SECONDS = 60.0

_log = logging.getLogger("headgate.stores")


class PostgresStore(PostgresRecords, PostgresLedger, PostgresDirectory, PostgresAudit):
    """RecordLog, Ledger, Directory and AuditLog, once it is open.

    Questions raise Busy while the server does not answer.

    What cannot be written before a stop is spilled into `spill_folder`, and read in by whoever next opens the same
    database with that folder.
    """

    def __init__(
        self, dsn: str, spill_folder: Path, *, max_backlog: int = MAX_BACKLOG, close_seconds: float = 10.0
    ) -> None:
        """Raises ConfigError for what is no DSN, or without the extra `postgres`."""
        if not INSTALLED:
            raise ConfigError("`database`: PostgreSQL needs asyncpg: install headgate[postgres].")
        self.name = name_of(dsn)
        self._dsn = dsn
        self._spill_folder = spill_folder
        self._max_backlog = max_backlog
        self._close_seconds = close_seconds
        self._connection: Connection | None = None
        self._transactions = Transactions()
        self._identity = ""
        self._writer: Writer | None = None
        self._roller = Roller(dsn)

    async def open(self) -> None:
        """Connect, make or migrate the tables, and read in what an earlier stop spilled.

        Raises ConfigError if the database cannot be reached or is not for this headgate.
        """
        try:
            self._connection = await connect(self._dsn)
            with told_apart():
                self._identity = await migrate(self._connection, self.name)
            await self._read_in()
            self._questions = Questions(self._dsn)
            await self._questions.open()
        except (Away, Conflict, Unwritable, OSError, ConfigError) as error:
            self._hang_up()
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{self.name}: cannot be opened as the database: {error}.") from error
        self._writer = Writer(self._commit, self.name, self._max_backlog)
        self._roller.start()

    @property
    def accepting(self) -> bool:
        """False while the backlog is at its bound, and before the store is open."""
        return self._writer is not None and self._writer.accepting

    @property
    def backlog(self) -> int:
        """How many items wait to be written, or are being written; nothing does before the store is open."""
        return 0 if self._writer is None else self._writer.backlog

    def append(self, record: Record) -> None:
        """Take a record for writing: never waits, never raises. From any thread."""
        if self._writer is None:
            _log.error("record %s came before the store was open and is lost", record.exchange_id)
        else:
            self._writer.put_record(record)

    def note(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint for the next commit: never waits, never raises."""
        try:
            require_storable(checkpoint)
        except ValueError as error:
            _log.error("a checkpoint is lost: %s", error)
            return
        if self._writer is not None:
            self._writer.put_note(checkpoint)

    async def submit(self, command: Command) -> Outcome:
        """Apply a command; it is on disk when this returns.

        Raises LedgerUnavailable if the store is not open, or is closed first; ValueError for what cannot be kept.
        """
        if self._writer is None:
            raise LedgerUnavailable("The store is not open.")
        return await self._writer.put(storable(command))

    async def settle(self, resolution: Resolution, record: Record) -> Outcome:
        """Resolve a hold and keep its exchange's record, in one transaction; both are on disk when this returns.

        The record is kept as `disputed` where the resolution does not stand. Raises as `submit` does; what cannot be
        written before the end is spilled.
        """
        if self._writer is None:
            raise LedgerUnavailable("The store is not open.")
        return await self._writer.put(storable(resolution), record)

    async def roll(self, now_ns: int, limit: int = ROLLED_AT_ONCE) -> int:
        """Add records to the roll-ups now, which else happens by itself every few seconds; returns how many."""
        return await self._roller.roll(now_ns, limit)

    async def prune(self, before_ns: int, limit: int = PRUNED_AT_ONCE) -> int:
        """Remove at most `limit` of the oldest records that began before then; returns how many.

        Sums still have them; entries and holds stay. A record that is not yet in the roll-ups is not removed.
        """
        return await self._roller.prune(before_ns, limit)

    async def aclose(self) -> None:
        """Write what is left and stop; what cannot be written in time is spilled for the next start."""
        if self._writer is None:
            return
        await self._roller.aclose()
        left = await self._writer.aclose(self._close_seconds)
        if self._connection is not None:
            await hang_up(self._connection)
        await self._questions.aclose()
        self._spill(
            Spilled(
                tuple(item for item in left if isinstance(item, Record)),
                tuple(item for item in left if isinstance(item, Capture | Void | Expire)),
            )
        )

    async def _commit(
        self, records: Sequence[Record], commands: Sequence[Command], settled: Mapping[int, Record]
    ) -> list[Outcome]:
        """Write all of it in one transaction. A connection on which that failed is not used again."""
        try:
            connection = await self._connected()
            with told_apart():
                if not commands:
                    await insert_records(connection, records)
                    return []
                await self._transactions.make_counters(connection, commands)
                async with connection.transaction(isolation="read_committed"):
                    outcomes = await self._transactions.apply(connection, commands)
                    own = [as_settled(record, outcomes[at]) for at, record in settled.items()]
                    await insert_records(connection, [*records, *own])
                return outcomes
        except Away:
            self._hang_up()
            raise

    async def _connected(self) -> Connection:
        """The connection, or a new one: to the same database. Another would refuse what was promised in this one."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn)
            with told_apart():
                if await identity_of(self._connection) != self._identity:
                    raise Away("another database is in its place")
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _spill(self, left: Spilled) -> None:
        """Into a file of this process's own, which has its name only once it is whole: others may be starting."""
        if left.empty:
            return
        own = self._spill_folder / f"postgres-{self._identity}-{secrets.token_hex(8)}"
        unfinished = own.with_name(f"unfinished-{own.name}")
        try:
            self._spill_folder.mkdir(parents=True, exist_ok=True)
            spill(unfinished, left)
            spill_path(unfinished).rename(spill_path(own))
        except OSError as error:
            names = ", ".join((*(record.exchange_id for record in left.records), *map(repr, left.resolutions)))
            _log.error("%s are lost: neither %s nor %s could be written (%s): %s",
                       left, self.name, self._spill_folder, error, names)  # fmt: skip
        else:
            _log.error("%s could not be written to %s; they are in %s, and the next start reads them in",
                       left, self.name, spill_path(own))  # fmt: skip

    async def _read_in(self) -> None:
        """Write what earlier stops spilled."""
        for path in sorted(self._spill_folder.glob(f"postgres-{self._identity}-*.spill.jsonl")):
            own = path.with_name(path.name.removesuffix(".spill.jsonl"))
            try:
                left = spilled(own)
            except FileNotFoundError:  # another process has just read it in
                continue
            writer = Writer(self._commit, self.name)
            for record in left.records:
                writer.put_record(record)
            outcomes = [writer.put(command) for command in left.resolutions]
            if await writer.aclose(_READING_IN_SECONDS):
                raise Away("what an earlier stop had spilled cannot be written")
            for command, outcome in zip(left.resolutions, outcomes, strict=True):
                if outcome.exception() is not None or not outcome.result().stands:
                    _log.error("a spilled settlement is refused: %r", command)
            _log.warning("%s that an earlier stop had spilled are now in %s", left, self.name)
            remove_spill(own)
