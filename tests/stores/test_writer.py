"""A store that is locked, full, moved away, removed or killed loses nothing and doubles nothing."""

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from headgate.errors import ConfigError
from headgate.ledger.commands import Capture, Command, Void
from headgate.ledger.entries import EntryKind, HoldState, Outcome, Result
from headgate.ledger.store import LedgerUnavailable
from headgate.records import Record, disputed
from headgate.stores.file_sqlite import SqliteFile
from headgate.stores.spill import spill_path
from headgate.stores.sqlite import SqliteStore
from tests.stores.conformance import write
from tests.stores.directory_conformance import OWN
from tests.stores.examples import a_record, until
from tests.stores.faults import child, failing, ids, locked, opened, seen, shown
from tests.stores.ledger_conformance import a_place, balances, funded


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "records.db"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is waited for a moment only."""
    monkeypatch.setattr("headgate.stores.file_sqlite.BUSY_SECONDS", 0.01)


async def test_the_folder_is_made(path: Path) -> None:
    async with opened(path) as log:
        await write(log, a_record())
    assert ids(path) == ["ex_1"]


async def test_a_lone_record_goes_to_disk_while_the_log_is_open(path: Path) -> None:
    async with opened(path) as log:
        for n in range(3):
            log.append(a_record(f"ex_{n}"))
            await seen(lambda: len(ids(path)) == n + 1)  # noqa: B023 - called at once


@pytest.mark.usefixtures("impatient")
async def test_what_is_queued_becomes_one_transaction(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = SqliteFile.write

    def counting(file: SqliteFile, records: list[Record], *rest: Any) -> Any:
        told = real(file, records, *rest)
        sizes.append(len(records))
        return told

    monkeypatch.setattr(SqliteFile, "write", counting)
    async with opened(path) as log:
        with locked(path):
            log.append(a_record("first"))
            await seen(lambda: failing(caplog))
            for n in range(1_500):
                log.append(a_record(f"ex_{n}"))
        await shown(log, "ex_1499")
    assert sizes == [1, 1_000, 500]


@pytest.mark.usefixtures("impatient")
async def test_a_locked_file_costs_nothing_but_time(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(path, max_backlog=10) as log:
        with locked(path):
            for n in range(9):
                log.append(a_record(f"ex_{n}"))
            await seen(lambda: log._writer._failures > 2)
            accepting = [log.accepting]
            log.append(a_record("ex_9"))
            accepting.append(log.accepting)
            log.append(a_record("ex_10"))
            assert accepting == [True, False]
            assert log.backlog == 11
            assert ids(path) == []
        await seen(lambda: log.accepting)
        await seen(lambda: not log.backlog)
        await shown(log, "ex_10")
    assert ids(path) == [f"ex_{n}" for n in range(11)]
    assert caplog.text.count("cannot be written") == 1, "told once, however often it was tried"
    assert caplog.text.count("again, after") == 1


async def test_two_gateways_write_one_file(path: Path) -> None:
    async with opened(path) as one, opened(path) as other:
        for n in range(0, 600, 2):
            one.append(a_record(f"ex_{n}"))
            other.append(a_record(f"ex_{n + 1}"))
    assert sorted(ids(path)) == sorted(f"ex_{n}" for n in range(600))


async def test_a_removed_file_is_waited_for(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """To make another would leave every account behind."""
    away = path.parent.with_name("away")
    async with opened(path) as log:
        await write(log, a_record("ex_1", response_id="resp_1"))
        away.mkdir()
        for file in list(path.parent.iterdir()):
            file.rename(away / file.name)
        log.append(a_record("ex_2", response_id="resp_2"))
        await seen(lambda: log._writer._failures > 1)
        assert [file.name for file in path.parent.iterdir()] == [], "no other is made"
        for file in list(away.iterdir()):
            file.rename(path.parent / file.name)
        await shown(log, "ex_2")
        assert await log.trail("resp_1") is not None
    assert ids(path) == ["ex_1", "ex_2"]
    assert failing(caplog)


async def test_another_file_in_its_place_is_not_written_to(path: Path) -> None:
    aside = path.with_name("aside.db")
    async with opened(path) as log:
        await funded(log)
        await log.submit(a_place())
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        SqliteFile(path).close()
        settling = asyncio.create_task(log.submit(Capture("h1", "acme", 50, 4)))
        await seen(lambda: log._writer._failures > 1)
        assert not settling.done(), "there is no such account there, and the charge would be lost"
        for file in path.parent.glob(path.name + "*"):
            file.unlink()
        for suffix in ("", "-wal", "-shm"):
            if aside.with_name(aside.name + suffix).exists():
                aside.with_name(aside.name + suffix).rename(path.with_name(path.name + suffix))
        assert (await settling).stands
        assert await balances(log) == (50, 0)


async def test_a_folder_that_comes_back_has_everything(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    away = path.parent.with_name("away")
    async with opened(path) as log:
        await write(log, a_record("ex_1"))
        path.parent.rename(away)
        log.append(a_record("ex_2"))
        await seen(lambda: failing(caplog))
        away.rename(path.parent)
        await write(log, a_record("ex_3"))
    assert ids(path) == ["ex_1", "ex_2", "ex_3"]


@pytest.mark.usefixtures("impatient")
async def test_what_cannot_be_written_at_the_end_is_read_in_at_the_next_start(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = SqliteStore(path)
    await write(log, a_record("ex_1"))
    with locked(path):
        log.append(a_record("ex_2"))
        log.append(a_record("ex_3"))
        await log.aclose()
        assert not log._writer._thread.is_alive(), "it gave up after one more try"
    assert "2 records could not be written" in caplog.text
    assert str(spill_path(path)) in caplog.text
    assert ids(path) == ["ex_1"]
    caplog.clear()
    await SqliteStore(path).aclose()
    assert ids(path) == ["ex_1", "ex_2", "ex_3"]
    assert "2 records that an earlier stop had spilled" in caplog.text
    assert not spill_path(path).exists()


async def test_a_writer_that_hangs_does_not_hold_up_the_stop(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = SqliteStore(path, close_seconds=0.1)
    with locked(path):  # and the lock is waited for
        log.append(a_record("ex_1"))
        log.append(a_record("ex_2"))
        await log.aclose()
        assert "records could not be written" in caplog.text
    log._writer._thread.join()
    await SqliteStore(path).aclose()
    assert ids(path) == ["ex_1", "ex_2"], "once, though both the writer and the spill may have written them"


@pytest.mark.usefixtures("impatient")
async def test_what_cannot_even_be_spilled_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = SqliteStore(path)
    spill_path(path).mkdir()
    with locked(path):
        log.append(a_record("ex_1"))
        log.append(a_record("ex_2"))
        await log.aclose()
    assert "2 records are lost" in caplog.text
    assert "ex_1, ex_2" in caplog.text


async def test_a_record_after_the_end_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = SqliteStore(path)
    await log.aclose()
    log.append(a_record("ex_late"))
    assert "ex_late came after the log was closed" in caplog.text


async def test_a_record_that_can_never_be_written_holds_up_nobody(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(path) as log:
        await write(log, a_record("ex_1"), a_record("ex_bad", bytes_in=2**70), a_record("ex_2"))
    assert ids(path) == ["ex_1", "ex_2"]
    assert "can never be written" in caplog.text


@pytest.mark.parametrize("damage", ["newer", "folder", "text", "locked spill"])
def test_a_file_that_cannot_serve_is_refused_at_the_start(path: Path, damage: str) -> None:
    path.parent.mkdir()
    if damage == "newer":
        table = SqliteFile(path)
        table._db.execute("INSERT INTO schema_version VALUES (999)")
        table.close()
    elif damage == "folder":
        path.mkdir()
    elif damage == "text":
        path.write_text("Dear diary, " * 1000)
    else:
        spill_path(path).mkdir()
    with pytest.raises(ConfigError, match=r"records\.db: "):
        SqliteStore(path)


def test_kill_9_loses_at_most_what_was_not_committed(path: Path) -> None:
    path.parent.mkdir()
    SqliteFile(path).close()
    script = """
