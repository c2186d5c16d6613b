"""What every store must do as a Ledger. A store's test file subclasses `LedgerConformance`.

The rules are tested in tests/ledger/; here it is shown that a store keeps them, through whatever happens to it.
"""

import asyncio

import pytest

from headgate.ledger.commands import Capture, Checkpoint, CloseAccount, Command, Expire, OpenAccount, Place, Post, Void
from headgate.ledger.entries import (
    Account,
    AccountKind,
    Cap,
    Counter,
    EntryKind,
    HoldState,
    Measure,
    Reserved,
    Result,
)
from headgate.ledger.machine import LARGEST_NANOS
from headgate.ledger.store import LedgerUnavailable, Sums
from headgate.records import Bill, Settled, disputed
from tests.stores.examples import a_record
from tests.stores.factory import Store, StoreFactory
from tests.stores.ledger_model import run_model

HOUR_NS = 3_600 * 1_000_000_000
PREPAID = OpenAccount("acme", AccountKind.PREPAID, 1)
CAPS = (
    Cap("budget:team@2026-11", Measure.MONEY, 1_000, 70, ends_at_ns=500),
    Cap("tpm:key@7", Measure.QUANTITY, 100, 9, ends_at_ns=400),
    Cap("rpm:key@7", Measure.TIMES, 10, 1, ends_at_ns=400),
    Cap("concurrent:key", Measure.PRESENCE, 10, 1),
)


def a_place(hold_id: str = "h1", amount: int = 70, account_id: str = "acme", node: str = "n1", at: int = 3) -> Place:
    return Place(hold_id, account_id, amount, at, node)


async def funded(store: Store, amount: int = 100, account_id: str = "acme") -> None:
    await store.submit(OpenAccount(account_id, AccountKind.PREPAID, 1))
    assert (await store.submit(Post(f"top-{account_id}", account_id, EntryKind.TOP_UP, amount, 2))).stands


async def open_ids(store: Store) -> list[str]:
    return [hold.hold_id for hold in await store.open_holds()]


async def balances(store: Store, account_id: str = "acme") -> tuple[int, int]:
    account = await store.account(account_id)
    assert account is not None
    return account.posted_nanos, account.held_nanos


