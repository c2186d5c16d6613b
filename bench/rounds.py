"""The measurements: every target in every round, so that what slows the machine for a while slows all of them.

CPU time is the target's alone, taken over the very window in which its answers are counted.
"""

import asyncio
import gc
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from bench import coldstart, load, lookers, machine, targets
from bench.figures import Results, percentile
from bench.load import Load
from bench.machine import Cores
from bench.targets import Running, Target
from bench.workloads import (
    KEPT_PACE,
    OPEN,
    OPEN_STREAMS,
    SLOW_OPEN_STREAMS,
    SPREAD_SECONDS,
    TIMED_STREAMS,
    WARM_UP_SECONDS,
    Plan,
    Window,
    Workload,
    paced_script,
    us,
    warm_up,
)

_T = TypeVar("_T")
LATENESS, MEMORY, COLD = "lateness", "memory", "cold"
"""What is measured beside the workloads, by its name on the command line."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is made of: its workloads, and what is measured `beside` them."""

    plan: Plan
    workloads: Sequence[Workload]
    beside: frozenset[str]


async def run(asked: Asked, gateways: Sequence[Target], cores: Cores, folder: Path) -> Results:
    """Run it; the targets keep their files in `folder`.

    Raises RuntimeError if a target does not start, stop, or give right answers at all.
    """
    results, plan = Results(), asked.plan
    gc.disable()
    with ExitStack() as stack:
        stack.callback(gc.enable)
        direct = stack.enter_context(targets.upstream(cores.upstream))
        stack.enter_context(machine.pinned(cores.generator))
        with ExitStack() as alive:
            started = [alive.enter_context(_audited(g, direct, cores, folder, results)) for g in gateways]
            for target in (direct, *started):
                await warmed_up(target, results)
            for turn in range(plan.rounds):
                await _round(asked, turn, [direct, *started], results)
            for turn in range(plan.paced_rounds if LATENESS in asked.beside else 0):
                for target in turned(started, turn):
                    await measure_lateness(target, turn, plan.paced_seconds, results)
        for turn in range(plan.memory_rounds if MEMORY in asked.beside else 0):
            for gateway in turned(gateways, turn):
                with _audited(gateway, direct, cores, folder, results) as fresh:
                    await warmed_up(fresh, results)
                    await measure_memory(fresh, results)
        for turn in range(plan.cold_starts if COLD in asked.beside else 0):
            for gateway in turned(gateways, turn):
                results.add(gateway.name, cold_ms=coldstart.first_answer_ms(gateway, direct.port, cores.target, folder))
    results.notes += [
        f"{name} metered {metered} of {results.right[name]} answers"
        for name, metered in results.metered.items()
        if metered != results.right[name]
    ]
    return results


@contextmanager
def _audited(target: Target, direct: Running, cores: Cores, folder: Path, results: Results) -> Iterator[Running]:
    """A gateway for a while; when it has stopped, what it metered is counted, so that the meter's work is no claim."""
    with targets.gateway(target, direct.port, cores.target, folder) as running:
        yield running
    if target.metered is not None and running.home is not None:
        results.metered[target.name] += target.metered(running.home)


async def _round(asked: Asked, turn: int, alive: Sequence[Running], results: Results) -> None:
    for workload in asked.workloads:
        if workload.paced and turn >= asked.plan.paced_rounds:
            continue
        for target in turned(alive, turn):
            if target.pid is not None or workload.direct:
                await measure(target, workload, results)


def turned(items: Sequence[_T], turn: int) -> Sequence[_T]:
    """Another one first in each round."""
    turn %= len(items)
    return (*items[turn:], *items[:turn])


async def warmed_up(target: Running, results: Results) -> None:
    """Every API, whole and streamed. Raises RuntimeError if it does not give right answers at all."""
    for asked in warm_up(slow=target.slow):
        async with load.running(target.door, asked) as tally:
            await asyncio.sleep(WARM_UP_SECONDS)
        results.count(target.name, tally.right, tally.failures)
        if tally.failures or not tally.right:
            what = f"{asked.script.api}, {'streamed' if asked.script.chunks else 'whole'}"
            raise RuntimeError(f"{target.name} gives wrong answers: {tally.failures} of them in its warm-up, {what}")


async def watch(target: Running, asked: Load, seconds: float, results: Results) -> Window:
    """A load's window, after its warm-up."""
    gc.collect()
    async with load.running(target.door, asked) as tally:
        await asyncio.sleep(WARM_UP_SECONDS)
        tally.restart()
        cpu, start = _cpu(target), perf_counter()
        await asyncio.sleep(seconds)
        cpu, seconds = _cpu(target) - cpu, perf_counter() - start
        seen = tally.snapshot()
        pss = 0 if target.pid is None else machine.pss_kib(target.pid)
    results.count(target.name, tally.right, tally.failures)
    return Window(seen, seconds, cpu if target.pid is not None else None, pss)


async def measure(target: Running, workload: Workload, results: Results) -> None:
    """One window of a workload."""
    asked = workload.load_for(slow=target.slow)
    if asked is None:
        return
    window = await watch(target, asked, workload.seconds, results)
    measured = workload.tell(workload.key, asked, window)
    results.add(target.name, **measured)
    if asked.lanes != workload.load.lanes:
        for figure in measured:
            results.lanes.setdefault(figure, {})[target.name] = asked.lanes
    if (pace := workload.pace(asked, window)) < KEPT_PACE:
        results.notes.append(f"{target.name} passed only {pace:.0%} of the chunks of {workload.key} in time")


_LOOKERS = (("late_p99_us", 0), ("late_p99_us_watched", 1), ("late_p99_us_crowd", 10))


async def measure_lateness(target: Running, turn: int, seconds: float, results: Results) -> None:
    """Streams while nobody, one and ten look at the dashboard; the others have none, and are measured without.

    Only those that leave bytes alone: a frame is known to be whole by its place.
    """
    if not target.door.exact:
        return
    for figure, number in turned(_LOOKERS if target.watchable else _LOOKERS[:1], turn):
        asked = Load(paced_script(seconds), TIMED_STREAMS, spread=SPREAD_SECONDS, think=None, timed=True)
        async with lookers.looking(target.port, number) as seen:
            window = await watch(target, asked, seconds, results)
        results.add(target.name, **{figure: us(percentile(window.tally.lateness(), 99))})
        if min(seen, default=lookers.FEWEST) < lookers.FEWEST:
            results.notes.append(f"a dashboard of {target.name} was shown {min(seen)} views only")


async def measure_memory(fresh: Running, results: Results) -> None:
    """What open streams add to a process that has just been warmed up."""
    assert fresh.pid is not None
    streams = SLOW_OPEN_STREAMS if fresh.slow else OPEN_STREAMS
    idle = machine.pss_kib(fresh.pid)
    window = await watch(fresh, Load(OPEN, streams, spread=SPREAD_SECONDS, think=None), 1.0, results)
    if window.tally.right or window.tally.failures:
        results.notes.append(f"{fresh.name} did not have all streams open when its memory was read")
    results.add(fresh.name, mib_idle=idle / 1024, mib_per_1000=(window.pss_kib - idle) / 1024 * 1000 / streams)
    if fresh.slow:
        results.lanes.setdefault("mib_per_1000", {})[fresh.name] = streams


def _cpu(target: Running) -> int:
    return machine.cpu_ns(target.pid) if target.pid is not None else 0
