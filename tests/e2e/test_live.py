"""Looking on at a real gateway while a provider streams slowly: what is spent rises, and ends as the record has it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.sections import LimitsSection
from headgate.testing.upstream import LAST_CHUNK, Received, Script, ScriptedUpstream, WaitFor, chunk, head
from tests.admin.events import Event, events, first
from tests.e2e.running import serving

ADMIN_KEY = "an admin key, long enough"
ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
ROUNDS = 3
USAGE = {"prompt_tokens": 9, "completion_tokens": 77, "total_tokens": 86}


class Slow:
    """A provider that says a word whenever it is told to."""

    def __init__(self) -> None:
        self.go_on = [asyncio.Event() for _ in range(ROUNDS + 1)]

    def __call__(self, request: Received) -> Script:
        del request
        yield head(content_type="text/event-stream")
        for event in self.go_on[:-1]:
            yield WaitFor(event)
            yield chunk(self._frame([{"index": 0, "delta": {"content": "word " * 8}, "finish_reason": None}]))
        yield WaitFor(self.go_on[-1])
        yield chunk(self._frame([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        yield chunk(self._frame([], USAGE))
        yield chunk(b"data: [DONE]\n\n")
        yield LAST_CHUNK

    @staticmethod
    def _frame(choices: list[Any], usage: dict[str, int] | None = None) -> bytes:
        told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-mini", "choices": choices}
        return b"data: " + json.dumps(told | {"usage": usage}).encode() + b"\n\n"


class Scene:
    """A gateway, its operator and its user."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url = http, url

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        async with self.http.request(method, f"{self.url}/admin/v1{path}", json=body, headers=ADMIN) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def key(self) -> str:
        """A key with ten dollars behind it."""
        await self.admin("PUT", "/accounts/acme", {"kind": "prepaid"})
        await self.admin("POST", "/accounts/acme/top-ups", {"amount_usd": "10"})
        return str((await self.admin("POST", "/keys", {"name": "web", "account": "acme"}))["key"])

    async def ask(self, key: str) -> bytes:
        """Ask for a stream, and read it to its end."""
        body = {"model": "gpt-4o-mini", "stream": True, "max_tokens": 500,
                "messages": [{"role": "user", "content": "Talk to me at some length, please."}]}  # fmt: skip
        headers = {"authorization": f"Bearer {key}"}
        async with self.http.post(f"{self.url}/v1/chat/completions", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()


@asynccontextmanager
async def scene(slow: Slow, limits: LimitsSection | None = None) -> AsyncIterator[Scene]:
    openai = registry.by_name("openai")
    async with ScriptedUpstream(slow) as upstream, aiohttp.ClientSession() as http:
        deployment = Deployment("openai", openai, openai.root(upstream.url), Secret("sk-x"))
        more = {"admin_keys": {"ada": ADMIN_KEY}}
        async with serving((deployment,), limits=limits, more=more) as running:
            yield Scene(http, running.url)


async def until(told: AsyncIterator[Event], delivered: int) -> Any:
    """The first snapshot's only exchange that has so much delivered."""
    async for event in told:
        if event.name == "live" and event.data["exchanges"]:
            (one,) = event.data["exchanges"]
            if one["delivered_bytes"] >= delivered:
                return one
    raise AssertionError("the stream of events ended")


async def test_tokens_and_money_rise_and_end_as_the_record_has_them() -> None:
    slow = Slow()
    async with scene(slow) as at, at.http.get(f"{at.url}/admin/v1/live/events", headers=ADMIN) as looking:
        told = events(looking)
        asking = asyncio.create_task(at.ask(await at.key()))
        seen = [await until(told, 0)]
        for n, event in enumerate(slow.go_on[:-1], start=1):
            event.set()
            seen.append(await until(told, n * 40))
        slow.go_on[-1].set()
        ended = await anext(event.data async for event in told if event.name == "ended")
        await asking
        record = await at.admin("GET", f"/records/{ended['exchange_id']}")
        hold = await at.admin("GET", f"/holds/{ended['exchange_id']}")
        account = await at.admin("GET", "/accounts/acme")
        after = await at.admin("GET", "/live")
    assert [one["phase"] for one in seen] == ["waiting"] + ["streaming"] * ROUNDS
    assert [one["output_tokens"] for one in seen] == [None, 10, 20, 30], "four bytes a token, until it is told"
    assert {one["estimated"] for one in seen} == {True}
    spent = [one["spent_nanos"] for one in seen]
    assert spent == sorted(set(spent)), "it rises"
    assert {one["hold_nanos"] for one in seen} == {hold["amount_nanos"]}
    assert spent[-1] < seen[0]["hold_nanos"]
    assert {(one["key"], one["account"], one["model"]) for one in seen} == {("web", "acme", "gpt-4o-mini")}
    assert ended == record
    assert (record["usage"]["output_tokens"], record["ending"]) == (77, "complete")
    assert record["charge_nanos"] == 10 * 10**9 - account["posted_nanos"] > spent[-1]
    assert (after["running"], after["exchanges"]) == (0, [])


async def test_a_stop_does_not_wait_for_those_who_look_on() -> None:
    async with asyncio.timeout(60):  # far below the ten minutes that a stream of answers would be given
        async with aiohttp.ClientSession() as http:
            async with scene(Slow(), LimitsSection(stop_seconds=600)) as at:
                looking = [await http.get(f"{at.url}/admin/v1/live/events", headers=ADMIN) for _ in range(5)]
                for answer in looking:
                    await first(answer, "live")
            for answer in looking:
                assert [event.name async for event in events(answer) if event.name != "live"] == []


async def test_the_dashboard_and_what_it_asks_first() -> None:
    async with scene(Slow()) as at:
        async with at.http.get(at.url, headers={"accept": "text/html"}) as page:
            assert (page.status, page.url.path) == (200, "/dashboard")
            assert page.content_type == "text/html"
            assert "unsafe" not in page.headers["content-security-policy"]
        own = {"sec-fetch-site": "same-origin"}
        async with at.http.post(f"{at.url}/admin/v1/session", json={"key": ADMIN_KEY}, headers=own) as entered:
            assert (entered.status, (await entered.json())["name"]) == (200, "ada")
            mine = {"cookie": entered.headers["set-cookie"].partition(";")[0]} | own
        async with at.http.get(f"{at.url}/admin/v1/health", headers=mine) as health:
            told = await health.json()
        assert (told["database"]["kind"], told["database"]["accepting"], told["running"]) == ("memory", True, 0)
        async with at.http.get(f"{at.url}/admin/v1/models?search=gpt-4o-mini", headers=mine) as models:
            assert (await models.json())["data"][0]["prices"]["provider"] == "openai"
