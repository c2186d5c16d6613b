"""A store that is locked, full, moved away, removed or killed loses nothing and doubles nothing."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from headgate.errors import ConfigError
from headgate.records import Record
from headgate.stores.queries import SqliteRecords
from headgate.stores.spill import spill_path
from headgate.stores.sqlite import SqliteRecordLog
from headgate.stores.table import RecordTable
from tests.stores.conformance import Conformance, write
from tests.stores.examples import a_record, until

ROOT = Path(__file__).parent.parent.parent


class TestSqlite(Conformance):
    @contextmanager
    def fresh(self) -> Iterator[SqliteRecordLog]:
        with TemporaryDirectory() as folder, closing(SqliteRecordLog(Path(folder) / "records.db")) as log:
            yield log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "records.db"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is waited for a moment only."""
    monkeypatch.setattr("headgate.stores.table.BUSY_SECONDS", 0.01)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The file, locked by someone else."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def ids(path: Path) -> list[str]:
    return [record.exchange_id for record in reversed(SqliteRecords(path).records(limit=100_000))]


def failing(caplog: pytest.LogCaptureFixture) -> bool:
    return "records cannot be written" in caplog.text


def test_the_folder_is_made(path: Path) -> None:
    with closing(SqliteRecordLog(path)) as log:
        write(log, a_record())
    assert ids(path) == ["ex_1"]


def test_a_lone_record_goes_to_disk_while_the_log_is_open(path: Path) -> None:
    with closing(SqliteRecordLog(path)) as log:
        for n in range(3):
            log.append(a_record(f"ex_{n}"))
            until(lambda: len(ids(path)) == n + 1)  # noqa: B023 - called at once


