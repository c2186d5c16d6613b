"""What every store must answer about sums: whatever is rolled up, reopened, repeated or removed, they are exact."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.records import Bill, Record
from headgate.stores.series import Group, Series, SeriesOf, only
from headgate.stores.spans import Step
from headgate.stores.summary import SUMS, GroupBy, UsageRow, in_order, merged, summarise, total
from headgate.usage import Leg, Usage
from tests.stores.conformance import write
from tests.stores.examples import DAY_NS, NOON, a_record, any_record
from tests.stores.factory import Store, StoreFactory

MINUTE_NS, HOUR_NS = Step.MINUTE.ns, Step.HOUR.ns
NOW = NOON + 2 * DAY_NS
"""When it is rolled: minutes from the day before NOON on are kept."""

times = st.one_of(
    st.sampled_from([0, NOON, NOON + 1, NOON + MINUTE_NS, NOON + HOUR_NS - 1, NOON + HOUR_NS, NOON + DAY_NS // 2]),
    st.integers(NOON - 3 * DAY_NS, NOON + 2 * DAY_NS),
    st.integers(NOON, NOON + 2 * HOUR_NS),
)
bounds = st.none() | times

EDGE = NOON - DAY_NS + HOUR_NS // 2
EDGE_NOW = EDGE + 3 * DAY_NS
"""When it is rolled: minutes from EDGE on are kept."""
edges = st.integers(EDGE - 2 * HOUR_NS, EDGE + 2 * HOUR_NS) | st.sampled_from([EDGE, EDGE - 1, EDGE + 1, EDGE_NOW])
some_steps = st.builds(
    SeriesOf,
    step=st.sampled_from([Step.MINUTE, Step.HOUR]),
    since_ns=st.integers(EDGE - 2 * HOUR_NS, EDGE),
    until_ns=st.integers(EDGE + 1, EDGE + 2 * HOUR_NS),
)


@dataclass(frozen=True)
class Deed:
    """Something done to a store between two questions."""

    records: Sequence[Record]
    rolled: int
    reopened: bool


@st.composite
def lives(draw: st.DrawFn, around_ns: int | None = None) -> list[Deed]:
    """What happens to a store: records with ids of their own, or repeats; rolls of a few, of all, or none."""
    when = times if around_ns is None else st.integers(around_ns - 2 * HOUR_NS, around_ns + 2 * HOUR_NS)
    found = draw(st.lists(any_record, max_size=8, unique_by=lambda record: record.exchange_id))
    records = [at(record, draw(when)) for record in found]
    deeds = []
    for _ in range(draw(st.integers(1, 3))):
        own = draw(st.lists(st.sampled_from(records), max_size=4)) if records else []
        deeds.append(Deed(own, draw(st.sampled_from([0, 1, 2, 100])), draw(st.booleans())))
    return deeds


def at(record: Record, started_at_ns: int) -> Record:
    return a_record(record.exchange_id, started_at_ns=started_at_ns, **_but_id_and_time(record))


def _but_id_and_time(record: Record) -> dict[str, Any]:
    own = {
        name: getattr(record, name)
        for name in Record.__struct_fields__
        if name not in {"exchange_id", "started_at_ns", "reading"}
    }
    return own | {name: getattr(record.reading, name) for name in type(record.reading).__struct_fields__}


def within(records: Iterable[Record], since_ns: int | None, until_ns: int | None) -> list[Record]:
    """The records that began in a span."""
    return [
        record
        for record in records
        if record.started_at_ns >= (since_ns or 0) and (until_ns is None or record.started_at_ns < until_ns)
    ]


def series_by_hand(records: Sequence[Record], of: SeriesOf) -> Series:
    """A series, each row of it summed from the records by itself."""
    starts = range(of.first_ns, of.end_ns, of.step.ns)
    steps = [within(records, start, start + of.step.ns) for start in starts]

    def line(name: str | None, rows: Iterable[Sequence[UsageRow]], *, others: bool = False) -> Group:
        sums = only([total(own) for own in rows], of.sums)
        return Group(name, others, tuple(own if any(own.as_json().values()) else None for own in sums))

    if of.by is None:
        return Series(tuple(starts), (line(None, (summarise(own, GroupBy.PROVIDER) for own in steps)),))
    by = of.by
    whole = summarise(within(records, of.first_ns, of.end_ns), by)
    whole.sort(key=lambda row: (-(row.cost_nanos or 0), -row.exchanges, row.group is None, row.group or ""))
    names = [row.group for row in whole][: of.top] if of.name is None else [of.name]
    groups = [line(name, ([row for row in summarise(own, by) if row.group == name] for own in steps)) for name in names]
    if of.name is None and len(whole) > of.top:
        groups.append(
            line(None, ([row for row in summarise(own, by) if row.group not in names] for own in steps), others=True)
        )
    return Series(tuple(starts), tuple(groups))


def alike(found: Series, expected: Series) -> bool:
    """Equal, but that the others' sums are 0 rather than unknown where the total is known."""

    def plain(series: Series) -> Any:
        return series.starts_ns, [
            (
                group.name,
                group.others,
                [row and (_known(row) if group.others else row_named(row)) for row in group.rows],
            )
            for group in series.groups
        ]

    return bool(plain(found) == plain(expected))


