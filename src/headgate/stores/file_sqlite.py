"""The database file, open for writing: WAL, synchronous=FULL, so that what is committed survives a power cut."""

import errno
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from headgate.errors import ConfigError
from headgate.ledger.commands import Command
from headgate.ledger.entries import Outcome
from headgate.records import Record
from headgate.stores import ledger_sqlite
from headgate.stores.known_sqlite import Known
from headgate.stores.records_sqlite import UNWRITABLE, keep
from headgate.stores.rolling import ROLLED_AT_ONCE
from headgate.stores.rollups_sqlite import keep_entries, prepare, roll
from headgate.stores.rows import as_settled
from headgate.stores.schema import migrate
from headgate.stores.statements import PREPARED

_log = logging.getLogger("headgate.records")

BUSY_SECONDS = 2.0
"""How long a write waits for another process's lock before it counts as failed."""

_NONE: Mapping[int, Record] = MappingProxyType({})

Task = Callable[[sqlite3.Connection], object]
"""Any other change, such as a key's. What it returns, or the ValueError that it raises, goes to who asked for it."""


class SqliteFile:
    """One connection. When a method raises, close it and open another: nothing of it is to be trusted.

    With a mark, only the file that bears it is opened, and none is made: in a file that was put in its place the
    accounts would be missing, and whatever was owed would be refused for good.

    Raises sqlite3.Error or OSError where the file cannot be opened or written, ConfigError where a newer headgate has
    written it.
    """

    def __init__(self, path: Path, mark: str | None = None) -> None:
        self._path = path
        self._known = Known()
        mode = "rwc" if mark is None else "rw"
        # Opened by the thread that starts the gateway, used by the writer's, never by two at once.
        self._db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None,
            check_same_thread=False, cached_statements=PREPARED,
        )  # fmt: skip
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA temp_store = MEMORY")  # for what undoes a single statement
            prepare(self._db)
            if mark is None:
                migrate(self._db, path)
            self.mark = str(self._db.execute("SELECT mark FROM file_mark").fetchall()[0][0])
            if mark not in {None, self.mark}:
                raise FileNotFoundError(errno.ENOENT, "another database stands in the place of ours", str(path))
            self._inode = _inode(path)
        except (sqlite3.Error, OSError, ConfigError):
            self._db.close()
            raise

    def write(
        self,
        records: Sequence[Record],
        commands: Sequence[Command] = (),
        tasks: Sequence[Task] = (),
        settled: Mapping[int, Record] = _NONE,
    ) -> tuple[list[Outcome | ValueError], list[object]]:
        """Commit all of it in one transaction; tells what became of the commands and of the tasks.

        `settled` has the records of exchanges by the index of the command that settles them. A record whose exchange
        id is there already is passed over.
        """
        try:
            told = self._commit(records, commands, tasks, settled, self._known)
        except UNWRITABLE:
            told = self._commit(records, commands, tasks, settled, None)
        if _inode(self._path) != self._inode:  # a removed file takes writes without complaint
            raise FileNotFoundError(errno.ENOENT, "the file was replaced", str(self._path))
        return told

    def roll(self, now_ns: int) -> int:
        """Add some records to the roll-ups, in a transaction of its own; returns how many."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            return roll(self._db, ROLLED_AT_ONCE, now_ns)

    def keep_entries(self) -> int:
        """Add some entries to their accounts' sums, in a transaction of its own; returns how many."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            return keep_entries(self._db)

    def _commit(
        self,
        records: Sequence[Record],
        commands: Sequence[Command],
        tasks: Sequence[Task],
        settled: Mapping[int, Record],
        known: Known | None,
    ) -> tuple[list[Outcome | ValueError], list[object]]:
        """Without what is known of the ledger's rows every command is tried by itself."""
        self._known = Known()  # what has not been committed is not known
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            outcomes = self._apply_one_by_one(commands) if known is None else self._apply(commands, known)
            if records or settled:
                keep(self._db, [*records, *(as_settled(record, outcomes[at]) for at, record in settled.items())])
            answers = [self._answer(task) for task in tasks]
        if known is not None and not tasks:  # which may do anything
            self._known = known
        return outcomes, answers

    def _apply(self, commands: Sequence[Command], known: Known) -> list[Outcome | ValueError]:
        # Not inside a savepoint, which would have SQLite copy every page before it is changed.
        if not commands:
            return []
        known.begin(self._db)
        return [*ledger_sqlite.apply(self._db, commands, known)]

    def _apply_one_by_one(self, commands: Sequence[Command]) -> list[Outcome | ValueError]:
        """Where the tables refuse what the books allow: all but those that they refuse."""
        outcomes: list[Outcome | ValueError] = []
        for command in commands:
            try:
                with self._undoing():
                    outcomes += ledger_sqlite.apply(self._db, [command])
            except UNWRITABLE as error:
                _log.error("a command can never be written (%s): %r", error, command)
                outcomes.append(ValueError(f"{command!r:.200} cannot be kept: {error}"))
        return outcomes

    def _answer(self, task: Task) -> object:
        try:
            with self._undoing():
                return task(self._db)
        except ValueError as error:
            return error

    @contextmanager
    def _undoing(self) -> Iterator[None]:
        """What happens inside is undone, and only that, when an error leaves the block."""
        self._db.execute("SAVEPOINT part")
        try:
            yield
        except UNWRITABLE:
            self._db.execute("ROLLBACK TO part")
            self._db.execute("RELEASE part")
            raise
        self._db.execute("RELEASE part")

    def close(self) -> None:
        """Let go of the file; what was not committed is undone."""
        self._db.close()


def _inode(path: Path) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 - a third of the time, and it is asked after every commit
    return status.st_dev, status.st_ino
