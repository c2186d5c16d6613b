"""`python -m bench.scaling`: what breaks first with ten and a hundred times the traffic, from the published costs.

Pure, but for reading and writing the two pages, docs/performance.md and docs/scaling.md.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import published, report
from bench.figures import FIGURES

_PAGE = Path(__file__).parent.parent / "docs" / "scaling.md"
_OURS = "headgate, accounts"
_SCALE_ROW = ("2 hosts, PostgreSQL", "the database's CPU µs per request")
"""In docs/scaling.md, where bench/scale.py has measured it."""
_LABELS = {figure.key: figure.label for figure in FIGURES}
_DAY = 86_400
_LOOP = "event loop of one process, which is one core"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a gateway is asked: answers a second, all streamed, each so many chunks at so many a second."""

    answers: float
    chunks: int = 300
    rate: int = 20

    @property
    def streams(self) -> float:
        """Open at any moment."""
        return self.answers * self.chunks / self.rate


BASE = Traffic(answers=5)
"""1 x: a firm's own gateway on a busy hour, and 75 streams open."""

# Measured apart, by hand: docs/performance.md tells how (what costs what; pages).
_SQLITE_PAIRS, _POSTGRES_PAIRS, _LONE_PAIRS = 12_600, 8_400, 950
"""Holds placed and captured a second on one hot account, at 256 clients; in SQLite with one client, each a commit."""
_SQLITE_BYTES, _POSTGRES_BYTES = 1_060, 1_700
"""Of a record with its hold, its entries and its part of the roll-ups, over ten million records."""
_SQLITE_ROLL_US, _POSTGRES_ROLL_US = 96, 51
"""To roll a record up."""
_KEPT_DAYS = 30
_BUSY = 0.7
"""Of a core: above that, who comes waits longer for those before him than for what is done for him."""
_MEMORY_MIB, _DISK_GB, _DESCRIPTORS = 4 * 1024, 1_000, 65_536


@dataclass(frozen=True, slots=True)
class Need:
    """Something that traffic uses up: how much of it, and how much there is."""

    what: str
    unit: str
    used: float
    bound: float
    digits: int = 0

    @property
    def times(self) -> float:
        """So many times the base traffic and it is used up."""
        return self.bound / self.used


def needs(costs: Mapping[tuple[str, str], float], traffic: Traffic = BASE) -> list[Need]:
    """What this traffic uses of everything, what is used up first first. Raises KeyError if a cost is not published."""
    return sorted(_needs(costs, traffic), key=lambda need: need.times)


def _needs(costs: Mapping[tuple[str, str], float], traffic: Traffic) -> Iterator[Need]:
    answer, chunk = costs[_LABELS["cpu_us_c50"], _OURS], costs[_LABELS["cpu_us_chunk"], _OURS]
    mib = costs[_LABELS["mib_per_1000"], _OURS]
    core = (traffic.answers * answer + traffic.streams * traffic.rate * chunk) / 1e6
    written = traffic.answers * _DAY * _KEPT_DAYS / 1e9
    yield Need(_LOOP, "cores", core, _BUSY, 2)
    yield Need("open files, as docs/running.md sets the limit", "descriptors", 2 * traffic.streams, _DESCRIPTORS)
    yield Need("memory of the open streams", "MiB", mib * traffic.streams / 1000, _MEMORY_MIB, 1)
    yield Need("holds on SQLite's one writer, one by one", "pairs/s", traffic.answers, _LONE_PAIRS)
    yield Need("holds on SQLite's one writer, gathered", "pairs/s", traffic.answers, _SQLITE_PAIRS)
    yield Need("holds on one hot account in PostgreSQL", "pairs/s", traffic.answers, _POSTGRES_PAIRS)
    if _SCALE_ROW in costs:
        yield Need(
            "PostgreSQL's own work, on four cores", "cores", traffic.answers * costs[_SCALE_ROW] / 1e6, 4 * _BUSY, 4
        )
    yield Need("rolling records up in SQLite", "cores", traffic.answers * _SQLITE_ROLL_US / 1e6, _BUSY, 4)
    yield Need("rolling records up in PostgreSQL", "cores", traffic.answers * _POSTGRES_ROLL_US / 1e6, _BUSY, 4)
    yield Need(f"disk of {_KEPT_DAYS} days' records, SQLite", "GB", written * _SQLITE_BYTES, _DISK_GB, 1)
    yield Need(f"disk of {_KEPT_DAYS} days' records, PostgreSQL", "GB", written * _POSTGRES_BYTES, _DISK_GB, 1)


def text(costs: Mapping[tuple[str, str], float], traffic: Traffic = BASE) -> str:
    """The table in Markdown, and in words what breaks first."""
    found = needs(costs, traffic)
    lines = [
        report.line(["what", "1 x", "10 x", "100 x", "there is", "used up at"]),
        report.line(["---", *["---:"] * 5]),
        *(report.line([need.what, *_cells(need)]) for need in found),
        "",
    ]
    core = next(need for need in found if need.what == _LOOP)
    for times in (10, 100):
        broken = "; ".join(need.what for need in found if need.times < times) or "nothing"
        processes = math.ceil(times / core.times)
        lines += [f"- {times} x takes {processes} process{'es' if processes > 1 else ''}. Used up before it: {broken}."]
    return "\n".join(lines)


def _cells(need: Need) -> Iterator[str]:
    for times in (1, 10, 100):
        value = f"{need.used * times:,.{need.digits}f}"
        yield f"**{value}**" if times > need.times else value
    yield f"{need.bound:,g} {need.unit}"
    yield f"{need.times:,.0f} x" if need.times >= 10 else f"{need.times:,.1f} x"


def write_page(page: Path = _PAGE) -> str:
    """Calculate anew from what is published, and put it into the page."""
    told = text(published_costs())
    report.write_page(page, told, "scaling")
    return told


def published_costs() -> dict[tuple[str, str], float]:
    """What a run published in docs/performance.md, and one of bench/scale.py in docs/scaling.md, if there was one."""
    return published.medians(published.PAGE.read_text()) | published.medians(_PAGE.read_text(), "bench-scale")


if __name__ == "__main__":
    print(write_page() if "--write-docs" in sys.argv else text(published_costs()))
