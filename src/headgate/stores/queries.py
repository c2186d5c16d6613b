"""Reading the database file, also from another process while a gateway writes to it."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headgate.errors import ConfigError
from headgate.records import Record, Trail
from headgate.stores.rows import COLUMNS, COUNTS, from_row
from headgate.stores.schema import require_current
from headgate.stores.summary import FAILED, INFERRED, UNSENT, GroupBy, UsageRow, in_order, leg_rows, merged
from headgate.usage import Basis

_log = logging.getLogger("headgate.records")

_RECORD = f"SELECT {', '.join(COLUMNS)} FROM records"  # noqa: S608 - our own column names

_TRAIL = """
SELECT provider, EXISTS (SELECT 1 FROM records WHERE response_id = :response_id AND counted)
FROM records WHERE response_id = :response_id AND provider IS NOT NULL
ORDER BY started_at_ns DESC, rowid DESC LIMIT 1
"""

_GROUPS = {
    # NULLIF: an empty name is no name, here as in summary.py
    GroupBy.MODEL: "coalesce(nullif(served_model, ''), model_asked)",
    GroupBy.PROVIDER: "provider",
    GroupBy.KEY: "key",
    GroupBy.DAY: "date(started_at_ns / 1000000000, 'unixepoch')",
}


def _one_of(column: str, values: frozenset[str]) -> str:
    names = ", ".join(f"'{value}'" for value in sorted(values))
    return f"{column} IN ({names})"


_CANCELLED = "(ending = 'client_left' OR ending = 'never_sent' AND status = 499)"
_SUMS = ", ".join(
    (
        "count(*)",
        f"sum(NOT {_CANCELLED} AND (status >= 400 OR {_one_of('ending', FAILED)}))",
        f"sum({_CANCELLED})",
        f"sum(counted AND {_one_of('basis', INFERRED)})",
        f"sum(billable AND basis = '{Basis.NONE}' AND NOT {_one_of('ending', UNSENT)})",
        *(f"sum({name}) FILTER (WHERE counted)" for name in COUNTS),
        "sum(estimated_input_tokens) FILTER (WHERE counted)",
        "sum(estimated_output_tokens) FILTER (WHERE counted)",
    )
)
"""One expression for each of summary.SUMS, in its order."""


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
        with self._reading() as db:
            rows = db.execute(f"{_RECORD} WHERE exchange_id = ?", (exchange_id,)).fetchall()
        return from_row(rows[0]) if rows else None

    def records(self, since_ns: int | None = None, limit: int = 100) -> list[Record]:
        """The newest records, newest first; `since_ns`, since the Unix epoch, leaves out what began before it."""
        query = f"{_RECORD} WHERE started_at_ns >= ? ORDER BY started_at_ns DESC, rowid DESC LIMIT ?"
        with self._reading() as db:
            rows = db.execute(query, (since_ns or 0, limit)).fetchall()
        return [from_row(row) for row in rows]

    def usage(self, since_ns: int | None, by: GroupBy) -> list[UsageRow]:
        """The sums over all records, or those since `since_ns`, one row for each group."""
        query = f"SELECT {_GROUPS[by]}, {_SUMS} FROM records WHERE started_at_ns >= ? GROUP BY 1"  # noqa: S608 - ours
        with_legs = f"{_RECORD} WHERE started_at_ns >= ? AND legs IS NOT NULL"
        with self._reading() as db:
            db.execute("BEGIN")  # both queries see the same moment
            sums = [UsageRow(*row) for row in db.execute(query, (since_ns or 0,))]
            legs = [row for found in db.execute(with_legs, (since_ns or 0,)) for row in leg_rows(from_row(found), by)]
        return in_order(merged([*sums, *legs]), by)

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


class TrailLookup:
    """Finds trails for the running gateway: on a connection kept open (some 5 µs instead of 100), and never waiting."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._failing = False

    def find(self, response_id: str) -> Trail | None:
        """The trail on disk. None also while the file cannot be read, which is logged once and not raised."""
        with self._lock:
            try:
                rows = self._opened().execute(_TRAIL, {"response_id": response_id}).fetchall()
            except sqlite3.Error as error:
                if not self._failing:
                    _log.error("trails of responses cannot be read from %s: %s", self._path, error)
                self._failing = True
                self._let_go()
                return None
        self._failing = False
        return Trail(rows[0][0], bool(rows[0][1])) if rows else None

    def close(self) -> None:
        """Let go of the file. The next look-up opens it again."""
        with self._lock:
            self._let_go()

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = _open(self._path, busy_seconds=0.0)
        return self._db

    def _let_go(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
