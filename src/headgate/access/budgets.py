"""Budgets: how much money a key, an account or a tag may spend within a window. Pure; time is passed in.

A budget is a cap of the ledger, so concurrent requests cannot overspend it together. Each window has a counter of its
own; nothing is ever reset (facts/stream_cases.md 10.5).
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

from msgspec import Struct

from headgate.ledger.entries import Cap, Measure

_DAY_NS = 24 * 60 * 60 * 1_000_000_000


class Window(StrEnum):
    """The time that a budget is for, in UTC; weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"
    """For good."""


class Scope(StrEnum):
    """Whose spending a budget bounds."""

    KEY = "key"
    ACCOUNT = "account"
    TAG = "tag"


class Budget(Struct, frozen=True):
    """A bound on spending."""

    budget_id: str
    scope: Scope
    subject: str
    """The id of the key or account, or the tag."""
    window: Window
    limit_nanos: int

    def cap(self, now_ns: int, amount_nanos: int) -> Cap:
        """The cap of the window that holds this moment."""
        name, ends_at_ns = _window_at(self.window, now_ns)
        return Cap(self.counter_id(name), Measure.MONEY, self.limit_nanos, amount_nanos, ends_at_ns)

    def counter_id(self, window_name: str) -> str:
        """The name of a window's counter."""
        return f"budget:{self.budget_id}@{window_name}"

    def current_counter_id(self, now_ns: int) -> str:
        """The counter of the window that holds this moment."""
        return self.counter_id(_window_at(self.window, now_ns)[0])


def caps(budgets: Iterable[Budget], now_ns: int, amount_nanos: int) -> Iterator[Cap]:
    """The caps that a hold of that amount is placed under."""
    return (budget.cap(now_ns, amount_nanos) for budget in budgets)


def _window_at(window: Window, now_ns: int) -> tuple[str, int | None]:
    """The window's name and its end, in nanoseconds since the epoch."""
    today = now_ns // _DAY_NS
    match window:
        case Window.DAY:
            return "{:04d}-{:02d}-{:02d}".format(*_date(today)), (today + 1) * _DAY_NS
        case Window.WEEK:
            monday = today - (today + 3) % 7  # the epoch was a Thursday
            return "w{:04d}-{:02d}-{:02d}".format(*_date(monday)), (monday + 7) * _DAY_NS
        case Window.MONTH:
            year, month, day = _date(today)
            first = today - day + 1
            later = first + 31
            return f"{year:04d}-{month:02d}", (later - _date(later)[2] + 1) * _DAY_NS
        case Window.TOTAL:
            return "total", None


def _date(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since the epoch.

    Counted in years that begin in March, so that a leap day is the last of its year; 400 years have 146,097 days.
    """
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    march_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * march_month + 2) // 5 + 1
    month = march_month + 3 if march_month < 10 else march_month - 9
    return era * 400 + year_of_era + (month <= 2), month, day
