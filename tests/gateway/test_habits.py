import pytest

from headgate.errors import UpstreamCut
from headgate.gateway.habits import Habits, Peeked
from headgate.gateway.upstream import CallAborted, Head

from .fakes import HANG, JSON, FakeCall, Step

NAMING = b'{"error":{"message":"Unknown parameter: \'stream_options\'."}}'


def refusal(*steps: Step | str) -> FakeCall:
    return FakeCall(Head(400, JSON), steps)


async def read_on(call: Peeked) -> list[bytes]:
    chunks = []
    while chunk := await call.read():
        chunks.append(chunk)
    return chunks


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        ((NAMING,), True),
        ((NAMING[:30], NAMING[30:35], NAMING[35:]), True),
        ((b'{"error":{"message":"Unknown parameter: \'stream\'."}}',), False),
        ((b" " * 65_536, NAMING), False),
        ((b" " * 40_000, b" " * 40_000, NAMING), False),
        ((), False),
    ],
    ids=["whole", "split", "another", "beyond-the-bound", "beyond-the-bound-in-steps", "empty"],
)
async def test_a_refusal_is_looked_into_and_lost_is_nothing(steps: tuple[bytes, ...], names: bool) -> None:
    call = Peeked(refusal(*steps))
    assert (await call.head()).status == 400
    assert await call.names_option() is names
    assert await read_on(call) == list(steps)
    assert await call.read() == b""


async def test_what_breaks_off_breaks_off_again_for_the_reader() -> None:
    call = Peeked(refusal(b"{", UpstreamCut("lost")))
    assert not await call.names_option()
    assert await call.read() == b"{"
    for _ in range(2):
        with pytest.raises(UpstreamCut):
            await call.read()


async def test_what_is_aborted_says_so_to_the_reader() -> None:
    inner = refusal(NAMING)
    call = Peeked(inner)
    inner.steps = [NAMING, call.abort, HANG]
    assert call.sent
    assert await call.names_option()
    assert await call.read() == NAMING
    with pytest.raises(CallAborted):
        await call.read()


def test_each_deployment_has_habits_of_its_own() -> None:
    habits = Habits()
    habits.note_refusal("resold")
    assert (habits.takes_option("resold"), habits.takes_option("openai")) == (False, True)
