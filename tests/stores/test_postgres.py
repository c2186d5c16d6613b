"""PostgresStore keeps every store's promises; and loses nothing and doubles nothing, whatever happens to its server."""

import asyncio
import subprocess
import sys
import time
import traceback
from collections import Counter as Tally
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import uvloop

from headgate.errors import Busy, ConfigError
from headgate.ledger.commands import Capture, Checkpoint, Command, OpenAccount, Place, Post, Void
from headgate.ledger.entries import AccountKind, Cap, EntryKind, Measure, Result
from headgate.ledger.store import LedgerUnavailable
from headgate.stores.postgres import PostgresStore
from headgate.stores.postgres_link import Away
from tests.postgres_server import PASSWORD, PostgresDatabase
from tests.stores.audit_conformance import DurableAuditConformance
from tests.stores.conformance import Conformance
from tests.stores.directory_conformance import DurableDirectoryConformance
from tests.stores.examples import a_record
from tests.stores.factory import StoreFactory
from tests.stores.ledger_conformance import DurableLedgerConformance
from tests.stores.sums_conformance import SumsConformance

Opener = Callable[..., AbstractAsyncContextManager[PostgresStore]]


_CLEAR = """
SET session_replication_role = replica;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('schema_version', 'identity', 'rolled')
    LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
    FOR name IN
        SELECT format('%I ALTER COLUMN %I', table_name, column_name) FROM information_schema.columns
        WHERE table_schema = 'public' AND is_identity = 'YES'
    LOOP
        EXECUTE 'ALTER TABLE ' || name || ' RESTART';
    END LOOP;
    IF to_regclass('rolled') IS NOT NULL THEN
        UPDATE rolled SET minutes_from_ns = 0, pruned_until_ns = 0;
    END IF;
END $$
"""


class PostgresFactory:
    reopens, crashes = True, False

    def __init__(self, database: PostgresDatabase, folder: Path) -> None:
        self._database, self._folder = database, folder

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[PostgresStore]:
        store = PostgresStore(self._database.dsn(), self._folder)
        await store.open()
        yield store
        await store.aclose()

    async def start_anew(self) -> None:
        """Keeps the tables, which take far longer to make than to clear; what guards their rows stands aside."""
        db = await asyncpg.connect(self._database.dsn())
        await db.execute(_CLEAR)
        await db.close()

    async def crash(self) -> None:
        raise AssertionError("a commit is waited for, so nothing would be lost")


@pytest.fixture
def store_factory(postgres: PostgresDatabase, tmp_path: Path) -> StoreFactory:
    return PostgresFactory(postgres, tmp_path)


class TestPostgresRecords(Conformance):
    pass


class TestPostgresSums(SumsConformance):
    pass


class TestPostgresLedger(DurableLedgerConformance):
    pass


class TestPostgresDirectory(DurableDirectoryConformance):
    pass


class TestPostgresAudit(DurableAuditConformance):
    pass


@pytest.fixture
def opener(postgres: PostgresDatabase, tmp_path: Path) -> Opener:
    """Opens stores on the test's database, and closes them at the end."""

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[PostgresStore]:
        store = PostgresStore(postgres.dsn(), tmp_path / "spill", **options)
        await store.open()
        try:
            yield store
        finally:
            await store.aclose()

    return opened


async def funded(store: PostgresStore, amount: int) -> None:
    await store.submit(OpenAccount("acme", AccountKind.PREPAID, 1))
    assert (await store.submit(Post("top", "acme", EntryKind.TOP_UP, amount, 2))).stands


async def results(store: PostgresStore, commands: Iterable[Command]) -> Tally[Result]:
    return Tally(outcome.result for outcome in await asyncio.gather(*(store.submit(command) for command in commands)))


