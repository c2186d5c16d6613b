import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from headgate.cli.lines import COLUMNS, heading, layout, line
from headgate.records import Attempt, Bill, Ending
from headgate.usage import Basis, Estimate, Usage
from tests.stores.examples import NOON, a_record, any_record

RECORD = a_record(
    started_at_ns=NOON, total_ns=1_234_567_890, key="team-a",
    usage=Usage(input_tokens=1_234_567, output_tokens=50), bill=Bill(account="acme", cost_nanos=23_285_600),
)  # fmt: skip


def test_a_wide_terminal_has_everything() -> None:
    places = layout(200)
    assert [place.column for place in places] == list(COLUMNS)
    assert heading(places).plain.split() == [column.title for column in COLUMNS]
    assert line(RECORD, places).plain.split() == [
        "12:00:01", "200", "complete", "gpt-4o-2024-08-06", "openai", "team-a", "acme", "1,234,567", "50",
        "$0.0232856", "1.2", "s",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [8, 20, 40, 60, 80, 100, 130, 160, 240])
def test_lines_fit_the_terminal_and_its_columns_each_other(width: int) -> None:
    places = layout(width)
    assert sum(place.width for place in places) + 2 * (len(places) - 1) <= width
    long = a_record(model_asked="m" * 300, served_model=None, key="k" * 300, status=502, ending=Ending.UPSTREAM_CUT)
    for text in (heading(places), line(RECORD, places), line(long, places)):
        assert cell_len(text.plain) <= width


def test_what_matters_stays_when_it_is_narrow() -> None:
    titles = {place.column.title for place in layout(60)}
    assert {"ended", "model", "cost", "status"} <= titles
    assert "account" not in titles


@given(any_record, st.integers(8, 200))
def test_nothing_steers_the_terminal_or_leaves_its_line(record: object, width: int) -> None:
    text = line(record, layout(width)).plain  # type: ignore[arg-type]
    assert text.isprintable()
    assert cell_len(text) <= width


@pytest.mark.parametrize("name", ["\x1b[2J\x1b]0;x\x07", "a\nb\rc", "\u202eevil\u2066", "\x9b31m", "宽" * 80, "é" * 80])
def test_names_of_every_kind(name: str) -> None:
    text = line(a_record(served_model=name, key=name), layout(120)).plain
    assert text.isprintable()
    assert cell_len(text) <= 120


@pytest.mark.parametrize(
    ("usage", "estimate", "shown"),
    [
        (Usage(), None, ["-", "-"]),
        (Usage(input_tokens=0, output_tokens=7), None, ["0", "7"]),
        (Usage(), Estimate(30, 4), ["~30", "~4"]),
        (Usage(input_tokens=5), Estimate(None, 4), ["5", "~4"]),
    ],
)
def test_an_estimate_is_told_from_a_report_and_nothing_from_nought(
    usage: Usage, estimate: Estimate | None, shown: list[str]
) -> None:
    cells = line(a_record(usage=usage, estimate=estimate, basis=Basis.PARTIAL), layout(200)).plain.split()
    assert cells[7:9] == shown
    assert cells[9] == "-"


@pytest.mark.parametrize(
    ("total_ns", "shown"),
    [(0, "0 ms"), (999_999_999, "999 ms"), (12_345_000_000, "12.3 s"), (245_000_000_000, "4:05 min")],
)
def test_how_long_it_took(total_ns: int, shown: str) -> None:
    assert line(a_record(total_ns=total_ns), layout(200)).plain.endswith(f"  {shown}")


def test_endings_have_colours() -> None:
    styles = {ending: str(line(a_record(ending=ending), layout(120)).spans[0].style) for ending in Ending}
    assert styles[Ending.COMPLETE] == "green"
    assert styles[Ending.CLIENT_LEFT] == "yellow"
    assert styles[Ending.UPSTREAM_CUT] == styles[Ending.GATEWAY_DIED] == "red"


def test_who_was_stood_in_for() -> None:
    attempts = (Attempt("eu", 500, 0, 1), Attempt("us", 200, 1, 2))
    assert "us after eu" in line(a_record(provider="us", attempts=attempts), layout(200)).plain
