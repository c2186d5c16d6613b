"""What the questions answer is in the conformance suite; here is how they find it."""

from typing import Any

import asyncpg
import pytest

from headgate.ledger.store import Trial
from headgate.stores.ledger_rows import ENTRY, HOLD
from headgate.stores.postgres_books import select
from headgate.stores.postgres_ledger import _FORGET, _ORPHANED, PostgresLedger
from headgate.stores.postgres_link import Away
from headgate.stores.postgres_schema import migrate
from tests.postgres_server import PostgresDatabase


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (select(ENTRY, "entries", "WHERE account_id = 'a1' ORDER BY serial DESC LIMIT 9"), "entries_by_account"),
        (select(ENTRY, "entries", "WHERE hold_id = 'h1' ORDER BY serial DESC LIMIT 9"), "entries_by_hold"),
        (select(HOLD, "holds", "WHERE state = 'open' ORDER BY placed_at_ns, hold_id"), "holds_open"),
        (select(HOLD, "holds", _ORPHANED.replace("$1", "9")), "holds_open"),
        (_FORGET.replace("$1", "9"), "counters_by_end"),
    ],
)
async def test_a_question_uses_its_index(postgres: PostgresDatabase, question: str, index: str) -> None:
    db = await asyncpg.connect(postgres.dsn())
    await migrate(db, "db")
    await db.execute("""
        INSERT INTO entries (entry_id, account_id, kind, posted_nanos, held_nanos, at_ns, hold_id, note)
        SELECT 'e' || n, 'a' || n % 100, 'place', 0, 1, 1, 'h' || n, '' FROM generate_series(1, 20000) AS n;
        INSERT INTO holds SELECT 'h' || n, 'a' || n % 100, 1, n, 'n', false, 0, '', NULL,
            CASE WHEN n > 19900 THEN 'open' ELSE 'voided' END, NULL, 0, NULL FROM generate_series(1, 20000) AS n;
        INSERT INTO counters SELECT 'c' || n, 0, 0, n FROM generate_series(1, 20000) AS n;
        ANALYZE;
    """)
    plan = "\n".join(step for (step,) in await db.fetch(f"EXPLAIN {question}"))
    assert index in plan
    assert not any(f"Seq Scan on {table}" in plan for table in ("entries", "holds", "counters"))
    await db.close()


async def test_a_trial_that_broke_off_is_asked_anew(postgres: PostgresDatabase) -> None:
    db = await asyncpg.connect(postgres.dsn())
    await migrate(db, "db")

    class Breaking:
        """A connection that ends after the first statement."""

        asked = 0

        async def fetch(self, sql: str, *values: Any, **how: float | None) -> Any:
            self.asked += 1
            if self.asked > 1:
                raise Away("cut off")
            return await db.fetch(sql, *values, **how)

    class Retrying(PostgresLedger):
        """Asks on one that breaks, and again."""

        def __init__(self) -> None:
            self._questions = self  # type: ignore[assignment]

        async def at_once(self, question: Any, _seconds: float) -> Any:
            with pytest.raises(Away):
                await question(Breaking())
            return await question(db)

    assert await Retrying().trial() == Trial([], {}, {})
    await db.close()
