"""The tables, as numbered migrations. A migration that has been released is never edited: add the next one."""

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from headgate.errors import ConfigError

_log = logging.getLogger("headgate.stores")

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

_LEDGER = (
    # A file that takes this one's place has another mark: nothing may be written to it in its stead.
    "CREATE TABLE file_mark (mark TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID",
    "INSERT INTO file_mark VALUES (lower(hex(randomblob(16))))",
    """
CREATE TABLE accounts (
    account_id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('prepaid', 'postpaid')),
    limit_nanos INTEGER CHECK (limit_nanos >= 0),
    posted_nanos INTEGER NOT NULL,
    held_nanos INTEGER NOT NULL CHECK (held_nanos >= 0),
    closed INTEGER NOT NULL
) STRICT, WITHOUT ROWID
""",
    """
CREATE TABLE holds (
    hold_id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL,
    amount_nanos INTEGER NOT NULL CHECK (amount_nanos >= 0),
    placed_at_ns INTEGER NOT NULL,
    node TEXT NOT NULL,
    sent INTEGER NOT NULL,
    minimum_nanos INTEGER NOT NULL,
    about TEXT NOT NULL,
    reserved TEXT,
    state TEXT NOT NULL CHECK (state IN ('open', 'captured', 'voided', 'expired')),
    checkpoint_nanos INTEGER,
    checkpoint_quantity INTEGER NOT NULL,
    resolved_nanos INTEGER,
    CHECK ((state = 'captured') = (resolved_nanos IS NOT NULL))
) STRICT, WITHOUT ROWID
""",
    "CREATE INDEX holds_open ON holds (placed_at_ns, hold_id) WHERE state = 'open'",
    """
CREATE TABLE entries (
    serial INTEGER NOT NULL PRIMARY KEY,
    entry_id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind IN ('top_up', 'correction', 'place', 'capture', 'overrun', 'void', 'expire')),
    posted_nanos INTEGER NOT NULL,
    held_nanos INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    hold_id TEXT,
    note TEXT NOT NULL,
    CHECK ((kind IN ('top_up', 'correction')) = (hold_id IS NULL))
) STRICT
""",
    "CREATE INDEX entries_by_account ON entries (account_id, serial)",
    # The last line of defence: whatever else goes wrong, no hold is resolved twice.
    "CREATE UNIQUE INDEX entries_resolving ON entries (hold_id) WHERE kind IN ('capture', 'void', 'expire')",
    "CREATE TRIGGER entries_stay BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END",
    "CREATE TRIGGER entries_hold BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END",
    """
CREATE TABLE counters (
    cap_id TEXT NOT NULL PRIMARY KEY,
    used INTEGER NOT NULL CHECK (used >= 0),
    held INTEGER NOT NULL CHECK (held >= 0),
    ends_at_ns INTEGER
) STRICT, WITHOUT ROWID
""",
    "CREATE INDEX counters_by_end ON counters (ends_at_ns) WHERE ends_at_ns IS NOT NULL",
    "CREATE TABLE nodes (node TEXT NOT NULL PRIMARY KEY, alive_until_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    """
CREATE TABLE virtual_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    account_id TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    created_at_ns INTEGER NOT NULL,
    owner TEXT NOT NULL,
    tags TEXT NOT NULL,
    models TEXT NOT NULL,
    providers TEXT NOT NULL,
    expires_at_ns INTEGER,
    revoked_at_ns INTEGER,
    limits TEXT NOT NULL
) STRICT
""",
    """
