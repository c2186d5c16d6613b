"""What would be known of a stream if the process died in the middle of it."""

import pytest

from headgate.dialects.base import Ask
from headgate.gateway.admit import Admission
from headgate.gateway.checkpoint import Checkpoints
from headgate.gateway.hold import Held
from headgate.gateway.holder import NOBODY
from headgate.gateway.live import Running
from headgate.gateway.locate import Place
from headgate.gateway.request import Opening
from headgate.ledger.entries import Hold, HoldState
from headgate.records import Ending
from headgate.routing.models import Route
from headgate.usage import Reading
from tests.stores.examples import a_record

from .fakes import (
    BEARER,
    CHAT,
    DONE,
    FINISH,
    FIRST,
    IN,
    JSON,
    OUT,
    USAGE,
    FakeCall,
    FakeClient,
    Stage,
    Step,
    deployment,
    ok,
    post,
    stage,
)

CAPPED = CHAT[:-1] + b',"max_tokens":4}'
PROMPT = -(-len(CAPPED) // 4)


class Observed:
    """A stage whose books are looked at between the chunks."""

    def __init__(self, *steps: Step | str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        call = ok(*steps) if headers is None else ok(*steps, headers=headers)
        self.scene = stage(call)
        gateway = self.scene.gateway
        self.checkpoints = Checkpoints(self.scene.store, gateway.live)
        self.noted: list[int] = []
        self.holds: list[Hold] = []

    def look(self) -> None:
        """Note what there is, and keep how the hold stands then."""
        self.noted.append(sum(self.checkpoints.notes()))
        self.holds += self.scene.store._books.holds.values()

    async def play(self, body: bytes = CAPPED) -> Stage:
        await self.scene.with_key()
        await self.scene.play(post("/v1/chat/completions", body, BEARER), FakeClient())
        return self.scene


def watched(*chunks: bytes) -> Observed:
    """One look before the first chunk's successor, and after each."""
    steps: list[Step | str] = []
    observed = Observed()
    for chunk in chunks:
        steps += [chunk, observed.look]
    observed.scene.upstream.calls[0].steps = steps
    return observed


async def test_what_is_noted_grows_with_what_was_delivered_and_stays_below_the_hold() -> None:
    long = FIRST.replace(b"Hello", b"Hello" * 500)
    observed = watched(*[FIRST] * 9, long, DONE)
    await observed.play()
    amounts = [hold.checkpoint_nanos or 0 for hold in observed.holds]
    assert amounts[:3] == [PROMPT * IN + n * OUT for n in (2, 3, 4)], "five bytes each, at four a token"
    assert amounts == sorted(amounts)
    assert max(amounts) == observed.holds[0].amount_nanos > amounts[0], "never more than was set aside"
    assert [hold.checkpoint_quantity for hold in observed.holds[:3]] == [PROMPT + 2, PROMPT + 3, PROMPT + 4]
    assert all(hold.sent and hold.state is HoldState.OPEN for hold in observed.holds)


async def test_what_the_provider_reports_on_the_way_is_noted() -> None:
    usage = FIRST.replace(b'"usage":null', b'"usage":{"prompt_tokens":8,"completion_tokens":2}')
    observed = watched(usage, DONE)
    await observed.play()
    assert observed.holds[0].checkpoint_nanos == 8 * IN + 2 * OUT


async def test_only_what_has_moved_on_is_noted_again() -> None:
    observed = Observed()
    observed.scene.upstream.calls[0].steps = [FIRST, observed.look, observed.look, FIRST, observed.look, DONE]
    await observed.play()
    assert observed.noted == [1, 0, 1]


async def test_a_settled_exchange_is_noted_no_more() -> None:
    observed = watched(FIRST, FINISH, USAGE, DONE)
    scene = await observed.play()
    assert sum(observed.checkpoints.notes()) == 0
    hold = await scene.store.hold("ex_1")
    assert hold is not None
    assert (hold.state, hold.resolved_nanos) == (HoldState.CAPTURED, 8 * IN + 2 * OUT)


def test_what_ends_between_two_steps_is_not_looked_at() -> None:
    scene, looked = stage(), list[str]()
    live = scene.gateway.live

    class Meter:
        def __init__(self, name: str) -> None:
            self.name = name

        def so_far(self) -> Reading:
            looked.append(self.name)
            return Reading()

    for name in ("one", "other"):
        admission = Admission(post("/x", b""), Place("/x"), Ask(), NOBODY)
        opening, held = Opening(name, 0, 0, lambda: 0), Held(name, "acme", 1, sent=True)
        route, appraiser = Route(deployment("openai"), None), scene.gateway.appraiser
        live.add(Running(opening, admission, route, held, appraiser, Meter(name), delivered=0))
    steps = Checkpoints(scene.store, live).notes()
    assert next(steps) is False
    live.close(a_record("other"))
    assert list(steps) == [False]
    assert looked == ["one"]


@pytest.mark.parametrize("paid", [True, False])
async def test_nothing_is_noted_without_a_hold_or_before_the_answers_head(paid: bool) -> None:
    scene = stage()
    gateway, noted = scene.gateway, list[int]()
    checkpoints = Checkpoints(scene.store, gateway.live)

    class Thinking(FakeCall):
        async def head(self) -> object:  # type: ignore[override]
            noted.append(sum(checkpoints.notes()))
            return await super().head()

    call = Thinking(
        ok().answer, [FIRST, DONE] if paid else [FIRST, lambda: noted.append(sum(checkpoints.notes())), DONE]
    )
    scene.upstream.calls.append(call)
    if paid:
        await scene.with_key()
    record = await scene.play(post("/v1/chat/completions", CAPPED, *([BEARER] if paid else [])), FakeClient())
    assert record.ending is Ending.COMPLETE
    assert noted == ([0] if paid else [0, 0])


async def test_a_document_is_noted_once_for_its_prompt() -> None:
    body = CAPPED.replace(b'"stream":true,', b"")
    observed = Observed(headers=JSON)
    steps: list[Step | str] = [b'{"id":"c1",', observed.look, b'"choices":[]}', observed.look]
    observed.scene.upstream.calls[0].steps = steps
    await observed.play(body)
    assert observed.noted == [1, 0]
    assert observed.holds[0].checkpoint_nanos == -(-len(body) // 4) * IN
