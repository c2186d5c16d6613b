"""A whole run in small: headgate, with and without accounts, beside nothing, over real processes."""

import asyncio
import os
from pathlib import Path

from bench import coldstart, gateways, report, rounds, targets, workloads
from bench.figures import Results
from bench.load import Door, Load
from bench.machine import Cores
from bench.script import Script
from bench.workloads import Plan, Workload

ALL_CORES = frozenset(os.sched_getaffinity(0))
PLAN = Plan("tiny", 1, 1, 0, 1, closed_seconds=0.2, first_token_seconds=0.2, paced_seconds=0.5)
ASKED = [
    Workload("c10", Load(Script(), 2), workloads.answered, 0.2, direct=True),
    Workload("s33", Load(Script(5, 100, api="responses"), 2), workloads.streamed, 0.2),
    Workload("chunk_messages", Load(Script(12, 20, api="messages"), 2, think=None, counted=True), workloads.flowed, 0.2,
             paced=True),
]  # fmt: skip


def measured(folder: Path) -> Results:
    asked = [*(each.load.script for each in ASKED), *(each.script for each in workloads.warm_up(slow=False))]
    chosen = [gateways.HEADGATE, gateways.with_accounts(sorted({each.model for each in asked}))]
    whole = rounds.Asked(PLAN, ASKED, frozenset({rounds.COLD}))
    return asyncio.run(rounds.run(whole, chosen, Cores(ALL_CORES, ALL_CORES, ALL_CORES), folder))


def test_every_answer_is_right_and_metered_and_every_figure_is_there(tmp_path: Path) -> None:
    results = measured(tmp_path)
    assert not results.failures.total()
    assert not [note for note in results.notes if "in time" not in note]
    assert results.metered == {name: results.right[name] for name in ("headgate", "headgate, accounts")}
    for figure in ("rps_c10", "cpu_us_c10", "cpu_us_s33", "cpu_us_chunk_messages", "cold_ms"):
        for name in results.metered:
            (value,) = results.values[figure][name]
            assert value, (figure, name)
    assert results.values["cpu_us_c10"]["direct"] == [None]
    told = report.text(results, [*results.metered], {})
    assert "| cold start" in told
    assert report.from_json(report.as_json(results, {}))[0].values == results.values


def test_another_goes_first_in_each_round() -> None:
    assert [rounds.turned("abc", turn) for turn in range(4)] == [
        tuple("abc"), tuple("bca"), tuple("cab"), tuple("abc"),
    ]  # fmt: skip


def test_nobody_answers_where_nobody_listens_and_a_wrong_answer_is_none() -> None:
    assert not coldstart.asked(Door(targets.free_port()))
    with targets.upstream(ALL_CORES) as direct:
        assert coldstart.asked(direct.door)
        assert not coldstart.asked(Door(direct.port, headers=lambda api: f"x: {api}\r\n\r\n".encode()))
