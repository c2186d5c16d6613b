"""Usage over time, drawn: a chart for all of it or one for each group, on one scale; and sparklines for a table."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from headgate.cli.desk import printable
from headgate.cli.plot import ASCII, BLOCKS, Times, Values, chart, sparkline
from headgate.money import dollars_text
from headgate.stores.series import Group, Series, SeriesOf
from headgate.stores.spans import Step
from headgate.stores.summary import GroupBy, UsageRow, total

if TYPE_CHECKING:
    from rich.console import Console

_NS = 1_000_000_000
_GROUPS = 5
"""Those that cost most have charts of their own."""
_ALONE, _AMONG_OTHERS = 8, 4
"""Heights of charts, in lines."""
_NARROWEST, _NARROWEST_SHAPE, _WIDEST_SHAPE = 30, 8, 24
_WIDEST = 160
_MOST_STEPS = 240
"""Of a kind; where there are more, the next longer one will do."""


class Metric(StrEnum):
    """What is drawn."""

    COST = "cost"
    CHARGE = "charge"
    TOKENS = "tokens"
    """Input and output, as reported."""
    EXCHANGES = "exchanges"

    def of(self, row: UsageRow | None) -> int | None:
        """It, of a row; None where it is not known, or nothing happened."""
        if row is None:
            return None
        match self:
            case Metric.COST:
                return row.cost_nanos
            case Metric.CHARGE:
                return row.charge_nanos
            case Metric.EXCHANGES:
                return row.exchanges
            case Metric.TOKENS:
                known = [count for count in (row.input_tokens, row.output_tokens) if count is not None]
                return sum(known) if known else None

    def text(self, value: int | None) -> str:
        """An amount of it for people."""
        if value is None:
            return "-"
        return dollars_text(value) if self in {Metric.COST, Metric.CHARGE} else f"{value:,}"


class Drawn(NamedTuple):
    """A series, and what it was asked as."""

    of: SeriesOf
    found: Series


class Shapes(NamedTuple):
    """Sparklines by group."""

    title: str
    lines: Mapping[str | None, str]


_NO_GROUP = {
    GroupBy.MODEL: "(no model)",
    GroupBy.PROVIDER: "(no provider)",
    GroupBy.KEY: "(no key)",
    GroupBy.ACCOUNT: "(no account)",
    GroupBy.DAY: "(no day)",
}


def group_name(name: str | None, by: GroupBy) -> str:
    """A group for people. Clients choose model names, so a name must not be able to steer the terminal."""
    return _NO_GROUP[by] if name is None else printable(name)


def series_of(since_ns: int, until_ns: int, by: GroupBy, step: Step | None = None) -> SeriesOf:
    """What to ask for, with the step that fits the span. Days have no groups: they are what is drawn."""
    span_ns = until_ns - since_ns
    if step is None:
        step = next((one for one in (Step.MINUTE, Step.HOUR) if span_ns <= _MOST_STEPS * one.ns), Step.DAY)
    return SeriesOf(step, since_ns, until_ns, None if by is GroupBy.DAY else by, top=_GROUPS)


def print_charts(drawn: Drawn, metric: Metric, console: "Console") -> None:
    """A chart of each group, all on one scale and as wide as the terminal; the last one has the times."""
    of, groups = drawn.of, drawn.found.groups
    times = Times(of.first_ns, of.step.ns)
    width = max(_NARROWEST, min(console.width, _WIDEST))
    every = [_values(group, metric) for group in groups]
    height = _ALONE if len(groups) == 1 else _AMONG_OTHERS
    blocks = _blocks(console)
    charts = [chart(values, times, width, height, metric.text, beside=every, blocks=blocks) for values in every]
    together = charts[0].together
    column = of.step if together == 1 else f"{together} {of.step}s"
    span = f"{_time(of.first_ns)} to {_time(of.end_ns)} UTC"
    console.print(f"{str(metric).capitalize()} by {column}, {span}", style="bold", highlight=False, soft_wrap=True)
    for group, drawing in zip(groups, charts, strict=True):
        whole = metric.text(metric.of(total(row for row in group.rows if row is not None)))
        console.print(f"\n{_title(group, of.by)}  {whole}", highlight=False, markup=False, soft_wrap=True)
        for line in drawing.lines if group is groups[-1] else drawing.lines[:-1]:
            console.print(line, style="cyan", highlight=False, markup=False, soft_wrap=True)
    console.print()


def sparklines(drawn: Drawn, room: int, console: "Console") -> Shapes | None:
    """The groups' costs over time, or their exchanges where nothing has a price; None where there is no room for them.

    Each has a scale of its own: they show when, and the table how much.
    """
    metric = Metric.COST if any(_has(group, Metric.COST) for group in drawn.found.groups) else Metric.EXCHANGES
    title = f"{metric} over time"
    if drawn.of.by is None or room < max(_NARROWEST_SHAPE, len(title)):
        return None
    width = min(room, _WIDEST_SHAPE)
    own = [group for group in drawn.found.groups if not group.others]
    lines = {group.name: sparkline(_values(group, metric), width, _blocks(console)) for group in own}
    return Shapes(title, lines)


def _has(group: Group, metric: Metric) -> bool:
    return any(_values(group, metric))


def _values(group: Group, metric: Metric) -> Values:
    return [metric.of(row) for row in group.rows]


def _title(group: Group, by: GroupBy | None) -> str:
    if by is None:
        return "in all"
    return "(all others)" if group.others else group_name(group.name, by)


def _time(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // _NS, UTC):%Y-%m-%d %H:%M}"


def _blocks(console: "Console") -> str:
    """What the terminal can show."""
    try:
        BLOCKS.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS
