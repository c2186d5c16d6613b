"""What the README says of the recordings, the corpus says too, and each one is a test."""

import re
from collections import Counter
from pathlib import Path

from bench import published
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
    table = published.medians(published.PAGE.read_text(encoding="utf-8"))
    said = []
    for ours in ("headgate", "headgate, accounts"):
        requests = [table[f"CPU µs per request, {n} connections", f"{ours} / nginx"] for n in (10, 50)]
        chunk = table["CPU µs per streamed chunk, 500 streams at 20/s", f"{ours} / nginx"]
        said += [
            f"{chunk:.1f} times",
            f"{' to '.join(dict.fromkeys(f'{times:.0f}' for times in sorted(requests)))} times",
            f"{table['added time to first token, p50 µs, 50 streams', ours] / 1000:.1f} ms",
            f"{table['memory, MiB PSS per 1000 open streams', ours]:.1f} MiB",
        ]
    speed = README[README.index("**Speed.**") : README.index("docs/performance.md")]
    assert re.findall(r"[0-9.]+(?: to [0-9.]+)?\s(?:times|ms|MiB)", speed) == said
    cpu = {
        who: table["CPU µs per request, 50 connections", who] for who in ("headgate, accounts", "litellm", "portkey")
    }
    litellm, portkey = (cpu[who] / cpu["headgate, accounts"] for who in ("litellm", "portkey"))
    assert f"({litellm:.0f} and {portkey:.1f} times\n" in README


def test_every_recording_is_replayed() -> None:
    assert Counter(case.wire_dialect for case in REPLAYED) == CASES
