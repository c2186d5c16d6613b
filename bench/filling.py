"""Databases with millions of records in them, made fast: from a sample of records, multiplied in SQL.

The records spread evenly over 90 days, the newest is of now: 12 models, 6 providers, 500 keys, 50 accounts, 2 %
failures, and here and there a leg. Every record of the newer half has its hold and two entries, so that the books
balance. Some 20 records are of a rare model and provider. Roll-ups are made by the gateway's own code, which is timed.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from headgate.records import Bill, Ending, PriceLine, Record, Settled
from headgate.stores.postgres_link import connect, told_apart
from headgate.stores.postgres_records import answered, insert_records
from headgate.stores.postgres_schema import migrate
from headgate.stores.rolling import roll, scratch
from headgate.stores.rollups_sqlite import prepare
from headgate.stores.rollups_sqlite import roll as roll_sqlite
from headgate.stores.rows import COLUMNS, to_row
from headgate.stores.schema import migrate as migrate_sqlite
from headgate.usage import Basis, Estimate, Leg, Reading, Usage

DAY_NS = 86_400 * 1_000_000_000
DAYS = 90
MODELS = tuple(f"model-{letter}-2026-01" for letter in "abcdefghijkl")
PROVIDERS = ("openai", "anthropic", "google", "groq", "mistral", "bedrock")
KEYS, ACCOUNTS = 500, 50
RARE = "rare-model-2025-07"
_SAMPLE = 20_000
_STEP = 200_000
_ROLLED = 50_000
_PER = 1_000_000


@dataclass(frozen=True)
class Filled:
    """What a database was filled with, and how long the parts took."""

    records: int
    first_ns: int
    last_ns: int
    roll_us: float
    """What it took to roll a record, in microseconds."""
    seconds: float


def a_sample() -> list[Record]:
    """Records as they come, without ids and times of their own."""
    chance = random.Random(6)
    return [_any_record(chance, n) for n in range(_SAMPLE)]


def _any_record(chance: random.Random, number: int) -> Record:
    # The first models, keys and accounts are asked for most.
    model = int(len(MODELS) * chance.random() ** 2)
    key = int(KEYS * chance.random() ** 1.5)
    failed = chance.random() < 0.02
    tokens = chance.randrange(20, 8_000)
    cost = tokens * (model + 1) * 400 if not failed else None
    leg = Leg("advisor", MODELS[0], Usage(input_tokens=100, output_tokens=20))
    usage = Usage(
        input_tokens=tokens, cache_read_tokens=tokens // 3, output_tokens=tokens // 5,
        legs=(leg,) if number % 200 == 0 else (),
    )  # fmt: skip
    lines = (
        PriceLine("input_mtok", str(tokens), "0.40", _PER),
        PriceLine("output_mtok", str(tokens // 5), "1.60", _PER),
    )
    estimated = chance.random() < 0.01
    return Record(
        exchange_id=f"sample-{number}", started_at_ns=0, method="POST", path="/v1/chat/completions",
        dialect="openai.chat", operation="create", provider=PROVIDERS[model % len(PROVIDERS)], key=f"key-{key:03}",
        key_id=f"key_{key:016x}", model_asked=MODELS[model], streamed=True, status=502 if failed else 200,
        ending=Ending.UPSTREAM_CUT if failed else Ending.CLIENT_LEFT if estimated else Ending.COMPLETE,
        reading=Reading(
            usage=Usage() if failed else usage,
            basis=Basis.NONE if failed else Basis.ESTIMATED if estimated else Basis.REPORTED,
            served_model=None if failed else MODELS[model], response_id=f"resp_{number:012x}",
            estimate=Estimate(tokens, 10) if estimated else None, terminal_evidence="[DONE]", delivered_bytes=tokens,
        ),
        billable=True, counted=not failed, first_byte_ns=250_000_000, total_ns=tokens * 1_000_000,
        bytes_in=tokens * 60, bytes_out=tokens * 60,
        bill=Bill(
            account=f"account-{key % ACCOUNTS:02}", hold_nanos=10_000_000, cost_nanos=cost, charge_nanos=cost or 0,
            settled=Settled.CAPTURED, price_source="book", price_version="2026-11-20", lines=lines,
        ),
    )  # fmt: skip


def rare_records(first_ns: int, last_ns: int) -> Iterator[Record]:
    """Twenty records of a model and a provider that nobody else uses, half of them refused."""
    for n, record in enumerate(a_sample()[:20]):
        reading = replace(record.reading, served_model=RARE)
        yield replace(
            record, exchange_id=f"ex_rare_{n}", started_at_ns=first_ns + (last_ns - first_ns) // 20 * n,
            provider="rare", key="rare-key", key_id="key_rare", reading=reading,
            bill=Bill(account="rare-account", cost_nanos=5),
            ending=Ending.REFUSED if n % 2 else Ending.GATEWAY_FAILED, status=400 if n % 2 else 500,
        )  # fmt: skip


def _copy(spell: str, numbers: str) -> str:
    """Records number ?1 to ?2, the first of which would begin at ?3, one every ?4 nanoseconds."""
    own = {"exchange_id": f"'ex_' || {spell}", "started_at_ns": "?3 + n * ?4 + n * 7919 % 1000000"}
    chosen = ", ".join(own.get(name, f"sample.{name}") for name in COLUMNS)
    return (
        f"INSERT INTO records ({', '.join(COLUMNS)}) SELECT {chosen} FROM {numbers} "
        f"CROSS JOIN sample WHERE sample.number = n * 48271 % {_SAMPLE} ORDER BY n"
    )


_OF_ACCOUNTS = "FROM records WHERE account LIKE 'account-%' AND started_at_ns BETWEEN ?1 AND ?2 ORDER BY started_at_ns"


def _ledger(false: str) -> tuple[str, ...]:
    """The holds and entries of the records that began from ?1 to ?2."""
    hold = "SELECT exchange_id, account, hold_nanos, started_at_ns, 'node', NOT {f}, 0, '', 'captured', 0, charge_nanos"
    holds = (
        "INSERT INTO holds (hold_id, account_id, amount_nanos, placed_at_ns, node, sent, minimum_nanos, about, state, "
        f"checkpoint_quantity, resolved_nanos) {hold.format(f=false)} {_OF_ACCOUNTS}"
    )
    columns = "entry_id, account_id, kind, posted_nanos, held_nanos, at_ns, hold_id, note"
    placed = "exchange_id || ':place', account, 'place', 0, hold_nanos, started_at_ns, exchange_id, ''"
    captured = (
        "exchange_id || ':resolve', account, 'capture', -charge_nanos, -hold_nanos, started_at_ns + total_ns, "
        "exchange_id, ''"
    )
    entries = (f"INSERT INTO entries ({columns}) SELECT {values} {_OF_ACCOUNTS}" for values in (placed, captured))
    return holds, *entries


def _accounts(false: str) -> str:
    return (
        f"INSERT INTO accounts SELECT account_id, 'postpaid', NULL, sum(posted_nanos), sum(held_nanos), {false} "
        "FROM entries GROUP BY account_id"
    )


def _span(records: int) -> tuple[int, int, int]:
    """The beginning of the first record and of the last, and what lies between two. Nanoseconds."""
    last = time.time_ns()
    return last - DAYS * DAY_NS, last, DAYS * DAY_NS // records


def fill_sqlite(path: Path, records: int) -> Filled:
    """Make the file."""
    began = time.monotonic()
    first, last, step = _span(records)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -1000000")
    db.execute("PRAGMA temp_store = MEMORY")
    migrate_sqlite(db, path)
    prepare(db)
    names = ", ".join(f"{name}" for name in COLUMNS)
    db.execute(f"CREATE TEMP TABLE sample (number INTEGER PRIMARY KEY, {names})")
    rows = ([n, *to_row(record)] for n, record in enumerate(a_sample()))
    db.executemany(f"INSERT INTO sample VALUES ({', '.join('?' * (len(COLUMNS) + 1))})", rows)
    made = db.execute(
        "SELECT name, sql, type FROM sqlite_master WHERE sql IS NOT NULL AND type IN ('index', 'trigger') "
        "AND tbl_name IN ('records', 'holds', 'entries') AND NOT (type = 'index' AND sql LIKE '%UNIQUE%')"
    ).fetchall()
    for name, _, kind in made:
        db.execute(f"DROP {kind} {name}")
    numbers = (
        "(WITH RECURSIVE count(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM count WHERE n < ?2) SELECT n FROM count)"
    )
    for start in range(0, records, _STEP):
        end = min(start + _STEP, records) - 1
        db.execute("BEGIN")
        db.execute(_copy("printf('%026x', n)", numbers), (start, end, first, step))
        db.execute("COMMIT")
        _tell("records", end + 1, began)
    names_of = [sql for _, sql, kind in made if kind == "index"]
    for sql in names_of:
        db.execute(sql)
    _tell("indexes", len(names_of), began)
    for start in range(records // 2, records, _STEP):
        db.execute("BEGIN")
        for sql in _ledger("0"):
            db.execute(sql, (first + start * step, first + (start + _STEP) * step - 1))
        db.execute("COMMIT")
        _tell("holds and entries", min(start + _STEP, records), began)
    db.execute(_accounts("0"))
    db.execute("INSERT INTO unrolled SELECT exchange_id FROM records")
    for _, sql, kind in made:
        if kind == "trigger":
            db.execute(sql)
    marks = ", ".join("?" * len(COLUMNS))
    rare = [to_row(record) for record in rare_records(first, last)]
    db.executemany(f"INSERT INTO records ({names}) VALUES ({marks})", rare)
    rolling, rolled = time.monotonic(), 0
    while True:
        db.execute("BEGIN IMMEDIATE")
        own = roll_sqlite(db, _ROLLED, last)
        db.execute("COMMIT")
        rolled += own
        if not own:
            break
    took = time.monotonic() - rolling
    _tell("roll-ups", rolled, began)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return Filled(rolled, first, last, took / rolled * 1e6, time.monotonic() - began)


async def fill_postgres(dsn: str, records: int) -> Filled:
    """Fill an empty database."""
    began = time.monotonic()
    first, last, step = _span(records)
    db = await connect(dsn)
    await migrate(db, "bench")
    for setting in (
        "enable_seqscan = on", "enable_hashjoin = on", "enable_mergejoin = on", "plan_cache_mode = auto",
        "synchronous_commit = off", "maintenance_work_mem = '1GB'", "work_mem = '256MB'",
    ):  # fmt: skip
        await db.execute(f"SET {setting}")
    await db.execute("CREATE TEMP TABLE sample (LIKE records)")
    await db.execute("ALTER TABLE sample ADD COLUMN number INTEGER PRIMARY KEY, ALTER COLUMN arrival DROP NOT NULL")
    marks = ", ".join(f"${n}" for n in range(1, len(COLUMNS) + 2))
    rows = [[*to_row(record), n] for n, record in enumerate(a_sample())]
    await db.executemany(f"INSERT INTO sample ({', '.join(COLUMNS)}, number) VALUES ({marks})", rows)
    await db.execute("ANALYZE sample")
    made = await db.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('records', 'holds', 'entries') "
        "AND schemaname = 'public' AND indexdef NOT LIKE '%UNIQUE%'"
    )
    for name, _ in made:
        await db.execute(f"DROP INDEX {name}")
    await db.execute("ALTER TABLE records DISABLE TRIGGER USER")
    numbers = "generate_series(?1::bigint, ?2::bigint) AS count (n)"
    copy = _copy("lpad(to_hex(n), 26, '0')", numbers).replace("?", "$")
    for start in range(0, records, _STEP):
        await db.execute(copy, start, min(start + _STEP, records) - 1, first, step, timeout=3_600)
        _tell("records", min(start + _STEP, records), began)
    for _, sql in made:
        await db.execute(sql, timeout=3_600)
    _tell("indexes", len(made), began)
    await db.execute("ANALYZE records", timeout=3_600)
    for start in range(records // 2, records, _STEP):
        for sql in _ledger("false"):
            await db.execute(
                sql.replace("?", "$"), first + start * step, first + (start + _STEP) * step - 1, timeout=3_600
            )
        _tell("holds and entries", min(start + _STEP, records), began)
    await db.execute(_accounts("false"), timeout=3_600)
    await db.execute("INSERT INTO unrolled SELECT exchange_id FROM records", timeout=3_600)
    await db.execute("ALTER TABLE records ENABLE TRIGGER USER")
    await insert_records(db, list(rare_records(first, last)))
    await db.execute("VACUUM ANALYZE", timeout=3_600)
    for statement in scratch('TEXT COLLATE "C"', "ON COMMIT DELETE ROWS"):
        await db.execute(statement)
    rolling, rolled = time.monotonic(), 0
    while True:
        with told_apart():
            async with db.transaction(isolation="read_committed"):
                own = await answered(db, roll(_ROLLED, last))
        rolled += own
        if not own:
            break
    took = time.monotonic() - rolling
    _tell("roll-ups", rolled, began)
    await db.execute("VACUUM ANALYZE", timeout=3_600)
    await db.execute("CHECKPOINT", timeout=3_600)
    await db.close()
    return Filled(rolled, first, last, took / rolled * 1e6, time.monotonic() - began)


def _tell(what: str, number: int, began: float) -> None:
    print(f"  {time.monotonic() - began:7.1f} s  {number:>12,} {what}", flush=True)


if __name__ == "__main__":
    import sys

    if sys.argv[1] == "sqlite":
        print(fill_sqlite(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        print(asyncio.run(fill_postgres(sys.argv[2], int(sys.argv[3]))))