for n in itertools.count():
    log.append(a_record(f"ex_{n}", started_at_ns=n))
    time.sleep(0.0002)
"""
    with child(script, path) as process:
        until(lambda: len(ids(path)) > 500)
        seen = ids(path)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    kept = ids(path)
    assert len(kept) >= len(seen)
    assert kept == [f"ex_{n}" for n in range(len(kept))], "in order, without a gap"


def test_a_full_disk_that_has_room_again(path: Path) -> None:
    """A limit on the size of files stands for the full disk; the operating system refuses the writes either way."""
    script = """
import logging
logging.basicConfig(format="%(message)s")
log.append(a_record("ex_0"))
until(lambda: reading.get("ex_0") is not None)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for n in range(1, 2_000):
    log.append(a_record(f"ex_{n}", started_at_ns=n))
until(lambda: log._writer._failures > 0)
print(len(reading.records(limit=10_000)), flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
until(lambda: reading.get("ex_1999") is not None)
asyncio.run(log.aclose())
"""
    with child(script, path) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert int(out) < 2_000
    assert sorted(ids(path)) == sorted(f"ex_{n}" for n in range(2_000))
    assert err.count("cannot be written") == 1
    assert "again, after" in err


@pytest.mark.usefixtures("impatient")
async def test_commands_wait_while_the_file_is_locked(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(path, max_backlog=10) as store:
        await funded(store, 1_000)
        with locked(path):
            waiting = [asyncio.create_task(store.submit(a_place(f"h{n}", 10))) for n in range(9)]
            await seen(lambda: store._writer._failures > 2)
            assert store.accepting
            waiting.append(asyncio.create_task(store.submit(Void("h0", "acme", 4))))
            await seen(lambda: not store.accepting)
            assert not any(task.done() for task in waiting)
            assert await balances(store) == (1_000, 0), "it can still be read"
        assert all(outcome.stands for outcome in await asyncio.gather(*waiting))
        assert store.accepting
        assert await balances(store) == (1_000, 80)
    assert caplog.text.count("cannot be written to") == 1
    assert caplog.text.count("again, after") == 1


@pytest.mark.usefixtures("impatient")
async def test_settlements_that_cannot_be_written_at_the_end_are_made_at_the_next_start(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(path)
    await funded(store, 1_000)
    for n in range(3):
        await store.submit(a_place(f"h{n}", 10))
    late: list[Command] = [Capture("h0", "acme", 7, 4), Void("h1", "acme", 4), Capture("nobody", "acme", 1, 4)]
    with locked(path):
        commands: list[Command] = [*late, a_place("h3", 10)]
        waiting: list[asyncio.Task[Any]] = [asyncio.create_task(store.submit(command)) for command in commands]
        await seen(lambda: store._writer._failures > 0)
        waiting.append(asyncio.create_task(store.put_budget(OWN)))
        waiting.append(asyncio.create_task(store.settle(Capture("h2", "acme", 3, 4), a_record("h2"))))
        waiting.append(asyncio.create_task(store.settle(Void("late", "acme", 4), a_record("late"))))
        await asyncio.sleep(0)
        await store.aclose()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in told] == [LedgerUnavailable] * 7
    assert "2 records and 5 settlements of holds could not be written" in caplog.text
    caplog.clear()
    async with opened(path) as store:
        assert await balances(store) == (1_000 - 7 - 3, 0)
        assert await store.hold("h3") is None, "a hold that nobody waits for is not placed"
        assert await store.find("h2") == a_record("h2")
        assert await store.find("late") == disputed(a_record("late"))
    assert "refused" in caplog.text
    assert "nobody" in caplog.text
    assert not spill_path(path).exists()


async def test_each_event_loop_hears_of_its_own_commands(path: Path) -> None:
    def elsewhere() -> list[Outcome]:
        async def submit() -> list[Outcome]:
            return await asyncio.gather(*(store.submit(a_place(f"other{n}", 1)) for n in range(50)))

        return asyncio.run(submit())

    async with opened(path) as store:
        await funded(store, 100)
        other = asyncio.create_task(asyncio.to_thread(elsewhere))
        own = await asyncio.gather(*(store.submit(a_place(f"own{n}", 1)) for n in range(50)))
        assert all(outcome.stands for outcome in (*own, *await other))
        assert await balances(store) == (100, 100)


async def test_a_command_that_the_tables_refuse_costs_no_other(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(path) as store:
        await funded(store)
        await store.submit(a_place("h1", 10))
        with closing(sqlite3.connect(path)) as other:
            other.execute("INSERT INTO entries VALUES (99, 'stray', 'acme', 'void', 0, 0, 1, 'h1', '')")
            other.commit()
        told = await asyncio.gather(
            store.submit(a_place("h2", 10)),
            store.submit(Capture("h1", "acme", 5, 4)),
            store.submit(a_place("h3", 10)),
            return_exceptions=True,
        )
        assert [type(answer) for answer in told] == [Outcome, ValueError, Outcome]
        hold = await store.hold("h1")
        assert hold is not None
        assert hold.state is HoldState.OPEN, "no hold is resolved twice, whatever the books say"
        assert await balances(store) == (100, 30)
    assert "can never be written" in caplog.text


async def test_another_process_tops_up_while_a_gateway_runs(path: Path) -> None:
    script = """
async def top_up():
    print((await log.submit(Post("from-outside", "acme", EntryKind.TOP_UP, 60, 2))).result)
    await log.aclose()

asyncio.run(top_up())
"""
    async with opened(path) as store:
        await funded(store)
        assert (await store.submit(a_place())).stands
        assert (await store.submit(a_place("h2"))).result is Result.INSUFFICIENT_CREDIT
        with child(script, path) as process:
            rounds = 0
            while process.poll() is None:
                rounds += 1
                assert (await store.submit(a_place(f"r{rounds}", 1))).stands
                assert (await store.submit(Void(f"r{rounds}", "acme", 4))).stands
            assert process.communicate() == ("done\n", "")
        assert (await store.submit(a_place("h2"))).stands
        assert await balances(store) == (160, 140)


LEDGER_LOAD = """
async def client(number):
    for n in itertools.count():
        hold_id = f"{number}_{n}"
        await log.submit(Place(hold_id, "acme", 10, n, "n1"))
        print("placed", hold_id, flush=True)
        await log.submit(Capture(hold_id, "acme", 7, n))
        print("captured", hold_id, flush=True)

async def load():
    await log.submit(OpenAccount("acme", AccountKind.PREPAID, 1))
    await log.submit(Post("top", "acme", EntryKind.TOP_UP, 10**9, 1))
    await asyncio.gather(*(client(number) for number in range(16)))

asyncio.run(load())
"""


@pytest.mark.parametrize("after", [5, 300, 1_111])
async def test_kill_9_takes_back_nothing_that_was_told(path: Path, after: int) -> None:
    with child(LEDGER_LOAD, path) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(after)]
        os.kill(process.pid, signal.SIGKILL)
        told += [line for line in process.stdout.readlines() if line.endswith("\n")]
        process.communicate()
    async with opened(path) as store:
        for line in told:
            verb, hold_id = line.split()
            hold = await store.hold(hold_id)
            assert hold is not None
            assert verb == "placed" or hold.state is HoldState.CAPTURED
        rows = [entry for _, entry in await store.entries(limit=100_000)]
        captured = [entry for entry in rows if entry.kind is EntryKind.CAPTURE]
        open_holds = await store.open_holds()
        assert len(open_holds) <= 16
        assert await balances(store) == (10**9 - 7 * len(captured), 10 * len(open_holds))
        assert sum(entry.posted_nanos for entry in rows) == 10**9 - 7 * len(captured)


def test_a_ledger_on_a_full_disk_goes_on_when_there_is_room(path: Path) -> None:
    """As above: the limit on the size of files makes the system refuse to write. Nothing is told that is not there."""
    script = """
async def fill():
    await log.submit(OpenAccount("acme", AccountKind.PREPAID, 1))
    await log.submit(Post("top", "acme", EntryKind.TOP_UP, 10**9, 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    waiting = [
        asyncio.create_task(log.submit(Place(f"h{n}", "acme", 10, n, "n1", about="x" * 200))) for n in range(4_000)
    ]
    while not log._writer._failures:
        await asyncio.sleep(0.001)
    held = 10 * sum(task.done() for task in waiting)
    assert held < 40_000
    assert (await log.account("acme")).held_nanos >= held
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert all(outcome.stands for outcome in await asyncio.gather(*waiting))
    assert (await log.account("acme")).held_nanos == 40_000
    await log.aclose()

asyncio.run(fill())
"""
    with child(script, path) as process:
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert "cannot be written to" in err


async def test_a_full_database_is_waited_for(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(path) as store:
        await funded(store, 10**9)
        file = store._writer._file
        assert file is not None
        # SQLite's own bound says what a full disk says; it is gone when the file is opened anew.
        file._db.execute("PRAGMA max_page_count = 1")
        waiting = [store.submit(replace(a_place(f"h{n}", 10), about="x" * 200)) for n in range(500)]
        assert all(outcome.stands for outcome in await asyncio.gather(*waiting))
        assert await balances(store) == (10**9, 5_000)
    assert "database or disk is full" in caplog.text
    assert "again, after" in caplog.text


@pytest.mark.usefixtures("impatient")
async def test_the_record_of_several_attempts_goes_by_the_last_of_its_holds(path: Path) -> None:
    store = SqliteStore(path)
    await funded(store, 1_000)
    await store.submit(a_place("ex_1", 10))
    await store.submit(a_place("ex_1.2", 10))
    with locked(path):
        waiting: list[asyncio.Task[Any]] = [asyncio.create_task(store.submit(Void("ex_1", "acme", 4)))]
        waiting.append(asyncio.create_task(store.settle(Capture("ex_1.2", "acme", 3, 4), a_record("ex_1"))))
        await asyncio.sleep(0)
        await store.aclose()
    await asyncio.gather(*waiting, return_exceptions=True)
    async with opened(path) as store:
        assert await balances(store) == (1_000 - 3, 0)
        assert await store.find("ex_1") == a_record("ex_1"), "not disputed"
