"""LiteLLM's proxy as the upstream: a server that sends usage after the finish, in a chunk whose choices are not empty.

Its answers are mocked by its own `mock_response`; framing, order and counts are LiteLLM's.
"""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio

from headgate.records import Ending
from headgate.usage import Basis
from tests.e2e.running import Running, running_gateway
from tests.ports import kept_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

LITELLM = Path(os.environ.get("LITELLM", ".venv-litellm/bin/litellm")).absolute()
TEXT = "Water runs through the headgate and is measured."
CONFIG = f"""
model_list:
  - model_name: mocked
    litellm_params: {{model: openai/gpt-4o-mini, api_key: none, mock_response: "{TEXT}"}}
"""
MESSAGES: Any = [{"role": "user", "content": "What runs through the headgate?"}]


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(900):
        try:
            urllib.request.urlopen(f"{address}/health/liveliness", timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The proxy's address."""
    folder = tmp_path_factory.mktemp("litellm")
    (folder / "config.yaml").write_text(CONFIG)
    port = kept_port()
    command = [str(LITELLM), "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    env = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DISABLE_ADMIN_UI": "true",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(litellm: str) -> AsyncIterator[Running]:
    async with running_gateway(litellm) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(gateway: Running) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as opened:
        yield opened


async def test_usage_after_the_finish_in_a_chunk_with_choices(gateway: Running, client: openai.AsyncOpenAI) -> None:
    ask = {"model": "openai/mocked", "messages": MESSAGES, "stream_options": {"include_usage": True}}
    stream: Any = await client.chat.completions.create(**ask, stream=True)
    chunks = [chunk async for chunk in stream]
    told = [chunk for chunk in chunks if chunk.usage is not None]
    finished = [n for n, chunk in enumerate(chunks) if chunk.choices and chunk.choices[0].finish_reason]
    assert len(told) == 1
    assert chunks.index(told[0]) > finished[0], "LiteLLM has changed the order that this test is about"
    assert told[0].choices, "LiteLLM has changed the shape that this test is about"
    record = (await gateway.log.all(1))[-1]
    assert record.ending is Ending.COMPLETE
    assert record.reading.basis is Basis.REPORTED
    usage = record.reading.usage
    assert (usage.input_tokens, usage.output_tokens) == (told[0].usage.prompt_tokens, told[0].usage.completion_tokens)
    assert usage.reported_cost_nanos, "it sends the cost that it computed"


async def test_a_client_that_did_not_ask_loses_no_chunk_with_choices(
    gateway: Running, client: openai.AsyncOpenAI
) -> None:
    before = len(gateway.log.kept)
    stream = await client.chat.completions.create(model="openai/mocked", messages=MESSAGES, stream=True)
    said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert said == TEXT
    record = (await gateway.log.all(before + 1))[-1]
    assert record.reading.basis is Basis.REPORTED
    assert record.reading.usage.output_tokens


async def test_a_whole_answer(gateway: Running, client: openai.AsyncOpenAI) -> None:
    before = len(gateway.log.kept)
    answer = await client.chat.completions.create(model="openai/mocked", messages=MESSAGES)
    assert answer.usage is not None
    usage = (await gateway.log.all(before + 1))[-1].reading.usage
    assert (usage.input_tokens, usage.output_tokens) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


async def test_a_whole_response(gateway: Running, client: openai.AsyncOpenAI) -> None:
    before = len(gateway.log.kept)
    answer = await client.responses.create(model="openai/mocked", input="hi")
    assert answer.usage is not None
    usage = (await gateway.log.all(before + 1))[-1].reading.usage
    assert (usage.input_tokens, usage.output_tokens) == (answer.usage.input_tokens, answer.usage.output_tokens)
