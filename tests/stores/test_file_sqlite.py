import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.records import Record
from headgate.stores.queries import SqliteRecords
from headgate.stores.table import RecordTable
from headgate.usage import Usage
from tests.stores.examples import a_record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def table(path: Path) -> Iterator[RecordTable]:
    opened = RecordTable(path)
    yield opened
    opened.close()


def ids(path: Path) -> list[str]:
    return sorted(record.exchange_id for record in SqliteRecords(path).records())


def test_a_commit_is_synced(table: RecordTable) -> None:
    assert table._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    full = 2
    assert table._db.execute("PRAGMA synchronous").fetchone() == (full,)


def test_rows_written_twice_are_there_once(table: RecordTable, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table.write([a_record("ex_1"), a_record("ex_2")])
    table.write([a_record("ex_1", status=500), a_record("ex_3")])
    assert ids(path) == ["ex_1", "ex_2", "ex_3"]
    assert SqliteRecords(path).get("ex_1") == a_record("ex_1")
    assert caplog.messages == []


def test_a_record_that_no_table_can_hold_costs_no_other(
    table: RecordTable, path: Path, caplog: pytest.LogCaptureFixture
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
        table.write([a_record("ex_1"), *bad, a_record("ex_8")])
    assert ids(path) == ["ex_1", "ex_8"]
    assert ["exchange_id='" + record.exchange_id in m for record, m in zip(bad, caplog.messages, strict=True)] == [
        True
    ] * 6


def test_a_lone_surrogate_is_written_as_the_replacement_character(table: RecordTable, path: Path) -> None:
    table.write([a_record("ex_1", model_asked="\ud800")])
    written = SqliteRecords(path).get("ex_1")
    assert written is not None
    assert written.model_asked == "\ufffd"


def test_a_file_removed_under_the_table_is_noticed(table: RecordTable, path: Path) -> None:
    table.write([a_record("ex_1")])
    path.unlink()
    with pytest.raises(FileNotFoundError):
        table.write([a_record("ex_2")])


def test_a_file_replaced_under_the_table_is_noticed(table: RecordTable, path: Path) -> None:
    other = path.with_name("other.db")
    RecordTable(other).close()
    other.replace(path)
    with pytest.raises(FileNotFoundError, match="replaced"):
        table.write([a_record("ex_1")])


def test_what_is_not_a_database_is_refused(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        RecordTable(path)


def test_a_newer_headgates_file_is_refused(table: RecordTable, path: Path) -> None:
    table._db.execute("INSERT INTO schema_version VALUES (999)")
    with pytest.raises(ConfigError, match="newer headgate"):
        RecordTable(path)


def test_a_transaction_that_fails_leaves_nothing(table: RecordTable, path: Path) -> None:
    def torn() -> Iterator[Record]:
        yield a_record("ex_1")
        raise OSError("the machine caught fire")

    with pytest.raises(OSError, match="fire"):
        table.write(torn())
    table.write([a_record("ex_2")])
    assert ids(path) == ["ex_2"]
