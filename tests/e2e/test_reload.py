"""SIGHUP to the command as it runs: OpenAI's own client streams across it, and a bad file changes nothing."""

import asyncio
import json
import os
import signal
from pathlib import Path

import openai

from headgate.testing.upstream import LAST_CHUNK, Received, Script, ScriptedUpstream, WaitFor, chunk, head
from tests.e2e.books import GatewayProcess, fill, key_text, opened

CREDIT_NANOS = 10**12


class Provider:
    """Says with which credential it was called, waits to be let go on, and says it again."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    def __call__(self, request: Received) -> Script:
        credential = dict(request.headers)[b"authorization"].decode().removeprefix("Bearer ")
        yield head(content_type="text/event-stream")
        yield chunk(_frame([{"index": 0, "delta": {"content": f"{credential} "}}]))
        yield WaitFor(self.go_on)
        yield chunk(_frame([{"index": 0, "delta": {"content": credential}, "finish_reason": "stop"}]))
        yield chunk(_frame([], usage={"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}))
        yield chunk(b"data: [DONE]\n\n")
        yield LAST_CHUNK


def _frame(choices: object, **more: object) -> bytes:
    told = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "gpt-4o-mini", "choices": choices}
    return b"data: " + json.dumps({**told, **more}).encode() + b"\n\n"


async def test_a_stream_of_openais_client_outlives_the_settings_that_it_began_under(tmp_path: Path) -> None:
    database = str(tmp_path / "books.db")
    async with opened(database) as store:
        await fill(store, credit_nanos=CREDIT_NANOS, keys=["a"])
    provider = Provider()
    async with ScriptedUpstream(provider) as upstream:
        gateway = GatewayProcess(tmp_path, upstream.url, database)
        await gateway.start()
        try:
            address = f"http://127.0.0.1:{gateway.port}/v1"
            async with openai.AsyncOpenAI(base_url=address, api_key=key_text("a"), max_retries=0) as client:
                await _across(client, gateway, provider)
        finally:
            await gateway.stop()
    async with opened(database) as store:
        records = await store.records()
        assert [record.ending for record in records] == ["complete"] * 3
        assert await store.open_holds() == []


async def _across(client: openai.AsyncOpenAI, gateway: GatewayProcess, provider: Provider) -> None:
    old = await _begun(client)
    good = gateway.settings()
    gateway.write(good.replace("the-providers-own-key", "a-newer-key"))
    await _hung_up(gateway, "changed: providers")
    new = await _begun(client)
    gateway.write(good.replace("[limits]", "[limits]\nnonsense = 'sk-of-the-bad-file'"))
    await _hung_up(gateway, "the settings stay as they were")
    newest = await _begun(client)
    provider.go_on.set()
    assert await _rest(old) == "the-providers-own-key the-providers-own-key"
    assert await _rest(new) == await _rest(newest) == "a-newer-key a-newer-key"
    assert "sk-of-the-bad-file" not in gateway.log()


async def _begun(client: openai.AsyncOpenAI) -> openai.AsyncStream[openai.types.chat.ChatCompletionChunk]:
    return await client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], max_tokens=50, stream=True
    )


async def _rest(stream: openai.AsyncStream[openai.types.chat.ChatCompletionChunk]) -> str:
    return "".join([event.choices[0].delta.content or "" async for event in stream if event.choices])


async def _hung_up(gateway: GatewayProcess, told: str) -> None:
    """SIGHUP, and what becomes of it is in the log."""
    before = gateway.log().count(told)
    os.kill(gateway.pid, signal.SIGHUP)
    async with asyncio.timeout(20):
        while gateway.log().count(told) == before:
            await asyncio.sleep(0.02)
