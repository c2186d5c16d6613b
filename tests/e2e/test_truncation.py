"""Recorded streams of every dialect that streams, cut at each frame's end and inside frames, in each way to end a body.

Between two frames the client is told in its dialect; inside one its connection is broken; after the dialect's own end
it has the whole answer. Never does a part look like the whole.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import pytest
import pytest_asyncio

from headgate.dialects.base import Answer
from headgate.errors import UpstreamCut
from headgate.records import Ending
from headgate.testing.upstream import (
    LAST_CHUNK,
    Close,
    Coding,
    HalfClose,
    Hang,
    Received,
    Reset,
    Script,
    ScriptedUpstream,
    Send,
    Step,
    WaitFor,
    chunk,
    head,
)
from headgate.usage import Reading
from tests.e2e.raw import RawClient
from tests.e2e.running import Running, running_gateway
from tests.e2e.streams import ARRAY, LINES, STREAMS, Stream

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROKEN = UpstreamCut("The provider's connection broke off in the middle of its answer.")
STOPPED = UpstreamCut("The provider's answer stopped before its end.")
MOST = 24
"""Cuts of one stream, at frames' ends; of longer ones, at their beginning and their end."""

WAYS: dict[str, list[Step]] = {"close": [Close()], "rst": [Reset()], "half close": [HalfClose(), Hang()]}
"""How a body breaks off."""
ENDS: dict[str, list[Step]] = {"its last chunk": [LAST_CHUNK], "the connection": [Close()]}
"""How it ends, as HTTP has it, though the stream in it does not."""


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with ScriptedUpstream(lambda _: []) as upstream, running_gateway(upstream.url) as gateway:
        yield Stage(upstream, gateway)


