"""The official SDKs, through the gateway, against an inference server that nobody here wrote: llama.cpp's.

What the SDK says was used and what the record says was used must be the same numbers.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
import pytest_asyncio
import xllamacpp

from headgate.records import Ending
from headgate.usage import Basis
from tests.e2e.running import Running, running_gateway
from tests.e2e.tiny_model import write_model

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "vllm/tiny"
"""The prefix is the gateway's, and is gone when the server sees the request."""
ASK = "Say something long about rivers."
MESSAGES: Any = [{"role": "user", "content": ASK}]


class Used(NamedTuple):
    """What a call used, inclusive totals; None where the API has no such number."""

    input: int
    cached: int | None
    output: int | None


def of_chat(usage: Any) -> Used:
    return Used(usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens)


def of_embeddings(usage: Any) -> Used:
    return Used(usage.prompt_tokens, None, None)


def of_responses(usage: Any) -> Used:
    return Used(usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens)


def of_messages(usage: Any) -> Used:
    cached = usage.cache_read_input_tokens
    return Used(usage.input_tokens + (cached or 0), cached, usage.output_tokens)


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real inference server's address."""
    path: Path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_model(path)
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.model_alias = {"tiny"}
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_ctx = 2048
    settings.n_parallel = 2
    settings.n_threads_http = 4
    settings.cpuparams.n_threads = 1
    settings.warmup = False
    settings.embedding = True
    settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(settings)
    yield server.listening_address
    del server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(inference: str) -> AsyncIterator[Running]:
    async with running_gateway(inference) as running:
        yield running


@contextmanager
def sync_openai(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url + "/v1", api_key="a-client", max_retries=0) as client:
        yield client


@contextmanager
def sync_anthropic(url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=url, api_key="a-client", max_retries=0) as client:
        yield client


def chat(url: str) -> Used:
    with sync_openai(url) as client:
        return of_chat(client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=8).usage)


def chat_stream(url: str) -> Used:
    with sync_openai(url) as client:
        *_, last = client.chat.completions.create(
            model=MODEL, messages=MESSAGES, max_tokens=9, stream=True, stream_options={"include_usage": True}
        )
        return of_chat(last.usage)


def completion(url: str) -> Used:
    with sync_openai(url) as client:
        return of_chat(client.completions.create(model=MODEL, prompt=ASK, max_tokens=10).usage)


def completion_stream(url: str) -> Used:
    with sync_openai(url) as client:
        *_, last = client.completions.create(
            model=MODEL, prompt=ASK, max_tokens=11, stream=True, stream_options={"include_usage": True}
        )
        return of_chat(last.usage)


def embedding(url: str) -> Used:
    with sync_openai(url) as client:
        return of_embeddings(client.embeddings.create(model=MODEL, input=ASK).usage)


def responses(url: str) -> Used:
    with sync_openai(url) as client:
        return of_responses(client.responses.create(model=MODEL, input=ASK, max_output_tokens=12).usage)


def responses_stream(url: str) -> Used:
    with sync_openai(url) as client:
        *_, last = client.responses.create(model=MODEL, input=ASK, max_output_tokens=13, stream=True)
        assert last.type == "response.completed"
        return of_responses(last.response.usage)


def messages(url: str) -> Used:
    with sync_anthropic(url) as client:
        return of_messages(client.messages.create(model=MODEL, messages=MESSAGES, max_tokens=14).usage)


def messages_stream(url: str) -> Used:
    with sync_anthropic(url) as client, client.messages.stream(model=MODEL, messages=MESSAGES, max_tokens=15) as stream:
        return of_messages(stream.get_final_message().usage)


async def async_chat(url: str) -> Used:
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="a-client", max_retries=0) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=8)
        return of_chat(answer.usage)


async def async_chat_stream(url: str) -> Used:
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="a-client", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, max_tokens=9, stream=True, stream_options={"include_usage": True}
        )
        return of_chat([chunk async for chunk in stream][-1].usage)


async def async_responses_stream(url: str) -> Used:
    async with openai.AsyncOpenAI(base_url=url + "/v1", api_key="a-client", max_retries=0) as client:
        stream = await client.responses.create(model=MODEL, input=ASK, max_output_tokens=13, stream=True)
        last: Any = [event async for event in stream][-1]
        return of_responses(last.response.usage)


