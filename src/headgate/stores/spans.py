"""Steps of time in UTC, and how a span is covered by roll-ups: the coarsest first, records where nothing else will."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

NS_PER_SECOND = 1_000_000_000
END_NS = 2**63
"""After any time that a record can have."""


class Step(StrEnum):
    """What roll-ups are kept for each of, and a series has a row for each of."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def ns(self) -> int:
        """Its length."""
        return _NS[self]

    def floor(self, at_ns: int) -> int:
        """The beginning of the step that a moment lies in."""
        return at_ns - at_ns % self.ns

    def ceil(self, at_ns: int) -> int:
        """The first beginning of a step that is not before a moment."""
        return -(-at_ns // self.ns) * self.ns


_NS = {Step.MINUTE: 60 * NS_PER_SECOND, Step.HOUR: 3600 * NS_PER_SECOND, Step.DAY: 86_400 * NS_PER_SECOND}

COARSEST_FIRST = (Step.DAY, Step.HOUR, Step.MINUTE)


class Kept(NamedTuple):
    """How far back things go. Nanoseconds since the epoch."""

    minutes_from_ns: int = 0
    """From when on there are roll-ups of minutes: the beginning of one."""
    pruned_until_ns: int = 0
    """Records that began before it may have been removed: the beginning of an hour."""

    def knowable(self, at_ns: int) -> int:
        """The bound of a span, as fine as it can still be told: where records are gone, roll-ups are the finest.

        Every bound is moved back in the same way, so what lies next to each other still adds up to the whole.
        """
        if at_ns >= self.pruned_until_ns:
            return at_ns
        return (Step.HOUR if at_ns < self.hours_until_ns else Step.MINUTE).floor(at_ns)

    @property
    def hours_until_ns(self) -> int:
        """Up to here hours are the finest there is: the beginning of one."""
        return min(Step.HOUR.ceil(self.minutes_from_ns), self.pruned_until_ns)


class Part(NamedTuple):
    """A part of a span, and which roll-ups tell about it; None for records."""

    step: Step | None
    since_ns: int
    until_ns: int


def cover(
    since_ns: int, until_ns: int, minutes_from_ns: int, steps: Sequence[Step] = COARSEST_FIRST
) -> tuple[Part, ...]:
    """The parts that make up a span, in the order of time; `steps` are those to be used, the coarsest first."""
    if since_ns >= until_ns:
        return ()
    if not steps:
        return (Part(None, since_ns, until_ns),)
    step, *finer = steps
    first, last = step.ceil(since_ns), step.floor(until_ns)
    if step is Step.MINUTE:
        first = max(first, minutes_from_ns)
    if first >= last:
        return cover(since_ns, until_ns, minutes_from_ns, finer)
    return (
        *cover(since_ns, first, minutes_from_ns, finer),
        Part(step, first, last),
        *cover(last, until_ns, minutes_from_ns, finer),
    )
