"""What is sampled of a process under load, and whether its memory goes up. Pure but for `looked_at`."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, linear_regression, median

MIB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")

ALLOWED = 4 * MIB
"""Growth of resident memory over the second half that is put down to the allocator: over half an hour with a thousand
streams it is some hundred bytes for each exchange, less than anything that an exchange could leave behind."""
FILLS = ((1_000, 8 * 1024), (12_500, 2 * 1024))
"""What fills up on purpose: so many exchanges, so many bytes of each at most. The records of the last thousand are
remembered, the response ids of the last ten thousand, and the database's caches grow with it. From there on it is flat:
122.5 MiB from the 12,500th exchange to the 18,600th, when this was measured."""


@dataclass(frozen=True)
class Sample:
    """One moment."""

    seconds: float
    """Since the load began."""
    resident: int
    """Bytes."""
    files: int
    """Open file descriptors."""
    sockets: int
    """Those of them that are sockets."""
    tasks: int
    holds: int
    """Open holds in the ledger."""
    exchanges: int
    """How many are over."""


def looked_at(pid: int) -> tuple[int, int, int]:
    """Resident bytes, open files and open sockets of a process."""
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    names = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            names.append(entry.readlink().name)
    return resident, len(names), sum(name.startswith("socket:") for name in names)


def growth(samples: Sequence[Sample]) -> float:
    """Bytes by which resident memory grew over these samples, by the straight line that fits them best."""
    times = [sample.seconds for sample in samples]
    slope, _ = linear_regression(times, [sample.resident for sample in samples])
    return slope * (times[-1] - times[0])


def second_half(samples: Sequence[Sample]) -> list[Sample]:
    """The samples from the middle of the time on."""
    middle = (samples[0].seconds + samples[-1].seconds) / 2
    return [sample for sample in samples if sample.seconds >= middle]


def allowed(samples: Sequence[Sample]) -> int:
    """Bytes that a sound process may grow by over the second half: see ALLOWED and FILLS."""
    half = second_half(samples)
    first, last = half[0].exchanges, half[-1].exchanges
    return ALLOWED + sum(max(0, min(most, last) - first) * size for most, size in FILLS)


def table(samples: Sequence[Sample], rows: int = 12) -> str:
    """Some of the samples, and the least, the middle and the most of each column over the second half."""
    step = max(1, len(samples) // rows)
    lines = [f"{'s':>7} {'MiB':>8} {'files':>6} {'tasks':>6} {'holds':>6} {'exchanges':>9}"]
    lines += [
        f"{s.seconds:7.0f} {s.resident / MIB:8.1f} {s.files:6} {s.tasks:6} {s.holds:6} {s.exchanges:9}"
        for s in samples[::step]
    ]
    half = second_half(samples)
    for name, pick in (("least", min), ("middle", median), ("most", max)):
        columns = (pick([getattr(s, field) for s in half]) for field in ("resident", "files", "tasks", "holds"))
        resident, files, tasks, holds = columns
        lines.append(f"{name:>7} {resident / MIB:8.1f} {files:6.0f} {tasks:6.0f} {holds:6.0f}")
    lines.append(
        f"second half: {fmean(s.resident for s in half) / MIB:.1f} MiB on average, {growth(half) / MIB:+.2f} MiB by "
        f"the straight line that fits best; allowed {allowed(samples) / MIB:.1f}"
    )
    return "\n".join(lines)
