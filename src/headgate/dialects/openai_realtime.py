"""OpenAI's Realtime API: speech in and out over a WebSocket (facts/wire.md section 3; the types in the SDK 3.54.0).

Each response is billed by its own `response.done`, whoever began it: the client, or the provider on hearing a pause.
What was said to it is written down by another model, which is billed beside: a transcription is a turn of its own,
with one leg at that model's price.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headgate import jsontext
from headgate.dialects.asking import largest
from headgate.dialects.base import Ask, Operation, Tally
from headgate.dialects.conversation import Conversation, Heard, SocketDialect, Turn, Turns, once
from headgate.dialects.openai_media import media_usage
from headgate.dialects.openai_wire import OpenAIDialect, error_object
from headgate.dialects.reading import Anomalies, Seen, Shape, error_text, merge, parsed, size, text
from headgate.errors import BadRequest, HeadgateError
from headgate.framing.base import Frame
from headgate.usage import Leg, Reading, Usage

_TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
_SOUND = frozenset({"response.output_audio.delta", "response.audio.delta"})
"""Deltas that are no text; their transcript comes beside them."""
_ABOUT_CREATING = frozenset({"conversation_already_has_active_response"})
"""Codes of errors that can only answer a `response.create`, for one to which its client gave no id."""


class _Named(msgspec.Struct):
    name: str | None = None


class _Details(msgspec.Struct):
    reason: str | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Response(msgspec.Struct):
    id: str | None = None
    status: str | None = None
    status_details: _Details | None = None
    usage: msgspec.Raw = msgspec.Raw()


class _Told(msgspec.Struct):
    code: str | None = None
    event_id: str | None = None
    """The client's, of the frame that caused the error."""


class _Model(msgspec.Struct):
    model: str | None = None


class _Input(msgspec.Struct):
    transcription: _Model | None = None


class _Audio(msgspec.Struct):
    input: _Input | None = None


class _Session(msgspec.Struct):
    model: str | None = None
    audio: _Audio | None = None
    input_audio_transcription: _Model | None = None
    """Where the beta API has it."""


class _Event(msgspec.Struct):
    """A provider's frame."""

    type: str | None = None
    response: _Response | None = None
    response_id: str | None = None
    delta: str | None = None
    item: _Named | None = None
    item_id: str | None = None
    content_index: int = 0
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Configured(msgspec.Struct):
    session: _Session | None = None


class _Failed(msgspec.Struct):
    error: _Told | None = None


class _Asked(msgspec.Struct):
    """A client's frame."""

    type: Any = None
    event_id: Any = None
    response: Any = None


_EVENT, _CONFIGURED, _FAILED, _ASKED = Shape(_Event), Shape(_Configured), Shape(_Failed), Shape(_Asked)


class RealtimeTally(Tally):
    """Reads a response, or a transcription. Neither names its model: the session does."""

    def __init__(self, model: str | None = None) -> None:
        self._seen = Seen()
        self._seen.model = model
        self._usage: Mapping[str, Any] = {}
        self._transcribed = False

    def event(self, frame: Frame) -> None:
        """Take a frame."""
        event = _EVENT.read(frame.data)
        if event is None:
            self._seen.anomalies["not_json"] += 1
            return
        kind, seen = event.type or "", self._seen
        if kind.endswith(".delta"):
            seen.delivered += 0 if kind in _SOUND else size(event.delta)
        elif kind == "response.output_item.added" and event.item is not None:
            seen.delivered += size(event.item.name)
        elif kind == _TRANSCRIBED:
            seen.terminal, self._transcribed = kind, True
            self._usage = merge(self._usage, parsed(event.usage))
        elif kind == "error" or (not kind and parsed(event.error)):
            seen.error = error_text(parsed(event.error))
        elif event.response is not None:
            self._take_response(event.response)
            seen.terminal = kind if kind == "response.done" else seen.terminal

    def _take_response(self, response: _Response) -> None:
        seen, details = self._seen, response.status_details
        seen.response_id = response.id or seen.response_id
        self._usage = merge(self._usage, parsed(response.usage))
        if response.status not in (None, "in_progress"):
            seen.finish_reason = (details.reason if details is not None else None) or response.status
        if response.status == "failed":
            error = parsed(details.error) if details is not None else None
            seen.error = error_text(error) if error else "response.failed"

    def document(self, body: bytes) -> None:
        """Take a whole answer: an upgrade that was refused."""
        event = _EVENT.read(body)
        if event is None:
            self._seen.anomalies["not_json"] += 1
            return
        self._seen.terminal = "document"
        if error := parsed(event.error):
            self._seen.error = error_text(error)

    @property
    def over(self) -> bool:
        """True once the end has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen."""
        seen = self._seen
        anomalies = Anomalies()
        usage = media_usage(self._usage, anomalies)
        if self._transcribed and usage.is_empty:
            anomalies["unmetered"] += 1
        elif self._transcribed:
            usage = Usage(legs=(Leg("transcription", text(seen.model), usage),))
        return seen.reading(usage, anomalies, final=seen.terminal is not None or (ended and seen.error is None))


class _Create(Turn):
    """A turn that a client's frame asked for."""

    __slots__ = ("event_id",)

    def __init__(self, ask: Ask, tally: Tally, event_id: str | None) -> None:
        super().__init__(ask, tally)
        self.event_id = event_id


