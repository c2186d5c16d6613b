"""What every store must do as an AuditLog is in tests/stores/audit_conformance.py; here is who is one."""

from headgate.audit.log import AuditLog
from headgate.stores.memory import MemoryStore
from headgate.stores.postgres import PostgresStore
from headgate.stores.sqlite import SqliteStore


def test_every_store_keeps_an_audit_log() -> None:
    methods = {name for name, value in vars(AuditLog).items() if callable(value) and not name.startswith("_")}
    assert methods == {"keep_deed", "end_deed", "deeds", "keep_transcripts", "transcript", "transcripts",
                       "prune_transcripts"}  # fmt: skip
    for kind in (MemoryStore, SqliteStore, PostgresStore):
        assert not [name for name in methods if not callable(getattr(kind, name, None))], kind
