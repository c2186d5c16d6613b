"""Orphans: the holds of gateways that died."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator

import pytest

from headgate.errors import Busy
from headgate.gateway.checkpoint import Checkpoints
from headgate.gateway.sweep import Keeper, Lease, died
from headgate.ledger.commands import Checkpoint, Place, Resolution
from headgate.ledger.entries import Cap, EntryKind, Hold, HoldState, Measure, Outcome
from headgate.records import Ending, Record, Settled
from headgate.stores.memory import MemoryStore
from headgate.usage import Basis

from .fakes import ACCOUNT, CREDIT, NODE, NOW_NS, Stage, stage

HELD, MINIMUM = 90_000, 7_000
ABOUT = {
    "started_at_ns": NOW_NS - 5_000,
    "method": "POST",
    "path": "/v1/chat/completions",
    "dialect": "openai.chat",
    "operation": "create",
    "provider": "openai",
    "key": "alice",
    "key_id": "key_1",
    "model_asked": "gpt-4o-mini",
    "streamed": True,
}


class Books(MemoryStore):
    """Whose leases a test ends, and whose database it takes away."""

    def __init__(self) -> None:
        super().__init__()
        self.living: set[str] = set()
        self.beats = 0
        self.left: list[str] = []
        self.away: Callable[[], bool] = lambda: False
        self.forgotten: list[int] = []

    async def beat(self, node: str, lease_ns: int) -> None:
        del lease_ns
        self.beats += 1
        if self.away():
            raise Busy("The database is away.")
        self.living.add(node)

    async def leave(self, node: str) -> None:
        self.left.append(node)
        self.living.discard(node)

    async def orphans(self, limit: int = 100) -> list[Hold]:
        return [hold for hold in await self.open_holds() if hold.node not in self.living][:limit]

    async def forget_counters(self, ended_before_ns: int) -> int:
        self.forgotten.append(ended_before_ns)
        return await super().forget_counters(ended_before_ns)


def keeper(scene: Stage, node: str = NODE, lease: Lease | None = None) -> Keeper:
    gateway = scene.gateway
    checkpoints = Checkpoints(scene.store, gateway.live)
    return Keeper(scene.store, node, checkpoints, lambda: NOW_NS, lease=lease or Lease())


async def orphaned(
    books: Books | None = None, *, sent: bool = True, noted: int | None = None, caps: tuple[Cap, ...] = ()
) -> Stage:
    scene = stage(store=books or Books())
    await scene.open_account()
    await orphan(scene.store, "ex_1", sent=sent, noted=noted, caps=caps)
    return scene


async def orphan(
    store: MemoryStore, hold_id: str, *, sent: bool = True, noted: int | None = None, caps: tuple[Cap, ...] = ()
) -> None:
    about = json.dumps(ABOUT)
    place = Place(
        hold_id, ACCOUNT, HELD, NOW_NS - 4_000, "dead", sent=sent, minimum_nanos=MINIMUM, about=about, caps=caps
    )
    assert (await store.submit(place)).stands
    if noted is not None:
        store.note(Checkpoint(hold_id, ACCOUNT, noted, 12))


@pytest.mark.parametrize(
    ("sent", "noted", "state", "charge", "flags"),
    [
        (True, 30_000, HoldState.CAPTURED, 30_000, ("gateway_died", "checkpoint")),
        (True, 0, HoldState.CAPTURED, 0, ("gateway_died", "checkpoint")),
        (True, HELD + 1, HoldState.CAPTURED, HELD, ("gateway_died", "checkpoint")),
        (True, None, HoldState.CAPTURED, MINIMUM, ("gateway_died", "prompt_only")),
        (False, None, HoldState.EXPIRED, 0, ("gateway_died",)),
    ],
)
async def test_what_becomes_of_an_orphan(
    sent: bool, noted: int | None, state: HoldState, charge: int, flags: tuple[str, ...]
) -> None:
    scene = await orphaned(sent=sent, noted=noted)
    assert await keeper(scene).sweep() == 1
    hold = await scene.store.hold("ex_1")
    assert hold is not None
    assert hold.state is state
    account = await scene.account()
    assert (account.posted_nanos, account.held_nanos) == (CREDIT - charge, 0)
    (record,) = scene.records()
    assert (record.ending, record.status, record.billable) == (Ending.GATEWAY_DIED, 500, sent)
    assert (record.bill.charge_nanos, record.bill.hold_nanos, record.bill.flags) == (charge, HELD, flags)
    assert record.bill.settled is (Settled.CAPTURED if sent else Settled.EXPIRED)
    assert await keeper(scene).sweep() == 0
    assert len(scene.records()) == 1


async def test_streams_have_their_turn_while_all_are_noted() -> None:
    scene, stepped = stage(), 0

    class Many(Checkpoints, frozen=True):
        def notes(self) -> Iterator[bool]:
            nonlocal stepped
            for _ in range(100):
                stepped += 1
                yield True

    checkpoints = Many(scene.store, scene.gateway.live)
    own = Keeper(scene.store, NODE, checkpoints, lambda: NOW_NS, lease=Lease())
    own.start()
    at_once = []
    while stepped < 100:
        before = stepped
        await asyncio.sleep(0)
        at_once.append(stepped - before)
    await own.aclose()
    assert max(at_once) <= 5


async def test_observers_are_told_once_of_what_was_swept() -> None:
    class Observed:
        def saw(self, record: Record) -> None:
            seen.append(record)

    seen: list[Record] = []
    scene = await orphaned()
    checkpoints = Checkpoints(scene.store, scene.gateway.live)
    sweeper = Keeper(scene.store, NODE, checkpoints, lambda: NOW_NS, lease=Lease(), observers=[Observed()])
    for _ in range(2):
        await sweeper.sweep()
        await asyncio.sleep(0)
    assert seen == scene.records() != []


async def test_the_record_of_a_died_exchange_tells_what_its_hold_knew() -> None:
    scene = await orphaned()
    await keeper(scene).sweep()
    (record,) = scene.records()
    assert {name: getattr(record, name) for name in ABOUT} == ABOUT
    assert (record.exchange_id, record.bill.account) == ("ex_1", ACCOUNT)
    assert (record.reading.basis, record.counted, record.total_ns) == (Basis.NONE, False, 5_000)


def test_a_hold_that_knows_nothing_still_has_a_record() -> None:
    record = died(Hold("ex_1", ACCOUNT, HELD, NOW_NS - 10, "dead", sent=False, minimum_nanos=0), 0, NOW_NS)
    assert (record.method, record.provider, record.total_ns) == ("", None, 10)


async def test_caps_get_back_what_was_not_used() -> None:
    caps = (
        Cap("tpm:key_1@1", Measure.QUANTITY, 100, 60),
        Cap("budget:b", Measure.MONEY, HELD, HELD),
        Cap("concurrent:key_1", Measure.PRESENCE, 1, 1),
    )
    scene = await orphaned(noted=30_000, caps=caps)
    await keeper(scene).sweep()
    counters = await scene.store.counters(tuple(cap.cap_id for cap in caps))
    assert {counter.cap_id: (counter.used, counter.held) for counter in counters} == {
        "tpm:key_1@1": (12, 0),
        "budget:b": (30_000, 0),
        "concurrent:key_1": (0, 0),
    }


class FoundByBoth(Books):
    """Tells both sweepers of the same orphans before either has settled them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Barrier(2)

    async def orphans(self, limit: int = 100) -> list[Hold]:
        found = await super().orphans(limit)
        await self.asked.wait()
        return found


