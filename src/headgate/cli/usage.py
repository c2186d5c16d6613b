"""`headgate usage`: what was used, from the record store."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from headgate.cli import source
from headgate.cli.charts import Drawn, Metric, Shapes, group_name, print_charts, series_of, sparklines
from headgate.money import dollars_text
from headgate.stores.spans import Step
from headgate.stores.summary import GroupBy, UsageRow, total

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(usage)


def usage(
    *,
    since: Annotated[
        str | None, typer.Option(help="How far back: 7d, 24h, 90m, or a day such as 2026-11-01 (UTC).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="What began before then, likewise.")] = None,
    by: Annotated[GroupBy, typer.Option(help="One row for each of these; days are in UTC.")] = GroupBy.MODEL,
    plot: Annotated[
        Metric | None, typer.Option(help="Draw it over time, too; without --since the 24 hours before --until, or now.")
    ] = None,
    step: Annotated[
        Step | None, typer.Option(help="What a column of the plot is; by itself, as fits the span.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
    db: source.Database = None,
    config: source.Config = None,
) -> None:
    """Show what was used: tokens, cost and failures, summed from the records."""
    import asyncio
    import time

    from rich.console import Console

    if plot is not None and as_json:
        raise typer.BadParameter("a plot is for people; without --plot there is JSON", param_hint="--plot")
    now_ns = time.time_ns()
    since_ns = None if since is None else parse_since(since, now_ns)
    until_ns = None if until is None else parse_since(until, now_ns, "--until")
    if plot is not None and since_ns is None:
        since_ns = max(0, (now_ns if until_ns is None else until_ns) - _UNITS["d"])
    span = Span(since_ns, until_ns)

    of = None if span.since_ns is None or as_json else series_of(span.since_ns, span.until_ns or now_ns, by, step)
    if plot is not None and of is not None:  # the table says what the chart shows
        span = Span(of.first_ns, None if until is None else of.end_ns)

    async def ask() -> tuple[list[UsageRow], Drawn | None, str]:
        async with source.opened(config, db) as found:
            rows = await found.records.usage(span.since_ns, by, span.until_ns)
            drawn = None if of is None or not rows else Drawn(of, await found.records.series(of))
            return rows, drawn, found.name

    rows, drawn, place = asyncio.run(ask())
    if as_json:
        typer.echo(as_document(rows, by, span))
    elif not rows:
        typer.echo(f"There are no records in {place}{span.text}.\n{source.NEXT_STEP}")
    else:
        console = Console()
        if plot is not None and drawn is not None:
            print_charts(drawn, plot, console)
        show(rows, by, span, console, drawn)


_NS = 1_000_000_000
_UNITS = {"m": 60 * _NS, "h": 3600 * _NS, "d": 86_400 * _NS}


def parse_since(text: str, now_ns: int, option: str = "--since") -> int:
    """The moment that `--since` means, in nanoseconds since the Unix epoch. Raises typer.BadParameter."""
    span = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    if span is not None:
        return max(0, now_ns - int(span[1]) * _UNITS[span[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        wanted = "expected a span such as 7d, 24h or 90m, or a day such as 2026-11-01"
        raise typer.BadParameter(f"{wanted}, not '{text}'", param_hint=option) from error
    since_ns = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * _NS
    if since_ns > now_ns:
        raise typer.BadParameter(f"{text} is still to come (days begin at midnight UTC)", param_hint=option)
    return max(0, since_ns)


class Span(NamedTuple):
    """The time that is asked about; nanoseconds since the epoch."""

    since_ns: int | None
    until_ns: int | None = None

    @property
    def text(self) -> str:
        """For people."""
        since = "" if self.since_ns is None else f" since {_minute(self.since_ns)}"
        return since + ("" if self.until_ns is None else f" until {_minute(self.until_ns)}")


def _minute(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // _NS, UTC):%Y-%m-%d %H:%M} UTC"


def as_document(rows: Sequence[UsageRow], by: GroupBy, span: Span) -> str:
    """The rows and their total as JSON, under the names of UsageRow; sums are null where nothing is known."""
    return json.dumps(
        {
            "since": _iso(span.since_ns),
            "until": _iso(span.until_ns),
            "by": str(by),
            "rows": [row.as_json(by) for row in rows],
            "total": total(rows).as_json(),
        },
        indent=2,
    )


def _iso(at_ns: int | None) -> str | None:
    return None if at_ns is None else datetime.fromtimestamp(at_ns // _NS, UTC).isoformat()


class Column(NamedTuple):
    """A column of numbers. `keep` says how much it is worth on a narrow terminal."""

    title: str
    cell: Callable[[UsageRow], int | None]
    keep: int
    money: bool = False

    def text(self, row: UsageRow) -> str:
        """The cell; a dash where the number is not known."""
        value = self.cell(row)
        if value is None:
            return "-"
        return dollars_text(value) if self.money else f"{value:,}"


COLUMNS = (
    Column("exchanges", lambda row: row.exchanges, 9),
    Column("cost", lambda row: row.cost_nanos, 9, money=True),
    Column("charge", lambda row: row.charge_nanos, 6, money=True),
    Column("input", lambda row: row.input_tokens, 8),
    Column("cached", lambda row: row.cache_read_tokens, 5),
    Column("cache wr.", lambda row: row.cache_write_tokens, 3),
    Column("output", lambda row: row.output_tokens, 8),
    Column("reasoning", lambda row: row.reasoning_tokens, 4),
    Column("errors", lambda row: row.errors, 7),
    Column("cancelled", lambda row: row.cancelled, 2),
)
"""A column of nothing but dashes and zeros is not shown."""

_GAP = 2
_NARROWEST_NAME = 16


def show(
    rows: Sequence[UsageRow],
    by: GroupBy,
    span: Span,
    console: "Console",
    drawn: "Drawn | None" = None,
) -> None:
    """Print the table, as wide as the terminal allows, and what has to be known to read it right."""
    everything = total(rows)
    console.print(f"Usage by {by}{span.text}\n", style="bold", highlight=False)
    columns, left_out, spare = _that_fit([*rows, everything], by, console.width)
    shapes = None if drawn is None or left_out else sparklines(drawn, spare - _GAP, console)
    console.print(_table(rows, everything, by, columns, shapes))
    for note in _notes(everything, left_out):
        console.print(f"\n{note}", highlight=False)


def _table(
    rows: Sequence[UsageRow],
    everything: UsageRow,
    by: GroupBy,
    columns: Sequence[Column],
    shapes: "Shapes | None",
) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_footer=len(rows) > 1, show_edge=False, padding=(0, _GAP - 1, 0, 0))
    table.add_column(str(by), "total", overflow="fold", footer_style="bold")
    for column in columns:
        table.add_column(column.title, column.text(everything), justify="right", no_wrap=True, footer_style="bold")
    if shapes is not None:
        table.add_column(shapes.title, no_wrap=True)
    for row in rows:
        cells = [column.text(row) for column in columns]
        table.add_row(Text(_name(row, by)), *cells, *([] if shapes is None else [shapes.lines.get(row.group, "")]))
    return table


def _that_fit(rows: Sequence[UsageRow], by: GroupBy, width: int) -> tuple[list[Column], list[Column], int]:
    """The columns with something in them, parted into those that fit the width and those that do not; and the rest."""
    shown = [column for column in COLUMNS if any(map(column.cell, rows))]
    widths = {column: max(len(text) for text in (column.title, *map(column.text, rows))) + _GAP for column in shown}
    longest_name = max(len(_name(row, by)) for row in rows)
    spare = width - min(longest_name, max(_NARROWEST_NAME, width // 4))
    fitting = set()
    for column in sorted(shown, key=lambda column: -column.keep):
        if widths[column] <= spare:
            spare -= widths[column]
            fitting.add(column)
    return [c for c in shown if c in fitting], [c for c in shown if c not in fitting], spare


def _notes(everything: UsageRow, left_out: Sequence[Column]) -> list[str]:
    """What the numbers leave open."""
    notes = []
    if everything.estimated:
        spent = (
            f"{everything.estimated_input_tokens or 0:,} input and {everything.estimated_output_tokens or 0:,} output"
        )
        notes.append(
            f"Not in the sums of tokens: an estimated {spent} tokens of {_exchanges(everything.estimated)} "
            "that the provider did not, or not wholly, report."
        )
    if everything.unmetered:
        notes.append(f"Unmetered: the usage of {_exchanges(everything.unmetered)} is not known at all.")
    if everything.unpriced:
        notes.append(f"Unpriced: the cost of {_exchanges(everything.unpriced)} is not known, or not all of it.")
    if left_out:
        names = ", ".join(column.title for column in left_out)
        notes.append(f"Left out at this width: {names}; --json has everything.")
    return notes


def _exchanges(number: int) -> str:
    return f"{number:,} exchange" + ("" if number == 1 else "s")


def _name(row: UsageRow, by: GroupBy) -> str:
    return group_name(row.group, by)
