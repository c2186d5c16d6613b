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

from bench import load, lookers, machine, targets
from bench.figures import Results, percentile
from bench.load import Load, Tally
from bench.machine import Cores
from bench.script import DOCUMENT, FRAME_SIZE, OPEN_RATE, PACED_RATE, SHORT_STREAM, Script, lasting
from bench.targets import Running, Target

_T = TypeVar("_T")
_LANES = (1, 10, 50)
_PACED_STREAMS, _OPEN_STREAMS = 500, 1000
_TIMED_STREAMS = 200
"""Fewer than those that tell the cost: a core that has nothing left shows only how long its queue is."""
_SPREAD_SECONDS = 1.5
"""In which the streams of a measurement begin."""
_WARM_UP_SECONDS = 0.3
_KEPT_PACE = 0.97
"""Below this part of the nominal pace a paced figure is told to be below it: it is then not the load it claims."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything takes. Seconds are those of one measuring window."""

    mode: str
    rounds: int
    paced_rounds: int
    memory_rounds: int
    closed_seconds: float
    first_token_seconds: float
    paced_seconds: float


QUICK = Plan("quick", 2, 1, 1, closed_seconds=1.0, first_token_seconds=2.0, paced_seconds=3.0)
FULL = Plan("full", 6, 3, 3, closed_seconds=2.0, first_token_seconds=4.0, paced_seconds=5.0)


@dataclass(frozen=True, slots=True)
class Window:
    """What happened in a measuring window."""

    tally: Tally
    seconds: float
    cpu_ns: int
    """The target's, over the window; 0 where it has no process."""
    pss_kib: int
    """The target's, at the window's end; 0 where it has no process."""


async def run(plan: Plan, gateways: Sequence[Target], cores: Cores, folder: Path) -> Results:
    """Run everything; the targets keep their files in `folder`.

    Raises RuntimeError if a target does not start, stop, or give right answers at all.
    """
    results = Results()
    gc.disable()
    with ExitStack() as stack:
        direct = stack.enter_context(targets.upstream(cores.upstream))
        stack.enter_context(machine.pinned(cores.generator))
        with ExitStack() as alive:
            started = [alive.enter_context(_audited(g, direct, cores, folder, results)) for g in gateways]
            await _warm_up([direct, *started], results)
            for turn in range(plan.rounds):
                await _round(plan, turn, [direct, *started], results)
        for turn in range(plan.memory_rounds):
            for target in _turned(gateways, turn):
                with _audited(target, direct, cores, folder, results) as fresh:
                    await _warm_up([fresh], results)
                    await measure_memory(fresh, results)
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


async def _round(plan: Plan, turn: int, alive: Sequence[Running], results: Results) -> None:
    for lanes in _LANES:
        for target in _turned(alive, turn):
            await measure_closed(target, lanes, plan.closed_seconds, results)
    for target in _turned(alive, turn):
        await measure_first_token(target, plan.first_token_seconds, results)
    if turn < plan.paced_rounds:
        for target in _turned(alive, turn):
            if target.pid is not None:
                await measure_paced(target, plan.paced_seconds, results)
        for target in _turned(alive, turn):
            if target.pid is not None:
                await measure_watched(target, turn, plan.paced_seconds, results)


def _turned(items: Sequence[_T], turn: int) -> Sequence[_T]:
    """Another one first in each round."""
    turn %= len(items)
    return (*items[turn:], *items[:turn])


async def _warm_up(alive: Sequence[Running], results: Results) -> None:
    """Raises RuntimeError if a target does not give right answers at all."""
    for target in alive:
        for asked in (Load(DOCUMENT, 50), Load(SHORT_STREAM, 50, spread=0.2)):
            async with load.running(target.port, asked) as tally:
                await asyncio.sleep(_WARM_UP_SECONDS)
            results.count(target.name, tally.right, tally.failures)
            if tally.failures or not tally.right:
                raise RuntimeError(f"{target.name} gives wrong answers: {tally.failures} of them in its warm-up")


async def _watch(target: Running, asked: Load, seconds: float, results: Results) -> Window:
    """A load's window, after its warm-up."""
    gc.collect()
    async with load.running(target.port, asked) as tally:
        await asyncio.sleep(_WARM_UP_SECONDS)
        tally.restart()
        cpu, start = _cpu(target), perf_counter()
        await asyncio.sleep(seconds)
        cpu, seconds = _cpu(target) - cpu, perf_counter() - start
        seen = tally.snapshot()
        pss = 0 if target.pid is None else machine.pss_kib(target.pid)
    results.count(target.name, tally.right, tally.failures)
    return Window(seen, seconds, cpu, pss)


