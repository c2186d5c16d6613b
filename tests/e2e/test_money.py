"""The official SDKs with a virtual key: what they are told of the cost is what the ledger took, to the nano-dollar."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio

from headgate.access.virtual import VirtualKey, digest_of, hint_of, key_text
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.records import Record, Settled
from headgate.testing.replay import replay
from headgate.testing.upstream import ScriptedUpstream
from tests.e2e.running import ACCESS_SECRET, Running, running_gateway

CREDIT_NANOS = 10**9
TEXT = key_text(bytes(range(24)))
MESSAGES: Any = [{"role": "user", "content": "hello"}]
OPENAI, ANTHROPIC = "gpt-4o-mini", "claude-sonnet-4-6"


@dataclass
class Scene:
    """A gateway in front of recordings, and an account with a dollar."""

    gateway: Running
    upstream: ScriptedUpstream

    def openai(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=self.gateway.url + "/v1", api_key=TEXT)

    def anthropic(self) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(base_url=self.gateway.url, api_key=TEXT)

    async def spent(self) -> int:
        account = await self.gateway.log.account("team")
        assert account is not None
        assert account.held_nanos == 0
        return CREDIT_NANOS - account.posted_nanos

    async def record(self) -> Record:
        (record,) = await self.gateway.log.all(1)
        return record

    async def leave(self, nanos: int) -> None:
        """All but so much of the credit is gone."""
        correction = Post("gone", "team", EntryKind.CORRECTION, nanos - CREDIT_NANOS, 0)
        assert (await self.gateway.log.submit(correction)).stands


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    async with ScriptedUpstream(replay(speed=1000)) as upstream, running_gateway(upstream.url) as gateway:
        store = gateway.log
        await store.submit(OpenAccount("team", AccountKind.PREPAID, 0))
        await store.submit(Post("first", "team", EntryKind.TOP_UP, CREDIT_NANOS, 0))
        digest = digest_of(TEXT.encode(), ACCESS_SECRET.encode())
        await store.put_key(VirtualKey("key_1", "alice", "team", digest, hint_of(TEXT), 0))
        yield Scene(gateway, upstream)


def nanos(dollars: str) -> int:
    return int(Decimal(dollars) * 10**9)


async def test_the_head_of_a_document_tells_what_the_ledger_took(scene: Scene) -> None:
    async with scene.openai() as client:
        answer = await client.chat.completions.with_raw_response.create(model=OPENAI, messages=MESSAGES)
    usage = answer.parse().usage
    assert usage is not None
    record = await scene.record()
    # gpt-4o-mini: $0.15 a million tokens in, $0.60 out, that is 150 and 600 nano-dollars a token.
    by_hand = usage.prompt_tokens * 150 + usage.completion_tokens * 600
    assert nanos(answer.headers["x-headgate-cost-usd"]) == by_hand == record.bill.charge_nanos == await scene.spent()
    assert int(answer.headers["x-headgate-input-tokens"]) == usage.prompt_tokens
    assert int(answer.headers["x-headgate-output-tokens"]) == usage.completion_tokens
    assert (record.bill.settled, record.bill.account, record.key) == (Settled.CAPTURED, "team", "alice")


async def test_after_a_stream_the_exchange_tells_it(scene: Scene) -> None:
    async with scene.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="gpt-3.5-turbo", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        *_, last = [chunk async for chunk in raw.parse()]
        told = await client.get(f"/exchanges/{raw.headers['x-headgate-exchange-id']}", cast_to=dict[str, Any])
    assert last.usage is not None
    assert told["charge_nanos"] == last.usage.prompt_tokens * 500 + last.usage.completion_tokens * 1500
    assert told["charge_nanos"] == sum(
        nanos(line["dollars"]) * int(line["quantity"]) // line["per"] for line in told["lines"]
    )
    assert told["charge_nanos"] == await scene.spent()


async def test_messages_cost_what_anthropic_asks(scene: Scene) -> None:
    async with scene.anthropic() as client:
        answer = await client.messages.with_raw_response.create(model=ANTHROPIC, max_tokens=100, messages=MESSAGES)
    usage = (await answer.parse()).usage
    # Claude Sonnet 4: $3 a million tokens in, $15 out.
    assert nanos(answer.headers["x-headgate-cost-usd"]) == usage.input_tokens * 3_000 + usage.output_tokens * 15_000
    assert await scene.spent() == nanos(answer.headers["x-headgate-cost-usd"])


async def test_without_credit_openais_sdk_raises_and_does_not_try_again(scene: Scene) -> None:
    await scene.leave(1_000)
    async with scene.openai() as client:
        with pytest.raises(openai.APIStatusError) as raised:
            await client.chat.completions.create(model=OPENAI, messages=MESSAGES, max_tokens=100)
    assert raised.value.status_code == 402
    assert raised.value.code == "insufficient_credit"
    assert "$0.000001 available" in raised.value.message
    assert len(await scene.gateway.log.all(1)) == 1
    assert scene.upstream.requests == []


async def test_without_credit_anthropics_sdk_raises_and_does_not_try_again(scene: Scene) -> None:
    await scene.leave(1_000)
    async with scene.anthropic() as client:
        with pytest.raises(anthropic.APIStatusError) as raised:
            await client.messages.create(model=ANTHROPIC, max_tokens=100, messages=MESSAGES)
    assert raised.value.status_code == 402
    assert raised.value.body["error"]["type"] == "billing_error"  # type: ignore[index]
    assert len(await scene.gateway.log.all(1)) == 1
    assert scene.upstream.requests == []


async def test_a_revoked_key_is_refused_at_once(scene: Scene) -> None:
    key = await scene.gateway.log.key("key_1")
    assert key is not None
    async with scene.openai() as client:
        await client.chat.completions.create(model=OPENAI, messages=MESSAGES)
        await scene.gateway.log.put_key(VirtualKey("key_1", "alice", "team", key.digest, key.hint, 0, revoked_at_ns=1))
        with pytest.raises(openai.AuthenticationError, match="revoked"):
            await client.chat.completions.create(model=OPENAI, messages=MESSAGES)


async def test_nobody_comes_in_without_a_key_once_there_is_one(scene: Scene) -> None:
    async with openai.AsyncOpenAI(base_url=scene.gateway.url + "/v1", api_key="any") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model=OPENAI, messages=MESSAGES)
    assert scene.upstream.requests == []
