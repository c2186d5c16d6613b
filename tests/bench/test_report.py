"""The report: the tables, the goals, the JSON, and the page in docs/."""

import json
from pathlib import Path

import pytest

from bench import goals, report
from bench.figures import Results


def test_a_row_shows_medians_and_ranges_and_what_nobody_measured_has_none() -> None:
    head, rule, *rows = report.table(_results(), ["nginx", "headgate"]).splitlines()
    assert head == "|  | direct | nginx | headgate |"
    assert rule.count("|") == head.count("|")
    assert [row.split(" |")[0] for row in rows] == [
        "| requests/s, 10 connections",
        "| CPU µs per request, 10 connections",
        "| added time to first token, p50 µs, 50 streams",
        "| added time to first token, p99 µs, 50 streams",
    ]
    assert rows[1].endswith("| - | 20.0 (10.0 to 30.0) | 60.0 (30.0 to 90.0), at 5 |")
    assert rows[2].endswith("| base 50 | 10 | 40 |")


def test_a_ratio_is_taken_round_by_round_and_not_over_noise() -> None:
    head, _, *rows = report.ratio_table(_results(), ["nginx", "headgate"]).splitlines()
    assert head == "|  | headgate / nginx |"
    assert rows == [
        "| CPU µs per request, 10 connections | **3.00** |",
        "| added time to first token, p50 µs, 50 streams | **4.00** |",
    ]


def test_the_noise_and_what_went_wrong_are_told() -> None:
    told = report.text(_results(), ["nginx", "headgate"], {"kernel": "Linux x"})
    assert "- kernel: Linux x\n- noise: direct's requests/s at 10 connections spread over 20%" in told
    assert "nginx 7, headgate 1,008. Of them metered and recorded: headgate 1,007." in told
    assert "- headgate: 3 wrong or broken answers, not counted\n- headgate metered 1007 of 1008 answers" in told
    assert "nginx: 0" not in told
    assert "unknown" in report.noise(Results())


def test_the_json_has_every_value_of_every_round() -> None:
    told = json.loads(report.as_json(_results(), {"mode": "quick"}))
    assert told["about"] == {"mode": "quick"}
    assert told["values"]["first_p50_us"] == {"direct": [50, 50], "nginx": [60, 60], "headgate": [90, 90]}
    assert (told["failures"]["headgate"], told["metered"]["headgate"]) == (3, 1007)


def test_what_the_json_says_can_be_reported_again() -> None:
    results, about = _results(), {"mode": "quick"}
    assert report.from_json(report.as_json(results, about)) == (results, about)


class TestGoals:
    @pytest.mark.parametrize(
        ("figure", "ours", "other", "value", "met"),
        [
            ("cpu_us_c50", 80.0, {"nginx": 10.0}, 8.0, True),
            ("cpu_us_c50", 81.0, {"nginx": 10.0}, 8.1, False),
            ("cpu_us_c50", 100.0, {"litellm": 5_000.0}, 0.02, True),
            ("cpu_us_c50", 101.0, {"litellm": 5_000.0}, 0.0202, False),
            ("cpu_us_chunk", 17.0, {"nginx": 10.0}, 1.7, True),
            ("first_p50_us", 1_100.0, {"direct": 200.0}, 0.9, True),
            ("first_p99_us", 5_600.0, {"direct": 200.0}, 5.4, False),
            ("mib_per_1000", 40.0, {}, 41.943, False),
            ("cold_ms", 900.0, {}, 0.9, True),
        ],
    )
    def test_a_goal_is_judged_by_the_run(
        self, figure: str, ours: float, other: dict[str, float], value: float, *, met: bool
    ) -> None:
        results = Results()
        results.add("headgate, accounts", **{figure: ours})
        for name, measured in other.items():
            results.add(name, **{figure: measured})
        (judged,) = (each for each in goals.judged(results) if each.value is not None)
        assert judged.value == pytest.approx(value, rel=1e-3)
        assert judged.met is met
        verdict = "| met |" if met else "| **not met** |"
        assert [verdict in line for line in goals.table(results).splitlines()].count(True) == 1

    def test_what_was_not_measured_is_neither_met_nor_missed(self) -> None:
        assert {each.met for each in goals.judged(Results())} == {None}
        assert goals.table(Results()).count("| not measured |") == len(goals.GOALS)


def test_the_page_keeps_all_but_what_is_between_its_markers() -> None:
    page = "# A\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nrest\n"
    assert report.with_report(page, "new\n") == "# A\n<!-- bench: begin -->\n\nnew\n\n<!-- bench: end -->\nrest\n"
    for broken in ("", "<!-- bench: end --><!-- bench: begin -->", page + page):
        with pytest.raises(ValueError, match="each once"):
            report.with_report(broken, "new")


def test_the_projects_own_page_has_the_markers() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "performance.md").read_text()
    assert "\n\nreport\n\n" in report.with_report(page, "report")


def _results() -> Results:
    results = Results()
    results.add("direct", rps_c10=90.0, first_p50_us=50, first_p99_us=100)
    results.add("direct", rps_c10=110.0, first_p50_us=50, first_p99_us=100)
    for cpu in (10.0, 30.0):
        results.add("nginx", cpu_us_c10=cpu, first_p50_us=60, first_p99_us=104)
        results.add("headgate", cpu_us_c10=3 * cpu, first_p50_us=90, first_p99_us=130)
    results.lanes = {"cpu_us_c10": {"headgate": 5}}
    results.count("nginx", 7, 0)
    results.count("headgate", 1008, 3)
    results.metered["headgate"] = 1007
    results.notes.append("headgate metered 1007 of 1008 answers")
    return results
