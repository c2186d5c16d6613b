import sqlite3
from collections.abc import Iterator
from contextlib import closing
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


def test_from_one_version_to_the_next_rows_stay(db: sqlite3.Connection, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    migrate(db, HERE)
    assert caplog.text == ""
    insert(db, "ex_1")
    migrate(db, HERE, NEXT)
    assert f"the tables of version {len(MIGRATIONS)} become those of version {len(NEXT)}" in caplog.text
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
    with pytest.raises(ConfigError, match=r"records\.db: written by a newer headgate \(schema version \d+; this one"):
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


def test_from_the_first_version_everything_stays(db: sqlite3.Connection) -> None:
    migrate(db, HERE, MIGRATIONS[:1])
    insert(db, "ex_1")
    migrate(db, HERE)
    assert db.execute("SELECT exchange_id, terms, account FROM records").fetchall() == [("ex_1", None, None)]


@pytest.mark.parametrize("change", ["UPDATE entries SET note = 'x'", "DELETE FROM entries"])
def test_entries_are_final(db: sqlite3.Connection, change: str) -> None:
    migrate(db, HERE)
    db.execute("INSERT INTO entries VALUES (1, 'e', 'acme', 'top_up', 5, 0, 1, NULL, '')")
    with pytest.raises(sqlite3.IntegrityError, match="entries are never"):
        db.execute(change)


def test_no_hold_has_two_resolutions(db: sqlite3.Connection) -> None:
    migrate(db, HERE)
    db.execute("INSERT INTO entries VALUES (1, 'one', 'acme', 'capture', -5, -5, 1, 'h1', '')")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        db.execute("INSERT INTO entries VALUES (2, 'other', 'acme', 'void', 0, -5, 1, 'h1', '')")


@pytest.mark.parametrize(
    "row",
    [
        "accounts VALUES ('a', 'prepaid', NULL, 0, -1, 0)",
        "accounts VALUES ('a', 'rich', NULL, 0, 0, 0)",
        "counters VALUES ('c', 0, -1, NULL)",
        "holds VALUES ('h', 'a', -1, 1, 'n', 0, 0, '', NULL, 'open', NULL, 0, NULL)",
        "holds VALUES ('h', 'a', 1, 1, 'n', 0, 0, '', NULL, 'captured', NULL, 0, NULL)",
        "holds VALUES ('h', 'a', 1, 1, 'n', 0, 0, '', NULL, 'open', NULL, 0, 5)",
        "entries VALUES (1, 'e', 'a', 'capture', 0, 0, 1, NULL, '')",
        "budgets VALUES ('b', 'world', 'a', 'day', 1)",
    ],
)
def test_what_can_never_be_true_is_refused(db: sqlite3.Connection, row: str) -> None:
    migrate(db, HERE)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        db.execute(f"INSERT INTO {row}")


def test_each_file_has_a_mark_of_its_own() -> None:
    marks: set[tuple[str]] = set()
    for _ in range(2):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            migrate(db, HERE)
            marks.update(db.execute("SELECT mark FROM file_mark"))
    assert len(marks) == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE deeds SET status = 200 WHERE serial = 2",
        "UPDATE deeds SET detail = '' WHERE serial = 2",
        "UPDATE deeds SET actor = 'mallory' WHERE serial = 1",
        "UPDATE deeds SET at_ns = 5, status = 200 WHERE serial = 1",
        "DELETE FROM deeds",
    ],
)
def test_deeds_stay_as_they_are(db: sqlite3.Connection, change: str) -> None:
    migrate(db, HERE)
    db.execute("INSERT INTO deeds VALUES (1, 'd1', 1, 'ops', 'top_up', 'account/a', NULL, '{}')")
    db.execute("INSERT INTO deeds VALUES (2, 'd2', 1, 'ops', 'top_up', 'account/a', 201, '{}')")
    before = db.execute("SELECT * FROM deeds ORDER BY serial").fetchall()
    with pytest.raises(sqlite3.IntegrityError, match=r"never (removed|changed)"):
        db.execute(change)
    assert db.execute("SELECT * FROM deeds ORDER BY serial").fetchall() == before
    db.execute("UPDATE deeds SET status = 201, subject = 'account/b', detail = '{}' WHERE serial = 1")
