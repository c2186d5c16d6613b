"""`python -m bench.accounts FILE`: the account and the key that a gateway with all accounting on serves."""

import asyncio
import sys
from pathlib import Path

from bench.script import KEY
from headgate.access.virtual import VirtualKey, digest_of, hint_of
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.stores.sqlite import SqliteStore

SECRET = "the secret of the bench's digests"
CREDIT_NANOS = 10**18


async def fill(path: Path) -> None:
    """Make the file, with one prepaid account and one key."""
    store = SqliteStore(path)
    await store.submit(OpenAccount("bench", AccountKind.PREPAID, 0))
    await store.submit(Post("credit", "bench", EntryKind.TOP_UP, CREDIT_NANOS, 0))
    digest = digest_of(KEY.encode(), SECRET.encode())
    await store.put_key(VirtualKey("key_bench", "bench", "bench", digest, hint_of(KEY), 0))
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1])))
