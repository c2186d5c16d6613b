"""Roll-ups in SQLite: running the statements of rollups.py and rolling.py on a connection."""

import sqlite3
import time
from typing import TypeVar, cast

from headgate.stores import entry_sums, rolling
from headgate.stores.rollups import Asking
from headgate.stores.rows import without_surrogates

T = TypeVar("T")


SOON = 5.0
"""Seconds."""


class Pace:
    """When it is time to roll: a while after something came; at once while there is more than goes at once.

    The first time soon after the start, for what an earlier one has left.
    """

    def __init__(self, pause: float = SOON) -> None:
        """`pause` is for how many seconds things gather: a sum costs the same whether one is added to it or many."""
        self._pause = pause
        self._due_at: float | None = time.monotonic() + min(pause, SOON)

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return self._due_at is not None and time.monotonic() >= self._due_at

    @property
    def wait_seconds(self) -> float | None:
        """How long until then; None if there is nothing to roll."""
        return None if self._due_at is None else max(0.0, self._due_at - time.monotonic())

    def more_came(self) -> None:
        """Something was written that may have to be rolled."""
        if self._due_at is None:
            self._due_at = time.monotonic() + self._pause

    def went_on(self, rolled: int) -> None:
        """So many records were rolled."""
        self._due_at = time.monotonic() if rolled >= rolling.ROLLED_AT_ONCE else None


def answered(db: sqlite3.Connection, asking: Asking[T]) -> T:
    """What comes of statements that are run in the transaction that is open."""
    try:
        sql, values = next(asking)
        while True:
            sql, values = asking.send(db.execute(sql, without_surrogates(values)).fetchall())
    except StopIteration as end:
        return cast("T", end.value)


def at_once(db: sqlite3.Connection, asking: Asking[T]) -> T:
    """The answer to a question of several statements, which all see the same moment."""
    db.execute("BEGIN")
    try:
        return answered(db, asking)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def prepare(db: sqlite3.Connection) -> None:
    """Make what `roll` and `prune` need of a connection."""
    for statement in rolling.scratch("TEXT"):
        db.execute(statement)


def roll(db: sqlite3.Connection, limit: int, now_ns: int) -> int:
    """Add at most `limit` records to the roll-ups, in the transaction that is open; returns how many."""
    _clear(db)
    return answered(db, rolling.roll(limit, now_ns))


def keep_entries(db: sqlite3.Connection) -> int:
    """Add the next entries to their accounts' sums; returns how many."""
    return answered(db, entry_sums.keep())


def prune(db: sqlite3.Connection, before_ns: int, limit: int) -> int:
    """Remove at most `limit` of the oldest records that began before then; returns how many."""
    _clear(db)
    return answered(db, rolling.prune(before_ns, limit))


def _clear(db: sqlite3.Connection) -> None:
    for table in rolling.SCRATCH:
        db.execute(f"DELETE FROM temp.{table}")  # noqa: S608 - ours
