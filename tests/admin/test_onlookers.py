"""Onlookers: what each is shown, how little of it is kept for one who does not read, and how many there may be."""

import asyncio
import json
from typing import Any

import pytest

from headgate.admin.onlookers import MOST_ONLOOKERS, STALLED, TOLD_PER_SECOND, Onlooker, Onlookers
from headgate.admin.snapshot import LiveView
from headgate.admin.views import moment
from headgate.errors import Busy
from tests.admin.serving import NOON_NS, Clock
from tests.stores.examples import a_record

NS = 1_000_000_000


class Taking:
    """Snapshots that are numbered."""

    def __init__(self) -> None:
        self.taken = 0
        self.fails = False

    async def __call__(self) -> LiveView:
        if self.fails:
            raise ZeroDivisionError
        self.taken += 1
        return LiveView(at=moment(NOON_NS), node="n", running=self.taken, exchanges=[])


def some(second: float = 0.01, clock: Clock | None = None) -> tuple[Onlookers, Taking]:
    taking = Taking()
    return Onlookers(taking, clock or Clock(), second=second), taking


def told(chunk: bytes) -> list[tuple[str, Any]]:
    """The events in a chunk."""
    found = []
    for block in chunk.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line)
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def next_of(onlooker: Onlooker, name: str) -> Any:
    async for chunk in onlooker:
        for event, data in told(chunk):
            if event == name:
                return data
    raise AssertionError("it ended")


async def over(onlooker: Onlooker) -> None:
    """Read to the end."""
    async for _ in onlooker:
        pass


async def test_everybody_is_shown_the_same_snapshot_which_is_taken_once() -> None:
    onlookers, taking = some(second=10)
    many = [onlookers.join() for _ in range(5)]
    assert [(await next_of(each, "live"))["running"] for each in many] == [1] * 5
    late = onlookers.join()
    assert (await next_of(late, "live"))["running"] == 1, "who comes later does not wait for the next one"
    assert taking.taken == 1
    onlookers.close()


async def test_nothing_is_taken_while_nobody_looks() -> None:
    onlookers, taking = some()
    onlookers.saw(a_record("unseen"))
    one = onlookers.join()
    first = await anext(one)
    assert first.startswith(b"retry: ")
    while taking.taken < 3:
        await anext(one)
    one.close()
    await asyncio.sleep(0.05)
    taken = taking.taken
    await asyncio.sleep(0.05)
    assert taking.taken == taken
    again = onlookers.join()
    assert (await next_of(again, "live"))["running"] == taken + 1, "and it begins anew, with a new one"
    onlookers.close()


async def test_who_ended_is_told_at_once() -> None:
    onlookers, _ = some(second=10)
    one = onlookers.join()
    await next_of(one, "live")
    onlookers.saw(a_record("ex_1"))
    assert (await next_of(one, "ended"))["exchange_id"] == "ex_1"
    onlookers.close()


async def test_of_too_many_ended_only_the_number_is_told() -> None:
    onlookers, _ = some(second=0.05)
    one = onlookers.join()
    await next_of(one, "live")
    for n in range(TOLD_PER_SECOND + 30):
        onlookers.saw(a_record(f"ex_{n}"))
    ended = [data["exchange_id"] for name, data in told(await anext(one)) if name == "ended"]
    assert ended == [f"ex_{n}" for n in range(TOLD_PER_SECOND)]
    assert await next_of(one, "skipped") == {"count": 30}
    onlookers.saw(a_record("ex_later"))
    assert (await next_of(one, "ended"))["exchange_id"] == "ex_later"
    onlookers.close()


async def test_who_reads_slowly_gets_the_newest_and_costs_no_more_memory() -> None:
    onlookers, taking = some(second=0.001)
    slow, quick = onlookers.join(), onlookers.join()
    reading = asyncio.create_task(over(quick))
    for n in range(40):
        before = taking.taken
        for k in range(TOLD_PER_SECOND):
            onlookers.saw(a_record(f"ex_{n}_{k}"))
        while taking.taken == before:
            await asyncio.sleep(0.001)
        if not n:
            kept = len(slow._ended)
    assert len(slow._ended) == kept == TOLD_PER_SECOND
    assert slow._snapshot.count(b"event: live") == 1
    chunk = told(await anext(slow))
    assert [name for name, _ in chunk].count("live") == 1
    assert chunk[0][1]["running"] >= taking.taken - 1, "the newest"
    told_of = sum(data["count"] if name == "skipped" else name == "ended" for name, data in chunk)
    assert told_of == 40 * TOLD_PER_SECOND, "what he missed is counted"
    onlookers.close()
    await reading


async def test_one_who_takes_nothing_for_too_long_loses_his_place() -> None:
    onlookers, taking = some(second=0.0001)
    stalled, reading = onlookers.join(), onlookers.join()
    while taking.taken <= STALLED + 1:
        await anext(reading)
    with pytest.raises(StopAsyncIteration):
        await anext(stalled)
    assert len(onlookers) == 1
    onlookers.close()


async def test_there_is_room_for_so_many_and_a_place_that_is_left_is_free() -> None:
    onlookers, _ = some()
    many = [onlookers.join() for _ in range(MOST_ONLOOKERS)]
    with pytest.raises(Busy, match="50 onlookers"):
        onlookers.join()
    many[7].close()
    many[7].close()
    onlookers.join()
    assert len(onlookers) == MOST_ONLOOKERS
    onlookers.close()


async def test_a_sign_in_that_ends_ends_the_looking_on() -> None:
    clock = Clock()
    onlookers, _ = some(clock=clock)
    one, other = onlookers.join(NOON_NS + NS), onlookers.join()
    await next_of(one, "live")
    clock.now_ns += NS
    await over(one)
    assert len(onlookers) == 1
    assert await next_of(other, "live")
    onlookers.close()


async def test_a_stop_sends_everybody_away_and_lets_nobody_in() -> None:
    onlookers, _ = some(second=10)
    one, closed = onlookers.join(), []
    one.on_close(lambda: closed.append("told"))
    onlookers.close()
    await over(one)
    assert closed == ["told"]
    one.on_close(lambda: closed.append("at once"))
    assert closed == ["told", "at once"]
    with pytest.raises(Busy, match="stopping"):
        onlookers.join()


async def test_after_a_fault_nobody_looks_at_what_stands_still(caplog: pytest.LogCaptureFixture) -> None:
    onlookers, taking = some()
    one = onlookers.join()
    await next_of(one, "live")
    taking.fails = True
    await over(one)
    await asyncio.sleep(0)
    assert "the live view has failed" in caplog.text
    taking.fails = False
    again = onlookers.join()
    assert await next_of(again, "live")
    onlookers.close()


async def test_everybody_can_be_sent_away_and_come_back() -> None:
    onlookers, _ = some()
    first = onlookers.join()
    onlookers.send_away()
    assert len(onlookers) == 0
    with pytest.raises(StopAsyncIteration):
        await anext(first)
    again = onlookers.join()
    assert (await next_of(again, "live"))["node"] == "n"
    again.close()
