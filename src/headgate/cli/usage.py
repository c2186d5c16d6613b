"""`headgate usage`: what was used, from the record store."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from headgate.cli import source
from headgate.money import dollars_text
from headgate.stores.summary import GroupBy, UsageRow, total

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(usage)


def usage(
    since: Annotated[
        str | None, typer.Option(help="How far back: 7d, 24h, 90m, or a day such as 2026-11-01 (UTC).")
    ] = None,
    by: Annotated[GroupBy, typer.Option(help="One row for each of these; days are in UTC.")] = GroupBy.MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
    db: source.Database = None,
    config: source.Config = None,
) -> None:
    """Show what was used: tokens, cost and failures, summed from the records."""
    import asyncio
    import time

    since_ns = None if since is None else parse_since(since, time.time_ns())

    async def ask() -> tuple[list[UsageRow], str]:
        async with source.opened(config, db) as found:
            return await found.records.usage(since_ns, by), found.name

    rows, place = asyncio.run(ask())
    if as_json:
        typer.echo(as_document(rows, by, since_ns))
    elif rows:
        show(rows, by, since_ns)
    else:
        typer.echo(f"There are no records in {place}{_since_text(since_ns)}.\n{source.NEXT_STEP}")


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


def as_document(rows: Sequence[UsageRow], by: GroupBy, since_ns: int | None) -> str:
    """The rows and their total as JSON, under the names of UsageRow; sums are null where nothing is known."""
    return json.dumps(
        {
            "since": None if since_ns is None else datetime.fromtimestamp(since_ns // _NS, UTC).isoformat(),
            "by": str(by),
            "rows": [row.as_json(by) for row in rows],
            "total": total(rows).as_json(),
        },
        indent=2,
    )


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

_NO_GROUP = {
    GroupBy.MODEL: "(no model)",
    GroupBy.PROVIDER: "(no provider)",
    GroupBy.KEY: "(no key)",
    GroupBy.ACCOUNT: "(no account)",
    GroupBy.DAY: "(no day)",
}
_GAP = 2
_NARROWEST_NAME = 16


def show(rows: Sequence[UsageRow], by: GroupBy, since_ns: int | None, console: "Console | None" = None) -> None:
    """Print the table, as wide as the terminal allows, and what has to be known to read it right."""
    from rich.console import Console

    console = console or Console()
    everything = total(rows)
    console.print(f"Usage by {by}{_since_text(since_ns)}\n", style="bold", highlight=False)
    columns, left_out = _that_fit([*rows, everything], by, console.width)
    console.print(_table(rows, everything, by, columns))
    for note in _notes(everything, left_out):
        console.print(f"\n{note}", highlight=False)


def _table(rows: Sequence[UsageRow], everything: UsageRow, by: GroupBy, columns: Sequence[Column]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_footer=len(rows) > 1, show_edge=False, padding=(0, _GAP - 1, 0, 0))
    table.add_column(str(by), "total", overflow="fold", footer_style="bold")
    for column in columns:
        table.add_column(column.title, column.text(everything), justify="right", no_wrap=True, footer_style="bold")
    for row in rows:
        table.add_row(Text(_name(row, by)), *(column.text(row) for column in columns))
    return table


def _that_fit(rows: Sequence[UsageRow], by: GroupBy, width: int) -> tuple[list[Column], list[Column]]:
    """The columns with something in them, parted into those that fit the width and those that do not."""
    shown = [column for column in COLUMNS if any(map(column.cell, rows))]
    widths = {column: max(len(text) for text in (column.title, *map(column.text, rows))) + _GAP for column in shown}
    longest_name = max(len(_name(row, by)) for row in rows)
    spare = width - min(longest_name, max(_NARROWEST_NAME, width // 4))
    fitting = set()
    for column in sorted(shown, key=lambda column: -column.keep):
        if widths[column] <= spare:
            spare -= widths[column]
            fitting.add(column)
    return [c for c in shown if c in fitting], [c for c in shown if c not in fitting]


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
    """The group for people. Clients choose model names, so a name must not be able to steer the terminal."""
    name = _NO_GROUP[by] if row.group is None else row.group
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def _since_text(since_ns: int | None) -> str:
    if since_ns is None:
        return ""
    return f" since {datetime.fromtimestamp(since_ns // _NS, UTC):%Y-%m-%d %H:%M} UTC"
