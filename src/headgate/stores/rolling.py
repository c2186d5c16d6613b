"""Keeping roll-ups: adding to them the records that are not in them yet, and removing records that are.

In one transaction each, as generators for both databases, like the questions in rollups.py. What is gathered on the way
stands in temporary tables of the connection; `scratch` makes them.
"""

from collections.abc import Iterator

from headgate.records import Record
from headgate.stores.records_sql import RECORD, SUMMED
from headgate.stores.rollups import ADDED, NAMED, ROLLED, Asking, dimension_of, kept_now, written_name
from headgate.stores.rows import Row, from_row
from headgate.stores.spans import COARSEST_FIRST, Kept, Step
from headgate.stores.summary import SUMS, UsageRow, leg_rows

# ruff: noqa: S608 - the names are our own; values are always parameters

MINUTES_KEPT_NS = 3 * Step.DAY.ns
"""For how long there are roll-ups of minutes: five to six rows a minute and name are too many to keep for good."""
ROLLED_AT_ONCE = 500
"""Records in one transaction, which others wait for."""
PRUNED_AT_ONCE = 500
_MOST_DROPPED = 10
"""Minutes whose roll-ups go at once: more than come between two rolls, and little work."""
_AT_ONCE = 50
"""Rows in one statement."""

_BEYOND = (
    f"SELECT bucket FROM rollups WHERE grain = '{Step.MINUTE}' AND dimension = '{dimension_of(None)}' "
    f"AND bucket >= ?1 ORDER BY bucket LIMIT 1 OFFSET {_MOST_DROPPED}"
)

_NAMES = tuple(dimension_of(by) for by in NAMED if by is not None)
_TAKEN = "taken CROSS JOIN records WHERE id = exchange_id"
_KEY = "grain, dimension, bucket, name"
_PLUS = ", ".join(
    f"{name} = coalesce(rollups.{name} + excluded.{name}, rollups.{name}, excluded.{name})" for name in SUMS
)


def scratch(text: str, rest: str = "") -> Iterator[str]:
    """The statements that make the temporary tables; `text` is the type of ids and names, `rest` ends each of them."""
    sums = ", ".join(f"{name} BIGINT" for name in SUMS)
    names = ", ".join(f'"{name}" {text}' for name in _NAMES)
    for table, columns in (
        ("taken", f"id {text}"),
        ("parts", f"minute BIGINT, {names}, {sums}"),
        ("fresh", f"dimension {text}, minute BIGINT, name {text}, {sums}"),
    ):
        yield f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({columns}) {rest}"


SCRATCH = ("taken", "parts", "fresh")
"""The temporary tables, empty when a transaction begins."""


def roll(limit: int, now_ns: int) -> Asking[int]:
    """Add at most `limit` records to the roll-ups; returns how many. Drops roll-ups of minutes that are too old."""
    yield "INSERT INTO taken SELECT id FROM unrolled ORDER BY id LIMIT ?1", (limit,)
    ((found, newest),) = yield "SELECT (SELECT count(*) FROM taken), (SELECT max(started_at_ns) FROM records)", ()
    if not found:
        return 0
    minutes_from = yield from _without_old_minutes((yield from kept_now()), min(now_ns, newest or 0))
    yield from _gather()
    for step in COARSEST_FIRST:
        of_step = step.ns // Step.MINUTE.ns
        first = minutes_from // Step.MINUTE.ns if step is Step.MINUTE else 0
        sql = (
            f"INSERT INTO rollups ({_KEY}, {', '.join(SUMS)}) "
            f"SELECT '{step}', dimension, minute / {of_step}, name, {ADDED} FROM fresh WHERE minute >= ?1 "
            f"GROUP BY 2, 3, 4 ORDER BY 2, 3, 4 ON CONFLICT ({_KEY}) DO UPDATE SET {_PLUS}"
        )
        yield sql, (first,)
    yield "DELETE FROM unrolled WHERE id IN (SELECT id FROM taken)", ()
    return int(found)


def prune(before_ns: int, limit: int) -> Asking[int]:
    """Remove at most `limit` of the oldest records that began before then; returns how many. Roll-ups stay."""
    yield (
        f"INSERT INTO taken SELECT exchange_id FROM {ROLLED} AND started_at_ns < ?1 ORDER BY started_at_ns LIMIT ?2",
        (before_ns, limit),
    )
    ((found, newest),) = yield f"SELECT count(*), max(started_at_ns) FROM {_TAKEN}", ()
    if found:
        yield "DELETE FROM records WHERE exchange_id IN (SELECT id FROM taken)", ()
        until = Step.HOUR.ceil(newest + 1)
        yield "UPDATE rolled SET pruned_until_ns = ?1 WHERE pruned_until_ns < ?1", (until,)
    return int(found)


def _without_old_minutes(kept: Kept, newest_ns: int) -> Asking[int]:
    """From when on minutes are kept after this; those before are dropped, a few at a time."""
    old, wanted = kept.minutes_from_ns, max(0, Step.MINUTE.floor(newest_ns) - MINUTES_KEPT_NS)
    if wanted <= old:
        return old
    beyond = yield _BEYOND, (old // Step.MINUTE.ns,)
    new: int = min([wanted, *(bucket * Step.MINUTE.ns for (bucket,) in beyond)])
    yield "UPDATE rolled SET minutes_from_ns = ?1", (new,)
    dimensions = ", ".join(f"'{dimension_of(by)}'" for by in NAMED)
    sql = (
        f"DELETE FROM rollups WHERE grain = '{Step.MINUTE}' AND dimension IN ({dimensions}) "
        "AND bucket >= ?1 AND bucket < ?2"
    )
    yield sql, (old // Step.MINUTE.ns, new // Step.MINUTE.ns)
    return new


def _gather() -> Asking[None]:
    """What the taken records add to each minute, into `fresh`."""
    names = ", ".join(sql for by, sql in NAMED.items() if by is not None)
    minute = f"started_at_ns / {Step.MINUTE.ns}"
    yield f"INSERT INTO parts SELECT {minute}, {names}, {', '.join(SUMMED)} FROM {_TAKEN} GROUP BY 1, 2, 3, 4, 5", ()
    for by in NAMED:
        dimension = dimension_of(by)
        name = "''" if by is None else f'"{dimension}"'
        yield f"INSERT INTO fresh SELECT '{dimension}', minute, {name}, {ADDED} FROM parts GROUP BY minute, 3", ()
    with_legs = yield f"{RECORD.removesuffix('records')}{_TAKEN} AND legs IS NOT NULL", ()
    legs = [row for record in map(from_row, with_legs) for row in _legs(record)]
    for start in range(0, len(legs), _AT_ONCE):
        rows = legs[start : start + _AT_ONCE]
        width = len(rows[0])
        places = (f"({', '.join(f'?{at * width + n + 1}' for n in range(width))})" for at in range(len(rows)))
        yield f"INSERT INTO fresh VALUES {', '.join(places)}", [value for row in rows for value in row]


def _legs(record: Record) -> Iterator[Row]:
    minute = record.started_at_ns // Step.MINUTE.ns
    for by in NAMED:
        for row in leg_rows(record, by):
            yield dimension_of(by), minute, written_name(row.group), *_numbers(row)


def _numbers(row: UsageRow) -> Row:
    return [getattr(row, name) for name in SUMS]
