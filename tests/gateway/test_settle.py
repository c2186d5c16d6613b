"""The one place where the money of an exchange moves."""

import asyncio
import logging

import pytest
from msgspec.structs import replace

from headgate.gateway.appraise import Appraisal
from headgate.gateway.hold import Held
from headgate.gateway.settle import Settler
from headgate.ledger.commands import Capture, Command, Place, Resolution
from headgate.ledger.entries import Cap, EntryKind, HoldState, Measure, Outcome
from headgate.ledger.store import LedgerUnavailable
from headgate.records import Bill, Ending, Record, Settled
from headgate.stores.memory import MemoryStore
from headgate.usage import Usage
from tests.test_records import RECORD

from .fakes import ACCOUNT, CREDIT, NODE, NOW_NS, stage

HELD = 90_000
HOLD = Held("ex_1", ACCOUNT, HELD, sent=True)
CAP = Cap("tpm:key_1@1", Measure.QUANTITY, 1_000, 600)
PLACE = Place("ex_1", ACCOUNT, HELD, NOW_NS, NODE, sent=True, caps=(CAP,))


def owed(nanos: int | None) -> Appraisal:
    bill = Bill(ACCOUNT, HELD, nanos, nanos, Settled.CAPTURED)
    return Appraisal(bill, captures=True, usage=Usage(input_tokens=8, output_tokens=2))


NOTHING = Appraisal(Bill(ACCOUNT, HELD, 5, 0, Settled.VOIDED), captures=False)


def record_of(appraisal: Appraisal | None) -> Record:
    bill = Bill() if appraisal is None else appraisal.bill
    return replace(RECORD, exchange_id="ex_1", ending=Ending.CLIENT_LEFT, bill=bill)


async def placed(store: MemoryStore | None = None) -> MemoryStore:
    scene = stage(store=store)
    await scene.open_account()
    assert (await scene.store.submit(PLACE)).stands
    return scene.store


async def settle(store: MemoryStore, appraisal: Appraisal | None, held: Held | None = HOLD) -> Record:
    return await Settler(store).settle(held, appraisal, record_of(appraisal), NOW_NS + 5)


@pytest.mark.parametrize(
    ("appraisal", "kinds", "posted", "state"),
    [
        (owed(12_000), [EntryKind.CAPTURE], 12_000, HoldState.CAPTURED),
        (owed(0), [EntryKind.CAPTURE], 0, HoldState.CAPTURED),
        (owed(None), [EntryKind.CAPTURE], 0, HoldState.CAPTURED),
        (owed(HELD), [EntryKind.CAPTURE], HELD, HoldState.CAPTURED),
        (owed(HELD + 1), [EntryKind.CAPTURE, EntryKind.OVERRUN], HELD + 1, HoldState.CAPTURED),
        (NOTHING, [EntryKind.VOID], 0, HoldState.VOIDED),
    ],
    ids=["captured", "for-nothing", "for-who-knows", "the-whole-hold", "beyond-it", "voided"],
)
async def test_a_hold_is_resolved(appraisal: Appraisal, kinds: list[EntryKind], posted: int, state: HoldState) -> None:
    store = await placed()
    assert await settle(store, appraisal) == record_of(appraisal)
    entries = [entry for _, entry in await store.entries(hold_id="ex_1")][::-1]
    assert [entry.kind for entry in entries] == [EntryKind.PLACE, *kinds]
    assert {(entry.at_ns, entry.note) for entry in entries[1:]} == {(NOW_NS + 5, "client_left")}
    account, hold = await store.account(ACCOUNT), await store.hold("ex_1")
    assert account is not None
    assert hold is not None
    assert (account.posted_nanos, account.held_nanos, hold.state) == (CREDIT - posted, 0, state)
    assert store.kept == [record_of(appraisal)]
    (counter,) = await store.counters((CAP.cap_id,))
    assert (counter.used, counter.held) == (10 if appraisal.captures else 0, 0)


async def test_without_a_hold_there_is_only_a_record() -> None:
    store = MemoryStore()
    await settle(store, owed(5), held=None)
    assert (len(store.kept), await store.entries()) == (1, [])


async def test_the_same_again_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = await placed()
    for _ in range(3):
        await settle(store, owed(12_000))
    assert len(await store.entries(hold_id="ex_1")) == 2
    assert caplog.text == ""


@pytest.mark.parametrize("other", [owed(11_999), owed(0), NOTHING], ids=["less", "nothing", "a-void"])
async def test_a_repeat_that_says_something_else_is_disputed_and_logged(
    other: Appraisal, caplog: pytest.LogCaptureFixture
) -> None:
    store = await placed()
    await store.submit(Capture("ex_1", ACCOUNT, 12_000, NOW_NS))
    with caplog.at_level(logging.ERROR):
        told = await settle(store, other)
    (record,) = store.kept
    assert told == record, "who is told of it is told what is kept"
    assert (record.bill.settled, record.bill.charge_nanos) == (Settled.DISPUTED, other.bill.charge_nanos)
    assert "could not be settled: exists_with_different_amount" in caplog.text
    account = await store.account(ACCOUNT)
    assert account is not None
    assert account.posted_nanos == CREDIT - 12_000, "what was settled first stands"


class Slow(MemoryStore):
    """Never writes a settlement."""

    async def settle(self, resolution: Resolution, record: Record) -> Outcome:
        await asyncio.Event().wait()
        return await super().settle(resolution, record)


async def test_a_stopping_gateway_does_not_wait_for_its_database() -> None:
    settling = asyncio.create_task(settle(await placed(Slow()), owed(5)))
    await asyncio.sleep(0)
    settling.cancel()
    await settling
    assert not settling.cancelled(), "the exchange goes on to its end"


async def test_books_that_are_closed_have_spilled_it() -> None:
    store = await placed()
    await store.aclose()
    await settle(store, owed(5))
    assert store.kept == []


class Late(MemoryStore):
    """Writes what it is given only once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    async def submit(self, command: Command) -> Outcome:
        await self.may.wait()
        return await super().submit(command)


async def test_a_hold_that_nobody_waited_for_is_given_back() -> None:
    store = await placed()
    settler = Settler(store)
    settler.abandon(PLACE)
    while await store.open_holds():
        await asyncio.sleep(0)
    (void, _) = [entry for _, entry in await store.entries(hold_id="ex_1")]
    assert (void.kind, void.note) == (EntryKind.VOID, "the ledger was too slow")


async def test_giving_back_outlives_a_closed_ledger() -> None:
    late = Late()
    settler = Settler(late)
    settler.abandon(PLACE)
    await asyncio.sleep(0)
    await late.aclose()
    late.may.set()
    (task,) = settler._abandoning
    await task
    with pytest.raises(LedgerUnavailable):
        await late.submit(PLACE)
