"""Putting records into SQLite: many rows in a statement, and of each only what it has.

A record has some seventy columns and values in half of them, and to hand over a value costs as much as to store it. So
records that have values in the same columns go in one statement, which names only these.
"""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, compress

from headgate.records import Record
from headgate.stores.rows import COLUMNS, Row, to_row, without_surrogates
from headgate.stores.statements import together

_log = logging.getLogger("headgate.records")

UNWRITABLE = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    AttributeError,
    TypeError,
    ValueError,
)
"""What a record or a command can be refused for by its own fault. All else is the file's or the machine's, and may
pass."""

# A rowid is the number of a record's arrival; one that was removed, or changed by a VACUUM, is not given again.
_LAST = "max(last, coalesce((SELECT max(rowid) FROM records), 0))"
_ARRIVED = f"UPDATE arrivals SET last = {_LAST}"  # noqa: S608 - ours

_Numbered = tuple[int, Row, Record]
"""The number of an arrival, and the record with its row."""


def keep(db: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Insert records inside the transaction that is open, in their order. One that is there already is passed over.

    A record that no table can hold is told in the log and left out: it costs the others nothing.
    """
    ((last,),) = db.execute(f"SELECT {_LAST} FROM arrivals").fetchall()  # noqa: S608 - ours
    shapes: dict[tuple[bool, ...], list[_Numbered]] = {}
    for number, record in enumerate(records, start=last + 1):
        try:
            row = to_row(record)
        except UNWRITABLE as error:
            _tell(error, record)
        else:
            shapes.setdefault(tuple([value is not None for value in row]), []).append((number, row, record))
    for shape, rows in shapes.items():
        for part in together(rows):
            _insert(db, shape, part)
    db.execute(_ARRIVED)


def _insert(db: sqlite3.Connection, shape: tuple[bool, ...], rows: Sequence[_Numbered]) -> None:
    """Insert rows of a shape in one statement. One that fails is undone alone, and its rows are tried one by one."""
    sql = _statement(shape, len(rows))
    try:
        db.execute(sql, [*chain.from_iterable((number, *compress(row, shape)) for number, row, _ in rows)])
    except UNWRITABLE as error:
        if len(rows) > 1:
            for one in rows:
                _insert(db, shape, [one])
            return
        ((number, row, record),) = rows
        if isinstance(error, UnicodeEncodeError):
            _insert(db, shape, [(number, without_surrogates(row), record)])
        else:
            _tell(error, record)


@lru_cache(maxsize=1_000)
def _statement(shape: tuple[bool, ...], rows: int) -> str:
    # A repeat of an exchange id is the same record again, after a commit whose success could not be seen.
    names = [*compress(COLUMNS, shape)]
    row = f"(?, {', '.join('?' * len(names))})"
    return (
        f"INSERT INTO records (rowid, {', '.join(names)}) VALUES {', '.join([row] * rows)} "  # noqa: S608 - ours
        "ON CONFLICT (exchange_id) DO NOTHING"
    )


def _tell(error: Exception, record: Record) -> None:
    _log.error("a record can never be written (%s) and is lost: %r", error, record)
