"""`python -m bench.pages`: what a page waits for, with ten million records and a gateway that goes on writing.

Fills a SQLite file and a PostgreSQL database of its own (bench/filling.py), puts a gateway before each, and asks the
admin API over HTTP what the dashboard's pages ask, while some two hundred records a second are written.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import aiohttp
import uvicorn
from msgspec.structs import replace

from bench import filling, machine
from bench.figures import percentile
from headgate import wiring
from headgate.access.budgets import Scope, Window
from headgate.admin.office import Office
from headgate.admin.terms import KeyTerms
from headgate.config import access_secret, load
from headgate.ledger.commands import Capture, Place
from headgate.net.server import bind
from headgate.records import Record
from headgate.wiring_store import Store
from tests.postgres_server import PostgresDatabase, running_server

ADMIN_KEY = "an admin key for the benchmark"
LIMIT_MS = 300.0
_ROUNDS = 20
_A_SECOND = 200
"""Records written while it is asked."""
_HOLDS_EACH = 10
"""One record in so many has its hold and its settlement written too."""


@dataclass(frozen=True)
class Question:
    """One thing that a page asks."""

    name: str
    path: str
    extreme: bool = False
    """No page asks it: its time is told, and not held against the limit."""


@dataclass(frozen=True)
class Answered:
    """How long it took, in microseconds, and how much came back."""

    question: Question
    times: Sequence[int]
    size: int


def questions(first_ns: int, last_ns: int) -> list[Question]:
    """What pages ask, of a database that was filled from the one time to the other."""
    day, hour = filling.DAY_NS, filling.DAY_NS // 24

    def at(ns: int) -> str:
        return quote(datetime.fromtimestamp(ns // 1_000_000_000, UTC).isoformat())

    spans = {"minute": 3 * hour, "hour": 7 * day, "day": 90 * day}
    asked = [
        Question(f"series, {step}s of {span // hour} h, by {by or 'nothing'}",
                 f"/series?step={step}&since={at(last_ns - span)}" + (f"&by={by}" if by else ""))
        for step, span in spans.items() for by in ("", "model", "provider", "key", "account")
    ]  # fmt: skip
    asked += [
        Question("no page: series, hours of 60 days, by key, three sums",
                 f"/series?step=hour&since={at(last_ns - 60 * day)}&by=key&sums=exchanges,cost_nanos,errors",
                 extreme=True),
        Question("no page: series, a day of minutes, by key, three sums",
                 f"/series?step=minute&since={at(last_ns - day)}&by=key&sums=exchanges,cost_nanos,errors",
                 extreme=True),
        Question("series, days, of one key", f"/series?step=day&by=key&name=key-007&since={at(first_ns)}"),
    ]  # fmt: skip
    asked += [
        Question(f"usage by {by}, all", f"/usage?by={by}") for by in ("model", "provider", "key", "account", "day")
    ]
    odd = at(first_ns + 5 * day + 12_345_678_901_234), at(last_ns - 23_456_789_012_345)
    asked += [
        Question(f"usage by {by}, odd bounds", f"/usage?by={by}&since={odd[0]}&until={odd[1]}") for by in ("key", "day")
    ]
    asked.append(Question("usage by key, the last 24 h", f"/usage?by=key&since={at(last_ns - day)}"))
    middle = (first_ns + last_ns) // 2
    for name, query in {
        "the newest": "", "a model": "model=model-a-2026-01", "a rare model": f"model={filling.RARE}",
        "an unknown model": "model=nobody", "a provider": "provider=openai", "a rare provider": "provider=rare",
        "a key": "key=key-003", "a key by id": f"key=key_{3:016x}", "a rare key": "key=rare-key",
        "an account": "account=account-03", "a rare account": "account=rare-account", "failed": "mark=failed",
        "cancelled": "mark=cancelled", "estimated": "mark=estimated", "unmetered": "mark=unmetered",
        "unpriced": "mark=unpriced", "complete": "ending=complete", "refused (rare)": "ending=refused",
        "upstream_cut": "ending=upstream_cut", "a model at another's provider": "model=model-a-2026-01&provider=groq",
        "an account's failures": "account=account-03&mark=failed",
        "a model's cancelled of a key": "model=model-b-2026-01&key=key-004&mark=cancelled",
        "a rare model's failures": f"model={filling.RARE}&mark=failed",
        "a provider's refused": "provider=openai&ending=refused",
        "a month ago": f"since={at(middle)}&until={at(middle + hour)}",
        "deep paging": f"cursor={middle}.ex_", "deep paging of a model": f"model=model-a-2026-01&cursor={middle}.ex_",
        "deep paging of a key": f"key=key-003&cursor={middle}.ex_", "500 at once": "limit=500",
    }.items():  # fmt: skip
        asked.append(Question(f"records, {name}", f"/records?{query}"))
    return asked


async def more_questions(api: aiohttp.ClientSession, root: str) -> list[Question]:
    """Those about single things, and about the books."""
    async with api.get(
        f"{root}/records?account=account-07&limit=1&cursor={time.time_ns() - filling.DAY_NS}.ex_"
    ) as got:
        exchange = (await got.json())["data"][0]["exchange_id"]
    async with api.get(f"{root}/keys?limit=1") as got:
        key = (await got.json())["data"][0]["key_id"]
    return [
        Question("a record", f"/records/{exchange}"), Question("a record that is not there", "/records/ex_none"),
        Question("a hold", f"/holds/{exchange}"), Question("a hold's entries", f"/holds/{exchange}/entries"),
        Question("accounts", "/accounts"), Question("an account's entries", "/accounts/account-03/entries"),
        Question("open holds", "/holds"), Question("keys", "/keys"), Question("all keys", "/keys?limit=500"),
        Question("a key with its budgets", f"/keys/{key}/budgets"), Question("budgets", "/budgets"),
        Question("health", "/health"), Question("check", "/check"),
    ]  # fmt: skip


@asynccontextmanager
async def serving(folder: Path, database: str) -> AsyncIterator[tuple[str, wiring.Assembly]]:
    """A gateway on the database; the address of its admin API."""
    config = folder / "headgate.toml"
    config.write_text(
        f'database = "{database}"\nallow_unprotected = true\n'
        f'[access]\nsecret = "a secret for the benchmark, long enough"\n[admin.keys]\nbench = "{ADMIN_KEY}"\n'
        '[providers.openai]\napi_key = "none"\n'
    )
    settings = load(config)
    assembly = wiring.build(settings)
    server = uvicorn.Server(uvicorn.Config(assembly.application, log_config=None, access_log=False, ws="none"))
    taken = bind("127.0.0.1", 0)
    running = asyncio.create_task(server.serve(sockets=[taken]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    await _keys(Office(assembly.store, assembly.store, access_secret(settings), time.time_ns, os.urandom))
    try:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/admin/v1", assembly
    finally:
        server.should_exit = True
        await running


async def _keys(office: Office) -> None:
    """Keys and budgets, unless they are there."""
    if await office.keys():
        return
    for n in range(filling.KEYS):
        key, _ = await office.create_key(KeyTerms(name=f"key-{n:03}", account_id=f"account-{n % filling.ACCOUNTS:02}"))
        if n % 5 == 0:
            await office.put_budget(Scope.KEY, key.key_id, Window.MONTH, 10**12)


async def write_on(store: Store, sample: Sequence[Record]) -> None:
    """Write records and settlements until it is cancelled."""
    number = 0
    while True:
        for _ in range(_A_SECOND // 20):
            number += 1
            record = replace(
                sample[number % len(sample)], exchange_id=f"ex_now_{time.time_ns():x}", started_at_ns=time.time_ns()
            )
            if number % _HOLDS_EACH:
                store.append(record)
                continue
            own = record.exchange_id
            await store.submit(Place(own, "account-01", 1_000, record.started_at_ns, "bench"))
            await store.settle(Capture(own, "account-01", record.bill.charge_nanos or 0, time.time_ns()), record)
        await asyncio.sleep(0.05)


async def ask(folder: Path, database: str, filled: filling.Filled) -> list[Answered]:
    """Ask everything, some rounds of it, while records are written."""
    async with serving(folder, database) as (root, assembly):
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        async with aiohttp.ClientSession(headers=headers) as api:
            while (await api.get(f"{root}/check")).status != 200:  # noqa: ASYNC110 - at first all entries are added up
                await asyncio.sleep(5)
            asked = questions(filled.first_ns, filled.last_ns) + await more_questions(api, root)
            writing = asyncio.create_task(write_on(assembly.store, filling.a_sample()))
            times: dict[str, list[int]] = {question.name: [] for question in asked}
            sizes: dict[str, int] = {}
            for _ in range(_ROUNDS):
                for question in asked:
                    began = time.perf_counter_ns()
                    async with api.get(root + question.path) as got:
                        sizes[question.name] = len(await got.read())
                        assert got.status in {200, 404}, (question, got.status, await got.text())
                    times[question.name].append((time.perf_counter_ns() - began) // 1_000)
            writing.cancel()
            await asyncio.wait([writing])
    return [Answered(question, times[question.name], sizes[question.name]) for question in asked]


def told(answers: Sequence[Answered]) -> str:
    """A table in Markdown; what is above the limit is bold."""
    lines = ["| question | p50 ms | p95 ms | max ms | answer KiB |", "| --- | ---: | ---: | ---: | ---: |"]
    for answered in answers:
        cells = [(percentile(answered.times, share) or 0) / 1_000 for share in (50, 95, 100)]
        shown = " | ".join(f"**{cell:.0f}**" if cell > LIMIT_MS else f"{cell:.1f}" for cell in cells)
        lines.append(f"| {answered.question.name} | {shown} | {answered.size / 1024:.1f} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run and print. Returns 1 if the 95th percentile of any question that a page asks is above the limit."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description="pages with ten million records")
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    options = parser.parse_args(arguments)
    slow = 0
    print("\n".join(f"- {name}: {value}" for name, value in machine.description().items()))
    with tempfile.TemporaryDirectory(prefix="headgate-pages-") as name:
        folder = Path(name)
        if options.only != "postgres":
            filled = filling.fill_sqlite(folder / "records.db", options.records)
            slow += _report("SQLite", filled, asyncio.run(ask(folder, str(folder / "records.db"), filled)))
            (folder / "records.db").unlink()
        if options.only != "sqlite":
            with running_server() as server:
                database = PostgresDatabase(server)
                asyncio.run(database.make())
                filled = asyncio.run(filling.fill_postgres(database.dsn(), options.records))
                slow += _report("PostgreSQL", filled, asyncio.run(ask(folder, database.dsn(), filled)))
    return 1 if slow else 0


def _report(name: str, filled: filling.Filled, answers: Sequence[Answered]) -> int:
    print(
        f"\n{name}: {filled.records:,} records in {filled.seconds:.0f} s, {filled.roll_us:.0f} µs to roll up a record\n"
    )
    print(told(answers))
    counted = (answered.times for answered in answers if not answered.question.extreme)
    return sum((percentile(times, 95) or 0) > LIMIT_MS * 1_000 for times in counted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
