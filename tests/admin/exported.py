"""Reads an export back: the inverse of admin/export.py, written down a second time, from the documentation."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from headgate.admin.export import COLUMNS, Kind
from headgate.records import Attempt, Bill, Ending, PriceLine, Record, Settled
from headgate.usage import Basis, Estimate, Leg, Reading, Usage


def csv_rows(text: str) -> list[dict[str, Any]]:
    """The rows of an export as CSV. What is quoted is a text; what is not and is empty is unknown."""
    lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    quoted = [list(map(_is_quoted, cells)) for cells in _raw_cells(text)]
    assert lines[0] == [column.name for column in COLUMNS]
    assert len(quoted) == len(lines)
    return [
        {c.name: _from_cell(c.kind, cell, marks) for c, cell, marks in zip(COLUMNS, line, own, strict=True)}
        for line, own in zip(lines[1:], quoted[1:], strict=True)
    ]


def _raw_cells(text: str) -> list[list[str]]:
    """The cells with their quotes: the csv module of Python 3.11 cannot tell "" from nothing."""
    lines: list[list[str]] = []
    cell, inside, line = "", False, []
    for letter in text:
        if letter == '"':
            inside = not inside
        if inside or letter not in ",\r\n":
            cell += letter
        elif letter != "\r":
            line.append(cell)
            cell = ""
            if letter == "\n":
                lines.append(line)
                line = []
    return lines


def _is_quoted(cell: str) -> bool:
    return cell.startswith('"')


def _from_cell(kind: Kind, cell: str, quoted: bool) -> Any:
    if not quoted and not cell:
        return None
    assert quoted == (kind in {Kind.TEXT, Kind.JSON})
    match kind:
        case Kind.INTEGER:
            return int(cell)
        case Kind.BOOLEAN:
            return {"true": True, "false": False}[cell]
        case Kind.JSON:
            return json.loads(cell)
        case Kind.TEXT:
            return cell.removeprefix("'")
        case _:
            return cell


def json_rows(text: str) -> list[dict[str, Any]]:
    """The rows of an export as JSON lines."""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def record_of(row: Mapping[str, Any]) -> Record:
    """The record that a row says; asserts that what it says twice agrees."""
    assert set(row) == {column.name for column in COLUMNS}
    for name in ("cost", "charge", "hold", "reported_cost"):
        nanos, dollars = row[f"{name}_nanos"], row[f"{name}_usd"]
        assert (nanos is None) == (dollars is None)
        assert nanos is None or Decimal(dollars) * 10**9 == nanos
    assert row["model"] == (row["served_model"] or row["model_asked"])
    own = {name: row[name] for name in Record.__struct_fields__ if name in row}
    reading = {name: row[name] for name in Reading.__struct_fields__ if name in row}
    bill = {name: row[name] for name in Bill.__struct_fields__ if name in row}
    estimate = Estimate(row["estimated_input_tokens"], row["estimated_output_tokens"])
    reading |= {
        "usage": _usage(row),
        "basis": Basis(row["basis"]),
        "estimate": None if estimate == Estimate() else estimate,
    }
    bill |= {
        "settled": None if row["settled"] is None else Settled(row["settled"]),
        "lines": tuple(PriceLine(**line) for line in row["lines"]),
        "flags": tuple(row["flags"]),
    }
    own |= {
        "started_at_ns": nanoseconds(row["started_at"]),
        "ending": Ending(row["ending"]),
        "attempts": tuple(Attempt(**attempt) for attempt in row["attempts"]),
        "reading": Reading(**reading),
        "bill": Bill(**bill),
    }
    return Record(**own)


def _usage(values: Mapping[str, Any]) -> Usage:
    own = {name: values[name] for name in Usage.__struct_fields__}
    units = own["billed_units"]
    own["billed_units"] = units and {unit: n if isinstance(n, int) else Decimal(n) for unit, n in units.items()}
    own["legs"] = tuple(Leg(leg["kind"], leg["model"], _usage(leg["usage"])) for leg in own["legs"])
    return Usage(**own)


def nanoseconds(text: str) -> int:
    """Of RFC 3339 with nine decimals."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    assert len(rest) == 9
    return int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()) * 10**9 + int(rest)
