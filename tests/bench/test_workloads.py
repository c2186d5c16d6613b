"""What is asked for, and the figures that come of a window."""

import pytest

from bench import workloads
from bench.apis import WIRES
from bench.figures import FIGURES
from bench.load import Load, Tally
from bench.script import Script
from bench.workloads import FULL, QUICK, Window, Workload

BESIDE = {"late_p99_us", "late_p99_us_watched", "late_p99_us_crowd", "mib_idle", "mib_per_1000", "cold_ms"}
"""Figures that are measured beside the workloads."""
WINDOW = Window(Tally([2_000, 4_000], [1_000, 3_000], chunks=10), 2.0, 60_000)


def told(plan: workloads.Plan) -> set[str]:
    return {figure for each in workloads.workloads(plan) for figure in each.tell(each.key, each.load, WINDOW)}


def test_every_figure_of_the_table_comes_of_a_workload_and_every_workload_has_one() -> None:
    shown = {figure.key for figure in FIGURES} - BESIDE
    assert shown <= told(FULL)
    for each in workloads.workloads(FULL):
        assert shown & {*each.tell(each.key, each.load, WINDOW)}, each.key


def test_a_quick_run_is_a_part_of_a_full_one() -> None:
    quick, full = ([each.key for each in workloads.workloads(plan)] for plan in (QUICK, FULL))
    assert len({*full}) == len(full)
    assert {*quick} < {*full}


def test_every_dimension_is_varied() -> None:
    asked = [each.load for each in workloads.workloads(FULL)]
    assert {load.script.api for load in asked} == {*WIRES}
    assert {load.script.prompt_kb for load in asked} == {1, 100}
    assert {0, 33, 1000} <= {load.script.chunks for load in asked}
    assert {1, 10, 50, 200, 1000} <= {load.lanes for load in asked}


def test_all_that_is_asked_is_known_before() -> None:
    for plan in (QUICK, FULL):
        models = {asked.model for asked in workloads.scripts(plan)}
        assert {each.load.script.model for each in workloads.workloads(plan)} <= models
        assert {each.script.model for slow in (True, False) for each in workloads.warm_up(slow=slow)} <= models
        assert {workloads.OPEN.model, workloads.paced_script(plan.paced_seconds).model} <= models


@pytest.mark.parametrize(("slow_lanes", "lanes"), [(None, 50), (5, 5), (0, None)])
def test_a_slow_gateway_gets_less_or_nothing(slow_lanes: int | None, lanes: int | None) -> None:
    workload = Workload("x", Load(Script(), 50), workloads.answered, 1.0, slow_lanes)
    slow = workload.load_for(slow=True)
    assert (slow.lanes if slow else None) == lanes
    assert workload.load_for(slow=False) == workload.load


def test_figures_are_of_the_window_alone() -> None:
    load = Load(Script(), 1)
    assert workloads.answered("k", load, WINDOW) == {
        "rps_k": 1.0, "cpu_us_k": 30.0, "latency_p50_us_k": 2.0, "latency_p99_us_k": 4.0,
    }  # fmt: skip
    assert workloads.streamed("k", load, WINDOW) == {
        "streams_k": 1.0, "cpu_us_k": 30.0, "first_p50_us_k": 1.0, "first_p99_us_k": 3.0,
    }  # fmt: skip
    assert workloads.poured("k", load, WINDOW) == {"chunks_k": 5.0, "cpu_us_chunk_k": 6.0}
    assert workloads.begun("k", load, WINDOW) == {"k_p50_us": 1.0, "k_p99_us": 3.0}
    assert workloads.flowed("k", load, WINDOW) == {"cpu_us_k": 6.0}


def test_what_has_no_process_or_no_answers_has_no_cost() -> None:
    load = Load(Script(), 1)
    assert workloads.answered("k", load, Window(Tally([2_000]), 1.0, None))["cpu_us_k"] is None
    nothing = workloads.answered("k", load, Window(Tally(), 1.0, 5))
    assert (nothing["cpu_us_k"], nothing["rps_k"], nothing["latency_p50_us_k"]) == (None, 0.0, None)


def test_the_pace_is_the_part_that_came_in_time() -> None:
    load = Load(Script(40, 5), 2)
    paced, other = (Workload("x", load, workloads.flowed, 2.0, paced=paced) for paced in (True, False))
    assert paced.pace(load, WINDOW) == 0.5
    assert other.pace(load, WINDOW) == 1.0
