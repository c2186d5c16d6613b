"""Budgets: how much money a key, an account or a tag may spend within a window. Pure; time is passed in.

A budget is a cap of the ledger, so concurrent requests cannot overspend it together. Each window has a counter of its
own; nothing is ever reset (facts/stream_cases.md 10.5).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from headgate.ledger.entries import Cap, Measure

_NS = 1_000_000_000


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


@dataclass(frozen=True, slots=True)
class Budget:
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
    today = datetime.fromtimestamp(now_ns // _NS, UTC).replace(hour=0, minute=0, second=0)
    match window:
        case Window.DAY:
            return today.date().isoformat(), _ns(today + timedelta(days=1))
        case Window.WEEK:
            monday = today - timedelta(days=today.weekday())
            return "w" + monday.date().isoformat(), _ns(monday + timedelta(days=7))
        case Window.MONTH:
            return today.strftime("%Y-%m"), _ns((today.replace(day=1) + timedelta(days=32)).replace(day=1))
        case Window.TOTAL:
            return "total", None


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * _NS
