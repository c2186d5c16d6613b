import asyncio

import pytest

from headgate.errors import UpstreamCut
from headgate.gateway.keepalive import KeepAlive
from headgate.gateway.upstream import CallAborted, Head, Sink

from .fakes import FakeCall, FakeClient

OFTEN = KeepAlive(b".", 0.01)


def refuses(chunk: bytes) -> bool:
    del chunk
    return False


class SlowCall(FakeCall):
    """Its next chunk comes when it is let go."""

    def __init__(self, *steps: bytes | Exception) -> None:
        super().__init__(Head(200, ()), steps)
        self.go = asyncio.Event()
        self.reads = 0

    async def read(self, sink: Sink | None = None) -> bytes:
        self.reads += 1
        await self.go.wait()
        return await super().read(sink)


async def started() -> FakeClient:
    client = FakeClient()
    await client.start(200, ())
    return client


async def until(client: FakeClient, signs: int) -> None:
    while len(client.chunks) < signs:
        await asyncio.sleep(0.005)


async def test_signs_are_sent_until_the_chunk_comes_and_the_read_is_one() -> None:
    client, call = await started(), SlowCall(b"chunk")
    reading = asyncio.create_task(OFTEN.read(call, client, lambda: True, refuses))
    await until(client, 3)
    call.go.set()
    assert await reading == b"chunk"
    assert set(client.chunks) == {b"."}
    assert call.reads == 1


async def test_what_a_sink_takes_ends_a_silence() -> None:
    client = await started()
    signs: list[int] = []

    class Spoken(FakeCall):
        async def read(self, sink: Sink | None = None) -> bytes:
            assert sink is not None
            for _ in range(4):
                await asyncio.sleep(0.2)
                assert sink(b"x")
                signs.append(len(client.chunks))
            await until(client, 1)
            return b"end"

    call = Spoken(Head(200, ()))
    assert await KeepAlive(b".", 0.6).read(call, client, lambda: True, lambda _: True) == b"end"
    assert signs == [0] * 4, "no silence was long enough, though all of them together were"


async def test_a_chunk_that_is_there_is_given_at_once() -> None:
    client, call = await started(), SlowCall(b"chunk")
    call.go.set()
    assert await OFTEN.read(call, client, lambda: True, refuses) == b"chunk"
    assert client.chunks == []


@pytest.mark.parametrize("failure", [UpstreamCut("x"), CallAborted()])
async def test_what_the_read_raises_is_raised(failure: Exception) -> None:
    client, call = await started(), SlowCall(failure)
    reading = asyncio.create_task(OFTEN.read(call, client, lambda: True, refuses))
    await until(client, 1)
    call.go.set()
    with pytest.raises(type(failure)):
        await reading


@pytest.mark.parametrize("state", ["not started", "gone", "inside a frame"])
async def test_when_nothing_is_sent(state: str) -> None:
    client, call = FakeClient(), SlowCall(b"chunk")
    if state != "not started":
        await client.start(200, ())
    client.gone = state == "gone"
    reading = asyncio.create_task(OFTEN.read(call, client, lambda: state != "inside a frame", refuses))
    await asyncio.sleep(0.1)
    call.go.set()
    assert await reading == b"chunk"
    assert client.chunks == []


async def test_who_stops_waiting_leaves_no_read_behind() -> None:
    client, call = await started(), SlowCall(b"chunk")
    before = asyncio.all_tasks()
    reading = asyncio.create_task(OFTEN.read(call, client, lambda: True, refuses))
    await until(client, 1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
