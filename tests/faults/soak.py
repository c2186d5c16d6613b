"""A long load on a real gateway process, a tenth of it misbehaving, and its books afterwards."""

import asyncio
import json
import os
import random
import resource
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from headgate.ledger.entries import HoldState
from headgate.records import Ending, Record
from headgate.stores.sqlite import SqliteStore
from headgate.testing.faults import (
    Corrupt,
    Cut,
    Delay,
    Fault,
    Faults,
    HalfClose,
    Reset,
    Stall,
    Trickle,
)
from headgate.testing.proxy import Proxy, proxying
from tests.e2e.books import MODEL, Book, GatewayProcess, audited, config, fill, key_text, price
from tests.faults.samples import Sample, looked_at

CREDIT_NANOS = 10**15
CHUNKS = 40
KEYS = 16


@dataclass(frozen=True)
class Plan:
    """How much, and how long."""

    seconds: float
    streams: int
    """At once. Every tenth misbehaves, all the time."""
    stream_seconds: float
    """How long one takes where nothing goes wrong."""
    seed: int = 0

    @property
    def silence_seconds(self) -> float:
        """That the gateway waits for anybody: no less than a machine that is busy makes the sound ones wait."""
        return max(5.0, self.stream_seconds)


@dataclass
class Heard:
    """What the clients got, by the number of the request."""

    whole: set[int] = field(default_factory=set)
    sent: set[int] = field(default_factory=set)
    """Requests that were sent at all."""
    misbehaved: set[int] = field(default_factory=set)
    broken: dict[int, str] = field(default_factory=dict)
    """What came of those that were to behave and did not come whole."""


ENDS: list[Callable[[int], Fault]] = [Cut, Reset, HalfClose, Stall]
REST: list[Callable[[int], Fault]] = [Corrupt, lambda at: Delay(at, 0.5), lambda at: Trickle(at, 1)]


def misfortune(chance: random.Random) -> Faults:
    """What happens to one connection; a request is never changed, for the provider is to tell who asked."""
    if chance.random() < 0.2:
        return Faults(up=(chance.choice(ENDS)(chance.randrange(900)),))
    return Faults(down=(chance.choice(ENDS + REST)(chance.randrange(6_000)),))


class Soaked(GatewayProcess):
    """`headgate serve` with a second provider behind a failing proxy, telling how many tasks it has."""

    def __init__(self, folder: Path, plan: Plan, sound: str, flaky: str, database: Path) -> None:
        super().__init__(folder, sound, str(database))
        text = config(sound, str(database), port=self.port)
        names = ("first_byte", "idle", "client_head", "client_body", "client_idle")
        limits = "\n".join(["[limits]", *(f"{name}_seconds = {plan.silence_seconds}" for name in names), ""])
        more = f'[providers.flaky]\nkind = "openai"\nbase_url = "{flaky}/v1"\napi_key = "its-own-key"\n'
        quiet = '[log]\nlevel = "error"\n'
        self._config.write_text(text.replace("[limits]\n", limits) + more + quiet)
        self._tasks = folder / "tasks"

    @property
    def arguments(self) -> list[str]:
        return ["-m", "tests.faults.soak_serve", "serve", "--config", str(self._config)]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HEADGATE_TASKS": str(self._tasks)}

    def tasks(self) -> int:
        """As it last wrote them down; -1 before it has."""
        text = self._tasks.read_text() if self._tasks.exists() else ""
        return int(text) if text else -1


class Scene:
    """A gateway under load."""

    def __init__(self, plan: Plan, gateway: Soaked, client_side: Proxy, store: SqliteStore) -> None:
        self.plan = plan
        self.gateway = gateway
        self.heard = Heard()
        self.samples: list[Sample] = []
        self.over = 0
        self.client_side = client_side
        self._store = store
        self._numbers = iter(range(1 << 60))
        self._began = time.monotonic()
        self._running: dict[int, None] = {}
        self._ended: deque[tuple[float, int]] = deque(maxlen=10_000)

    async def run(self) -> None:
        """All streams, for the time of the plan; then those that run come to their end."""
        slots = [asyncio.create_task(self._slot(slot)) for slot in range(self.plan.streams)]
        beside = [asyncio.create_task(self._sample()), asyncio.create_task(self._look_out())]
        await asyncio.gather(*slots)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    async def sample(self) -> Sample:
        """How things stand."""
        resident, files, sockets = looked_at(self.gateway.pid)
        holds = len(await self._store.open_holds())
        return Sample(self.seconds, resident, files, sockets, self.gateway.tasks(), holds, self.over)

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(max(0.2, self.plan.seconds / 240))
            if self.seconds <= self.plan.seconds:
                self.samples.append(await self.sample())

    async def _look_out(self) -> None:
        """A machine that stood still for so long that limits may have passed: what ran then is not held to be sound."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.25)
            stood_still = time.monotonic() - before - 0.25
            if stood_still > self.plan.silence_seconds / 4:
                print(f"the machine stood still for {stood_still:.0f} s")  # noqa: T201 - whoever runs it wonders
                recent = [number for ended, number in self._ended if ended > before]
                self.heard.misbehaved.update(self._running, recent)

    async def _slot(self, slot: int) -> None:
        """One stream after the other."""
        chance = random.Random(f"{self.plan.seed} {slot}")
        await asyncio.sleep(chance.uniform(0, self.plan.stream_seconds))
        while self.seconds < self.plan.seconds:
            number = next(self._numbers)
            own_fault = slot % 20 == 0
            provider = "flaky/" if slot % 20 == 10 else ""
            if own_fault or provider:
                self.heard.misbehaved.add(number)
            port = self.client_side.port if own_fault else self.gateway.port
            self._running[number] = None
            await self._ask(port, number, provider, leaves=own_fault and chance.random() < 0.2)
            del self._running[number]
            self._ended.append((time.monotonic(), number))
            self.over += 1

    async def _ask(self, port: int, number: int, provider: str, *, leaves: bool) -> None:
        """One request on a connection of its own."""
        body = json.dumps({
            "model": provider + MODEL, "stream": number % 8 != 5, "max_tokens": 2 * CHUNKS,
            "messages": [{"role": "user", "content": "hi " * 100}],
        }).encode()  # fmt: skip
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n"
            f"authorization: Bearer {key_text(number % KEYS)}\r\nx-number: {number}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        got, began, fault = b"", time.monotonic(), ""
        try:
            async with asyncio.timeout(2 * (self.plan.stream_seconds + self.plan.silence_seconds)):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    self.heard.sent.add(number)
                    writer.write(head.encode() + body)
                    while piece := await reader.read(65536):
                        got += piece
                        if leaves and len(got) > 1000:
                            writer.transport.abort()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            fault = repr(error)
        if b"data: [DONE]" in got or b'"finish_reason": "stop"}]' in got:
            self.heard.whole.add(number)
        elif number not in self.heard.misbehaved:
            self.heard.broken[number] = f"after {time.monotonic() - began:.1f} s {fault} ...{got[-300:]!r}"


@dataclass
class Provider:
    """A scripted provider in a process of its own."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def stop(self) -> dict[int, int]:
        """Stop it; returns how often each number was asked for."""
        self.process.send_signal(signal.SIGTERM)
        await self.process.wait()
        return {int(number): times for number, times in json.loads(self.log.read_text()).items()}


