"""Every recorded response of the dialects we speak, replayed through the running gateway over real sockets."""

import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import pytest_asyncio

from headgate.dialects import registry as registry_of_dialects
from headgate.errors import UpstreamCut
from headgate.providers import registry
from headgate.providers.base import StreamUsage
from headgate.records import Ending, Record
from headgate.testing import corpus
from headgate.testing.corpus import Case
from headgate.testing.upstream import Coding, ScriptedUpstream, response
from headgate.usage import Basis
from tests.dialects import expected
from tests.e2e.raw import RawClient, post
from tests.e2e.running import Running, running_gateway

MESSAGES = [{"role": "user", "content": "Hi"}]


class Way(NamedTuple):
    """How to ask for a case: our dialect, the gateway's path for it, and a minimal request."""

    dialect: str
    path: str
    request: dict[str, Any]


ROUTES = {
    "openai.chat": Way("openai.chat", "/v1/chat/completions", {"messages": MESSAGES}),
    "mistral": Way("openai.chat", "/v1/chat/completions", {"messages": MESSAGES}),
    "openai.completions": Way("openai.completions", "/v1/completions", {"prompt": "Hi"}),
    "openai.embeddings": Way("openai.embeddings", "/v1/embeddings", {"input": "Hi"}),
    "openai.responses": Way("openai.responses", "/v1/responses", {"input": "Hi"}),
    "anthropic.messages": Way("anthropic.messages", "/v1/messages", {"max_tokens": 9, "messages": MESSAGES}),
    "cohere": Way("cohere", "", {"messages": MESSAGES}),
    "ollama": Way("ollama", "/api/chat", {"messages": MESSAGES}),
    "bedrock.converse": Way("bedrock.converse", "/model/{model}/converse", {"messages": []}),
    "bedrock.converse-stream": Way("bedrock.converse", "/model/{model}/converse-stream", {"messages": []}),
    "bedrock.invoke": Way("bedrock.invoke", "/model/{model}/invoke", {"prompt": "Hi"}),
    "bedrock.invoke-with-response-stream": Way(
        "bedrock.invoke", "/model/{model}/invoke-with-response-stream", {"prompt": "Hi"}
    ),
    "google.generate_content": Way("google.generate_content", "", {"contents": []}),
}
"""By wire dialect. Where a path names the model, it is the recorded one: see `way_of`."""

INCLUDE_USAGE = {"openai.chat", "openai.completions"}

CASES = corpus.of_dialects(corpus.load(Path(__file__).parents[1] / "corpus.tar.xz"), *ROUTES)

CHAT_STREAMS = [case for case in CASES if case.stream and ROUTES[case.wire_dialect].dialect in INCLUDE_USAGE]
"""Those whose requests may ask for usage."""


def way_of(case: Case) -> Way:
    way = ROUTES[case.wire_dialect]
    if way.path:
        return way._replace(path=way.path.format(model=quote(case.model or "some-model", safe="")))
    path = case.api_path.removeprefix("/google-vertex")  # another gateway's, in front of Vertex' own
    return way._replace(path=path, dialect="vertex.generate_content" if "/publishers/" in path else way.dialect)


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with ScriptedUpstream(lambda _: []) as upstream, running_gateway(upstream.url) as gateway:
        yield Stage(upstream, gateway)


async def replayed(case: Case, sent: bytes, stage: Stage) -> tuple[RawClient, Record]:
    """What the client got for its request, and what was recorded."""
    coding = Coding.CHUNKED if case.stream else Coding.LENGTH
    counted = [(name.encode(), count.encode()) for name, count in case.usage_headers.items()]
    stage.upstream.handler = lambda _: response(
        pieces(case), status_of(case), content_type=case.content_type, coding=coding, headers=counted
    )
    answer = await post(stage.gateway.port, way_of(case).path, sent, [("x-provider", provider_of(case))])
    return answer, await stage.gateway.log.of(answer.headers["x-headgate-exchange-id"])


def pieces(case: Case) -> list[bytes]:
    """The body as it arrived, where that was recorded; else cut anywhere, the same way each time."""
    if case.chunk_lengths:
        return case.chunks()
    chance, body, found = random.Random(case.id), case.body, []
    while body:
        size = chance.randint(1, 3000)
        found.append(body[:size])
        body = body[size:]
    return found


def status_of(case: Case) -> int:
    return case.status or 400  # one source kept an error's body without its status


def provider_of(case: Case) -> str:
    """The provider that was recorded, if we know it and it speaks the dialect; else the dialect's own company."""
    dialect = way_of(case).dialect
    speaking = {provider.name for provider in registry.all_providers() if dialect in provider.dialects}
    return case.provider if case.provider in speaking else dialect.partition(".")[0]


