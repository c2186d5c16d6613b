"""A Record as a row of the `records` table, and back. A record read back equals the one written.

What one filters or sums by has a column of its own; the rest is JSON text. Two things do not come back as they went:
an Estimate of nothing comes back as no estimate, and a lone surrogate in a text (JSON can escape one, UTF-8 cannot
spell it) as U+FFFD.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from headgate.ledger.entries import Outcome
from headgate.records import Attempt, Bill, Ending, PriceLine, Record, Settled, disputed
from headgate.usage import Basis, Estimate, Leg, Reading, Usage

Row = Sequence[int | str | None]
"""Values in the order of COLUMNS."""

_OWN = (
    "exchange_id", "started_at_ns", "method", "path", "dialect", "operation", "provider", "key", "model_asked",
    "streamed", "status", "ending", "billable", "counted", "first_byte_ns", "total_ns", "bytes_in", "bytes_out",
    "error",
)  # fmt: skip
_READING = (
    "basis", "served_model", "response_id", "service_tier", "finish_reason", "terminal_evidence", "in_stream_error",
    "delivered_bytes",
)  # fmt: skip
_ESTIMATE = ("estimated_input_tokens", "estimated_output_tokens")
COUNTS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "input_audio_tokens", "input_image_tokens",
    "output_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens", "reported_cost_nanos",
)  # fmt: skip
"""The fields of Usage that are one integer each, and that summaries sum."""
_LATER_COUNTS = ("cache_read_audio_tokens", "cache_read_image_tokens")
_ALL_COUNTS = (*COUNTS, *_LATER_COUNTS)
"""With the two that came with the second version of the schema; they are parts of others."""
_DETAILS = ("cache_write_tokens_by_ttl", "tool_calls", "billed_units", "legs")
_JSON = (*_DETAILS, "anomalies", "attempts")

_LATER = (*_LATER_COUNTS, "terms")
"""Columns of the second version, which stand after those of the first."""

_BILL = ("account", "hold_nanos", "cost_nanos", "charge_nanos", "settled", "price_source", "price_version")
_BILL_JSON = ("lines", "flags")
"""The bill, and the key's id before it, came with the third."""

COLUMNS = (*_OWN, *_READING, *_ESTIMATE, *COUNTS, *_JSON, *_LATER, "key_id", *_BILL, *_BILL_JSON)

_own, _reading, _counts = attrgetter(*_OWN), attrgetter(*_READING), attrgetter(*COUNTS)
_later_counts = attrgetter(*_LATER_COUNTS)
_bill = attrgetter(*_BILL)
_LINE = PriceLine.__struct_fields__
_ATTEMPT = Attempt.__struct_fields__
_json_text = json.JSONEncoder(separators=(",", ":")).encode
_encoded = msgspec.json.Encoder().encode
"""Of values whose fields are all of their JSON, in that order: ten times as fast."""
_NO_DETAILS = (None,) * len(_DETAILS)
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_row(record: Record) -> Row:
    """The record's values in the order of COLUMNS."""
    reading, estimate, bill = record.reading, record.reading.estimate or Estimate(), record.bill
    usage = reading.usage
    return (
        *_own(record),
        *_reading(reading),
        estimate.input_tokens,
        estimate.output_tokens,
        *_counts(usage),
        *(_NO_DETAILS if _plain(usage) else _detail_texts(usage)),
        _json_text(dict(reading.anomalies)) if reading.anomalies else None,
        _objects(record.attempts, _ATTEMPT),
        *_later_counts(usage),
        _json_text(dict(reading.terms)) if reading.terms else None,
        record.key_id,
        *_bill(bill),
        _objects(bill.lines, _LINE),
        _json_text(bill.flags) if bill.flags else None,
    )


def as_settled(record: Record, outcome: Outcome | ValueError) -> Record:
    """The record as it is kept, by what became of its exchange's settlement."""
    return record if isinstance(outcome, Outcome) and outcome.stands else disputed(record)


