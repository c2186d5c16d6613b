"""The official SDKs of other companies, through the gateway, against an upstream that plays their recordings.

What the SDK says was used and what the record says was used must be the same numbers, and the SDK must need nothing but
the gateway's address.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cohere
import groq
import httpx
import ollama
import openai
import pytest
import pytest_asyncio
from mistralai.client import Mistral

from headgate.records import Ending
from headgate.testing import corpus
from headgate.testing.corpus import Case
from headgate.testing.upstream import Close, Coding, ScriptedUpstream, chunk, head, response
from headgate.usage import Basis
from tests.dialects import expected
from tests.e2e.running import CREDENTIAL, Running, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGES: Any = [{"role": "user", "content": "Hi"}]
CASES = {f"{case.dialect}/{case.id}": case for case in corpus.load(Path(__file__).parents[1] / "corpus.tar.xz")}
API_VERSION = "2025-03-01-preview"


class Used(NamedTuple):
    """Inclusive tokens, as an SDK tells them; None where the API has no such number."""

    input: int | None
    output: int | None


class Talk(NamedTuple):
    """One call of an SDK: what it is answered with, and where and for which model the upstream is asked."""

    call: Callable[[str], Used]
    answer: Case
    target: str
    model: str | None


def of_chat(usage: Any) -> Used:
    return Used(usage.prompt_tokens, usage.completion_tokens)


def of_cohere(usage: Any) -> Used:
    return Used(int(usage.tokens.input_tokens), int(usage.tokens.output_tokens))


@contextmanager
def cohere_client(url: str) -> Iterator[cohere.ClientV2]:
    with httpx.Client() as http:  # the client's own it never closes
        yield cohere.ClientV2("a-client", base_url=url, httpx_client=http)


def cohere_chat(url: str) -> Used:
    with cohere_client(url) as client:
        return of_cohere(client.chat(model="command-a", messages=MESSAGES).usage)


def cohere_stream(url: str) -> Used:
    with cohere_client(url) as client:
        events = list(client.chat_stream(model="cohere/command-a", messages=MESSAGES))
    (end,) = [event for event in events if event.type == "message-end"]
    return of_cohere(end.delta.usage if end.delta else None)


def cohere_embed(url: str) -> Used:
    with cohere_client(url) as client:
        answer = client.embed(model="embed-v4.0", texts=["Hi"], input_type="search_query", embedding_types=["float"])
    assert answer.meta is not None
    assert answer.meta.billed_units is not None
    assert answer.meta.billed_units.input_tokens
    return Used(None, None)


def mistral_chat(url: str) -> Used:
    with Mistral(api_key="a-client", server_url=url) as client:
        return of_chat(client.chat.complete(model="mistral-large-latest", messages=MESSAGES).usage)


def mistral_stream(url: str) -> Used:
    with Mistral(api_key="a-client", server_url=url) as client:
        *_, last = client.chat.stream(model="mistral-large-latest", messages=MESSAGES)
        return of_chat(last.data.usage)


def groq_chat(url: str) -> Used:
    with groq.Groq(base_url=url, api_key="a-client", max_retries=0) as client:
        return of_chat(client.chat.completions.create(model="groq/llama-3.3-70b", messages=MESSAGES).usage)


def groq_stream(url: str) -> Used:
    with groq.Groq(base_url=url, api_key="a-client", max_retries=0) as client:
        chunks = client.chat.completions.create(model="groq/llama-3.3-70b", messages=MESSAGES, stream=True)
        (told,) = [
            chunk.x_groq.usage for chunk in chunks if chunk.x_groq is not None and chunk.x_groq.usage is not None
        ]
        return of_chat(told)


def ollama_chat(url: str) -> Used:
    with ollama.Client(url) as client:
        answer = client.chat(model="ollama/qwen3.6", messages=MESSAGES)
    return Used(answer.prompt_eval_count, answer.eval_count)


def ollama_stream(url: str) -> Used:
    with ollama.Client(url) as client:
        *_, last = client.chat(model="ollama/qwen3.6", messages=MESSAGES, stream=True)
    return Used(last.prompt_eval_count, last.eval_count)


def azure(url: str, version: str = API_VERSION) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint=url,
        api_version=version,
        api_key="a-client",
        max_retries=0,
        default_headers={"X-Provider": "azure"},
    )


def azure_chat(url: str) -> Used:
    with azure(url) as client:
        return of_chat(client.chat.completions.create(model="my-gpt", messages=MESSAGES).usage)


def azure_stream(url: str) -> Used:
    with azure(url) as client:
        chunks = client.chat.completions.create(
            model="my-gpt", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        (told,) = [chunk.usage for chunk in chunks if chunk.usage is not None]
        return of_chat(told)


def azure_v1(url: str) -> Used:
    with openai.OpenAI(base_url=f"{url}/openai/v1", api_key="a-client", max_retries=0) as client:
        return of_chat(client.chat.completions.create(model="azure/my-gpt", messages=MESSAGES).usage)


AZURE = f"/openai/deployments/my-gpt/chat/completions?api-version={API_VERSION}"
CHAT = "/v1/chat/completions"
MISTRAL = "mistral/openinference--strumentor-test_synchronous_streaming_chat_completions_emits_expected_span-False"
OLLAMA = "ollama/openinference--test_instrumentor-test_chat_"

TALKS = {
    "cohere chat": Talk(cohere_chat, CASES["cohere/ai--__fixtures__-cohere-text-47d250"], "/v2/chat", "command-a"),
    "cohere stream": Talk(
        cohere_stream, CASES["cohere/langchain-cohere--cassettes-test_astream"], "/v2/chat", "command-a"
    ),
    "cohere embed": Talk(cohere_embed, CASES["cohere/ai--__fixtures__-cohere-embedding"], "/v2/embed", "embed-v4.0"),
    "mistral chat": Talk(
        mistral_chat, CASES["mistral/ai--__fixtures__-mistral-text-81932f"], CHAT, "mistral-large-latest"
    ),
    "mistral stream": Talk(mistral_stream, CASES[MISTRAL], CHAT, "mistral-large-latest"),
    "groq chat": Talk(groq_chat, CASES["openai.chat/GoModel--groq-chat_completion"], "/openai" + CHAT, "llama-3.3-70b"),
    "groq stream": Talk(
        groq_stream,
        CASES["openai.chat/openinference--test_token_counts-TestTokenCounts.test_groq"],
        "/openai" + CHAT,
        "llama-3.3-70b",
    ),
    "ollama chat": Talk(ollama_chat, CASES[OLLAMA + "with_callable_tool"], "/api/chat", "qwen3.6"),
    "ollama stream": Talk(ollama_stream, CASES[OLLAMA + "stream-33faed"], "/api/chat", "qwen3.6"),
    "azure chat": Talk(
        azure_chat, CASES["openai.chat/pydantic-ai--test_azure-test_azure_provider_call"], AZURE, "my-gpt"
    ),
    "azure stream": Talk(azure_stream, CASES["openai.chat/req_llm--deepseek_v3_1-streaming"], AZURE, "my-gpt"),
    "azure v1": Talk(
        azure_v1, CASES["openai.chat/pydantic-ai--test_azure-test_azure_provider_call"], "/openai" + CHAT, "my-gpt"
    ),
}


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with ScriptedUpstream(lambda _: []) as upstream, running_gateway(upstream.url) as gateway:
        yield Stage(upstream, gateway)


def play(stage: Stage, case: Case) -> None:
    coding = Coding.CHUNKED if case.stream else Coding.LENGTH
    stage.upstream.handler = lambda _: response(case.chunks(), content_type=case.content_type, coding=coding)


@pytest.mark.parametrize("name", TALKS)
async def test_the_sdk_and_the_record_say_the_same(name: str, stage: Stage) -> None:
    call, case, target, model = TALKS[name]
    play(stage, case)
    seen = len(stage.gateway.log.kept)
    told = await asyncio.to_thread(call, stage.gateway.url)
    record = (await stage.gateway.log.all(seen + 1))[-1]
    assert record.reading.usage == expected.usage(case)
    assert (record.reading.usage.input_tokens, record.reading.usage.output_tokens) == told
    assert (record.ending, record.reading.basis, record.streamed) == (Ending.COMPLETE, Basis.REPORTED, case.stream)
    assert record.provider == name.partition(" ")[0]
    asked = stage.upstream.requests[-1]
    assert asked.target.decode() == target
    assert json.loads(asked.body)["model"] == model
    assert CREDENTIAL.encode() in {value.removeprefix(b"Bearer ") for _, value in asked.headers}
    assert b"a-client" not in b"".join(value for _, value in asked.headers)
    assert record.bytes_in == len(case.body)


async def test_coheres_first_version_is_told_of_a_break_between_two_lines(stage: Stage) -> None:
    """Its SDK has the texts that came, and then an end with the reason ERROR."""
    texts = [json.dumps({"event_type": "text-generation", "text": text}).encode() + b"\n" for text in ("a", "b")]
    stage.upstream.handler = lambda _: [head(content_type="application/stream+json"), *map(chunk, texts), Close()]

    def talk() -> list[Any]:
        with httpx.Client() as http:
            client = cohere.Client("a-client", base_url=stage.gateway.url, httpx_client=http)
            return list(client.chat_stream(model="command-r", message="Hi"))

    *events, end = await asyncio.to_thread(talk)
    assert [event.text for event in events] == ["a", "b"]
    assert (end.event_type, end.finish_reason, end.response.text) == ("stream-end", "ERROR", "")
    assert "broke off" in end.error


@pytest.mark.parametrize(("version", "asked"), [("2024-06-01", False), ("2024-10-21", True)])
async def test_azure_is_asked_for_usage_where_its_version_takes_that(version: str, asked: bool, stage: Stage) -> None:
    case = CASES["openai.chat/req_llm--deepseek_v3_1-streaming"]
    play(stage, case)

    def talk() -> list[Any]:
        with azure(stage.gateway.url, version) as client:
            return list(client.chat.completions.create(model="my-gpt", messages=MESSAGES, stream=True))

    chunks = await asyncio.to_thread(talk)
    request = stage.upstream.requests[-1]
    assert request.target.endswith(f"?api-version={version}".encode())
    assert ("stream_options" in json.loads(request.body)) == asked
    assert any(chunk.usage is not None for chunk in chunks) != asked
