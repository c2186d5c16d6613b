"""What the questions answer is in sums_conformance.py; here is what they ask."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.stores import rollups
from headgate.stores.schema import MIGRATIONS
from headgate.stores.series import SeriesOf
from headgate.stores.spans import Step
from headgate.stores.summary import SUMS, GroupBy

DAY = Step.DAY.ns


@given(st.none() | st.text())
def test_a_name_can_be_written_and_comes_back(name: str | None) -> None:
    assert rollups.read_name(rollups.written_name(name)) == name


def asked(asking: "rollups.Asking[object]") -> list[str]:
    """The statements of a question that is answered with nothing."""
    statements: list[str] = []
    try:
        sql, _ = next(asking)
        while True:
            statements.append(sql)
            sql, _ = asking.send([(0, 0)] if "FROM rolled" in sql else [])
    except StopIteration:
        return statements


def test_whole_days_are_asked_of_days_and_of_nothing_else_but_what_is_not_rolled_yet() -> None:
    state, days, legs, rest = asked(rollups.usage(DAY, 3 * DAY, GroupBy.MODEL))
    assert "FROM rolled" in state
    assert "grain = 'day'" in days
    assert "legs IS NOT NULL" in legs
    assert all("FROM unrolled CROSS JOIN records" in own for own in (legs, rest))


def test_a_series_is_never_asked_of_what_is_coarser_than_its_steps() -> None:
    statements = asked(rollups.series(SeriesOf(Step.HOUR, 0, 5 * DAY)))
    assert {part for sql in statements for part in Step if f"'{part}'" in sql} == {Step.HOUR}


def test_the_tables_have_a_column_for_each_sum_and_know_each_dimension() -> None:
    db = sqlite3.connect(":memory:")
    for statements in MIGRATIONS:
        for statement in statements:
            db.execute(statement)
    columns = [name for _, name, *_ in db.execute("PRAGMA table_info(rollups)")]
    assert tuple(columns[4:]) == SUMS
    for by in rollups.NAMED:
        db.execute("INSERT INTO rollups (grain, dimension, bucket, name) VALUES ('day', ?, 1, '')",
                   (rollups.dimension_of(by),))  # fmt: skip
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("INSERT INTO rollups (grain, dimension, bucket, name) VALUES ('day', 'tag', 1, '')")
    db.close()
