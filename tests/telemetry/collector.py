"""An OpenTelemetry collector: what is sent to it by OTLP over HTTP, decoded."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass
class Collector:
    """What has come, and how it answers."""

    url: str = ""
    status: int = 200
    spans: list[Any] = field(default_factory=list)
    """The protocol's own Span messages, in the order in which they came."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """The last of each name."""
    resources: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)
    """It answers nothing until this is set."""

    async def traces(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await self._body(request))
        for resource in sent.resource_spans:
            self.resources.append(values(resource.resource.attributes))
            if self.status == 200:
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response(status=self.status)

    async def meters(self, request: web.Request) -> web.Response:
        sent = ExportMetricsServiceRequest.FromString(await self._body(request))
        for resource in sent.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics |= {metric.name: metric for metric in scope.metrics}
        return web.Response(status=self.status)

    async def _body(self, request: web.Request) -> bytes:
        self.asked += 1
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        body = await request.read()
        await self.free.wait()
        return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body

    def span(self, name: str) -> Any:
        """The one span of that name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as Python has them."""
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    assert kind is not None
    if kind == "array_value":
        return tuple(_value(part) for part in value.array_value.values)
    return getattr(value, kind)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port."""
    collector = Collector()
    collector.free.set()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.traces)
    app.router.add_post("/v1/metrics", collector.meters)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    collector.url = f"http://{host}:{port}"
    try:
        yield collector
    finally:
        collector.free.set()
        await runner.cleanup()
