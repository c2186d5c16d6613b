"""docs/conformance.md against the tests it names: each row once, each test there, and none of them left out.

In a run of the whole suite each named test must have been executed by now; conftest.py puts this file last and keeps
what ran. In a run of a part, that they exist is all that can be checked.
"""

import importlib
import re
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import DESELECTED, RAN

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")

ROWS = {1: 32, 2: 19, 3: 13, 4: 10, 5: 18, 6: 13, 7: 14, 8: 27, 9: 21, 10: 25}
"""How many rows each section of facts/stream_cases.md has."""

TODAY = "not yet: "


class Row(NamedTuple):
    number: str
    words: str
    tests: tuple[str, ...]
    """Node ids; without a parameter, any of the test's."""
    missing: str
    """What is not there yet; empty where all of it is."""


def rows(page: str) -> list[Row]:
    found = []
    for number, words, cell in re.findall(r"^\| (\d+\.\d+) \| (.+?) \| (.+) \|$", page, re.MULTILINE):
        tests, _, missing = cell.partition(TODAY)
        found.append(Row(number, words, tuple(re.findall(r"`([^`]+)`", tests)), missing))
    return found


TABLE = rows(PAGE)
NAMED = sorted({test for row in TABLE for test in row.tests})


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


def left_out(named: Iterable[str], ran: Collection[str], selected: set[str] | None = None) -> list[str]:
    """The named tests that did not run; of a part of the suite, those of them that were selected by their whole id."""
    known = {*ran, *(nodeid.partition("[")[0] for nodeid in ran)}
    return [test for test in named if test not in known and (selected is None or test in selected)]


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


def test_every_named_test_ran(request: pytest.FixtureRequest) -> None:
    selected = {item.nodeid for item in request.session.items}
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    whole = not DESELECTED and files == {nodeid.partition("::")[0] for nodeid in selected}
    assert not left_out(NAMED, RAN, None if whole else selected)