def from_row(row: Row) -> Record:
    """The record of a row. Raises ValueError if the row is not one that `to_row` made."""
    column: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
    for name in (*_JSON, "terms", *_BILL_JSON):
        if column[name] is not None:
            column[name] = json.loads(column[name])
    own = _pick(column, _OWN) | {
        "streamed": bool(column["streamed"]),
        "billable": bool(column["billable"]),
        "counted": bool(column["counted"]),
        "ending": Ending(column["ending"]),
        "attempts": tuple(Attempt(**attempt) for attempt in column["attempts"] or ()),
    }
    reading = _pick(column, _READING) | {
        "basis": Basis(column["basis"]),
        "estimate": _estimate(column),
        "anomalies": column["anomalies"] or {},
        "terms": column["terms"] or {},
    }
    bill = _pick(column, _BILL) | {
        "settled": None if column["settled"] is None else Settled(column["settled"]),
        "lines": tuple(PriceLine(**line) for line in column["lines"] or ()),
        "flags": tuple(column["flags"] or ()),
    }
    return Record(**own, key_id=column["key_id"], reading=Reading(**reading, usage=_usage(column)), bill=Bill(**bill))


def as_object(row: Row) -> dict[str, int | str | None]:
    """A row under the names of its columns, ready for JSON."""
    return dict(zip(COLUMNS, row, strict=True))


def from_object(named: Mapping[str, int | str | None]) -> Row:
    """The row of a JSON object that `as_object` made, here or in an older headgate with fewer columns."""
    return tuple(named.get(name) for name in COLUMNS)


def without_surrogates(row: Row) -> Row:
    """The row with each lone surrogate replaced by U+FFFD, so that it can be written as UTF-8."""
    return tuple(_SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value for value in row)


def _objects(values: Sequence[Attempt | PriceLine], names: Sequence[str]) -> str | None:
    """The JSON of some values; None where there are none."""
    if not values:
        return None
    try:
        return _encoded(values).decode()
    except (ValueError, OverflowError):  # half a character, or a number of more than 64 bits
        return _json_text([{name: getattr(value, name) for name in names} for value in values])


def _plain(usage: Usage) -> bool:
    """Whether there is nothing in it but integers, as is nearly always so."""
    return usage.cache_write_tokens_by_ttl is usage.tool_calls is usage.billed_units is None and not usage.legs


def _detail_texts(usage: Usage) -> Iterable[str | None]:
    return (None if value is None else _json_text(value) for value in _details(usage).values())


def _pick(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _estimate(column: Mapping[str, Any]) -> Estimate | None:
    tokens = [column[name] for name in _ESTIMATE]
    return None if tokens == [None, None] else Estimate(*tokens)


def _details(usage: Usage) -> dict[str, Any]:
    """What of a usage is not one integer, as JSON values; Decimals as strings, so that they stay exact."""
    units = usage.billed_units
    return {
        "cache_write_tokens_by_ttl": _dict(usage.cache_write_tokens_by_ttl),
        "tool_calls": _dict(usage.tool_calls),
        "billed_units": units and {unit: n if isinstance(n, int) else str(n) for unit, n in units.items()},
        "legs": [_leg_object(leg) for leg in usage.legs] or None,
    }


def _dict(counts: Mapping[str, int] | None) -> dict[str, int] | None:
    return None if counts is None else dict(counts)


def _leg_object(leg: Leg) -> dict[str, Any]:
    counts = {name: getattr(leg.usage, name) for name in _ALL_COUNTS}
    return {"kind": leg.kind, "model": leg.model, "usage": counts | _details(leg.usage)}


def _usage(values: Mapping[str, Any]) -> Usage:
    """The usage among decoded values: those of a row, or of a leg's object, which may be as old as its row."""
    units = values["billed_units"]
    return Usage(
        **_pick(values, (*COUNTS, "cache_write_tokens_by_ttl", "tool_calls")),
        **{name: values.get(name) for name in _LATER_COUNTS},
        billed_units=units and {unit: n if isinstance(n, int) else Decimal(n) for unit, n in units.items()},
        legs=tuple(Leg(leg["kind"], leg["model"], _usage(leg["usage"])) for leg in values["legs"] or ()),
    )
