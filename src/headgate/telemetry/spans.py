"""Spans of exchanges, made with OpenTelemetry's SDK when they are over. Needs the extra `otel`.

A span is made in one go from the record, so while an exchange runs it costs two ids and a header. Whether a trace is
kept is decided by who began it; where that is us, by its id, as every other service decides that goes by the ratio.
"""

import os
from collections.abc import Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from headgate.dialects.base import Ask
from headgate.gateway.trace import RANDOM, SAMPLED, Trace, parent_of
from headgate.gateway.upstream import Headers
from headgate.records import Record
from headgate.telemetry.attributes import Sites, error_type, of_span, span_name
from headgate.telemetry.semconv import ERROR_TYPE, STATUS, Convention

_HALF = (1 << 64) - 1


class Spans:
    """Fulfils `gateway.trace.Tracing`."""

    def __init__(
        self,
        processor: SpanProcessor,
        resource: Resource,
        sites: Sites,
        names: Convention,
        *,
        version: str,
        sample: float = 1.0,
    ) -> None:
        """`sample`: the share of the traces begun here that is kept, from 0 to 1."""
        self._processor = processor
        self._resource = resource
        self._sites = sites
        self._names = names
        self._scope = InstrumentationScope("headgate", version, names.schema_url)
        self._bound = round(sample * (1 << 64))

    def begin(self, headers: Headers) -> Trace | None:
        """The span of an exchange: a child of the client's, or a trace's first.

        None where the client keeps no trace: then nothing is made, and its headers go on as they are.
        """
        parent = parent_of(headers)
        if parent is not None:
            if not parent.sampled:
                return None
            return Trace(parent.trace_id, _new_id(8), parent.span_id, parent.flags, parent.state)
        trace_id = _new_id(16)
        return Trace(trace_id, _new_id(8), flags=RANDOM | (SAMPLED if trace_id & _HALF < self._bound else 0))

    def end(self, trace: Trace, record: Record, ask: Ask | None) -> None:
        """Make the span, and leave it to the processor's thread."""
        state = _state(trace.state)
        error = error_type(record)
        span = ReadableSpan(
            name=span_name(record),
            context=_context(trace.trace_id, trace.span_id, trace.flags, state, remote=False),
            parent=None
            if trace.parent_id is None
            else _context(trace.trace_id, trace.parent_id, trace.flags, state, remote=True),
            resource=self._resource,
            attributes=of_span(record, ask, self._sites, self._names),
            events=_events(record),
            kind=SpanKind.CLIENT,
            status=_UNSET if error is None else Status(StatusCode.ERROR, error),
            start_time=record.started_at_ns,
            end_time=record.started_at_ns + record.total_ns,
            instrumentation_scope=self._scope,
        )
        self._processor.on_end(span)


_UNSET = Status(StatusCode.UNSET)


def _events(record: Record) -> Sequence[Event]:
    """The attempts, if there was more than one: a single one is what the span itself tells of."""
    if len(record.attempts) < 2:
        return ()
    events = []
    for attempt in record.attempts:
        told: dict[str, str | int] = {"headgate.deployment": attempt.provider}
        if attempt.status is not None:
            told[STATUS] = attempt.status
        if attempt.error is not None:
            told[ERROR_TYPE] = attempt.error
        told["headgate.attempt.duration_ns"] = attempt.ended_ns - attempt.started_ns
        events.append(Event("headgate.attempt", told, record.started_at_ns + attempt.started_ns))
    return events


def _context(trace_id: int, span_id: int, flags: int, state: TraceState, *, remote: bool) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=remote, trace_flags=TraceFlags(flags), trace_state=state)


_NO_STATE = TraceState()


def _state(state: bytes) -> TraceState:
    return TraceState.from_header([state.decode("latin-1")]) if state else _NO_STATE


def _new_id(size: int) -> int:
    """Random, and not 0, which is no id."""
    return int.from_bytes(os.urandom(size)) or _new_id(size)
