"""Workers on one port, real ones: one dies, a restart under load, a stop; and what /metrics says of all of them."""

import asyncio
import itertools
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import openai

import headgate
from headgate.testing.upstream import Received, Script, ScriptedUpstream, WaitFor
from tests.e2e.books import MODEL, GatewayProcess, Witness, agrees, ask, audited, fill, key_text, opened
from tests.postgres_server import PostgresDatabase

KEYS = 600
CREDIT_NANOS = 10**15


@dataclass
class Holding(Witness):
    """Streams of these numbers stop in the middle, until they may go on."""

    held: frozenset[int] = frozenset()
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def handle(self, request: Received) -> Script:
        script = super().handle(request)
        return self._stopping(script) if int(dict(request.headers)[b"x-number"]) in self.held else script

    def _stopping(self, script: Script) -> Script:
        for number, step in enumerate(script):
            yield step
            if number == 6:
                yield WaitFor(self.go_on)


@dataclass
class Running:
    """A gateway with two workers."""

    gateway: GatewayProcess
    witness: Holding
    numbers: Iterator[int] = field(default_factory=itertools.count)
    versions: set[str] = field(default_factory=set)
    """Of the workers, when the metrics were last read."""

    async def workers(self) -> set[int]:
        """The processes that there are."""
        return {int(pid) for pid in _children(self.gateway.pid)}

    async def metrics(self) -> dict[str, float]:
        """Exchanges that are over, by worker."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"http://127.0.0.1:{self.gateway.port}/metrics",
                headers={"authorization": "Bearer a key that reads metrics"},
            ) as answer,
        ):
            assert answer.status == 200
            text = await answer.text()
        self.versions = set(re.findall(r'^headgate_build_info\{.*version="([^"]*)"', text, re.MULTILINE))
        counts = dict.fromkeys(re.findall(r'headgate_build_info\{.*worker="(\d+)"\} 1.0', text), 0.0)
        for labels, value in re.findall(r"^headgate_exchanges_total\{(.*)\} (\S+)$", text, re.MULTILINE):
            counts[dict(re.findall(r'(\w+)="([^"]*)"', labels))["worker"]] += float(value)
        assert text.count("# TYPE headgate_exchanges_total counter") == 1
        return counts

    async def under_way(self) -> int:
        """Exchanges, as the live view has them."""
        url = f"http://127.0.0.1:{self.gateway.port}/admin/v1/live"
        own = {"authorization": "Bearer an admin key, long enough"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=own) as answer:
            told = await answer.json()
            assert len({each["exchange_id"] for each in told["exchanges"]}) == told["running"]
            return int(told["running"])

    async def until(self, told: str) -> None:
        """It stands in the log."""
        async with asyncio.timeout(30):
            while told not in self.gateway.log():
                await asyncio.sleep(0.05)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@asynccontextmanager
async def running(folder: Path, database: str, within: Sequence[str] = ()) -> AsyncIterator[Running]:
    witness = Holding(pause=0.005)
    async with opened(database) as store:
        await fill(store, credit_nanos=CREDIT_NANOS, keys=range(KEYS))
    async with ScriptedUpstream(witness.handle) as upstream:
        gateway = GatewayProcess(folder, upstream.url, database, within=within)
        admin = '[admin.keys]\nops = "an admin key, long enough"\n'
        own = admin + '[metrics]\nkey = "a key that reads metrics"\n[limits]\nhandover_seconds = 30\n'
        gateway.write("workers = 2\n" + gateway.settings().replace("[limits]\n", own, 1))
        await gateway.start()
        made = Running(gateway, witness)
        async with asyncio.timeout(20):
            while len(await made.metrics()) < 2:
                await asyncio.sleep(0.05)
        try:
            yield made
        finally:
            await gateway.stop()


def a_number(numbers: Iterator[int]) -> int:
    """One whose answer neither breaks off nor is left."""
    return next(number for number in numbers if number % 8 not in {5, 6, 7})


async def test_a_restart_refuses_no_connection_and_cuts_no_stream(tmp_path: Path) -> None:
    database = str(tmp_path / "books.db")
    async with running(tmp_path, database) as on:
        numbers = [a_number(on.numbers) for _ in range(10)]
        on.witness.held = frozenset(numbers)
        held = [asyncio.create_task(ask(on.gateway.port, number)) for number in numbers]
        while len(on.witness.sent) < 10:
            await asyncio.sleep(0.01)
        before, over = await on.workers(), asyncio.Event()
        clients = [asyncio.create_task(one(on, over)) for one in (_anew, _anew, _kept, _kept, _sdk)]
        await asyncio.sleep(0.5)
        os.kill(on.gateway.pid, signal.SIGUSR2)
        await on.until("2 new workers serve, and 2 old ones leave")
        await asyncio.sleep(1)
        assert not any(task.done() for task in held), "the old workers still have their streams"
        over.set()
        served = await asyncio.gather(*clients)
        assert min(served) >= 5, served
        on.witness.go_on.set()
        assert all(answer.whole for answer in await asyncio.gather(*held))
        async with asyncio.timeout(20):
            while (now := await on.workers()) & before:
                await asyncio.sleep(0.05)
        assert len(now) == 2
        assert sorted(await on.metrics()) == ["3", "4"]
    async with opened(database) as store:
        kinds = agrees(on.witness, await audited(store))
    assert kinds == {"complete": 10 + sum(served), "broken": 0, "died": 0, "never seen": 0, "prompt only": 0}


async def _anew(on: Running, over: asyncio.Event) -> int:
    """Requests, each on a connection of its own, until it is over; returns how many. Fails with the first that does."""
    count = 0
    while not over.is_set():
        answer = await ask(on.gateway.port, a_number(on.numbers))
        assert answer.whole, answer
        count += 1
    return count


async def _kept(on: Running, over: asyncio.Event) -> int:
    """On kept connections, with nothing repeated that fails."""
    count = 0
    url = f"http://127.0.0.1:{on.gateway.port}/v1/chat/completions"
    async with aiohttp.ClientSession() as session:
        while not over.is_set():
            number = a_number(on.numbers)
            headers = {"authorization": f"Bearer {key_text(number)}", "x-number": str(number)}
            body = {"model": MODEL, "stream": True, "max_tokens": 40}
            asked = {**body, "messages": [{"role": "user", "content": "hi " * 100}]}
            async with session.post(url, json=asked, headers=headers) as answer:
                assert answer.status == 200
                assert b"[DONE]" in await answer.read()
            count += 1
    return count


async def _sdk(on: Running, over: asyncio.Event) -> int:
    """OpenAI's own client, without its retries."""
    count = 0
    address = f"http://127.0.0.1:{on.gateway.port}/v1"
    async with openai.AsyncOpenAI(base_url=address, api_key="-", max_retries=0) as client:
        while not over.is_set():
            number = a_number(on.numbers)
            own = client.with_options(api_key=key_text(number), default_headers={"x-number": str(number)})
            stream = await own.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "hi " * 100}], max_tokens=40, stream=True
            )
            words = [event async for event in stream]
            assert words[-2].choices[0].finish_reason == "stop" or words[-1].choices[0].finish_reason == "stop"
            count += 1
    return count


