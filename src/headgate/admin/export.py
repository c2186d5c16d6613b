"""Records as rows of one width, for CSV, JSON lines and Parquet: what the API's download and `headgate export` share.

Nothing is rounded and nothing left out: a row says all that its record does. Money stands in it twice, as integer
nano-dollars and as decimal dollars; times are RFC 3339 to the nanosecond; what is nested is JSON.

In CSV a text is always quoted and an unknown value is empty without quotes, as PostgreSQL's COPY and DuckDB have it, so
that an empty text and an unknown one stay apart. Clients choose model names, and a spreadsheet takes a cell that begins
with = for a formula: a text that begins with one of `GUARDED` has an apostrophe put before it. An apostrophe is one of
them too, so taking one off a text that begins with it gives the text back (docs/decisions/0034).
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from headgate.admin.texts import usd_from_nanos
from headgate.records import Record, Wanted
from headgate.usage import Leg, Usage

PAGE = 200
"""Records that are read, and made into text, in one go: some milliseconds."""

GUARDED = "=+-@'\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What a spreadsheet takes for the beginning of a formula, the full-width forms too; and the apostrophe."""

_NS = 1_000_000_000
_SURROGATE = re.compile("[\ud800-\udfff]")


class Format(StrEnum):
    """What a download can be."""

    CSV = "csv"
    JSONL = "jsonl"

    @property
    def media_type(self) -> str:
        """The content type."""
        return "text/csv" if self is Format.CSV else "application/jsonl"


class Kind(StrEnum):
    """What a column holds. `Column.value` gives None where it is not known."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"
    """Nanoseconds since the Unix epoch."""
    DOLLARS = "dollars"
    """Nano-dollars, to be shown as dollars."""
    JSON = "json"
    """A JSON value."""


class Column(NamedTuple):
    """One column of a row."""

    name: str
    kind: Kind
    value: Callable[[Record], Any]


def _texts(*names: str, of: str = "") -> list[Column]:
    return [Column(name, Kind.TEXT, attrgetter(of + name)) for name in names]


def _integers(*names: str, of: str = "") -> list[Column]:
    return [Column(name, Kind.INTEGER, attrgetter(of + name)) for name in names]


def _booleans(*names: str) -> list[Column]:
    return [Column(name, Kind.BOOLEAN, attrgetter(name)) for name in names]


def _money(name: str, of: str) -> list[Column]:
    amount = attrgetter(f"{of}{name}_nanos")
    return [Column(f"{name}_nanos", Kind.INTEGER, amount), Column(f"{name}_usd", Kind.DOLLARS, amount)]


def _json(name: str, value: Callable[[Record], Any]) -> Column:
    return Column(name, Kind.JSON, value)


def _estimated(name: str) -> Callable[[Record], int | None]:
    def value(record: Record) -> int | None:
        estimate = record.reading.estimate
        return None if estimate is None else getattr(estimate, name)

    return value


def _detail(name: str) -> Callable[[Record], Any]:
    return lambda record: _details(record.reading.usage)[name]


COLUMNS: tuple[Column, ...] = (
    Column("started_at", Kind.TIME, attrgetter("started_at_ns")),
    *_texts("exchange_id", "key", "key_id"),
    *_texts("account", of="bill."),
    *_texts("provider"),
    Column("model", Kind.TEXT, lambda record: record.reading.served_model or record.model_asked),
    *_texts("model_asked"),
    *_texts("served_model", of="reading."),
    *_texts("dialect", "operation", "method", "path"),
    *_booleans("streamed"),
    *_integers("status"),
    *_texts("ending"),
    *_booleans("billable", "counted"),
    *_texts("basis", of="reading."),
    *_integers(
        "input_tokens", "cache_read_tokens", "cache_read_audio_tokens", "cache_read_image_tokens",
        "cache_write_tokens", "input_audio_tokens", "input_image_tokens", "output_tokens", "reasoning_tokens",
        "output_audio_tokens", "output_image_tokens", of="reading.usage.",
    ),
    Column("estimated_input_tokens", Kind.INTEGER, _estimated("input_tokens")),
    Column("estimated_output_tokens", Kind.INTEGER, _estimated("output_tokens")),
    *_money("cost", "bill."),
    *_money("charge", "bill."),
    *_money("hold", "bill."),
    *_money("reported_cost", "reading.usage."),
    *_texts("settled", "price_source", "price_version", of="bill."),
    *_integers("first_byte_ns", "total_ns", "bytes_in", "bytes_out"),
    *_integers("delivered_bytes", of="reading."),
    *_texts(
        "response_id", "service_tier", "finish_reason", "terminal_evidence", "in_stream_error", of="reading."
    ),
    *_texts("error"),
    *(_json(name, _detail(name)) for name in ("cache_write_tokens_by_ttl", "tool_calls", "billed_units", "legs")),
    _json("terms", lambda record: dict(record.reading.terms)),
    _json("anomalies", lambda record: dict(record.reading.anomalies)),
    _json("attempts", lambda record: [_object(attempt) for attempt in record.attempts]),
    _json("lines", lambda record: [_object(line) for line in record.bill.lines]),
    _json("flags", lambda record: list(record.bill.flags)),
)  # fmt: skip
"""The same for every record and every format. `model` is the one that served or, where that is not known, the one asked
for: what sums go by."""


json_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""A JSON column as text."""


