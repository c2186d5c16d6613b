"""What it finds is in the conformance suite; here is what SQLite does for it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.audit.deeds import DeedsWanted
from headgate.audit.transcripts import TranscriptsWanted
from headgate.stores import audit_sql
from headgate.stores.schema import migrate


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("audit.db"))
    yield connection
    connection.close()


def plan(db: sqlite3.Connection, sql: str, values: list[object]) -> list[str]:
    return [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


def test_no_value_stands_in_a_query() -> None:
    mean = "'; DROP TABLE deeds --"
    sql, values = audit_sql.deeds(DeedsWanted(1, 2, mean, mean, mean, mean), 5, 9, "?", "instr")
    assert mean not in sql
    assert values == [9, 1, 2, mean, mean, mean, mean.lower(), 5]
    sql, values = audit_sql.transcripts(TranscriptsWanted(1, 2, mean, mean), 5, (9, mean), "$", "strpos")
    assert mean not in sql
    assert values == [1, 2, mean, 9, mean, 5, mean.lower()]


@pytest.mark.parametrize("wanted", [TranscriptsWanted(), TranscriptsWanted(5, 9, "team", "text")])
def test_which_transcripts_to_look_at_is_read_off_an_index(db: sqlite3.Connection, wanted: TranscriptsWanted) -> None:
    steps = plan(db, *audit_sql.transcripts(wanted, 100, (8, "ex_1"), "?", "instr"))
    assert any("COVERING INDEX transcripts_by_time" in step for step in steps), steps


def test_deeds_are_read_in_their_order(db: sqlite3.Connection) -> None:
    steps = plan(db, *audit_sql.deeds(DeedsWanted(text="x"), 100, 50, "?", "instr"))
    assert steps == ["SEARCH deeds USING INTEGER PRIMARY KEY (rowid<?)"]


def test_the_oldest_are_pruned_by_the_index(db: sqlite3.Connection) -> None:
    steps = plan(db, audit_sql.prune("?"), [5, 10])
    assert any("INDEX transcripts_by_time (at_ns<?)" in step for step in steps), steps