def places(name: str, count: int, caps: tuple[Cap, ...] = ()) -> list[Command]:
    return [Place(f"{name}{n}", "acme", 10, 3, name, caps=caps) for n in range(count)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


async def add_up(postgres: PostgresDatabase) -> None:
    """Balances are the sums of the entries and of the open holds, and no hold is resolved twice."""
    wrong = await postgres.query("""
        SELECT account_id FROM accounts
        LEFT JOIN (SELECT account_id, sum(posted_nanos) AS posted, sum(held_nanos) AS held
                   FROM entries GROUP BY account_id) AS entered USING (account_id)
        LEFT JOIN (SELECT account_id, sum(amount_nanos) AS held
                   FROM holds WHERE state = 'open' GROUP BY account_id) AS opened USING (account_id)
        WHERE posted_nanos <> coalesce(entered.posted, 0)
            OR held_nanos <> coalesce(entered.held, 0) OR held_nanos <> coalesce(opened.held, 0)
        UNION ALL
        SELECT hold_id FROM holds WHERE (SELECT count(*) FROM entries e WHERE e.hold_id = holds.hold_id
            AND kind IN ('capture', 'void', 'expire')) <> (state <> 'open')::int
    """)
    assert not wrong


async def test_two_stores_place_on_one_account_no_more_than_it_has(postgres: PostgresDatabase, opener: Opener) -> None:
    async with opener() as one, opener() as other:
        await funded(one, 10 * 77 + 9)
        cap = (Cap("concurrent", Measure.PRESENCE, 50, 1),)
        first, second = await asyncio.gather(
            results(one, places("a", 60, cap)), results(other, [*places("b", 30), *places("c", 30, cap)])
        )
        assert first + second == Tally(
            {Result.DONE: 77, Result.INSUFFICIENT_CREDIT: 120 - 77 - (first + second)[Result.OVER_CAP],
             Result.OVER_CAP: (first + second)[Result.OVER_CAP]}
        )  # fmt: skip
        (counter,) = await one.counters(("concurrent",))
        assert counter.held <= 50
    await add_up(postgres)


CHILD = """
import asyncio, sys
from pathlib import Path
from headgate.ledger.commands import Capture, Place, Void
from headgate.ledger.entries import Cap, Measure
from headgate.stores.postgres import PostgresStore

async def exchange(store, name, n):
    caps = (Cap("both", Measure.TIMES, 10_000, 1), Cap(f"own-{name}-{n % 7}", Measure.MONEY, 10_000, 10))
    # Both processes touch both accounts and each other's counters, in every order.
    accounts = ("acme", "zeta") if n % 2 else ("zeta", "acme")
    for account in accounts:
        hold = f"{name}-{n}-{account}"
        placed = await store.submit(Place(hold, account, 10, 3, name, caps=caps))
        if placed.stands:
            await store.submit(Capture(hold, account, 15, 4) if n % 3 else Void(hold, account, 4))

async def main(dsn, folder, name):
    store = PostgresStore(dsn, Path(folder))
    await store.open()
    sys.stdin.readline()
    await asyncio.gather(*(exchange(store, name, n) for n in range(200)))
    await store.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_share_a_database(postgres: PostgresDatabase, opener: Opener, tmp_path: Path) -> None:
    async with opener() as store:
        await funded(store, 10**9)
        await store.submit(OpenAccount("zeta", AccountKind.POSTPAID, 1))
        children = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", CHILD, postgres.dsn(), str(tmp_path), name,
                stdin=asyncio.subprocess.PIPE, cwd=Path(__file__).parent.parent.parent,
            )
            for name in ("p1", "p2")
        ]  # fmt: skip
        await asyncio.gather(*(child.communicate(b"\n") for child in children))
        assert [child.returncode for child in children] == [0, 0]
        (both,) = await store.counters(("both",))
        assert (both.used, both.held) == (800, 0)
        assert await store.open_holds() == []
        assert (await store.trial()).entries["zeta"].posted_nanos == -15 * 2 * 133
    await add_up(postgres)
    assert "deadlock" not in postgres.server.log()


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_server_that_goes_and_comes_back_costs_nothing_but_time(
    postgres: PostgresDatabase, opener: Opener, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes: list[Result] = []

    async def client(store: PostgresStore, name: str, over: asyncio.Event) -> int:
        number = 0
        while not over.is_set():
            hold = f"{name}-{number}"
            outcomes.append((await store.submit(Place(hold, "acme", 10, 3, name))).result)
            store.note(Checkpoint(hold, "acme", 5))
            store.append(a_record(hold))
            outcomes.append((await store.submit(Capture(hold, "acme", 12, 4))).result)
            number += 1
        return number

    async with opener() as store:
        await funded(store, 10**12)
        over = asyncio.Event()
        clients = [asyncio.create_task(client(store, f"c{n}", over)) for n in range(20)]
        for _ in range(3):
            seen = len(outcomes)
            await until(lambda: len(outcomes) > seen + 500)  # noqa: B023 - called at once
            await asyncio.to_thread(getattr(postgres, how))
            with pytest.raises(Busy, match="does not answer"):
                await store.account("acme")
            assert await store.trail("resp_1") is None
            await asyncio.to_thread(postgres.start)
        over.set()
        done = sum(await asyncio.gather(*clients))
        account = await store.account("acme")
    assert set(outcomes) <= {Result.DONE, Result.EXISTS}
    assert account is not None
    assert (account.posted_nanos, account.held_nanos) == (10**12 - 12 * done, 0)
    assert await postgres.query("SELECT count(*) FROM records") == [(done,)]
    await add_up(postgres)
    assert caplog.text.count("What is to be written waits") == 3, "told once for each time"
    assert caplog.text.count("is written again") == 3
    assert PASSWORD not in caplog.text


async def test_a_commit_whose_answer_was_lost_is_not_done_twice(
    postgres: PostgresDatabase, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[Any] = []
    real = PostgresStore._commit

    async def forgetful(store: PostgresStore, *batch: Any) -> Any:
        outcomes = await real(store, *batch)
        if lost.count(batch) < 2:
            lost.append(batch)
            store._hang_up()
            raise Away("after the commit")
        return outcomes

    async with opener() as store:
        await funded(store, 1_000)
        monkeypatch.setattr(PostgresStore, "_commit", forgetful)
        store._writer._commit = store._commit  # type: ignore[union-attr]
        store.append(a_record())
        placed = await store.submit(Place("h1", "acme", 70, 3, "n1"))
        captured = await store.submit(Capture("h1", "acme", 90, 4))
        assert (placed.result, captured.result) == (Result.EXISTS, Result.EXISTS)
        assert captured.account is not None
        assert (captured.account.posted_nanos, captured.account.held_nanos) == (910, 0)
        assert len(lost) >= 4
    await add_up(postgres)


async def test_the_backlog_is_bounded_and_waiters_wait(postgres: PostgresDatabase, opener: Opener) -> None:
    async with opener(max_backlog=10) as store:
        await funded(store, 1_000)
        await asyncio.to_thread(postgres.stop)
        waiting = [asyncio.create_task(store.submit(command)) for command in places("h", 5)]
        await asyncio.sleep(0)
        accepting = [store.accepting]
        for n in range(5):
            store.append(a_record(f"ex_{n}"))
        accepting.append(store.accepting)
        assert accepting == [True, False]
        await asyncio.wait(waiting, timeout=0.3)
        assert not any(task.done() for task in waiting)
        await asyncio.to_thread(postgres.start)
        assert [outcome.result for outcome in await asyncio.gather(*waiting)] == [Result.DONE] * 5
        await until(lambda: store.accepting)


async def test_what_cannot_be_written_at_the_end_is_read_in_at_the_next_start(
    postgres: PostgresDatabase, opener: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opener() as store:
        await funded(store, 1_000)
        await results(store, places("h", 4))
        await asyncio.to_thread(postgres.kill)
        waiting = [
            asyncio.create_task(store.submit(command))
            for command in (Capture("h0", "acme", 7, 4), Void("h1", "acme", 4), *places("never", 1))
        ]
        settling = asyncio.create_task(store.settle(Capture("h2", "acme", 8, 4), a_record("ex_settled")))
        store.append(a_record("ex_1"))
        await asyncio.sleep(0)
        await store.aclose()
        told = await asyncio.gather(*waiting, settling, return_exceptions=True)
        assert [type(error) for error in told] == [LedgerUnavailable] * 4
    (spilled,) = (tmp_path / "spill").iterdir()
    assert str(spilled) in caplog.text
    assert "2 records and 3 settlements" in caplog.text
    (tmp_path / "spill" / "unfinished-postgres-of-another.spill.jsonl").write_text("half a li")
    await asyncio.to_thread(postgres.start)
    async with opener() as store:
        assert [hold.hold_id for hold in await store.open_holds()] == ["h3"]
        account = await store.account("acme")
        assert account is not None
        assert (account.posted_nanos, account.held_nanos) == (1_000 - 15, 10)
        assert await store.find("ex_1") is not None
        assert await store.find("ex_settled") is not None
        assert await store.hold("never0") is None
    assert not spilled.exists()
    await add_up(postgres)


async def test_what_another_database_spilled_is_left_alone(
    postgres: PostgresDatabase, opener: Opener, tmp_path: Path
) -> None:
    async with opener() as store:
        await asyncio.to_thread(postgres.stop)
        store.append(a_record("ex_1"))
        await store.aclose()
    await asyncio.to_thread(postgres.start)
    await postgres.empty()
    async with opener() as store:
        assert await store.find("ex_1") is None
        assert len(list((tmp_path / "spill").iterdir())) == 1


async def test_a_database_put_in_the_place_of_ours_gets_nothing(
    postgres: PostgresDatabase, opener: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    async with opener() as store:
        await funded(store, 1_000)
        await store.submit(Place("h1", "acme", 70, 3, "n1"))
        store._hang_up()
        await postgres.query("UPDATE identity SET id = gen_random_uuid()")
        waiting = asyncio.create_task(store.submit(Capture("h1", "acme", 90, 4)))
        await until(lambda: "another database is in its place" in caplog.text)
        assert not waiting.done()
        await store.aclose()
        with pytest.raises(LedgerUnavailable):
            await waiting


async def test_one_bad_record_holds_up_nobody_and_no_settlement(
    postgres: PostgresDatabase, opener: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    async with opener() as store:
        await funded(store, 1_000)
        await store.submit(Place("h1", "acme", 70, 3, "n1"))
        for n in range(5):
            store.append(a_record(f"ex_{n}", bytes_in=2**70 if n == 2 else n))
        settled = await store.settle(Capture("h1", "acme", 90, 4), a_record("ex_bad", total_ns=2**70))
        assert settled.result is Result.DONE
    assert sorted(await postgres.query("SELECT exchange_id FROM records")) == [(f"ex_{n}",) for n in (0, 1, 3, 4)]
    assert caplog.text.count("can never be written") == 2
    await add_up(postgres)


async def test_leases_run_by_the_databases_clock(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opener() as store:
        await funded(store, 1_000)
        await results(store, places("n1", 1))
        await store.beat("n1", 3_600 * 1_000_000_000)
        monkeypatch.setattr(time, "time", lambda: 2e9)
        monkeypatch.setattr(time, "time_ns", lambda: 2 * 10**18)
        assert await store.orphans() == [], "whatever this host's clock says"
        await store.beat("n1", 1_000_000)
        async with asyncio.timeout(30):
            while not await store.orphans():
                await asyncio.sleep(0.002)


@pytest.mark.parametrize("damage", ["password", "database", "away", "newer", "latin1"])
async def test_a_database_that_cannot_serve_is_refused_at_the_start(
    postgres: PostgresDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    dsn = postgres.dsn()
    match damage:
        case "password":
            dsn = dsn.replace("corr3ct", "wr0ng")
        case "database":
            dsn += "_none"
        case "away":
            await asyncio.to_thread(postgres.stop)
        case "newer":
            ours = PostgresStore(dsn, tmp_path)
            await ours.open()
            await ours.aclose()
            await postgres.query("INSERT INTO schema_version VALUES (999)")
        case "latin1":
            await postgres.drop()
            await postgres.make("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    store = PostgresStore(dsn, tmp_path)
    with pytest.raises(ConfigError, match=rf"^postgresql://127\.0\.0\.1:\d+/{postgres.name}") as told:
        await store.open()
    everything = "".join(traceback.format_exception(told.value)) + caplog.text + repr(store)
    for secret in ("corr3ct", "wr0ng", "b%40ttery", "b@ttery"):
        assert secret not in everything
    with pytest.raises(LedgerUnavailable):
        await store.submit(Void("h1", "acme", 1))
    assert not store.accepting
    store.append(a_record())
    assert "ex_1 came before the store was open" in caplog.text
    await store.aclose()


def test_without_the_extra_it_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['asyncpg'] = None\n"
        "from pathlib import Path; from headgate.errors import ConfigError; from headgate.stores import postgres\n"
        "try:\n    postgres.PostgresStore('postgresql://db/headgate', Path())\n"
        "except ConfigError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "install headgate[postgres]" in done.stdout


def test_it_runs_on_uvloop(postgres: PostgresDatabase, tmp_path: Path) -> None:
    async def run() -> None:
        store = PostgresStore(postgres.dsn(), tmp_path)
        await store.open()
        await funded(store, 1_000)
        assert await results(store, places("h", 50)) == {Result.DONE: 50}
        await store.aclose()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
