"""A real Prometheus scrapes a real gateway, and says what the gateway's own books say."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.sections import MetricsSection
from headgate.stores.summary import GroupBy, total
from headgate.testing.upstream import LAST_CHUNK, Received, Script, ScriptedUpstream, chunk, head, response
from tests.e2e.running import CREDENTIAL, serving
from tests.ports import kept_port
from tests.telemetry.promtool import program, promtool

KEY = "a key that reads metrics"
EXCHANGES = 7


def provider(request: Received) -> Script:
    """Streams and documents with prime numbers of tokens; one in four is refused."""
    asked = json.loads(request.body)
    n = int(asked["messages"][0]["content"])
    usage: dict[str, Any] = {
        "prompt_tokens": 1009 + 13 * n,
        "completion_tokens": 7 * n + 1,
        "total_tokens": 1010 + 20 * n,
    }
    usage |= {"prompt_tokens_details": {"cached_tokens": 3 * n}, "completion_tokens_details": {"reasoning_tokens": n}}
    served = {"id": f"chatcmpl-{n}", "object": "chat.completion", "model": "gpt-4o-2024-08-06"}
    if n % 4 == 3:
        yield from response([b'{"error": {"message": "slow down"}}'], status=429)
    elif asked.get("stream"):
        yield head(content_type="text/event-stream")
        delta = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
        for event in (delta, {"choices": [], "usage": usage}):
            yield chunk(b"data: " + json.dumps(served | {"object": "chat.completion.chunk"} | event).encode() + b"\n\n")
        yield chunk(b"data: [DONE]\n\n")
        yield LAST_CHUNK
    else:
        choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        yield from response([json.dumps(served | {"choices": [choice], "usage": usage}).encode()])


def deployments(upstream: str) -> tuple[Deployment, ...]:
    openai = registry.by_name("openai")
    return (Deployment("openai", openai, openai.root(upstream), Secret(CREDENTIAL), openai.on_client_gone),)


async def spend(url: str) -> None:
    """Some exchanges, of each kind."""
    async with aiohttp.ClientSession() as http:
        for n in range(EXCHANGES):
            body = {"model": "gpt-4o", "stream": n % 2 == 0, "messages": [{"role": "user", "content": str(n)}]}
            async with http.post(f"{url}/v1/chat/completions", json=body) as answer:
                await answer.read()
                assert answer.status == (429 if n % 4 == 3 else 200)


@asynccontextmanager
async def prometheus(folder: Path, target: str, more: str = "") -> AsyncIterator[str]:
    """The address of a Prometheus that scrapes a target."""
    port = kept_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs:\n  - job_name: headgate\n    static_configs: [{{targets: ['{target}']}}]\n{more}"
    )
    status, said = promtool("check", "config", str(config))
    assert status == 0, said
    log = (folder / "prometheus.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", stdout=log, stderr=log,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
        log.close()


async def asked(http: aiohttp.ClientSession, url: str, query: str) -> float | None:
    """What Prometheus makes of a query with one result."""
    try:
        async with http.get(f"{url}/api/v1/query", params={"query": query}) as answer:
            if answer.status != 200:
                return None
            found: list[Any] = (await answer.json())["data"]["result"]
    except aiohttp.ClientError:
        return None  # it is still starting
    return float(found[0]["value"][1]) if found else None


async def until(http: aiohttp.ClientSession, url: str, query: str, wanted: float) -> None:
    async with asyncio.timeout(60):
        while await asked(http, url, query) != wanted:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("own_listener", [False, True], ids=["on-the-gateways-port", "on-its-own"])
async def test_prometheus_says_what_the_usage_says(tmp_path: Path, *, own_listener: bool) -> None:
    more: dict[str, Any] = {}
    port = 0
    if own_listener:
        port = kept_port()
        more = {"metrics_at": ("127.0.0.1", port)}
    async with ScriptedUpstream(provider) as upstream, serving(deployments(upstream.url), more=more) as running:
        target = f"127.0.0.1:{port or running.port}"
        async with prometheus(tmp_path, target) as url, aiohttp.ClientSession() as http:
            await spend(running.url)
            await until(http, url, "sum(headgate_exchanges_total)", EXCHANGES)
            usage = total(await running.log.usage(None, GroupBy.MODEL))
            assert usage.cost_nanos
            wanted = {
                "sum(headgate_cost_dollars_total)": usage.cost_nanos / 10**9,
                'sum(headgate_tokens_total{kind="input"})': usage.input_tokens,
                'sum(headgate_tokens_total{kind="output"})': usage.output_tokens,
                'sum(headgate_token_parts_total{part="cache_read"})': usage.cache_read_tokens,
                'sum(headgate_token_parts_total{part="reasoning"})': usage.reasoning_tokens,
                'sum(headgate_exchanges_total{ending="refused"})': usage.errors,
                'sum(headgate_attempts_total{status="429"})': usage.errors,
                "sum(headgate_exchange_duration_seconds_count)": EXCHANGES,
                'sum(headgate_exchange_duration_seconds_bucket{le="+Inf"})': EXCHANGES,
                "headgate_exchanges_in_flight": 0,
                "headgate_accepting": 1,
                "up": 1,
            }
            assert {query: await asked(http, url, query) for query in wanted} == wanted
            by_model = 'count(count by (model) (headgate_exchanges_total{provider="openai"}))'
            assert await asked(http, url, by_model) == 1, "what was refused counts beside what was served"


async def test_a_prometheus_with_a_key_and_one_without(tmp_path: Path) -> None:
    more = {"metrics": MetricsSection(key=KEY)}
    authorization = f"    authorization: {{credentials: '{KEY}'}}\n"
    async with (
        ScriptedUpstream(provider) as upstream,
        serving(deployments(upstream.url), more=more) as running,
        aiohttp.ClientSession() as http,
    ):
        target = f"127.0.0.1:{running.port}"
        async with prometheus(tmp_path, target, authorization) as url:
            await until(http, url, "up", 1)
        (tmp_path / "without").mkdir()
        async with prometheus(tmp_path / "without", target) as url:
            await until(http, url, "up", 0)


async def test_what_a_gateway_tells_is_clean() -> None:
    async with ScriptedUpstream(provider) as upstream, serving(deployments(upstream.url)) as running:
        await spend(running.url)
        async with aiohttp.ClientSession() as http, http.get(f"{running.url}/metrics") as answer:
            assert promtool("check", "metrics", told=await answer.text()) == (0, "")
