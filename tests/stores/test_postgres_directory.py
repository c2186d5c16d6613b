"""What it answers is in the conformance suite; here is that finding a key stays quick."""

import asyncpg

from headgate.stores.postgres_books import select
from headgate.stores.postgres_directory import _KEY
from headgate.stores.postgres_schema import migrate
from tests.postgres_server import PostgresDatabase


async def test_a_key_and_its_budgets_are_found_by_index(postgres: PostgresDatabase) -> None:
    db = await asyncpg.connect(postgres.dsn())
    await migrate(db, "db")
    await db.execute("""
        INSERT INTO virtual_keys SELECT 'k' || n, 'k', 'a' || n, ('x' || n)::bytea, 'hg-', n, '', '["red", "blue"]',
            '[]', '[]', NULL, NULL, '{}' FROM generate_series(1, 20000) AS n;
        INSERT INTO budgets SELECT 'b' || n, 'key', 'k' || n, 'day', 1 FROM generate_series(1, 20000) AS n;
        ANALYZE;
    """)
    question = select(_KEY, "virtual_keys k", "WHERE digest = '\\x31'")
    plan = "\n".join(step for (step,) in await db.fetch(f"EXPLAIN {question}"))
    assert "virtual_keys_by_digest" in plan
    assert "budgets_by_subject" in plan
    assert "Seq Scan" not in plan
    await db.close()
