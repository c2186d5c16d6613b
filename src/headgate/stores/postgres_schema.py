"""The tables in PostgreSQL, as numbered migrations. A migration that has been released is never edited: add the next.

The same tables as in SQLite (`schema.py`), in this database's own types. Texts are in byte order, as Python sorts them,
so that rows are locked in the order in which `touched` names them. There are no foreign keys: every row is written by
`Books`, under a lock on its account, and looking up again what is known would cost more than the insert.
"""

import logging
from collections.abc import Sequence

from headgate.errors import ConfigError
from headgate.stores.postgres_link import Connection

_log = logging.getLogger("headgate.stores")

_RECORDS = """
CREATE TABLE records (
    exchange_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    arrival BIGINT GENERATED ALWAYS AS IDENTITY,
    started_at_ns BIGINT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    dialect TEXT, operation TEXT, provider TEXT, key TEXT, model_asked TEXT,
    streamed BOOLEAN NOT NULL,
    status BIGINT NOT NULL,
    ending TEXT NOT NULL,
    billable BOOLEAN NOT NULL,
    counted BOOLEAN NOT NULL,
    first_byte_ns BIGINT,
    total_ns BIGINT NOT NULL,
    bytes_in BIGINT NOT NULL,
    bytes_out BIGINT NOT NULL,
    error TEXT,

    basis TEXT NOT NULL,
    served_model TEXT, response_id TEXT, service_tier TEXT, finish_reason TEXT, terminal_evidence TEXT,
    in_stream_error TEXT,
    delivered_bytes BIGINT NOT NULL,
    estimated_input_tokens BIGINT, estimated_output_tokens BIGINT,

    input_tokens BIGINT, cache_read_tokens BIGINT, cache_write_tokens BIGINT, input_audio_tokens BIGINT,
    input_image_tokens BIGINT, output_tokens BIGINT, reasoning_tokens BIGINT, output_audio_tokens BIGINT,
    output_image_tokens BIGINT, reported_cost_nanos BIGINT,
    cache_read_audio_tokens BIGINT, cache_read_image_tokens BIGINT,
    cache_write_tokens_by_ttl TEXT, tool_calls TEXT, billed_units TEXT, legs TEXT, anomalies TEXT, attempts TEXT,
    terms TEXT,

    key_id TEXT, account TEXT,
    hold_nanos BIGINT, cost_nanos BIGINT, charge_nanos BIGINT,
    settled TEXT, price_source TEXT, price_version TEXT, lines TEXT, flags TEXT
)
"""

_LEDGER = (
    """
    CREATE TABLE accounts (
        account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('prepaid', 'postpaid')),
        limit_nanos BIGINT CHECK (limit_nanos >= 0),
        posted_nanos BIGINT NOT NULL,
        held_nanos BIGINT NOT NULL CHECK (held_nanos >= 0),
        closed BOOLEAN NOT NULL
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE entries (
        serial BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        entry_id TEXT COLLATE "C" NOT NULL UNIQUE,
        account_id TEXT COLLATE "C" NOT NULL,
        kind TEXT NOT NULL
            CHECK (kind IN ('top_up', 'correction', 'place', 'capture', 'overrun', 'void', 'expire')),
        posted_nanos BIGINT NOT NULL,
        held_nanos BIGINT NOT NULL,
        at_ns BIGINT NOT NULL,
        hold_id TEXT COLLATE "C",
        note TEXT NOT NULL,
        CHECK ((kind IN ('top_up', 'correction')) = (hold_id IS NULL))
    )
    """,
    "CREATE INDEX entries_by_account ON entries (account_id, serial)",
    "CREATE INDEX entries_by_hold ON entries (hold_id, serial) WHERE hold_id IS NOT NULL",
    # The last line of defence: whatever else is wrong, no hold is resolved twice.
    "CREATE UNIQUE INDEX entries_resolving ON entries (hold_id) WHERE kind IN ('capture', 'void', 'expire')",
    """
    CREATE FUNCTION entries_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'entries are never changed or removed: post a correction';
    END $$
    """,
    """
    CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION entries_refuse()
    """,
    """
    CREATE TABLE holds (
        hold_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
        account_id TEXT COLLATE "C" NOT NULL,
        amount_nanos BIGINT NOT NULL CHECK (amount_nanos >= 0),
        placed_at_ns BIGINT NOT NULL,
        node TEXT COLLATE "C" NOT NULL,
        sent BOOLEAN NOT NULL,
        minimum_nanos BIGINT NOT NULL,
        about TEXT NOT NULL,
        reserved TEXT,
        state TEXT NOT NULL CHECK (state IN ('open', 'captured', 'voided', 'expired')),
        checkpoint_nanos BIGINT,
        checkpoint_quantity BIGINT NOT NULL,
        resolved_nanos BIGINT CHECK ((resolved_nanos IS NOT NULL) = (state = 'captured'))
    )
    """,
    "CREATE INDEX holds_open ON holds (placed_at_ns, hold_id) WHERE state = 'open'",
    # `used` is NULL until the first hold is placed: the row is made before, so that there is something to lock.
    """
    CREATE TABLE counters (
        cap_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
        used BIGINT CHECK (used >= 0),
        held BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
        ends_at_ns BIGINT
    ) WITH (fillfactor = 50)
    """,
    "CREATE INDEX counters_by_end ON counters (ends_at_ns) WHERE ends_at_ns IS NOT NULL",
    'CREATE TABLE nodes (node TEXT COLLATE "C" NOT NULL PRIMARY KEY, alive_until TIMESTAMPTZ NOT NULL)',
)