async def test_two_sweepers_settle_an_orphan_once() -> None:
    scene = await orphaned(FoundByBoth(), noted=30_000)
    swept = await asyncio.gather(*(keeper(scene, node).sweep() for node in ("node-1", "node-2")))
    assert swept == [1, 1]
    entries = [entry.kind for _, entry in await scene.store.entries(hold_id="ex_1")]
    assert entries == [EntryKind.CAPTURE, EntryKind.PLACE]
    assert (await scene.account()).posted_nanos == CREDIT - 30_000
    (record,) = scene.records()
    assert record.bill.settled is Settled.CAPTURED


async def test_the_living_are_left_alone() -> None:
    scene = await orphaned()
    assert isinstance(scene.store, Books)
    scene.store.living.add("dead")
    assert await keeper(scene).sweep() == 0


class Counting(Books):
    """Counts the settlements that wait at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = 0
        self.most = 0

    async def settle(self, resolution: Resolution, record: Record) -> Outcome:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(0)
        self.waiting -= 1
        return await super().settle(resolution, record)


async def test_many_orphans_are_settled_together(caplog: pytest.LogCaptureFixture) -> None:
    """One after the other they would take longer than a lease, and the sweeper itself would be swept."""
    books = Counting()
    scene = await orphaned(books)
    for n in range(2, 31):
        await orphan(books, f"ex_{n}", noted=n)
    with caplog.at_level(logging.WARNING):
        assert await keeper(scene).sweep() == 30
    assert (books.most, await books.open_holds()) == (30, [])
    assert caplog.text.count("swept ex_") == 30


QUICK = Lease(beat_seconds=0.001, lease_seconds=0.05)


async def beats(store: Books, count: int) -> None:
    until = store.beats + count
    while store.beats < until:
        await asyncio.sleep(0.001)


async def test_nobody_sweeps_before_a_whole_lease_of_its_own() -> None:
    scene = await orphaned()
    store = scene.store
    assert isinstance(store, Books)
    own = keeper(scene, lease=Lease(beat_seconds=0.001, lease_seconds=1_000))
    own.start()
    await beats(store, 20)
    await own.aclose()
    assert [hold.hold_id for hold in await store.open_holds()] == ["ex_1"]
    assert store.left == [NODE]


async def test_after_a_whole_lease_orphans_are_swept_and_old_counters_forgotten() -> None:
    scene = await orphaned()
    store = scene.store
    assert isinstance(store, Books)
    own = keeper(scene, lease=QUICK)
    own.start()
    while await store.open_holds():
        await asyncio.sleep(0.001)
    await own.aclose()
    assert [record.ending for record in scene.records()] == [Ending.GATEWAY_DIED]
    assert set(store.forgotten) <= {NOW_NS - 3_600 * 10**9}


async def test_a_gap_begins_the_lease_anew(caplog: pytest.LogCaptureFixture) -> None:
    scene = await orphaned()
    store = scene.store
    assert isinstance(store, Books)
    store.away = lambda: store.beats % 3 == 0
    own = keeper(scene, lease=QUICK)
    own.start()
    await asyncio.sleep(0.2)  # several leases, and no beat for the third time in a row
    assert [hold.hold_id for hold in await store.open_holds()] == ["ex_1"]
    assert "cannot be kept" in caplog.text
    store.away = lambda: False
    while await store.open_holds():
        await asyncio.sleep(0.001)
    await own.aclose()


async def test_whoever_stood_still_for_longer_than_a_lease_begins_anew() -> None:
    """As a machine does that was put to sleep: each beat succeeds, but the others had no time for theirs."""
    scene = await orphaned()
    store = scene.store
    assert isinstance(store, Books)

    def stand_still() -> bool:
        time.sleep(QUICK.lease_seconds * 1.5)
        return False

    store.away = stand_still
    own = keeper(scene, lease=QUICK)
    own.start()
    await beats(store, 4)
    await own.aclose()
    assert [hold.hold_id for hold in await store.open_holds()] == ["ex_1"]


async def test_a_stop_before_the_start_is_nothing() -> None:
    scene = await orphaned()
    await keeper(scene).aclose()
    assert isinstance(scene.store, Books)
    assert scene.store.left == []


async def test_a_keeper_that_fails_does_not_fail_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    scene = await orphaned()
    assert isinstance(scene.store, Books)

    def fault() -> bool:
        raise RuntimeError("a fault of ours")

    scene.store.away = fault
    own = keeper(scene, lease=QUICK)
    own.start()
    await beats(scene.store, 1)
    await asyncio.sleep(0)
    await own.aclose()
    assert "restart this gateway" in caplog.text
    assert "a fault of ours" in caplog.text


def test_the_hold_of_a_further_attempt_tells_of_those_before_it() -> None:
    before = {
        "provider": "openai",
        "status": None,
        "started_ns": 1,
        "ended_ns": 2,
        "charge_nanos": 7,
        "hold_id": "ex_1",
    }
    about = json.dumps({"attempts": [before], "charge_nanos": 7, "provider": "other"})
    hold = Hold("ex_1.2", ACCOUNT, HELD, NOW_NS - 10, "dead", sent=True, minimum_nanos=0, about=about)
    record = died(hold, 5, NOW_NS)
    assert (record.exchange_id, record.provider, record.bill.charge_nanos) == ("ex_1", "other", 12)
    assert [(attempt.provider, attempt.charge_nanos) for attempt in record.attempts] == [("openai", 7)]
