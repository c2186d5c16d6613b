import io

import pytest
from rich.console import Console

from headgate.cli.charts import Drawn, Metric, group_name, print_charts, series_of, sparklines
from headgate.cli.plot import ASCII, BLOCKS
from headgate.stores.series import Group, Series, SeriesOf
from headgate.stores.spans import Step
from headgate.stores.summary import GroupBy, UsageRow
from tests.stores.examples import DAY_NS, NOON

HOUR_NS = DAY_NS // 24
MINUTE_NS = HOUR_NS // 60


def a_row(cost: int | None, **more: int) -> UsageRow:
    return UsageRow("x", exchanges=1, cost_nanos=cost, **more)


def of_hours(*groups: Group, by: GroupBy | None = GroupBy.MODEL) -> Drawn:
    of = SeriesOf(Step.HOUR, NOON, NOON + 3 * HOUR_NS, by)
    return Drawn(of, Series(tuple(range(NOON, NOON + 3 * HOUR_NS, HOUR_NS)), groups))


MODELS = (
    Group("gpt-4o", others=False, rows=(a_row(10**9), None, a_row(2 * 10**9))),
    Group(None, others=False, rows=(None, a_row(10**9), None)),
    Group(None, others=True, rows=(a_row(None), a_row(5 * 10**8), None)),
)


def told(drawn: Drawn, metric: Metric = Metric.COST, width: int = 60, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_charts(drawn, metric, Console(file=file, width=width))
    file.seek(0)
    return file.read().splitlines()


def test_a_chart_for_each_group_on_one_scale() -> None:
    assert told(of_hours(*MODELS)) == [
        "Cost by hour, 2025-11-01 12:00 to 2025-11-01 15:00 UTC",
        "",
        "gpt-4o  $3.00",
        "$2.00 ┤                ███████",
        "      ┤                ███████",
        "$1.00 ┤███████         ███████",
        "      ┤███████         ███████",
        "$0.00 ┼┴───────┴───────┴───────",
        "",
        "(no model)  $1.00",
        "$2.00 ┤",
        "      ┤",
        "$1.00 ┤        ███████",
        "      ┤        ███████",
        "$0.00 ┼┴───────┴───────┴───────",
        "",
        "(all others)  $0.50",
        "$2.00 ┤",
        "      ┤",
        "$1.00 ┤",
        "      ┤        ███████",
        "$0.00 ┼┴───────┴───────┴───────",
        "       12:00   13:00   14:00",
        "",
    ]


def test_all_of_it_is_one_higher_chart() -> None:
    lines = told(of_hours(Group(None, others=False, rows=MODELS[0].rows), by=None))
    assert lines[2] == "in all  $3.00"
    assert len([line for line in lines if "┤" in line]) == 8


@pytest.mark.parametrize(
    ("metric", "whole"), [("cost", "-"), ("charge", "$7.00"), ("tokens", "1,200"), ("exchanges", "2")]
)
def test_metrics(metric: str, whole: str) -> None:
    rows = (a_row(None, charge_nanos=7 * 10**9, input_tokens=1_000), a_row(None, output_tokens=200), None)
    lines = told(of_hours(Group("m", others=False, rows=rows)), Metric(metric))
    assert lines[0].startswith(f"{metric.capitalize()} by hour")
    assert lines[2] == f"m  {whole}"


def test_a_terminal_without_blocks_and_a_narrow_one() -> None:
    lines = told(of_hours(*MODELS), encoding="ascii")
    assert "$1.00 |#######         #######" in lines
    assert all(len(line) <= 40 for line in told(of_hours(*MODELS), width=40)[1:])


def test_columns_of_several_steps_are_told() -> None:
    of = SeriesOf(Step.MINUTE, NOON, NOON + 120 * MINUTE_NS, None)
    rows = (a_row(1),) * 120
    drawn = Drawn(of, Series(tuple(range(of.first_ns, of.end_ns, MINUTE_NS)), (Group(None, False, rows),)))  # noqa: FBT003
    assert told(drawn, width=50)[0].startswith("Cost by 4 minutes, ")


@pytest.mark.parametrize("name", ["\x1b]0;x\x07", "[red]x[/red]"])
def test_names_cannot_steer_the_terminal(name: str) -> None:
    lines = told(of_hours(Group(name, others=False, rows=MODELS[0].rows)))
    assert lines[2] == f"{group_name(name, GroupBy.MODEL)}  $3.00"
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("span_ns", "step"),
    [
        (90 * MINUTE_NS, Step.MINUTE),
        (4 * HOUR_NS, Step.MINUTE),
        (24 * HOUR_NS, Step.HOUR),
        (10 * DAY_NS, Step.HOUR),
        (11 * DAY_NS, Step.DAY),
        (1_000 * DAY_NS, Step.DAY),
    ],
)
def test_the_step_fits_the_span(span_ns: int, step: Step) -> None:
    assert series_of(NOON, NOON + span_ns, GroupBy.KEY).step is step
    assert series_of(NOON, NOON + span_ns, GroupBy.KEY, Step.DAY).step is Step.DAY
    assert series_of(NOON, NOON + span_ns, GroupBy.DAY).by is None


def a_console(encoding: str = "utf-8") -> Console:
    return Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding))


def test_sparklines_are_for_groups_that_have_a_name_of_their_own() -> None:
    shapes = sparklines(of_hours(*MODELS), 30, a_console())
    assert shapes is not None
    assert shapes.title == "cost over time"
    assert shapes.lines == {"gpt-4o": "▄ █", None: " █ "}


def test_sparklines_without_prices_blocks_or_room() -> None:
    free = of_hours(Group("m", others=False, rows=(a_row(None), None, a_row(None))))
    shapes = sparklines(free, 30, a_console("ascii"))
    assert shapes is not None
    assert (shapes.title, shapes.lines) == ("exchanges over time", {"m": "# #"})
    assert sparklines(free, 12, a_console()) is None
    assert sparklines(of_hours(MODELS[0], by=None), 30, a_console()) is None
    assert set(shapes.lines["m"]) <= set(ASCII)
    assert BLOCKS.isprintable()
