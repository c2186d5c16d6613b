"""Finding records: a page of those that are wanted, newest first, however many there are and however few fit.

Each filter has an index in the order of time. With several, one of them leads: the one that fits the fewest records, as
the roll-ups have counted them, and the others are looked at record by record. Even the fewest may be a million of which
none fits, so candidates are looked through a window at a time, and a page may end before it is full: it then says where
to go on.

Generators for both databases, like the questions in rollups.py.
"""

from collections.abc import Sequence
from typing import NamedTuple

from headgate.records import Ending, Mark, Record, Wanted
from headgate.stores.records_sql import GROUPS, MARKS, NOT_WELL, RECORD
from headgate.stores.rollups import Asking, written_name
from headgate.stores.rows import from_row
from headgate.stores.spans import END_NS, Step
from headgate.stores.summary import SUMS, GroupBy

# ruff: noqa: S608 - the names are our own; values are always parameters

WINDOW = 5_000
"""Candidates looked at together: some 30 ms."""
MOST = 10_000
"""Candidates looked at for one page."""
_SELDOM = 50
"""One exchange in so many is taken to end in a given way other than well: endings are not counted."""

_FIRST = "!"
"""Before the exchange ids of a moment, and a character that a cursor can hold."""

Place = tuple[int, str]
"""started_at_ns and exchange_id: records come in descending order of these."""


class Found(NamedTuple):
    """Records, and where to go on; None if there is nothing beyond them."""

    records: list[Record]
    goes_on: Place | None = None


class _Filter(NamedTuple):
    """One thing that is wanted of a record; {} stands for its value."""

    name: str
    leading: tuple[str, ...]
    """Conditions that an index answers: records that fit any of them fit, and none fits two."""
    plain: str
    """The same as one that no index answers."""
    value: str | None = None

    def led(self, values: list[int | str]) -> list[str]:
        """The conditions for an index; the value is added."""
        return [condition.format(self._sign(values)) for condition in self.leading]

    def looked_at(self, values: list[int | str]) -> str:
        """The condition for what another filter has led to; the value is added."""
        return self.plain.format(self._sign(values))

    def _sign(self, values: list[int | str]) -> str:
        if self.value is not None:
            values.append(self.value)
        return f"?{len(values)}"


class _Search(NamedTuple):
    """What is looked for, and where."""

    wanted: Wanted
    filters: Sequence[_Filter]
    before: Place | None
    floor_ns: int = 0

    def within(self, values: list[int | str], *, to_the_name: bool = True) -> list[str]:
        """The conditions of time; their values are added.

        Without the name, an index alone tells: of what began before that moment, so that every window gets further.
        """
        values.append(max(self.wanted.since_ns or 0, self.floor_ns))
        within = [f"started_at_ns >= ?{len(values)}"]
        if self.wanted.until_ns is not None:
            values.append(self.wanted.until_ns)
            within.append(f"started_at_ns < ?{len(values)}")
        if self.before is not None:
            values.append(self.before[0])
            within.append(f"started_at_ns {'<=' if to_the_name else '<'} ?{len(values)}")
        if self.before is not None and to_the_name:
            values.append(self.before[1])
            within.append(f"(started_at_ns, exchange_id) < (?{len(values) - 1}, ?{len(values)})")
        return within


def page(wanted: Wanted, limit: int, before: Place | None, most: int | None = MOST) -> Asking[Found]:
    """At most `limit` records below `before`.

    Fewer, with a place to go on at, where `most` candidates were looked at; None for all that there are.
    """
    filters = _filters(wanted)
    if len(filters) < 2:
        return Found((yield from _found(_Search(wanted, filters, before), limit)))
    search = _Search(wanted, (yield from _rarest_first(wanted, filters)), before)
    found: list[Record] = []
    looked = 0
    while True:
        floor = yield from _end_of_window(search)
        found += yield from _found(search._replace(floor_ns=floor or 0), limit - len(found))
        looked += WINDOW
        if len(found) >= limit or floor is None:
            return Found(found)
        search = search._replace(before=(floor, _FIRST))
        if most is not None and looked >= most:
            return Found(found, search.before)


