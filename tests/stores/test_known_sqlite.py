"""What a connection knows without reading is what stands in the file, whoever writes to it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headgate.ledger.commands import Capture, Command, OpenAccount, Place, Post, Void
from headgate.ledger.entries import AccountKind, Cap, EntryKind, Measure, Outcome, Result
from headgate.stores import ledger_sqlite
from headgate.stores.file_sqlite import SqliteFile

OPENING: list[Command] = [OpenAccount("acme", AccountKind.PREPAID, 1), Post("top", "acme", EntryKind.TOP_UP, 100, 1)]
CAP = Cap("c", Measure.TIMES, 3, 1, ends_at_ns=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


@pytest.fixture
def file(path: Path) -> Iterator[SqliteFile]:
    with closing(SqliteFile(path)) as opened:
        yield opened


def a_place(hold_id: str, amount: int = 40) -> Place:
    return Place(hold_id, "acme", amount, 1, "n", caps=(CAP,))


def results(file: SqliteFile, *commands: Command) -> list[Result]:
    outcomes, _ = file.write([], commands)
    return [outcome.result for outcome in outcomes if isinstance(outcome, Outcome)]


def asked(file: SqliteFile, *commands: Command) -> list[str]:
    """The rows of the ledger that a batch reads."""
    seen: list[str] = []
    file._db.set_trace_callback(seen.append)
    file.write([], commands)
    file._db.set_trace_callback(None)
    return [sql for sql in seen if sql.startswith("SELECT")]


def test_what_was_written_last_is_not_read_again(file: SqliteFile) -> None:
    file.write([], OPENING)
    assert len(asked(file, a_place("h1", 1))) == 1, "the counter, of which nothing is known yet"
    assert asked(file, a_place("h2", 1), Capture("h1", "acme", 1, 2)) == []
    assert asked(file, Void("h2", "acme", 2)) == []
    assert len(asked(file, Void("h2", "acme", 2))) == 1, "a hold that was resolved is forgotten"


def test_what_another_connection_commits_is_seen(path: Path, file: SqliteFile) -> None:
    file.write([], OPENING)
    with closing(SqliteFile(path)) as other:
        assert results(file, a_place("h1")) == [Result.DONE]
        assert results(other, a_place("h2")) == [Result.DONE]
        assert results(file, a_place("h3")) == [Result.INSUFFICIENT_CREDIT]
        assert results(other, Capture("h1", "acme", 10, 2)) == [Result.DONE]
        assert results(file, Capture("h1", "acme", 11, 2)) == [Result.EXISTS_WITH_DIFFERENT_AMOUNT]
        assert results(file, a_place("h3", 50)) == [Result.DONE]
        assert results(other, a_place("h4", 0)) == [Result.OVER_CAP]
    assert [(a.posted_nanos, a.held_nanos) for a in ledger_sqlite.accounts(file._db)] == [(90, 90)]


def test_what_a_task_does_is_seen(file: SqliteFile) -> None:
    file.write([], OPENING)
    file.write([], [a_place("h1", 0), Void("h1", "acme", 2)])
    file.write([], (), [lambda db: ledger_sqlite.forget_counters(db, 10)])
    file.write([], [a_place("h2", 0)])
    assert [(c.used, c.held) for c in ledger_sqlite.counters(file._db, ("c",))] == [(0, 1)]


def test_what_was_not_committed_is_not_known(file: SqliteFile) -> None:
    def burn(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM entry_sums")
        raise OSError("the machine caught fire")

    file.write([], OPENING)
    with pytest.raises(OSError, match="fire"):
        file.write([], [a_place("h1")], [burn])
    assert results(file, Void("h1", "acme", 2), a_place("h2", 100)) == [Result.NO_SUCH_HOLD, Result.DONE]


def test_a_hold_that_is_placed_again_is_the_same_one(file: SqliteFile, caplog: pytest.LogCaptureFixture) -> None:
    """As after a commit whose success could not be seen: a batch is repeated whole, on a new connection."""
    file.write([], OPENING)
    batch: list[Command] = [a_place("h1"), a_place("h2"), Capture("h1", "acme", 7, 2)]
    assert results(file, *batch) == [Result.DONE] * 3
    assert results(file, *batch) == [Result.EXISTS] * 3
    file._known.holds.clear()
    assert results(file, a_place("h3", 1), *batch) == [Result.DONE, Result.EXISTS, Result.EXISTS, Result.EXISTS]
    file._known.holds.clear()
    assert results(file, *batch) == [Result.EXISTS] * 3, "and none is refused for what it holds itself"
    assert [(a.posted_nanos, a.held_nanos) for a in ledger_sqlite.accounts(file._db)] == [(93, 41)]
    assert caplog.messages == []


def test_many_names_are_not_remembered_for_ever(file: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.stores.known_sqlite._MOST", 3)
    for name in range(10):
        file.write([], [OpenAccount(f"a{name}", AccountKind.PREPAID, 1)])
    assert len(file._known.accounts) <= 4
