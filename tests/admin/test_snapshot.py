"""Snapshots of exchanges under way, between the chunks of a scripted answer, held against what settles them."""

import asyncio

import pytest

from headgate.admin import snapshot
from headgate.admin.snapshot import SHOWN, ExchangeView, LiveView, Phase, Snapshots
from headgate.dialects.base import Ask
from headgate.gateway.admit import Admission
from headgate.gateway.holder import NOBODY
from headgate.gateway.live import Live, Running
from headgate.gateway.locate import Place
from headgate.gateway.request import Opening, Request
from headgate.records import Ending, Record
from headgate.routing.models import Route
from headgate.usage import Reading
from tests.admin.serving import NOON_NS, Clock
from tests.gateway.fakes import (
    BEARER,
    CHAT,
    DONE,
    FINISH,
    FIRST,
    IN,
    OUT,
    USAGE,
    FakeClient,
    Stage,
    Step,
    deployment,
    ok,
    post,
    stage,
)  # fmt: skip
from tests.stores.examples import a_record

PROMPT = -(-len(CHAT) // 4)


class Watched:
    """A stage that is looked at between the chunks."""

    def __init__(self, *chunks: bytes | str) -> None:
        self.scene: Stage = stage(ok())
        gateway = self.scene.gateway
        self.snapshots = Snapshots(gateway.live, "node-1", Clock())
        self.seen: list[LiveView] = []
        steps: list[Step | str] = [self.look]
        for chunk in chunks:
            steps += [chunk, self.look]
        self.scene.upstream.calls[0].steps = steps

    def look(self) -> None:
        """Take one now: there are too few exchanges for a rest, so it is made in one go."""
        taking = self.snapshots.take()
        with pytest.raises(StopIteration) as done:
            taking.send(None)
        self.seen.append(done.value.value)

    async def play(self, request: Request) -> Record:
        return await self.scene.play(request, FakeClient())

    @property
    def ones(self) -> list[ExchangeView]:
        assert [view.running for view in self.seen] == [1] * len(self.seen)
        return [view.exchanges[0] for view in self.seen]


async def test_what_is_spent_rises_until_it_is_what_the_record_says() -> None:
    long = FIRST.replace(b"Hello", b"Hello" * 8)
    watched = Watched(FIRST, long, FINISH, USAGE, DONE)
    await watched.scene.with_key()
    record = await watched.play(post("/v1/chat/completions", CHAT, BEARER))
    waiting, one, more, _, last, _ = watched.ones
    assert (waiting.phase, waiting.output_tokens, waiting.delivered_bytes) == (Phase.WAITING, None, 0)
    assert waiting.spent_nanos == PROMPT * IN, "if it broke off now, its prompt would be charged"
    assert [(v.phase, v.delivered_bytes, v.output_tokens, v.estimated) for v in (one, more)] == [
        (Phase.STREAMING, 5, 2, True),
        (Phase.STREAMING, 45, 12, True),
    ]
    assert [v.spent_nanos for v in (one, more)] == [PROMPT * IN + 2 * OUT, PROMPT * IN + 12 * OUT]
    assert record.ending is Ending.COMPLETE
    usage = record.reading.usage
    assert (last.input_tokens, last.output_tokens, last.estimated) == (usage.input_tokens, usage.output_tokens, False)
    assert last.spent_nanos == record.bill.charge_nanos
    assert {v.hold_nanos for v in watched.ones} == {record.bill.hold_nanos}
    assert len(watched.scene.gateway.live) == 0


async def test_who_asks_for_what() -> None:
    watched = Watched(FIRST, FINISH, USAGE, DONE)
    await watched.scene.with_key()
    record = await watched.play(post("/v1/chat/completions", CHAT, BEARER))
    view = watched.ones[0]
    assert (view.exchange_id, view.key, view.key_id) == (record.exchange_id, record.key, record.key_id)
    assert (view.account, view.provider, view.model) == (record.bill.account, record.provider, record.model_asked)
    assert (view.dialect, view.operation, view.streamed) == (record.dialect, record.operation, record.streamed)
    assert (view.hold_usd, view.spent_usd) != (None, None)


async def test_without_an_account_it_is_the_cost_that_is_shown() -> None:
    watched = Watched(FIRST, FINISH, USAGE, DONE)
    record = await watched.play(post("/v1/chat/completions", CHAT))
    last = watched.ones[-1]
    assert (last.hold_nanos, last.hold_usd) == (None, None)
    assert last.spent_nanos == record.bill.cost_nanos
    assert last.account is None


async def test_of_what_is_not_metered_nothing_is_claimed() -> None:
    watched = Watched(b"bytes", b"more")
    await watched.play(Request("GET", "/p/openai/v1/nobody/knows/this", b"", [], b""))
    for view in watched.ones:
        assert (view.input_tokens, view.output_tokens, view.spent_nanos, view.spent_usd) == (None, None, None, None)
    assert watched.ones[-1].phase is Phase.STREAMING


def idle(live: Live, count: int) -> None:
    for n in range(count):
        admission = Admission(post("/x", b""), Place("/x"), Ask(), NOBODY)
        opening = Opening(f"ex_{n}", NOON_NS, 0, lambda: 5_000_000)
        live.add(Running(opening, admission, Route(deployment("openai"), "m"), None, stage().gateway.appraiser))


def snapshots(live: Live) -> Snapshots:
    return Snapshots(live, "node-1", Clock())


async def test_the_newest_are_shown_and_all_are_counted() -> None:
    live = Live()
    idle(live, SHOWN + 50)
    view = await snapshots(live).take()
    assert view.running == SHOWN + 50
    assert [each.exchange_id for each in view.exchanges] == [f"ex_{n}" for n in range(SHOWN + 49, 49, -1)]
    assert view.exchanges[0].elapsed_ms == 5


async def test_others_have_their_turn_while_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    live = Live()
    idle(live, SHOWN)
    looked: list[str] = []
    real = Snapshots._view

    def counting(self: Snapshots, running: Running) -> ExchangeView:
        looked.append(running.opening.exchange_id)
        return real(self, running)

    monkeypatch.setattr(Snapshots, "_view", counting)
    taking = asyncio.create_task(snapshots(live).take())
    at_once = []
    while not taking.done():
        before = len(looked)
        await asyncio.sleep(0)
        at_once.append(len(looked) - before)
    assert sum(at_once) == SHOWN
    assert max(at_once) <= snapshot._SLICE


async def test_what_ends_meanwhile_is_not_shown_any_more() -> None:
    live = Live()
    idle(live, SHOWN)
    taking = asyncio.create_task(snapshots(live).take())
    await asyncio.sleep(0)
    live.close(a_record(f"ex_{SHOWN - 1}"))  # looked at already
    live.close(a_record("ex_0"))  # not yet
    shown = {each.exchange_id for each in (await taking).exchanges}
    assert shown == {f"ex_{n}" for n in range(1, SHOWN - 1)}


async def test_a_meter_that_knows_nothing_yet_is_waited_for() -> None:
    class Silent:
        def so_far(self) -> Reading:
            return Reading()

    live = Live()
    idle(live, 1)
    next(iter(live)).meter = Silent()
    view = (await snapshots(live).take()).exchanges[0]
    assert (view.phase, view.estimated) == (Phase.WAITING, True)
