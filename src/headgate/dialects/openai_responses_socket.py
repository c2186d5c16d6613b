"""Responses over a WebSocket, and no dialect itself: the conversation of `openai.responses` (facts/wire.md section 3).

A client's `response.create` has the members of a POST /responses, and the provider's frames are the events of a stream
without their framing, so both are read as over HTTP. What a socket adds is lanes (`stream_id`), in each of which
responses come one after another; `generate: false`, which prepares a prompt; steering, after which the provider begins
a response by itself; and errors in a frame of their own.
"""

import json
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from headgate.dialects.asking import Wanted, read_request
from headgate.dialects.base import Ask, Dialect
from headgate.dialects.conversation import Conversation, Heard, Turn, Turns, once, remember
from headgate.dialects.openai_wire import error_object
from headgate.dialects.reading import Shape, parsed, text
from headgate.errors import BadRequest, HeadgateError


class _Named(msgspec.Struct):
    id: str | None = None


class _Said(msgspec.Struct):
    """A provider's frame, as far as it tells whose it is."""

    type: str | None = None
    stream_id: str | None = None
    response: _Named | None = None
    """Those that begin or end a response hold it; others do not name theirs."""
    steer: _Named | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Asked(msgspec.Struct):
    """A client's frame."""

    type: Any = None
    stream_id: Any = None


class _Create(Wanted):
    """What a `response.create` has that a request's body has not."""

    once: ClassVar[tuple[str, ...]] = ("type", "stream_id", "generate")
    bulk: ClassVar[tuple[str, ...]] = ("input", "tools")

    input: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    stream_id: Any = None
    generate: Any = None


_SAID, _ASKED = Shape(_Said), Shape(_Asked)


class ResponsesConversation(Conversation):
    """The grammar of a Responses socket. Requests and events are read by the dialect that is spoken."""

    client_first = True

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._turns = Turns()
        self._asks: dict[str, Ask] = {}
        """By lane, of what began there last: a successor is asked for as its predecessor was."""
        self._steers: dict[str, frozenset[str]] = {}
        """By lane, the steering that was accepted and has not shown in a response yet."""

    def ask(self, frame: bytes) -> Turn | None:
        """A `response.create`. Raises BadRequest.

        A prompt that is only prepared is billed as what was read of it (facts/stream_cases.md 4.3), and is cut down to
        that only by a plain `false`.
        """
        asked = _ASKED.read(frame)
        if asked is None:
            raise BadRequest("A frame must be one JSON object.")
        if asked.type != "response.create":
            once(frame, "type")
            return None
        create = read_request(frame, _Create)
        if not isinstance(create.stream_id, str | None):
            raise BadRequest("'stream_id' must be a string.", param="stream_id")
        ask = replace(self._dialect.read_ask(frame, ()), stream=True, deferred=False)
        if create.generate is False:
            ask = replace(ask, output_cap=0)
        return Turn(ask, self._dialect.tally(), lane=_lane(create.stream_id))

    def send(self, turn: Turn) -> None:
        """It waits in its lane."""
        self._turns.add(turn)

    @property
    def open(self) -> list[Turn]:
        """The turns under way."""
        return self._turns.open

    def hear(self, frame: bytes) -> Heard:
        """A provider's frame: of the response that it holds, or else of the one that runs in its lane."""
        said = _SAID.read(frame)
        if said is None:
            return Heard()
        kind, lane = said.type or "", _lane(said.stream_id)
        if kind.startswith("response.steer."):
            self._note_steering(kind, lane, said.steer)
            return Heard()
        if kind == "error" or (not kind and parsed(said.error)):
            return self._fail(frame, lane)
        name = text(said.response.id) if said.response is not None else None
        turn = self._turns.running(lane) if said.response is None else self._turn(kind, lane, name)
        if turn is None:
            return self._fail(frame, lane) if said.response is None and parsed(said.error) else Heard()
        turn.take(frame)
        if turn.tally.over:
            self._turns.end(turn, name)
        return Heard(turn, ends=turn.ended)

    def _turn(self, kind: str, lane: str, response_id: str | None) -> Turn | None:
        """Whose response it is: one that runs, that begins now, or None for one that has ended.

        GitHub Copilot gives one response a new id in each of its events (recordings), so that an unknown id is a new
        response's only where it is announced, or nothing else runs.
        """
        turns = self._turns
        if response_id is not None:
            if turns.has_ended(response_id):
                return None
            known = turns.known(response_id)
            if known is not None or kind == "response.created":
                return known or self._begin(lane, response_id)
        return turns.running(lane) or self._begin(lane, response_id)

    def _begin(self, lane: str, response_id: str | None) -> Turn:
        """The oldest that waits in the lane begins; a successor, where steering was accepted or none waits."""
        steered = self._steers.pop(lane, None)
        turn = None if steered else next(self._turns.waiting(lane), None)
        if turn is None:
            ask = self._asks.get(lane) or Ask(stream=True)
            turn = Turn(ask, self._dialect.tally(), lane=lane, unasked=True)
        remember(self._asks, lane, turn.ask)
        self._turns.begin(turn, response_id)
        return turn

    def _fail(self, frame: bytes, lane: str) -> Heard:
        """An error: it answers the oldest that waits, unless one runs, which it may concern or not."""
        running = self._turns.running(lane)
        if running is not None:
            tally = self._dialect.tally()
            concerned = Turn(running.ask, tally)
            concerned.take(frame)
            running.trouble = tally.reading(ended=False).in_stream_error
            return Heard(running)
        turn = next(self._turns.waiting(lane), None)
        if turn is None:
            return Heard()
        turn.take(frame)
        self._turns.end(turn)
        return Heard(turn, ends=True)

    def _note_steering(self, kind: str, lane: str, steer: _Named | None) -> None:
        """Accepted input shows in a successor, unless it fails or waits for the client's own `response.create`.

        Which of these it will be comes before the successor does (the events' descriptions in the SDK openai 3.54.0).
        """
        name = text(steer.id) if steer is not None else None
        if name is None:
            return
        accepted = self._steers.pop(lane, frozenset())
        accepted = accepted | {name} if kind == "response.steer.accepted" else accepted - {name}
        if accepted:
            remember(self._steers, lane, accepted)

    def refusal(self, error: HeadgateError, exchange_id: str, about: Turn | bytes | None = None) -> bytes:
        """An error frame, as OpenAI's sockets tell one; the exchange's id has no place in it."""
        del exchange_id
        told: dict[str, Any] = {"type": "error", "status": error.status, "error": error_object(error)}
        if lane := _lane_of(about):
            told["stream_id"] = lane
        return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")

    def with_model(self, frame: bytes, model: str) -> bytes:
        """The frame with its top-level `model` set."""
        return self._dialect.with_model(frame, model)


def _lane(stream_id: Any) -> str:
    """A lane's name, without the lone surrogates that JSON can spell and UTF-8 cannot."""
    return stream_id.encode("utf-8", "replace").decode() if isinstance(stream_id, str) else ""


def _lane_of(about: Turn | bytes | None) -> str:
    if isinstance(about, bytes):
        asked = _ASKED.read(about)
        return _lane(asked.stream_id) if asked is not None else ""
    return about.lane if about is not None else ""
