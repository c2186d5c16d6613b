"""Keep-alives while a provider is silent, on real sockets: in each dialect's form, between frames, not metered.

And the official SDKs, which have to pass over them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple

import anthropic
import cohere
import google.genai
import httpx
import openai
import pytest
import pytest_asyncio
from google.genai.types import HttpOptions

from headgate.dialects.base import Answer
from headgate.errors import UpstreamTimeout
from headgate.providers.base import TimeLimits
from headgate.records import Ending, Record
from headgate.testing.upstream import (
    LAST_CHUNK,
    Coding,
    Hang,
    Pause,
    Received,
    Script,
    ScriptedUpstream,
    Send,
    Step,
    chunk,
    head,
)
from tests.e2e.raw import RawClient, post
from tests.e2e.running import Running, serving
from tests.e2e.streams import ARRAY, STREAMS, Stream
from tests.e2e.test_time_limits import deployments

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),  # google-genai's own affair
]

OFTEN = TimeLimits(keep_alive=0.02)
SILENCE = Pause(0.12)
COMMENT, BLANK = b": keep-alive\n", b"\r\n"

FORMS = {
    "openai.chat": COMMENT,
    "openai.completions": COMMENT,
    "openai.responses": COMMENT,
    "cohere": COMMENT,
    "anthropic.messages": b'event: ping\ndata: {"type": "ping"}\n\n',
    "google.generate_content": BLANK,
    "vertex.generate_content": BLANK,
}
"""The dialects that have one."""
NONE = [name for name in STREAMS if name not in FORMS]


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Running

    async def asked(self, stream: Stream, steps: list[Step]) -> tuple[RawClient, Record]:
        self.upstream.handler = lambda _: steps
        answer = await post(self.gateway.port, stream.path, stream.request, stream.headers)
        return answer, await self.gateway.log.of(answer.headers["x-headgate-exchange-id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with ScriptedUpstream(lambda _: []) as upstream, serving(deployments(upstream.url, OFTEN)) as gateway:
        yield Stage(upstream, gateway)


def silent_at(stream: Stream, *at: int, more: tuple[tuple[bytes, bytes], ...] = ()) -> list[Step]:
    """The stream, with a silence at these bytes of its body."""
    steps: list[Step] = [head(content_type=stream.case.content_type, headers=more)]
    start, body = 0, stream.case.body
    for end in (*at, len(body)):
        steps += [chunk(body[start:end]), SILENCE] if end > start else [SILENCE]
        start = end
    return [*steps[:-1], LAST_CHUNK]


def first(stream: Stream, frames: int) -> int:
    return sum(map(len, stream.frames[:frames]))


def read_whole(stream: Stream) -> Any:
    meter = stream.dialect.meter(Answer(200, stream.case.content_type))
    meter.feed(stream.case.body)
    return meter.finish(ended=True)


@pytest.mark.parametrize("dialect", FORMS)
async def test_a_silence_between_frames_is_filled(stage: Stage, dialect: str) -> None:
    """Before the first frame, and between two; what the meter reads and what is counted are the provider's own."""
    stream, form = STREAMS[dialect], FORMS[dialect]
    one, two = first(stream, 1), first(stream, 2)
    answer, record = await stage.asked(stream, silent_at(stream, 0, one, two))
    body = stream.case.body
    told = answer.body
    for part in (body[:0], body[:one], body[one:two], body[two:]):
        assert told.startswith(part)
        told = told.removeprefix(part)
        signs = len(told)
        while told.startswith(form):
            told = told.removeprefix(form)
        assert len(told) < signs or part == body[two:]
    assert (told, answer.complete, record.ending) == (b"", True, Ending.COMPLETE)
    assert record.reading.usage == read_whole(stream).usage
    assert not record.reading.anomalies
    assert record.bytes_in == record.bytes_out == len(body)