class LedgerConformance:
    """Tests of a store; a subclass's module has the fixture `store_factory`."""

    async def test_accounts(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            assert await store.account("acme") is None
            assert await store.accounts() == []
            assert (await store.trial()).entries == {}
            await store.submit(OpenAccount("zeta", AccountKind.POSTPAID, 1, limit_nanos=LARGEST_NANOS))
            outcome = await store.submit(PREPAID)
            assert (outcome.result, outcome.account) == (Result.DONE, Account("acme", AccountKind.PREPAID))
            assert (await store.submit(PREPAID)).result is Result.EXISTS
            await store.submit(CloseAccount("zeta", 2))
            assert await store.account("acme") == Account("acme", AccountKind.PREPAID)
            assert await store.accounts() == [
                Account("acme", AccountKind.PREPAID),
                Account("zeta", AccountKind.POSTPAID, LARGEST_NANOS, closed=True),
            ]

    async def test_a_hold_reads_back_as_it_was_placed(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            place = Place("h1", "acme", 70, 3, "n1", sent=True, minimum_nanos=5, about='{"é": "\\n"}', caps=CAPS)
            placed = await store.submit(place)
            assert placed.result is Result.DONE
            assert placed.hold is not None
            assert placed.hold.reserved == tuple(Reserved(cap.cap_id, cap.measure, cap.amount) for cap in CAPS)
            assert await store.hold("h1") == placed.hold
            assert await store.open_holds() == [placed.hold]
            assert await store.hold("h2") is None
            noted = await store.submit(Checkpoint("h1", "acme", 40, 8))
            assert (await store.hold("h1")) == noted.hold
            assert noted.hold is not None
            assert (noted.hold.checkpoint_nanos, noted.hold.checkpoint_quantity) == (40, 8)
            captured = await store.submit(Capture("h1", "acme", 90, 4, quantity=12, note="over"))
            assert captured.result is Result.DONE
            assert await store.hold("h1") == captured.hold
            assert await store.open_holds() == []
            assert await store.count_open_holds() == 0
            assert await balances(store) == (10, 0)

    async def test_entries_newest_first_and_page_by_page(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            await funded(store, account_id="other")
            await store.submit(a_place())
            captured = await store.submit(Capture("h1", "acme", 90, 4, note="stream"))
            assert [(e.kind, e.posted_nanos, e.held_nanos, e.note) for e in captured.entries] == [
                (EntryKind.CAPTURE, -70, -70, "stream"),
                (EntryKind.OVERRUN, -20, 0, "stream"),
            ]
            rows = await store.entries()
            assert [entry.entry_id for _, entry in rows] == [
                "h1:overrun", "h1:resolve", "h1:place", "top-other", "top-acme",
            ]  # fmt: skip
            assert [entry for _, entry in rows[:2]] == list(reversed(captured.entries))
            serials = [serial for serial, _ in rows]
            assert serials == sorted(set(serials), reverse=True)
            assert await store.entries(limit=2) == rows[:2]
            assert await store.entries(limit=2, before=serials[1]) == rows[2:4]
            assert await store.entries(account_id="acme", before=serials[2]) == rows[4:]
            assert await store.entries(hold_id="h1") == rows[:3]
            assert await store.entries(account_id="other", hold_id="h1") == []
            assert (await store.trial()).entries == {"acme": Sums(10, 0), "other": Sums(100, 0)}

    async def test_a_trial_is_of_one_moment(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.submit(OpenAccount("acme", AccountKind.PREPAID, 1))
            await store.submit(Post("p", "acme", EntryKind.TOP_UP, 10**9, 2))

            async def move(lane: int) -> None:
                for n in range(40):
                    await store.submit(Place(f"h{lane}-{n}", "acme", 1_000 + n, 3, "node"))
                    await asyncio.sleep(0)
                    await store.submit(Capture(f"h{lane}-{n}", "acme", 900 + 2 * n * lane, 4))
                    await asyncio.sleep(0)

            moving, seen = asyncio.gather(*(move(lane) for lane in range(3))), set[int]()
            while not moving.done():
                trial = await store.trial()
                (account,) = trial.accounts
                assert trial.entries == {"acme": Sums(account.posted_nanos, account.held_nanos)}
                assert trial.open_holds.get("acme", 0) == account.held_nanos
                seen.add(account.posted_nanos)
                await asyncio.sleep(0)
            await moving
            assert len(seen) > 1, "money moved meanwhile"

    async def test_counters(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            names = tuple(cap.cap_id for cap in CAPS)
            assert await store.counters(names) == []
            placed = await store.submit(Place("h1", "acme", 70, 3, "n1", caps=CAPS))
            assert placed.counters == tuple(Counter(c.cap_id, 0, c.amount, c.ends_at_ns) for c in CAPS)
            assert await store.counters((*names, "unknown")) == sorted(placed.counters, key=lambda c: c.cap_id)
            assert await store.forget_counters(10_000) == 0, "they hold something"
            await store.submit(Capture("h1", "acme", 60, 4, quantity=12))
            used = {counter.cap_id: (counter.used, counter.held) for counter in await store.counters(names)}
            assert used == dict(zip(names, [(60, 0), (12, 0), (1, 0), (0, 0)], strict=True))
            assert await store.forget_counters(400) == 0
            assert await store.forget_counters(401) == 2
            assert [counter.cap_id for counter in await store.counters(names)] == sorted((names[0], names[3]))
            assert await store.forget_counters(10_000) == 1, "what never ends is never forgotten"

    async def test_a_cap_refuses_and_says_which(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            tight = Cap("tight", Measure.MONEY, 100, 60)
            wide = Cap("wide", Measure.MONEY, 1_000, 60)
            assert (await store.submit(Place("h1", "acme", 10, 3, "n1", caps=(wide, tight)))).stands
            refused = await store.submit(Place("h2", "acme", 10, 3, "n1", caps=(wide, tight)))
            assert (refused.result, refused.cap) == (Result.OVER_CAP, tight)
            assert refused.counters == (Counter("tight", 0, 60),)
            assert await store.counters(("wide",)) == [Counter("wide", 0, 60)], "all of the caps or none"
            assert await open_ids(store) == ["h1"]

    async def test_a_hold_whose_counter_was_forgotten_is_resolved(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            nothing = Cap("empty", Measure.QUANTITY, 10, 0, ends_at_ns=1)
            await store.submit(Place("h1", "acme", 10, 3, "n1", caps=(nothing,)))
            assert await store.forget_counters(2) == 1
            assert (await store.submit(Capture("h1", "acme", 4, 4, quantity=3))).result is Result.DONE
            assert await store.counters(("empty",)) == []

    async def test_a_note_is_kept_sooner_or_later_and_the_newest_stands(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            await store.submit(a_place())
            for amount in range(1, 40):
                store.note(Checkpoint("h1", "acme", amount, 2 * amount))
            async with asyncio.timeout(30):
                while (hold := await store.hold("h1")) is None or hold.checkpoint_nanos != 39:
                    await asyncio.sleep(0.002)
            assert (hold.sent, hold.checkpoint_quantity, hold.state) == (True, 78, HoldState.OPEN)
            assert (await balances(store)) == (100, 70), "no money moves"

    async def test_a_note_goes_with_the_commands_after_it(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            await store.submit(a_place())
            store.note(Checkpoint("h1", "acme", 5, 6))
            captured = await store.submit(Capture("h1", "acme", 7, 4))
            assert captured.hold is not None
            assert (captured.hold.checkpoint_nanos, captured.hold.resolved_nanos) == (5, 7)
            store.note(Checkpoint("h1", "acme", 9, 9))
            store.note(Checkpoint("nobody", "nowhere", 9, 9))
            assert (await store.submit(a_place("h2", 10))).stands
            assert (await store.hold("h1")) == captured.hold, "a note that comes late changes nothing"

    async def test_commands_are_applied_in_the_order_of_submission(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            commands: list[Command] = [PREPAID, Post("top", "acme", EntryKind.TOP_UP, 10, 2)]
            for n in range(50):
                commands += [a_place(f"h{n}", 10), Void(f"h{n}", "acme", 4)]
            outcomes = await asyncio.gather(*(store.submit(command) for command in commands))
            assert [outcome.result for outcome in outcomes] == [Result.DONE] * 102

    async def test_of_two_hundred_at_once_exactly_those_with_credit_are_placed(
        self, store_factory: StoreFactory
    ) -> None:
        async with store_factory.open_store() as store:
            await funded(store, 70 * 31 + 69)
            outcomes = await asyncio.gather(*(store.submit(a_place(f"h{n}")) for n in range(200)))
            results = [outcome.result for outcome in outcomes]
            assert results.count(Result.DONE) == 31
            assert results.count(Result.INSUFFICIENT_CREDIT) == 169
            assert await balances(store) == (70 * 31 + 69, 70 * 31)
            assert len(await store.open_holds()) == await store.count_open_holds() == 31

    async def test_of_two_hundred_repeats_one_is_done(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store, 1_000)
            await store.submit(a_place())
            outcomes = await asyncio.gather(*(store.submit(Capture("h1", "acme", 50, n)) for n in range(200)))
            assert [o.result for o in outcomes] == [Result.DONE] + [Result.EXISTS] * 199
            assert (await store.submit(Capture("h1", "acme", 51, 9))).result is Result.EXISTS_WITH_DIFFERENT_AMOUNT
            assert (await store.submit(Void("h1", "acme", 9))).result is Result.EXISTS_WITH_DIFFERENT_AMOUNT
            assert (await store.submit(Expire("h1", "acme", 9))).result is Result.EXISTS_WITH_DIFFERENT_AMOUNT
            assert await balances(store) == (950, 0)

    async def test_who_stops_waiting_does_not_stop_the_command(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store, 1_000)
            waiting = [asyncio.create_task(store.submit(a_place(f"h{n}", 10))) for n in range(20)]
            await asyncio.sleep(0)
            for task in waiting[::2]:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert (await store.submit(a_place("last", 10))).stands
            assert len(await store.open_holds()) == await store.count_open_holds() == 21

    async def test_a_settlement_and_its_record_are_one(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            await store.submit(a_place())
            record = a_record("ex_1", bill=Bill("acme", 70, 50, 50, Settled.CAPTURED))
            assert (await store.settle(Capture("h1", "acme", 50, 4), record)).result is Result.DONE
            assert await store.find("ex_1") == record, "it is there at once"
            assert (await store.settle(Capture("h1", "acme", 50, 4), record)).result is Result.EXISTS
            assert await store.find("ex_1") == record
            other = a_record("ex_2", bill=record.bill)
            refused = await store.settle(Capture("h1", "acme", 51, 4), other)
            assert refused.result is Result.EXISTS_WITH_DIFFERENT_AMOUNT
            assert await store.find("ex_2") == disputed(other)
            assert await balances(store) == (50, 0)

    async def test_leases_and_orphans(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store, 1_000)
            for n, node in enumerate(("n1", "n2", "n3", "n2", "n4")):
                await store.submit(a_place(f"h{n}", 10, node=node, at=9 - n))
            await store.beat("n1", HOUR_NS)
            await store.beat("n2", HOUR_NS)
            await store.beat("n4", 0)
            assert [hold.hold_id for hold in await store.orphans()] == ["h4", "h2"], "run out, and never heard of"
            await store.leave("n2")
            assert [hold.hold_id for hold in await store.orphans()] == ["h4", "h3", "h2", "h1"]
            assert [hold.hold_id for hold in await store.orphans(limit=2)] == ["h4", "h3"]
            await store.beat("n2", HOUR_NS)
            await store.submit(Void("h4", "acme", 10))
            assert [hold.hold_id for hold in await store.orphans()] == ["h2"]
            assert [hold.hold_id for hold in await store.open_holds()] == ["h3", "h2", "h1", "h0"]

    async def test_an_entry_of_a_holds_own_cannot_be_posted_first(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            posted = await store.submit(Post("h1:resolve", "acme", EntryKind.TOP_UP, 5, 2))
            assert posted.result is Result.BAD_ID
            assert (await store.submit(a_place())).stands
            assert (await store.submit(Void("h1", "acme", 4))).result is Result.DONE

    async def test_what_no_database_can_keep_is_refused_and_holds_up_nobody(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            unkept: list[Place] = [
                a_place("h\ud800"),
                a_place("h\0"),
                a_place(at=2**63),
                Place("h1", "acme", 1, 3, "n1", caps=(Cap("c\0", Measure.MONEY, 10, 1),)),
                Place("h1", "acme", 1, 3, "n1", caps=(Cap("c", Measure.MONEY, 2**63, 1),)),
            ]
            for command in unkept:
                with pytest.raises(ValueError, match="cannot be kept"):
                    await store.submit(command)
            store.note(Checkpoint("h\ud800", "acme", 1))
            placed = await store.submit(Place("h1", "acme", 1, 3, "n1", about="\ud800\0!"))
            assert placed.hold is not None
            assert placed.hold.about == "\ufffd\ufffd!"
            assert await store.hold("h1") == placed.hold
            assert await open_ids(store) == ["h1"]

    async def test_a_closed_store_takes_nothing(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            await store.aclose()
            with pytest.raises(LedgerUnavailable):
                await store.submit(a_place())
            store.note(Checkpoint("h1", "acme", 5))
            await store.aclose()

    async def test_what_was_submitted_is_done_before_the_store_is_closed(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store, 1_000)
            waiting = [asyncio.create_task(store.submit(a_place(f"h{n}", 10))) for n in range(50)]
            await asyncio.sleep(0)
            await store.aclose()
            assert all(outcome.stands for outcome in await asyncio.gather(*waiting))

    def test_the_books_are_right_after_every_step(self, store_factory: StoreFactory) -> None:
        run_model(store_factory)


class DurableLedgerConformance(LedgerConformance):
    """The same for a store whose database outlives it."""

    async def test_all_is_there_when_the_database_is_opened_again(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await funded(store)
            await store.submit(Place("h1", "acme", 70, 3, "n1", about="a", caps=CAPS))
            await store.beat("n1", HOUR_NS)
            store.note(Checkpoint("h1", "acme", 5, 6))
        async with store_factory.open_store() as store:
            hold = await store.hold("h1")
            assert hold is not None
            assert (hold.checkpoint_nanos, hold.about, len(hold.reserved)) == (5, "a", 4)
            assert await store.orphans() == []
            assert len(await store.counters(tuple(cap.cap_id for cap in CAPS))) == 4
            assert (await store.submit(a_place())).result is Result.EXISTS
            assert await balances(store) == (100, 70)
