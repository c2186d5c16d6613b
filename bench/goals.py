"""What the project has set itself, and whether a run met it: all from one run, with all accounting on. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.figures import FIGURES, Results, ratios, shown, spread

_OURS, _RAW, _PEER = "headgate, accounts", "nginx", "litellm"
_MB_PER_MIB = 1024 * 1024 / 1e6
_FIGURES = {figure.key: figure for figure in FIGURES}


@dataclass(frozen=True, slots=True)
class Goal:
    """One of them: `measure` gives the rounds' values, whose median may be `most` at the most."""

    label: str
    most: float
    unit: str
    digits: int
    measure: Callable[[Results], Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal, and what the run says; None where it was not measured."""

    goal: Goal
    value: float | None

    @property
    def met(self) -> bool | None:
        """Whether it is; None if that is not known."""
        return None if self.value is None else self.value <= self.goal.most


def _of(key: str, factor: float = 1.0) -> Callable[[Results], Sequence[float | None]]:
    def measure(results: Results) -> Sequence[float | None]:
        values = shown(_FIGURES[key], results.values.get(key, {}), _OURS)
        return [None if value is None else value * factor for value in values]

    return measure


def _over(key: str, other: str) -> Callable[[Results], Sequence[float | None]]:
    def measure(results: Results) -> Sequence[float | None]:
        by_target = results.values.get(key, {})
        return ratios(by_target.get(_OURS, []), by_target.get(other, []))

    return measure


GOALS = (
    Goal("CPU per request, 50 connections", 8.0, "x nginx", 2, _over("cpu_us_c50", _RAW)),
    Goal("CPU per request, 50 connections", 1 / 50, "x LiteLLM", 4, _over("cpu_us_c50", _PEER)),
    Goal("CPU per paced streamed chunk", 1.7, "x nginx", 2, _over("cpu_us_chunk", _RAW)),
    Goal("added time to first token, p50, 50 streams", 1.0, "ms", 2, _of("first_p50_us", 1e-3)),
    Goal("added time to first token, p99, 50 streams", 5.0, "ms", 2, _of("first_p99_us", 1e-3)),
    Goal("memory for 1000 open streams, over the idle process", 40.0, "MB", 1, _of("mib_per_1000", _MB_PER_MIB)),
    Goal("cold start to the first answer", 1.0, "s", 2, _of("cold_ms", 1e-3)),
)


def judged(results: Results) -> list[Judged]:
    """Every goal with its measured value, the median over the rounds."""
    found = [(goal, spread(goal.measure(results))) for goal in GOALS]
    return [Judged(goal, over_rounds.median if over_rounds else None) for goal, over_rounds in found]


def table(results: Results) -> str:
    """In Markdown."""
    lines = [f"| goal, for {_OURS} | at most | measured | |", "| --- | ---: | ---: | --- |"]
    for each in judged(results):
        goal, number = each.goal, f".{each.goal.digits}f"
        value = "-" if each.value is None else f"{each.value:{number}} {goal.unit}"
        verdict = {True: "met", False: "**not met**", None: "not measured"}[each.met]
        lines.append(f"| {goal.label} | {goal.most:{number}} {goal.unit} | {value} | {verdict} |")
    return "\n".join(lines)