async def test_one_that_is_killed_is_replaced_and_the_other_settles_what_it_held(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    database = postgres.dsn()
    async with running(tmp_path, database) as on:
        load = [asyncio.create_task(ask(on.gateway.port, n)) for n in range(40)]
        while len(on.witness.sent) < 40:
            await asyncio.sleep(0.01)
        victim = min(await on.workers())
        os.kill(victim, signal.SIGKILL)
        again = [asyncio.create_task(ask(on.gateway.port, n)) for n in range(40, 80) if n % 8 not in {6, 7}]
        assert all(answer.whole for answer in await asyncio.gather(*again)), "none that came then was refused"
        await asyncio.gather(*load)
        async with opened(database) as store, asyncio.timeout(30):
            while await store.open_holds():
                await asyncio.sleep(0.1)
        async with asyncio.timeout(20):
            while len(await on.metrics()) < 2:
                await asyncio.sleep(0.1)
        assert victim not in await on.workers()
        assert "1 ended with status -9; another takes its place now" in on.gateway.log()
    async with opened(database) as store:
        kinds = agrees(on.witness, await audited(store))
    assert kinds["died"] > 0
    assert kinds["complete"] >= len(again)


async def test_metrics_are_of_all_workers_and_a_reload_reaches_each(tmp_path: Path) -> None:
    async with running(tmp_path, str(tmp_path / "books.db")) as on:
        answers = await asyncio.gather(*(ask(on.gateway.port, n) for n in range(64) if n % 8 not in {6, 7}))
        assert all(answer.whole for answer in answers)
        async with asyncio.timeout(10):
            while sum((await on.metrics()).values()) < len(answers):  # records follow the answers
                await asyncio.sleep(0.05)
        counts = [await on.metrics() for _ in range(4)]
        assert counts[1:] == counts[:-1], "whichever worker is asked"
        assert sum(counts[0].values()) == len(answers)
        assert min(counts[0].values()) > 0
        os.kill(on.gateway.pid, signal.SIGHUP)
        async with asyncio.timeout(20):
            while on.gateway.log().count("the settings were read anew") < 2:
                await asyncio.sleep(0.05)
        on.witness.held = frozenset(range(80, 86))
        streams = [asyncio.create_task(ask(on.gateway.port, n)) for n in sorted(on.witness.held) if n != 85]
        while len(on.witness.sent) < len(answers) + 5:
            await asyncio.sleep(0.01)
        assert [await on.under_way() for _ in range(4)] == [5] * 4, "whichever worker is asked"
        on.witness.go_on.set()
        await on.gateway.stop()
        assert all(answer.whole for answer in await asyncio.gather(*streams))


async def test_what_runs_after_a_restart_is_the_package_as_it_is_on_disk(tmp_path: Path) -> None:
    package = tmp_path / "installed" / "headgate"
    shutil.copytree(Path(headgate.__file__).parent, package)
    within = ["env", f"PYTHONPATH={package.parent}"]
    async with running(tmp_path, str(tmp_path / "books.db"), within) as on:
        assert on.versions == {headgate.__version__}
        own = package / "__init__.py"
        good = own.read_text()
        own.write_text("raise SystemExit('half an upgrade')\n")
        os.kill(on.gateway.pid, signal.SIGUSR2)
        await on.until("nothing is begun anew: what would be has failed its check")
        own.write_text(good + '\n__version__ = "99.9"\n')
        os.kill(on.gateway.pid, signal.SIGUSR2)
        await on.until("2 new workers serve, and 2 old ones leave")
        async with asyncio.timeout(20):
            while len(await on.metrics()) != 2 or on.versions != {"99.9"}:
                await asyncio.sleep(0.1)
        assert (await ask(on.gateway.port, 0)).whole
