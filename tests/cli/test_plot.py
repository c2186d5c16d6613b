import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.cli.plot import ASCII, BLOCKS, Times, ceiling, chart, merged, sparkline
from headgate.money import dollars_text
from tests.stores.examples import DAY_NS, NOON

HOUR_NS = DAY_NS // 24
values = st.lists(st.none() | st.integers(0, 10**15), min_size=1, max_size=400)


def test_columns_with_amounts_and_times() -> None:
    assert chart([0, None, 500_000_000, 1_000_000_000], Times(NOON, HOUR_NS), 60, 4, dollars_text).lines == [
        "$1.00 ┤                        ███████",
        "      ┤                        ███████",
        "$0.50 ┤                ███████ ███████",
        "      ┤                ███████ ███████",
        "$0.00 ┼┴───────┴───────┴───────┴───────",
        "       12:00   13:00   14:00   15:00",
    ]


def test_without_blocks() -> None:
    assert chart([1, 4, 10], Times(NOON, DAY_NS), 30, 3, str, blocks=ASCII).lines == [
        "10 |                #######",
        "   |        ....... #######",
        "   |....... ####### #######",
        " 0 ++-------+-------+-------",
        "    11-01   11-02   11-03",
    ]


@given(values, st.integers(30, 200), st.integers(1, 12), st.sampled_from([BLOCKS, ASCII]))
def test_a_chart_fits_and_shows_all_that_is_not_nothing(
    numbers: list[int | None], width: int, height: int, blocks: str
) -> None:
    lines = chart(numbers, Times(NOON, HOUR_NS), width, height, dollars_text, blocks=blocks).lines
    assert len(lines) == height + 2
    assert max(map(len, lines)) <= width
    drawn = set("".join(line.partition("|" if blocks == ASCII else "┤")[2] for line in lines[:height])) - {" "}
    assert bool(drawn) == any(numbers)
    assert drawn <= set(blocks)


@given(values, st.integers(1, 100))
def test_neighbours_are_added_up_and_nothing_is_lost(numbers: list[int | None], most: int) -> None:
    drawn, together = merged(numbers, most)
    assert len(drawn) <= most
    assert sum(value or 0 for value in drawn) == sum(value or 0 for value in numbers)
    assert drawn[0] == (sum(known) if (known := [v for v in numbers[:together] if v is not None]) else None)
    assert len(drawn) == -(-len(numbers) // together)


@given(values)
def test_higher_is_never_drawn_lower(numbers: list[int | None]) -> None:
    lines = chart(numbers[:20], Times(NOON, HOUR_NS), 200, 8, str).lines
    start = lines[0].index("┤") + 1
    heights = []
    for column in range(len(numbers[:20])):
        cells = [
            line.ljust(200)[start + column * max(1, min(8, (200 - start) // len(numbers[:20])))] for line in lines[:8]
        ]
        heights.append(sum(BLOCKS.index(cell) for cell in cells))
    pairs = sorted(zip((value or 0 for value in numbers[:20]), heights, strict=True))
    assert [height for _, height in pairs] == sorted(heights)


@pytest.mark.parametrize(
    ("value", "end"), [(1, 1), (2, 2), (3, 5), (5, 5), (7, 10), (10, 10), (11, 20), (999, 1000), (1000, 1000)]
)
def test_where_an_axis_ends(value: int, end: int) -> None:
    assert ceiling(value) == end


@pytest.mark.parametrize(
    ("step_ns", "number", "times"),
    [
        (60 * 10**9, 30, ["12:00", "12:08", "12:16", "12:24"]),
        (HOUR_NS, 30, ["11-01 12:00", "11-02 02:00"]),
        (DAY_NS, 30, ["11-01", "11-09", "11-17", "11-25"]),
        (DAY_NS, 365, ["2025-11-01", "2026-04-06"]),
    ],
)
def test_times_say_as_much_as_they_have_to(step_ns: int, number: int, times: list[str]) -> None:
    lines = chart([1] * number, Times(NOON, step_ns), 36, 3, str).lines
    shown = lines[-1].split("   ")
    assert [text.strip() for text in shown if text.strip()] == times


def test_charts_on_one_scale() -> None:
    (small, *_), (large, *_) = (
        chart([n], Times(NOON, HOUR_NS), 30, 1, str, beside=[[10], [100]]).lines for n in (10, 100)
    )
    assert small.count("▁") > 0
    assert large.count("█") > 0
    assert small.index("┤") == large.index("┤")


@pytest.mark.parametrize(
    ("numbers", "width", "line"),
    [
        ([1, 2, 3, 4], 8, "▂▄▆█"),
        ([0, None, 8], 8, "  █"),
        ([1, 1, 2, 2], 2, "▄█"),
        ([None, 0], 8, "  "),
        ([1, 10**12], 8, "▁█"),
    ],
)
def test_a_sparkline(numbers: list[int | None], width: int, line: str) -> None:
    assert sparkline(numbers, width) == line