async def measure_closed(target: Running, lanes: int, seconds: float, results: Results) -> None:
    """Documents as fast as they come, on so many connections."""
    window = await _watch(target, Load(DOCUMENT, lanes), seconds, results)
    answers = len(window.tally.latencies)
    results.add(
        target.name,
        **{
            f"rps_c{lanes}": answers / window.seconds,
            f"cpu_us_c{lanes}": _each_us(target, window.cpu_ns, answers),
            f"latency_p50_us_c{lanes}": _us(percentile(window.tally.latencies, 50)),
            f"latency_p99_us_c{lanes}": _us(percentile(window.tally.latencies, 99)),
        },
    )


async def measure_first_token(target: Running, seconds: float, results: Results) -> None:
    """Short streams on 50 connections, with a random pause after each so that they meet in all ways."""
    window = await _watch(target, Load(SHORT_STREAM, 50, spread=0.2, think=0.05), seconds, results)
    results.add(
        target.name,
        first_p50_us=_us(percentile(window.tally.first_bytes, 50)),
        first_p99_us=_us(percentile(window.tally.first_bytes, 99)),
    )


OPEN = lasting(OPEN_RATE, _SPREAD_SECONDS + 2.5)


def paced(seconds: float) -> Script:
    """The stream that is measured for so long."""
    return lasting(PACED_RATE, _SPREAD_SECONDS + seconds + 1.5)


def models(plan: Plan) -> list[str]:
    """The names under which a plan asks for its scripts, for who has to have a price for them."""
    return [script.model for script in (DOCUMENT, SHORT_STREAM, OPEN, paced(plan.paced_seconds))]


async def measure_paced(target: Running, seconds: float, results: Results) -> None:
    """All streams open, none beginning or ending: what a chunk costs."""
    asked = Load(paced(seconds), _PACED_STREAMS, spread=_SPREAD_SECONDS, think=None)
    window = await _watch(target, asked, seconds, results)
    chunks = window.tally.body_bytes // FRAME_SIZE
    results.add(target.name, cpu_us_chunk=_each_us(target, window.cpu_ns, chunks))
    pace = chunks / window.seconds / (_PACED_STREAMS * PACED_RATE)
    if pace < _KEPT_PACE:
        results.notes.append(f"{target.name} passed only {pace:.0%} of the paced chunks in time")


_LOOKERS = (("late_p99_us", 0), ("late_p99_us_watched", 1), ("late_p99_us_crowd", 10))


async def measure_watched(target: Running, turn: int, seconds: float, results: Results) -> None:
    """Streams while nobody, one and ten look at the dashboard; the others have none, and are measured without."""
    for figure, number in _turned(_LOOKERS if target.watchable else _LOOKERS[:1], turn):
        asked = Load(paced(seconds), _TIMED_STREAMS, spread=_SPREAD_SECONDS, think=None, timed=True)
        async with lookers.looking(target.port, number) as seen:
            window = await _watch(target, asked, seconds, results)
        results.add(target.name, **{figure: _us(percentile(window.tally.lateness(), 99))})
        if min(seen, default=lookers.FEWEST) < lookers.FEWEST:
            results.notes.append(f"a dashboard of {target.name} was shown {min(seen)} views only")


async def measure_memory(fresh: Running, results: Results) -> None:
    """What open streams add to a process that has just been warmed up."""
    assert fresh.pid is not None
    idle = machine.pss_kib(fresh.pid)
    window = await _watch(fresh, Load(OPEN, _OPEN_STREAMS, spread=_SPREAD_SECONDS, think=None), 1.0, results)
    if window.tally.right or window.tally.failures:
        results.notes.append(f"{fresh.name} did not have all streams open when its memory was read")
    results.add(fresh.name, mib_per_1000=(window.pss_kib - idle) / 1024 * 1000 / _OPEN_STREAMS)


def _cpu(target: Running) -> int:
    return machine.cpu_ns(target.pid) if target.pid is not None else 0


def _each_us(target: Running, cpu_ns: int, things: int) -> float | None:
    return cpu_ns / things / 1000 if target.pid is not None and things else None


def _us(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1000
