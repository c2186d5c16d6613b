"""Drawing numbers over time with letters: columns with axes, and sparklines. Pure; readable without colour.

All values are sums of steps, so that neighbours can be added where there are more steps than columns. None is a step in
which nothing happened: a gap, where 0 is told by the axis alone as well.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:#"
"""For terminals that cannot show blocks: less exact."""
_WIDEST_COLUMN = 8
_NS = 1_000_000_000

Values = Sequence[int | None]


class Times(NamedTuple):
    """The steps that values stand for."""

    first_ns: int
    """The beginning of the first, since the epoch."""
    step_ns: int


class Chart(NamedTuple):
    """A chart, drawn."""

    lines: list[str]
    together: int
    """How many steps a column stands for."""


def merged(values: Values, most: int) -> tuple[list[int | None], int]:
    """At most `most` values, neighbours added up if need be; and how many became one."""
    together = max(1, -(-len(values) // most))
    groups = (values[at : at + together] for at in range(0, len(values), together))
    return [_sum(group) for group in groups], together


def _sum(group: Values) -> int | None:
    known = [value for value in group if value is not None]
    return sum(known) if known else None


def sparkline(values: Values, width: int, blocks: str = BLOCKS) -> str:
    """The shape of values over time in at most `width` letters, each row by its own scale."""
    drawn, _ = merged(values, width)
    top = max((value for value in drawn if value is not None), default=0)
    return "".join(_rows(drawn, top, 1, blocks)[0]) if top > 0 else " " * len(drawn)


def ceiling(value: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50, ... that is not below a value: where an axis ends."""
    power = int("1" + "0" * (len(str(value)) - 1))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)


def chart(
    values: Values,
    times: Times,
    width: int,
    height: int,
    name: Callable[[int], str],
    *,
    beside: Sequence[Values] = (),
    blocks: str = BLOCKS,
) -> Chart:
    """Lines with a column for each value, an axis with amounts to the left and one with times below.

    `name` tells an amount; `beside` are the values of charts that are to be compared with this one, on its scale. No
    line is wider than `width`, which is 30 at least.
    """
    amounts, needed = 0, 1
    while needed > amounts:  # the wider they are, the fewer columns there are, and the higher those
        amounts = needed
        drawn, together = merged(values, width - amounts - 2)
        others = (value for other in beside for value in merged(other, width - amounts - 2)[0])
        end = ceiling(max((value for value in (*drawn, *others) if value is not None), default=0) or 1)
        labels = {0: name(end), height: name(0)}
        if height >= 4 and height % 2 == 0 and end % 2 == 0:
            labels[height // 2] = name(end // 2)
        needed = max(map(len, labels.values()))
    wide = max(1, min(_WIDEST_COLUMN, (width - amounts - 2) // max(1, len(drawn))))
    lines = [
        f"{labels.get(row, ''):>{amounts}} ┤" + "".join(cell * max(1, wide - 1) + " " * (wide > 1) for cell in cells)
        for row, cells in enumerate(_rows(drawn, end, height, blocks))
    ]
    axis, told = _time_axis(len(drawn), wide, Times(times.first_ns, times.step_ns * together))
    lines += [f"{labels[height]:>{amounts}} ┼{axis}", " " * (amounts + 2) + told]
    plain = str.maketrans("┤┼─┴", "|+-+") if blocks == ASCII else {}
    return Chart([line.translate(plain).rstrip() for line in lines], together)


def _rows(values: Values, top: int, height: int, blocks: str) -> list[list[str]]:
    """The letters of each row, the highest first. What is not nothing can be seen."""
    steps = len(blocks) - 1
    full = height * steps
    levels = [0 if not value or value < 0 else max(1, (2 * value * full + top) // (2 * top)) for value in values]
    return [
        [blocks[min(steps, max(0, level - below * steps))] for level in levels] for below in range(height - 1, -1, -1)
    ]


def _time_axis(columns: int, wide: int, times: Times) -> tuple[str, str]:
    """The axis with its marks, and the times below them, as many as there is room for."""
    pattern = _pattern(times, columns)
    length = columns * wide
    axis, told = ["─"] * length, ""
    free = 0
    for column in range(columns):
        at = column * wide
        text = f"{datetime.fromtimestamp((times.first_ns + column * times.step_ns) // _NS, UTC):{pattern}}"
        if at >= free and at + len(text) <= max(length, len(text)):
            axis[at] = "┴"
            told = told.ljust(at) + text
            free = at + len(text) + 3
    return "".join(axis), told


def _pattern(times: Times, columns: int) -> str:
    day_ns = 86_400 * _NS
    if times.step_ns >= day_ns:
        return "%Y-%m-%d" if columns * times.step_ns > 300 * day_ns else "%m-%d"
    return "%H:%M" if columns * times.step_ns <= day_ns else "%m-%d %H:%M"
