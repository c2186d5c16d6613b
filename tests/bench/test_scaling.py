"""What breaks first, calculated; and that the page says so."""

from pathlib import Path

import pytest

from bench import scaling
from bench.figures import FIGURES
from bench.scaling import Need, Traffic

LABELS = {figure.key: figure.label for figure in FIGURES}
COSTS = {
    (LABELS["cpu_us_c50"], "headgate, accounts"): 1_000.0,
    (LABELS["cpu_us_chunk"], "headgate, accounts"): 50.0,
    (LABELS["mib_per_1000"], "headgate, accounts"): 40.0,
}


def test_a_need_is_used_up_when_it_reaches_its_bound() -> None:
    assert Need("x", "cores", 0.07, 0.7).times == pytest.approx(10)


def test_needs_come_of_the_costs_and_are_sorted_by_when_they_are_used_up() -> None:
    found = {need.what: need for need in scaling.needs(COSTS, Traffic(answers=10, chunks=100, rate=20))}
    core = found["event loop of one process, which is one core"]
    assert core.used == pytest.approx(10 * 1e-3 + 1_000 * 50e-6)
    assert found["memory of the open streams"].used == pytest.approx(50 * 40 / 1_000)
    assert found["open files, as docs/running.md sets the limit"].used == 100
    assert found["disk of 30 days' records, SQLite"].used == pytest.approx(10 * 86_400 * 30 * 1_060 / 1e9)
    times = [need.times for need in scaling.needs(COSTS)]
    assert times == sorted(times)


def test_the_databases_own_work_counts_where_it_was_measured() -> None:
    row = ("2 hosts, PostgreSQL", "the database's CPU µs per request")
    known, unknown = ({need.what for need in scaling.needs(costs)} for costs in (COSTS | {row: 200.0}, COSTS))
    assert known - unknown == {"PostgreSQL's own work, on four cores"}


def test_what_is_too_much_is_bold_and_named_in_its_order() -> None:
    told = scaling.text(COSTS, Traffic(answers=10))
    assert "| event loop of one process, which is one core | 0.16 | **1.60** | **16.00** | 0.7 cores | 4.4 x |" in told
    first = "- 10 x takes 3 processes. Used up before it: event loop of one process"
    assert first in told
    assert "- 100 x takes 1 process. Used up before it: nothing." in scaling.text(COSTS, Traffic(answers=0.001))


def test_the_page_is_calculated_from_what_is_published() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert f"<!-- scaling: begin -->\n\n{scaling.text(scaling.published_costs())}\n\n<!-- scaling: end -->" in page
