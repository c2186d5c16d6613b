"""Spans as the SDK's own exporter gets them."""

import pytest
from hypothesis import given
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from headgate.dialects.base import Ask
from headgate.gateway.trace import Trace
from headgate.records import Attempt, Ending, Record
from headgate.telemetry.attributes import Site, of_span
from headgate.telemetry.semconv import VERSIONS
from headgate.telemetry.spans import Spans
from tests.stores.examples import NOON, a_record, any_record

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
LATEST = VERSIONS["latest"]
SITES = {"openai": Site("openai", "api.openai.com", 443)}
RESOURCE = Resource({"service.name": "headgate"})


def parent(flags: int, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(b"traceparent", b"00-%032x-%016x-%02x" % (TRACE, SPAN, flags)), *more]


def spans(exporter: InMemorySpanExporter | None = None, sample: float = 1.0) -> Spans:
    processor = SimpleSpanProcessor(exporter or InMemorySpanExporter())
    return Spans(processor, RESOURCE, SITES, LATEST, version="1.2", sample=sample)


def made(record: Record, trace: Trace, ask: Ask | None = None) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    spans(exporter).end(trace, record, ask)
    (span,) = exporter.get_finished_spans()
    return span


def test_the_clients_trace_goes_on() -> None:
    trace = spans().begin(parent(3, (b"tracestate", b"a=1")))
    assert trace is not None
    assert (trace.trace_id, trace.parent_id, trace.flags, trace.state) == (TRACE, SPAN, 3, b"a=1")
    assert trace.span_id not in {0, SPAN}


def test_what_the_client_does_not_keep_costs_nothing_and_is_left_alone() -> None:
    assert spans(sample=1).begin(parent(0)) is None
    assert spans(sample=1).begin(parent(2)) is None


@pytest.mark.parametrize("headers", [[], [(b"traceparent", b"nonsense")]])
def test_without_a_client_that_names_one_a_trace_begins(headers: list[tuple[bytes, bytes]]) -> None:
    tracing = spans()
    found = [tracing.begin(headers) for _ in range(100)]
    assert len({trace.trace_id for trace in found if trace}) == len({trace.span_id for trace in found if trace}) == 100
    assert {(trace.parent_id, trace.flags) for trace in found if trace} == {(None, 3)}


def test_a_share_of_the_traces_is_kept_and_the_rest_says_so() -> None:
    """By the trace's id, as OpenTelemetry's own sampler does it."""
    tracing, sampler = spans(sample=0.25), TraceIdRatioBased(0.25)
    kept = 0
    for _ in range(2_000):
        trace = tracing.begin([])
        assert trace is not None
        theirs = sampler.should_sample(None, trace.trace_id, "x").decision
        assert trace.sampled is (theirs is Decision.RECORD_AND_SAMPLE)
        assert trace.flags & 2
        kept += trace.sampled
    assert 0 < kept < 2_000
    assert not any(trace.sampled for trace in (spans(sample=0).begin([]) for _ in range(100)) if trace)
    assert spans(sample=0).begin(parent(1)) is not None, "who began it has decided"


def test_a_span_is_what_its_record_says() -> None:
    trace, record, ask = Trace(TRACE, 0xAB, SPAN, 3, b"a=1,b=2"), a_record(), Ask(output_cap=9)
    span = made(record, trace, ask)
    assert (span.name, span.kind, span.resource) == ("chat gpt-4o", SpanKind.CLIENT, RESOURCE)
    assert span.context is not None
    assert span.parent is not None
    assert (span.context.trace_id, span.context.span_id, span.context.trace_flags) == (TRACE, 0xAB, 3)
    assert dict(span.context.trace_state) == {"a": "1", "b": "2"}
    assert (span.parent.trace_id, span.parent.span_id, span.parent.is_remote) == (TRACE, SPAN, True)
    assert (span.start_time, span.end_time) == (NOON, NOON + record.total_ns)
    assert span.attributes == of_span(record, ask, SITES, LATEST)
    assert (span.status.status_code, span.events) == (StatusCode.UNSET, ())
    assert span.instrumentation_scope is not None
    assert (span.instrumentation_scope.name, span.instrumentation_scope.version) == ("headgate", "1.2")


def test_a_traces_first_span_has_no_parent() -> None:
    assert made(a_record(), Trace(TRACE, 0xAB)).parent is None


def test_a_failure_is_an_error_and_a_client_that_leaves_is_none() -> None:
    failed = made(a_record(ending=Ending.REFUSED, status=429), Trace(1, 2))
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "429")
    assert made(a_record(ending=Ending.CLIENT_LEFT), Trace(1, 2)).status.status_code is StatusCode.UNSET


def test_more_than_one_attempt_is_told_attempt_by_attempt() -> None:
    attempts = (Attempt("openai", 400, 1_000, 5_000, "refused"), Attempt("openai", None, 6_000, 9_000))
    first, second = made(a_record(attempts=attempts), Trace(1, 2)).events
    assert (first.name, first.timestamp) == ("headgate.attempt", NOON + 1_000)
    assert first.attributes == {
        "headgate.deployment": "openai", "http.response.status_code": 400, "error.type": "refused",
        "headgate.attempt.duration_ns": 4_000,
    }  # fmt: skip
    assert second.attributes == {"headgate.deployment": "openai", "headgate.attempt.duration_ns": 3_000}


def test_a_trace_state_that_is_none_is_no_fault() -> None:
    span = made(a_record(), Trace(1, 2, state=b"\xff nonsense,,=="))
    assert span.context is not None
    assert not span.context.trace_state


def test_what_is_not_kept_is_not_sent() -> None:
    exporter = InMemorySpanExporter()
    spans(exporter).end(Trace(1, 2, flags=0), a_record(), None)
    assert not exporter.get_finished_spans()


@given(any_record)
def test_any_record_makes_a_span(record: Record) -> None:
    assert made(record, Trace(1, 2)).to_json()
