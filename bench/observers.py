"""What telling the world outside costs an exchange. `python -m bench.observers`.

The processor's time of the event loop's part, and where a thread does the rest of the work, of both together.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from headgate.dialects.base import Ask
from headgate.records import Attempt, Bill, Ending, Record
from headgate.telemetry.attributes import Site
from headgate.telemetry.instruments import Instruments
from headgate.telemetry.log import ExchangeLog, LogWriter
from headgate.telemetry.names import Names
from headgate.telemetry.semconv import VERSIONS
from headgate.telemetry.spans import Spans
from headgate.telemetry.sums import Sums
from headgate.usage import Basis, Reading, Usage

_MICRO = 1_000_000
_SITES = {"openai": Site("openai", "api.openai.com", 443)}
_LATEST = VERSIONS["latest"]
_HEADERS = [(b"x-stainless-lang", b"python")] * 12
_KEPT = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
_NOT_KEPT = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")

RECORD = Record(
    exchange_id="ex_01a1ff1d9ff7df6c19781d9b7502815f",
    started_at_ns=1_762_000_000_000_000_000,
    method="POST",
    path="/v1/chat/completions",
    dialect="openai.chat",
    operation="create",
    provider="openai",
    key="team-a",
    model_asked="gpt-4o",
    streamed=True,
    status=200,
    ending=Ending.COMPLETE,
    reading=Reading(
        usage=Usage(input_tokens=100, cache_read_tokens=20, output_tokens=50, reasoning_tokens=10),
        basis=Basis.REPORTED,
        served_model="gpt-4o-2024-08-06",
        response_id="chatcmpl-1",
        finish_reason="stop",
        terminal_evidence="[DONE]",
    ),
    billable=True,
    counted=True,
    first_byte_ns=250_000_000,
    total_ns=1_000_000_000,
    bytes_in=4_000,
    bytes_out=4_000,
    attempts=(Attempt("openai", 200, 1_000, 999_000_000),),
    bill=Bill(account="acme", cost_nanos=750_000, charge_nanos=800_000, hold_nanos=900_000),
)


def each(call: Callable[[], object], times: int) -> float:
    """Microseconds a call, the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(times):
            call()
        best = min(best, time.perf_counter() - begun)
    return best / times * _MICRO


def rows(times: int) -> Iterator[tuple[str, float]]:
    """What is measured, in microseconds an exchange."""
    sums = Sums(Names(frozenset()))
    yield "Prometheus", each(lambda: sums.saw(RECORD), times)
    for shape, as_json_lines in (("for people", False), ("as JSON", True)):
        yield from _log(shape, times, as_json_lines=as_json_lines)
    spans, ask = _spans(1.0), Ask(output_cap=64)
    trace = spans.begin([*_HEADERS, _KEPT])
    if trace is None:
        raise AssertionError("the client keeps its trace")
    kept = each(lambda: spans.begin([*_HEADERS, _KEPT]), times) + each(lambda: trace.carried(_HEADERS), times)
    yield "a span, sampled: before and after", kept + each(lambda: spans.end(trace, RECORD, ask), times)
    yield "a span, not sampled by the client", each(lambda: spans.begin([*_HEADERS, _NOT_KEPT]), times)
    none = _spans(0.0)
    dropped = none.begin(_HEADERS)
    if dropped is None:
        raise AssertionError("a trace begins")
    carried = each(lambda: dropped.carried(_HEADERS), times)
    yield "a span, not sampled here", each(lambda: none.begin(_HEADERS), times) + carried
    instruments = Instruments(Names(frozenset()), _SITES, _LATEST)
    yield "OpenTelemetry's metrics", each(lambda: instruments.saw(RECORD), times)


class Nowhere(SpanExporter):
    """Keeps nothing, so that the collector of garbage is not what is measured."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take them."""
        del spans
        return SpanExportResult.SUCCESS


def _spans(sample: float) -> Spans:
    processor = BatchSpanProcessor(Nowhere(), max_queue_size=4_096)
    return Spans(processor, Resource({}), _SITES, _LATEST, version="1", sample=sample)


def _log(shape: str, times: int, *, as_json_lines: bool) -> Iterator[tuple[str, float]]:
    with Path(os.devnull).open("wb", buffering=0) as nowhere:
        writer = LogWriter(nowhere, as_json_lines=as_json_lines, most_waiting=100 * times)
        lines, begun = ExchangeLog(writer), time.process_time()
        yield f"a line {shape}, on the event loop", each(lambda: lines.saw(RECORD), times)
        writer.close(60)
        yield f"a line {shape}, with its thread", (time.process_time() - begun) / (5 * times) * _MICRO


if __name__ == "__main__":
    logging.disable()  # nobody exports as fast as this makes spans, and the SDK says so
    for name, micros in rows(20_000):
        print(f"{name:<45}{micros:8.1f} µs")
