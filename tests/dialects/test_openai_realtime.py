import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects.base import Ask, Metering
from headgate.dialects.conversation import Turn
from headgate.dialects.openai_realtime import DIALECT
from headgate.dialects.registry import recognise
from headgate.errors import BadRequest, PaymentRequired
from headgate.usage import Basis, Leg, Reading, Usage
from tests.dialects.playbook import document, events, read
from tests.strategies import mixtures

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
USAGE = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 100, "audio_tokens": 20, "image_tokens": 12, "cached_tokens": 70,
        "cached_tokens_details": {"text_tokens": 62, "audio_tokens": 5, "image_tokens": 3},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}  # fmt: skip
READ = Usage(
    input_tokens=132, cache_read_tokens=70, cache_read_audio_tokens=5, cache_read_image_tokens=3, input_audio_tokens=20,
    input_image_tokens=12, output_tokens=121, output_audio_tokens=91,
)  # fmt: skip


def framed(kind: str, **more: Any) -> bytes:
    return json.dumps({"type": kind, "event_id": "event_1", **more}).encode()


def create(event_id: str | None = None, **response: Any) -> bytes:
    told = {"event_id": event_id} if event_id is not None else {}
    return json.dumps({"type": "response.create", **told, **({"response": response} if response else {})}).encode()


def created(name: str) -> bytes:
    return framed("response.created", response={"id": name, "status": "in_progress", "usage": None})


def done(name: str, status: str = "completed", usage: Any = USAGE, **details: Any) -> bytes:
    told = {"type": status, **details}
    return framed("response.done", response={"id": name, "status": status, "status_details": told, "usage": usage})


def delta(name: str, words: str, kind: str = "output_text") -> bytes:
    return framed(f"response.{kind}.delta", response_id=name, item_id="i", delta=words)


def session(kind: str = "updated", **session: Any) -> bytes:
    return framed(f"session.{kind}", session={"type": "realtime", **session})


def failed(event_id: str | None = None, code: str | None = "invalid_value") -> bytes:
    return framed("error", error={"type": "invalid_request_error", "code": code, "message": "no", "event_id": event_id})


def transcribed(item: str = "item_1", **usage: Any) -> bytes:
    return framed(TRANSCRIBED, item_id=item, content_index=0, transcript="hello", usage=usage)


class Socket:
    """A conversation, and all that came to its end on it."""

    def __init__(self) -> None:
        self.conversation = DIALECT.conversation()
        self.ended: list[Turn] = []

    def ask(self, frame: bytes = create()) -> Turn:
        turn = self.conversation.ask(frame)
        assert turn is not None
        self.conversation.send(turn)
        return turn

    def hear(self, *frames: bytes) -> Turn | None:
        """Whose the last of the frames is."""
        for frame in frames:
            heard = self.conversation.hear(frame)
            if heard.ends:
                assert heard.turn is not None
                self.ended.append(heard.turn)
        return heard.turn


def test_a_response_is_billed_by_modality() -> None:
    """Row 4.8: details are singular here, and cached audio and pictures are parts of both of their totals."""
    socket = Socket()
    socket.hear(session("created", model="gpt-realtime-2"))
    turn = socket.ask()
    assert socket.hear(created("r1"), delta("r1", "AAAA", "output_audio")) is turn
    assert turn.so_far().delivered_bytes == 0
    socket.hear(delta("r1", "hé", "output_audio_transcript"), delta("r1", "{}", "function_call_arguments"))
    socket.hear(framed("response.output_item.added", response_id="r1", item={"type": "function_call", "name": "f"}))
    assert (turn.so_far().basis, turn.so_far().delivered_bytes) == (Basis.ESTIMATED, 6)
    socket.hear(done("r1"), done("r1"), framed("rate_limits.updated", rate_limits=[]))
    assert socket.ended == [turn]
    assert turn.finish() == Reading(
        usage=READ,
        basis=Basis.REPORTED,
        served_model="gpt-realtime-2",
        response_id="r1",
        finish_reason="completed",
        terminal_evidence="response.done",
        delivered_bytes=6,
    )


@pytest.mark.parametrize(
    ("status", "details", "finish", "error"),
    [
        ("cancelled", {"reason": "turn_detected"}, "turn_detected", None),
        ("cancelled", {"reason": "client_cancelled"}, "client_cancelled", None),
        ("incomplete", {"reason": "max_output_tokens"}, "max_output_tokens", None),
        ("failed", {"error": {"code": "server_error", "type": "t"}}, "failed", "server_error"),
        ("failed", {}, "failed", "response.failed"),
    ],
)
def test_a_response_is_done_once_however_it_ended(
    status: str, details: dict[str, Any], finish: str, error: str | None
) -> None:
    socket = Socket()
    turn = socket.ask()
    socket.hear(created("r1"), done("r1", status, **details))
    reading = turn.finish()
    assert (reading.usage, reading.finish_reason) == (READ, finish)
    assert (reading.in_stream_error or "").startswith(error or "")
    assert (reading.in_stream_error is None) == (error is None)
    nothing = Socket()
    nothing.ask()
    nothing.hear(created("r1"), done("r1", status, usage=None, **details))
    assert nothing.ended[0].finish().basis is Basis.NONE


