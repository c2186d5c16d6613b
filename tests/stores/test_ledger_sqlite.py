import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.ledger.commands import Command, OpenAccount, Place, Post, Void
from headgate.ledger.entries import AccountKind, Cap, EntryKind, Measure
from headgate.stores import ledger_sqlite
from headgate.stores.schema import migrate


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("ledger.db"))
    yield connection
    connection.close()


OPENING: list[Command] = [OpenAccount("acme", AccountKind.PREPAID, 1), Post("top", "acme", EntryKind.TOP_UP, 10**6, 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 85, 129, 1_000])
def test_every_row_of_a_batch_is_written_once(db: sqlite3.Connection, count: int) -> None:
    """They go in statements of several rows each."""
    caps = tuple(Cap(f"c{n}", Measure.TIMES, 10_000, 1) for n in range(3))
    ledger_sqlite.apply(db, OPENING)
    ledger_sqlite.apply(db, [Place(f"h{n:04}", "acme", n, 1, "n", caps=caps) for n in range(count)])
    assert [hold.hold_id for hold in ledger_sqlite.open_holds(db)] == [f"h{n:04}" for n in range(count)]
    assert len(ledger_sqlite.entries(db, None, None, 10_000, None)) == count + 1
    assert [counter.held for counter in ledger_sqlite.counters(db, ("c0", "c1", "c2"))] == [count] * 3
    ledger_sqlite.apply(db, [Void(f"h{n:04}", "acme", 2) for n in range(count)])
    assert ledger_sqlite.open_holds(db) == []
    assert [counter.used for counter in ledger_sqlite.counters(db, ("c0", "c1", "c2"))] == [count] * 3


def test_commands_that_change_nothing_write_nothing(db: sqlite3.Connection) -> None:
    ledger_sqlite.apply(db, OPENING)
    before = db.total_changes
    outcomes = ledger_sqlite.apply(db, [*OPENING, Place("h", "acme", 10**7, 1, "n"), Void("h", "acme", 1)])
    assert [outcome.entries for outcome in outcomes] == [()] * 4
    assert db.total_changes == before


@pytest.mark.parametrize(
    ("table", "column"),
    [("holds", "hold_id"), ("entries", "entry_id"), ("counters", "cap_id"), ("accounts", "account_id")],
)
def test_what_commands_touch_is_looked_up(db: sqlite3.Connection, table: str, column: str) -> None:
    query = f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {column} {ledger_sqlite._AMONG}"
    plan = [step for *_, step in db.execute(query, ("[]",))]
    assert any(step.startswith(f"SEARCH {table}") for step in plan)
    assert not any(step.startswith(f"SCAN {table}") for step in plan)
