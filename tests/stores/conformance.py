"""What every store must do as a RecordLog. A store's test file subclasses `Conformance`."""

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.records import Bill, Ending, Record, Trail, Wanted
from headgate.stores import searching
from headgate.stores.summary import GroupBy, UsageRow, summarise
from headgate.usage import Basis, Estimate, Leg, Usage
from tests.stores.examples import DAY_NS, NOON, a_record, some_records, some_wanted
from tests.stores.factory import Store, StoreFactory


async def write(log: Store, *records: Record) -> None:
    """Append, and wait until the log shows the last one: it keeps their order."""
    for record in records:
        log.append(record)
    if records:
        async with asyncio.timeout(60):
            while await log.find(records[-1].exchange_id) is None:
                await asyncio.sleep(0.002)


TEAM = [
    a_record("ex_1", key="team-a", bill=Bill(account="acme", cost_nanos=1_000, charge_nanos=1_200)),
    a_record("ex_2", key="team-a", started_at_ns=NOON + 1, usage=Usage(input_tokens=7), counted=False),
    a_record("ex_3", served_model=None, provider=None, status=404, ending=Ending.NEVER_SENT, usage=Usage(),
             basis=Basis.NONE, counted=False),
    a_record("ex_4", started_at_ns=NOON + DAY_NS, provider="groq", ending=Ending.CLIENT_LEFT, usage=Usage(),
             basis=Basis.ESTIMATED, estimate=Estimate(30, 4),
             bill=Bill(account="acme", cost_nanos=70, charge_nanos=0, flags=("estimated", "unpriced:web_search"))),
    a_record("ex_5", started_at_ns=NOON + DAY_NS, provider="groq", usage=Usage(), basis=Basis.NONE, counted=False),
    a_record("ex_6", started_at_ns=NOON + DAY_NS, status=499, ending=Ending.NEVER_SENT, usage=Usage(),
             basis=Basis.NONE, counted=False),
    a_record("ex_7", started_at_ns=NOON + DAY_NS, ending=Ending.UPSTREAM_CUT, basis=Basis.PARTIAL,
             usage=Usage(input_tokens=1, output_tokens=3, reported_cost_nanos=5), estimate=Estimate(None, 9),
             bill=Bill(cost_nanos=5)),
]  # fmt: skip
"""A plain one, a poll of it, a refusal, a client that left, a silent upstream, one that left at once, and a cut one."""

PLAIN_SUMS: dict[str, Any] = {"input_tokens": 100, "cache_read_tokens": 20, "output_tokens": 50, "reasoning_tokens": 10}