def test_an_answer_to_speech_is_a_turn_that_nobody_asked_for() -> None:
    socket = Socket()
    turn = socket.hear(framed("input_audio_buffer.speech_stopped"), created("r1"))
    assert turn is not None
    assert (turn.unasked, turn.began, turn.ask) == (True, True, Ask(stream=True, stored_context=True))
    assert socket.conversation.open == [turn]
    assert socket.hear(done("r1")) is turn
    assert socket.conversation.open == []


def test_responses_at_once_are_told_apart_by_id() -> None:
    """Out-of-band ones run beside the conversation's own."""
    socket = Socket()
    first, second = socket.ask(), socket.ask(create(conversation="none"))
    assert socket.hear(created("r1"), created("r2"), delta("r1", "ab")) is first
    assert socket.hear(delta("r2", "c")) is second
    socket.hear(done("r2"), done("r1"))
    assert socket.ended == [second, first]
    assert [turn.finish().delivered_bytes for turn in (first, second)] == [2, 1]
    assert socket.hear(delta("r1", "late")) is None
    assert socket.hear(delta("r9", "never announced")) is None


TOKENS: dict[str, Any] = {"type": "tokens", "total_tokens": 22, "input_tokens": 13, "output_tokens": 9}


@pytest.mark.parametrize(
    ("usage", "leg", "bound"),
    [
        (TOKENS | {"input_token_details": {"text_tokens": 1, "audio_tokens": 12}},
         Usage(input_tokens=13, input_audio_tokens=12, output_tokens=9), (13, 9)),
        ({"type": "duration", "seconds": 3.5}, Usage(billed_units={"seconds": Decimal("3.5")}), (0, 0)),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "configured",
    [
        session(audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}}}),
        session("created", input_audio_transcription={"model": "gpt-4o-transcribe"}),
    ],
    ids=["GA", "beta"],
)
def test_a_transcription_is_billed_beside_at_its_own_models_price(
    usage: dict[str, Any], leg: Usage, bound: tuple[int, int], configured: bytes
) -> None:
    socket = Socket()
    socket.hear(session("created", model="gpt-realtime"), configured, session(instructions="x"))
    response = socket.ask()
    socket.hear(created("r1"))
    turn = socket.hear(transcribed(**usage))
    assert turn is not None
    assert socket.ended == [turn]
    assert (turn.unasked, turn.began, turn.ended) == (True, True, True)
    assert (turn.ask.prompt_bytes, turn.ask.output_cap) == bound
    assert turn.finish() == Reading(
        usage=Usage(legs=(Leg("transcription", "gpt-4o-transcribe", leg),)),
        basis=Basis.REPORTED,
        served_model="gpt-4o-transcribe",
        terminal_evidence=TRANSCRIBED,
    )
    assert socket.conversation.open == [response]
    assert socket.hear(transcribed(**usage)) is None
    assert socket.hear(transcribed("item_2", **usage)) is not None


def test_a_transcription_that_reports_nothing_says_so() -> None:
    turn = Socket().hear(transcribed())
    assert turn is not None
    assert (turn.finish().basis, turn.finish().anomalies) == (Basis.NONE, {"unmetered": 1})


def test_an_unknown_transcriber_is_not_taken_for_the_sessions_model() -> None:
    socket = Socket()
    turn = socket.hear(session("created", model="gpt-realtime"), transcribed(**TOKENS))
    assert turn is not None
    assert [leg.model for leg in turn.finish().usage.legs] == [None]
    assert turn.finish().served_model is None


def test_what_bounds_an_ask() -> None:
    """The prompt is the conversation, and the model stands in the URL."""
    frame = create(max_output_tokens=200, instructions="x")
    turn = DIALECT.conversation().ask(frame)
    assert turn is not None
    assert turn.ask == Ask(stream=True, output_cap=200, input_bytes=len(frame), stored_context=True)
    assert DIALECT.conversation().with_model(frame, "other") == frame
    for unlimited in (create(max_output_tokens="inf"), create(), b'{"type":"response.create","response":null}'):
        turn = DIALECT.conversation().ask(unlimited)
        assert turn is not None
        assert turn.ask.output_cap is None
    asked = DIALECT.read_ask(b"", ())
    assert asked == Ask()


@pytest.mark.parametrize("kind", ["session.update", "input_audio_buffer.append", "response.cancel", "unheard.of"])
def test_other_frames_ask_for_nothing(kind: str) -> None:
    assert DIALECT.conversation().ask(framed(kind, audio="AAAA", response=5)) is None


