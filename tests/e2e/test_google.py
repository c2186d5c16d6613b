"""Google's official SDK, and Anthropic's for Vertex, through the gateway, against an upstream that plays recordings.

What the SDK says was used, what the record says and what the recording holds must be the same numbers.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from anthropic import AsyncAnthropicVertex
from google import genai
from google.genai.errors import APIError
from google.genai.types import EmbedContentConfig, HttpOptions
from google.oauth2.credentials import Credentials

from headgate.records import Ending, Record
from headgate.testing.corpus import Case
from headgate.testing.upstream import Coding, Received, Reset, ScriptedUpstream, chunk, head, response
from headgate.usage import Basis, Usage
from tests.dialects import expected
from tests.dialects.playbook import data
from tests.e2e.raw import RawClient
from tests.e2e.running import CREDENTIAL, Running, running_gateway

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),  # the SDK's own affair
]

MODEL = "gemini-2.5-flash"
EMBEDDER = "text-embedding-004"
CREDENTIALS = {b"authorization", b"x-goog-api-key", b"x-api-key"}


class Mode(NamedTuple):
    """A way to use the SDK: its client, where its paths begin, and what reaches the provider."""

    client: Callable[[str], genai.Client]
    models: str
    provider: str
    credential: tuple[bytes, bytes]


def ai_studio_client(url: str) -> genai.Client:
    return genai.Client(vertexai=False, api_key="a-client", http_options=HttpOptions(base_url=url))


def vertex_client(url: str) -> genai.Client:
    token: Any = Credentials(token="a-client")  # type: ignore[no-untyped-call]  # google-auth ships few types
    options = HttpOptions(base_url=url)
    return genai.Client(vertexai=True, project="p-1", location="us-west4", credentials=token, http_options=options)


AI_STUDIO = Mode(ai_studio_client, "/v1/models", "google", (b"x-goog-api-key", CREDENTIAL.encode()))
VERTEX = Mode(
    vertex_client,
    "/v1beta1/projects/p-1/locations/us-west4/publishers/google/models",
    "vertex",
    (b"authorization", b"Bearer " + CREDENTIAL.encode()),
)
MODES = [pytest.param(AI_STUDIO, id="ai_studio"), pytest.param(VERTEX, id="vertex")]


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Running

    def answers(self, body: bytes, content_type: str = "application/json", *, status: int = 200) -> None:
        """From now on the upstream answers this."""
        coding = Coding.LENGTH if content_type.startswith("application/json") else Coding.CHUNKED
        self.upstream.handler = lambda _: response([body], status, content_type=content_type, coding=coding)

    async def observe(self, call: Callable[[], Awaitable[Any]]) -> tuple[Any, Record, Received]:
        """The call's result, and the one exchange that it was: its record, and what reached the upstream."""
        before = len(self.gateway.log.kept)
        result = await call()
        records = await self.gateway.log.all(before + 1)
        assert len(records) == before + 1
        return result, records[-1], self.upstream.requests[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with ScriptedUpstream(lambda _: []) as upstream, running_gateway(upstream.url) as gateway:
        yield Stage(upstream, gateway)


def recordings(framing: str) -> list[Any]:
    """A few as they were stored, with thoughts. Event streams are CRLF."""
    found = [
        pytest.param(case, id=case.id)
        for case in expected.cases("google.generate_content")
        if case.verbatim and case.framing == framing and "int" not in case.api_path and "reasoning_tokens" in case.tags
    ]
    return found[:4]


def said(metadata: Any) -> Usage:
    """The SDK's usage, by design/usage.md."""
    tool_use, thoughts = metadata.tool_use_prompt_token_count, metadata.thoughts_token_count
    return Usage(
        input_tokens=metadata.prompt_token_count + (tool_use or 0),
        output_tokens=(metadata.candidates_token_count or 0) + (thoughts or 0),
        reasoning_tokens=thoughts,
    )


async def generate(client: genai.Client) -> Usage:
    def call() -> Any:
        return client.models.generate_content(model=MODEL, contents="Hi").usage_metadata

    return said(await asyncio.to_thread(call))


async def generate_async(client: genai.Client) -> Usage:
    return said((await client.aio.models.generate_content(model=MODEL, contents="Hi")).usage_metadata)


async def stream(client: genai.Client) -> Usage:
    def call() -> Any:
        *_, last = client.models.generate_content_stream(model=MODEL, contents="Hi")
        return last.usage_metadata

    return said(await asyncio.to_thread(call))


async def stream_async(client: genai.Client) -> Usage:
    chunks = [chunk async for chunk in await client.aio.models.generate_content_stream(model=MODEL, contents="Hi")]
    return said(chunks[-1].usage_metadata)


async def check(
    stage: Stage, mode: Mode, case: Case, call: Callable[[genai.Client], Awaitable[Usage]], verb: str
) -> None:
    stage.answers(case.body, case.content_type)
    client = mode.client(stage.gateway.url)
    used, record, received = await stage.observe(lambda: call(client))
    await client.aio.aclose()
    client.close()
    read = record.reading.usage
    assert read == expected.usage(case)
    assert used == Usage(
        input_tokens=read.input_tokens, output_tokens=read.output_tokens, reasoning_tokens=read.reasoning_tokens
    )
    assert (record.provider, record.ending, record.reading.basis) == (mode.provider, Ending.COMPLETE, Basis.REPORTED)
    assert record.model_asked == MODEL
    assert record.bytes_in == record.bytes_out == len(case.body)
    assert received.path == f"{mode.models}/{MODEL}:{verb}"
    assert [pair for pair in received.headers if pair[0] in CREDENTIALS] == [mode.credential]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", recordings("json"))
@pytest.mark.parametrize("call", [generate, generate_async])
async def test_a_whole_answer(stage: Stage, mode: Mode, case: Case, call: Any) -> None:
    await check(stage, mode, case, call, "generateContent")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", recordings("sse"))
@pytest.mark.parametrize("call", [stream, stream_async])
async def test_a_stream(stage: Stage, mode: Mode, case: Case, call: Any) -> None:
    await check(stage, mode, case, call, "streamGenerateContent")
    assert stage.upstream.requests[-1].target.endswith(b"?alt=sse")


@pytest.mark.parametrize("mode", MODES)
async def test_counting_tokens_is_free(stage: Stage, mode: Mode) -> None:
    stage.answers(b'{"totalTokens": 31, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 31}]}')
    client = mode.client(stage.gateway.url)
    call = client.aio.models.count_tokens(model=MODEL, contents="Hi")
    counted, record, received = await stage.observe(lambda: call)
    await client.aio.aclose()
    client.close()
    assert counted.total_tokens == 31
    assert received.path == f"{mode.models}/{MODEL}:countTokens"
    assert record.reading.usage == Usage()
    assert not record.billable
    assert record.ending is Ending.COMPLETE


@pytest.mark.parametrize(
    ("mode", "answer", "verb"),
    [
        pytest.param(
            AI_STUDIO,
            {"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 6}},
            "batchEmbedContents",
            id="ai_studio",
        ),
        pytest.param(
            VERTEX,
            {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 6}}}]},
            "predict",
            id="vertex",
        ),
    ],
)
async def test_embeddings(stage: Stage, mode: Mode, answer: dict[str, Any], verb: str) -> None:
    stage.answers(json.dumps(answer).encode())
    client = mode.client(stage.gateway.url)
    config = EmbedContentConfig(output_dimensionality=1)
    call = client.aio.models.embed_content(model=EMBEDDER, contents="Hi", config=config)
    embedded, record, received = await stage.observe(lambda: call)
    await client.aio.aclose()
    client.close()
    assert embedded.embeddings[0].values == [0.5]
    assert received.path == f"{mode.models}/{EMBEDDER}:{verb}"
    assert record.reading.usage == Usage(input_tokens=6)
    assert (record.provider, record.reading.basis) == (mode.provider, Basis.REPORTED)


