"""What is asked for, and which figures come of it. Pure.

There is a base case: chat completions of 1 KB, answered whole, on 50 connections, and streams of 33 chunks. Each other
dimension (API, size of the prompt, chunks, connections, pace) is varied around it, one at a time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bench.figures import percentile
from bench.load import Load, Tally
from bench.script import Script, lasting

Measured = Mapping[str, float | None]
SPREAD_SECONDS = 1.5
"""In which the streams of a paced measurement begin."""
WARM_UP_SECONDS = 0.3
_SPARE_SECONDS = 1.5
KEPT_PACE = 0.97
"""Below this part of the nominal pace a paced figure is told to be below it: it is then not the load it claims."""
PACED_RATE, OPEN_RATE = 20, 2
"""Chunks a second of the streams that tell what a chunk costs, and of those that tell what an open stream weighs."""
PACED_STREAMS, OPEN_STREAMS, TIMED_STREAMS = 500, 1000, 200
"""Timed are fewer than those that tell the cost: a core that has nothing left shows only how long its queue is."""
SLOW_STREAMS, SLOW_OPEN_STREAMS = 10, 100
"""What a gateway gets that cannot keep up with those."""
DOCUMENT = Script()
SHORT_STREAM = Script(chunks=10, rate=50)
OPEN = lasting(OPEN_RATE, SPREAD_SECONDS + 2.5)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything takes. Seconds are those of one measuring window."""

    mode: str
    rounds: int
    paced_rounds: int
    memory_rounds: int
    cold_starts: int
    closed_seconds: float
    first_token_seconds: float
    paced_seconds: float


QUICK = Plan("quick", 1, 1, 1, 1, closed_seconds=0.7, first_token_seconds=1.5, paced_seconds=1.5)
FULL = Plan("full", 4, 2, 2, 5, closed_seconds=1.5, first_token_seconds=4.0, paced_seconds=4.0)


@dataclass(frozen=True, slots=True)
class Window:
    """What happened in a measuring window."""

    tally: Tally
    seconds: float
    cpu_ns: int | None
    """The target's, over the window; None where it has no process."""
    pss_kib: int = 0
    """The target's, at the window's end; 0 where it has no process."""

    def cpu_us(self, things: float) -> float | None:
        """Microseconds of CPU time for each of so many things."""
        return self.cpu_ns / things / 1000 if self.cpu_ns is not None and things else None


@dataclass(frozen=True, slots=True)
class Workload:
    """One load with its figures.

    Args:
        key: its name, on the command line and in its figures.
        load: what is asked.
        tell: the figures of a window.
        seconds: of the window.
        slow_lanes: connections for a gateway that cannot keep up with `load`; 0 leaves it out, None gives it the same.
        direct: it is also measured with nothing between, for what is shown over that.
        quick: it is part of a quick run.
        paced: it takes long, and is measured in the first rounds only.
    """

    key: str
    load: Load
    tell: Callable[[str, Load, Window], Measured]
    seconds: float
    slow_lanes: int | None = None
    direct: bool = False
    quick: bool = False
    paced: bool = False

    def load_for(self, *, slow: bool) -> Load | None:
        """What a gateway is asked; None if it is left out."""
        if not slow or self.slow_lanes is None:
            return self.load
        return replace(self.load, lanes=self.slow_lanes) if self.slow_lanes else None

    def pace(self, load: Load, window: Window) -> float:
        """The part of the chunks that came in time; 1 where there is no pace."""
        due = window.seconds * load.lanes * load.script.rate
        return window.tally.chunks / due if self.paced and due else 1.0


def workloads(plan: Plan) -> list[Workload]:
    """All of a plan, in their order."""
    every = [*_documents(plan), *_streams(plan), *_paced(plan)]
    return [each for each in every if each.quick] if plan.mode == QUICK.mode else every


def scripts(plan: Plan) -> list[Script]:
    """Everything that a plan asks for, for who has to know it before."""
    asked = [each.load.script for each in workloads(plan)]
    return [*asked, *(each.script for each in warm_up(slow=False)), OPEN, paced_script(plan.paced_seconds)]


def warm_up(*, slow: bool) -> list[Load]:
    """What every gateway must answer rightly before anything is measured."""
    lanes = 5 if slow else 50
    asked = [Script(chunks, rate, api=api) for api in ("chat", "responses", "messages") for chunks, rate in _WARM]
    return [Load(script, lanes, spread=0.2) for script in asked]


_WARM = ((0, 0), (10, 50))


