"""What is found is in the conformance suite; here is how it is looked for."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from headgate.records import Ending, Mark, Wanted
from headgate.stores import searching
from headgate.stores.rollups import Asking, Statement
from headgate.stores.rollups_sqlite import answered
from headgate.stores.schema import migrate

PLACE = (5, "ex_5")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("records.db"))
    yield connection
    connection.close()


def asked(asking: Asking[Any], *answers: Sequence[Sequence[Any]]) -> list[Statement]:
    """The statements of a question, given these answers and then nothing."""
    left = [*answers]
    statements: list[Statement] = []
    try:
        sql, values = next(asking)
        while True:
            statements.append((sql, values))
            sql, values = asking.send(left.pop(0) if left else [])
    except StopIteration:
        return statements


@pytest.mark.parametrize(
    ("wanted", "indexes"),
    [
        (Wanted(), {"records_by_time"}),
        (Wanted(ending=Ending.COMPLETE), {"records_by_time"}),
        (Wanted(model="gpt-4o"), {"records_by_model"}),
        (Wanted(provider="openai"), {"records_by_provider"}),
        (Wanted(account="acme"), {"records_by_account"}),
        (Wanted(key="team-a"), {"records_by_key", "records_by_key_id"}),
        (Wanted(ending=Ending.REFUSED), {"records_by_ending"}),
        *((Wanted(mark=mark), {f"records_{mark}"}) for mark in Mark),
    ],
)
def test_a_page_is_read_off_an_index(db: sqlite3.Connection, wanted: Wanted, indexes: set[str]) -> None:
    """Sorted are only records of the same moment, and a key's two pages; never all that are wanted."""
    ((query, values),) = asked(searching.page(wanted, 9, PLACE))
    assert plan_of(db, query, values) == indexes


def plan_of(db: sqlite3.Connection, query: str, values: Sequence[Any]) -> set[str]:
    """The indexes that a query goes by, both ends of its time being given to them."""
    plan = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    pattern = r"SEARCH records USING (?:COVERING )?INDEX (\w+) \(.*started_at_ns>\? AND started_at_ns<\?"
    searched = [found[1] for step in plan if (found := re.match(pattern, step))]
    assert not any("SCAN records" in step for step in plan)
    assert len([step for step in plan if "TEMP B-TREE FOR ORDER BY" in step]) == (0 if len(searched) == 1 else 2)
    return set(searched)


@pytest.mark.parametrize(
    ("counts", "index"),
    [
        ([(100,), (50,), (40,), (9,)], "records_failed"),
        ([(100,), (50,), (4,), (9,)], "records_by_provider"),
        ([(100,), (0,), (4,), (9,)], "records_by_model"),
        ([(100,), (None,), (4,), (9,)], "records_by_model"),
    ],
)
def test_of_several_filters_the_rarest_leads(db: sqlite3.Connection, counts: list[tuple[int]], index: str) -> None:
    wanted = Wanted(model="a", provider="b", mark=Mark.FAILED)
    _, window, page = asked(searching.page(wanted, 9, PLACE), counts, [(None,)])
    assert plan_of(db, *page) == {index}
    steps = str(db.execute(f"EXPLAIN QUERY PLAN {window[0]}", window[1]).fetchall())
    assert f"INDEX {index} (" in steps
    assert "B-TREE" not in steps


def put(db: sqlite3.Connection, records: list[tuple[str, int, str]]) -> None:
    """Complete exchanges with openai: their ids, when they began, and models."""
    columns = (
        "exchange_id, started_at_ns, provider, model_asked, method, path, streamed, status, ending, billable, counted, "
        "total_ns, bytes_in, bytes_out, basis, delivered_bytes"
    )
    db.executemany(
        f"INSERT INTO records ({columns}) VALUES (?, ?, 'openai', ?, 'POST', '/', 1, 200, 'complete', 1, 1, 1, 1, 1, "
        "'reported', 1)",
        records,
    )


def test_candidates_are_bounded_and_it_is_said_where_to_go_on(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "WINDOW", 10)
    put(db, [(f"ex_{n:04}", n, "claude" if n == 5 else "gpt-4o") for n in range(100)])
    # Nothing is rolled yet, so that no filter is known to be rarer: the first leads, and has only one record.
    assert answered(db, searching.page(Wanted(model="claude", provider="openai"), 5, None, 30)).goes_on is None
    wanted = Wanted(provider="openai", account=None, model=None, ending=Ending.COMPLETE, mark=Mark.UNPRICED)
    pages: list[int] = []
    before = None
    while not pages or before is not None:
        found = answered(db, searching.page(wanted, 7, before, 30))
        pages.append(len(found.records))
        before = found.goes_on
        assert len(pages) < 20
    assert pages == [7]
    rare = answered(db, searching.page(Wanted(provider="openai", key="nobody"), 5, None, 30))
    assert (rare.records, rare.goes_on) == ([], (67, "!"))
    half = answered(db, searching.page(Wanted(provider="openai", mark=Mark.FAILED), 5, None, 30))
    assert (half.records, half.goes_on) == ([], (67, "!"))


def test_more_of_one_moment_than_are_looked_at_together_are_passed_by(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "WINDOW", 10)
    put(db, [(f"ex_{n:04}", 7, "gpt-4o") for n in range(50)] + [("ex_before", 6, "gpt-4o")])
    wanted = Wanted(provider="openai", key="nobody")
    for most in (20, None):
        assert answered(db, searching.page(wanted, 5, None, most)) == ([], None)
    both = Wanted(provider="openai", model="gpt-4o")
    first = answered(db, searching.page(both, 30, None))
    last = first.records[-1]
    then = answered(db, searching.page(both, 30, (last.started_at_ns, last.exchange_id)))
    names = [record.exchange_id for record in (*first.records, *then.records)]
    assert names == [*(f"ex_{n:04}" for n in reversed(range(50))), "ex_before"]