CREATE TABLE budgets (
    budget_id TEXT NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL CHECK (scope IN ('key', 'account', 'tag')),
    subject TEXT NOT NULL,
    window TEXT NOT NULL CHECK (window IN ('day', 'week', 'month', 'total')),
    limit_nanos INTEGER NOT NULL
) STRICT, WITHOUT ROWID
""",
    "CREATE INDEX budgets_by_subject ON budgets (scope, subject)",
)

_BILLS = (
    *(
        f"ALTER TABLE records ADD COLUMN {column}"
        for column in (
            "key_id TEXT", "account TEXT", "hold_nanos INTEGER", "cost_nanos INTEGER", "charge_nanos INTEGER",
            "settled TEXT", "price_source TEXT", "price_version TEXT", "lines TEXT", "flags TEXT",
        )
    ),
    "CREATE INDEX records_by_account ON records (account, started_at_ns) WHERE account IS NOT NULL",
)  # fmt: skip

_SEARCH = (
    "CREATE INDEX records_by_key ON records (key, started_at_ns) WHERE key IS NOT NULL",
    "CREATE INDEX records_by_key_id ON records (key_id, started_at_ns) WHERE key_id IS NOT NULL",
)

_AUDIT = (
    """
CREATE TABLE deeds (
    serial INTEGER NOT NULL PRIMARY KEY,
    deed_id TEXT NOT NULL UNIQUE,
    at_ns INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    status INTEGER,
    detail TEXT NOT NULL
) STRICT
""",
    "CREATE TRIGGER deeds_stay BEFORE DELETE ON deeds BEGIN SELECT RAISE(ABORT, 'deeds are never removed'); END",
    """
CREATE TRIGGER deeds_hold BEFORE UPDATE ON deeds
WHEN old.status IS NOT NULL OR (new.serial, new.deed_id, new.at_ns, new.actor, new.action)
    IS NOT (old.serial, old.deed_id, old.at_ns, old.actor, old.action)
BEGIN SELECT RAISE(ABORT, 'a deed is never changed but to say once how it ended'); END
""",
    """
CREATE TABLE transcripts (
    exchange_id TEXT NOT NULL PRIMARY KEY,
    at_ns INTEGER NOT NULL,
    key TEXT,
    key_id TEXT,
    dialect TEXT,
    operation TEXT,
    path TEXT NOT NULL,
    request_bytes INTEGER NOT NULL,
    request_kept_bytes INTEGER NOT NULL,
    request_truncated INTEGER NOT NULL,
    response_bytes INTEGER NOT NULL,
    response_kept_bytes INTEGER NOT NULL,
    response_truncated INTEGER NOT NULL,
    request_text TEXT NOT NULL,
    response_text TEXT NOT NULL
) STRICT
""",
    # With the keys in it: looking for a key's reads no body.
    "CREATE INDEX transcripts_by_time ON transcripts (at_ns, exchange_id, key, key_id)",
)

_ARRIVALS = (
    # The highest rowid of a record that was removed: SQLite would give it again, and whoever follows would miss it.
    "CREATE TABLE arrivals (last INTEGER NOT NULL) STRICT",
    "INSERT INTO arrivals VALUES (0)",
    """
CREATE TRIGGER records_removed AFTER DELETE ON records WHEN old.rowid > (SELECT last FROM arrivals)
BEGIN UPDATE arrivals SET last = old.rowid; END
""",
)

_SUMS = (
    "exchanges", "errors", "cancelled", "estimated", "unmetered", "unpriced", "input_tokens", "cache_read_tokens",
    "cache_write_tokens", "input_audio_tokens", "input_image_tokens", "output_tokens", "reasoning_tokens",
    "output_audio_tokens", "output_image_tokens", "reported_cost_nanos", "estimated_input_tokens",
    "estimated_output_tokens", "cost_nanos", "charge_nanos",
)  # fmt: skip
_ROLLUPS = (
    # A bucket is the number of a minute, hour or day since the epoch; names as in rollups.py.
    f"""
