"""Two gateways on one PostgreSQL: keys, budgets, limits and balances are exact over both; one settles for the other.

Here they are two processes; with HEADGATE_TWO_HOSTS=netns, as `make two-hosts` has it, each is in a network namespace
with an address of its own, from which it reaches the database and the provider.
"""

import asyncio
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from headgate.access.budgets import Budget, Scope, Window
from headgate.access.limits import Limits
from headgate.testing.upstream import ScriptedUpstream
from tests.e2e.books import ACCOUNT, Answer, GatewayProcess, Store, Witness, agrees, ask, audited, fill, opened, price
from tests.postgres_server import PostgresDatabase

IN_NAMESPACES = os.environ.get("HEADGATE_TWO_HOSTS") == "netns"
OUTSIDE = "10.77.31.254"
CREDIT_NANOS = 10**12


@dataclass
class Hosts:
    """Both of them, with their provider and their books."""

    gateways: list[GatewayProcess]
    witness: Witness
    store: Store

    async def ask(self, number: int, key: str, at: int | None = None) -> Answer:
        """A request; whose number is even, at the first, unless told otherwise."""
        gateway = self.gateways[number % 2 if at is None else at]
        return await ask(gateway.port, number, key=key, host=gateway.host)


@asynccontextmanager
async def two(folder: Path, postgres: PostgresDatabase) -> AsyncIterator[Hosts]:
    witness = Witness(pause=0.002)
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream(witness.handle))
        store = await stack.enter_async_context(opened(postgres.dsn()))
        url, dsn = upstream.url, postgres.dsn()
        if IN_NAMESPACES:
            url = url.replace("127.0.0.1", OUTSIDE)
            dsn = dsn.replace("127.0.0.1", OUTSIDE)
            for inner in (int(upstream.url.rsplit(":", 1)[1]), postgres.server.port):
                await stack.enter_async_context(forwarding(inner))
        gateways = [
            GatewayProcess(folder, url, dsn, host=f"10.77.31.{n}", within=["ip", "netns", "exec", f"headgate{n}"])
            if IN_NAMESPACES
            else GatewayProcess(folder, url, dsn)
            for n in (1, 2)
        ]
        for gateway in gateways:
            stack.push_async_callback(gateway.stop)
            await gateway.start()
        yield Hosts(gateways, witness, store)


