"""What a span and the metrics say of an exchange: attributes under the names of a convention. Never content.

It is all from the record, which holds neither bodies nor credentials; of errors only their codes are told, since a
provider's message may quote what it was asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headgate.dialects.base import Ask
from headgate.records import Ending, Mark, Record, bears
from headgate.telemetry import semconv
from headgate.telemetry.semconv import Convention

_NS = 1_000_000_000
_LONGEST = 200
"""Characters of a name that a client or a provider chose."""

Value = str | int | float | bool | Sequence[str]
Attributes = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a deployment is, and whose service it is."""

    provider: str
    """In the conventions' words."""
    host: str
    port: int


Sites = Mapping[str, Site]
"""By the deployments' names."""


def error_type(record: Record) -> str | None:
    """What went wrong, in a word; None where nothing did. A client that left is no error."""
    refused = record.ending is Ending.REFUSED
    if not refused and not bears(record, Mark.FAILED):
        return None
    if refused and record.status >= 400:  # a turn in a WebSocket is refused without a status
        return str(record.status)
    return record.error.partition(":")[0] if record.error else str(record.ending)


def first_chunk_ns(record: Record) -> int | None:
    """From the request to the first chunk of a stream, in nanoseconds; None where none came. A refusal is no stream."""
    return record.first_byte_ns if record.streamed and record.status < 400 else None


def span_name(record: Record) -> str:
    """The operation and the model, as the conventions have it."""
    operation = semconv.operation_name(record.dialect, record.operation)
    return operation if record.model_asked is None else f"{operation} {record.model_asked[:_LONGEST]}"


def common(record: Record, sites: Sites, names: Convention) -> Attributes:
    """What spans and metrics share: what was done, where, and whether it failed."""
    found: Attributes = {semconv.OPERATION: semconv.operation_name(record.dialect, record.operation)}
    site = sites.get(record.provider) if record.provider is not None else None
    if site is not None:
        found[names.provider] = site.provider
        found[semconv.SERVER_ADDRESS] = site.host
        found[semconv.SERVER_PORT] = site.port
    error = error_type(record)
    if error is not None:
        found[semconv.ERROR_TYPE] = error
    return found


def of_span(record: Record, ask: Ask | None, sites: Sites, names: Convention) -> Attributes:
    """All that a span says."""
    reading, bill = record.reading, record.bill
    served = record.attempts[-1].status if record.attempts else None
    told: dict[str, Value | None] = {
        semconv.REQUEST_MODEL: _cut(record.model_asked),
        semconv.RESPONSE_MODEL: _cut(reading.served_model),
        semconv.RESPONSE_ID: _cut(reading.response_id),
        semconv.FINISH_REASONS: None if reading.finish_reason is None else (reading.finish_reason[:_LONGEST],),
        semconv.STATUS: served,
        names.service_tier_served: _cut(reading.service_tier),
        "headgate.exchange_id": record.exchange_id,
        "headgate.deployment": record.provider,
        "headgate.dialect": record.dialect,
        "headgate.key": record.key,
        "headgate.account": bill.account,
        "headgate.ending": str(record.ending),
        "headgate.basis": str(reading.basis),
        "headgate.status": record.status,
        "headgate.cost_nanos": bill.cost_nanos,
        "headgate.charge_nanos": bill.charge_nanos,
        "headgate.flags": bill.flags or None,
    }
    found = common(record, sites, names) | {name: value for name, value in told.items() if value is not None}
    return found | _usage(record, names) | _timing(record, names) | (_asked(ask, names) if ask is not None else {})


def _usage(record: Record, names: Convention) -> Attributes:
    """What was reported. Estimates have names of our own: nobody is to take them for a report."""
    usage, estimate = record.reading.usage, record.reading.estimate
    told = {
        semconv.INPUT_TOKENS: usage.input_tokens,
        semconv.OUTPUT_TOKENS: usage.output_tokens,
        names.cache_read: usage.cache_read_tokens,
        names.cache_write: usage.cache_write_tokens,
        names.reasoning: usage.reasoning_tokens,
    }
    if estimate is not None:
        told["headgate.estimated.input_tokens"] = estimate.input_tokens
        told["headgate.estimated.output_tokens"] = estimate.output_tokens
    return {name: count for name, count in told.items() if name is not None and count is not None}


def _timing(record: Record, names: Convention) -> Attributes:
    found: Attributes = {}
    if names.streamed is not None and record.streamed:
        found[names.streamed] = True
    first_ns = first_chunk_ns(record)
    if names.first_chunk is not None and first_ns is not None:
        found[names.first_chunk] = first_ns / _NS
    return found


def _asked(ask: Ask, names: Convention) -> Attributes:
    found: Attributes = {}
    if ask.output_cap:
        found[semconv.MAX_TOKENS] = ask.output_cap
    if ask.choices != 1:
        found[semconv.CHOICES] = ask.choices
    if ask.service_tier is not None:
        found[names.service_tier_asked] = ask.service_tier[:_LONGEST]
    return found


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:_LONGEST]
