import asyncio
import logging

import pytest

from headgate.errors import Busy
from headgate.gateway.retention import DAY_NS, SLICE, Pruner
from headgate.stores.memory import MemoryStore
from tests.stores.examples import NOON, a_record


class Records(MemoryStore):
    """Tells when it has nothing more to remove, and fails where a test says so."""

    def __init__(self, number: int) -> None:
        super().__init__()
        for n in range(number):
            self.append(a_record(f"ex_{n:05}", started_at_ns=NOON - n))
        self.slices: list[int] = []
        self.failures = 0
        self.done = asyncio.Event()

    async def prune(self, before_ns: int, limit: int = SLICE) -> int:
        if self.failures:
            self.failures -= 1
            raise Busy("The database does not answer.")
        removed = await super().prune(before_ns, limit)
        self.slices.append(removed)
        if not removed:
            self.done.set()
        return removed


def a_pruner(records: Records, now_ns: int, pause_seconds: float = 600.0) -> Pruner:
    return Pruner(records.prune, 30, lambda: now_ns, breath_seconds=0.0, pause_seconds=pause_seconds)


async def test_it_removes_slice_by_slice_what_is_older_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    records = Records(2 * SLICE + 10)
    records.append(a_record("ex_young", started_at_ns=NOON + 1))
    pruner = a_pruner(records, NOON + 30 * DAY_NS + 1)
    pruner.start()
    await records.done.wait()
    await asyncio.sleep(0)
    await pruner.aclose()
    assert records.slices == [SLICE, SLICE, 10, 0]
    assert [record.exchange_id for record in records.kept] == ["ex_young"]
    assert f"{2 * SLICE + 10} records were removed: they are kept for 30 days" in caplog.text


async def test_what_is_just_old_enough_stays() -> None:
    records = Records(1)
    pruner = a_pruner(records, NOON + 30 * DAY_NS)
    pruner.start()
    await records.done.wait()
    await pruner.aclose()
    assert len(records.kept) == 1


async def test_a_database_that_is_away_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    records = Records(3)
    records.failures = 2
    pruner = a_pruner(records, NOON + 31 * DAY_NS, pause_seconds=0.0)
    pruner.start()
    await records.done.wait()
    await pruner.aclose()
    assert records.kept == []
    assert caplog.text.count("old records cannot be removed at the moment") == 2


async def test_it_can_be_closed_before_it_was_started() -> None:
    await a_pruner(Records(0), NOON).aclose()


async def test_two_gateways_remove_each_record_once() -> None:
    records = Records(5 * SLICE)
    pruners = [a_pruner(records, NOON + 31 * DAY_NS) for _ in range(2)]
    for pruner in pruners:
        pruner.start()
    await records.done.wait()
    for pruner in pruners:
        await pruner.aclose()
    assert sum(records.slices) == 5 * SLICE


async def test_one_that_was_stopped_removes_nothing_more() -> None:
    records = Records(SLICE)
    pruner = a_pruner(records, NOON + 31 * DAY_NS)
    pruner.start()
    pruner.stop()
    await asyncio.sleep(0.01)
    assert records.slices == []
    await pruner.aclose()