def request_of(case: Case, *, asks_for_usage: bool = True) -> bytes:
    """The recorded request, or a minimal one; if it asks for a stream's usage itself, nothing is to be taken out."""
    body: dict[str, Any] = dict(ROUTES[case.wire_dialect].request) if case.request is None else json.loads(case.request)
    if not ROUTES[case.wire_dialect].path:
        return json.dumps(body, ensure_ascii=False).encode()
    body["model"] = body.get("model") or case.model or "some-model"
    body["stream"] = case.stream
    body.pop("stream_options", None)
    if asks_for_usage and case in CHAT_STREAMS:
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body, ensure_ascii=False).encode()


def ending_of(case: Case) -> Ending:
    if status_of(case) >= 400:
        return Ending.REFUSED
    if (
        "mid_stream_error" in case.tags
        or "failure-error-mid-stream" in case.id
        or b'"finish_reason":"ERROR"' in case.body
    ):
        return Ending.UPSTREAM_ERROR
    if "cut_off" in case.tags and case.framing == "eventstream":
        return Ending.INCOMPLETE
    return Ending.INCOMPLETE if "no_done" in case.tags or "failure-invalid-json" in case.id else Ending.COMPLETE


def told_after(case: Case, record: Record) -> bytes:
    """Of one recording nothing is an answer: its client is told, behind it."""
    if "failure-invalid-json" not in case.id or not case.stream:
        return b""
    dialect = registry_of_dialects.by_name(way_of(case).dialect)
    return dialect.error_frame(UpstreamCut("The provider's answer stopped before its end."), record.exchange_id)


@pytest.mark.parametrize("case", CASES, ids=expected.name)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_recorded_response_passes_unchanged_and_is_metered(
    case: Case, stage: Stage, request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(("replayed", case.wire_dialect))  # counted where the run ends
    sent = request_of(case)
    answer, record = await replayed(case, sent, stage)
    assert stage.upstream.requests[-1].body == sent
    assert answer.complete
    assert (answer.status, answer.headers["content-type"]) == (status_of(case), case.content_type)
    assert answer.body == case.body + told_after(case, record)
    assert record.reading.usage == expected.usage(case)
    assert record.bytes_in == record.bytes_out == len(case.body)
    assert record.ending == ending_of(case)
    assert (record.dialect, record.provider) == (way_of(case).dialect, provider_of(case))
    assert record.status == status_of(case)
    if case.usage_raw is not None and status_of(case) < 400 and not record.reading.usage.is_empty:
        assert record.reading.basis is Basis.REPORTED


@pytest.mark.parametrize("case", CHAT_STREAMS, ids=expected.name)
@pytest.mark.asyncio(loop_scope="module")
async def test_usage_is_read_and_not_shown_where_the_client_did_not_ask(case: Case, stage: Stage) -> None:
    sent = request_of(case, asks_for_usage=False)
    answer, record = await replayed(case, sent, stage)
    provider = registry.by_name(provider_of(case))
    reached = stage.upstream.requests[-1].body
    asked: dict[str, Any] = json.loads(reached)
    injected = provider.stream_usage is StreamUsage.ON_REQUEST
    assert asked == json.loads(sent) | ({"stream_options": {"include_usage": True}} if injected else {})
    assert reached.endswith(sent.removeprefix(b"{"))  # spliced in: the client's own text is all there
    assert answer.complete
    assert answer.body == (without_usage_only_frames(case.body) if injected and status_of(case) == 200 else case.body)
    assert record.bytes_in == len(case.body)
    assert record.bytes_out == len(answer.body)
    assert record.reading.usage == expected.usage(case)
    assert record.ending == ending_of(case)


def without_usage_only_frames(body: bytes) -> bytes:
    """The body without the frames that come only because usage was asked for: no choices, but a usage object."""

    def is_usage_only(frame: bytes) -> bool:
        data = frame.strip().removeprefix(b"data:").strip()
        value = json.loads(data) if data.startswith(b"{") else {}
        return value.get("choices") == [] and isinstance(value.get("usage"), dict)

    frames = re.findall(rb".*?(?:\r?\n\r?\n|\Z)", body, re.DOTALL)
    return b"".join(frame for frame in frames if not is_usage_only(frame))


def test_some_streams_have_a_frame_to_take_out() -> None:
    """So that the test above compares with something."""
    assert sum(without_usage_only_frames(case.body) != case.body for case in CHAT_STREAMS) > 20


def test_every_case_was_taken() -> None:
    """The corpus' own table: so no case is lost by a filter."""
    assert len(CASES) == 959
