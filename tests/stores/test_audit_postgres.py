"""What it does as an AuditLog is in the conformance suite; here is what happens when its server cannot be had."""

import asyncio
from pathlib import Path

import pytest

from headgate.audit.deeds import DeedsWanted
from headgate.errors import Busy
from headgate.stores.postgres import PostgresStore
from tests.postgres_server import PostgresDatabase
from tests.stores.audit_conformance import FULL, SAID, a_deed


async def test_without_its_server_it_is_busy_and_keeps_nothing(postgres: PostgresDatabase, tmp_path: Path) -> None:
    store = PostgresStore(postgres.dsn(), tmp_path)
    await store.open()
    await store.keep_deed(FULL)
    await asyncio.to_thread(postgres.stop)
    for change in (store.keep_deed(a_deed(2)), store.end_deed(FULL), store.keep_transcripts([SAID])):
        with pytest.raises(Busy):
            await change
    with pytest.raises(Busy):
        await store.deeds(DeedsWanted(), 1)
    await asyncio.to_thread(postgres.start)
    assert await store.deeds(DeedsWanted(), 10) == [(1, FULL)]
    assert await store.transcript("ex_1") is None
    await store.aclose()
