import asyncio
from pathlib import Path

import pytest
import typer

from headgate.cli.source import opened
from headgate.errors import ConfigError
from headgate.records import Wanted
from headgate.stores.sqlite import SqliteStore
from headgate.stores.summary import GroupBy
from tests.stores.examples import a_record


async def test_a_file_is_read_while_it_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "headgate.db"
    store = SqliteStore(path)
    async with opened(None, path) as found:
        assert found.name == str(path)
        assert await found.records.search(Wanted(), 9) == []
        store.append(a_record())
        await store.aclose()
        assert await found.records.search(Wanted(), 9) == [a_record()]
        assert [row.exchanges for row in await found.records.usage(None, GroupBy.KEY)] == [1]


def test_no_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(typer.Exit):
        asyncio.run(opened(None, tmp_path / "headgate.db").__aenter__())
    assert list(tmp_path.iterdir()) == []


async def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("Dear diary, " * 1_000)
    async with opened(None, tmp_path / "diary") as found:
        with pytest.raises(ConfigError, match="diary"):
            await found.records.search(Wanted(), 1)
