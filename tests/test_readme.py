"""What the README says of the recordings, the corpus says too, and each one is a test."""

import re
from collections import Counter
from pathlib import Path

from headgate.testing import corpus
from tests.e2e.test_corpus import CASES as REPLAYED

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CASES = Counter(case.wire_dialect for case in corpus.load(ROOT / "tests" / "corpus.tar.xz"))


def test_every_recording_stands_in_the_readmes_table() -> None:
    cells = [(int(right), int(total)) for right, total in re.findall(r"\| (\d+) of (\d+) \|", README)]
    assert sorted(cells) == sorted((n, n) for n in CASES.values())
    assert f"{CASES.total()} of {CASES.total()}" in README


def test_the_speed_is_that_of_the_published_table() -> None:
    table = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    rows = {cells[1].strip(): cells[2:-1] for line in table.splitlines() if len(cells := line.split("|")) == 9}

    def told(row: str, cell: int) -> float:
        return float(rows[row][cell].split()[0].strip("*").replace(",", ""))

    said = []
    for with_accounts in (0, 1):
        requests = [told(f"CPU µs per request, {n} connections", 4 + with_accounts) for n in (10, 50)]
        said += [
            f"{told('CPU µs per streamed chunk, 500 streams at 20/s', 4 + with_accounts):.1f} times",
            f"{min(requests):.0f} to {max(requests):.0f} times",
            f"{told('added time to first token, p50 µs, 50 streams', 2 + with_accounts) / 1000:.1f} ms",
            f"{told('memory, MiB PSS per 1000 open streams', 2 + with_accounts):.1f} MiB",
        ]
    speed = README[README.index("**Speed.**") : README.index("docs/performance.md")]
    assert re.findall(r"[0-9.]+(?: to [0-9.]+)?\s(?:times|ms|MiB)", speed) == said


def test_every_recording_is_replayed() -> None:
    assert Counter(case.wire_dialect for case in REPLAYED) == CASES
