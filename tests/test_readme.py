"""What the README says of the recordings, the corpus and the run of the tests say too."""

import re
from collections import Counter
from pathlib import Path

from headgate.testing import corpus
from tests.e2e.tally import TALLY

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CASES = Counter(case.wire_dialect for case in corpus.load(ROOT / "tests" / "corpus.tar.xz"))


def test_every_recording_stands_in_the_readmes_table() -> None:
    cells = [(int(right), int(total)) for right, total in re.findall(r"\| (\d+) of (\d+) \|", README)]
    assert sorted(cells) == sorted((n, n) for n in CASES.values())
    assert f"{CASES.total()} of {CASES.total()}" in README


def test_the_run_says_the_same() -> None:
    """Of a whole run, in which the replay has come before; of a part of it there is nothing to say."""
    if TALLY.total.total() == CASES.total():
        assert TALLY.counts() == {dialect: (n, n) for dialect, n in CASES.items()}
