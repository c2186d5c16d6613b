"""`python -m bench.accounts DATABASE`: the account and the key that a gateway with all accounting on serves.

The database is a SQLite file or a PostgreSQL DSN.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from bench.script import KEY
from headgate.access.virtual import VirtualKey, digest_of, hint_of
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.stores.postgres import PostgresStore
from headgate.stores.sqlite import SqliteStore
from headgate.wiring_store import Store

SECRET = "the secret of the bench's digests"
CREDIT_NANOS = 10**18


async def fill(database: str) -> None:
    """Make the database, with one prepaid account and one key."""
    with tempfile.TemporaryDirectory() as spill:
        if database.startswith("postgresql://"):
            postgres = PostgresStore(database, spill_folder=Path(spill))
            await postgres.open()
            await _fill(postgres)
        else:
            await _fill(SqliteStore(Path(database)))


async def _fill(store: Store) -> None:
    try:
        await store.submit(OpenAccount("bench", AccountKind.PREPAID, 0))
        await store.submit(Post("credit", "bench", EntryKind.TOP_UP, CREDIT_NANOS, 0))
        digest = digest_of(KEY.encode(), SECRET.encode())
        await store.put_key(VirtualKey("key_bench", "bench", "bench", digest, hint_of(KEY), 0))
    finally:
        await store.aclose()


if __name__ == "__main__":
    asyncio.run(fill(sys.argv[1]))
