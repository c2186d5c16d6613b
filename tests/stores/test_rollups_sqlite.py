"""The statements are in rollups.py and rolling.py; here is when they are run, and that it is all or nothing."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.stores import entry_sums, rollups_sqlite, writer
from headgate.stores.file_sqlite import SqliteFile
from headgate.stores.queries import SqliteRecords
from headgate.stores.rolling import ROLLED_AT_ONCE
from headgate.stores.rollups import Asking
from headgate.stores.rollups_sqlite import Pace
from headgate.stores.sqlite import SqliteStore
from headgate.stores.summary import GroupBy, summarise
from tests.stores.conformance import write
from tests.stores.examples import NOON, a_record, until
from tests.stores.faults import child


def left(path: Path) -> int:
    return SqliteRecords(path).ask(lambda db: int(db.execute("SELECT count(*) FROM unrolled").fetchone()[0]))


def test_it_is_time_a_moment_after_something_came_and_at_once_while_there_is_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace(1.0)
    assert (pace.due, pace.wait_seconds) == (False, 1.0)
    now[0] = 1.0
    assert (pace.due, pace.wait_seconds) == (True, 0.0)
    pace.went_on(ROLLED_AT_ONCE)
    assert (pace.due, pace.wait_seconds) == (True, 0.0)
    pace.went_on(3)
    assert (pace.due, pace.wait_seconds) == (False, None)
    now[0] = 5.0
    pace.more_came()
    now[0] = 5.5
    pace.more_came()
    assert (pace.due, pace.wait_seconds) == (False, 0.5)


async def test_a_store_rolls_by_itself_what_comes_and_what_was_left(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    with closing(SqliteFile(path)) as file:
        file.write([a_record(f"old_{n}") for n in range(2 * ROLLED_AT_ONCE + 1)])
    store = SqliteStore(path)
    until(lambda: left(path) == 0)
    store.append(a_record("new"))
    until(lambda: SqliteRecords(path).get("new") is not None and left(path) == 0)
    assert [row.exchanges for row in await store.usage(None, GroupBy.KEY)] == [2 * ROLLED_AT_ONCE + 2]
    await store.aclose()


def test_a_roll_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    records = [a_record("ex_1"), a_record("ex_2", key="k")]
    with closing(SqliteFile(path)) as file:
        file.write(records)
        file._db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON rollups WHEN new.grain = 'minute' "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        with pytest.raises(sqlite3.IntegrityError, match="disk full"):
            file.roll(NOON)
    assert left(path) == 2
    assert SqliteRecords(path).usage(None, GroupBy.KEY) == summarise(records, GroupBy.KEY)


def test_one_moment_is_seen_throughout_a_question(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    with closing(SqliteFile(path)) as file, closing(sqlite3.connect(path, isolation_level=None)) as reader:
        file.write([a_record("ex_1")])

        def asking() -> Asking[list[int]]:
            ((before,),) = yield "SELECT count(*) FROM records", ()
            file.write([a_record("ex_2")])
            file.roll(NOON)
            ((after,),) = yield "SELECT count(*) + (SELECT count(*) FROM rollups) FROM records", ()
            return [before, after]

        assert rollups_sqlite.at_once(reader, asking()) == [1, 1]


def test_a_process_killed_while_it_rolls_leaves_exact_sums(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    script = """
from headgate.stores.file_sqlite import SqliteFile
from headgate.stores.rollups_sqlite import roll
file = SqliteFile(Path(sys.argv[1]))
print("ready", flush=True)
for n in itertools.count():
    file.write([a_record(f"ex_{n}_{m}") for m in range(20)])
    file._db.execute("BEGIN IMMEDIATE")
    roll(file._db, 7, 1)
    file._db.execute("COMMIT")
"""
    process = child(script, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.kill()
    process.communicate()
    with closing(SqliteFile(path)):
        records = SqliteRecords(path).records(limit=10**6)
        assert records
        assert SqliteRecords(path).usage(None, GroupBy.MODEL) == summarise(records, GroupBy.MODEL)
        assert 0 < left(path) < len(records)


async def test_entries_are_added_up_without_any_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_ENTRIES_GATHER", 0.05)
    path, posts = tmp_path / "records.db", entry_sums.AT_ONCE + 1_000
    store = SqliteStore(path)
    await store.submit(OpenAccount("acme", AccountKind.PREPAID, NOON))
    await asyncio.gather(*(store.submit(Post(f"p{n}", "acme", EntryKind.TOP_UP, 2, NOON)) for n in range(posts)))

    def added() -> list[tuple[int, int]]:
        with closing(sqlite3.connect(path)) as db:
            return db.execute("SELECT serial, posted_nanos FROM entry_sums").fetchall()

    until(lambda: added() == [(posts, 2 * posts)])
    await store.aclose()


async def test_a_roll_that_fails_is_tried_again_without_anything_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, tries = tmp_path / "records.db", [0]
    real = SqliteFile.roll

    def failing(file: SqliteFile, now_ns: int) -> int:
        tries[0] += 1
        if tries[0] == 1:
            raise sqlite3.OperationalError("disk I/O error")
        return real(file, now_ns)

    monkeypatch.setattr(SqliteFile, "roll", failing)
    monkeypatch.setattr(writer, "Pace", lambda _pause=0.0: rollups_sqlite.Pace(0.05))
    store = SqliteStore(path)
    await write(store, a_record())
    until(lambda: tries[0] > 1 and left(path) == 0)
    await store.aclose()