async def async_messages(url: str) -> Used:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="a-client", max_retries=0) as client:
        return of_messages((await client.messages.create(model=MODEL, messages=MESSAGES, max_tokens=14)).usage)


async def async_messages_stream(url: str) -> Used:
    async with (
        anthropic.AsyncAnthropic(base_url=url, api_key="a-client", max_retries=0) as client,
        client.messages.stream(model=MODEL, messages=MESSAGES, max_tokens=15) as stream,
    ):
        return of_messages((await stream.get_final_message()).usage)


CALLS: list[tuple[Callable[[str], Any], str]] = [
    (chat, "openai.chat"),
    (chat_stream, "openai.chat"),
    (completion, "openai.completions"),
    (completion_stream, "openai.completions"),
    (embedding, "openai.embeddings"),
    (responses, "openai.responses"),
    (responses_stream, "openai.responses"),
    (messages, "anthropic.messages"),
    (messages_stream, "anthropic.messages"),
    (async_chat, "openai.chat"),
    (async_chat_stream, "openai.chat"),
    (async_responses_stream, "openai.responses"),
    (async_messages, "anthropic.messages"),
    (async_messages_stream, "anthropic.messages"),
]


async def run(call: Callable[[str], Any], url: str) -> Any:
    """Run a call beside the gateway's loop if it blocks, in it if it does not."""
    return await call(url) if inspect.iscoroutinefunction(call) else await asyncio.to_thread(call, url)


@pytest.mark.parametrize(("call", "dialect"), CALLS, ids=[call.__name__ for call, _ in CALLS])
async def test_the_record_says_what_the_sdk_says(call: Callable[[str], Any], dialect: str, gateway: Running) -> None:
    known = len(gateway.log.kept)
    used = await run(call, gateway.url)
    record = (await gateway.log.all(at_least=known + 1))[-1]
    usage = record.reading.usage
    assert Used(usage.input_tokens or 0, usage.cache_read_tokens, usage.output_tokens) == used
    assert (record.dialect, record.provider, record.reading.served_model) == (dialect, "vllm", "tiny")
    assert (record.ending, record.reading.basis) == (Ending.COMPLETE, Basis.REPORTED)
    assert record.bytes_in == record.bytes_out > 0
    assert record.streamed is ("stream" in call.__name__)


async def test_usage_is_read_even_where_the_client_did_not_ask_for_it(gateway: Running) -> None:
    def call(url: str) -> list[Any]:
        with sync_openai(url) as client:
            return list(client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=16, stream=True))

    known = len(gateway.log.kept)
    chunks = await run(call, gateway.url)
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    record = (await gateway.log.all(at_least=known + 1))[-1]
    assert record.reading.usage.output_tokens == 16
    assert record.reading.basis is Basis.REPORTED
    assert record.bytes_out < record.bytes_in


async def test_counting_tokens_is_free(gateway: Running) -> None:
    def call(url: str) -> int:
        with sync_anthropic(url) as client:
            return client.messages.count_tokens(model=MODEL, messages=MESSAGES).input_tokens

    known = len(gateway.log.kept)
    assert await run(call, gateway.url) > 0
    record = (await gateway.log.all(at_least=known + 1))[-1]
    assert (record.counted, record.reading.basis) == (False, Basis.NONE)


async def test_the_sdks_understand_a_refusal(gateway: Running) -> None:
    def unknown_chat(url: str) -> None:
        with sync_openai(url) as client, pytest.raises(openai.NotFoundError) as refusal:
            client.chat.completions.create(model="no-such-model", messages=MESSAGES)
        assert refusal.value.code == "model_not_found"

    def unknown_message(url: str) -> None:
        with sync_anthropic(url) as client, pytest.raises(anthropic.NotFoundError) as refusal:
            client.messages.create(model="no-such-model", messages=MESSAGES, max_tokens=1)
        assert "no-such-model" in refusal.value.message

    for call in (unknown_chat, unknown_message):
        await run(partial(call), gateway.url)
