import asyncio
import io
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate.audit.deeds import DeedsWanted
from headgate.ledger.commands import Capture, Place
from headgate.records import Bill
from headgate.stores.postgres import PostgresStore
from headgate.stores.series import SeriesOf
from headgate.stores.spans import Step
from headgate.stores.sqlite import SqliteStore
from headgate.stores.summary import GroupBy
from tests.cli.commands import Commands, filled, on_a_terminal
from tests.postgres_server import PostgresDatabase
from tests.stores.examples import DAY_NS, a_record
from tests.stores.ledger_conformance import funded

NOW = time.time_ns()
HOUR_NS = DAY_NS // 24
AGES = {f"ex_{n}": n * 10 * DAY_NS + HOUR_NS for n in range(6)}
"""0 to 50 days, and an hour."""

AStore = SqliteStore | PostgresStore
Opened = Callable[[], AbstractAsyncContextManager[AStore]]


async def fill(store: AStore) -> None:
    """An account that paid for six exchanges, one of them still open."""
    await funded(store, 10_000)
    for number, (name, age) in enumerate(AGES.items()):
        await store.submit(Place(name, "acme", 100, NOW - age, "node"))
        bill = Bill(account="acme", cost_nanos=10 + number, charge_nanos=20 + number)
        if name != "ex_0":
            record = a_record(name, started_at_ns=NOW - age, key=f"team-{number % 2}", bill=bill)
            await store.settle(Capture(name, "acme", 20 + number, NOW - age), record)


async def all_but_records(store: AStore) -> dict[str, Any]:
    """What pruning must leave as it is."""
    of = [SeriesOf(Step.HOUR, NOW - 60 * DAY_NS, NOW, by) for by in (None, GroupBy.KEY, GroupBy.MODEL)]
    return {
        "entries": await store.entries(limit=1_000),
        "sums": (await store.trial()).entries,
        "accounts": await store.accounts(),
        "holds": [await store.hold(name) for name in AGES],
        "open": await store.open_holds(),
        "usage": [await store.usage(None, by) for by in GroupBy],
        "span": [await store.usage((NOW - 30 * DAY_NS) // HOUR_NS * HOUR_NS, by) for by in GroupBy],
        "series": [await store.series(one) for one in of],
    }


async def asked(opened: Opened) -> tuple[dict[str, Any], list[str]]:
    async with opened() as store:
        return await all_but_records(store), [record.exchange_id for record in await store.records()]


async def filled_up(opened: Opened) -> None:
    async with opened() as store:
        await fill(store)


async def the_deed(opened: Opened) -> None:
    async with opened() as store:
        ((_, deed),) = await store.deeds(DeedsWanted(action="prune"), 9)
    assert (deed.subject, deed.status, deed.detail["records"]) == ("records", 200, 3)
    assert deed.actor.startswith("cli:")


def file_of(headgate: Commands) -> Opened:
    @asynccontextmanager
    async def opened() -> AsyncIterator[AStore]:
        store = SqliteStore(headgate.database)
        yield store
        await store.aclose()

    return opened


def test_only_old_records_go(headgate: Commands) -> None:
    opened = file_of(headgate)
    asyncio.run(filled_up(opened))
    before, names = asyncio.run(asked(opened))
    ran = headgate.good("prune", "--older-than", "30d", "--yes")
    assert "3 records of exchanges that began from" in ran.words
    assert "What stays: the ledger's entries, holds and balances" in ran.words
    assert "3 records were removed" in ran.words
    assert names == ["ex_1", "ex_2", "ex_3", "ex_4", "ex_5"]
    assert asyncio.run(asked(opened)) == (before, ["ex_1", "ex_2"])
    assert "No record is older" in headgate.good("prune", "--older-than", "30d", "--yes").out
    assert headgate("account", "check").status == 0
    asyncio.run(the_deed(opened))


def test_on_a_server_too(postgres: PostgresDatabase, tmp_path: Path, headgate: Commands) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text(f'database = "{postgres.dsn()}"\n')

    @asynccontextmanager
    async def opened() -> AsyncIterator[AStore]:
        store = PostgresStore(postgres.dsn(), spill_folder=tmp_path)
        await store.open()
        yield store
        await store.aclose()

    asyncio.run(filled_up(opened))
    before, names = asyncio.run(asked(opened))
    status, out, told = on_a_terminal("prune", "--older-than", "30d", "--yes", "--config", config)
    assert (status, "3 records were removed" in out) == (0, True), told
    assert "Removing" in told
    assert len(names) == 5
    assert asyncio.run(asked(opened)) == (before, ["ex_1", "ex_2"])
    assert not headgate.database.exists()


def test_a_dry_run_removes_nothing(headgate: Commands) -> None:
    filled(headgate.database, *(a_record(name, started_at_ns=NOW - age) for name, age in AGES.items()))
    before = headgate.database.read_bytes()
    assert "3 records" in headgate.good("prune", "--older-than", "30d", "--dry-run").out
    assert "would be removed" in headgate.good("prune", "--older-than", "30d", "--dry-run").words
    assert headgate.database.read_bytes() == before


@pytest.mark.parametrize(("answer", "left"), [("n\n", 6), ("", 6), ("y\n", 3)])
def test_it_asks_first(headgate: Commands, monkeypatch: pytest.MonkeyPatch, answer: str, left: int) -> None:
    filled(headgate.database, *(a_record(name, started_at_ns=NOW - age) for name, age in AGES.items()))
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    ran = headgate("prune", "--older-than", "30d")
    assert "Remove them?" in ran.out + ran.err
    assert (ran.status == 0) == (left == 3)
    assert headgate.good("export").out.count("\r\n") - 1 == left


def test_many_are_removed_slice_by_slice_while_a_gateway_writes(headgate: Commands) -> None:
    filled(headgate.database, *(a_record(f"ex_{n}", started_at_ns=NOW - 60 * DAY_NS + n) for n in range(1_750)))

    async def beside() -> str:
        store = SqliteStore(headgate.database)
        pruning = asyncio.create_task(asyncio.to_thread(headgate.good, "prune", "--older-than", "30d", "--yes"))
        number = 0
        while not pruning.done():
            store.append(a_record(f"new_{number}", started_at_ns=NOW))
            number += 1
            await asyncio.sleep(0.005)
        await store.aclose()
        assert len(await SqliteStore(headgate.database).records(limit=10_000)) == number
        return (await pruning).out

    assert "1,750 records were removed" in asyncio.run(beside())


@pytest.mark.parametrize("text", ["", "30", "tomorrow", "2999-01-01"])
def test_a_wrong_age_is_told(headgate: Commands, text: str) -> None:
    filled(headgate.database, a_record())
    ran = headgate("prune", "--older-than", text, "--yes")
    assert ran.status == 2
    assert "--older-than" in ran.err


def test_a_missing_store_is_told(headgate: Commands) -> None:
    assert headgate("prune", "--older-than", "30d", "--yes").status == 1
    assert not headgate.database.exists()
