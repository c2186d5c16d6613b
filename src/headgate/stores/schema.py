"""The tables, as numbered migrations. A migration that has been released is never edited: add the next one."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from headgate.errors import ConfigError

_RECORDS = """
CREATE TABLE records (
    exchange_id TEXT NOT NULL PRIMARY KEY,
    started_at_ns INTEGER NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    dialect TEXT,
    operation TEXT,
    provider TEXT,
    key TEXT,
    model_asked TEXT,
    streamed INTEGER NOT NULL,
    status INTEGER NOT NULL,
    ending TEXT NOT NULL,
    billable INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    first_byte_ns INTEGER,
    total_ns INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL,
    error TEXT,

    basis TEXT NOT NULL,
    served_model TEXT,
    response_id TEXT,
    service_tier TEXT,
    finish_reason TEXT,
    terminal_evidence TEXT,
    in_stream_error TEXT,
    delivered_bytes INTEGER NOT NULL,
    estimated_input_tokens INTEGER,
    estimated_output_tokens INTEGER,

    input_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    input_audio_tokens INTEGER,
    input_image_tokens INTEGER,
    output_tokens INTEGER,
    reasoning_tokens INTEGER,
    output_audio_tokens INTEGER,
    output_image_tokens INTEGER,
    reported_cost_nanos INTEGER,

    cache_write_tokens_by_ttl TEXT,
    tool_calls TEXT,
    billed_units TEXT,
    legs TEXT,
    anomalies TEXT,
    attempts TEXT
) STRICT
"""

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        "CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY) STRICT",
        _RECORDS,
        "CREATE INDEX records_by_time ON records (started_at_ns)",
        "CREATE INDEX records_by_response ON records (response_id, started_at_ns) WHERE response_id IS NOT NULL",
    ),
)
"""The statements that lead from version n to n + 1, at index n."""


def version(db: sqlite3.Connection) -> int:
    """The schema's version in this file; 0 for a file without headgate's tables."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchall():
        return 0
    ((newest,),) = db.execute("SELECT max(version) FROM schema_version").fetchall()
    return int(newest or 0)


def migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring the file to the newest version, all in one transaction. `db` is in autocommit mode.

    Raises ConfigError for a file that a newer headgate has written: its rows would be read or written wrongly.
    """
    if _is_current(db, path, migrations):
        return  # without a write lock: the usual case
    with db:
        db.execute("BEGIN IMMEDIATE")
        found = version(db)
        for number, statements in enumerate(migrations[found:], start=found + 1):
            for statement in statements:
                db.execute(statement)
            db.execute("INSERT INTO schema_version VALUES (?)", (number,))


def require_current(db: sqlite3.Connection, path: Path) -> None:
    """Raises ConfigError unless the file has exactly this headgate's tables; for readers, who may not migrate."""
    if not _is_current(db, path, MIGRATIONS):
        raise ConfigError(
            f"{path}: expected a record store of this headgate. If an older headgate wrote it, start "
            "`headgate serve` on it once; if something else did, name another file."
        )


def _is_current(db: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]]) -> bool:
    found = version(db)
    if found > len(migrations):
        raise ConfigError(
            f"{path}: written by a newer headgate (schema version {found}; this one knows up to {len(migrations)}). "
            "Use that headgate, or name another file."
        )
    return found == len(migrations)
