"""What the README says of the recordings, the corpus and the run of the tests say too."""

import re
from collections import Counter
from pathlib import Path

from headgate.testing import corpus
from tests.e2e.tally import TALLY
from tests.e2e.test_corpus import CASES as REPLAYED

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CASES = Counter(case.wire_dialect for case in corpus.load(ROOT / "tests" / "corpus.tar.xz"))


def test_every_recording_stands_in_the_readmes_table() -> None:
    cells = [(int(right), int(total)) for right, total in re.findall(r"\| (\d+) of (\d+) \|", README)]
    assert sorted(cells) == sorted((n, n) for n in CASES.values())
    assert f"{CASES.total()} of {CASES.total()}" in README


def test_every_recording_is_replayed() -> None:
    assert Counter(case.wire_dialect for case in REPLAYED) == CASES


def test_what_was_replayed_in_this_run_came_through_right() -> None:
    """All of it in a whole run, since the test above; in a part of one, that part."""
    assert TALLY.right == TALLY.total