def _known(row: UsageRow) -> dict[str, int]:
    return {name: value for name, value in row.as_json().items() if value}


def row_named(row: UsageRow) -> dict[str, Any]:
    return row.as_json()


some_series = st.builds(
    SeriesOf,
    step=st.sampled_from(Step),
    since_ns=st.integers(NOON - HOUR_NS, NOON + HOUR_NS),
    until_ns=st.integers(NOON + HOUR_NS, NOON + 3 * HOUR_NS),
    by=st.none() | st.sampled_from([by for by in GroupBy if by is not GroupBy.DAY]),
    top=st.integers(1, 3),
    sums=st.sampled_from([SUMS, ("cost_nanos",), ("errors", "input_tokens")]),
)


class SumsConformance:
    """Tests of a store; a subclass's module has the fixture `store_factory`."""

    def test_sums_are_exact_at_every_moment(self, store_factory: StoreFactory) -> None:
        @settings(max_examples=40, deadline=None)
        @given(lives(), bounds, bounds, some_series)
        def holds(deeds: list[Deed], since: int | None, until: int | None, of: SeriesOf) -> None:
            async def run() -> None:
                await store_factory.start_anew()
                known: dict[str, Record] = {}
                opened = store_factory.open_store()
                store = await opened.__aenter__()
                for deed in deeds:
                    for (
                        record
                    ) in deed.records:  # one by one: the last may be a repeat, which is there before the others
                        await write(store, record)
                    for record in deed.records:
                        known.setdefault(record.exchange_id, record)
                    if deed.rolled:
                        await store.roll(NOW, deed.rolled)
                    if deed.reopened and store_factory.reopens:
                        await opened.__aexit__(None, None, None)
                        opened = store_factory.open_store()
                        store = await opened.__aenter__()
                    await self._agrees(store, list(known.values()), since, until, of)
                await opened.__aexit__(None, None, None)

            asyncio.run(run())

        holds()

    async def _agrees(
        self, store: Store, records: Sequence[Record], since: int | None, until: int | None, of: SeriesOf
    ) -> None:
        for by in GroupBy:
            assert await store.usage(since, by, until) == summarise(within(records, since, until), by)
        found, expected = await store.series(of), series_by_hand(records, of)
        assert alike(found, expected), (found, expected)

    async def test_a_series_of_a_team(self, store_factory: StoreFactory) -> None:
        """Worked by hand."""
        costs = [("a", 0, 5), ("b", 10, 7), ("a", HOUR_NS, 1), ("c", HOUR_NS + 1, 2), (None, 2 * HOUR_NS, 3)]
        records = [
            a_record(f"ex_{n}", served_model=model, model_asked=None, started_at_ns=NOON + at, usage=Usage(),
                     bill=Bill(cost_nanos=cost))
            for n, (model, at, cost) in enumerate(costs)
        ]  # fmt: skip
        async with store_factory.open_store() as store:
            await write(store, *records)
            await store.roll(NOW)
            of = SeriesOf(Step.HOUR, NOON + 5, NOON + 2 * HOUR_NS + 1, GroupBy.MODEL, top=2)
            found = await store.series(of)
            assert found.starts_ns == (NOON, NOON + HOUR_NS, NOON + 2 * HOUR_NS)
            assert [(group.name, group.others) for group in found.groups] == [("b", False), ("a", False), (None, True)]
            costs_by_step = [[row and (row.exchanges, row.cost_nanos) for row in group.rows] for group in found.groups]
            assert costs_by_step == [[(1, 7), None, None], [(1, 5), (1, 1), None], [None, (1, 2), (1, 3)]]
            (own,) = (await store.series(SeriesOf(Step.DAY, NOON, NOON + 1, GroupBy.MODEL, name="a"))).groups
            assert [(row and row.cost_nanos) for row in own.rows] == [6]
            (nobody,) = (await store.series(SeriesOf(Step.DAY, NOON, NOON + 1, GroupBy.MODEL, name="x"))).groups
            assert (nobody.name, nobody.rows) == ("x", (None,))

    async def test_what_was_removed_still_counts(self, store_factory: StoreFactory) -> None:
        leg = Leg("advisor", "claude-opus", Usage(input_tokens=3))
        records = [
            a_record(f"ex_{n}", started_at_ns=NOON + n * HOUR_NS, usage=Usage(input_tokens=1, legs=(leg,)))
            for n in range(6)
        ]
        async with store_factory.open_store() as store:
            await write(store, *records)
            await store.roll(NOW)
            assert await store.prune(NOON + 4 * HOUR_NS, 3) == 3
            assert await store.prune(NOON + 4 * HOUR_NS, 3) == 1
            assert await store.prune(NOON + 4 * HOUR_NS, 3) == 0
            assert [record.exchange_id for record in await store.records()] == ["ex_5", "ex_4"]
            assert await store.find("ex_0") is None
            for by in GroupBy:
                assert await store.usage(None, by) == summarise(records, by)
                assert await store.usage(NOON + HOUR_NS, by, NOON + 5 * HOUR_NS) == summarise(records[1:5], by)
            of = SeriesOf(Step.HOUR, NOON, NOON + 6 * HOUR_NS, GroupBy.MODEL)
            assert alike(await store.series(of), series_by_hand(records, of))

    async def test_what_is_next_to_each_other_adds_up_though_records_are_gone(
        self, store_factory: StoreFactory
    ) -> None:
        records = [a_record(f"ex_{n}", started_at_ns=NOON + n) for n in range(5)]
        async with store_factory.open_store() as store:
            await write(store, *records)
            await store.roll(NOW)
            await store.prune(NOON + 3, 3)
            parts = [
                await store.usage(*span) for span in ((None, GroupBy.KEY, NOON + 2), (NOON + 2, GroupBy.KEY, None))
            ]
            assert sum(row.exchanges for part in parts for row in part) == 5

    def test_nothing_is_lost_between_spans_whatever_was_removed(self, store_factory: StoreFactory) -> None:
        """Also around the first minute that is kept, which lies within an hour."""

        @settings(max_examples=40, deadline=None)
        @given(lives(EDGE), edges, edges, some_steps)
        def holds(deeds: list[Deed], pruned_before: int, cut: int, of: SeriesOf) -> None:
            async def run() -> None:
                await store_factory.start_anew()
                async with store_factory.open_store() as store:
                    known: dict[str, Record] = {}
                    for deed in deeds:
                        await write(store, *deed.records)
                        known |= {record.exchange_id: record for record in deed.records}
                    await write(store, newest := a_record("ex_newest", started_at_ns=EDGE_NOW))
                    while await store.roll(EDGE_NOW):
                        pass
                    while await store.prune(pruned_before, 3):
                        pass
                    whole = [*known.values(), newest]
                    for by in GroupBy:
                        parts = await store.usage(None, by, cut), await store.usage(cut, by)
                        assert in_order(merged(chain(*parts)), by) == summarise(whole, by)
                    rows = [row for group in (await store.series(of)).groups for row in group.rows if row is not None]
                    in_all = total(await store.usage(of.first_ns, GroupBy.PROVIDER, of.end_ns))
                    assert _known(total(rows)) == _known(in_all)

            asyncio.run(run())

        holds()