_MODEL = GROUPS[GroupBy.MODEL]


def _filters(wanted: Wanted) -> list[_Filter]:
    """What is wanted but for the time."""
    filters = []
    for name, column in (("model", _MODEL), ("account", "account"), ("provider", "provider"), ("ending", "ending")):
        value = getattr(wanted, name)
        if value is not None:
            seldom = name == "ending" and value is not Ending.COMPLETE
            led = f"{column} = {{}} AND {NOT_WELL}" if seldom else f"{column} = {{}}"
            filters.append(_Filter(name, (led,), f"{column} || '' = {{}}", value))
    if wanted.key is not None:
        # Each by its own index: with an OR all of a key's records would be sorted.
        halves = "key = {0}", "key_id = {0} AND (key IS NULL OR key <> {0})"
        filters.append(_Filter("key", halves, "(key || '' = {0} OR key_id || '' = {0})", wanted.key))
    if wanted.mark is not None:
        condition = MARKS[wanted.mark]
        filters.append(_Filter("mark", (condition,), f"({condition}) IS TRUE"))
    return filters


def _rarest_first(wanted: Wanted, filters: Sequence[_Filter]) -> Asking[list[_Filter]]:
    """The filters, the one that fits the fewest records first, as far as the days' roll-ups tell."""
    until = END_NS if wanted.until_ns is None else wanted.until_ns
    values: list[int | str] = [(wanted.since_ns or 0) // Step.DAY.ns, until // Step.DAY.ns]
    asked = [("all", "exchanges", "")]
    for own in filters:
        if own.name == "mark":
            asked.append(("all", SUMS[1 + list(MARKS).index(wanted.mark or Mark.FAILED)], ""))
        elif own.name != "ending":
            asked.append((own.name, "exchanges", written_name(own.value)))
    parts = []
    for dimension, column, name in asked:
        values.append(name)
        parts.append(
            f"SELECT CAST(sum({column}) AS BIGINT) AS n FROM rollups WHERE grain = 'day' AND dimension = '{dimension}' "
            f"AND bucket >= ?1 AND bucket <= ?2 AND name = ?{len(values)}"
        )
    rows = yield " UNION ALL ".join(parts), values
    everything, *counts = (count or 0 for (count,) in rows)
    names = (own.name for own in filters if own.name != "ending")
    known = dict(zip(names, counts, strict=True))
    known["ending"] = everything if wanted.ending is Ending.COMPLETE else everything // _SELDOM
    return sorted(filters, key=lambda own: known[own.name])


def _end_of_window(search: _Search) -> Asking[int | None]:
    """When the last candidate of the next window began; None if there are not so many any more."""
    values: list[int | str] = []
    led = search.filters[0].led(values)
    within = search.within(values, to_the_name=False)
    halves = (
        f"SELECT at FROM (SELECT started_at_ns AS at FROM records WHERE {' AND '.join((own, *within))} "
        f"ORDER BY started_at_ns DESC LIMIT 1 OFFSET {WINDOW // len(led)}) AS half{n}"
        for n, own in enumerate(led)
    )
    ((end,),) = yield f"SELECT max(at) FROM ({' UNION ALL '.join(halves)}) AS halves", values
    return None if end is None else int(end)


def _found(search: _Search, limit: int) -> Asking[list[Record]]:
    """The records that fit; the first of the filters leads."""
    values: list[int | str] = []
    leading, *others = search.filters or (_Filter("", ("TRUE",), "TRUE"),)
    led = leading.led(values)
    conditions = [*(other.looked_at(values) for other in others), *search.within(values)]
    values.append(limit)
    end = f"ORDER BY started_at_ns DESC, exchange_id DESC LIMIT ?{len(values)}"
    halves = [f"{RECORD} WHERE {' AND '.join((own, *conditions))} {end}" for own in led]
    if len(halves) == 1:
        (sql,) = halves
    else:
        sql = " UNION ALL ".join(f"SELECT * FROM ({half}) AS half" for half in halves) + f" {end}"
    rows = yield sql, values
    return [from_row(row) for row in rows]