@asynccontextmanager
async def forwarding(port: int) -> AsyncIterator[None]:
    """From the namespaces to what listens on this machine's loopback only."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))

    async with await asyncio.start_server(serve, OUTSIDE, port):
        yield


@pytest.fixture(autouse=True, scope="module")
def namespaces() -> Iterator[None]:
    """Two network namespaces on one bridge, where they are asked for. Fails where that is not allowed."""
    if not IN_NAMESPACES:
        yield
        return
    _ip("link add headgate0 type bridge", f"addr add {OUTSIDE}/24 dev headgate0", "link set headgate0 up")
    try:
        for n in (1, 2):
            _ip(
                f"netns add headgate{n}",
                f"link add hgveth{n} type veth peer name eth0 netns headgate{n}",
                f"link set hgveth{n} master headgate0 up",
                f"-n headgate{n} addr add 10.77.31.{n}/24 dev eth0",
                f"-n headgate{n} link set eth0 up",
                f"-n headgate{n} link set lo up",
            )
        yield
    finally:
        for command in ("netns del headgate1", "netns del headgate2", "link del headgate0"):
            subprocess.run(["ip", *command.split()], check=False, stderr=subprocess.DEVNULL)


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


async def test_what_bounds_a_key_bounds_it_over_both(postgres: PostgresDatabase, tmp_path: Path) -> None:
    async with two(tmp_path, postgres) as on:
        await fill(on.store, credit_nanos=CREDIT_NANOS, keys=["day", "at-once", "budget", "gone"])
        await _limit(on.store, "day", Limits(requests_per_day=50))
        await _limit(on.store, "at-once", Limits(concurrent=5))
        limit = 30 * price(on.witness.chunks)
        await on.store.put_budget(Budget("b", Scope.KEY, "key_budget", Window.TOTAL, limit))
        await _so_many_a_day(on)
        await _so_many_at_once(on)
        await _so_much_money(on, limit)
        await _a_key_that_is_revoked(on)
    async with opened(postgres.dsn()) as store:
        await audited(store)


async def _limit(store: Store, key: str, limits: Limits) -> None:
    found = await store.key(f"key_{key}")
    assert found is not None
    await store.put_key(replace(found, limits=limits))


_NUMBERS = [n for n in range(10_000) if n % 8 < 5]
"""Of requests whose streams come whole."""


async def _so_many_a_day(on: Hosts) -> None:
    numbers = _NUMBERS[:120]
    answers = Counter(answer.status for answer in await asyncio.gather(*(on.ask(n, "day") for n in numbers)))
    assert answers == {200: 50, 429: 70}


async def _so_many_at_once(on: Hosts) -> None:
    on.witness.gate, before = asyncio.Event(), len(on.witness.sent)
    under_way = [asyncio.create_task(on.ask(n, "at-once")) for n in _NUMBERS[200:205]]
    while len(on.witness.sent) < before + 5:
        await asyncio.sleep(0.01)
    refused = [await on.ask(n, "at-once", at) for n in _NUMBERS[210:212] for at in (0, 1)]
    assert [answer.status for answer in refused] == [429] * 4
    on.witness.gate.set()
    assert all(answer.whole for answer in await asyncio.gather(*under_way))
    on.witness.gate = None
    assert (await on.ask(_NUMBERS[213], "at-once", 1)).whole


async def _so_much_money(on: Hosts, limit: int) -> None:
    """Asked for again and again until nothing more is covered: never above, and as far as whole requests go."""
    numbers, served = iter(_NUMBERS[300:]), 0
    while True:
        answers = await asyncio.gather(*(on.ask(next(numbers), "budget") for _ in range(24)))
        assert {answer.status for answer in answers} <= {200, 402, 429}
        whole = sum(answer.whole for answer in answers)
        served += whole
        if not whole:
            break
    (counter,) = await on.store.counters(
        (Budget("b", Scope.KEY, "key_budget", Window.TOTAL, limit).counter_id("total"),)
    )
    assert (counter.used, counter.held) == (served * price(on.witness.chunks), 0)
    assert counter.used <= limit
    assert served >= 20, "a hold is the worst case, which at the end is more than what is left"


async def _settled(store: Store) -> None:
    """Settlements follow the answers."""
    async with asyncio.timeout(30):
        while await store.open_holds():
            await asyncio.sleep(0.05)


async def _a_key_that_is_revoked(on: Hosts) -> None:
    number = iter(_NUMBERS[5_000:])
    for at in (0, 1):
        assert (await on.ask(next(number), "gone", at)).whole
    key = await on.store.key("key_gone")
    assert key is not None
    await on.store.put_key(replace(key, revoked_at_ns=1))
    assert [(await on.ask(next(number), "gone", at)).status for at in (0, 1)] == [401, 401]


async def test_credit_is_spent_once_however_many_ask_for_it(postgres: PostgresDatabase, tmp_path: Path) -> None:
    credit = 25 * price(20)
    async with two(tmp_path, postgres) as on:
        await fill(on.store, credit_nanos=credit, keys=["a"])
        numbers, statuses, served = iter(_NUMBERS), set[int](), 0
        while True:
            answers = await asyncio.gather(*(on.ask(next(numbers), "a") for _ in range(12)))
            statuses |= {answer.status for answer in answers}
            await _settled(on.store)
            whole = sum(answer.whole for answer in answers)
            served += whole
            if not whole:
                break
        assert statuses == {200, 402}
        account = await on.store.account(ACCOUNT)
        assert account is not None
        assert (account.posted_nanos, account.held_nanos) == (credit - served * price(20), 0)
        assert account.posted_nanos >= 0
        assert served >= 10, "at the end a hold, the worst case, is more than what is left"


async def test_what_a_host_held_when_it_died_the_other_settles(postgres: PostgresDatabase, tmp_path: Path) -> None:
    async with two(tmp_path, postgres) as on:
        await fill(on.store, credit_nanos=CREDIT_NANOS, keys=range(200))
        on.witness.pause = 0.02
        first, second = on.gateways
        load = [asyncio.create_task(ask(g.port, n, host=g.host)) for n in range(60) for g in [on.gateways[n % 2]]]
        while sum(sent > 3 for sent in on.witness.sent.values()) < 40:
            await asyncio.sleep(0.01)
        await first.kill()
        answers = await asyncio.gather(*load)
        assert all(answer.whole for n, answer in enumerate(answers) if n % 2 and n % 8 < 6), "the other's went on"
        await _settled(on.store)
        async with asyncio.timeout(10):
            while "headgate.ledger: swept" not in second.log():
                await asyncio.sleep(0.05)
        await first.start()
        assert (await ask(first.port, 100, host=first.host)).whole
    async with opened(postgres.dsn()) as store:
        kinds = agrees(on.witness, await audited(store))
    assert kinds["died"] >= 10
