"""Series: what exchanges add up to, step by step, in all or for the groups that cost most."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.stores.spans import Step
from headgate.stores.summary import SUMS, GroupBy, UsageRow, merged

Cells = Mapping[int, Mapping[str | None, UsageRow]]
"""Rows by the beginning of their step and by their group."""


@dataclass(frozen=True, slots=True)
class SeriesOf:
    """What a series is wanted of."""

    step: Step
    since_ns: int
    """The beginning of the step that this lies in."""
    until_ns: int
    """The end of the step that this lies in, or the end of one."""
    by: GroupBy | None = None
    """Anything but days; None for one group of all exchanges."""
    top: int = 8
    """How many groups stand by themselves; the others are summed in one."""
    name: str | None = None
    """The only group wanted."""
    sums: tuple[str, ...] = SUMS
    """Those that are wanted, beside `exchanges`; the others are as if nobody had reported them."""

    @property
    def first_ns(self) -> int:
        """The beginning of the first step."""
        return self.step.floor(self.since_ns)

    @property
    def end_ns(self) -> int:
        """The end of the last."""
        return self.step.ceil(self.until_ns)


@dataclass(frozen=True, slots=True)
class Group:
    """One line of a series."""

    name: str | None
    """None for exchanges without a name of this kind, for all exchanges, and for the others."""
    others: bool
    rows: tuple[UsageRow | None, ...]
    """One for each step; None where nothing happened."""


@dataclass(frozen=True, slots=True)
class Series:
    """Groups, the one that cost most first, the others last."""

    starts_ns: tuple[int, ...]
    """The beginnings of the steps, since the epoch."""
    groups: tuple[Group, ...]


def ranked(rows: Iterable[UsageRow]) -> list[UsageRow]:
    """Groups by cost, then by exchanges, the most first."""
    return sorted(rows, key=lambda row: (-(row.cost_nanos or 0), -row.exchanges, row.group is None, row.group or ""))


def laid_out(
    of: SeriesOf, total: Mapping[int, UsageRow], names: Sequence[str | None], cells: Cells, *, others: bool
) -> Series:
    """The series, from what all exchanges of each step add up to, and the rows of the groups that are shown."""
    starts = tuple(range(of.first_ns, of.end_ns, of.step.ns))
    if of.by is None:
        return Series(starts, (Group(None, others=False, rows=tuple(_seen(total.get(start)) for start in starts)),))
    groups = [
        Group(name, others=False, rows=tuple(_seen(cells.get(at, {}).get(name)) for at in starts)) for name in names
    ]
    if others:
        rest = (_seen(_less(total.get(at), cells.get(at, {}).values(), of.sums)) for at in starts)
        groups.append(Group(None, others=True, rows=tuple(rest)))
    return Series(starts, tuple(groups))


def by_step(cells: Iterable[tuple[int, UsageRow]]) -> dict[int, dict[str | None, UsageRow]]:
    """Rows with the beginnings of their steps, added up by step and group."""
    sorted_out: dict[int, list[UsageRow]] = {}
    for start, row in cells:
        sorted_out.setdefault(start, []).append(row)
    return {start: {row.group: row for row in merged(rows)} for start, rows in sorted_out.items()}


def only(rows: Iterable[UsageRow], sums: Iterable[str]) -> list[UsageRow]:
    """The rows with these sums, beside `exchanges`, and no others."""
    wanted = {"exchanges", *sums}
    return [UsageRow(row.group, **{name: getattr(row, name) for name in wanted}) for row in rows]


def _seen(row: UsageRow | None) -> UsageRow | None:
    return row if row is not None and (row.exchanges or any(getattr(row, name) for name in SUMS)) else None


def _less(total: UsageRow | None, shown: Iterable[UsageRow], sums: Iterable[str]) -> UsageRow | None:
    """What is left of a total. What it knows, the others know: 0 if those shown make up all of it."""
    if total is None:
        return None
    parts = list(shown)
    left: dict[str, Any] = {}
    for name in {"exchanges", *sums}:
        whole = getattr(total, name)
        left[name] = None if whole is None else whole - sum(getattr(part, name) or 0 for part in parts)
    return UsageRow(None, **left)
