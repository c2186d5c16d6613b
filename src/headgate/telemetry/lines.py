"""A line of the log: what it says of an exchange, and how it is written, for people or as JSON.

Whatever stands in it, a line stays one line and says nothing to the terminal that shows it: what a client or a provider
wrote has its control characters escaped, and those that turn the direction of text.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from headgate.money import dollars_text
from headgate.records import FAILED, Record, stood_in_for
from headgate.usage import Basis

_NS = 1_000_000_000
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST = 1_000
"""Characters of a value: an error may quote a whole answer."""
_LONGEST_NAME = 100
"""Characters of a model's name in a line for people."""

EXCHANGE = "headgate.exchange"
"""What says the lines of exchanges."""
INFO, WARNING = 20, 30
_NAMES = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}


@dataclass(frozen=True, slots=True)
class Line:
    """What is to be written."""

    at_ns: int
    """Nanoseconds since the Unix epoch."""
    level: int
    """As the logging module has it."""
    logger: str
    message: str
    trace: str = ""
    """A traceback, of many lines."""


def level_of(record: Record) -> int:
    """A warning for what failed on the provider's side or on ours; what a client did is its own affair."""
    return WARNING if record.ending in FAILED or record.status >= 500 else INFO


def _exchange(record: Record) -> dict[str, Any]:
    """An exchange that is over, by name; None is left out. No body, credential or query: a record holds none."""
    usage, bill, reading = record.reading.usage, record.bill, record.reading
    estimate = reading.estimate
    found = {
        "at": _at(record.started_at_ns + record.total_ns),
        "level": _name(level_of(record)),
        "logger": EXCHANGE,
        "exchange_id": record.exchange_id,
        "key": record.key,
        "key_id": record.key_id,
        "account": bill.account,
        "method": record.method,
        "path": _cut(record.path),
        "dialect": record.dialect,
        "operation": record.operation,
        "provider": record.provider,
        "model_asked": _cut(record.model_asked),
        "model": _cut(reading.served_model or record.model_asked),
        "streamed": record.streamed,
        "status": record.status,
        "ending": str(record.ending),
        "basis": str(reading.basis),
        "counted": record.counted,
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "estimated_input_tokens": None if estimate is None else estimate.input_tokens,
        "estimated_output_tokens": None if estimate is None else estimate.output_tokens,
        "cost_nanos": bill.cost_nanos,
        "cost_usd": _dollars(bill.cost_nanos),
        "charge_nanos": bill.charge_nanos,
        "charge_usd": _dollars(bill.charge_nanos),
        "duration_ms": record.total_ns // 1_000_000,
        "first_byte_ms": None if record.first_byte_ns is None else record.first_byte_ns // 1_000_000,
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "attempts": len(record.attempts),
        "finish_reason": _cut(reading.finish_reason),
        "response_id": _cut(reading.response_id),
        "flags": list(bill.flags) or None,
        "error": _cut(record.error or reading.in_stream_error),
    }
    return {name: value for name, value in found.items() if value is not None}


def _said(record: Record) -> str:
    """The exchange for people."""
    reading, bill = record.reading, record.bill
    model = (reading.served_model or record.model_asked or record.path)[:_LONGEST_NAME]
    parts = [f"{record.status} {record.ending}", f"{record.provider or '-'} {model}"]
    usage, estimate = reading.usage, reading.estimate
    if reading.basis is not Basis.NONE:
        parts.append(f"{_count(usage.input_tokens)} in {_count(usage.output_tokens)} out")
    if estimate is not None:
        parts.append(f"(estimated {_count(estimate.input_tokens)} in {_count(estimate.output_tokens)} out)")
    if bill.cost_nanos is not None:
        parts.append(dollars_text(bill.cost_nanos))
    parts.append(f"{record.total_ns / _NS:.3f}s")
    if record.first_byte_ns is not None:
        parts.append(f"first {record.first_byte_ns / _NS:.3f}s")
    if record.key is not None:
        parts.append(f"key {record.key}")
    before = stood_in_for(record)
    if before:
        parts.append(f"after {', '.join(before)}")
    parts += [f"[{flag}]" for flag in bill.flags]
    parts.append(record.exchange_id)
    error = record.error or reading.in_stream_error
    return "  ".join([*parts, error] if error else parts)


def as_json(said: Line | Record) -> str:
    """One JSON object, with a line feed. Non-ASCII text stays readable."""
    told = _exchange(said) if isinstance(said, Record) else _own(said)
    try:
        text = msgspec.json.encode(told).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which a JSON text can write and UTF-8 cannot
        text = json.dumps(told, ensure_ascii=False)
    return f"{text if text.isprintable() else _UNSAFE.sub(_as_json_escape, text)}\n"


def _own(line: Line) -> dict[str, Any]:
    trace = {"traceback": line.trace} if line.trace else {}
    return {
        "at": _at(line.at_ns),
        "level": _name(line.level),
        "logger": line.logger,
        "message": _cut(line.message),
    } | trace


def as_text(said: Line | Record) -> str:
    """For people: the time in UTC, the level, the message. A traceback follows, indented."""
    if isinstance(said, Record):
        at_ns, level, logger = said.started_at_ns + said.total_ns, level_of(said), EXCHANGE
        message, trace = _said(said), ""
    else:
        at_ns, level, logger, message, trace = said.at_ns, said.level, said.logger, said.message, said.trace
    top = f"{_at(at_ns)} {_name(level).upper():<7} {logger}: {safe(_cut(message))}\n"
    return top + "".join(f"    {safe(text)}\n" for text in trace.splitlines()) if trace else top


def safe(text: str) -> str:
    """The text with what controls a terminal written out."""
    return text if text.isprintable() else _UNSAFE.sub(_as_escape, text)


_Text = TypeVar("_Text", str, str | None)


def _cut(text: _Text) -> _Text:
    return f"{text[:_LONGEST]}..." if text is not None and len(text) > _LONGEST else text


def _as_escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _as_json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"


def _dollars(nanos: int | None) -> str | None:
    return None if nanos is None else dollars_text(nanos).replace("$", "")


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _name(level: int) -> str:
    return _NAMES.get(level, str(level))


def _at(ns: int) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    seconds, rest = divmod(ns, _NS)
    return f"{_second(seconds)}.{rest // 1_000_000:03d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
