"""A SQLite file in trouble: locked, full, moved away, or its process killed."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from headgate.stores.queries import SqliteRecords
from headgate.stores.sqlite import MAX_BACKLOG, SqliteStore

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The file, locked by someone else."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def opened(path: Path, max_backlog: int = MAX_BACKLOG) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, max_backlog=max_backlog)
    yield store
    await store.aclose()


def ids(path: Path) -> list[str]:
    return [record.exchange_id for record in reversed(SqliteRecords(path).records(limit=100_000))]


def failing(caplog: pytest.LogCaptureFixture) -> bool:
    return "cannot be written to" in caplog.text


async def shown(log: SqliteStore, exchange_id: str) -> None:
    """Wait until a record is on disk."""
    async with asyncio.timeout(60):
        while await log.find(exchange_id) is None:
            await asyncio.sleep(0.002)


async def seen(condition: Callable[[], bool]) -> None:
    """Wait for what the writer does."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


CHILD = """
import asyncio, itertools, resource, sys, time
from pathlib import Path
from headgate.ledger.commands import Capture, OpenAccount, Place, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.stores.queries import SqliteRecords
from headgate.stores.sqlite import SqliteStore
from tests.stores.examples import a_record, until

log = SqliteStore(Path(sys.argv[1]))
reading = SqliteRecords(Path(sys.argv[1]))
"""


def child(script: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + script, str(path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
