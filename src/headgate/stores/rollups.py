"""Roll-ups: what the records of a minute, hour or day add up to, kept beside them, and the questions they answer.

A record is in the table `unrolled` from the transaction that writes it (a trigger puts it there) to the one that adds
it to the roll-ups. Questions add up roll-ups, the records that are not in them yet and, at the ends of a span, records
of single minutes, all as of one moment: so every answer is what the records themselves add up to.

Everything here is SQL for SQLite and PostgreSQL alike, as generators: they yield statements and are sent the rows, so
that each database runs them in its own way: `answered` in rollups_sqlite.py and in postgres_records.py.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import structs

from headgate.records import Record
from headgate.stores.records_sql import GROUPS, RECORD, SUMMED
from headgate.stores.rows import Row, from_row
from headgate.stores.series import Series, SeriesOf, by_step, laid_out, only, ranked
from headgate.stores.spans import COARSEST_FIRST, END_NS, Kept, Part, Step, cover
from headgate.stores.summary import SUMS, GroupBy, UsageRow, day_of, in_order, leg_rows, merged

# ruff: noqa: S608 - the names are our own; values are always parameters

T = TypeVar("T")
Statement = tuple[str, Row]
"""SQL, and the values of its placeholders ?1, ?2 and so on."""
Asking = Generator[Statement, Sequence[Sequence[Any]], T]
"""A question of several statements, to be run as of one moment."""
Cell = tuple[int, UsageRow]
"""The beginning of a step, or 0 where there are none, and sums for it."""

NAMED: Mapping[GroupBy | None, str] = {
    None: "''", **{by: f"coalesce('=' || {group}, '')" for by, group in GROUPS.items()}
}  # fmt: skip
"""What a record's roll-ups are called, as `written_name` does."""
_SUMS_ADDED = [f"CAST(sum({name}) AS BIGINT)" for name in SUMS]
ADDED = ", ".join(_SUMS_ADDED)
"""PostgreSQL sums 64-bit integers as decimals."""
_RANKING = ("exchanges", "cost_nanos")
"""What `ranked` goes by."""
_MANY = 4
"""To look a row up costs as much as to pass by so many."""
_UNROLLED = "unrolled CROSS JOIN records WHERE id = exchange_id AND id >= ''"
"""The order matters to SQLite: it looks up the records of the few. The empty text has PostgreSQL go by the index."""
_UNINDEXED = "started_at_ns + 0"
"""Of these few, so that no plan looks through all records of the span for them, however wide it may be."""
ROLLED = "records WHERE NOT EXISTS (SELECT 1 FROM unrolled WHERE id = exchange_id AND id >= '')"


def usage(since_ns: int | None, until_ns: int | None, by: GroupBy) -> Asking[list[UsageRow]]:
    """The sums over the records that began in a span, one row for each group."""
    kept = yield from kept_now()
    days = by is GroupBy.DAY
    span = _Span(since_ns or 0, END_NS if until_ns is None else until_ns, None if days else by)
    cells = yield from _cells(kept, span._replace(step=Step.DAY if days else None))
    rows = (structs.replace(row, group=day_of(start)) if days else row for start, row in cells)
    return in_order(merged(rows), by)


def series(of: SeriesOf) -> Asking[Series]:
    """The sums step by step, in all or by group.

    Where only hours can be told any more, a series of minutes has the sums of an hour in the first of its minutes.
    """
    kept = yield from kept_now()
    span = _Span(of.first_ns, of.end_ns, None, of.step, sums=of.sums)
    if of.name is not None:
        names: list[str | None] = [of.name]
        groups = 0
    elif of.by is not None:
        cells = yield from _cells(kept, span._replace(by=of.by, step=None, sums=_RANKING))
        all_ranked = ranked(merged(row for _, row in cells))
        names, groups = [row.group for row in all_ranked[: of.top]], len(all_ranked)
    else:
        names, groups = [], 0
    others = groups > len(names)
    total, own = {}, {}
    if of.by is None or others:
        found = yield from _steps(kept, span)
        total = {start: row for start, rows in by_step(found).items() for row in rows.values()}
    if names:
        few = of.name is not None or groups > _MANY * len(names)
        own = by_step((yield from _steps(kept, span._replace(by=of.by, names=tuple(names), few=few))))
    return laid_out(of, total, names, own, others=others)


class _Span(NamedTuple):
    """Which sums are wanted of which time."""

    since_ns: int
    until_ns: int
    by: GroupBy | None
    step: Step | None = None
    names: tuple[str | None, ...] | None = None
    few: bool = False
    """There are many more names than are wanted, so that theirs are looked up one by one."""
    sums: tuple[str, ...] = SUMS
    """Those that are wanted, beside `exchanges`."""

    def added(self, expressions: Sequence[str]) -> str:
        """SQL for the sums, made of an expression for each; a sum is most of what a row costs."""
        return ", ".join(expressions[SUMS.index(name)] for name in self.told)

    @property
    def told(self) -> list[str]:
        """The sums that answers have, in their order."""
        return [name for name in SUMS if name == "exchanges" or name in self.sums]

    def cells(self, rows: Sequence[Sequence[Any]]) -> list[Cell]:
        """Answers: the beginning of a step, a name as it is written, and sums."""
        names = self.told
        return [
            (start, UsageRow(read_name(name), **dict(zip(names, numbers, strict=True))))
            for start, name, *numbers in rows
        ]

    def start(self, at: str, unit: int = 1) -> str:
        """SQL for the beginning of the step that something begins in, which says when in so many nanoseconds."""
        return "0" if self.step is None else f"{at} * {unit} / {self.step.ns} * {self.step.ns}"

    def start_of(self, record: Record) -> int:
        """The same for a record."""
        return 0 if self.step is None else self.step.floor(record.started_at_ns)

    def has(self, cell: Cell) -> bool:
        """Whether such a group is wanted."""
        return self.names is None or cell[1].group in self.names