@pytest.mark.parametrize("mode", MODES)
async def test_an_error_of_the_gateways_own_is_read_as_googles(stage: Stage, mode: Mode) -> None:
    client = mode.client(stage.gateway.url)
    reached = len(stage.upstream.requests)
    with pytest.raises(APIError) as caught:
        await client.aio.models.generate_content(model="no-such-model", contents="Hi")
    await client.aio.aclose()
    client.close()
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    assert "no-such-model" in str(caught.value)
    assert len(stage.upstream.requests) == reached


CLAUDE = "claude-haiku-4-5@20251001"
RAW_PREDICT = [
    pytest.param(case, id=case.id)
    for case in expected.cases("anthropic.messages")
    if case.api_path.endswith(f"{CLAUDE}:{'streamRawPredict' if case.stream else 'rawPredict'}")
]


@pytest.mark.parametrize("case", RAW_PREDICT)
async def test_anthropics_sdk_for_vertex(stage: Stage, case: Case) -> None:
    stage.answers(case.body, case.content_type)
    url = stage.gateway.url + "/v1"
    client = AsyncAnthropicVertex(region="global", project_id="p-1", access_token="a-client", base_url=url)

    async def call() -> Any:
        ask: Any = {"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
        if not case.stream:
            return (await client.messages.create(**ask)).usage.output_tokens
        events = [event async for event in await client.messages.create(**ask, stream=True)]
        return next(event.usage.output_tokens for event in events if event.type == "message_delta")

    used, record, received = await stage.observe(call)
    await client.close()
    assert record.reading.usage == expected.usage(case)
    assert used == record.reading.usage.output_tokens
    assert (record.dialect, record.provider, record.ending) == ("vertex.messages", "vertex", Ending.COMPLETE)
    assert record.model_asked == CLAUDE
    verb = "streamRawPredict" if case.stream else "rawPredict"
    assert received.path == f"/v1/projects/p-1/locations/global/publishers/anthropic/models/{CLAUDE}:{verb}"
    assert "model" not in json.loads(received.body)
    assert [pair for pair in received.headers if pair[0] in CREDENTIALS] == [VERTEX.credential]


async def test_an_interaction_as_a_stream(stage: Stage) -> None:
    counts = {"total_input_tokens": 7, "total_output_tokens": 5, "total_thought_tokens": 3, "total_tokens": 15}
    done = {"id": "i-1", "status": "completed", "model": "gemini-3-pro", "usage": counts}
    events: list[dict[str, Any]] = [
        {"event_type": "interaction.created", "interaction": {"id": "i-1", "status": "in_progress"}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Hello"}},
        {"event_type": "interaction.completed", "interaction": done},
    ]
    stage.answers(data(*events), "text/event-stream")
    client = ai_studio_client(stage.gateway.url)

    def call() -> list[Any]:
        return list(client.interactions.create(model="gemini-3-pro", input="Hi", stream=True))

    seen, record, received = await stage.observe(lambda: asyncio.to_thread(call))
    client.close()
    assert [event.event_type for event in seen] == [event["event_type"] for event in events]
    assert received.path.endswith("/interactions")
    assert (record.dialect, record.provider, record.ending) == ("google.interactions", "google", Ending.COMPLETE)
    assert record.reading.usage == Usage(input_tokens=7, output_tokens=8, reasoning_tokens=3)


async def test_a_stream_that_breaks_is_told_in_googles_own_form(stage: Stage) -> None:
    first = {"candidates": [{"content": {"parts": [{"text": "Hello"}]}}], "usageMetadata": {"promptTokenCount": 2}}
    top = head(200, content_type="text/event-stream", coding=Coding.CHUNKED)
    stage.upstream.handler = lambda _: [top, chunk(data(first)), Reset()]
    client = ai_studio_client(stage.gateway.url)

    async def call() -> Any:
        parts = await client.aio.models.generate_content_stream(model=MODEL, contents="Hi")
        told = (await anext(parts)).text
        with pytest.raises(APIError) as caught:
            await anext(parts)
        return told, caught.value.status

    told, record, _ = await stage.observe(call)
    await client.aio.aclose()
    client.close()
    assert told == ("Hello", "UNAVAILABLE")
    assert (record.ending, record.reading.basis) == (Ending.UPSTREAM_CUT, Basis.PARTIAL)
    assert record.reading.usage == Usage(input_tokens=2)


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("POST", f"/v1beta/models/{MODEL}:generateContent", f"/v1beta/models/{MODEL}:generateContent"),
        ("POST", f"/v1beta/models/google%2F{MODEL}:countTokens", f"/v1beta/models/{MODEL}:countTokens"),
        ("POST", f"/p/google/v1beta/models/{MODEL}:generateContent", f"/v1beta/models/{MODEL}:generateContent"),
        ("POST", "/p/google/v1/cachedContents", "/v1/cachedContents"),
        ("GET", "/p/google/v1beta/files", "/v1beta/files"),
        ("GET", "/v1beta/models", "/v1beta/models"),
    ],
)
async def test_a_key_in_the_query_does_not_go_on(stage: Stage, method: str, path: str, target: str) -> None:
    stage.answers(b"{}")

    async def call() -> RawClient:
        async with RawClient(stage.gateway.port) as client:
            client.send(f"{path}?key=a-client&pageSize=5", b"{}", method=method)
            await client.read_all()
            return client

    answer, record, received = await stage.observe(call)
    assert (answer.status, answer.body) == (200, b"{}")
    assert received.target.decode() == f"{target}?pageSize=5"
    assert [pair for pair in received.headers if pair[0] in CREDENTIALS] == [AI_STUDIO.credential]
    assert "a-client" not in str(record)


async def test_the_models_that_can_be_asked_for_are_listed(stage: Stage) -> None:
    client = ai_studio_client(stage.gateway.url)
    names = [model.name async for model in await client.aio.models.list()]
    one = await client.aio.models.get(model="gpt-4o-mini")
    await client.aio.aclose()
    client.close()
    assert one.name == "models/gpt-4o-mini"
    assert one.name in names
