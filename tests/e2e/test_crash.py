"""kill -9, again and again, under load: afterwards the books are exact, with the upstream's own log as the witness.

`make crash-long` does it fifty times on each database; HEADGATE_KILLS sets how often.
"""

import asyncio
import os
import random
from pathlib import Path

import pytest

from headgate.testing.upstream import ScriptedUpstream
from tests.e2e.books import GatewayProcess, Witness, agrees, ask, audited, fill, opened
from tests.postgres_server import PostgresDatabase

KILLS = int(os.environ.get("HEADGATE_KILLS", "5"))
AT_ONCE = 60
CREDIT_NANOS = 10**15

pytestmark = pytest.mark.timeout(120 + 20 * KILLS)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "books.db")
    postgres: PostgresDatabase = request.getfixturevalue("postgres")
    return postgres.dsn()


async def test_the_books_balance_after_every_kill(database: str, tmp_path: Path) -> None:
    chance, witness = random.Random(KILLS), Witness()
    async with opened(database) as store:
        await fill(store, credit_nanos=CREDIT_NANOS, keys=range((KILLS + 1) * AT_ONCE))
    async with ScriptedUpstream(witness.handle) as upstream:
        gateway = GatewayProcess(tmp_path, upstream.url, database)
        for kill in range(KILLS):
            await gateway.start()
            load = _load(gateway.port, range(kill * AT_ONCE, (kill + 1) * AT_ONCE), chance)
            await asyncio.sleep(chance.uniform(0.05, 1.2))
            await gateway.kill()
            await asyncio.gather(*load)
        await gateway.start()
        await asyncio.gather(*_load(gateway.port, range(KILLS * AT_ONCE, (KILLS + 1) * AT_ONCE), chance))
        await _swept(database)
        await gateway.stop()
    async with opened(database) as store:
        kinds = agrees(witness, await audited(store))
    print(f"\nafter {KILLS} kills: {kinds}")  # noqa: T201 - for whoever runs it by hand
    assert kinds["complete"] >= AT_ONCE // 2, "the last load ran undisturbed"
    assert kinds["died"] > 0, "no kill hit a running exchange"
    assert kinds["prompt only"] <= KILLS * 5, "a hold is written right before its request is sent"


def _load(port: int, numbers: range, chance: random.Random) -> list["asyncio.Task[object]"]:
    return [asyncio.create_task(_one(port, n, chance.uniform(0, 0.8))) for n in numbers]


async def _one(port: int, n: int, delay: float) -> None:
    await asyncio.sleep(delay)
    await ask(port, n, leave_after=1200 if n % 8 == 7 else None)


async def _swept(database: str) -> None:
    """Until the sweep of the last gateway has found every orphan."""
    async with asyncio.timeout(60), opened(database) as store:
        while await store.open_holds():
            await asyncio.sleep(0.1)
