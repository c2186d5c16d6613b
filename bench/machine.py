"""Cores, CPU time and memory of processes, as Linux tells them in /proc."""

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the parts run on. The target never shares its core, unless there is but one."""

    target: frozenset[int]
    upstream: frozenset[int]
    generator: frozenset[int]


def share_out(available: Sequence[int]) -> Cores:
    """The first core to the target, the second to the upstream, the third to the generator; the last one is shared."""
    order = sorted(available)
    target, upstream, generator = (frozenset({order[min(index, len(order) - 1)]}) for index in range(3))
    return Cores(target, upstream, generator)


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """This process runs on those cores for a while; what it starts meanwhile stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    members = [pid]
    for member in members:
        with suppress(FileNotFoundError, ProcessLookupError):
            for children in _PROC.glob(f"{member}/task/*/children"):
                members += map(int, children.read_text().split())
    return members


def cpu_ns(pid: int) -> int:
    """Nanoseconds of CPU time, user and system, of a process with all its threads and descendants.

    schedstat counts in nanoseconds where utime and stime count in ticks of 10 ms; but it stands per thread, and
    /proc/PID/schedstat is the first thread's alone (Linux, Documentation/scheduler/sched-stats).
    """
    total = 0
    for member in family(pid):
        for schedstat in _PROC.glob(f"{member}/task/*/schedstat"):
            with suppress(FileNotFoundError, ProcessLookupError):
                total += int(schedstat.read_text().split()[0])
    return total


def pss_kib(pid: int) -> int:
    """KiB of memory of a process and its descendants, shared pages divided among their users."""
    total = 0
    for member in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            rollup = (_PROC / str(member) / "smaps_rollup").read_text()
            total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def description() -> dict[str, str]:
    """What a reader must know of this machine to judge the figures."""
    told = (line.partition(":") for line in (_PROC / "cpuinfo").read_text().splitlines())
    model = next((value.strip() for name, _, value in told if name.strip() == "model name"), platform.machine())
    return {
        "cpu": f"{len(os.sched_getaffinity(0))} cores, {model}",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