def kept_now() -> Asking[Kept]:
    """How far back things go at this moment."""
    rows = yield "SELECT minutes_from_ns, pruned_until_ns FROM rolled", ()
    return Kept(*rows[0])


def _cells(kept: Kept, span: _Span) -> Asking[list[Cell]]:
    """Sums of the span by step and group, in parts that are yet to be added up."""
    since, until = kept.knowable(span.since_ns), kept.knowable(span.until_ns)
    cells: list[Cell] = []
    for part in _parts(kept, since, until, span.step):
        if part.step is None:
            cells += yield from _of_records(span, part, ROLLED)
        else:
            cells += yield from _of_rollups(span, part, part.step)
    if since < until:
        cells += yield from _of_records(span, Part(None, since, until), _UNROLLED)
    return cells


def _steps(kept: Kept, span: _Span) -> Asking[list[Cell]]:
    """The same, none of it before the first step: an hour may begin there that is told as a whole."""
    cells = yield from _cells(kept, span)
    return [(max(start, span.since_ns), row) for start, row in cells]


def _parts(kept: Kept, since_ns: int, until_ns: int, finest: Step | None) -> tuple[Part, ...]:
    """How the span is covered, by no coarser roll-ups than are wanted, if there are any so fine."""
    steps = [step for step in COARSEST_FIRST if finest is None or step.ns <= finest.ns]
    if finest is not Step.MINUTE:
        return cover(since_ns, until_ns, kept.minutes_from_ns, steps)
    edge = min(max(since_ns, kept.hours_until_ns), until_ns)
    hours = cover(since_ns, edge, kept.minutes_from_ns, [Step.HOUR])
    return hours + cover(edge, until_ns, kept.minutes_from_ns, steps)


def _of_rollups(span: _Span, part: Part, step: Step) -> Asking[list[Cell]]:
    values: list[int | str | None] = [part.since_ns // step.ns, part.until_ns // step.ns]
    if span.few:
        source, which = _one_by_one(span, values)
    else:
        source, which = "rollups", f"bucket >= ?1 AND bucket < ?2{_among(span, 'name', values)}"
    sql = (
        f"SELECT {span.start('bucket', step.ns)}, name, {span.added(_SUMS_ADDED)} FROM {source} "
        f"WHERE grain = '{step}' AND dimension = '{dimension_of(span.by)}' AND {which} GROUP BY 1, 2"
    )
    rows = yield sql, values
    return span.cells(rows)


def _one_by_one(span: _Span, values: list[int | str | None]) -> tuple[str, str]:
    """Where the wanted names' roll-ups are, each found by its key, and the condition; the names' values are added."""
    first = len(values) + 1
    values.extend(map(written_name, span.names or ()))
    own = " UNION ALL ".join(f"SELECT CAST(?{n} AS TEXT) AS own" for n in range(first, len(values) + 1))
    buckets = (
        "WITH RECURSIVE count (at) AS (SELECT CAST(?1 AS BIGINT) UNION ALL SELECT at + 1 FROM count WHERE at + 1 < ?2) "
        "SELECT at FROM count"
    )
    return f"({buckets}) AS buckets CROSS JOIN ({own}) AS wanted CROSS JOIN rollups", "bucket = at AND name = own"


def _of_records(span: _Span, part: Part, source: str) -> Asking[list[Cell]]:
    values: list[int | str | None] = [part.since_ns, part.until_ns - 1]
    at = _UNINDEXED if source is _UNROLLED else "started_at_ns"
    source = f"{source} AND {at} >= ?1 AND {at} <= ?2"
    with_legs = yield f"{RECORD.removesuffix('records')}{source} AND legs IS NOT NULL", tuple(values)
    name = NAMED[span.by]
    sql = (
        f"SELECT {span.start('started_at_ns')}, {name}, {span.added(SUMMED)} FROM {source}"
        f"{_among(span, name, values)} GROUP BY 1, 2"
    )
    rows = yield sql, values
    legs = (
        (span.start_of(record), leg)
        for record in map(from_row, with_legs)
        for leg in only(leg_rows(record, span.by), span.sums)
    )
    return [*span.cells(rows), *filter(span.has, legs)]


def _among(span: _Span, column: str, values: list[int | str | None]) -> str:
    """A condition for the wanted names, whose values are added."""
    if span.names is None:
        return ""
    first = len(values) + 1
    values.extend(map(written_name, span.names))
    return f" AND {column} IN ({', '.join(f'?{n}' for n in range(first, len(values) + 1))})"


def dimension_of(by: GroupBy | None) -> str:
    """As the table calls it."""
    return "all" if by is None else str(by)


def written_name(name: str | None) -> str:
    """A group's name as it stands in the table, where it is a part of the key: "" is none, "=" begins one."""
    return "" if name is None else f"={name}"


def read_name(written: str) -> str | None:
    """The name that was so written."""
    return written[1:] or ("" if written else None)