# Worked by hand.
TEAM_BY: dict[GroupBy, list[UsageRow]] = {
    GroupBy.PROVIDER: [
        UsageRow("openai", exchanges=4, errors=1, cancelled=1, estimated=1, unpriced=1, input_tokens=101,
                 cache_read_tokens=20, output_tokens=53, reasoning_tokens=10, reported_cost_nanos=5,
                 estimated_output_tokens=6, cost_nanos=1_005, charge_nanos=1_200),
        UsageRow("groq", exchanges=2, cancelled=1, estimated=1, unmetered=1, unpriced=2,
                 estimated_input_tokens=30, estimated_output_tokens=4, cost_nanos=70, charge_nanos=0),
        UsageRow(None, exchanges=1, errors=1),
    ],
    GroupBy.DAY: [
        UsageRow("2025-11-01", exchanges=3, errors=1, unpriced=1, **PLAIN_SUMS, cost_nanos=1_000, charge_nanos=1_200),
        UsageRow("2025-11-02", exchanges=4, errors=1, cancelled=2, estimated=2, unmetered=1, unpriced=2, input_tokens=1,
                 output_tokens=3, reported_cost_nanos=5, estimated_input_tokens=30, estimated_output_tokens=10,
                 cost_nanos=75, charge_nanos=0),
    ],
    GroupBy.KEY: [
        UsageRow(None, exchanges=5, errors=2, cancelled=2, estimated=2, unmetered=1, unpriced=2, input_tokens=1,
                 output_tokens=3, reported_cost_nanos=5, estimated_input_tokens=30, estimated_output_tokens=10,
                 cost_nanos=75, charge_nanos=0),
        UsageRow("team-a", exchanges=2, unpriced=1, **PLAIN_SUMS, cost_nanos=1_000, charge_nanos=1_200),
    ],
    GroupBy.ACCOUNT: [
        UsageRow(None, exchanges=5, errors=2, cancelled=1, estimated=1, unmetered=1, unpriced=2, input_tokens=1,
                 output_tokens=3, reported_cost_nanos=5, estimated_output_tokens=6, cost_nanos=5),
        UsageRow("acme", exchanges=2, cancelled=1, estimated=1, unpriced=1, **PLAIN_SUMS, estimated_input_tokens=30,
                 estimated_output_tokens=4, cost_nanos=1_070, charge_nanos=1_200),
    ],
    GroupBy.MODEL: [
        UsageRow("gpt-4o-2024-08-06", exchanges=6, errors=1, cancelled=2, estimated=2, unmetered=1, unpriced=3,
                 input_tokens=101, cache_read_tokens=20, output_tokens=53, reasoning_tokens=10, reported_cost_nanos=5,
                 estimated_input_tokens=30, estimated_output_tokens=10, cost_nanos=1_075, charge_nanos=1_200),
        UsageRow("gpt-4o", exchanges=1, errors=1),
    ],
}  # fmt: skip


def _in_order(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=_place, reverse=True)


async def _pages(log: Store, wanted: Wanted, limit: int) -> list[Record]:
    """All that is found, a page after the other."""
    found: list[Record] = []
    while page := await log.search(wanted, limit, _place(found[-1]) if found else None):
        assert len(page) <= limit
        assert not found or _place(page[0]) < _place(found[-1]), "it would never end"
        found += page
    return found


async def _looked_through(log: Store, wanted: Wanted, limit: int) -> list[Record]:
    found: list[Record] = []
    before: tuple[int, str] | None = None
    while True:
        page = await log.page(wanted, limit, before)
        found += page.records
        if len(page.records) < limit and page.goes_on is None:
            return found
        goes_on = page.goes_on or _place(page.records[-1])
        assert before is None or goes_on < before, "it would never end"
        before = goes_on


def _place(record: Record) -> tuple[int, str]:
    return record.started_at_ns, record.exchange_id


