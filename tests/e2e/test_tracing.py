"""Traces of a real gateway: what a real collector gets, field by field against the records, and what upstreams see."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from headgate.gateway.trace import Trace, parent_of
from headgate.providers import registry
from headgate.providers.base import Deployment, OnClientGone, Secret
from headgate.records import Ending, Record
from headgate.sections import TracingSection
from headgate.telemetry.attributes import Site, error_type, of_span
from headgate.telemetry.semconv import VERSIONS
from headgate.testing.upstream import LAST_CHUNK, Hang, Received, Reset, Script, ScriptedUpstream, chunk, head, response
from tests.e2e.books import opened
from tests.e2e.running import CREDENTIAL, Running, serving
from tests.e2e.test_sockets import Provider as SocketProvider
from tests.e2e.test_sockets import terminal
from tests.telemetry.collector import Collector, collecting, values

TRACE, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KEPT = {"traceparent": f"00-{TRACE}-{CLIENT_SPAN}-01", "tracestate": "vendor=1"}
NOT_KEPT = {"traceparent": f"00-{TRACE}-{CLIENT_SPAN}-00", "tracestate": "vendor=1"}
SECRET = "what the user asked"
SERVED = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06"}
USAGE = {
    "prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 10},
}  # fmt: skip


def frame(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(SERVED | event).encode() + b"\n\n"


DELTA = frame({"choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": None}]})
STOP = frame({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
END = frame({"choices": [], "usage": USAGE}) + b"data: [DONE]\n\n"


@dataclass
class Provider:
    """Answers by the model that it is asked for, and keeps what it was asked with."""

    seen: dict[str, list[Trace | None]] = field(default_factory=dict)
    headers: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)

    def handle(self, request: Received) -> Script:
        asked = json.loads(request.body)
        model = asked["model"]
        self.seen.setdefault(model, []).append(parent_of(request.headers))
        self.headers[model] = [pair for pair in request.headers if pair[0].startswith(b"trace")]
        if model == "refused":
            yield from response([b'{"error": {"message": "%s"}}' % SECRET.encode()], status=429)
        elif model == "no-option" and "stream_options" in asked:
            yield from response([b'{"error": {"message": "stream_options is not supported"}}'], status=400)
        elif model == "document":
            message = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
            yield from response([json.dumps(SERVED | {"choices": [message], "usage": USAGE}).encode()])
        else:
            yield head(content_type="text/event-stream")
            yield chunk(DELTA)
            if model == "cut":
                yield Reset()
            elif model == "endless":
                yield Hang()
            else:
                yield chunk(STOP + END)
                yield LAST_CHUNK


@dataclass
class Scene:
    """A gateway between a provider and a collector."""

    gateway: Running
    provider: Provider
    collector: Collector
    http: aiohttp.ClientSession
    sites: dict[str, Site]

    async def ask(self, model: str, headers: dict[str, str] = KEPT, *, stream: bool = True) -> tuple[int, str]:
        """An exchange to its end; its status and id."""
        body = {"model": f"openai/{model}", "stream": stream, "messages": [{"role": "user", "content": SECRET}]}
        url = f"{self.gateway.url}/v1/chat/completions"
        async with self.http.post(url, json=body, headers=headers) as answer:
            try:
                if model == "endless":
                    await answer.content.readany()
                else:
                    await answer.read()
            except aiohttp.ClientError:
                assert model == "cut"
            return answer.status, answer.headers["x-headgate-exchange-id"]


@asynccontextmanager
async def scene(sample: float = 1.0) -> AsyncIterator[Scene]:
    """The collector has everything once this has been left."""
    provider, openai = Provider(), registry.by_name("openai")
    async with (
        collecting() as collector,
        ScriptedUpstream(provider.handle) as upstream,
        aiohttp.ClientSession() as http,
    ):
        deployment = Deployment("openai", openai, openai.root(upstream.url), Secret(CREDENTIAL), OnClientGone.CUT)
        sites = {"openai": Site("openai", deployment.origin.host, deployment.origin.port)}
        section = TracingSection(collector.url, sample=sample)
        async with serving((deployment,), more={"tracing": section}) as gateway:
            yield Scene(gateway, provider, collector, http, sites)


def check(span: Any, record: Record, sites: dict[str, Site]) -> None:
    """Field by field."""
    assert span.name == f"chat {record.model_asked}"
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (
        record.started_at_ns, record.started_at_ns + record.total_ns,
    )  # fmt: skip
    said, wanted = values(span.attributes), of_span(record, None, sites, VERSIONS["latest"])
    assert said == wanted
    assert (span.status.code, span.status.message) == (
        (0, "") if error_type(record) is None else (2, error_type(record))
    )


@pytest.mark.parametrize(
    ("model", "ending", "error"),
    [
        ("gpt-4o", Ending.COMPLETE, None),
        ("document", Ending.COMPLETE, None),
        ("refused", Ending.REFUSED, "429"),
        ("cut", Ending.UPSTREAM_CUT, "upstream_connection_lost"),
        ("endless", Ending.CLIENT_LEFT, None),
        ("no-option", Ending.COMPLETE, None),
    ],
)
async def test_a_span_is_its_record(model: str, ending: Ending, error: str | None) -> None:
    async with scene() as on:
        _, exchange_id = await on.ask(model, stream=model != "document")
        record = await on.gateway.log.of(exchange_id)
        assert (record.ending, error_type(record)) == (ending, error)
    (span,) = on.collector.spans
    check(span, record, on.sites)
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.trace_state) == (TRACE, CLIENT_SPAN, "vendor=1")
    assert SECRET not in str(span)
    assert CREDENTIAL not in str(span)
    seen = on.provider.seen[model]
    assert [(t.trace_id, t.span_id) for t in seen if t] == [(int(TRACE, 16), int.from_bytes(span.span_id))] * len(seen)
    assert (b"tracestate", b"vendor=1") in on.provider.headers[model]
    assert len(span.events) == (2 if model == "no-option" else 0) == (len(seen) if len(seen) > 1 else 0)
    if model == "gpt-4o":
        said = values(span.attributes)
        assert said["gen_ai.usage.cache_read.input_tokens"] == 20
        assert said["gen_ai.usage.reasoning.output_tokens"] == 10
        assert said["gen_ai.response.finish_reasons"] == ("stop",)
        assert said["server.port"] == on.sites["openai"].port


async def test_what_the_client_does_not_keep_passes_as_it_came() -> None:
    async with scene() as on:
        _, exchange_id = await on.ask("gpt-4o", NOT_KEPT)
        await on.gateway.log.of(exchange_id)
    assert not on.collector.spans
    assert on.provider.headers["gpt-4o"] == [(name.encode(), value.encode()) for name, value in NOT_KEPT.items()]
    (point,) = on.collector.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert point.count == 1, "it is measured all the same"


async def test_a_trace_begins_here_where_the_client_has_none() -> None:
    async with scene() as on:
        await on.ask("gpt-4o", {})
        await on.ask("document", {"traceparent": "nonsense"}, stream=False)
    assert [span.parent_span_id for span in on.collector.spans] == [b"", b""]
    for model, span in zip(("gpt-4o", "document"), on.collector.spans, strict=True):
        (seen,) = on.provider.seen[model]
        assert seen is not None
        assert (seen.trace_id, seen.span_id) == (int.from_bytes(span.trace_id), int.from_bytes(span.span_id))


async def test_what_is_not_sampled_says_so_upstream() -> None:
    async with scene(sample=0) as on:
        await on.ask("gpt-4o", {})
        await on.ask("document", KEPT, stream=False)
    (seen,) = on.provider.seen["gpt-4o"]
    assert seen is not None
    assert not seen.sampled
    (span,) = on.collector.spans
    assert span.trace_id.hex() == TRACE, "who began the trace has decided"


async def test_without_tracing_headers_pass_as_they_came() -> None:
    provider, openai = Provider(), registry.by_name("openai")
    async with ScriptedUpstream(provider.handle) as upstream, aiohttp.ClientSession() as http:
        deployment = Deployment("openai", openai, openai.root(upstream.url), Secret(CREDENTIAL))
        async with serving((deployment,)) as gateway:
            on = Scene(gateway, provider, Collector(), http, {})
            await on.ask("gpt-4o", KEPT)
    assert provider.headers["gpt-4o"] == [(name.encode(), value.encode()) for name, value in KEPT.items()]


async def test_what_was_refused_here_is_a_span_too() -> None:
    async with scene() as on:
        url = f"{on.gateway.url}/v1/chat/completions"
        body = {"model": "nobody-serves-it", "messages": []}
        async with on.http.post(url, json=body, headers=KEPT) as answer:
            assert answer.status == 404
            record = await on.gateway.log.of(answer.headers["x-headgate-exchange-id"])
    (span,) = on.collector.spans
    check(span, record, on.sites)
    assert span.status.message == "model_not_found"


async def test_each_turn_of_a_socket_is_a_span() -> None:
    """Children of the client's span. Frames carry no headers, so the provider's handshake has the client's own."""

    async def answer(socket: ServerConnection, said: dict[str, Any]) -> None:
        number, kind = (1, "completed") if said.get("input") == "well" else (2, "failed")
        begun = {"id": f"resp_{number}", "model": "gpt-4o-mini"}
        await socket.send(json.dumps({"type": "response.created", "response": begun}))
        await socket.send(terminal(number, kind))

    provider, openai = SocketProvider(answer), registry.by_name("openai")
    async with collecting() as collector, serve(provider.connection, "127.0.0.1", 0) as server:
        root = openai.root(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        deployment = Deployment("openai", openai, root, Secret(CREDENTIAL))
        sites = {"openai": Site("openai", deployment.origin.host, deployment.origin.port)}
        async with serving((deployment,), more={"tracing": TracingSection(collector.url)}) as gateway:
            url = f"ws://127.0.0.1:{gateway.port}/v1/responses"
            async with websockets.connect(url, additional_headers=KEPT) as socket:
                for number, said in enumerate(("well", "badly"), 1):
                    await socket.send(json.dumps({"type": "response.create", "model": "gpt-4o-mini", "input": said}))
                    await socket.recv()
                    await socket.recv()
                    records = await gateway.log.all(number)
    assert [record.ending for record in records] == [Ending.COMPLETE, Ending.UPSTREAM_ERROR]
    assert len(collector.spans) == 2
    for span, record in zip(collector.spans, records, strict=True):
        check(span, record, sites)
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CLIENT_SPAN)
    assert len({span.span_id for span in collector.spans}) == 2
    assert provider.handshakes[0].items() >= KEPT.items()