_DIRECTORY = (
    """
    CREATE TABLE virtual_keys (
        key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        account_id TEXT COLLATE "C" NOT NULL,
        digest BYTEA NOT NULL,
        hint TEXT NOT NULL,
        created_at_ns BIGINT NOT NULL,
        owner TEXT NOT NULL,
        tags TEXT NOT NULL,
        models TEXT NOT NULL,
        providers TEXT NOT NULL,
        expires_at_ns BIGINT,
        revoked_at_ns BIGINT,
        limits TEXT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX virtual_keys_by_digest ON virtual_keys (digest)",
    """
    CREATE TABLE budgets (
        budget_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
        scope TEXT NOT NULL CHECK (scope IN ('key', 'account', 'tag')),
        subject TEXT COLLATE "C" NOT NULL,
        "window" TEXT NOT NULL CHECK ("window" IN ('day', 'week', 'month', 'total')),
        limit_nanos BIGINT NOT NULL
    )
    """,
    "CREATE INDEX budgets_by_subject ON budgets (scope, subject)",
)

_AUDIT = (
    """
    CREATE TABLE deeds (
        serial BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        deed_id TEXT COLLATE "C" NOT NULL UNIQUE,
        at_ns BIGINT NOT NULL,
        actor TEXT COLLATE "C" NOT NULL,
        action TEXT COLLATE "C" NOT NULL,
        subject TEXT COLLATE "C" NOT NULL,
        status INTEGER,
        detail TEXT COLLATE "C" NOT NULL
    )
    """,
    """
    CREATE FUNCTION deeds_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF old.status IS NULL AND (new.serial, new.deed_id, new.at_ns, new.actor, new.action)
                IS NOT DISTINCT FROM (old.serial, old.deed_id, old.at_ns, old.actor, old.action) THEN
                RETURN new;
            END IF;
        END IF;
        RAISE EXCEPTION 'deeds are never removed, nor changed but to say once how they ended';
    END $$
    """,
    "CREATE TRIGGER deeds_hold BEFORE UPDATE OR DELETE ON deeds FOR EACH ROW EXECUTE FUNCTION deeds_refuse()",
    "CREATE TRIGGER deeds_stay BEFORE TRUNCATE ON deeds FOR EACH STATEMENT EXECUTE FUNCTION deeds_refuse()",
    """
    CREATE TABLE transcripts (
        exchange_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
        at_ns BIGINT NOT NULL,
        key TEXT COLLATE "C",
        key_id TEXT COLLATE "C",
        dialect TEXT,
        operation TEXT,
        path TEXT NOT NULL,
        request_bytes BIGINT NOT NULL,
        request_kept_bytes BIGINT NOT NULL,
        request_truncated BOOLEAN NOT NULL,
        response_bytes BIGINT NOT NULL,
        response_kept_bytes BIGINT NOT NULL,
        response_truncated BOOLEAN NOT NULL,
        request_text TEXT COLLATE "C" NOT NULL,
        response_text TEXT COLLATE "C" NOT NULL
    )
    """,
    # With the keys in it: looking for a key's reads no body.
    "CREATE INDEX transcripts_by_time ON transcripts (at_ns, exchange_id, key, key_id)",
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
        grain TEXT COLLATE "C" NOT NULL CHECK (grain IN ('minute', 'hour', 'day')),
        dimension TEXT COLLATE "C" NOT NULL CHECK (dimension IN ('all', 'model', 'provider', 'key', 'account')),
        bucket BIGINT NOT NULL,
        name TEXT COLLATE "C" NOT NULL,
        {", ".join(f"{name} BIGINT" for name in _SUMS)},
        PRIMARY KEY (grain, dimension, bucket, name)
    ) WITH (fillfactor = 70)
    """,
    "CREATE TABLE rolled (minutes_from_ns BIGINT NOT NULL, pruned_until_ns BIGINT NOT NULL)",
    "INSERT INTO rolled VALUES (0, 0)",
    'CREATE TABLE unrolled (id TEXT COLLATE "C" NOT NULL PRIMARY KEY)',
    "INSERT INTO unrolled SELECT exchange_id FROM records",
    # Whoever inserts a record: none is ever left out of the sums, or in them twice.
    """
    CREATE FUNCTION records_unroll() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unrolled VALUES (new.exchange_id);
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER records_unrolled AFTER INSERT ON records FOR EACH ROW EXECUTE FUNCTION records_unroll()",
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
    account_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    serial BIGINT NOT NULL,
    posted_nanos BIGINT NOT NULL,
    held_nanos BIGINT NOT NULL
) WITH (fillfactor = 70)
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
        "CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY)",
        # Tells this database from others, whatever its host is called after a fail-over: it names the spill files.
        "CREATE TABLE identity AS SELECT gen_random_uuid() AS id",
        _RECORDS,
        "CREATE INDEX records_by_time ON records (started_at_ns, arrival)",
        "CREATE INDEX records_by_response ON records (response_id, started_at_ns) WHERE response_id IS NOT NULL",
        "CREATE INDEX records_by_account ON records (account, started_at_ns) WHERE account IS NOT NULL",
        *_LEDGER,
        *_DIRECTORY,
    ),
    (
        "CREATE INDEX records_by_key ON records (key, started_at_ns) WHERE key IS NOT NULL",
        "CREATE INDEX records_by_key_id ON records (key_id, started_at_ns) WHERE key_id IS NOT NULL",
    ),
    _AUDIT,
    ("CREATE INDEX records_by_arrival ON records (arrival)",),
    _ROLLUPS,
    _PAGES,
    _REFUSED,
)
"""The statements that lead from version n to n + 1, at index n."""

# A question of the table itself: name look-ups go by a cache, which may not have heard of what another process made.
_MADE = """
SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'schema_version' AND relnamespace = current_schema()::regnamespace)
"""
_LOCK = int.from_bytes(b"headgate")
"""Of whoever migrates: an advisory lock, which the server gives up by itself when its holder goes."""


async def migrate(db: Connection, name: str, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> str:
    """Bring the database to the newest version, in one transaction and one process at a time; returns its identity.

    Raises ConfigError for a database that a newer headgate has written, or that cannot keep every text.
    """
    encoding = await db.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise ConfigError(f"{name}: the database's encoding is {encoding}; expected UTF8.")
    if await _found(db, name, migrations) < len(migrations):
        async with db.transaction(isolation="read_committed"):
            await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            found = await _found(db, name, migrations)
            if found:
                _log.info("%s: the tables of version %d become those of version %d", name, found, len(migrations))
            for number, statements in enumerate(migrations[found:], start=found + 1):
                for statement in statements:
                    await db.execute(statement)
                await db.execute("INSERT INTO schema_version VALUES ($1)", number)
    return await identity_of(db)


async def require_current(db: Connection, name: str) -> None:
    """Raises ConfigError unless the database has exactly this headgate's tables; for readers, who may not migrate."""
    if await _found(db, name, MIGRATIONS) != len(MIGRATIONS):
        raise ConfigError(
            f"{name}: expected a database of this headgate. If it is new, or an older headgate's, start "
            "`headgate serve` on it once."
        )


async def identity_of(db: Connection) -> str:
    """What tells this database from others."""
    return str(await db.fetchval("SELECT id FROM identity"))


async def _found(db: Connection, name: str, migrations: Sequence[Sequence[str]]) -> int:
    """The schema's version; 0 for a database without headgate's tables. Raises ConfigError if it is newer."""
    if not await db.fetchval(_MADE):
        return 0
    found = int(await db.fetchval("SELECT coalesce(max(version), 0) FROM schema_version"))
    if found > len(migrations):
        raise ConfigError(
            f"{name}: written by a newer headgate (schema version {found}; this one knows up to {len(migrations)}). "
            "Use that headgate, or name another database."
        )
    return found
