"""What the suites ask of every store; its faults are in test_writer.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copytree

import pytest

from headgate.errors import Busy
from headgate.stores.sqlite import SqliteStore
from tests.stores.audit_conformance import DurableAuditConformance
from tests.stores.conformance import DurableConformance
from tests.stores.directory_conformance import DurableDirectoryConformance
from tests.stores.factory import StoreFactory
from tests.stores.ledger_conformance import DurableLedgerConformance
from tests.stores.sums_conformance import SumsConformance


class SqliteFactory:
    reopens = crashes = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    @property
    def path(self) -> Path:
        return self._folder / str(self._number) / "records.db"

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[SqliteStore]:
        store = SqliteStore(self.path)
        yield store
        await store.aclose()

    async def start_anew(self) -> None:
        self._number += 1

    async def crash(self) -> None:
        """Go on with what a process that is killed now would leave behind: the file and its log of what came last."""
        before = self.path.parent
        self._number += 1
        copytree(before, self.path.parent)


@pytest.fixture
def store_factory(tmp_path: Path) -> StoreFactory:
    return SqliteFactory(tmp_path)


class TestSqliteRecords(DurableConformance):
    pass


class TestSqliteSums(SumsConformance):
    pass


class TestSqliteLedger(DurableLedgerConformance):
    pass


class TestSqliteDirectory(DurableDirectoryConformance):
    pass


class TestSqliteAudit(DurableAuditConformance):
    pass


async def test_questions_after_the_end_are_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "records.db")
    await store.aclose()
    with pytest.raises(Busy, match="closed"):
        await store.account("acme")
    assert await store.trail("resp_1") is None


async def test_a_file_that_cannot_be_read_makes_the_gateway_busy(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    store = SqliteStore(path)
    path.rename(tmp_path / "away.db")
    for question in (store.account("acme"), store.by_digest(b"1" * 32), store.entries(), store.keys()):
        with pytest.raises(Busy):
            await question
    assert await store.trail("resp_1") is None
    (tmp_path / "away.db").rename(path)
    assert await store.account("acme") is None
    await store.aclose()