@pytest.mark.parametrize("dialect", STREAMS)
async def test_nothing_is_said_inside_a_frame(stage: Stage, dialect: str) -> None:
    stream = STREAMS[dialect]
    one = first(stream, 1)
    answer, _ = await stage.asked(stream, silent_at(stream, one // 2, one - 1))
    assert (answer.body, answer.complete) == (stream.case.body, True)


@pytest.mark.parametrize("dialect", NONE)
async def test_a_dialect_without_a_form_is_sent_nothing(stage: Stage, dialect: str) -> None:
    stream = STREAMS[dialect]
    answer, _ = await stage.asked(stream, silent_at(stream, 0, first(stream, 1)))
    assert (answer.body, answer.complete) == (stream.case.body, True)


async def test_between_two_elements_of_an_array_white_space_is_nothing(stage: Stage) -> None:
    one = first(ARRAY, 1)
    answer, record = await stage.asked(ARRAY, silent_at(ARRAY, 1, one // 2, one, one + 1))
    assert len(answer.body) > len(ARRAY.case.body)
    assert json.loads(answer.body) == json.loads(ARRAY.case.body)
    assert answer.body.replace(BLANK, b"") == ARRAY.case.body.replace(BLANK, b"")
    assert record.reading.usage == read_whole(ARRAY).usage


async def test_after_the_dialects_own_end_there_is_nothing_to_wait_for(stage: Stage) -> None:
    stream = STREAMS["openai.chat"]
    answer, _ = await stage.asked(stream, [*stream.begin(len(stream.frames)), SILENCE, LAST_CHUNK])
    assert (answer.body, answer.complete) == (stream.case.body, True)


async def test_a_length_that_no_longer_holds_is_not_told(stage: Stage) -> None:
    stream = STREAMS["openai.chat"]
    body, one = stream.case.body, first(stream, 1)
    top = head(content_type="text/event-stream", coding=Coding.LENGTH, length=len(body))

    answer, _ = await stage.asked(stream, [top, Send(body[:one]), SILENCE, Send(body[one:])])
    assert "content-length" not in answer.headers
    assert answer.complete
    assert answer.body.replace(COMMENT, b"") == body
    assert COMMENT in answer.body


async def test_documents_and_compressed_streams_are_sent_nothing(stage: Stage) -> None:
    stream = STREAMS["openai.chat"]
    body = json.dumps({"model": "gpt-4o-mini", "messages": []}).encode()
    stage.upstream.handler = lambda _: [head(), chunk(b'{"id": "x", '), SILENCE, chunk(b'"choices": []}'), LAST_CHUNK]
    answer = await post(stage.gateway.port, "/v1/chat/completions", body, [("x-provider", "openai")])
    assert (answer.body, answer.complete) == (b'{"id": "x", "choices": []}', True)
    packed, _ = await stage.asked(
        stream, silent_at(stream, first(stream, 1), more=((b"content-encoding", b"identity, br"),))
    )
    assert (packed.body, packed.complete) == (stream.case.body, True)


async def test_an_error_status_is_sent_nothing(stage: Stage) -> None:
    stream = STREAMS["openai.chat"]
    steps: list[Step] = [head(500, content_type="text/event-stream"), chunk(b"data: {}\n\n"), SILENCE, LAST_CHUNK]
    answer, _ = await stage.asked(stream, steps)
    assert (answer.status, answer.body) == (500, b"data: {}\n\n")


async def test_they_are_off_unless_asked_for_and_a_providers_own() -> None:
    stream = STREAMS["openai.chat"]
    steps = silent_at(stream, first(stream, 1))
    async with ScriptedUpstream(lambda _: steps) as upstream:
        some = [replace(d, limits=OFTEN if d.name == "groq" else None) for d in deployments(upstream.url, None)]
        async with serving(tuple(some)) as gateway:
            answers = await asyncio.gather(
                *(
                    post(gateway.port, stream.path, stream.request, [("x-provider", name)])
                    for name in ("openai", "groq")
                )
            )
    assert [COMMENT in answer.body for answer in answers] == [False, True]
    assert answers[0].body == stream.case.body


async def test_a_silence_is_no_shorter_for_them() -> None:
    """The provider is told by its own clock; a sign to the client is none of the provider's."""
    stream = STREAMS["anthropic.messages"]
    limits = TimeLimits(idle=0.3, keep_alive=0.03)
    async with (
        ScriptedUpstream(lambda _: [*stream.begin(2), Hang()]) as upstream,
        serving(deployments(upstream.url, limits)) as gateway,
    ):
        answer, record = await Stage(upstream, gateway).asked(stream, [*stream.begin(2), Hang()])
        error = UpstreamTimeout("The provider fell silent in the middle of its answer.")
        assert answer.body.endswith(FORMS["anthropic.messages"] + stream.dialect.error_frame(error, record.exchange_id))
        assert record.ending is Ending.UPSTREAM_CUT


async def test_a_client_that_leaves_in_a_silence_is_cut(stage: Stage) -> None:
    stream = STREAMS["openai.chat"]
    stage.upstream.handler = lambda _: [*stream.begin(1), Hang()]
    async with RawClient(stage.gateway.port) as client:
        client.send(stream.path, stream.request, headers=stream.headers)
        assert await client.read_until(lambda: client.body.count(COMMENT) > 2)
        client.reset()
        await stage.upstream.until(lambda: stage.upstream.playing == 0)
        record = await stage.gateway.log.of(client.headers["x-headgate-exchange-id"])
    assert record.ending is Ending.CLIENT_LEFT


def with_silences(stream: Stream) -> Callable[[Received], Script]:
    ends = [first(stream, n) for n in range(min(len(stream.frames), 3))]
    return lambda _: silent_at(stream, *ends)


def _openai(url: str) -> openai.AsyncOpenAI:
    named = {"x-provider": "openai"}
    return openai.AsyncOpenAI(base_url=url + "/v1", api_key="k", max_retries=0, default_headers=named)


MESSAGES: Any = [{"role": "user", "content": "Hi"}]


async def _openai_chat(url: str) -> str:
    async with _openai(url) as client:
        said = await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
        return "".join([part.choices[0].delta.content or "" async for part in said if part.choices])


async def _openai_responses(url: str) -> str:
    async with _openai(url) as client:
        said = await client.responses.create(model="gpt-4o-mini", input="Hi", stream=True)
        return " ".join([event.type async for event in said])


async def _anthropic(url: str) -> str:
    async with (
        anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client,
        client.messages.stream(model="claude-haiku-4-5", max_tokens=9, messages=MESSAGES) as said,
    ):
        return (await said.get_final_message()).model_dump_json()


async def _google(url: str) -> str:
    client = google.genai.Client(api_key="k", http_options=HttpOptions(base_url=url)).aio
    said = await client.models.generate_content_stream(model="gemini-2.0-flash", contents="Hi")
    told = "".join([str(part.text) async for part in said])
    await client.aclose()
    return told


async def _cohere(url: str) -> str:
    async with httpx.AsyncClient() as http:
        client = cohere.AsyncClientV2(api_key="k", base_url=url, httpx_client=http)
        return " ".join([str(part.type) async for part in client.chat_stream(model="command-r", messages=MESSAGES)])


SDKS: dict[str, Callable[[str], Awaitable[str]]] = {
    "openai.chat": _openai_chat,
    "openai.responses": _openai_responses,
    "anthropic.messages": _anthropic,
    "google.generate_content": _google,
    "cohere": _cohere,
}


@pytest.mark.parametrize("dialect", SDKS)
async def test_the_official_sdk_passes_over_them(stage: Stage, dialect: str) -> None:
    """It reads the same with them as without."""
    stream, read = STREAMS[dialect], SDKS[dialect]
    stage.upstream.handler = lambda _: [*stream.begin(len(stream.frames)), LAST_CHUNK]
    plain = await read(stage.gateway.url)
    stage.upstream.handler = with_silences(stream)
    assert await read(stage.gateway.url) == plain != ""