class RealtimeConversation(Conversation):
    """The grammar of a Realtime socket. It has one lane; frames name their response."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._model: str | None = None
        self._transcriber: str | None = None

    def ask(self, frame: bytes) -> Turn | None:
        """A `response.create`. Raises BadRequest.

        The prompt is the conversation so far, which is not in the frame, and the model that which the URL named.
        """
        asked = _ASKED.read(frame)
        if asked is None:
            raise BadRequest("A frame must be one JSON object.")
        once(frame, "type")
        if asked.type != "response.create":
            return None
        once(frame, "response", "event_id")
        response = asked.response if isinstance(asked.response, dict) else {}
        if response:
            once(jsontext.value_of(frame, "response") or b"", "max_output_tokens")
        ask = Ask(
            stream=True,
            output_cap=largest(response.get("max_output_tokens")),
            input_bytes=len(frame),
            stored_context=True,
        )
        return _Create(ask, RealtimeTally(self._model), _string(asked.event_id))

    def send(self, turn: Turn) -> None:
        """It waits."""
        self._turns.add(turn)

    @property
    def open(self) -> list[Turn]:
        """The turns under way."""
        return self._turns.open

    def hear(self, frame: bytes) -> Heard:
        """A provider's frame."""
        event = _EVENT.read(frame)
        kind = (event.type if event is not None else None) or ""
        if event is None:
            return Heard()
        if kind in {"session.created", "session.updated"}:
            self._configure(frame)
        elif kind == "error":
            return self._fail(frame)
        elif kind == _TRANSCRIBED:
            return self._transcription(event, frame)
        elif kind.startswith("response."):
            turn = self._turn(event)
            if turn is not None:
                turn.take(frame)
                if turn.tally.over:
                    self._turns.end(turn)
                return Heard(turn, ends=turn.ended)
        return Heard()

    def _configure(self, frame: bytes) -> None:
        """Which models answer and write down; what a session does not say stays as it was."""
        told = _CONFIGURED.read(frame)
        session = told.session if told is not None else None
        if session is None:
            return
        spoken = session.audio.input if session.audio is not None else None
        for transcriber in (session.input_audio_transcription, spoken.transcription if spoken is not None else None):
            self._transcriber = (transcriber.model if transcriber is not None else None) or self._transcriber
        self._model = session.model or self._model

    def _turn(self, event: _Event) -> Turn | None:
        """Whose frame it is. A response that begins is the one that was asked for first, or the provider's own idea.

        Nothing tells these two apart. If the provider's own came first, the client's is answered by an error, and the
        one turn stands for the one response that there is.
        """
        turns, response = self._turns, event.response
        name = text(response.id if response is not None else event.response_id)
        if name is not None:
            known = turns.known(name)
            if known is not None or response is None or turns.has_ended(name):
                return known
        elif response is None:
            return turns.running()
        turn = next(turns.waiting(), None)
        if turn is None:
            turn = Turn(Ask(stream=True, stored_context=True), RealtimeTally(self._model), unasked=True)
        turns.begin(turn, name)
        return turn

    def _fail(self, frame: bytes) -> Heard:
        """An error ends nothing but the turn whose asking it answers: the others stay as they are (facts/wire.md 3)."""
        failed = _FAILED.read(frame)
        told = failed.error if failed is not None else None
        if told is None:
            return Heard()
        for turn in self._turns.waiting():
            named = turn.event_id if isinstance(turn, _Create) else None
            if named == told.event_id and (named is not None or told.code in _ABOUT_CREATING):
                turn.take(frame)
                self._turns.end(turn)
                return Heard(turn, ends=True)
        return Heard()

    def _transcription(self, event: _Event, frame: bytes) -> Heard:
        """A turn that is over as soon as it is heard of. Its bounds are what it has used."""
        name = f"{text(event.item_id)}/{event.content_index}"
        if event.item_id is not None:
            if self._turns.has_ended(name):
                return Heard()
            self._turns.note_end(name)
        used = media_usage(merge({}, parsed(event.usage)), Anomalies())
        ask = Ask(stream=True, prompt_bytes=used.input_tokens or 0, output_cap=used.output_tokens or 0)
        turn = Turn(ask, RealtimeTally(self._transcriber), began=True, ended=True, unasked=True)
        turn.take(frame)
        return Heard(turn, ends=True)

    def refusal(self, error: HeadgateError, exchange_id: str, about: Turn | bytes | None = None) -> bytes:
        """An `error` event; it names the client's frame where that has an id."""
        told = error_object(error) | {"event_id": _event_id(about)}
        event = {"type": "error", "event_id": f"event_{exchange_id}", "error": told}
        return json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")

    def with_model(self, frame: bytes, model: str) -> bytes:
        """The frame as it is: the model stands in the URL alone."""
        del model
        return frame


def _string(value: Any) -> str | None:
    """A string, without the lone surrogates that JSON can spell and UTF-8 cannot."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _event_id(about: Turn | bytes | None) -> str | None:
    if isinstance(about, bytes):
        asked = _ASKED.read(about)
        return _string(asked.event_id) if asked is not None else None
    return about.event_id if isinstance(about, _Create) else None


class OpenAIRealtime(OpenAIDialect, SocketDialect):
    """Realtime. Over plain HTTP there is nothing but the refusal of an upgrade."""

    name = "openai.realtime"
    operations = (Operation("connect", "GET", "/realtime"),)

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """An upgrade asks for nothing yet: its frames do, and its model stands in the query."""
        del headers
        return Ask(input_bytes=len(body))

    def tally(self) -> Tally:
        """A fresh tally."""
        return RealtimeTally()

    def conversation(self) -> Conversation:
        """A fresh conversation."""
        return RealtimeConversation()


DIALECT = OpenAIRealtime()
