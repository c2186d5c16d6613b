import itertools

import pytest

from headgate.dialects import registry
from headgate.dialects.base import Answer, Meter
from headgate.errors import UpstreamCut
from headgate.gateway.relay import Patience, Relayed, Watch, relay

from .fakes import DONE, FINISH, FIRST, HANG, USAGE, FakeCall, FakeClient, ok

CHAT = registry.by_name("openai.chat")


@pytest.fixture(params=[True, False], ids=["at once", "with waits"])
def client(request: pytest.FixtureRequest) -> FakeClient:
    """Whether the client takes chunks as they are put or waits with each makes no difference to anyone."""
    return FakeClient(status=200, keeps_up=request.param)


async def run(
    call: FakeCall, client: FakeClient, *, strip: bool = False, drain: int = 1 << 20, linger: float = 60.0
) -> Relayed:
    meter = Meter(CHAT.tally(), Answer(200, "text/event-stream"))
    ticks = itertools.count(1)
    frame_filter = CHAT.usage_frame_filter() if strip else None
    return await relay(call, client, Watch(meter, frame_filter), lambda: next(ticks), Patience(drain, linger))


async def test_chunks_go_on_as_they_came(client: FakeClient) -> None:
    chunks = [FIRST[:7], FIRST[7:], FINISH + USAGE, DONE]
    relayed = await run(ok(*chunks), client)
    assert client.chunks == chunks, "not merged, not cut"
    assert relayed == Relayed(sum(map(len, chunks)), len(client.body), 1, ended=True)


async def test_the_answer_is_not_ended_here(client: FakeClient) -> None:
    await run(ok(DONE), client)
    assert not client.ended


async def test_an_empty_body(client: FakeClient) -> None:
    assert await run(ok(), client) == Relayed(0, 0, None, ended=True)


async def test_a_frame_of_ours_is_taken_out(client: FakeClient) -> None:
    relayed = await run(ok(FIRST + FINISH, USAGE[:9], USAGE[9:] + DONE), client, strip=True)
    assert client.body == FIRST + FINISH + DONE
    assert relayed.bytes_in == len(FIRST + FINISH + USAGE + DONE)
    assert relayed.bytes_out == len(client.body)


async def test_what_was_held_back_is_passed_when_the_upstream_fails(client: FakeClient) -> None:
    relayed = await run(ok(FIRST, FINISH[:9], UpstreamCut("lost")), client, strip=True)
    assert client.body == FIRST + FINISH[:9]
    assert relayed.error is not None
    assert not relayed.between_frames


@pytest.mark.parametrize("keeps_up", [True, False])
async def test_between_frames(keeps_up: bool) -> None:
    cut = UpstreamCut("lost")
    for chunks, expected in (
        ([], True), ([FIRST], True), ([FIRST[:-1], b"\n"], True), ([FIRST[:-1]], False), ([b"a\r\n\r", b"\n"], True),
        ([b"data: x\r\r"], True), ([b"a"], False),
    ):  # fmt: skip
        relayed = await run(ok(*chunks, cut), FakeClient(status=200, keeps_up=keeps_up))
        assert relayed.between_frames is expected, chunks
        assert relayed.error is cut


async def test_a_client_that_left_is_not_written_to(client: FakeClient) -> None:
    relayed = await run(ok(FIRST, client.leave, FINISH, DONE), client)
    assert client.chunks == [FIRST]
    assert relayed.left
    assert relayed.ended, "this call was not aborted, so it was read on"
    assert relayed.bytes_in == len(FIRST + FINISH + DONE)


async def test_reading_on_has_a_bound(client: FakeClient) -> None:
    relayed = await run(ok(FIRST, client.leave, FINISH, FINISH, HANG), client, drain=len(FINISH))
    assert (relayed.left, relayed.ended) == (True, False)


async def test_an_aborted_call(client: FakeClient) -> None:
    call = ok(FIRST)
    call.steps = [FIRST, client.leave, call.abort, HANG]
    relayed = await run(call, client)
    assert (relayed.left, relayed.ended, relayed.error) == (True, False, None)


async def test_an_upstream_that_stays_after_the_end(client: FakeClient) -> None:
    call = ok(FIRST, DONE, HANG)
    relayed = await run(call, client, linger=0.0)
    assert (call.aborted, relayed.left, relayed.error) == (True, False, None)
    assert client.body == FIRST + DONE, "and what it had is not sent again"


async def test_a_client_that_leaves_after_the_end_has_had_it_all(client: FakeClient) -> None:
    call = ok()
    call.steps = [FIRST, DONE, client.leave, call.abort, HANG]
    relayed = await run(call, client)
    assert (client.body, relayed.left, relayed.bytes_out) == (FIRST + DONE, True, len(FIRST + DONE))


class Leaving(FakeClient):
    """Is found to have left as it is written to."""

    def put(self, chunk: bytes) -> bool:
        self.leave()
        return super().put(chunk)


async def test_a_client_that_is_found_gone_is_not_written_to_again() -> None:
    client = Leaving(status=200)
    relayed = await run(ok(FIRST, FINISH, USAGE, DONE), client)
    assert client.chunks == [FIRST]
    assert (relayed.left, relayed.ended, relayed.bytes_out) == (True, True, len(FIRST))
    assert relayed.bytes_in == len(FIRST + FINISH + USAGE + DONE)


class Hesitant(FakeClient):
    """Takes at once every second chunk that it is offered."""

    offered = 0

    def put(self, chunk: bytes) -> bool:
        self.offered += 1
        return self.offered % 2 == 0 and super().put(chunk)


async def test_what_could_not_be_put_is_written_and_what_it_was_metered_for_is_metered_once() -> None:
    client = Hesitant(status=200)
    chunks = [FIRST, FIRST[:9], FIRST[9:], FINISH + USAGE[:7], USAGE[7:], DONE]
    meter, strip = Meter(CHAT.tally(), Answer(200, "text/event-stream")), CHAT.usage_frame_filter()
    relayed = await relay(ok(*chunks), client, Watch(meter, strip), lambda: 1, Patience())
    assert client.body == FIRST * 2 + FINISH + DONE
    assert client.offered
    assert (relayed.bytes_in, relayed.bytes_out) == (sum(map(len, chunks)), len(client.body))
    reading = meter.finish(ended=True)
    assert (reading.delivered_bytes, reading.usage.output_tokens) == (2 * len("Hello"), 2)
