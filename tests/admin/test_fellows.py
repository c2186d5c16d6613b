"""What is under way in all processes on a port, and what ended, as one of them shows it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from headgate.admin.fellows import Fellows
from headgate.admin.onlookers import Onlookers
from headgate.admin.snapshot import Snapshots
from headgate.dialects.base import Ask
from headgate.gateway.admit import Admission
from headgate.gateway.holder import NOBODY
from headgate.gateway.live import Live, Running
from headgate.gateway.locate import Place
from headgate.gateway.request import Opening
from headgate.routing.models import Route
from tests.admin.serving import NOON_NS, Clock
from tests.admin.test_onlookers import told
from tests.gateway.fakes import deployment, post, stage
from tests.stores.examples import a_record


class Port:
    """The processes that share it, which ask each other in memory."""

    def __init__(self) -> None:
        self.answers: dict[int, Callable[[str], Awaitable[bytes]]] = {}


class Company:
    def __init__(self, port: Port, number: int) -> None:
        self._port = port
        self.number = number

    def answer(self, question: str, answer: Callable[[str], Awaitable[bytes]]) -> None:
        assert question == "live"
        self._port.answers[self.number] = answer

    async def ask(self, question: str, detail: str = "") -> list[bytes]:
        assert question == "live"
        return [await answer(detail) for number, answer in self._port.answers.items() if number != self.number]


class Process:
    def __init__(self, port: Port, number: int, clock: Clock) -> None:
        self.live = Live()
        snapshots = Snapshots(self.live, f"node-{number}", clock)
        self.fellows = Fellows(Company(port, number), snapshots)
        self.onlookers = Onlookers(self.fellows.watch, clock, second=0.01)
        self.fellows.show(self.onlookers)

    def run(self, exchange_id: str, started_at_ns: int) -> None:
        opening = Opening(exchange_id, started_at_ns, 0, lambda: 5_000_000)
        admission = Admission(post("/x", b""), Place("/x"), Ask(), NOBODY)
        self.live.add(Running(opening, admission, Route(deployment("openai"), "m"), None, stage().gateway.appraiser))


@pytest.fixture
async def three() -> AsyncIterator[list[Process]]:
    port, clock = Port(), Clock()
    made = [Process(port, number, clock) for number in (1, 2, 3)]
    yield made
    for process in made:
        process.onlookers.close()


async def test_all_that_is_under_way_is_shown_the_newest_first_whoever_is_asked(three: list[Process]) -> None:
    for n, process in enumerate(three):
        process.run(f"ex_{n}", NOON_NS + n)
        process.run(f"ex_{n + 10}", NOON_NS + n * 10**6 + 10**9)
    for n, process in enumerate(three, start=1):
        view = await process.fellows.take()
        assert (view.running, view.node) == (6, f"node-{n}")
        assert [e.exchange_id for e in view.exchanges[:3]] == ["ex_12", "ex_11", "ex_10"]
        assert len(view.exchanges) == 6


async def test_what_ends_anywhere_is_told_once_to_whoever_looks_on_here(three: list[Process]) -> None:
    here, there, _ = three
    onlooker = here.onlookers.join()
    found: list[str] = []

    async def listen() -> None:
        async for chunk in onlooker:
            found.extend(data["exchange_id"] for event, data in told(chunk) if event == "ended")

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.05)
    for process, name in ((there, "ex_there"), (here, "ex_here")):
        process.onlookers.saw(a_record(name))
    await asyncio.sleep(0.1)
    onlooker.close()
    await listening
    assert sorted(found) == ["ex_here", "ex_there"]


async def test_who_is_not_asked_gathers_nothing_and_who_was_gathers_so_much(three: list[Process]) -> None:
    here, there, _ = three
    await here.fellows.take()
    there.onlookers.saw(a_record("ex_1"))
    assert there.onlookers.gathered("1") == ([], 0)
    for n in range(60):
        there.onlookers.saw(a_record(f"ex_{n}"))
    ended, skipped = there.onlookers.gathered("1")
    assert (len(ended), skipped) == (50, 10)
    assert json.loads(ended[0])["exchange_id"] == "ex_0"


async def test_one_that_asks_no_more_is_forgotten(three: list[Process]) -> None:
    there = three[1]
    there.onlookers._clock_ns = lambda: NOON_NS
    there.onlookers.gathered("1")
    there.onlookers._clock_ns = lambda: NOON_NS + 6 * 10**9
    there.onlookers.saw(a_record("ex_1"))
    assert not there.onlookers._elsewhere


async def test_an_answer_of_another_version_is_passed_over(three: list[Process]) -> None:
    here, there, _ = three
    here.run("ex_1", NOON_NS)

    async def odd(_: str) -> bytes:
        return b'{"view": 3}'

    there.fellows._company.answer("live", odd)
    assert (await here.fellows.take()).running == 1
