"""Clients and upstreams that break off, by real socket resets, at every point of a stream where it matters.

Each time: exactly one record, with the right ending and basis; no upstream connection and no task is left over.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import pytest
import pytest_asyncio

from headgate.providers.base import OnClientGone
from headgate.records import Ending, Record
from headgate.testing.replay import Recording, recordings
from headgate.testing.upstream import (
    LAST_CHUNK,
    Close,
    HalfClose,
    Hang,
    Progress,
    Received,
    Reset,
    ScriptedUpstream,
    Step,
    WaitFor,
    chunk,
    head,
)
from headgate.usage import Basis, Usage
from tests.e2e.raw import RawClient
from tests.e2e.running import Running, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPORTED, PARTIAL, ESTIMATED = Basis.REPORTED, Basis.PARTIAL, Basis.ESTIMATED


class Point(Enum):
    """How far the upstream's answer has come."""

    BEFORE_HEADERS = "before the headers"
    BEFORE_BODY = "before the body"
    MID_FRAME = "in the middle of a frame"
    BEFORE_USAGE = "after the last content, before the usage"
    AFTER_USAGE = "after the usage, before the end"


@dataclass(frozen=True)
class Stream:
    """A recorded stream, and which of its frames is the first with the final usage."""

    recording: Recording
    usage_mark: bytes
    basis: dict[Point, Basis]
    """What a reading rests on that stops at the point."""

    def parts(self, point: Point) -> tuple[bytes, bytes]:
        """The body up to the point, and the rest."""
        body = self.recording.body
        usage = body.rindex(b"\n\n", 0, body.rindex(self.usage_mark)) + 2
        cut = {
            Point.BEFORE_HEADERS: 0,
            Point.BEFORE_BODY: 0,
            Point.MID_FRAME: body.index(b"\n\n", usage // 2) - 5,
            Point.BEFORE_USAGE: usage,
            Point.AFTER_USAGE: body.index(b"\n\n", usage) + 2,
        }[point]
        return body[:cut], body[cut:]


NAMED = {recording.name: recording for recording in recordings()}
NO_USAGE_YET = {Point.BEFORE_HEADERS: ESTIMATED, Point.BEFORE_BODY: ESTIMATED}
STREAMS = [
    Stream(
        NAMED["openai-chat.sse"],
        b'"usage":{"prompt_tokens"',
        {**NO_USAGE_YET, Point.MID_FRAME: ESTIMATED, Point.BEFORE_USAGE: ESTIMATED, Point.AFTER_USAGE: REPORTED},
    ),
    Stream(
        NAMED["openai-responses.sse"],
        b"event: response.completed",
        {**NO_USAGE_YET, Point.MID_FRAME: ESTIMATED, Point.BEFORE_USAGE: ESTIMATED, Point.AFTER_USAGE: REPORTED},
    ),
    Stream(
        NAMED["anthropic-messages.sse"],
        b"event: message_delta",
        {**NO_USAGE_YET, Point.MID_FRAME: PARTIAL, Point.BEFORE_USAGE: PARTIAL, Point.AFTER_USAGE: REPORTED},
    ),
]
each_stream = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.recording.dialect)
each_point = pytest.mark.parametrize("point", list(Point), ids=lambda point: point.name.lower())


def script(stream: Stream, point: Point, then: list[Step]) -> Iterator[Step]:
    """The answer up to the point, and then something else."""
    before, _ = stream.parts(point)
    if point is not Point.BEFORE_HEADERS:
        yield head(content_type=stream.recording.content_type)
    if before:
        yield chunk(before)
    yield from then


def going_on(stream: Stream, point: Point, go_on: asyncio.Event) -> list[Step]:
    """The rest of the answer, once the event is set."""
    begin: list[Step] = [head(content_type=stream.recording.content_type)] if point is Point.BEFORE_HEADERS else []
    _, rest = stream.parts(point)
    return [WaitFor(go_on), *begin, *([chunk(rest)] if rest else []), LAST_CHUNK]


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Running


Stages = dict[OnClientGone, Stage]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages() -> AsyncIterator[Stages]:
    """A gateway for each policy, and an upstream for each gateway."""
    async with AsyncExitStack() as stack:
        found = {}
        for policy in OnClientGone:
            upstream = await stack.enter_async_context(ScriptedUpstream(lambda _: []))
            running = await stack.enter_async_context(running_gateway(upstream.url, on_client_gone=policy))
            found[policy] = Stage(upstream, running)
        yield found


class Scene:
    """One exchange on a stage: its client has sent its request."""

    def __init__(self, stage: Stage, client: RawClient) -> None:
        self.upstream, gateway = stage
        self.client = client
        self._log = gateway.log
        self._requests_before = len(self.upstream.requests)
        self._records_before = len(self._log.kept)

    async def reach(self, stream: Stream, point: Point) -> None:
        """Until the client has everything up to the point."""
        await self.upstream.until(lambda: len(self.upstream.requests) > self._requests_before)
        if point is not Point.BEFORE_HEADERS:
            before, _ = stream.parts(point)
            assert await self.client.read_until(lambda: self.client.head_came and self.client.body == before)

    @property
    def request(self) -> Received:
        """The one request that reached the upstream."""
        (request,) = self.upstream.requests[self._requests_before :]
        return request

    async def record(self) -> Record:
        """The one record, once there is one."""
        await self._log.all(at_least=self._records_before + 1)
        (record,) = self._log.kept[: -self._records_before or None]
        return record