CREATE TABLE rollups (
    grain TEXT NOT NULL CHECK (grain IN ('minute', 'hour', 'day')),
    dimension TEXT NOT NULL CHECK (dimension IN ('all', 'model', 'provider', 'key', 'account')),
    bucket INTEGER NOT NULL,
    name TEXT NOT NULL,
    {", ".join(f"{name} INTEGER" for name in _SUMS)},
    PRIMARY KEY (grain, dimension, bucket, name)
) STRICT, WITHOUT ROWID
""",
    "CREATE TABLE rolled (minutes_from_ns INTEGER NOT NULL, pruned_until_ns INTEGER NOT NULL) STRICT",
    "INSERT INTO rolled VALUES (0, 0)",
    "CREATE TABLE unrolled (id TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID",
    "INSERT INTO unrolled SELECT exchange_id FROM records",
    # Whoever inserts a record: none is ever left out of the sums, or in them twice.
    "CREATE TRIGGER records_unrolled AFTER INSERT ON records BEGIN INSERT INTO unrolled VALUES (new.exchange_id); END",
)

_PAGES = (
    # Each filter has an index that gives its records in the order of time, so that a rare one is found at once. Most
    # records bear no mark and end well: these indexes are small. Conditions are word for word those of the questions.
    "CREATE INDEX records_by_model ON records ((coalesce(nullif(served_model, ''), model_asked)), started_at_ns)",
    "CREATE INDEX records_by_provider ON records (provider, started_at_ns)",
    "CREATE INDEX records_by_ending ON records (ending, started_at_ns) WHERE ending <> 'complete'",
    """
CREATE INDEX records_failed ON records (started_at_ns) WHERE
    (NOT (ending = 'client_left' OR ending = 'never_sent' AND status = 499) AND (status >= 400
        OR ending IN ('gateway_died', 'gateway_failed', 'upstream_cut', 'upstream_error')))
""",
    """
CREATE INDEX records_cancelled ON records (started_at_ns)
    WHERE (ending = 'client_left' OR ending = 'never_sent' AND status = 499)
""",
    "CREATE INDEX records_estimated ON records (started_at_ns) WHERE (counted AND basis IN ('estimated', 'partial'))",
    """
CREATE INDEX records_unmetered ON records (started_at_ns)
    WHERE (billable AND basis = 'none' AND NOT ending IN ('never_sent', 'refused'))
""",
    """
CREATE INDEX records_unpriced ON records (started_at_ns) WHERE
    ((billable OR counted) AND NOT ending IN ('never_sent', 'refused') AND (cost_nanos IS NULL OR
        (flags <> replace(flags, '["unpriced:', '') OR flags <> replace(flags, ',"unpriced:', ''))))
""",
    # What the entries of an account add up to, up to and with a serial number. Entries never change.
    """
CREATE TABLE entry_sums (
    account_id TEXT NOT NULL PRIMARY KEY,
    serial INTEGER NOT NULL,
    posted_nanos INTEGER NOT NULL,
    held_nanos INTEGER NOT NULL
) STRICT, WITHOUT ROWID
""",
)

_REFUSED = (
    "DROP INDEX records_failed",
    """
CREATE INDEX records_failed ON records (started_at_ns) WHERE
    (NOT (ending = 'client_left' OR ending = 'never_sent' AND status = 499) AND (status >= 400
        OR ending IN ('gateway_died', 'gateway_failed', 'refused', 'upstream_cut', 'upstream_error')))
""",
)

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        "CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY) STRICT",
        _RECORDS,
        "CREATE INDEX records_by_time ON records (started_at_ns)",
        "CREATE INDEX records_by_response ON records (response_id, started_at_ns) WHERE response_id IS NOT NULL",
    ),
    (
        "ALTER TABLE records ADD COLUMN cache_read_audio_tokens INTEGER",
        "ALTER TABLE records ADD COLUMN cache_read_image_tokens INTEGER",
        "ALTER TABLE records ADD COLUMN terms TEXT",
    ),
    (*_LEDGER, *_BILLS),
    _SEARCH,
    _AUDIT,
    _ARRIVALS,
    _ROLLUPS,
    _PAGES,
    _REFUSED,
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
        if found:
            _log.info("%s: the tables of version %d become those of version %d", path, found, len(migrations))
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
