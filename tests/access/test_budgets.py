from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.access.budgets import Budget, Scope, Window, caps
from headgate.ledger.commands import Capture, OpenAccount, Place
from headgate.ledger.entries import AccountKind, Cap, Counter, Measure, Result
from headgate.ledger.machine import Books

SECOND = 1_000_000_000
DAY, WEEK, MONTH, TOTAL = Window.DAY, Window.WEEK, Window.MONTH, Window.TOTAL


def at(text: str) -> int:
    """A moment, written in UTC, in nanoseconds since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def budget(window: Window, budget_id: str = "b") -> Budget:
    return Budget(budget_id, Scope.KEY, "key_1", window, 500)


@pytest.mark.parametrize(
    ("window", "now", "name", "ends"),
    [
        (DAY, "2026-11-21T00:00:00", "2026-11-21", "2026-11-22"),
        (DAY, "2026-11-21T23:59:59", "2026-11-21", "2026-11-22"),
        (DAY, "2026-12-31T12:00:00", "2026-12-31", "2027-01-01"),
        (DAY, "2028-02-28T12:00:00", "2028-02-28", "2028-02-29"),
        (DAY, "2028-02-29T12:00:00", "2028-02-29", "2028-03-01"),
        (DAY, "2027-02-28T12:00:00", "2027-02-28", "2027-03-01"),
        (DAY, "1970-01-01T00:00:00", "1970-01-01", "1970-01-02"),
        # Mondays are 2026-11-16, 2026-11-23, 2026-12-28 and 2028-02-28
        (WEEK, "2026-11-16T00:00:00", "w2026-11-16", "2026-11-23"),
        (WEEK, "2026-11-21T12:00:00", "w2026-11-16", "2026-11-23"),
        (WEEK, "2026-11-22T23:59:59", "w2026-11-16", "2026-11-23"),
        (WEEK, "2026-11-23T00:00:00", "w2026-11-23", "2026-11-30"),
        (WEEK, "2027-01-01T00:00:00", "w2026-12-28", "2027-01-04"),
        (WEEK, "2028-03-01T00:00:00", "w2028-02-28", "2028-03-06"),
        (WEEK, "1970-01-01T00:00:00", "w1969-12-29", "1970-01-05"),
        (MONTH, "2026-11-01T00:00:00", "2026-11", "2026-12-01"),
        (MONTH, "2026-11-30T23:59:59", "2026-11", "2026-12-01"),
        (MONTH, "2026-12-31T23:59:59", "2026-12", "2027-01-01"),
        (MONTH, "2027-01-31T00:00:00", "2027-01", "2027-02-01"),
        (MONTH, "2027-02-28T23:59:59", "2027-02", "2027-03-01"),
        (MONTH, "2028-02-29T23:59:59", "2028-02", "2028-03-01"),
        (MONTH, "2000-02-29T00:00:00", "2000-02", "2000-03-01"),
        (MONTH, "2100-02-28T23:59:59", "2100-02", "2100-03-01"),
    ],
)
def test_windows_at_their_edges(window: Window, now: str, name: str, ends: str) -> None:
    assert budget(window).cap(at(now), 7) == Cap(f"budget:b@{name}", Measure.MONEY, 500, 7, at(ends))


def test_the_last_nanosecond_of_a_window_is_in_it_and_the_next_is_not() -> None:
    for window in (DAY, WEEK, MONTH):
        here = budget(window).cap(at("2028-02-29T12:00:00"), 0)
        assert here.ends_at_ns is not None
        assert budget(window).cap(here.ends_at_ns - 1, 0) == here
        assert budget(window).cap(here.ends_at_ns, 0).cap_id != here.cap_id


def test_a_total_has_no_end() -> None:
    then, later = budget(TOTAL).cap(0, 7), budget(TOTAL).cap(at("2100-01-01"), 7)
    assert then == later == Cap("budget:b@total", Measure.MONEY, 500, 7, None)


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(2400, 1, 1)), st.integers(0, 86_400 * SECOND - 1))
def test_windows_are_those_of_the_calendar(day: date, of_day: int) -> None:
    """Told by the standard library's calendar, which the code below the gateway does without."""
    now = (day - date(1970, 1, 1)).days * 86_400 * SECOND + of_day
    monday = day - timedelta(days=day.weekday())
    month = day.replace(day=1)
    for window, name, end in (
        (DAY, day.isoformat(), day + timedelta(days=1)),
        (WEEK, f"w{monday.isoformat()}", monday + timedelta(days=7)),
        (MONTH, month.isoformat()[:7], (month + timedelta(days=31)).replace(day=1)),
    ):
        cap = budget(window).cap(now, 1)
        assert cap.cap_id == f"budget:b@{name}"
        assert cap.ends_at_ns == (end - date(1970, 1, 1)).days * 86_400 * SECOND


@given(st.sampled_from(Window), st.integers(0, at("2400-01-01")))
def test_the_counter_of_now_is_the_one_that_the_cap_of_now_counts_on(window: Window, now: int) -> None:
    assert budget(window).current_counter_id(now) == budget(window).cap(now, 1).cap_id


def test_every_window_of_every_budget_has_a_counter_of_its_own() -> None:
    days = [at("2026-11-01") + n * 86_400 * SECOND for n in range(400)]
    names = {budget(window, b).current_counter_id(now) for window in Window for b in ("a", "b") for now in days}
    weeks, months = 58, 14  # of 400 days from Sunday, 2026-11-01: the first week has one of them
    assert len(names) == 2 * (len(days) + weeks + months + 1)


def test_all_budgets_of_a_key_are_caps_of_its_hold() -> None:
    now = at("2026-11-21")
    budgets = [budget(window, name) for name, window in (("a", DAY), ("b", MONTH), ("c", TOTAL))]
    assert list(caps(budgets, now, 9)) == [b.cap(now, 9) for b in budgets]
    assert not list(caps([], now, 9))


def test_what_runs_over_the_edge_of_a_window_is_spent_where_it_began_and_nothing_is_reset() -> None:
    """facts/stream_cases.md 10.5."""
    midnight, books = at("2026-11-22T00:00:00"), Books()
    books.apply(OpenAccount("a", AccountKind.POSTPAID, 0))

    def ask(hold_id: str, now: int, amount: int) -> Result:
        return books.apply(Place(hold_id, "a", amount, now, "n", caps=(budget(DAY).cap(now, amount),))).result

    assert ask("before", midnight - 1, 400) is Result.DONE
    assert ask("too much", midnight - 1, 101) is Result.OVER_CAP
    assert ask("after", midnight, 450) is Result.DONE, "a new day"
    assert books.apply(Capture("before", "a", 390, midnight + 5)).stands
    assert ask("late", midnight + 6, 51) is Result.OVER_CAP, "what ended today was yesterday's"
    assert books.apply(Capture("after", "a", 30, midnight + 7)).stands
    yesterday, today = (budget(DAY).cap(now, 0) for now in (midnight - 1, midnight))
    assert list(books.counters.values()) == [
        Counter(yesterday.cap_id, 390, 0, yesterday.ends_at_ns),
        Counter(today.cap_id, 30, 0, today.ends_at_ns),
    ]