@asynccontextmanager
async def scene(stage: Stage, stream: Stream, steps: Iterator[Step]) -> AsyncIterator[Scene]:
    """Play a scene; afterwards nothing of it may be left over, and there is one record."""
    upstream, gateway = stage
    recording = stream.recording
    before = asyncio.all_tasks()
    upstream.handler = lambda _: steps
    async with RawClient(gateway.port) as client:
        play = Scene(stage, client)
        body = json.dumps(recording.request).encode()
        client.send("/v1" + recording.path, body, headers=[("x-provider", recording.provider)])
        yield play
    await upstream.until(lambda: upstream.playing == 0)
    async with asyncio.timeout(10):
        players = {connection.player for connection in upstream.connections if connection.open}
        while asyncio.all_tasks() - before - players:
            await asyncio.sleep(0.005)
    await play.record()


@each_stream
@each_point
async def test_a_client_that_leaves_is_cut(stream: Stream, point: Point, stages: Stages) -> None:
    async with scene(stages[OnClientGone.CUT], stream, script(stream, point, [Hang()])) as play:
        await play.reach(stream, point)
        play.client.reset()
        record = await play.record()
        await play.upstream.until(lambda: play.upstream.open_connections == 0)
    before, _ = stream.parts(point)
    assert play.upstream.connections[play.request.connection].closed_by_peer
    assert play.request.progress is Progress.ABANDONED
    assert record.reading.basis is stream.basis[point]
    assert record.bytes_in == record.bytes_out == len(before)
    assert record.status == (499 if point is Point.BEFORE_HEADERS else 200)
    whole = stream.recording.dialect == "openai.responses" and point is Point.AFTER_USAGE
    assert record.ending is (Ending.COMPLETE if whole else Ending.CLIENT_LEFT)
    check_usage(record, stream, point)


def check_usage(record: Record, stream: Stream, point: Point) -> None:
    """What was reported is kept, and what was not is estimated, never 0."""
    usage, estimate = record.reading.usage, record.reading.estimate
    if stream.basis[point] is REPORTED:
        assert usage == Usage(**stream.recording.usage)
        assert estimate is None
        return
    assert usage.output_tokens is None
    assert estimate is not None
    assert estimate.output_tokens is not None
    assert (estimate.output_tokens > 0) is (point in {Point.MID_FRAME, Point.BEFORE_USAGE})
    if stream.basis[point] is PARTIAL:
        assert usage.input_tokens == stream.recording.usage["input_tokens"]
        assert estimate.input_tokens is None
    else:
        assert estimate.input_tokens == -(-len(json.dumps(stream.recording.request)) // 4)


@each_stream
@each_point
async def test_a_client_that_leaves_does_not_stop_a_drained_upstream(
    stream: Stream, point: Point, stages: Stages
) -> None:
    go_on = asyncio.Event()
    steps = script(stream, point, going_on(stream, point, go_on))
    async with scene(stages[OnClientGone.DRAIN], stream, steps) as play:
        await play.reach(stream, point)
        play.client.reset()
        await asyncio.sleep(0.05)  # the gateway learns of it meanwhile; nothing outside shows when
        go_on.set()
        record = await play.record()
        await play.upstream.until(lambda: play.upstream.playing == 0)
        assert play.request.progress is Progress.PLAYED
        assert len(play.upstream.connections) == 1  # each answer was read to its end, so one connection serves all
    before, rest = stream.parts(point)
    assert record.reading.basis is REPORTED
    assert record.reading.usage == Usage(**stream.recording.usage)
    assert record.bytes_in == len(stream.recording.body)
    assert record.bytes_out == len(before)
    assert record.ending is (Ending.CLIENT_LEFT if rest else Ending.COMPLETE)


each_fault = pytest.mark.parametrize("fault", [Reset(), Close(), HalfClose()], ids=["rst", "close", "half_close"])


@each_fault
@each_stream
@each_point
async def test_an_upstream_that_breaks_off_never_looks_whole(
    stream: Stream, point: Point, fault: Step, stages: Stages
) -> None:
    before, rest = stream.parts(point)
    seen = asyncio.Event()
    steps = script(stream, point, [WaitFor(seen), fault, Hang()])
    async with scene(stages[OnClientGone.CUT], stream, steps) as play:
        await play.reach(stream, point)
        seen.set()
        body = await play.client.read_all()
        record = await play.record()
        await play.upstream.until(lambda: play.upstream.open_connections == 0)
    told = body.removeprefix(before)
    assert body.startswith(before)
    assert record.bytes_in == len(before)
    if not rest:  # the dialect's own end has come: the answer is whole, and an error after it would only mislead
        assert (play.client.complete, told, record.ending) == (True, b"", Ending.COMPLETE)
        return
    assert record.ending is Ending.UPSTREAM_CUT
    assert record.error is not None
    if point is Point.BEFORE_HEADERS:
        assert (play.client.status, play.client.complete) == (502, True)
        assert json.loads(told)["error"]["type"]
        return
    check_usage(record, stream, point)
    assert record.reading.basis is stream.basis[point]
    if point is Point.MID_FRAME:
        assert (play.client.complete, told) == (False, b"")
    else:
        assert play.client.complete
        assert ERROR_FRAMES[stream.recording.dialect].fullmatch(told)


ERROR_FRAMES = {
    "openai.chat": re.compile(rb'data: \{"error":.*upstream_connection_lost.*\n\n'),
    "openai.responses": re.compile(rb"event: response.failed\ndata: .*upstream_connection_lost.*\n\n"),
    "anthropic.messages": re.compile(rb'event: error\ndata: \{"type": ?"error",.*\n\n'),
}
"""One frame and nothing after it: no "[DONE]" that would make a failure look like an end."""
