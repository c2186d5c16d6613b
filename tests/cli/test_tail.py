"""`headgate tail` as a process of its own, beside stores that are being written to."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from headgate.records import Ending, Record
from headgate.stores.postgres import PostgresStore
from headgate.stores.postgres_link import connect
from headgate.stores.postgres_records import insert_records
from headgate.stores.sqlite import SqliteStore
from tests.cli.commands import Commands, filled
from tests.postgres_server import PostgresDatabase
from tests.stores.examples import DAY_NS, NOON, a_record


class Tail:
    """A running `headgate tail`."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        assert process.stdout is not None
        self._out = process.stdout

    def ids(self, number: int) -> list[str]:
        """The next exchanges that it shows; needs --json."""
        return [json.loads(self._out.readline())["exchange_id"] for _ in range(number)]

    def stop(self) -> tuple[int, bytes, bytes]:
        """Ctrl-C; gives the status, and what else it had to say."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@contextmanager
def tailing(*arguments: str | Path) -> Iterator[Tail]:
    command = [sys.executable, "-m", "headgate", "tail", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield Tail(process)
        finally:
            process.kill()


@pytest.fixture
async def store(headgate: Commands) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(headgate.database)
    yield store
    await store.aclose()


async def test_each_exchange_is_shown_when_it_ends_and_once(store: SqliteStore) -> None:
    store.append(a_record("ex_before", started_at_ns=NOON))
    with tailing("--db", store.path, "--json") as tail:
        assert await asyncio.to_thread(tail.ids, 1) == ["ex_before"]
        store.append(a_record("ex_1", started_at_ns=NOON + 5))
        store.append(a_record("ex_long", started_at_ns=NOON - DAY_NS))
        assert await asyncio.to_thread(tail.ids, 2) == ["ex_1", "ex_long"]
        many = [f"ex_{n}" for n in range(2, 3_000)]
        for name in many:
            store.append(a_record(name, started_at_ns=NOON))
        assert await asyncio.to_thread(tail.ids, len(many)) == many
        assert await asyncio.to_thread(tail.stop) == (0, b"", b"")


async def test_filters(store: SqliteStore) -> None:
    for n in range(4):
        store.append(a_record(f"ex_{n}", key=f"team-{n % 2}"))
    with tailing("--db", store.path, "--json", "--key", "team-1", "--failed", "-n", "9") as tail:
        failed = a_record("ex_a", key="team-1", status=502, ending=Ending.UPSTREAM_CUT)
        store.append(failed)
        assert await asyncio.to_thread(tail.ids, 1) == ["ex_a"]
        store.append(a_record("ex_b", key="team-0", status=502, ending=Ending.UPSTREAM_CUT))
        store.append(a_record("ex_c", key="team-1"))
        store.append(a_record("ex_d", key="team-1", status=500))
        assert await asyncio.to_thread(tail.ids, 1) == ["ex_d"]
        assert (await asyncio.to_thread(tail.stop))[0] == 0


def test_the_last_ones_stand_in_the_order_of_their_ends(headgate: Commands) -> None:
    records = [a_record(f"ex_{n}", started_at_ns=NOON + n, total_ns=10**9 - 2 * n) for n in range(4)]
    filled(headgate.database, *records)
    ran = headgate.good("tail", "--no-follow", "--json", "-n", "3")
    assert [json.loads(line)["exchange_id"] for line in ran.out.splitlines()] == ["ex_3", "ex_2", "ex_1"]
    assert headgate.good("tail", "--no-follow", "-n", "0").out == ""


def test_lines_for_people(headgate: Commands) -> None:
    filled(headgate.database, a_record(served_model="\x1b]0;pwned\x07", key="team-a"))
    lines = headgate.good("tail", "--no-follow").out.splitlines()
    assert len(lines) == 2
    assert lines[0].split()[:4] == ["ended", "status", "ending", "model"]
    assert "\ufffd]0;pwned\ufffd" in lines[1]
    assert "\x1b" not in lines[1]


def test_a_closed_pipe_ends_it_even_when_nothing_happens(headgate: Commands) -> None:
    filled(headgate.database, a_record())
    with tailing("--db", headgate.database, "--json") as tail:
        assert tail.ids(1) == ["ex_1"]
        assert tail.process.stdout is not None
        assert tail.process.stderr is not None
        tail.process.stdout.close()
        assert (tail.process.wait(60), tail.process.stderr.read()) == (0, b"")


def test_a_pipe_closed_in_the_middle_of_a_line_ends_it_without_a_word(headgate: Commands) -> None:
    filled(headgate.database, *(a_record(f"ex_{n}") for n in range(5_000)))
    with tailing("--db", headgate.database, "-n", "5000") as tail:
        assert tail.process.stdout is not None
        assert tail.process.stderr is not None
        tail.process.stdout.readline()
        tail.process.stdout.close()
        assert (tail.process.wait(60), tail.process.stderr.read()) == (0, b"")


def test_a_terminal_has_colours_and_lines_that_fit(headgate: Commands) -> None:
    filled(headgate.database, a_record(model_asked="m" * 200, served_model=None, ending=Ending.CLIENT_LEFT))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "70"}
    command = [sys.executable, "-m", "headgate", "tail", "--no-follow", "--db", str(headgate.database)]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        told = b""
        with suppress(OSError):
            while data := os.read(ours, 65_536):
                told += data
        assert process.wait() == 0
    os.close(ours)
    title, line = told.decode().splitlines()
    assert "\x1b[33m" in line
    assert title.startswith("\x1b[1m")
    assert len(line) < 70 + 4 * 8
    assert "…" in line


def test_a_missing_store_is_told(headgate: Commands) -> None:
    ran = headgate("tail")
    assert (ran.status, ran.out) == (1, "")
    assert "does not exist" in ran.err


async def test_a_record_whose_transaction_commits_late_is_not_lost(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """Two gateways: the one takes its number first, the other commits first."""
    config = tmp_path / "headgate.toml"
    config.write_text(f'database = "{postgres.dsn()}"\n')
    store = PostgresStore(postgres.dsn(), spill_folder=tmp_path)
    await store.open()
    slow = await connect(postgres.dsn())

    async def shown(tail: Tail, *records: Record) -> list[str]:
        for record in records:
            store.append(record)
        return await asyncio.to_thread(tail.ids, max(1, len(records)))

    try:
        transaction = slow.transaction()
        await transaction.start()
        await insert_records(slow, [a_record("ex_before_the_start")])
        store.append(a_record("ex_1"))
        with tailing("--config", config, "--json") as tail:
            assert await shown(tail) == ["ex_1"]
            await transaction.commit()
            assert await shown(tail) == ["ex_before_the_start"]
            transaction = slow.transaction()
            await transaction.start()
            await insert_records(slow, [a_record("ex_late")])
            assert await shown(tail, a_record("ex_2"), a_record("ex_3")) == ["ex_2", "ex_3"]
            await transaction.commit()
            assert await shown(tail) == ["ex_late"]
            assert await asyncio.to_thread(tail.stop) == (0, b"", b"")
    finally:
        await slow.close()
        await store.aclose()