def boundaries(stream: Stream) -> list[int]:
    """Where frames end, from before the first to before the last."""
    found, at = [], 0
    for frame in stream.frames:
        found.append(at)
        at += len(frame)
    return found if len(found) <= MOST else [*found[: MOST // 2], *found[-MOST // 2 :]]


def inside(stream: Stream) -> list[int]:
    """Bytes that are no frame's end: behind its first one, in its middle, and before its last."""
    found, at = [], 0
    for frame in stream.frames[:6]:
        found += [at + 1, at + len(frame) // 2, at + len(frame) - 1]
        at += len(frame)
    return [each for each in dict.fromkeys(found) if 0 < each < len(stream.case.body)]


def read_up_to(stream: Stream, at: int) -> Reading:
    meter = stream.dialect.meter(Answer(200, stream.case.content_type))
    meter.feed(stream.case.body[:at])
    return meter.finish(ended=False)


class Cut(NamedTuple):
    """What became of a stream that was cut."""

    body: bytes
    complete: bool
    ending: Ending
    exchange_id: str


async def cut(stage: Stage, stream: Stream, at: int, then: list[Step], coding: Coding = Coding.CHUNKED) -> Cut:
    """Cut a stream at a byte, once the client has what came before it."""
    seen = asyncio.Event()
    before = stream.case.body[:at]
    send = chunk if coding is Coding.CHUNKED else Send

    def script(_: Received) -> Script:
        return [
            head(content_type=stream.case.content_type, coding=coding, length=len(stream.case.body)),
            *([send(before)] if before else []), WaitFor(seen), *then,
        ]  # fmt: skip

    stage.upstream.handler = script
    async with RawClient(stage.gateway.port) as client:
        client.send(stream.path, stream.request, headers=stream.headers)
        async with asyncio.timeout(5):
            assert await client.read_until(lambda: client.head_came and len(client.body) >= len(before)), at
            seen.set()
            await client.read_all()
            record = await stage.gateway.log.of(client.headers["x-headgate-exchange-id"])
    return Cut(client.body, client.complete, record.ending, record.exchange_id)


each_dialect = pytest.mark.parametrize("dialect", STREAMS)


@pytest.mark.parametrize("way", WAYS)
@each_dialect
async def test_a_stream_that_breaks_off_between_frames_is_told(stage: Stage, dialect: str, way: str) -> None:
    stream = STREAMS[dialect]
    for at in boundaries(stream):
        was = await cut(stage, stream, at, WAYS[way])
        if read_up_to(stream, at).terminal_evidence is not None:
            assert was[:3] == (stream.case.body[:at], True, Ending.COMPLETE), at
        else:
            told = stream.dialect.error_frame(BROKEN, was.exchange_id)
            assert was[:3] == (stream.case.body[:at] + told, True, Ending.UPSTREAM_CUT), at


@each_dialect
async def test_a_stream_that_breaks_off_inside_a_frame_is_broken(stage: Stage, dialect: str) -> None:
    stream = STREAMS[dialect]
    for at in inside(stream):
        was = await cut(stage, stream, at, WAYS["close"])
        if read_up_to(stream, at).terminal_evidence is None:
            assert was[:3] == (stream.case.body[:at], False, Ending.UPSTREAM_CUT), at
        else:
            assert (was.body, was.ending) == (stream.case.body[:at], Ending.COMPLETE), at


@pytest.mark.parametrize("end", ENDS)
@each_dialect
async def test_a_stream_that_ends_before_its_end_is_told(stage: Stage, dialect: str, end: str) -> None:
    """In good order, as a proxy ends what it could not read on, or as a body ends that only its connection delimits."""
    stream = STREAMS[dialect]
    coding = Coding.CLOSE if end == "the connection" else Coding.CHUNKED
    for at in boundaries(stream):
        was, read = await cut(stage, stream, at, ENDS[end], coding), read_up_to(stream, at)
        if read.terminal_evidence is not None or read.finish_reason is not None:
            wanted = Ending.INCOMPLETE if read.terminal_evidence is None else Ending.COMPLETE
            assert was[:3] == (stream.case.body[:at], True, wanted), at
        else:
            told = stream.dialect.error_frame(STOPPED, was.exchange_id)
            assert was[:3] == (stream.case.body[:at] + told, True, Ending.INCOMPLETE), at


def told_in_array(before: bytes, exchange_id: str, error: UpstreamCut = BROKEN) -> bytes:
    """What makes an array of what came, by the standard parser: one more element and the bracket; or nothing does."""
    piece = ARRAY.dialect.error_piece(error, exchange_id)
    for end in (piece + b"]", b"," + piece + b"]"):
        with suppress(ValueError):
            if json.loads(before + end)[-1] == json.loads(piece):
                return end
    return b""


@pytest.mark.parametrize("way", WAYS)
async def test_an_array_that_breaks_off_is_told_between_its_elements(stage: Stage, way: str) -> None:
    """Google's stream without `alt=sse`. No client takes an array without its bracket for a whole one."""
    ends = []
    for at in (*boundaries(ARRAY), *inside(ARRAY)):
        was, before = await cut(stage, ARRAY, at, WAYS[way]), ARRAY.case.body[:at]
        told = told_in_array(before, was.exchange_id)
        assert was[:3] == (before + told, bool(told), Ending.UPSTREAM_CUT), at
        ends.append(told[:1])
    assert {b"", b","} <= set(ends)


async def test_an_array_that_ends_before_its_end_is_told(stage: Stage) -> None:
    """One with a finish reason may be a whole one that lacks its bracket: it ends as it came."""
    for at in boundaries(ARRAY)[1:]:
        was, before = await cut(stage, ARRAY, at, [LAST_CHUNK]), ARRAY.case.body[:at]
        finished = read_up_to(ARRAY, at).finish_reason is not None
        told = b"" if finished else told_in_array(before, was.exchange_id, STOPPED)
        assert was[:3] == (before + told, True, Ending.INCOMPLETE), at


@pytest.mark.parametrize("way", WAYS)
async def test_json_lines_that_break_off_are_told_between_them(stage: Stage, way: str) -> None:
    for at in (*boundaries(LINES), *inside(LINES)):
        was, before = await cut(stage, LINES, at, WAYS[way]), LINES.case.body[:at]
        between = not before or before.endswith(b"\n")
        told = LINES.dialect.error_piece(BROKEN, was.exchange_id) + b"\n" if between else b""
        assert was[:3] == (before + told, between, Ending.UPSTREAM_CUT), at


async def test_json_lines_that_end_before_their_end_are_told(stage: Stage) -> None:
    for at in (*boundaries(LINES), *inside(LINES)):
        was, before = await cut(stage, LINES, at, [LAST_CHUNK]), LINES.case.body[:at]
        between = not before or before.endswith(b"\n")
        told = LINES.dialect.error_piece(STOPPED, was.exchange_id) + b"\n" if between else b""
        assert was[:3] == (before + told, between, Ending.INCOMPLETE), at


@pytest.mark.parametrize("stream", [ARRAY, LINES, STREAMS["openai.chat"]], ids=["array", "lines", "events"])
async def test_nothing_follows_in_an_answer_whose_length_was_told(stage: Stage, stream: Stream) -> None:
    """The client counts bytes: more than were promised it would not read as this answer's."""
    at = boundaries(stream)[1]
    was = await cut(stage, stream, at, WAYS["close"], Coding.LENGTH)
    assert was[:3] == (stream.case.body[:at], False, Ending.UPSTREAM_CUT)