async def provider(folder: Path, name: str, plan: Plan) -> Provider:
    """Start one."""
    log = folder / f"{name}.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.soak_upstream", "--chunks", str(CHUNKS),
        "--pause", str(plan.stream_seconds / CHUNKS), "--log", str(log), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return Provider(process, int(await process.stdout.readline()), log)


@asynccontextmanager
async def soaking(plan: Plan, folder: Path) -> AsyncIterator[tuple[Scene, list[Provider]]]:
    """Everything started: client - (proxy) - gateway - (proxy) - provider, and an account."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each stream takes four; the processes inherit it
    database = folder / "books.db"
    sound, flaky = await provider(folder, "sound", plan), await provider(folder, "flaky", plan)
    client_side = Proxy(lambda number: misfortune(random.Random(f"{plan.seed} client {number}")))
    provider_side = Proxy(lambda number: misfortune(random.Random(f"{plan.seed} provider {number}")))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(proxying(provider_side, flaky.port))
        urls = [f"http://127.0.0.1:{port}" for port in (sound.port, provider_side.port)]
        gateway = Soaked(folder, plan, urls[0], urls[1], database)
        store = SqliteStore(database)
        stack.push_async_callback(store.aclose)
        await fill(store, credit_nanos=CREDIT_NANOS, keys=range(KEYS))
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        while gateway.tasks() < 0:
            await asyncio.sleep(0.1)
        await stack.enter_async_context(proxying(client_side, gateway.port))
        yield Scene(plan, gateway, client_side, store), [sound, flaky]


def agrees(heard: Heard, asked: Mapping[int, int], books: Mapping[str, list[Book]]) -> Counter[str]:
    """Hold the books against what clients and providers saw; returns how many exchanges ended in which way.

    What came whole is paid for exactly, once; what did not, at most with its hold; what no provider saw, not at all.
    """
    every = [book for own in books.values() for book in own]
    kinds: Counter[str] = Counter()
    whole: dict[int, Book] = {}
    for book in every:
        record = book.record
        assert record is not None
        assert book.hold.state is not HoldState.OPEN
        assert (record.bill.charge_nanos or 0) == book.captured, book
        kinds[str(record.ending)] += 1
        number = _number(record)
        if record.ending is Ending.COMPLETE and number is not None and number not in heard.misbehaved:
            assert number not in whole, f"{number} has two records"
            whole[number] = book
            assert book.captured == price(CHUNKS), book
        assert 0 <= book.captured <= book.hold.amount_nanos or number is None or number in heard.misbehaved, book
        if record.ending in (Ending.NEVER_SENT, Ending.REFUSED):
            assert book.captured == 0, book
    assert all(times == 1 for times in asked.values()), "a request was sent to a provider twice"
    sent = [book for book in every if book.record is not None and book.record.ending is not Ending.NEVER_SENT]
    assert len(sent) >= len(asked), "a provider saw more than there are records of"
    behaved = heard.sent - heard.misbehaved
    lost = [f"{number} {heard.broken.get(number, '')}" for number in sorted(behaved - heard.whole)]
    assert not lost, f"{len(lost)} of the well-behaved did not come whole, such as {lost[:5]}"
    assert behaved <= whole.keys(), f"{len(behaved - whole.keys())} of the well-behaved are not on record"
    return kinds


def _number(record: Record) -> int | None:
    """Of the request that an answer was for; None where that much of it did not come, or it was changed on the way."""
    name = record.reading.response_id or ""
    return int(name[1:]) if name[:1] == "c" and name[1:].isdigit() else None


async def audit(database: Path) -> dict[str, list[Book]]:
    """Every hold's book; raises AssertionError where the books do not balance."""
    store = SqliteStore(database)
    try:
        return await audited(store)
    finally:
        await store.aclose()
