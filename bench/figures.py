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


_LANES = (1, 10, 50, 200, 1000)


def _connections(number: int) -> str:
    return f"{number} connection{'s' if number > 1 else ''}"


FIGURES = (
    *(Figure(f"rps_c{n}", f"requests/s, {_connections(n)}") for n in _LANES),
    *(Figure(f"cpu_us_c{n}", f"CPU µs per request, {_connections(n)}", 1) for n in _LANES),
    Figure("cpu_us_c10_100k", "CPU µs per request, prompt of 100 KB, 10 connections", 1),
    Figure("cpu_us_c50_responses", "CPU µs per request, Responses, 50 connections", 1),
    Figure("cpu_us_c50_messages", "CPU µs per request, Messages, 50 connections", 1),
    Figure("cpu_us_chunk", "CPU µs per streamed chunk, 500 streams at 20/s", 1),
    Figure("cpu_us_chunk_responses", "CPU µs per streamed chunk, Responses, 500 streams at 20/s", 1),
    Figure("cpu_us_chunk_messages", "CPU µs per streamed chunk, Messages, 500 streams at 20/s", 1),
    Figure("cpu_us_s33", "CPU µs per stream of 33 chunks at 100/s, 50 connections", 1),
    Figure("cpu_us_s33_responses", "CPU µs per such stream, Responses", 1),
    Figure("cpu_us_s33_messages", "CPU µs per such stream, Messages", 1),
    Figure("cpu_us_s33_100k", "CPU µs per such stream, prompt of 100 KB", 1),
    Figure("chunks_s1000", "chunks/s, streams of 1000 as fast as they go, 10 connections"),
    Figure("cpu_us_chunk_s1000", "CPU µs per chunk, streams of 1000 as fast as they go, 10 connections", 1),
    Figure("first_p50_us", "added time to first token, p50 µs, 50 streams", over_direct=True),
    Figure("first_p99_us", "added time to first token, p99 µs, 50 streams", over_direct=True),
    *(
        Figure(f"latency_p{percent}_us_c{n}", f"added latency, p{percent} µs, {_connections(n)}", over_direct=True)
        for n in _LANES[:2]
        for percent in (50, 99)
    ),
    Figure("late_p99_us", "lateness of a chunk, p99 µs, 200 streams at 20/s, no dashboard open"),
    Figure("late_p99_us_watched", "the same, 1 dashboard open"),
    Figure("late_p99_us_crowd", "the same, 10 dashboards open"),
    Figure("mib_idle", "memory, MiB PSS, warmed up and idle", 1),
    Figure("mib_per_1000", "memory, MiB PSS per 1000 open streams", 1),
    Figure("cold_ms", "cold start, ms from the start of the process to its first right answer"),
)
"""The rows of the table, in their order."""


@dataclass(slots=True)
class Results:
    """Every measured value, and what went wrong.

    `values[figure][target]` holds one number a round, None where the round gave none. They are as measured: what is
    shown "over direct" is subtracted when it is shown.
    """

    values: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    lanes: dict[str, dict[str, int]] = field(default_factory=dict)
    """`lanes[figure][target]` is the number of connections where a target had fewer than the others."""
    right: Counter[str] = field(default_factory=Counter)
    """Right answers, by target, warm-up and all."""
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
