"""Reading the database file, also from another process while a gateway writes to it."""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from headgate.errors import Busy, ConfigError
from headgate.records import Record, Trail, Wanted
from headgate.stores import records_sql, rollups, searching
from headgate.stores.rollups_sqlite import at_once
from headgate.stores.rows import from_row
from headgate.stores.schema import require_current
from headgate.stores.searching import Found
from headgate.stores.series import Series, SeriesOf
from headgate.stores.summary import GroupBy, UsageRow

_log = logging.getLogger("headgate.records")
T = TypeVar("T")


def find(db: sqlite3.Connection, exchange_id: str) -> Record | None:
    """The record of an exchange, if it is on disk."""
    rows = db.execute(f"{records_sql.RECORD} WHERE exchange_id = ?", (exchange_id,)).fetchall()
    return from_row(rows[0]) if rows else None


def trail(db: sqlite3.Connection, response_id: str) -> Trail | None:
    """The provider of the newest exchange of that response id on disk, and whether any of them was counted."""
    rows = db.execute(records_sql.trail("?1", "rowid"), (response_id,)).fetchall()
    return Trail(rows[0][0], bool(rows[0][1])) if rows else None


def records(db: sqlite3.Connection, since_ns: int | None, limit: int) -> list[Record]:
    """The newest records, newest first; `since_ns`, since the Unix epoch, leaves out what began before it."""
    return [from_row(row) for row in db.execute(records_sql.newest("?1", "?2", "rowid"), (since_ns or 0, limit))]


def search(db: sqlite3.Connection, wanted: Wanted, limit: int, before: tuple[int, str] | None) -> list[Record]:
    """At most `limit` records in descending order of (started_at_ns, exchange_id), below `before`."""
    return at_once(db, searching.page(wanted, limit, before, most=None)).records


def page(db: sqlite3.Connection, wanted: Wanted, limit: int, before: tuple[int, str] | None) -> Found:
    """The same; fewer where they are hard to find, and where to go on."""
    return at_once(db, searching.page(wanted, limit, before))


def arrived(db: sqlite3.Connection, after: int, limit: int, missing: Sequence[int]) -> list[tuple[int, Record]]:
    """At most `limit` records that were written after a number, with their numbers, and those of missed numbers."""
    query = records_sql.arrived("rowid", "?1", "IN (SELECT value FROM json_each(?2))", "?3")
    rows = db.execute(query, (after, json.dumps(list(missing)), limit))
    return [(number, from_row(row)) for number, *row in rows]


def last_arrivals(db: sqlite3.Connection, limit: int) -> list[int]:
    """The numbers of the records that were written last."""
    return [number for (number,) in db.execute(records_sql.last_arrivals("rowid", "?1"), (limit,))]


def older_than(db: sqlite3.Connection, before_ns: int) -> tuple[int, int | None]:
    """How many records began before then, and when the first of them did."""
    ((number, first_ns),) = db.execute(records_sql.older_than("?1"), (before_ns,)).fetchall()
    return number, first_ns


def usage(db: sqlite3.Connection, since_ns: int | None, until_ns: int | None, by: GroupBy) -> list[UsageRow]:
    """The sums over the records that began in a span, one row for each group."""
    return at_once(db, rollups.usage(since_ns, until_ns, by))


def series(db: sqlite3.Connection, of: SeriesOf) -> Series:
    """The sums step by step."""
    return at_once(db, rollups.series(of))


def _open(path: Path, busy_seconds: float) -> sqlite3.Connection:
    uri = path.absolute().as_uri() + "?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False)


class SqliteRecords:
    """The records of one database file, read only. Every question has a connection of its own.

    Raises ConfigError, from every method, when the file is not there or is not a record store of this headgate.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, exchange_id: str) -> Record | None:
        """The record of an exchange, if it is on disk."""
        return self.ask(lambda db: find(db, exchange_id))

    def records(self, since_ns: int | None = None, limit: int = 100) -> list[Record]:
        """The newest records, newest first; `since_ns`, since the Unix epoch, leaves out what began before it."""
        return self.ask(lambda db: records(db, since_ns, limit))

    def usage(self, since_ns: int | None, by: GroupBy, until_ns: int | None = None) -> list[UsageRow]:
        """The sums over the records that began in a span, one row for each group."""
        return self.ask(lambda db: usage(db, since_ns, until_ns, by))

    def series(self, of: SeriesOf) -> Series:
        """The sums step by step, in all or by group."""
        return self.ask(lambda db: series(db, of))

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """The answer to any question about the file."""
        with self._reading() as db:
            return question(db)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self.path.is_file():
            raise ConfigError(f"{self.path}: there is no such file.")
        try:
            db = _open(self.path, busy_seconds=5.0)
            try:
                require_current(db, self.path)
                yield db
            finally:
                db.close()
        except sqlite3.Error as error:
            raise ConfigError(f"{self.path}: cannot be read as a record store: {error}.") from error


class Reader:
    """Answers the running gateway in the thread that asks, on a connection kept open (some 5 µs instead of 100).

    Nothing that takes long may be asked here: the event loop waits for the answer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._closed = False
        self._failing = False

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """The answer. Raises Busy while the file cannot be read, which is logged once, or once this is closed."""
        with self._lock:
            if self._closed:
                raise Busy("The database has been closed.")
            try:
                answer = question(self._opened())
            except sqlite3.Error as error:
                if not self._failing:
                    _log.error("%s cannot be read: %s", self._path, error)
                self._failing = True
                self._drop()
                raise Busy("The database cannot be read at the moment.") from error
            self._failing = False
            return answer

    def let_go(self) -> None:
        """Let go of the file: it may no longer be the one at its path. The next question opens it again."""
        with self._lock:
            self._drop()

    def close(self) -> None:
        """Let go of the file for good."""
        with self._lock:
            self._closed = True
            self._drop()

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            # Readers wait for nobody, but for a moment when another process puts a file right that was left open.
            self._db = _open(self._path, busy_seconds=0.5)
        return self._db

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
