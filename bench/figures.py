"""What is measured, as data, and the statistics over rounds. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Args:
        key: its name in the JSON.
        label: its name in the table.
        digits: decimals shown.
        over_direct: True if what is shown is the value minus the same round's value of `direct`.
    """

    key: str
    label: str
    digits: int = 0
    over_direct: bool = False


FIGURES = (
    Figure("rps_c1", "requests/s, 1 connection"),
    Figure("rps_c10", "requests/s, 10 connections"),
    Figure("rps_c50", "requests/s, 50 connections"),
    Figure("cpu_us_c1", "CPU µs per request, 1 connection", 1),
    Figure("cpu_us_c10", "CPU µs per request, 10 connections", 1),
    Figure("cpu_us_c50", "CPU µs per request, 50 connections", 1),
    Figure("cpu_us_chunk", "CPU µs per streamed chunk, 500 streams at 20/s", 1),
    Figure("first_p50_us", "added time to first token, p50 µs, 50 streams", over_direct=True),
    Figure("first_p99_us", "added time to first token, p99 µs, 50 streams", over_direct=True),
    Figure("latency_p50_us_c1", "added latency, p50 µs, 1 connection", over_direct=True),
    Figure("latency_p99_us_c1", "added latency, p99 µs, 1 connection", over_direct=True),
    Figure("latency_p50_us_c10", "added latency, p50 µs, 10 connections", over_direct=True),
    Figure("latency_p99_us_c10", "added latency, p99 µs, 10 connections", over_direct=True),
    Figure("late_p99_us", "lateness of a chunk, p99 µs, 200 streams at 20/s, no dashboard open"),
    Figure("late_p99_us_watched", "the same, 1 dashboard open"),
    Figure("late_p99_us_crowd", "the same, 10 dashboards open"),
    Figure("mib_per_1000", "memory, MiB PSS per 1000 open streams", 1),
)


@dataclass(slots=True)
class Results:
    """Every measured value, and what went wrong.

    `values[figure][target]` holds one number a round, None where the round gave none. They are as measured: what is
    shown "over direct" is subtracted when it is shown.
    """

    values: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    right: Counter[str] = field(default_factory=Counter)
    """Answers that were right to the byte, by target, warm-up and all."""
    failures: Counter[str] = field(default_factory=Counter)
    """Wrong, refused and broken answers, by target."""
    metered: Counter[str] = field(default_factory=Counter)
    """Exchanges that a gateway with meters recorded as whole and reported; they must be the right answers."""
    notes: list[str] = field(default_factory=list)

    def add(self, target: str, **measured: float | None) -> None:
        """Keep a round's values of one target."""
        for key, value in measured.items():
            self.values.setdefault(key, {}).setdefault(target, []).append(value)

    def count(self, target: str, right: int, failures: int) -> None:
        """Keep how many answers a load had."""
        self.right[target] += right
        self.failures[target] += failures


@dataclass(frozen=True, slots=True)
class Spread:
    """A value over the rounds."""

    median: float
    least: float
    most: float


def percentile(values: Sequence[int], percent: float) -> int | None:
    """The nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def spread(values: Sequence[float | None]) -> Spread | None:
    """Median, least and most of the rounds that gave a value; None if none did."""
    known = [value for value in values if value is not None]
    return Spread(median(known), min(known), max(known)) if known else None


def shown(figure: Figure, by_target: Mapping[str, Sequence[float | None]], target: str) -> list[float | None]:
    """The values of a row and column, round by round; `direct` itself is shown as measured."""
    values = by_target.get(target, [])
    if target == "direct" or not figure.over_direct:
        return list(values)
    return [_minus(value, base) for value, base in zip(values, by_target.get("direct", []), strict=False)]


def ratios(over: Sequence[float | None], under: Sequence[float | None]) -> list[float | None]:
    """Round by round, so that what slows a whole round cancels out; None where a value is missing or not positive."""
    return [
        value / base if value is not None and base is not None and base > 0 else None
        for value, base in zip(over, under, strict=False)
    ]


def _minus(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base
