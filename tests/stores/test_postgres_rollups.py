"""The statements are in rollups.py and rolling.py; here is who runs them, and that it is one at a time."""

import asyncio
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from headgate.errors import Busy
from headgate.stores import rollups
from headgate.stores.postgres import PostgresStore
from headgate.stores.postgres_records import insert_records
from headgate.stores.postgres_rollups import Roller
from headgate.stores.postgres_schema import migrate
from headgate.stores.summary import GroupBy, summarise
from tests.postgres_server import PostgresDatabase
from tests.stores.conformance import write
from tests.stores.examples import DAY_NS, NOON, a_record


async def opened(postgres: PostgresDatabase, folder: Path) -> PostgresStore:
    store = PostgresStore(postgres.dsn(), folder)
    await store.open()
    return store


async def left(postgres: PostgresDatabase) -> int:
    return int((await postgres.query("SELECT count(*) FROM unrolled"))[0][0])


async def test_several_processes_roll_everything_once(postgres: PostgresDatabase, tmp_path: Path) -> None:
    stores = [await opened(postgres, tmp_path) for _ in range(3)]
    records = [a_record(f"ex_{n}", key=f"key-{n % 5}", started_at_ns=NOON + n) for n in range(300)]
    for n, record in enumerate(records):
        stores[n % 3].append(record)

    async def roll(store: PostgresStore) -> int:
        return sum([await store.roll(NOON, 20) for _ in range(10)])

    rolled = sum(await asyncio.gather(*map(roll, stores)))
    async with asyncio.timeout(60):
        while len(await stores[0].records(limit=500)) < 300:
            await asyncio.sleep(0.01)
        while await left(postgres):
            await asyncio.sleep(0.05)
    assert 0 < rolled <= 300
    assert await stores[1].usage(None, GroupBy.KEY) == summarise(records, GroupBy.KEY)
    for store in stores:
        await store.aclose()


async def test_a_commit_that_began_first_and_ends_last_is_not_forgotten(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    store = await opened(postgres, tmp_path)
    await write(store, a_record("ex_1"))
    slow = await asyncpg.connect(postgres.dsn())
    transaction = slow.transaction()
    await transaction.start()
    await insert_records(slow, [a_record("ex_0")])
    assert await store.roll(NOON) + await left(postgres) <= 1
    await write(store, a_record("ex_2"))
    await store.roll(NOON)
    await transaction.commit()
    await slow.close()
    assert [row.exchanges for row in await store.usage(None, GroupBy.KEY)] == [3]
    while await left(postgres):
        await store.roll(NOON)
    assert [row.exchanges for row in await store.usage(None, GroupBy.KEY)] == [3]
    await store.aclose()


async def test_without_a_server_it_is_busy_and_goes_on_later(postgres: PostgresDatabase, tmp_path: Path) -> None:
    store = await opened(postgres, tmp_path)
    await write(store, a_record("ex_1"))
    await store.aclose()
    roller = Roller(postgres.dsn())
    await roller.roll(NOON)
    postgres.kill()
    with pytest.raises(Busy):
        await roller.roll(NOON)
    postgres.start()
    await roller.roll(NOON)
    assert await left(postgres) == 0
    await roller.aclose()


async def test_what_is_not_rolled_yet_is_never_looked_for_among_all_records(postgres: PostgresDatabase) -> None:
    """Not even by a plan for spans of any width, where millions waited once: as in the first hour of roll-ups."""
    db = await asyncpg.connect(postgres.dsn())
    await migrate(db, "db")
    await insert_records(db, [a_record(f"ex_{n}", started_at_ns=NOON + n) for n in range(2_000)])
    await db.execute("INSERT INTO unrolled SELECT 'waited_' || n FROM generate_series(1, 100000) AS n")
    await db.execute("DELETE FROM unrolled WHERE id NOT IN ('ex_7', 'ex_8', 'ex_9')")
    await db.execute("VACUUM ANALYZE")
    await db.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
    asking = rollups.usage(NOON, NOON + 60 * DAY_NS, GroupBy.KEY)
    statements: list[str] = []
    with suppress(StopIteration):
        sql, _ = next(asking)
        while True:
            statements.append(sql)
            sql, _ = asking.send([(0, 0)] if "FROM rolled" in sql else [])
    looked_up = [sql.replace("?", "$") for sql in statements if "FROM unrolled" in sql]
    assert len(looked_up) == 2
    for n, sql in enumerate(looked_up):
        await db.execute(f"PREPARE question_{n} (bigint, bigint) AS {sql}")
        plan = "\n".join(step for (step,) in await db.fetch(f"EXPLAIN EXECUTE question_{n} (0, {2**62})"))
        assert "Index Scan using records_pkey on records" in plan
        assert "records_by_time" not in plan
    await db.close()
