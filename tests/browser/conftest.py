"""One browser and two gateways for all stories: one with a month of history, one in which nothing has happened."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from headgate.config import price_data
from headgate.pricing.book import PriceBook
from headgate.stores.sqlite import SqliteStore
from tests.browser.history import History, fill
from tests.browser.stage import NOW_NS, Gateway, chromium, serving

EXCHANGES = 3_000


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium(), chromium_sandbox=False)
        yield launched
        await launched.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def history(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway with a month behind it. Stories may look at it and change nothing."""
    folder = tmp_path_factory.mktemp("history")
    await write_history(folder / "headgate.db")
    async with serving(folder) as gateway:
        yield gateway


async def write_history(path: Path) -> None:
    store = SqliteStore(path)
    await fill(store, History(NOW_NS, PriceBook.from_json(price_data()), EXCHANGES))
    await store.aclose()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def empty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway that nobody has used yet, without a provider. Stories may look at it and change nothing."""
    async with serving(tmp_path_factory.mktemp("empty"), provider=False) as gateway:
        yield gateway