def paced_script(seconds: float, api: str = "chat") -> Script:
    """The stream that is measured for so long."""
    return lasting(PACED_RATE, SPREAD_SECONDS + WARM_UP_SECONDS + seconds + _SPARE_SECONDS, api)


def _documents(plan: Plan) -> list[Workload]:
    def closed(key: str, lanes: int, asked: Script = DOCUMENT, **how: bool | int) -> Workload:
        return Workload(key, Load(asked, lanes), answered, plan.closed_seconds, **how)  # type: ignore[arg-type]

    return [
        closed("c1", 1, direct=True),
        closed("c10", 10, direct=True, quick=True),
        closed("c50", 50, direct=True, quick=True),
        closed("c200", 200, slow_lanes=0),
        replace(
            closed("c1000", 1000, slow_lanes=0), seconds=2 * plan.closed_seconds
        ),  # one answer of each takes so long
        closed("c10_100k", 10, Script(prompt_kb=100)),
        closed("c50_responses", 50, Script(api="responses"), slow_lanes=10),
        closed("c50_messages", 50, Script(api="messages"), slow_lanes=10),
    ]


def _streams(plan: Plan) -> list[Workload]:
    def short(key: str, asked: Script, **how: bool | int) -> Workload:
        load = Load(asked, 50, spread=0.3)
        return Workload(key, load, streamed, plan.closed_seconds, slow_lanes=10, **how)  # type: ignore[arg-type]

    first = Load(SHORT_STREAM, 50, spread=0.2, think=0.05)
    bulk = Load(Script(chunks=1000), 10, counted=True)
    return [
        short("s33", Script(33, 100), quick=True),
        short("s33_responses", Script(33, 100, api="responses"), quick=True),
        short("s33_messages", Script(33, 100, api="messages"), quick=True),
        short("s33_100k", Script(33, 100, prompt_kb=100)),
        Workload("s1000", bulk, poured, plan.closed_seconds, slow_lanes=2),
        Workload("first", first, begun, plan.first_token_seconds, slow_lanes=2, direct=True, quick=True),
    ]


def _paced(plan: Plan) -> list[Workload]:
    def paced(key: str, api: str, *, quick: bool = False) -> Workload:
        asked = paced_script(plan.paced_seconds, api)
        load = Load(asked, PACED_STREAMS, spread=SPREAD_SECONDS, think=None, counted=True)
        return Workload(key, load, flowed, plan.paced_seconds, slow_lanes=SLOW_STREAMS, quick=quick, paced=True)

    return [
        paced("chunk", "chat", quick=True),
        paced("chunk_responses", "responses"),
        paced("chunk_messages", "messages"),
    ]


def answered(key: str, load: Load, window: Window) -> Measured:
    """Documents as fast as they come."""
    del load
    tally, answers = window.tally, len(window.tally.latencies)
    return {
        f"rps_{key}": answers / window.seconds,
        f"cpu_us_{key}": window.cpu_us(answers),
        f"latency_p50_us_{key}": us(percentile(tally.latencies, 50)),
        f"latency_p99_us_{key}": us(percentile(tally.latencies, 99)),
    }


def streamed(key: str, load: Load, window: Window) -> Measured:
    """Whole streams, one after another on each connection."""
    del load
    streams = len(window.tally.latencies)
    return {
        f"streams_{key}": streams / window.seconds,
        f"cpu_us_{key}": window.cpu_us(streams),
        f"first_p50_us_{key}": us(percentile(window.tally.first_bytes, 50)),
        f"first_p99_us_{key}": us(percentile(window.tally.first_bytes, 99)),
    }


def poured(key: str, load: Load, window: Window) -> Measured:
    """Long streams as fast as they go."""
    del load
    chunks = window.tally.chunks
    return {f"chunks_{key}": chunks / window.seconds, f"cpu_us_chunk_{key}": window.cpu_us(chunks)}


def begun(key: str, load: Load, window: Window) -> Measured:
    """Short streams with a random pause after each, so that they meet in all ways: when they begin."""
    del load
    first = window.tally.first_bytes
    return {f"{key}_p50_us": us(percentile(first, 50)), f"{key}_p99_us": us(percentile(first, 99))}


def flowed(key: str, load: Load, window: Window) -> Measured:
    """All streams open, none beginning or ending: what a chunk costs."""
    del load
    return {f"cpu_us_{key}": window.cpu_us(window.tally.chunks)}


def us(nanoseconds: int | None) -> float | None:
    """Microseconds."""
    return None if nanoseconds is None else nanoseconds / 1000
