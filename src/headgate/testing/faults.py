"""What goes wrong on a TCP connection, as a script for each direction. Pure: bytes in, steps out.

A fault strikes as soon as so many bytes (`at`) have passed in its direction; at 0, when the connection begins. The same
script does the same to the same bytes, however they are split. `proxy.py` carries it out.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delay:
    """Nothing passes for so many seconds."""

    at: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Trickle:
    """From there on `piece` bytes pass at a time, with a pause of so many seconds after each."""

    at: int
    piece: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Corrupt:
    """The next byte is changed: the bits of `mask` are turned over."""

    at: int
    mask: int = 0xFF


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more passes in this direction, until the proxy releases it or the other direction ends."""

    at: int


@dataclass(frozen=True, slots=True)
class HalfClose:
    """The receiver sees the sender close (FIN); what the sender sends from then on is lost. The other way goes on."""

    at: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Both ends see the other close (FIN); what they send from then on is lost."""

    at: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Both ends see the connection break (RST)."""

    at: int


Ending = HalfClose | Cut | Reset
Fault = Delay | Trickle | Corrupt | Stall | Ending
Script = tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to one connection."""

    up: Script = ()
    """To what is sent by who connected."""
    down: Script = ()
    """To what is sent by who listens."""


NO_FAULTS = Faults()
"""Everything passes as it comes."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A step: these bytes go on."""

    data: bytes


Step = Pass | Delay | Stall | Ending
"""What is to be done, in this order; nothing follows an ending."""


class Way:
    """One direction of a connection under its script."""

    def __init__(self, script: Script) -> None:
        self.passed = 0
        """Bytes so far."""
        self.over = False
        """An ending has struck: whatever comes is lost."""
        self._due = deque(sorted(script, key=lambda fault: fault.at))
        self._mask = 0
        self._trickle: Trickle | None = None

    def feed(self, data: bytes) -> Iterator[Step]:
        """What becomes of these bytes. To be fed nothing once at the beginning, for what strikes there."""
        while not self.over:
            yield from self._strike()
            if self.over or not data:
                return
            size = min(self._room(), len(data))
            yield Pass(bytes((data[0] ^ self._mask,)) + data[1:size])
            self._mask = 0
            self.passed += size
            data = data[size:]
            if self._trickle is not None and self._into_piece() == 0 and self._trickle.seconds:
                yield Delay(self.passed, self._trickle.seconds)

    def _strike(self) -> Iterator[Step]:
        while self._due and self._due[0].at <= self.passed and not self.over:
            fault = self._due.popleft()
            match fault:
                case Trickle():
                    self._trickle = fault
                case Corrupt():
                    self._mask ^= fault.mask
                case Delay() | Stall():
                    yield fault
                case HalfClose() | Cut() | Reset():
                    self.over = True
                    yield fault

    def _room(self) -> int:
        """How many bytes may pass before something else happens."""
        room = self._due[0].at - self.passed if self._due else 1 << 62
        return room if self._trickle is None else min(room, self._trickle.piece - self._into_piece())

    def _into_piece(self) -> int:
        assert self._trickle is not None
        return (self.passed - self._trickle.at) % self._trickle.piece
