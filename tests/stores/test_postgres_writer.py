"""The queue by itself, before a database that does what the test says. With a real one: test_postgres.py."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence

import pytest

from headgate.ledger.commands import Checkpoint, Command, Void
from headgate.ledger.entries import Outcome, Result
from headgate.ledger.store import LedgerUnavailable
from headgate.records import Record
from headgate.stores.postgres_link import Away, Conflict, Unwritable
from headgate.stores.postgres_writer import Writer
from tests.stores.examples import a_record

DONE = Outcome(Result.DONE)


class Database:
    """Takes batches while `open` is set, and remembers them; `verdict` may raise."""

    def __init__(self, verdict: Callable[[Sequence[str]], None] = lambda _: None) -> None:
        self.batches: list[list[str]] = []
        self.tries = 0
        self.open = asyncio.Event()
        self.open.set()
        self._verdict = verdict

    async def commit(
        self, records: Sequence[Record], commands: Sequence[Command], settled: Mapping[int, Record]
    ) -> Sequence[Outcome]:
        await self.open.wait()
        self.tries += 1
        names = [record.exchange_id for record in (*records, *settled.values())]
        names += [command.hold_id if isinstance(command, Void) else str(command) for command in commands]
        self._verdict(names)
        self.batches.append(names)
        return [DONE] * len(commands)


def void(name: str) -> Void:
    return Void(name, "acme", 1)


async def test_what_comes_during_a_commit_is_the_next_batch() -> None:
    database = Database()
    database.open.clear()
    writer = Writer(database.commit, "db")
    first = writer.put(void("h0"))
    await asyncio.sleep(0.01)
    rest = [writer.put(void(f"h{n}")) for n in range(1, 2_001)]
    writer.put_record(a_record("ex_1"))
    database.open.set()
    assert await asyncio.gather(first, *rest) == [DONE] * 2_001
    assert await writer.aclose(10) == []
    assert [len(batch) for batch in database.batches] == [1, 1_000, 1_000, 1]
    assert [name for batch in database.batches for name in batch] == [*(f"h{n}" for n in range(2_001)), "ex_1"]


async def test_a_command_takes_along_what_is_gathering() -> None:
    database = Database()
    writer = Writer(database.commit, "db")
    writer.put_record(a_record("ex_1"))
    writer.put_note(Checkpoint("h1", "acme", 1))
    writer.put_note(Checkpoint("h1", "acme", 2))
    await writer.put(void("h1"))
    assert database.batches == [["ex_1", str(Checkpoint("h1", "acme", 2)), "h1"]]
    await writer.aclose(10)


async def test_records_may_come_from_any_thread() -> None:
    database = Database()
    writer = Writer(database.commit, "db")
    threads = [threading.Thread(target=writer.put_record, args=(a_record(f"ex_{n}"),)) for n in range(20)]
    for thread in threads:
        thread.start()
    async with asyncio.timeout(30):
        while sum(map(len, database.batches)) < 20:
            await asyncio.sleep(0.002)
    await writer.aclose(10)


@pytest.mark.parametrize("trouble", [Away("x"), Conflict("x"), Unwritable("another wrote it at the same moment")])
async def test_a_batch_is_tried_again_whole(trouble: Exception) -> None:
    left = [trouble] * 2

    def verdict(_: Sequence[str]) -> None:
        if left:
            raise left.pop()

    database = Database(verdict)
    writer = Writer(database.commit, "db")
    writer.put_record(a_record("ex_1"))
    waiting = [writer.put(void("h1")), writer.put(void("h2"))]
    assert await asyncio.gather(*waiting) == [DONE, DONE]
    assert (database.batches, database.tries) == ([["ex_1", "h1", "h2"]], 3)
    await writer.aclose(10)


async def test_what_can_never_be_written_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def verdict(names: Sequence[str]) -> None:
        if {"bad", "ex_bad", "ex_worse"}.intersection(names):
            raise Unwritable("no")

    database = Database(verdict)
    writer = Writer(database.commit, "db")
    for n in range(5):
        writer.put_record(a_record(f"ex_{n}"))
    writer.put_record(a_record("ex_bad"))
    waiting = [writer.put(void(name)) for name in ("h1", "bad", "h2")]
    settled = writer.put(void("h3"), a_record("ex_worse"))
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert (told[0], told[2]) == (DONE, DONE)
    assert isinstance(told[1], ValueError)
    assert await settled is DONE, "the settlement counts, without its record"
    assert sorted(name for batch in database.batches for name in batch) == [
        "ex_0", "ex_1", "ex_2", "ex_3", "ex_4", "h1", "h2", "h3",
    ]  # fmt: skip
    assert caplog.text.count("can never be written") == 3
    await writer.aclose(10)


async def test_what_is_left_at_the_end_is_handed_back_and_its_waiters_are_told() -> None:
    def verdict(_: Sequence[str]) -> None:
        raise Away("x")

    database = Database(verdict)
    writer = Writer(database.commit, "db")
    record = a_record("ex_1")
    writer.put_record(record)
    waiting = writer.put(void("h1"), a_record("ex_2"))
    assert await writer.aclose(10) == [record, void("h1"), a_record("ex_2")]
    with pytest.raises(LedgerUnavailable):
        await waiting
    with pytest.raises(LedgerUnavailable):
        writer.put(void("h2"))
    assert not writer.accepting
    assert await writer.aclose(10) == []


async def test_a_commit_that_hangs_does_not_hold_up_the_stop() -> None:
    database = Database()
    database.open.clear()
    writer = Writer(database.commit, "db")
    waiting = writer.put(void("h1"))
    queued = asyncio.create_task(writer.aclose(0.05))
    assert await queued == [void("h1")]
    with pytest.raises(LedgerUnavailable):
        await waiting
