"""What a reader is told is what the store's own suites ask of its questions; here is that it only reads."""

from pathlib import Path

import pytest

from headgate.errors import ConfigError
from headgate.records import Wanted
from headgate.stores.postgres import PostgresStore
from headgate.stores.postgres_reading import reading
from tests.postgres_server import PostgresDatabase
from tests.stores.examples import a_record

TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


async def test_a_database_without_tables_stays_without(postgres: PostgresDatabase) -> None:
    with pytest.raises(ConfigError, match="start `headgate serve` on it once"):
        async with reading(postgres.dsn()):
            pass
    assert await postgres.query(TABLES) == [(0,)]


async def test_an_older_headgates_database_is_not_migrated(postgres: PostgresDatabase, tmp_path: Path) -> None:
    store = PostgresStore(postgres.dsn(), spill_folder=tmp_path)
    await store.open()
    await store.aclose()
    await postgres.query("DELETE FROM schema_version WHERE version > 1")
    with pytest.raises(ConfigError, match="an older headgate's"):
        async with reading(postgres.dsn()):
            pass
    assert await postgres.query("SELECT max(version) FROM schema_version") == [(1,)]


async def test_it_reads_while_a_store_writes_and_rolls_nothing_up(postgres: PostgresDatabase, tmp_path: Path) -> None:
    store = PostgresStore(postgres.dsn(), spill_folder=tmp_path)
    await store.open()
    async with reading(postgres.dsn()) as records:
        assert await records.search(Wanted(), 9) == []
        store.append(a_record())
        await store.aclose()
        waiting = await postgres.query("SELECT count(*) FROM unrolled")
        assert await records.search(Wanted(), 9) == [a_record()]
        assert await postgres.query("SELECT count(*) FROM unrolled") == waiting


async def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(ConfigError, match="cannot be opened") as told:
        async with reading("postgresql://headgate:secret@127.0.0.1:1/headgate"):
            pass
    assert "secret" not in str(told.value)
