"""What the books of every store add up to is in the ledger's suites; here is that kept sums say the same."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.ledger.store import Sums
from headgate.stores import entry_sums
from headgate.stores.rollups_sqlite import answered
from headgate.stores.schema import migrate


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    yield from opened()


def opened() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("records.db"))
    yield connection
    connection.close()


def post(db: sqlite3.Connection, account: str, amount: int) -> None:
    serial = db.execute("SELECT coalesce(max(serial), 0) + 1 FROM entries").fetchone()[0]
    db.execute("INSERT INTO entries VALUES (?, ?, ?, 'top_up', ?, ?, 1, NULL, '')",
               (serial, f"e{serial}", account, amount, -amount))  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-9, 9), st.booleans()), max_size=12))
def test_sums_are_those_of_every_entry_whenever_they_are_kept(deeds: list[tuple[str, int, bool]]) -> None:
    for db in opened():
        for account, amount, keep in deeds:
            post(db, account, amount)
            if keep:
                answered(db, entry_sums.keep())
            assert answered(db, entry_sums.sums()) == answered(db, entry_sums.all_sums())


def test_a_few_are_added_at_once_and_an_account_without_a_row_is_told_too(db: sqlite3.Connection) -> None:
    assert answered(db, entry_sums.sums()) == {}
    assert answered(db, entry_sums.keep()) == 0
    db.execute("BEGIN")
    for _ in range(entry_sums.AT_ONCE + 3):
        post(db, "lost", 1)
    assert [answered(db, entry_sums.keep()) for _ in range(3)] == [entry_sums.AT_ONCE, 3, 0]
    whole = entry_sums.AT_ONCE + 3
    assert answered(db, entry_sums.sums()) == {"lost": Sums(whole, -whole)}


def test_kept_sums_are_trusted_and_every_single_entry_is_not(db: sqlite3.Connection) -> None:
    post(db, "acme", 5)
    answered(db, entry_sums.keep())
    db.execute("DROP TRIGGER entries_hold")
    db.execute("UPDATE entries SET posted_nanos = 7")
    assert answered(db, entry_sums.sums()) == {"acme": Sums(5, -5)}
    assert answered(db, entry_sums.all_sums()) == {"acme": Sums(7, -5)}


def test_what_is_added_at_once_is_bounded_however_many_accounts_there_are(db: sqlite3.Connection) -> None:
    for n in range(30):
        post(db, f"account-{n // 3}", 1)
    kept = []
    while entries := answered(db, entry_sums.keep(7)):
        kept.append(entries)
        assert answered(db, entry_sums.sums()) == answered(db, entry_sums.all_sums())
        assert sum(row[0] for row in db.execute("SELECT posted_nanos FROM entry_sums")) == min(30, 7 * len(kept))
    assert kept == [7, 7, 7, 7, 2]
