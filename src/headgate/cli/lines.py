"""Exchanges as lines of a terminal: columns that fit its width, and nothing in them that could steer it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from headgate.cli.desk import printable
from headgate.money import dollars_text
from headgate.records import Ending, Record, stood_in_for

_NS = 1_000_000_000
_GAP = 2


class Column(NamedTuple):
    """One column."""

    title: str
    cell: Callable[[Record], str]
    keep: int
    """How much it is worth on a narrow terminal."""
    width: int
    """What it has at least."""
    most: int
    """What it may grow to."""
    number: bool = False


class Placed(NamedTuple):
    """A column, as wide as it is on this terminal."""

    column: Column
    width: int


def _ended(record: Record) -> str:
    return f"{datetime.fromtimestamp((record.started_at_ns + record.total_ns) // _NS, UTC):%H:%M:%S}"


def _model(record: Record) -> str:
    return record.reading.served_model or record.model_asked or "(no model)"


def _provider(record: Record) -> str:
    """With those that it stood in for."""
    return " after ".join([record.provider or "-", *filter(None, [", ".join(stood_in_for(record))])])


def _input(record: Record) -> str:
    estimate = record.reading.estimate
    return _tokens(record.reading.usage.input_tokens, None if estimate is None else estimate.input_tokens)


def _output(record: Record) -> str:
    estimate = record.reading.estimate
    return _tokens(record.reading.usage.output_tokens, None if estimate is None else estimate.output_tokens)


def _tokens(reported: int | None, estimated: int | None) -> str:
    """An estimate is told from a report by its sign."""
    if estimated is not None:
        return f"~{max(estimated, reported or 0):,}"
    return "-" if reported is None else f"{reported:,}"


def _cost(record: Record) -> str:
    return "-" if record.bill.cost_nanos is None else dollars_text(record.bill.cost_nanos)


def _took(nanoseconds: int) -> str:
    """A time for people: "850 ms", "12.3 s", "4:05 min"."""
    ms = nanoseconds // 1_000_000
    if ms < 1_000:
        return f"{ms} ms"
    if ms < 100_000:
        return f"{ms // 1_000}.{ms % 1_000 // 100} s"
    return f"{ms // 60_000}:{ms // 1_000 % 60:02} min"


COLUMNS = (
    Column("ended", _ended, 9, 8, 8),
    Column("status", lambda record: str(record.status), 7, 6, 6, number=True),
    Column("ending", lambda record: str(record.ending), 6, 14, 14),
    Column("model", _model, 10, 14, 40),
    Column("provider", _provider, 3, 9, 16),
    Column("key", lambda record: record.key or "-", 4, 10, 24),
    Column("account", lambda record: record.bill.account or "-", 2, 10, 24),
    Column("input", _input, 5, 9, 9, number=True),
    Column("output", _output, 5, 8, 8, number=True),
    Column("cost", _cost, 8, 12, 12, number=True),
    Column("took", lambda record: _took(record.total_ns), 5, 9, 9, number=True),
)

_COLOURS = {
    Ending.COMPLETE: "green",
    Ending.INCOMPLETE: "yellow",
    Ending.CLIENT_LEFT: "yellow",
}
"""Red for any other ending."""


def layout(width: int) -> list[Placed]:
    """The columns that a terminal has room for; what room is left makes names longer."""
    spare = width + _GAP
    chosen = []
    for column in sorted(COLUMNS, key=lambda column: -column.keep):
        if column.width + _GAP <= spare:
            chosen.append(column)
            spare -= column.width + _GAP
    placed = []
    for column in sorted(chosen, key=lambda column: -column.keep):
        more = min(spare, column.most - column.width)
        spare -= more
        placed.append(Placed(column, column.width + more))
    return sorted(placed, key=lambda place: COLUMNS.index(place.column))


def heading(places: Sequence[Placed]) -> Text:
    """The titles."""
    return Text((" " * _GAP).join(_fitted(place, place.column.title) for place in places).rstrip(), style="bold")


def line(record: Record, places: Sequence[Placed]) -> Text:
    """An exchange; its ending has a colour, and so has its status."""
    text = Text()
    for place in places:
        style = _COLOURS.get(record.ending, "red") if place.column.title in {"status", "ending"} else ""
        text.append(" " * _GAP if text else "")
        text.append(_fitted(place, printable(place.column.cell(record))), style)
    text.rstrip()
    return text


def _fitted(place: Placed, text: str) -> str:
    """The text in exactly the column's cells. A number is shown whole or not at all."""
    room = place.width - cell_len(text)
    if place.column.number:
        return " " * room + text if room >= 0 else "#" * place.width
    return set_cell_size(text, place.width) if room >= 0 else set_cell_size(text, place.width - 1) + "…"
