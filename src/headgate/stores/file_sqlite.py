"""The database file, open for writing: WAL, synchronous=FULL, so that what is committed survives a power cut."""

import errno
import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from headgate.errors import ConfigError
from headgate.records import Record
from headgate.stores.rows import COLUMNS, Row, to_row, without_surrogates
from headgate.stores.schema import migrate

_log = logging.getLogger("headgate.records")

BUSY_SECONDS = 2.0
"""How long a write waits for another process's lock before it counts as failed."""

# A repeat of an exchange id is the same record again, after a commit whose success could not be seen.
_INSERT = (
    f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608 - ours
    "ON CONFLICT (exchange_id) DO NOTHING"
)

_UNWRITABLE = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    AttributeError,
    TypeError,
    ValueError,
)
"""What a record can be refused for by its own fault. Anything else is the file's or the machine's, and may pass."""


class RecordTable:
    """One connection. When a method raises, close it and open another: nothing of it is to be trusted.

    Raises sqlite3.Error or OSError where the file cannot be opened or written, ConfigError where a newer headgate has
    written it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Opened by the thread that starts the gateway, used by the writer's, never by two at once.
        self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            migrate(self._db, path)
            self._inode = _inode(path)
        except (sqlite3.Error, OSError, ConfigError):
            self._db.close()
            raise

    def write(self, records: Iterable[Record]) -> None:
        """Commit records in one transaction; one whose exchange id is there already is passed over."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for record in records:
                # A statement that fails is undone alone, so one bad record costs the others nothing.
                try:
                    self._insert(to_row(record))
                except _UNWRITABLE as error:
                    _log.error("a record can never be written (%s) and is lost: %r", error, record)
        if _inode(self._path) != self._inode:  # a removed file takes writes without complaint
            raise FileNotFoundError(errno.ENOENT, "the file was replaced", str(self._path))

    def _insert(self, row: Row) -> None:
        try:
            self._db.execute(_INSERT, row)
        except UnicodeEncodeError:
            self._db.execute(_INSERT, without_surrogates(row))

    def close(self) -> None:
        """Let go of the file; what was not committed is undone."""
        self._db.close()


def _inode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
