import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.stores.schema import MIGRATIONS, migrate, require_current, version

HERE = Path("records.db")
NEXT = (*MIGRATIONS, ("ALTER TABLE records ADD COLUMN shoe_size INTEGER", "CREATE TABLE shoes (size INTEGER) STRICT"))


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def columns(db: sqlite3.Connection) -> list[str]:
    return [name for _, name, *_ in db.execute("PRAGMA table_info(records)")]


def insert(db: sqlite3.Connection, exchange_id: str) -> None:
    required = (
        "started_at_ns",
        "streamed",
        "status",
        "billable",
        "counted",
        "total_ns",
        "bytes_in",
        "bytes_out",
        "delivered_bytes",
    )
    names = ("exchange_id", "method", "path", "ending", "basis", *required)
    values = (exchange_id, "POST", "/", "complete", "none", *(0 for _ in required))
    db.execute(f"INSERT INTO records ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", values)


def test_an_empty_file_comes_to_the_newest_version(db: sqlite3.Connection) -> None:
    assert version(db) == 0
    migrate(db, HERE)
    assert version(db) == len(MIGRATIONS)
    require_current(db, HERE)


def test_a_second_migration_changes_nothing(db: sqlite3.Connection) -> None:
    migrate(db, HERE)
    insert(db, "ex_1")
    migrate(db, HERE)
    assert db.execute("SELECT exchange_id FROM records").fetchall() == [("ex_1",)]


def test_from_one_version_to_the_next_rows_stay(db: sqlite3.Connection) -> None:
    migrate(db, HERE)
    insert(db, "ex_1")
    migrate(db, HERE, NEXT)
    assert version(db) == len(NEXT)
    assert db.execute("SELECT exchange_id, shoe_size FROM records").fetchall() == [("ex_1", None)]


def test_a_migration_that_fails_leaves_nothing_behind(db: sqlite3.Connection) -> None:
    migrate(db, HERE)
    before = columns(db)
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, HERE, (*NEXT, ("ALTER TABLE nowhere ADD COLUMN x INTEGER",)))
    assert columns(db) == before
    assert version(db) == len(MIGRATIONS)


def test_a_newer_headgates_file_is_refused(db: sqlite3.Connection) -> None:
    migrate(db, HERE, NEXT)
    with pytest.raises(ConfigError, match=r"records\.db: written by a newer headgate \(schema version 2"):
        migrate(db, HERE)
    with pytest.raises(ConfigError, match="newer headgate"):
        require_current(db, HERE)


def test_a_reader_refuses_a_file_without_our_tables(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE something (else_ TEXT)")
    with pytest.raises(ConfigError, match="expected a record store"):
        require_current(db, HERE)


def test_tables_are_strict(db: sqlite3.Connection) -> None:
    migrate(db, HERE)
    insert(db, "ex_1")
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in INTEGER column"):
        db.execute("UPDATE records SET status = 'two hundred'")
