"""A dialect over a WebSocket: which frames ask for something, and which belong to which billed response.

A Conversation is the grammar of one socket, and pure. What the client sends is shown to `ask`, and to `send` once it
goes on; what the provider sends is shown to `hear`. Neither raises for a frame that it does not know, and neither
changes one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from msgspec.structs import replace

from headgate import jsontext
from headgate.dialects.base import Ask, Tally, with_estimate
from headgate.errors import BadRequest, HeadgateError
from headgate.framing.base import Frame
from headgate.usage import Reading

V = TypeVar("V")


@dataclass(slots=True, eq=False)
class Turn:
    """One response on a socket, billed by itself. Its tally grows as frames are heard."""

    ask: Ask
    """As the client asked. Where the provider began it by itself: that of the response it follows, or what is known."""
    tally: Tally
    lane: str = ""
    """The `stream_id` that it runs under; "" where the socket has only one."""
    response_id: str | None = None
    began: bool = False
    """The provider has said that it works on it. One that ended without having begun was refused."""
    ended: bool = False
    """Its terminal frame came, or its refusal."""
    unasked: bool = False
    """The provider began it by itself: the successor of a steered response, an answer to speech, a transcription."""
    trouble: str | None = None
    """An error told on its lane while it ran. Most are about some other frame, so it counts only while the turn has
    not come to its own end."""

    def take(self, frame: bytes) -> None:
        """Show a provider's frame to its tally."""
        self.tally.event(Frame(b"", frame))

    def so_far(self) -> Reading:
        """What the reading would be if nothing more came."""
        return self._reading(ended=False)

    def finish(self) -> Reading:
        """The reading; `ended` tells whether its terminal frame came."""
        return self._reading(ended=self.ended)

    def _reading(self, *, ended: bool) -> Reading:
        reading = with_estimate(self.tally.reading(ended=ended), self.ask.input_bytes)
        if self.trouble is None or self.ended or reading.in_stream_error is not None:
            return reading
        return replace(reading, in_stream_error=self.trouble)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a provider's frame means for the books."""

    turn: Turn | None = None
    """Whose it is; None for a frame that belongs to none, or to one that has ended."""
    ends: bool = False
    """It is the turn's last: it is to be settled."""


class Conversation(ABC):
    """What is said on one socket."""

    client_first: ClassVar[bool] = False
    """The provider says nothing before the client has, and the frames that ask name their models: so who serves can be
    chosen when the first frame is there."""

    @abstractmethod
    def ask(self, frame: bytes) -> Turn | None:
        """The turn that a client's frame asks for; None for a frame that asks for none, known or not.

        Raises BadRequest for one that asks, and cannot be read as this dialect's; and for one of which nobody can tell
        what it asks: no JSON object, or one that names its type twice.
        """

    @abstractmethod
    def send(self, turn: Turn) -> None:
        """The frame that asked for it goes on to the provider: it waits for its beginning, in its lane's order."""

    @abstractmethod
    def hear(self, frame: bytes) -> Heard:
        """A provider's frame. A terminal that comes again belongs to no turn."""

    @property
    @abstractmethod
    def open(self) -> list[Turn]:
        """The turns that were sent or have begun, and have not ended, oldest first."""

    @abstractmethod
    def refusal(self, error: HeadgateError, exchange_id: str, about: Turn | bytes | None = None) -> bytes:
        """The error as this dialect tells one on a socket that stays open.

        `about` is the turn that it concerns, or the client's frame where that could not be read as one.
        """

    @abstractmethod
    def with_model(self, frame: bytes, model: str) -> bytes:
        """A frame that asks, with its model set and every other byte as it was."""


class SocketDialect(ABC):
    """What a dialect is as well that is spoken over WebSockets."""

    @abstractmethod
    def conversation(self) -> Conversation:
        """A fresh conversation, for one socket."""


def conversation_in(dialect: object) -> Conversation | None:
    """A fresh conversation in a dialect; None where it is not spoken over WebSockets."""
    return dialect.conversation() if isinstance(dialect, SocketDialect) else None


_REMEMBERED = 10_000
"""Turns that a socket remembers after their end. A socket lives for an hour, and a late frame comes within seconds."""


class Turns:
    """The turns of one socket, by how far they have come."""

    __slots__ = ("_ended", "_open", "_running")

    def __init__(self) -> None:
        self._open: dict[Turn, None] = {}
        self._running: list[Turn] = []
        self._ended: dict[str, None] = {}

    @property
    def open(self) -> list[Turn]:
        """All that have not ended, oldest first."""
        return list(self._open)

    def waiting(self, lane: str = "") -> Iterator[Turn]:
        """Those of a lane that were sent and have not begun, oldest first."""
        return (turn for turn in self._open if not turn.began and turn.lane == lane)

    def running(self, lane: str = "") -> Turn | None:
        """The one of a lane that began last and has not ended."""
        return next((turn for turn in reversed(self._running) if turn.lane == lane), None)

    def known(self, response_id: str) -> Turn | None:
        """The running one of that id."""
        return next((turn for turn in self._running if turn.response_id == response_id), None)

    def has_ended(self, response_id: str) -> bool:
        """True if something of that id came to its end on this socket."""
        return response_id in self._ended

    def add(self, turn: Turn) -> None:
        """Take one that was sent."""
        self._open[turn] = None

    def begin(self, turn: Turn, response_id: str | None) -> None:
        """It begins, whether it was sent or comes unasked."""
        turn.began, turn.response_id = True, response_id
        self._open[turn] = None
        self._running.append(turn)

    def end(self, turn: Turn, response_id: str | None = None) -> None:
        """It is over. Some services end a response under another id than it began with, and that is its id then."""
        turn.ended = True
        self._open.pop(turn, None)
        if turn.began:
            self._running.remove(turn)
        for name in (turn.response_id, response_id):
            if name is not None:
                self.note_end(name)
        turn.response_id = response_id or turn.response_id

    def note_end(self, response_id: str) -> None:
        """Something of that id has ended."""
        remember(self._ended, response_id, None)


def remember(kept: dict[str, V], key: str, value: V) -> None:
    """Keep a value as the latest one; of too many the oldest is dropped, so that no peer can fill the memory."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _REMEMBERED:
        del kept[next(iter(kept))]


def once(frame: bytes, *names: str) -> None:
    """Check that a client's frame is an object that names each of these members at most once. Raises BadRequest.

    Parsers differ on which of two counts, so one could be held and another served. An array could ask several times.
    """
    if not jsontext.begins_object(frame):
        raise BadRequest("A frame must be one JSON object.")
    try:
        repeated = next((name for name in names if jsontext.repeats(frame, name)), None)
    except ValueError:
        raise BadRequest("A frame must be one JSON object.") from None
    if repeated is not None:
        raise BadRequest(f"The frame names '{repeated}' more than once.", param=repeated)
