"""Spans and metrics on their way to a collector, by OTLP over HTTP. Needs the extra `otel`.

The SDK's threads send them. A collector that is dead or slow is told of once in the log and costs exchanges nothing:
what waits is bounded, and the oldest of it is dropped.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from headgate.gateway.live import Observer
from headgate.gateway.trace import Tracing
from headgate.sections import TracingSection
from headgate.telemetry.attributes import Sites
from headgate.telemetry.instruments import Instruments
from headgate.telemetry.names import Names
from headgate.telemetry.semconv import VERSIONS
from headgate.telemetry.spans import Spans

_log = logging.getLogger("headgate.telemetry")

MOST_WAITING = 4_096
"""Spans; some 10 MB."""
_EXPORT_SECONDS = 5.0
_CLOSE_SECONDS = 5.0
_INTERVAL_SECONDS = 30.0


class Reach:
    """Whether the collector takes what is sent, told in the log as it changes."""

    def __init__(self, what: str, host: str) -> None:
        self._about = (host, what)
        self.lost = False

    def note(self, *, well: bool) -> None:
        """How an export went; always in the one thread that exports."""
        changed, self.lost = self.lost is well, not well
        if changed and well:
            _log.warning("the collector at %s takes %s again", *self._about)
        elif changed:
            _log.warning("the collector at %s takes no %s: they are dropped until it does", *self._about)


class WatchedSpans(SpanExporter):
    """An exporter whose failures are told once."""

    def __init__(self, inner: SpanExporter, reach: Reach) -> None:
        self._inner = inner
        self.reach = reach

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send; in the processor's thread."""
        result = self._inner.export(spans)
        self.reach.note(well=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Send nothing more; what waits to be tried again is given up."""
        self._inner.shutdown()


class WatchedMetrics(OTLPMetricExporter):
    """Likewise of metrics."""

    reach: Reach

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """Send; in the thread of the meters."""
        result = super().export(metrics_data, timeout_millis, **kwargs)
        self.reach.note(well=result is MetricExportResult.SUCCESS)
        return result


class Meters:
    """Sends the metrics now and then, from a thread of its own."""

    def __init__(
        self, instruments: Instruments, exporter: WatchedMetrics, resource: Resource, scope: InstrumentationScope
    ) -> None:
        self.exporter = exporter
        self._instruments = instruments
        self._resource = resource
        self._scope = scope
        self._since_ns = time.time_ns()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headgate-otlp-metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send a last time; waits for it."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(_INTERVAL_SECONDS):
            self._send()
        self._send()

    def _send(self) -> None:
        metrics = list(self._instruments.told(self._since_ns, time.time_ns()))
        if metrics:
            scoped = ScopeMetrics(self._scope, metrics, self._scope.schema_url or "")
            self.exporter.export(MetricsData([ResourceMetrics(self._resource, [scoped], "")]))


@dataclass(frozen=True, slots=True)
class Connection:
    """What the gateway needs of it."""

    tracing: Tracing
    processor: SpanProcessor
    exporter: WatchedSpans
    observers: tuple[Observer, ...] = ()
    meters: Meters | None = None

    async def close(self) -> None:
        """Send what waits, for so long as the collector takes it, and for seconds at most."""
        if self.exporter.reach.lost:  # so nobody waits for what is being tried again
            self.exporter.shutdown()
        if self.meters is not None and self.meters.exporter.reach.lost:
            self.meters.exporter.shutdown()
        await _within(_CLOSE_SECONDS, self._shut_down)

    def _shut_down(self) -> None:
        self.processor.shutdown()
        if self.meters is not None:
            self.meters.close()


def connect(section: TracingSection, sites: Sites, models: Names, *, version: str, node: str) -> Connection:
    """Begin to send to the section's endpoint."""
    for noisy in ("opentelemetry.exporter", "opentelemetry.sdk"):  # they tell of each failure anew
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    names, endpoint, headers = VERSIONS[section.semconv], section.endpoint.rstrip("/"), dict(section.headers)
    host = urlsplit(endpoint).netloc.rpartition("@")[2]
    told = {"service.name": section.service_name, "service.version": version, "service.instance.id": node}
    resource = Resource.create(told)
    to_traces = OTLPSpanExporter(f"{endpoint}/v1/traces", headers=headers, timeout=_EXPORT_SECONDS)
    exporter = WatchedSpans(to_traces, Reach("traces", host))
    processor = BatchSpanProcessor(exporter, max_queue_size=MOST_WAITING)
    spans = Spans(processor, resource, sites, names, version=version, sample=section.sample)
    if not section.metrics:
        return Connection(spans, processor, exporter)
    exporting = WatchedMetrics(f"{endpoint}/v1/metrics", headers=headers, timeout=_EXPORT_SECONDS)
    exporting.reach = Reach("metrics", host)
    instruments = Instruments(models, sites, names)
    meters = Meters(instruments, exporting, resource, InstrumentationScope("headgate", version, names.schema_url))
    return Connection(spans, processor, exporter, (instruments,), meters)


async def _within(seconds: float, call: Callable[[], None]) -> None:
    """Call in a thread that the process does not wait for."""
    thread = threading.Thread(target=call, name="headgate-otlp-close", daemon=True)
    thread.start()
    await asyncio.to_thread(thread.join, seconds)
