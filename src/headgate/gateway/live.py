"""The exchanges that are under way, as the checkpoints and the curious see them."""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from msgspec import Struct, field

from headgate.gateway.admit import Admission
from headgate.gateway.hold import Held
from headgate.gateway.request import Opening
from headgate.records import Bill, Record
from headgate.routing.models import Route
from headgate.usage import Reading, Usage

_REMEMBERED = 1_000


class Watching(Protocol):
    """What watches an answer: a Meter, or the turn of a socket."""

    def so_far(self) -> Reading:
        """What the reading would be if nothing more came."""


class Observer(Protocol):
    """Is told of every exchange that is over: metrics, traces, logs, who looks on."""

    def saw(self, record: Record) -> None:
        """An exchange has been settled. On the event loop: must not wait, nor take long."""


class Owed(Protocol):
    """What an exchange comes to."""

    @property
    def bill(self) -> Bill:
        """As it would stand on the record."""

    @property
    def usage(self) -> Usage:
        """What the bill is for."""

    @property
    def tokens(self) -> int:
        """Input and output together."""


class Appraising(Protocol):
    """Puts a price on an exchange under way."""

    def so_far(self, running: "Running", reading: Reading) -> Owed:
        """What would be settled if this process died now, with this reading."""


class Running(Struct, eq=False):
    """An exchange between its hold and its settlement. Its meter comes with the answer's head."""

    opening: Opening
    admission: Admission
    route: Route
    held: Held | None
    appraiser: Appraising
    """Goes by the prices that the exchange began under, whatever the settings have become."""
    meter: Watching | None = None
    answered: bool = False
    """The head of an answer has come."""
    delivered: int = field(default=-1)
    """The bytes that the last checkpoint saw delivered."""
    counted: bool = False
    """Its usage has been found to count, and so no other exchange's of the same response will."""


class Live:
    """All exchanges under way in this process, and the last that were."""

    def __init__(self) -> None:
        self._running: dict[str, Running] = {}
        self._recent: OrderedDict[str, Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self._running.values()))

    def newest(self, most: int) -> list[Running]:
        """At most so many of them, the newest first."""
        return list(islice(reversed(self._running.values()), most))

    def add(self, running: Running) -> None:
        """An exchange goes out."""
        self._running[running.opening.exchange_id] = running

    def running(self, exchange_id: str) -> Running | None:
        """An exchange that is under way."""
        return self._running.get(exchange_id)

    def close(self, record: Record) -> None:
        """An exchange is settled; its record is remembered until it is on disk, and a while longer."""
        if self._running.pop(record.exchange_id, None) is None:
            return
        self._recent[record.exchange_id] = record
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    def record(self, exchange_id: str) -> Record | None:
        """The record of an exchange that was under way a short while ago."""
        return self._recent.get(exchange_id)
