"""That sums stay exact is in sums_conformance.py; here is what is kept of minutes, and what is not removed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headgate.stores.file_sqlite import SqliteFile
from headgate.stores.rolling import MINUTES_KEPT_NS
from headgate.stores.rollups_sqlite import prune, roll
from headgate.stores.spans import Step
from headgate.usage import Leg, Usage
from tests.stores.examples import DAY_NS, NOON, a_record

HOUR = Step.HOUR.ns


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteFile]:
    with closing(SqliteFile(tmp_path / "records.db")) as opened:
        yield opened


def minutes(db: sqlite3.Connection) -> list[int]:
    """The minutes that there are roll-ups of, before NOON or after it."""
    found = db.execute("SELECT DISTINCT bucket FROM rollups WHERE grain = 'minute' ORDER BY 1")
    return [bucket - NOON // Step.MINUTE.ns for (bucket,) in found]


def test_roll_ups_of_minutes_go_after_some_days_and_hours_stay(file: SqliteFile) -> None:
    oldest = -MINUTES_KEPT_NS // Step.MINUTE.ns
    for at, kept in ((0, [0]), (oldest, [oldest, 0]), (oldest + 2, [oldest, oldest + 2, 0]), (2, [oldest + 2, 0, 2])):
        file.write([a_record(f"ex_{at}", started_at_ns=NOON + at * Step.MINUTE.ns)])
        assert roll(file._db, 10, NOON + 9 * DAY_NS) == 1
        assert minutes(file._db) == kept
    query = "SELECT sum(exchanges) FROM rollups WHERE grain = 'hour' AND dimension = 'all'"
    assert file._db.execute(query).fetchall() == [(4,)]


def test_what_comes_late_makes_no_minutes_that_are_kept_no_more(file: SqliteFile) -> None:
    file.write([a_record("ex_1", started_at_ns=NOON)])
    roll(file._db, 10, NOON)
    file.write([a_record("ex_2", started_at_ns=NOON - MINUTES_KEPT_NS - 1)])
    roll(file._db, 10, NOON)
    assert minutes(file._db) == [0]


def test_a_clock_that_runs_ahead_takes_no_minutes_away(file: SqliteFile) -> None:
    file.write([a_record("ex_1", started_at_ns=NOON), a_record("ex_2", started_at_ns=2**63 - 1)])
    roll(file._db, 10, NOON)
    assert minutes(file._db)[0] == 0


def test_records_are_rolled_once_in_bounded_steps(file: SqliteFile) -> None:
    file.write([a_record(f"ex_{n}") for n in range(5)])
    file.write([a_record("ex_0")])
    assert [roll(file._db, 2, NOON) for _ in range(4)] == [2, 2, 1, 0]


def test_many_legs_are_added_up(file: SqliteFile) -> None:
    legs = tuple(Leg("advisor", f"model-{n % 7}", Usage(input_tokens=1)) for n in range(60))
    file.write([a_record(usage=Usage(legs=legs))])
    roll(file._db, 1, NOON)
    query = "SELECT count(*), sum(input_tokens) FROM rollups WHERE grain = 'day' AND dimension = ?"
    assert file._db.execute(query, ("model",)).fetchall() == [(8, 60)]
    assert file._db.execute(query, ("all",)).fetchall() == [(1, 60)]


def test_what_is_not_in_the_roll_ups_is_not_removed(file: SqliteFile) -> None:
    file.write([a_record("ex_1"), a_record("ex_2")])
    roll(file._db, 1, NOON)
    assert prune(file._db, NOON + 1, 10) == 1
    assert file._db.execute("SELECT exchange_id FROM records").fetchall() == [("ex_2",)]
    assert file._db.execute("SELECT pruned_until_ns FROM rolled").fetchall() == [(NOON + HOUR,)]


def test_the_oldest_are_removed_first(file: SqliteFile) -> None:
    file.write([a_record(f"ex_{n}", started_at_ns=NOON - n) for n in range(4)])
    roll(file._db, 10, NOON)
    assert prune(file._db, NOON, 2) == 2
    assert file._db.execute("SELECT exchange_id FROM records ORDER BY 1").fetchall() == [("ex_0",), ("ex_1",)]


def test_old_minutes_go_a_few_at_a_time_wherever_they_lie(file: SqliteFile) -> None:
    """After a pause of a week too: what is counted is minutes that have roll-ups."""
    before = range(0, 30, 2)
    file.write([a_record(f"ex_{n}", started_at_ns=NOON + n * Step.MINUTE.ns) for n in before])
    roll(file._db, 100, NOON)
    week = 7 * DAY_NS // Step.MINUTE.ns
    lasting = []
    for n in range(3):
        file.write([a_record(f"ex_late_{n}", started_at_ns=NOON + 7 * DAY_NS)])
        roll(file._db, 100, NOON + 9 * DAY_NS)
        lasting.append(minutes(file._db))
    assert lasting == [[*before[10:], week], [week], [week]]


def test_what_has_no_record_any_more_holds_up_nothing(file: SqliteFile) -> None:
    file.write([a_record("ex_1")])
    file._db.execute("DELETE FROM records")
    assert roll(file._db, 10, NOON) == 1
    assert roll(file._db, 10, NOON) == 0