async def test_a_dead_collector_is_nothing_to_a_client() -> None:
    async with scene() as on:
        on.collector.status = 503
        for _ in range(3):
            assert (await on.ask("gpt-4o"))[0] == 200
    assert not on.collector.spans
    assert {record.ending for record in on.gateway.log.kept} == {Ending.COMPLETE}


async def test_a_process_as_it_is_started(tmp_path: Path) -> None:
    """By the config file, over a real database, to a real collector, until SIGTERM."""
    provider = Provider()
    async with (
        collecting() as collector,
        ScriptedUpstream(provider.handle) as upstream,
        aiohttp.ClientSession() as http,
    ):
        config = tmp_path / "headgate.toml"
        config.write_text(
            f'listen = "127.0.0.1:0"\ndatabase = "{tmp_path}/books.db"\n'
            f'[tracing]\nendpoint = "{collector.url}"\nsemconv = "1.36"\nservice_name = "llm"\n'
            f'[providers.openai]\nbase_url = "{upstream.url}/v1"\napi_key = "{CREDENTIAL}"\n'
        )
        path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "headgate", "serve", "--config", str(config),
            stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"], **path},
        )  # fmt: skip
        assert process.stdout is not None
        url = (await process.stdout.readline()).split()[2].decode()
        body = {"model": "gpt-4o", "stream": True, "max_tokens": 9, "messages": []}
        async with http.post(f"{url}/v1/chat/completions", json=body, headers=KEPT) as answer:
            await answer.read()
            exchange_id = answer.headers["x-headgate-exchange-id"]
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    (span,) = collector.spans
    said = values(span.attributes)
    async with opened(f"{tmp_path}/books.db") as store:
        record = await store.find(exchange_id)
    assert record is not None
    site = Site("openai", "127.0.0.1", int(upstream.url.rpartition(":")[2]))
    assert said == of_span(record, None, {"openai": site}, VERSIONS["1.36"]) | {"gen_ai.request.max_tokens": 9}
    assert said["gen_ai.system"] == "openai"
    assert collector.resources[0]["service.name"] == "llm"
    assert collector.metrics.keys() == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
