"""What the questions answer is in the conformance suite, of both databases."""

import re

from headgate.records import Mark
from headgate.stores import records_sql
from headgate.stores.rows import COLUMNS
from headgate.stores.summary import SUMS


def top_level(selected: str) -> list[str]:
    """The parts between the commas that stand in no brackets."""
    while True:
        bare = re.sub(r"\([^()]*\)", "", selected)
        if bare == selected:
            return bare.split(",")
        selected = bare


def test_there_is_one_expression_for_each_sum_and_one_condition_for_each_mark() -> None:
    assert len(records_sql.SUMMED) == len(SUMS)
    assert set(records_sql.MARKS) == set(Mark)
    assert all(len(top_level(expression)) == 1 for expression in records_sql.SUMMED)


def test_rows_are_whole_and_values_are_the_databases_own_placeholders() -> None:
    query = records_sql.newest("$7", "$8", "arrival")
    assert top_level(query.split(" FROM ")[0].removeprefix("SELECT ")) == [
        name if at == 0 else f" {name}" for at, name in enumerate(COLUMNS)
    ]
    assert "started_at_ns >= $7" in query
    assert records_sql.trail("$7", "arrival").count("$7") == 2
