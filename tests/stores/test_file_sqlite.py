import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.ledger.commands import Command, OpenAccount, Void
from headgate.ledger.entries import Account, AccountKind, Outcome, Result
from headgate.records import Bill, Settled
from headgate.stores import ledger_sqlite
from headgate.stores.file_sqlite import SqliteFile
from headgate.stores.queries import SqliteRecords
from headgate.usage import Usage
from tests.stores.examples import a_record
from tests.stores.ledger_conformance import a_place

OPENING = OpenAccount("acme", AccountKind.PREPAID, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def file(path: Path) -> Iterator[SqliteFile]:
    opened = SqliteFile(path)
    yield opened
    opened.close()


def ids(path: Path) -> list[str]:
    return sorted(record.exchange_id for record in SqliteRecords(path).records())


def test_a_commit_is_synced(file: SqliteFile) -> None:
    assert file._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    full = 2
    assert file._db.execute("PRAGMA synchronous").fetchone() == (full,)


def test_rows_written_twice_are_there_once(file: SqliteFile, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write([a_record("ex_1"), a_record("ex_2")])
    file.write([a_record("ex_1", status=500), a_record("ex_3")])
    assert ids(path) == ["ex_1", "ex_2", "ex_3"]
    assert SqliteRecords(path).get("ex_1") == a_record("ex_1")
    assert caplog.messages == []


def test_a_record_that_no_table_can_hold_costs_no_other(
    file: SqliteFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [
        a_record("ex_2", usage=Usage(input_tokens=2**63)),
        a_record("ex_3", method=None),
        a_record("ex_4", path=object()),
        a_record("ex_5", usage=Usage(tool_calls={"web_search": object()})),  # type: ignore[dict-item] # that is the point
        a_record("ex_6", usage=None),
        a_record("ex_7", path="\ud800", bytes_in=2**63),
    ]
    with caplog.at_level(logging.ERROR):
        file.write([a_record("ex_1"), *bad, a_record("ex_8")])
    assert ids(path) == ["ex_1", "ex_8"]
    told = sorted(caplog.messages, key=lambda message: message.partition("exchange_id=")[2])
    assert ["exchange_id='" + record.exchange_id in m for record, m in zip(bad, told, strict=True)] == [True] * 6


def test_a_lone_surrogate_is_written_as_the_replacement_character(file: SqliteFile, path: Path) -> None:
    file.write([a_record("ex_1", model_asked="\ud800")])
    written = SqliteRecords(path).get("ex_1")
    assert written is not None
    assert written.model_asked == "\ufffd"


def test_a_file_removed_under_the_file_is_noticed(file: SqliteFile, path: Path) -> None:
    file.write([a_record("ex_1")])
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.write([a_record("ex_2")])


def test_a_file_replaced_under_the_file_is_noticed(file: SqliteFile, path: Path) -> None:
    other = path.with_name("other.db")
    SqliteFile(other).close()
    other.replace(path)
    with pytest.raises(FileNotFoundError, match="replaced"):
        file.write([a_record("ex_1")])


def test_what_is_not_a_database_is_refused(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        SqliteFile(path)


def test_a_newer_headgates_file_is_refused(file: SqliteFile, path: Path) -> None:
    file._db.execute("INSERT INTO schema_version VALUES (999)")
    with pytest.raises(ConfigError, match="newer headgate"):
        SqliteFile(path)


def test_a_transaction_that_fails_leaves_nothing(file: SqliteFile, path: Path) -> None:
    def burn(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM records")
        raise OSError("the machine caught fire")

    with pytest.raises(OSError, match="fire"):
        file.write([a_record("ex_1")], [OPENING], [burn])
    file.write([a_record("ex_2")])
    assert ids(path) == ["ex_2"]
    assert ledger_sqlite.accounts(file._db) == []


def test_a_task_that_is_refused_is_undone_alone(file: SqliteFile, path: Path) -> None:
    def refuse(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM records")
        raise ValueError("not like this")

    outcomes, answers = file.write([a_record("ex_1")], [OPENING], [refuse, ledger_sqlite.accounts])
    assert [type(outcome) for outcome in outcomes] == [Outcome]
    assert isinstance(answers[0], ValueError)
    assert answers[1] == [Account("acme", AccountKind.PREPAID)]
    assert ids(path) == ["ex_1"]


def test_what_was_told_is_in_the_order_of_the_commands(file: SqliteFile, path: Path) -> None:
    commands: list[Command] = [OPENING, a_place("h1", 0), Void("h1", "acme", 1), Void("h2", "acme", 1)]
    settled = {2: a_record("ex_1"), 3: a_record("ex_2", bill=Bill(settled=Settled.VOIDED))}
    outcomes, _ = file.write([], commands, settled=settled)
    results = [outcome.result for outcome in outcomes if isinstance(outcome, Outcome)]
    assert results == [Result.DONE, Result.DONE, Result.DONE, Result.NO_SUCH_HOLD]
    disputed = SqliteRecords(path).get("ex_2")
    assert disputed is not None
    assert disputed.bill.settled is Settled.DISPUTED
    assert SqliteRecords(path).get("ex_1") == a_record("ex_1")


def test_with_a_mark_only_its_own_file_is_opened(file: SqliteFile, path: Path) -> None:
    SqliteFile(path, file.mark).close()
    other = path.with_name("other.db")
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        SqliteFile(other, file.mark)
    assert not other.exists()
    SqliteFile(other).close()
    with pytest.raises(FileNotFoundError, match="another database"):
        SqliteFile(other, file.mark)


def test_a_number_of_arrival_is_never_given_twice(file: SqliteFile, path: Path) -> None:
    """SQLite gives the highest rowid again once its row is gone; whoever follows would take the new row for the old."""

    def numbers() -> dict[str, int]:
        with closing(sqlite3.connect(path)) as db:
            return {name: number for number, name in db.execute("SELECT rowid, exchange_id FROM records")}

    def remove(name: str) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("DELETE FROM records WHERE exchange_id = ?", (name,))

    file.write([a_record("ex_1"), a_record("ex_2")])
    before = numbers()
    remove("ex_2")
    file.write([a_record("ex_3"), a_record("ex_3")])
    assert numbers()["ex_3"] > before["ex_2"]
    remove("ex_1")
    remove("ex_3")
    file.write([a_record("ex_4")])
    assert numbers() == {"ex_4": before["ex_2"] + 2}


def test_a_number_of_arrival_goes_on_after_a_vacuum(file: SqliteFile, path: Path) -> None:
    """It numbers rows anew, so the highest may be lower than what a follower has seen."""
    file.write([a_record(f"ex_{n}") for n in range(5)])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM records WHERE exchange_id < 'ex_3'")
        db.execute("VACUUM")
        file.write([a_record("ex_new")])
        assert db.execute("SELECT rowid FROM records WHERE exchange_id = 'ex_new'").fetchall() == [(6,)]
