"""docs/conformance.md against the tests it names: each row once, each test there, and none of them left out.

That each of them ran is known when the run is over, and not to any one of several processes: conftest.py checks it.
"""

import importlib
import re
from collections import Counter
from collections.abc import Collection
from typing import Any, Literal

import pytest

from tests.conformance import NAMED, PAGE, ROOT, TABLE, is_whole, left_out
from tests.outcome import Outcome

ROWS = {1: 32, 2: 19, 3: 13, 4: 10, 5: 18, 6: 13, 7: 14, 8: 27, 9: 21, 10: 25}
"""How many rows each section of facts/stream_cases.md has."""


def test_every_row_is_there_once() -> None:
    expected = [f"{section}.{number}" for section, last in ROWS.items() for number in range(1, last + 1)]
    assert len(expected) == 192
    assert Counter(row.number for row in TABLE) == Counter(expected)
    assert [row.number for row in TABLE] == expected


def test_every_row_is_pinned_or_says_what_is_missing() -> None:
    assert not [row.number for row in TABLE if not (row.tests or row.missing)]
    assert not [row.number for row in TABLE if row.missing and not re.fullmatch(r".+ \([^()]+\)", row.missing)]


def test_the_counts_at_the_top_are_right() -> None:
    kinds = Counter((bool(row.tests), bool(row.missing)) for row in TABLE)
    told = re.findall(r"^\| (pinned|pinned in part|not yet) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert dict(told) == {
        "pinned": str(kinds[True, False]),
        "pinned in part": str(kinds[True, True]),
        "not yet": str(kinds[False, True]),
    }


def marks_of(test: str) -> set[str]:
    """The names of the marks on a test, its class and its module; AttributeError if there is no such test.

    A class may have its tests from another file, as those of the stores have.
    """
    path, *names = test.partition("[")[0].split("::")
    part: Any = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    found = []
    for name in (None, *names):
        part = part if name is None else getattr(part, name)
        marks = getattr(part, "pytestmark", [])
        found += marks if isinstance(marks, list) else [marks]
    assert callable(part)
    return {mark.name for mark in found}


@pytest.mark.parametrize("test", NAMED)
def test_every_named_test_exists_and_is_never_skipped(test: str) -> None:
    assert marks_of(test).isdisjoint({"skip", "skipif", "xfail"})


def test_what_is_not_there_is_missed() -> None:
    with pytest.raises(AttributeError):
        marks_of("tests/stores/test_memory.py::TestMemoryLedger::test_nothing")
    assert marks_of("tests/test_conformance.py::test_left_out[a]") == {"parametrize"}


@pytest.mark.parametrize(
    ("ran", "selected", "expected"),
    [
        (["a::x[1]", "a::y"], None, []),
        (["a::x[1]"], None, ["a::y"]),
        (["a::x[2]", "a::y"], None, ["a::x[1]"]),
        (["a::x[2]"], {"a::x[1]", "a::x[2]"}, ["a::x[1]"]),
        ([], {"a::z"}, []),
    ],
)
def test_left_out(ran: list[str], selected: set[str] | None, expected: list[str]) -> None:
    assert left_out(["a::x", "a::x[1]", "a::y"], ran, selected) == expected


def test_the_suite_is_whole_without_the_folders_that_are_ignored() -> None:
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]
    ours = [f"{file}::test_x[1]" for file in files if not file.startswith("tests/clients/")]
    assert is_whole(ours, ["clients"])
    assert not is_whole(ours)
    assert not is_whole(ours[1:], ["clients"])


def heard(*reports: pytest.TestReport, selected: Collection[str]) -> Outcome:
    outcome = Outcome(["clients", "dashboard"])
    outcome.selected.update(selected)
    for report in reports:
        outcome.heard(report)
    return outcome


def report(nodeid: str, outcome: Literal["passed", "failed", "skipped"] = "passed", **more: Any) -> pytest.TestReport:
    return pytest.TestReport(nodeid, ("", None, ""), {}, outcome, None, more.pop("when", "call"), **more)


def test_what_a_run_comes_to_is_read_off_the_reports() -> None:
    named = [test for test in NAMED if "[" in test][:3]
    passed, skipped, unset = (report(named[0]), report(named[1], "skipped"), report(named[2], "failed", when="setup"))
    outcome = heard(passed, skipped, unset, selected=named)
    assert outcome.left_out() == named[1:]
    assert not outcome.is_whole
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    outcome = heard(*(report(test) for test in NAMED[1:]), selected={*files, *NAMED})
    assert outcome.is_whole
    assert outcome.left_out() == NAMED[:1]
    outcome.deselected = True
    assert not outcome.is_whole


def test_replays_are_counted_by_dialect() -> None:
    outcomes: list[Literal["passed", "failed"]] = ["passed", "failed", "passed"]
    told = [
        report(f"t[{n}]", each, user_properties=[("replayed", "a" if n else "b")]) for n, each in enumerate(outcomes)
    ]
    assert heard(*told, report("t"), selected=[]).replayed() == {"a": (1, 2), "b": (1, 1)}