class Conformance:
    """Tests of a store; a subclass's module has the fixture `store_factory`."""

    # The properties stand inside the tests, because hypothesis wants one function for each store.

    def test_a_record_read_back_equals_the_one_written(self, store_factory: StoreFactory) -> None:
        @settings(max_examples=40, deadline=None)
        @given(some_records)
        def holds(records: list[Record]) -> None:
            async def run() -> None:
                await store_factory.start_anew()
                async with store_factory.open_store() as log:
                    await write(log, *records)
                    assert [await log.find(record.exchange_id) for record in records] == records

            asyncio.run(run())

        holds()

    def test_usage_follows_the_rules_of_single_records(self, store_factory: StoreFactory) -> None:
        @settings(max_examples=40, deadline=None)
        @given(some_records)
        def holds(records: list[Record]) -> None:
            async def run() -> None:
                await store_factory.start_anew()
                async with store_factory.open_store() as log:
                    await write(log, *records)
                    for by in GroupBy:
                        assert await log.usage(None, by) == summarise(records, by)

            asyncio.run(run())

        holds()

    def test_what_is_wanted_is_found_page_by_page(self, store_factory: StoreFactory) -> None:
        @settings(max_examples=50, deadline=None)
        @given(some_records, some_wanted, st.integers(1, 3))
        def holds(records: list[Record], wanted: Wanted, limit: int) -> None:
            async def run() -> None:
                await store_factory.start_anew()
                async with store_factory.open_store() as log:
                    await write(log, *records)
                    assert await _pages(log, wanted, limit) == _in_order(filter(wanted.fits, records))

            asyncio.run(run())

        holds()

    def test_what_several_filters_want_is_found_window_by_window(
        self, store_factory: StoreFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However few candidates are looked at for a page."""
        monkeypatch.setattr(searching, "WINDOW", 2)

        @settings(max_examples=50, deadline=None)
        @given(some_records, some_wanted, st.integers(1, 3), st.integers(1, 4))
        def holds(records: list[Record], wanted: Wanted, limit: int, most: int) -> None:
            monkeypatch.setattr(searching.page, "__defaults__", (most,))

            async def run() -> None:
                await store_factory.start_anew()
                async with store_factory.open_store() as log:
                    await write(log, *records)
                    await log.roll(NOON, 3)
                    assert await _looked_through(log, wanted, limit) == _in_order(filter(wanted.fits, records))

            asyncio.run(run())

        holds()

    async def test_a_page_goes_on_where_the_last_ended_whatever_came_meanwhile(
        self, store_factory: StoreFactory
    ) -> None:
        """A key is found by its name or its id, and once where both are the same."""
        named: list[tuple[str | None, str | None]] = [("team-a", "team-a"), (None, "team-a"), ("team-a", None)]
        same_moment = [a_record(f"ex_{n}", key=named[n % 3][0], key_id=named[n % 3][1]) for n in (3, 1, 5, 7)]
        async with store_factory.open_store() as log:
            await write(log, *same_moment)
            first = await log.search(Wanted(key="team-a"), 2)
            assert [record.exchange_id for record in first] == ["ex_7", "ex_5"]
            await write(log, a_record("ex_9", key="team-a"), a_record("ex_4", key="team-a"))
            rest = await log.search(Wanted(key="team-a"), 9, (NOON, "ex_5"))
            assert [record.exchange_id for record in rest] == ["ex_4", "ex_3", "ex_1"]
            assert await log.search(Wanted(), 9, (NOON, "ex_1")) == []
            assert len(await log.search(Wanted(), 9, (2**63 - 1, "~"))) == 6

    async def test_a_repeated_exchange_id_changes_nothing(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as log:
            await write(log, a_record("ex_1"), a_record("ex_1", status=500), a_record("ex_2"))
            assert {record.exchange_id: record.status for record in await log.records()} == {"ex_1": 200, "ex_2": 200}

    async def test_an_unknown_exchange_is_none(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as log:
            assert await log.find("ex_1") is None

    async def test_records_come_newest_first(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as log:
            await write(log, *(a_record(f"ex_{n}", started_at_ns=at) for n, at in enumerate([20, 10, 30, 30])))
            assert [record.exchange_id for record in await log.records()] == ["ex_3", "ex_2", "ex_0", "ex_1"]
            assert [record.exchange_id for record in await log.records(since_ns=20, limit=2)] == ["ex_3", "ex_2"]
            assert [record.exchange_id for record in await log.records(since_ns=20)] == ["ex_3", "ex_2", "ex_0"]

    async def test_records_are_numbered_as_they_arrive_whenever_they_began(self, store_factory: StoreFactory) -> None:
        old, new = a_record("ex_old", started_at_ns=NOON - DAY_NS), a_record("ex_new", started_at_ns=NOON)
        async with store_factory.open_store() as log:
            assert (await log.arrived(0, 9), await log.last_arrivals(9)) == ([], [])
            await write(log, new, old, new)
            first, second = await log.arrived(0, 9)
            assert (first[1], second[1]) == (new, old)
            assert first[0] < second[0]
            assert await log.arrived(0, 1) == [first]
            assert await log.arrived(first[0], 9) == [second]
            assert await log.arrived(second[0], 9) == []
            assert await log.last_arrivals(1) == [second[0]]
            assert await log.last_arrivals(9) == [second[0], first[0]]
            assert await log.arrived(second[0], 9, [first[0], second[0] + 5]) == [first]
            await write(log, a_record("ex_last"))
            last = (await log.arrived(second[0], 9))[0]
            assert last[0] > second[0]
            assert await log.arrived(second[0], 9, [first[0]]) == [first, last]

    async def test_how_many_are_older(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as log:
            assert await log.older_than(NOON) == (0, None)
            await write(log, *(a_record(f"ex_{n}", started_at_ns=NOON + n) for n in (2, 1, 3)))
            assert await log.older_than(NOON + 1) == (0, None)
            assert await log.older_than(NOON + 3) == (2, NOON + 1)

    @pytest.mark.parametrize(
        ("served", "trail"),
        [
            ([], None),
            ([("openai", True)], Trail("openai", counted=True)),
            ([("openai", False)], Trail("openai", counted=False)),
            ([("openai", False), ("openai", True), ("openai", False)], Trail("openai", counted=True)),
            ([("openai", True), ("azure", False)], Trail("azure", counted=True)),
            ([("openai", True), (None, False)], Trail("openai", counted=True)),
            ([(None, False)], None),
        ],
    )
    async def test_a_trail_is_the_newest_provider_and_whether_any_was_counted(
        self, store_factory: StoreFactory, served: list[tuple[str | None, bool]], trail: Trail | None
    ) -> None:
        async with store_factory.open_store() as log:
            own = [a_record(f"ex_{n}", provider=p, counted=c, started_at_ns=n) for n, (p, c) in enumerate(served)]
            await write(
                log, *own, a_record("ex_other", response_id="resp_other"), a_record("ex_none", response_id=None)
            )
            assert await log.trail("resp_1") == trail

    @pytest.mark.parametrize("by", GroupBy)
    async def test_usage_of_a_team(self, store_factory: StoreFactory, by: GroupBy) -> None:
        async with store_factory.open_store() as log:
            await write(log, *TEAM)
            assert await log.usage(None, by) == TEAM_BY[by]

    async def test_usage_since(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as log:
            await write(log, *TEAM)
            assert await log.usage(NOON + DAY_NS, GroupBy.DAY) == TEAM_BY[GroupBy.DAY][1:]
            assert await log.usage(NOON + DAY_NS + 1, GroupBy.DAY) == []

    async def test_legs_count_under_their_own_models(self, store_factory: StoreFactory) -> None:
        leg = Leg("advisor", "claude-opus", Usage(input_tokens=3, output_tokens=4))
        bare = Leg("compaction", None, Usage(input_tokens=10))
        async with store_factory.open_store() as log:
            await write(
                log,
                a_record("ex_1", served_model="claude", usage=Usage(input_tokens=1, legs=(leg, bare))),
                a_record("ex_2", served_model="claude", usage=Usage(input_tokens=1, legs=(leg,)), counted=False),
            )
            assert await log.usage(None, GroupBy.MODEL) == [
                UsageRow("claude", exchanges=2, unpriced=2, input_tokens=11),
                UsageRow("claude-opus", exchanges=0, input_tokens=3, output_tokens=4),
            ]
            assert await log.usage(None, GroupBy.PROVIDER) == [
                UsageRow("openai", exchanges=2, unpriced=2, input_tokens=14, output_tokens=4)
            ]

    async def test_appends_from_many_threads_are_all_kept(self, store_factory: StoreFactory) -> None:
        def append(thread: int) -> None:
            for n in range(50):
                log.append(a_record(f"ex_{thread}_{n}"))

        async with store_factory.open_store() as log:
            threads = [threading.Thread(target=append, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            async with asyncio.timeout(60):
                while len(await log.records(limit=1_000)) < 200:
                    await asyncio.sleep(0.002)
            assert log.accepting
            async with asyncio.timeout(60):
                while log.backlog:
                    await asyncio.sleep(0.002)


class DurableConformance(Conformance):
    """The same for a store whose database outlives it."""

    async def test_what_was_taken_is_there_after_close(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as log:
            for n in range(2_500):
                log.append(a_record(f"ex_{n}"))
            await log.aclose()
            await log.aclose()
        async with store_factory.open_store() as log:
            assert len(await log.records(limit=10_000)) == 2_500
