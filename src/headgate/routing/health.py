"""How targets have fared lately, and which of them are left in peace for a while. Time is passed in.

A target that fails three times in a row cools down; so does one at once that says when to come again. When a cool-down
ends, one attempt is let through as a probe: if it is answered all is well again, if it fails the next cool-down is
twice as long. The table is the whole of it.

It lives in one process: what another has seen of a target is not known here, and nothing has to be shared.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from headgate.routing.aliases import Key

_NS = 1_000_000_000
IN_A_ROW = 3
"""Failures that make a cool-down. One may be the network's, two a bad moment."""
FIRST_NS = 5 * _NS
"""The first cool-down; each that follows without a whole answer in between is twice as long."""
LONGEST_NS = 300 * _NS
"""No cool-down is longer, whatever a provider says: then a probe finds out."""
_SHARE = 0.2
"""Of a new time in the moving average."""


class Phase(StrEnum):
    """Where a target stands."""

    WELL = "well"
    COOLING = "cooling"
    PROBING = "probing"
    """The cool-down has ended, and an attempt is under way that finds out."""


class Event(StrEnum):
    """What may happen to a target."""

    TRIED = "tried"
    """An attempt goes out."""
    ANSWERED = "answered"
    """An answer began that is no failure."""
    FAILED = "failed"
    TRIPPED = "tripped"
    """It failed, as often in a row as makes a cool-down."""
    LIMITED = "limited"
    """It said when to come again."""
    LEFT = "left"
    """The attempt ended without a verdict: its client left."""


TRANSITIONS: Mapping[tuple[Phase, Event], Phase] = MappingProxyType(
    {
        (Phase.WELL, Event.TRIPPED): Phase.COOLING,
        (Phase.WELL, Event.LIMITED): Phase.COOLING,
        (Phase.COOLING, Event.TRIED): Phase.PROBING,
        (Phase.PROBING, Event.ANSWERED): Phase.WELL,
        (Phase.PROBING, Event.FAILED): Phase.COOLING,
        (Phase.PROBING, Event.TRIPPED): Phase.COOLING,
        (Phase.PROBING, Event.LIMITED): Phase.COOLING,
        (Phase.PROBING, Event.LEFT): Phase.COOLING,
    }
)
"""Where an event leads. A pair that is not here leads nowhere: an attempt that began before a cool-down and fails in
it makes it no longer, and one that ends well does not end it."""


class State(Struct, frozen=True):
    """How a target has fared. Times in nanoseconds, of the caller's monotonic clock."""

    phase: Phase = Phase.WELL
    failures: int = 0
    """In a row."""
    trips: int = 0
    """Cool-downs by failures, without an answer to its end in between."""
    until_ns: int = 0
    """While it cools down: until when. While it is probed: until when nobody else tries."""
    first_byte_ns: int | None = None
    """How long answers take to begin: a moving average; None before the first."""
    under_way: int = 0

    def is_free(self, now_ns: int) -> bool:
        """Whether a request may be sent there as to any other."""
        return self.phase is Phase.WELL or now_ns >= self.until_ns

    def after(self, event: Event, now_ns: int, wait_ns: int = 0) -> "State":
        """The state after an event; `wait_ns` is what a LIMITED one says."""
        if event is Event.FAILED and self.failures + 1 >= IN_A_ROW:
            event = Event.TRIPPED
        failed = event in {Event.FAILED, Event.TRIPPED}
        state = replace(self, failures=self.failures + 1) if failed else self
        phase = TRANSITIONS.get((self.phase, event), self.phase)
        limited_longer = event is Event.LIMITED and phase is Phase.COOLING
        if phase is self.phase and not limited_longer:
            return state
        match event:
            case Event.LIMITED:
                until = now_ns + min(max(wait_ns, 0), LONGEST_NS)
                already = self.until_ns if self.phase is Phase.COOLING else 0
                return replace(state, phase=phase, until_ns=max(until, already))
            case Event.FAILED | Event.TRIPPED:
                length = min(FIRST_NS << min(self.trips, 10), LONGEST_NS)
                return replace(state, phase=phase, trips=self.trips + 1, until_ns=now_ns + length)
            case Event.TRIED:
                return replace(state, phase=phase, until_ns=now_ns + LONGEST_NS)
            case Event.LEFT:
                return replace(state, phase=phase, until_ns=now_ns)
            case _:
                return replace(state, phase=phase)


_UNKNOWN = State()


class Health:
    """The states of all targets, in this process. It changes by what it is told, and by nothing else."""

    def __init__(self) -> None:
        self._states: dict[Key, State] = {}

    def of(self, key: Key) -> State:
        """A target's state."""
        return self._states.get(key, _UNKNOWN)

    def tried(self, key: Key, now_ns: int) -> None:
        """An attempt goes out; `over` has to follow."""
        state = self.of(key).after(Event.TRIED, now_ns)
        self._states[key] = replace(state, under_way=state.under_way + 1)

    def answered(self, key: Key, now_ns: int, took_ns: int) -> None:
        """An answer began that is no failure, so long after its attempt."""
        state = self.of(key).after(Event.ANSWERED, now_ns)
        known = state.first_byte_ns
        average = took_ns if known is None else round(known + _SHARE * (took_ns - known))
        self._states[key] = replace(state, first_byte_ns=average)

    def failed(self, key: Key, now_ns: int) -> None:
        """An attempt failed, by the target's own fault."""
        self._states[key] = self.of(key).after(Event.FAILED, now_ns)

    def limited(self, key: Key, now_ns: int, wait_ns: int) -> None:
        """The target said when to come again: so many nanoseconds from now."""
        self._states[key] = self.of(key).after(Event.LIMITED, now_ns, wait_ns)

    def over(self, key: Key, now_ns: int, *, well: bool = False) -> None:
        """An attempt is over, and with it a probe that got no verdict. `well`: its answer came to its end."""
        state = self.of(key)
        if state.phase is Phase.PROBING and not well:
            state = state.after(Event.LEFT, now_ns)
        if well:
            state = replace(state, failures=0, trips=0)
        self._states[key] = replace(state, under_way=max(0, state.under_way - 1))

    def cooling(self, now_ns: int) -> dict[Key, int]:
        """The targets that cool down, each with the nanoseconds until it is tried again. From any thread."""
        states = self._states.copy()
        return {key: state.until_ns - now_ns for key, state in states.items() if not state.is_free(now_ns)}
