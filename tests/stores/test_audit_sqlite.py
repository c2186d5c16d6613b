"""What it does as an AuditLog is in the conformance suite; here is what happens when its file cannot be had."""

from pathlib import Path

import pytest

from headgate.audit.deeds import DeedsWanted
from headgate.audit.transcripts import TranscriptsWanted
from headgate.errors import Busy
from headgate.ledger.store import LedgerUnavailable
from headgate.stores.sqlite import SqliteStore
from tests.stores.audit_conformance import FULL, SAID


async def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "records.db")
    await store.aclose()
    for change in (store.keep_deed(FULL), store.end_deed(FULL), store.keep_transcripts([SAID])):
        with pytest.raises(LedgerUnavailable):
            await change


async def test_a_file_that_cannot_be_read_makes_it_busy(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    store = SqliteStore(path)
    path.rename(tmp_path / "away.db")
    for question in (
        store.deeds(DeedsWanted(), 1), store.transcript("ex_1"), store.transcripts(TranscriptsWanted(), 1),
    ):  # fmt: skip
        with pytest.raises(Busy):
            await question
    (tmp_path / "away.db").rename(path)
    assert await store.deeds(DeedsWanted(), 1) == []
    await store.aclose()
