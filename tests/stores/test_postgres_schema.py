import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from headgate.errors import ConfigError
from headgate.stores.audit_rows import DEED, TRANSCRIPT
from headgate.stores.directory_rows import BUDGET, KEY
from headgate.stores.ledger_rows import ACCOUNT, COUNTER, ENTRY, HOLD
from headgate.stores.postgres_schema import MIGRATIONS, identity_of, migrate
from headgate.stores.rows import COLUMNS
from tests.postgres_server import PostgresDatabase


@pytest.fixture
async def db(postgres: PostgresDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres.dsn())
    yield connection
    await connection.close()


async def test_the_tables_have_the_columns_of_the_rows(db: asyncpg.Connection) -> None:
    await migrate(db, "db")
    for table, columns, own in (
        ("records", COLUMNS, {"arrival"}), ("accounts", ACCOUNT, set()), ("holds", HOLD, set()),
        ("entries", ENTRY, {"serial"}), ("counters", COUNTER, set()), ("virtual_keys", KEY, set()),
        ("budgets", [name.strip('"') for name in BUDGET], set()),
        ("deeds", DEED, {"serial"}), ("transcripts", TRANSCRIPT, set()),
    ):  # fmt: skip
        query = "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1"
        assert {name for (name,) in await db.fetch(query, table)} == {*columns, *own}, table


async def test_migrating_again_changes_nothing(db: asyncpg.Connection) -> None:
    first = await migrate(db, "db")
    assert await migrate(db, "db") == first == await identity_of(db)
    assert [tuple(row) for row in await db.fetch("SELECT version FROM schema_version ORDER BY 1")] == [
        (n,) for n in range(1, len(MIGRATIONS) + 1)
    ]


async def test_many_processes_may_migrate_at_once(postgres: PostgresDatabase) -> None:
    async def one() -> str:
        connection = await asyncpg.connect(postgres.dsn())
        try:
            return await migrate(connection, "db")
        finally:
            await connection.close()

    identities = await asyncio.gather(*(one() for _ in range(8)))
    assert len(set(identities)) == 1


async def test_a_schema_of_its_own_in_a_database_of_others(postgres: PostgresDatabase) -> None:
    await postgres.query("CREATE TABLE schema_version (theirs TEXT)")
    await postgres.query("CREATE SCHEMA headgate")
    connection = await asyncpg.connect(postgres.dsn() + "?search_path=headgate")
    assert await migrate(connection, "db") == await migrate(connection, "db")
    await connection.close()
    assert len(await postgres.query("SELECT FROM headgate.schema_version")) == len(MIGRATIONS)
    assert await postgres.query("SELECT * FROM public.schema_version") == []


async def test_a_later_migration_runs_alone_and_all_or_nothing(
    db: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    identity = await migrate(db, "db")
    assert caplog.text == ""
    broken = [*MIGRATIONS, ["CREATE TABLE later (n INT)"], ["CREATE TABLE later (n INT)"]]
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(db, "db", broken)
    assert await db.fetchval("SELECT max(version) FROM schema_version") == len(MIGRATIONS)
    assert await migrate(db, "db", broken[:-1]) == identity
    assert f"db: the tables of version {len(MIGRATIONS)} become those of version {len(MIGRATIONS) + 1}" in caplog.text
    assert await db.fetchval("SELECT max(version) FROM schema_version") == len(MIGRATIONS) + 1
    with pytest.raises(
        ConfigError, match=r"^db: written by a newer headgate \(schema version \d+; this one knows up to \d+\)"
    ):
        await migrate(db, "db")


@pytest.mark.parametrize("change", ["UPDATE entries SET note = ''", "DELETE FROM entries", "TRUNCATE entries"])
async def test_entries_stay(db: asyncpg.Connection, change: str) -> None:
    await migrate(db, "db")
    await db.execute("INSERT INTO entries VALUES (DEFAULT, 'e1', 'acme', 'top_up', 1, 0, 1, NULL, '')")
    with pytest.raises(asyncpg.RaiseError, match="never changed or removed"):
        await db.execute(change)
    assert await db.fetchval("SELECT count(*) FROM entries") == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE deeds SET status = 200 WHERE serial = 2",
        "UPDATE deeds SET detail = '' WHERE serial = 2",
        "UPDATE deeds SET actor = 'mallory' WHERE serial = 1",
        "UPDATE deeds SET at_ns = 5, status = 200 WHERE serial = 1",
        "DELETE FROM deeds",
        "TRUNCATE deeds",
    ],
)
async def test_deeds_stay_as_they_are(db: asyncpg.Connection, change: str) -> None:
    await migrate(db, "db")
    await db.execute("INSERT INTO deeds VALUES (DEFAULT, 'd1', 1, 'ops', 'top_up', 'account/a', NULL, '{}')")
    await db.execute("INSERT INTO deeds VALUES (DEFAULT, 'd2', 1, 'ops', 'top_up', 'account/a', 201, '{}')")
    before = await db.fetch("SELECT * FROM deeds ORDER BY serial")
    with pytest.raises(asyncpg.RaiseError, match="never removed, nor changed"):
        await db.execute(change)
    assert await db.fetch("SELECT * FROM deeds ORDER BY serial") == before
    await db.execute("UPDATE deeds SET status = 201, subject = 'account/b', detail = '{}' WHERE serial = 1")


async def test_a_hold_has_one_resolution_whoever_writes_it(db: asyncpg.Connection) -> None:
    await migrate(db, "db")
    enter = "INSERT INTO entries VALUES (DEFAULT, $1, 'acme', $2, 0, -1, 1, 'h1', '')"
    await db.execute(enter, "a", "place")
    await db.execute(enter, "b", "capture")
    await db.execute(enter, "c", "overrun")
    for kind in ("capture", "void", "expire"):
        with pytest.raises(asyncpg.UniqueViolationError, match="entries_resolving"):
            await db.execute(enter, "d", kind)


@pytest.mark.parametrize(
    "row",
    [
        "accounts VALUES ('a', 'prepaid', NULL, 0, -1, false)",
        "accounts VALUES ('a', 'rich', NULL, 0, 0, false)",
        "accounts VALUES ('a', 'postpaid', -1, 0, 0, false)",
        "entries VALUES (DEFAULT, 'e', 'a', 'top_up', 1, 0, 1, 'h1', '')",
        "counters VALUES ('c', 0, -1)",
        "counters VALUES ('c', -1, 0)",
        "holds VALUES ('h', 'a', 1, 1, 'n', false, 0, '', NULL, 'open', NULL, 0, 5)",
        "holds VALUES ('h', 'a', 1, 1, 'n', false, 0, '', NULL, 'captured', NULL, 0, NULL)",
    ],
)
async def test_what_is_never_true_cannot_be_written(db: asyncpg.Connection, row: str) -> None:
    await migrate(db, "db")
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute(f"INSERT INTO {row}")