@pytest.mark.parametrize(
    ("frame", "param"),
    [
        (b'{"type":"response.create","type":"x"}', "type"),
        (b'{"type":"response.create","response":{"max_output_tokens":1},"response":{}}', "response"),
        (b'{"type":"response.create","response":{"max_output_tokens":1,"max_output_tokens":2}}', "max_output_tokens"),
        (b'{"type":"response.create","response":{"max_output_tokens":1,"max_\\u006futput_tokens":2}}',
         "max_output_tokens"),
        (b'{"type":"response.create","event_id":"a","event_id":"b"}', "event_id"),
        (b"ping", None),
        (b"[]", None),
        (b'[{"type":"response.create"}]', None),
        (b' [{"x":1},{"type":"response.create"}]', None),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(frame: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as told:
        DIALECT.conversation().ask(frame)
    assert told.value.param == param


def test_an_error_ends_only_the_turn_whose_asking_it_answers() -> None:
    socket = Socket()
    running, refused, waiting = socket.ask(create("e0")), socket.ask(create("e1")), socket.ask(create("e2"))
    socket.hear(created("r0"))
    assert socket.hear(failed()) is None
    assert socket.hear(failed("e0")) is None  # it has begun: this is the provider's own response, and stands for both
    assert socket.hear(failed("other")) is None
    assert socket.hear(failed("e1")) is refused
    assert (refused.began, refused.ended) == (False, True)
    assert (refused.finish().basis, refused.finish().in_stream_error) == (Basis.NONE, "invalid_value: no")
    assert socket.conversation.open == [running, waiting]
    assert socket.hear(done("r0")) is running
    assert running.finish().in_stream_error is None


def test_an_error_that_names_no_frame_answers_a_create_only_if_it_can_answer_nothing_else() -> None:
    socket = Socket()
    named, nameless = socket.ask(create("e1")), socket.ask()
    assert socket.hear(failed(code=None)) is None
    assert socket.hear(failed(code="conversation_already_has_active_response")) is nameless
    assert socket.conversation.open == [named]
    assert socket.hear(framed("error"), framed("error", error="x")) is None


def test_a_refusal_names_the_frame_it_is_about() -> None:
    conversation = DIALECT.conversation()
    error = PaymentRequired("No credit.")
    told = json.loads(conversation.refusal(error, "x1"))
    assert (told["type"], told["event_id"]) == ("error", "event_x1")
    assert told["error"] == {
        "type": "insufficient_quota", "code": "insufficient_credit", "message": "No credit.", "param": None,
        "event_id": None,
    }  # fmt: skip
    for about in (conversation.ask(create("e1")), create("e1")):
        assert json.loads(conversation.refusal(error, "x1", about))["error"]["event_id"] == "e1"
    assert json.loads(conversation.refusal(error, "x1", b"ping"))["error"]["event_id"] is None


def test_over_http_there_is_an_upgrade_and_its_refusal() -> None:
    match = recognise("GET", "/realtime")
    assert match is not None
    assert (match.dialect, match.operation.metering) == (DIALECT, Metering.COUNTED)
    refused = read("openai.realtime", [document({"error": {"code": "c", "message": "no"}})], status=401)
    assert (refused.basis, refused.in_stream_error, refused.terminal_evidence) == (Basis.NONE, "c: no", "document")
    assert read("openai.realtime", [b"{broken"], status=400).anomalies == {"not_json": 1}


def test_its_frames_read_the_same_as_a_stream() -> None:
    frames = [json.loads(frame) for frame in (created("r1"), delta("r1", "abc"), done("r1"))]
    reading = read("openai.realtime", [events(*frames)])
    assert (reading.usage, reading.delivered_bytes) == (READ, 3)
    broken = read(
        "openai.realtime", [events({"type": "error", "error": {"code": "c", "message": "no"}}), b"data: {\n\n"]
    )
    assert (broken.in_stream_error, broken.anomalies) == ("c: no", {"not_json": 1})


PIECES = mixtures(
    create("e"), create(max_output_tokens=2), created("r1"), done("r1"), delta("r1", "x"), failed("e"), transcribed(),
    session(model="m"), b'"type":', b"{", b"}", b'"response.create"', b",", rb'"\ud800"', b"[", b"null", b"NaN",
    most=4,
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), PIECES), max_size=12))
def test_no_bytes_break_a_conversation(frames: Iterable[tuple[bool, bytes]]) -> None:
    socket = Socket()
    for asks, frame in frames:
        if not asks:
            socket.hear(frame)
            continue
        try:
            turn = socket.conversation.ask(frame)
        except BadRequest as error:
            json.loads(socket.conversation.refusal(error, "x", frame))
            continue
        if turn is not None:
            socket.conversation.send(turn)
    assert len(set(socket.ended)) == len(socket.ended)
    for turn in (*socket.ended, *socket.conversation.open):
        json.dumps(turn.finish().as_json(), allow_nan=False).encode()
