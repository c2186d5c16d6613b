from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from headgate.records import Trail
from headgate.stores.memory import MemoryStore
from tests.stores.audit_conformance import AuditConformance
from tests.stores.conformance import Conformance
from tests.stores.directory_conformance import DirectoryConformance
from tests.stores.examples import a_record
from tests.stores.factory import StoreFactory
from tests.stores.ledger_conformance import LedgerConformance
from tests.stores.sums_conformance import SumsConformance


class MemoryFactory:
    reopens = crashes = False

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore()
        yield store
        await store.aclose()

    async def start_anew(self) -> None:
        """Every store has memory of its own."""

    async def crash(self) -> None:
        raise AssertionError("nothing would be left")


@pytest.fixture
def store_factory() -> StoreFactory:
    return MemoryFactory()


class TestMemoryRecords(Conformance):
    pass


class TestMemorySums(SumsConformance):
    pass


class TestMemoryLedger(LedgerConformance):
    pass


class TestMemoryDirectory(DirectoryConformance):
    pass


class TestMemoryAudit(AuditConformance):
    pass


async def test_the_oldest_is_forgotten_beyond_the_bound() -> None:
    log = MemoryStore(kept=2)
    for n in range(4):
        log.append(a_record(f"ex_{n}", response_id=f"resp_{n // 2}", started_at_ns=n))
    assert [record.exchange_id for record in await log.records()] == ["ex_3", "ex_2"]
    assert [record.exchange_id for record in log.kept] == ["ex_3", "ex_2"]
    assert await log.trail("resp_0") is None
    assert await log.trail("resp_1") == Trail("openai", counted=True)
