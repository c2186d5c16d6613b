import itertools

from headgate.dialects import registry
from headgate.dialects.base import Answer, Meter
from headgate.errors import UpstreamCut
from headgate.gateway.relay import Patience, Relayed, Watch, relay

from .fakes import DONE, FINISH, FIRST, HANG, USAGE, FakeCall, FakeClient, ok

CHAT = registry.by_name("openai.chat")


async def run(
    call: FakeCall, client: FakeClient, *, strip: bool = False, drain: int = 1 << 20, linger: float = 60.0
) -> Relayed:
    meter = Meter(CHAT.tally(), Answer(200, "text/event-stream"))
    ticks = itertools.count(1)
    frame_filter = CHAT.usage_frame_filter() if strip else None
    return await relay(call, client, Watch(meter, frame_filter), lambda: next(ticks), Patience(drain, linger))


async def test_chunks_go_on_as_they_came() -> None:
    client = FakeClient()
    chunks = [FIRST[:7], FIRST[7:], FINISH + USAGE, DONE]
    relayed = await run(ok(*chunks), client)
    assert client.chunks == chunks, "not merged, not cut"
    assert relayed == Relayed(sum(map(len, chunks)), len(client.body), 1, ended=True)


async def test_the_answer_is_not_ended_here() -> None:
    client = FakeClient()
    await run(ok(DONE), client)
    assert not client.ended


async def test_an_empty_body() -> None:
    assert await run(ok(), FakeClient()) == Relayed(0, 0, None, ended=True)


async def test_a_frame_of_ours_is_taken_out() -> None:
    client = FakeClient()
    relayed = await run(ok(FIRST + FINISH, USAGE[:9], USAGE[9:] + DONE), client, strip=True)
    assert client.body == FIRST + FINISH + DONE
    assert relayed.bytes_in == len(FIRST + FINISH + USAGE + DONE)
    assert relayed.bytes_out == len(client.body)


async def test_what_was_held_back_is_passed_when_the_upstream_fails() -> None:
    client = FakeClient()
    relayed = await run(ok(FIRST, FINISH[:9], UpstreamCut("lost")), client, strip=True)
    assert client.body == FIRST + FINISH[:9]
    assert relayed.error is not None
    assert not relayed.between_frames


async def test_between_frames() -> None:
    cut = UpstreamCut("lost")
    for chunks, expected in (
        ([], True), ([FIRST], True), ([FIRST[:-1], b"\n"], True), ([FIRST[:-1]], False), ([b"a\r\n\r", b"\n"], True),
        ([b"data: x\r\r"], True), ([b"a"], False),
    ):  # fmt: skip
        relayed = await run(ok(*chunks, cut), FakeClient())
        assert relayed.between_frames is expected, chunks
        assert relayed.error is cut


async def test_a_client_that_left_is_not_written_to() -> None:
    client = FakeClient()
    relayed = await run(ok(FIRST, client.leave, FINISH, DONE), client)
    assert client.chunks == [FIRST]
    assert relayed.left
    assert relayed.ended, "this call was not aborted, so it was read on"
    assert relayed.bytes_in == len(FIRST + FINISH + DONE)


async def test_reading_on_has_a_bound() -> None:
    client = FakeClient()
    relayed = await run(ok(FIRST, client.leave, FINISH, FINISH, HANG), client, drain=len(FINISH))
    assert (relayed.left, relayed.ended) == (True, False)


async def test_an_aborted_call() -> None:
    client = FakeClient()
    call = ok(FIRST)
    call.steps = [FIRST, client.leave, call.abort, HANG]
    relayed = await run(call, client)
    assert (relayed.left, relayed.ended, relayed.error) == (True, False, None)


async def test_an_upstream_that_stays_after_the_end() -> None:
    call = ok(DONE, HANG)
    relayed = await run(call, FakeClient(), linger=0.0)
    assert (call.aborted, relayed.left, relayed.error) == (True, False, None)
