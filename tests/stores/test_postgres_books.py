"""What the transaction does is in the conformance suite; here is how: locks in one order, and plans that stay good."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from headgate.ledger.commands import Capture, Command, OpenAccount, Place, Post
from headgate.ledger.entries import AccountKind, Cap, EntryKind, Measure, Result
from headgate.stores import postgres_books
from headgate.stores.ledger_rows import ACCOUNT, COUNTER, HOLD
from headgate.stores.postgres_books import Transactions
from headgate.stores.postgres_link import Conflict, connect
from headgate.stores.postgres_schema import migrate
from tests.postgres_server import PostgresDatabase

CAPS = (Cap("c", Measure.TIMES, 9, 1, ends_at_ns=5),)


@pytest.fixture
async def db(postgres: PostgresDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(postgres.dsn())
    await migrate(connection, "db")
    yield connection
    await connection.close()


async def test_a_batch_is_applied_in_order_and_written_whole(db: asyncpg.Connection) -> None:
    place = Place("h1", "acme", 70, 3, "n1", caps=CAPS)
    batch: list[Command] = [
        OpenAccount("acme", AccountKind.PREPAID, 1), place, Post("top", "acme", EntryKind.TOP_UP, 100, 2), place,
        Capture("h1", "acme", 90, 4),
    ]  # fmt: skip
    transactions = Transactions()
    await transactions.make_counters(db, batch)
    async with db.transaction():
        outcomes = await transactions.apply(db, batch)
    assert [o.result for o in outcomes] == [
        Result.DONE, Result.INSUFFICIENT_CREDIT, Result.DONE, Result.DONE, Result.DONE,
    ]  # fmt: skip
    kinds = [kind for (kind,) in await db.fetch("SELECT kind FROM entries ORDER BY serial")]
    assert kinds == ["top_up", "place", "capture", "overrun"]
    assert tuple(await db.fetchrow("SELECT used, held FROM counters")) == (1, 0)


async def test_a_refusal_writes_nothing(db: asyncpg.Connection) -> None:
    async with db.transaction():
        await Transactions().apply(db, [Place("h1", "nobody", 70, 3, "n1")])
        assert await db.fetchval("SELECT pg_current_xact_id_if_assigned()") is None


async def test_a_counter_that_was_forgotten_is_made_again(db: asyncpg.Connection) -> None:
    transactions = Transactions()
    batch: list[Command] = [OpenAccount("acme", AccountKind.POSTPAID, 1), Place("h1", "acme", 70, 3, "n1", caps=CAPS)]
    await transactions.make_counters(db, batch)
    await db.execute("DELETE FROM counters")
    await transactions.make_counters(db, batch)
    with pytest.raises(Conflict, match="forgotten"):
        async with db.transaction():
            await transactions.apply(db, batch)
    await transactions.make_counters(db, batch)
    async with db.transaction():
        assert (await transactions.apply(db, batch))[1].result is Result.DONE


async def test_plans_are_look_ups_also_those_made_while_the_tables_were_empty(db: asyncpg.Connection) -> None:
    statements = [
        (f"SELECT {n}", query, ["text[]"])
        for n, query in enumerate((postgres_books._ACCOUNTS, postgres_books._HOLDS, postgres_books._COUNTERS))
    ]
    for table, columns in (("accounts", ACCOUNT), ("holds", HOLD), ("counters", COUNTER)):
        write = postgres_books._Write(table, columns, [], columns[1:])
        types = [f"{postgres_books._NOT_TEXT.get(name, 'text')}[]" for name in columns]
        statements.append((table, write.statement(1), types))
    for name, statement, types in statements:
        await db.execute(f"PREPARE q ({', '.join(types)}) AS {statement}")
        plan = [row for (row,) in await db.fetch(f"EXPLAIN EXECUTE q ({', '.join(['NULL'] * len(types))})")]
        await db.execute("DEALLOCATE q")
        assert any("Index Cond" in step for step in plan), name
        assert not any("Seq Scan" in step or "Hash" in step or "Merge" in step for step in plan), name