class Searchable(Protocol):
    """Records that can be read page by page."""

    async def page(
        self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None
    ) -> tuple[Sequence[Record], tuple[int, str] | None]:
        """At most `limit` records in descending order of (started_at_ns, exchange_id), below `before`.

        Fewer where they are hard to find, and the place below which to go on; None where only the limit ends them.
        """


async def pages(records: Searchable, wanted: Wanted, size: int = PAGE) -> AsyncIterator[Sequence[Record]]:
    """All records that are wanted, the newest first, at most `size` at once; none at once where they are hard to find.

    Each page costs about as much as another, so whoever has had enough is not waited for. Between two pages nothing is
    held open: this is a walk, not a snapshot. What arrives meanwhile is found where the walk has not yet been; no
    record comes twice.
    """
    before: tuple[int, str] | None = None
    while True:
        page, goes_on = await records.page(wanted, size, before)
        if page or goes_on is not None:
            yield page
        if goes_on is None and len(page) < size:
            return
        before = goes_on or (page[-1].started_at_ns, page[-1].exchange_id)


def head(form: Format) -> bytes:
    """What stands before the first record: the names of the columns in CSV, nothing in JSON lines."""
    return ",".join(column.name for column in COLUMNS).encode() + b"\r\n" if form is Format.CSV else b""


def rendered(records: Iterable[Record], form: Format) -> bytes:
    """The records' lines, in UTF-8; a lone surrogate, which it cannot spell, becomes U+FFFD."""
    lines = map(_csv_line if form is Format.CSV else _json_line, records)
    text = "".join(lines)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text).encode()


def _csv_line(record: Record) -> str:
    values = ((value(record), cell) for value, cell in _CELLS)
    return ",".join(["" if value is None else cell(value) for value, cell in values]) + "\r\n"


def _json_line(record: Record) -> str:
    return json_text({column.name: _plain(column.kind, column.value(record)) for column in COLUMNS}) + "\n"


def _text_cell(text: str) -> str:
    return _quoted(f"'{text}" if text and text[0] in GUARDED else text)


def _json_cell(value: Any) -> str:
    return _quoted(json_text(value))


def _boolean_cell(value: bool) -> str:  # noqa: FBT001 - it is what the column holds
    return "true" if value else "false"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _plain(kind: Kind, value: Any) -> Any:
    if value is None or kind not in {Kind.TIME, Kind.DOLLARS}:
        return value
    return time_text(value) if kind is Kind.TIME else usd_from_nanos(value)


def time_text(at_ns: int) -> str:
    """RFC 3339 in UTC, to the nanosecond: "2025-11-01T12:00:00.000000000Z"."""
    seconds, rest = divmod(at_ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _object(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _details(usage: Usage) -> dict[str, Any]:
    """What of a usage is nested, as JSON values; a Decimal as a string, so that it stays exact."""
    units = usage.billed_units
    return {
        "cache_write_tokens_by_ttl": _dict(usage.cache_write_tokens_by_ttl),
        "tool_calls": _dict(usage.tool_calls),
        "billed_units": units and {unit: str(n) if isinstance(n, Decimal) else n for unit, n in units.items()},
        "legs": [_leg(leg) for leg in usage.legs],
    }


def _dict(counts: Any) -> dict[str, Any] | None:
    return None if counts is None else dict(counts)


def _leg(leg: Leg) -> dict[str, Any]:
    return {"kind": leg.kind, "model": leg.model, "usage": _object(leg.usage) | _details(leg.usage)}


_CELL: Mapping[Kind, Callable[[Any], str]] = {
    Kind.TEXT: _text_cell,
    Kind.INTEGER: str,
    Kind.BOOLEAN: _boolean_cell,
    Kind.TIME: time_text,
    Kind.DOLLARS: usd_from_nanos,
    Kind.JSON: _json_cell,
}
_CELLS = [(column.value, _CELL[column.kind]) for column in COLUMNS]
"""How each column's value is found and, if it is known, written."""
