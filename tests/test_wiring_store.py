"""The store that the settings name."""

from pathlib import Path

from headgate.admin.health import DatabaseKind
from headgate.config import load
from headgate.stores.memory import MemoryStore
from headgate.stores.sqlite import SqliteStore
from headgate.wiring_store import kind_of, open_store


async def test_a_command_opens_the_store_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text(f'database = "{tmp_path}/records.db"\n')
    async with open_store(load(path, {})) as store:
        assert isinstance(store, SqliteStore)
        assert kind_of(store) is DatabaseKind.SQLITE
    assert (tmp_path / "records.db").exists()


def test_a_store_of_a_tests_own_is_in_memory() -> None:
    assert kind_of(MemoryStore()) is DatabaseKind.MEMORY
