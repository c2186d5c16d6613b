"""What is asked is in the conformance suite; here is where it is asked of."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headgate.errors import Busy, ConfigError
from headgate.records import Trail
from headgate.stores import queries, records_sql
from headgate.stores.file_sqlite import SqliteFile
from headgate.stores.queries import Reader, SqliteRecords
from headgate.stores.records_sqlite import keep
from headgate.stores.summary import GroupBy
from tests.stores.examples import a_record


def trail_of_resp_1(db: sqlite3.Connection) -> Trail | None:
    return queries.trail(db, "resp_1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "strange ?name#%41.db"


@pytest.fixture
def table(path: Path) -> Iterator[SqliteFile]:
    opened = SqliteFile(path)
    yield opened
    opened.close()


def test_reading_while_a_transaction_is_open_sees_what_is_committed(table: SqliteFile, path: Path) -> None:
    table.write([a_record("ex_1")])
    table._db.execute("BEGIN IMMEDIATE")
    keep(table._db, [a_record("ex_2")])
    assert [record.exchange_id for record in SqliteRecords(path).records()] == ["ex_1"]
    table._db.execute("COMMIT")
    assert [record.exchange_id for record in SqliteRecords(path).records()] == ["ex_2", "ex_1"]


def test_another_process_reads_while_the_file_is_open_for_writing(table: SqliteFile, path: Path) -> None:
    table.write([a_record("ex_1")])
    script = (
        "import sys; from pathlib import Path; from headgate.stores.queries import SqliteRecords\n"
        "print([record.exchange_id for record in SqliteRecords(Path(sys.argv[1])).records()])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['ex_1']"


def test_reading_changes_nothing(path: Path) -> None:
    SqliteFile(path).close()
    before = path.read_bytes()
    SqliteRecords(path).usage(None, GroupBy.MODEL)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (records_sql.trail("'resp_1'", "rowid"), "records_by_response"),
        (records_sql.newest("1", "9", "rowid"), "records_by_time"),
    ],
)
def test_a_question_uses_its_index(table: SqliteFile, query: str, index: str) -> None:
    plan = [step for *_, step in table._db.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert any(index in step for step in plan)
    assert not any("SCAN records" in step and index not in step for step in plan)
    assert not any("TEMP B-TREE" in step for step in plan)


def test_a_missing_file_is_told_and_not_made(path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        SqliteRecords(path).records()
    assert not path.exists()


def test_what_is_not_a_database_is_told(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(ConfigError, match="cannot be read as a record store: file is not a database"):
        SqliteRecords(path).records()


def test_an_empty_file_is_told(path: Path) -> None:
    path.touch()
    with pytest.raises(ConfigError, match="expected a record store"):
        SqliteRecords(path).records()


def test_a_reader_answers_and_answers_again_after_letting_go(table: SqliteFile, path: Path) -> None:
    reader = Reader(path)
    assert reader.ask(trail_of_resp_1) is None
    table.write([a_record()])
    assert reader.ask(trail_of_resp_1) == Trail("openai", counted=True)
    reader.let_go()
    assert reader.ask(trail_of_resp_1) == Trail("openai", counted=True)
    reader.close()
    with pytest.raises(Busy, match="closed"):
        reader.ask(trail_of_resp_1)


def test_a_file_that_cannot_be_read_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(path)
    path.write_text("Dear diary, " * 1000)
    for _ in range(2):
        with pytest.raises(Busy, match="cannot be read"):
            reader.ask(trail_of_resp_1)
    assert caplog.text.count("cannot be read") == 1
    path.unlink()
    with closing(SqliteFile(path)) as table:
        table.write([a_record()])
    assert reader.ask(trail_of_resp_1) == Trail("openai", counted=True), "in the new file, not in the one that was open"
    reader.close()
