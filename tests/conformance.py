"""docs/conformance.md read: its rows, the tests they name, and which of those a run left out."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")

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


def left_out(named: Iterable[str], ran: Collection[str], selected: Collection[str] | None = None) -> list[str]:
    """The named tests that did not run; of a part of the suite, those of them that were selected by their whole id."""
    known = {*ran, *(nodeid.partition("[")[0] for nodeid in ran)}
    return [test for test in named if test not in known and (selected is None or test in selected)]


def is_whole(selected: Iterable[str], ignored: Collection[str] = ()) -> bool:
    """Whether a test of every file is among them; but for the files in the folders of tests/ that are ignored."""
    files = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py")}
    expected = {str(file) for file in files if file.parts[1] not in ignored}
    return expected <= {nodeid.partition("::")[0] for nodeid in selected}