@pytest.mark.usefixtures("impatient")
def test_what_is_queued_becomes_one_transaction(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = RecordTable.write

    def counting(table: RecordTable, records: list[Record]) -> None:
        real(table, records)
        sizes.append(len(records))

    monkeypatch.setattr(RecordTable, "write", counting)
    with closing(SqliteRecordLog(path)) as log:
        with locked(path):
            log.append(a_record("first"))
            until(lambda: failing(caplog))
            for n in range(1_500):
                log.append(a_record(f"ex_{n}"))
        until(lambda: log.get("ex_1499") is not None)
    assert sizes == [1, 1_000, 500]


@pytest.mark.usefixtures("impatient")
def test_a_locked_file_costs_nothing_but_time(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(SqliteRecordLog(path, max_backlog=10)) as log:
        with locked(path):
            for n in range(9):
                log.append(a_record(f"ex_{n}"))
            until(lambda: log._failures > 2)
            accepting = [log.accepting]
            log.append(a_record("ex_9"))
            accepting.append(log.accepting)
            log.append(a_record("ex_10"))
            assert accepting == [True, False]
            assert ids(path) == []
        until(lambda: log.accepting)
        until(lambda: log.get("ex_10") is not None)
    assert ids(path) == [f"ex_{n}" for n in range(11)]
    assert caplog.text.count("cannot be written") == 1, "told once, however often it was tried"
    assert caplog.text.count("again, after") == 1


def test_two_gateways_write_one_file(path: Path) -> None:
    with closing(SqliteRecordLog(path)) as one, closing(SqliteRecordLog(path)) as other:
        for n in range(0, 600, 2):
            one.append(a_record(f"ex_{n}"))
            other.append(a_record(f"ex_{n + 1}"))
    assert sorted(ids(path)) == sorted(f"ex_{n}" for n in range(600))


def test_a_removed_file_is_made_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(SqliteRecordLog(path)) as log:
        write(log, a_record("ex_1", response_id="resp_1"))
        assert log.trail("resp_1") is not None
        for file in list(path.parent.iterdir()):
            file.unlink()
        log.append(a_record("ex_2", response_id="resp_2"))
        until(lambda: "again, after" in caplog.text)
        assert log.trail("resp_2") is not None
        assert log.trail("resp_1") is None, "it went with its file"
    assert ids(path) == ["ex_2"]
    assert failing(caplog)


def test_a_folder_that_comes_back_has_everything(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    away = path.parent.with_name("away")
    with closing(SqliteRecordLog(path)) as log:
        write(log, a_record("ex_1"))
        path.parent.rename(away)
        log.append(a_record("ex_2"))
        until(lambda: failing(caplog))
        away.rename(path.parent)
        write(log, a_record("ex_3"))
    assert ids(path) == ["ex_1", "ex_2", "ex_3"]


@pytest.mark.usefixtures("impatient")
def test_what_cannot_be_written_at_the_end_is_read_in_at_the_next_start(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = SqliteRecordLog(path)
    write(log, a_record("ex_1"))
    with locked(path):
        log.append(a_record("ex_2"))
        log.append(a_record("ex_3"))
        log.close()
        assert not log._writer.is_alive(), "it gave up after one more try"
    assert "2 records could not be written" in caplog.text
    assert str(spill_path(path)) in caplog.text
    assert ids(path) == ["ex_1"]
    caplog.clear()
    SqliteRecordLog(path).close()
    assert ids(path) == ["ex_1", "ex_2", "ex_3"]
    assert "2 records that an earlier stop had spilled" in caplog.text
    assert not spill_path(path).exists()


def test_a_writer_that_hangs_does_not_hold_up_the_stop(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = SqliteRecordLog(path, close_seconds=0.1)
    with locked(path):  # and the lock is waited for
        log.append(a_record("ex_1"))
        log.append(a_record("ex_2"))
        log.close()
        assert "records could not be written" in caplog.text
    log._writer.join()
    SqliteRecordLog(path).close()
    assert ids(path) == ["ex_1", "ex_2"], "once, though both the writer and the spill may have written them"


@pytest.mark.usefixtures("impatient")
def test_what_cannot_even_be_spilled_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = SqliteRecordLog(path)
    spill_path(path).mkdir()
    with locked(path):
        log.append(a_record("ex_1"))
        log.append(a_record("ex_2"))
        log.close()
    assert "2 records are lost, ex_1 to ex_2" in caplog.text


def test_a_record_after_the_end_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = SqliteRecordLog(path)
    log.close()
    log.append(a_record("ex_late"))
    assert "ex_late came after the log was closed" in caplog.text


def test_a_record_that_can_never_be_written_holds_up_nobody(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(SqliteRecordLog(path)) as log:
        write(log, a_record("ex_1"), a_record("ex_bad", bytes_in=2**70), a_record("ex_2"))
    assert ids(path) == ["ex_1", "ex_2"]
    assert "can never be written" in caplog.text


@pytest.mark.parametrize("damage", ["newer", "folder", "text", "locked spill"])
def test_a_file_that_cannot_serve_is_refused_at_the_start(path: Path, damage: str) -> None:
    path.parent.mkdir()
    if damage == "newer":
        table = RecordTable(path)
        table._db.execute("INSERT INTO schema_version VALUES (999)")
        table.close()
    elif damage == "folder":
        path.mkdir()
    elif damage == "text":
        path.write_text("Dear diary, " * 1000)
    else:
        spill_path(path).mkdir()
    with pytest.raises(ConfigError, match=r"records\.db: "):
        SqliteRecordLog(path)


CHILD = """
import itertools, resource, sys, time
from pathlib import Path
from headgate.stores.sqlite import SqliteRecordLog
from tests.stores.examples import a_record, until

log = SqliteRecordLog(Path(sys.argv[1]))
"""


def child(script: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + script, str(path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_kill_9_loses_at_most_what_was_not_committed(path: Path) -> None:
    path.parent.mkdir()
    RecordTable(path).close()
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
until(lambda: log.get("ex_0") is not None)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for n in range(1, 2_000):
    log.append(a_record(f"ex_{n}", started_at_ns=n))
until(lambda: log._failures > 0)
print(len(log.records(limit=10_000)), flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
until(lambda: log.get("ex_1999") is not None)
log.close()
"""
    with child(script, path) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert int(out) < 2_000
    assert sorted(ids(path)) == sorted(f"ex_{n}" for n in range(2_000))
    assert err.count("cannot be written") == 1
    assert "again, after" in err
