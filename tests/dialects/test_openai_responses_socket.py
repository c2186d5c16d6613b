import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate import jsontext
from headgate.dialects.base import Answer, Ask
from headgate.dialects.conversation import Conversation, Turn
from headgate.dialects.openai_responses import DIALECT
from headgate.errors import BadRequest, PaymentRequired, UpstreamCut
from headgate.framing.sse import ServerSentEvents
from headgate.testing.corpus import Case
from headgate.usage import Basis, Reading
from tests.dialects import expected
from tests.strategies import mixtures

STREAMS = [case for case in expected.cases("openai.responses") if case.framing == "sse"]


def framed(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload).encode()


def create(**more: Any) -> bytes:
    return framed({"type": "response.create", "model": "m", "input": "Hi", **more})


def event(kind: str, response_id: str | None = None, lane: str | None = None, **more: Any) -> bytes:
    """A provider's frame; `more` is what its response holds, or the frame itself where there is none."""
    held = {"response": {"id": response_id, "model": "m", **more}} if response_id is not None else more
    return framed({"type": f"response.{kind}", **held} | ({"stream_id": lane} if lane is not None else {}))


def done(response_id: str, given: int, made: int, lane: str | None = None, kind: str = "completed") -> bytes:
    usage = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
    return event(kind, response_id, lane, status=kind, usage=usage)


def delta(words: str, lane: str | None = None) -> bytes:
    return event("output_text.delta", None, lane, delta=words)


def failed(code: str, lane: str | None = None, status: int = 400) -> bytes:
    told = {"type": "error", "status": status, "error": {"type": "t", "code": code, "message": "no", "param": None}}
    return framed(told | ({"stream_id": lane} if lane is not None else {}))


class Socket:
    """A conversation, and all that came to its end on it."""

    def __init__(self) -> None:
        self.conversation: Conversation = DIALECT.conversation()
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

    @property
    def bill(self) -> list[tuple[str | None, int | None, int | None]]:
        readings = [turn.finish() for turn in self.ended]
        return [(r.response_id, r.usage.input_tokens, r.usage.output_tokens) for r in readings]


# -- parity: the same response over both transports --------------------------------------------------------------------


def frames_of(case: Case) -> list[bytes]:
    """A recorded stream as a socket brings it; `[DONE]` ends a stream of events, and there is none."""
    framing = ServerSentEvents()
    events = [*framing.feed(case.body), *framing.end()]
    return [event.data for event in events if event.data != b"[DONE]"]


def over_http(case: Case, ask: Ask) -> Reading:
    meter = DIALECT.meter(Answer(200, case.content_type), ask)
    meter.feed(case.body)
    reading = meter.finish(ended=True)
    told = {name: n for name, n in reading.anomalies.items() if name != "unterminated_frame"}  # a message has no tail
    return replace(reading, anomalies=told)


def in_lane(frame: bytes, lane: str) -> bytes:
    return jsontext.with_member(frame, "stream_id", json.dumps(lane).encode())


@pytest.mark.parametrize("case", STREAMS, ids=expected.name)
def test_a_recorded_stream_reads_the_same_as_over_http(case: Case) -> None:
    """Row 4.4."""
    socket = Socket()
    turn = socket.ask()
    for frame in frames_of(case):
        assert socket.hear(frame) is turn
    assert turn.finish() == over_http(case, turn.ask)
    assert turn.finish().usage == expected.usage(case)
    assert socket.ended == [turn]
    assert socket.conversation.open == []
    assert turn.response_id == turn.finish().response_id


def test_so_many_streams_were_recorded() -> None:
    assert len(STREAMS) > 40


@pytest.mark.parametrize(("case", "other"), list(zip(STREAMS, [*STREAMS[1:], STREAMS[0]], strict=True)))
def test_recorded_streams_in_two_lanes_at_once_read_the_same(case: Case, other: Case) -> None:
    """Row 4.6: whoever speaks now, the frames of each lane are its own response's."""
    socket = Socket()
    turns = [socket.ask(create(stream_id=lane)) for lane in ("a", "b")]
    left, right = ([in_lane(frame, lane) for frame in frames_of(c)] for c, lane in ((case, "a"), (other, "b")))
    for at in range(max(len(left), len(right))):
        for frames, turn in ((left, turns[0]), (right, turns[1])):
            if at < len(frames):
                assert socket.hear(frames[at]) is turn
    assert [turn.finish() for turn in turns] == [over_http(c, turns[0].ask) for c in (case, other)]
    assert set(socket.ended) == set(turns)


@pytest.mark.parametrize("case", STREAMS, ids=expected.name)
def test_recorded_terminals_that_come_again_mean_nothing(case: Case) -> None:
    """Row 4.2: also while the next one waits already, and after it began."""
    socket, frames = Socket(), frames_of(case)
    first = socket.ask()
    socket.hear(*frames)
    reading = first.finish()
    second = socket.ask()
    assert socket.hear(frames[-1]) is None
    socket.hear(event("created", "resp_next"))
    assert socket.hear(frames[-1]) is None
    socket.hear(done("resp_next", 1, 2))
    assert socket.ended == [first, second]
    assert first.finish() == reading


# -- what the client asks ----------------------------------------------------------------------------------------------


def test_a_create_asks_for_what_a_post_asks_for() -> None:
    frame = create(max_output_tokens=9, service_tier="flex", tools=[{"type": "function"}], previous_response_id="r")
    turn = DIALECT.conversation().ask(frame)
    assert turn is not None
    assert turn.ask == Ask(
        model="m", stream=True, output_cap=9, input_bytes=len(frame), has_tools=True, stored_context=True,
        service_tier="flex", previous_id="r",
    )  # fmt: skip
    assert (turn.lane, turn.unasked, turn.began) == ("", False, False)
    assert turn.finish() == Reading()


def test_preparing_a_prompt_makes_no_output() -> None:
    """Row 4.3; only a plain false does."""
    for said, cap in ((False, 0), (True, None), (None, None), (0, None), ("false", None)):
        turn = DIALECT.conversation().ask(create(generate=said))
        assert turn is not None
        assert turn.ask.output_cap == cap


def test_a_background_response_tells_its_end_on_the_socket_all_the_same() -> None:
    turn = DIALECT.conversation().ask(create(background=True))
    assert turn is not None
    assert not turn.ask.deferred


@pytest.mark.parametrize(
    "frame",
    [
        framed({"type": "response.steer", "previous_response_id": "r", "input": "stop"}),
        framed({"type": "response.processed", "response_id": "r"}),
        framed({"type": "unheard.of", "model": 5, "stream": "x", "stream_id": 1}),
        b'{"type":"x","model":"a","model":"b"}',
        framed({"type": None}),
        b"{}",
    ],
)
def test_other_frames_ask_for_nothing(frame: bytes) -> None:
    assert DIALECT.conversation().ask(frame) is None


@pytest.mark.parametrize(
    ("frame", "param"),
    [
        (b'{"type":"response.create","model":"a","model":"b"}', "model"),
        (b'{"type":"response.create","model":"a","max_output_tokens":1,"max_output_tokens":9}', "max_output_tokens"),
        (b'{"type":"response.create","type":"x","model":"a"}', "type"),
        (b'{"type":"x","model":"a","\\u0074ype":"response.create"}', "type"),
        (b'{"type":"response.create","generate":false,"generate":true}', "generate"),
        (b'{"type":"response.create","stream_id":"a","stream_id":"b"}', "stream_id"),
        (create(stream_id=5), "stream_id"),
        (create(model=5), "model"),
        (create(stream="yes"), "stream"),
        (b"[]", None),
        (b"ping", None),
        (b"", None),
        (b'[{"type":"response.create"}]', None),
        (b'[{"x":1},{"type":"response.create"}]', None),
        (b'{"type":"response.create","x":' + b"[" * 99_999 + b"]" * 99_999 + b"}", None),
    ],
)
def test_what_cannot_be_told_is_refused(frame: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as told:
        DIALECT.conversation().ask(frame)
    assert told.value.param == param


def test_a_model_is_set_in_place() -> None:
    frame = b'{ "type":"response.create", "model" : "openai/m", "n":1.0e0, "input":"\\u00e9"}'
    assert DIALECT.conversation().with_model(frame, "m") == frame.replace(b"openai/m", b"m")


def test_a_refusal_is_an_error_frame_of_its_lane() -> None:
    conversation = DIALECT.conversation()
    error = PaymentRequired("No credit.")
    about_money = {"message": "No credit.", "type": "insufficient_quota", "param": None, "code": "insufficient_credit"}
    told = {"type": "error", "status": 402, "error": about_money}
    assert json.loads(conversation.refusal(error, "x1")) == told
    assert json.loads(conversation.refusal(error, "x1", conversation.ask(create()))) == told
    for about in (conversation.ask(create(stream_id="a")), create(stream_id="a", model=5)):
        assert json.loads(conversation.refusal(error, "x1", about)) == told | {"stream_id": "a"}
    for frame in (b"ping", create(stream_id=5)):
        assert json.loads(conversation.refusal(error, "x1", frame)) == told
    assert conversation.open == []


# -- what the provider says --------------------------------------------------------------------------------------------


def test_every_response_of_a_socket_is_billed_by_itself() -> None:
    """Row 4.1, and of one lane in the order of asking."""
    socket = Socket()
    first, second = socket.ask(), socket.ask()
    assert socket.conversation.open == [first, second]
    assert socket.hear(event("created", "r1"), delta("ab")) is first
    assert (first.began, second.began) == (True, False)
    assert first.so_far().delivered_bytes == 2
    socket.hear(done("r1", 10, 1), event("created", "r2"), done("r2", 20, 2))
    third = socket.ask()
    socket.hear(event("created", "r3"), done("r3", 30, 3, kind="incomplete"))
    assert socket.ended == [first, second, third]
    assert socket.bill == [("r1", 10, 1), ("r2", 20, 2), ("r3", 30, 3)]


def test_preparing_is_metered_as_the_provider_reports_it() -> None:
    """Rows 4.2 and 4.3: 18 in, 0 out, and its terminal once more while the real one runs."""
    socket = Socket()
    socket.ask(create(generate=False))
    socket.hear(event("created", "warm"), done("warm", 18, 0))
    socket.ask()
    socket.hear(done("warm", 18, 0), event("created", "r"), delta("x"), done("warm", 18, 0), done("r", 20, 5))
    assert socket.bill == [("warm", 18, 0), ("r", 20, 5)]


def test_lanes_do_not_wait_for_each_other() -> None:
    socket = Socket()
    plain, a1, b, a2 = socket.ask(), *(socket.ask(create(stream_id=lane)) for lane in ("a", "b", "a"))
    socket.hear(event("created", "rb", "b"), event("created", "ra", "a"), delta("xx", "a"), delta("y", "b"))
    assert socket.hear(event("created", "rp")) is plain
    assert (a1.response_id, b.response_id, a2.response_id) == ("ra", "rb", None)
    assert socket.hear(done("ra", 1, 1, "a")) is a1
    assert socket.hear(event("created", "ra2", "a")) is a2
    assert b.so_far().delivered_bytes == 1


def test_responses_that_run_at_once_in_one_lane_are_told_apart_by_id() -> None:
    """Row 4.6, where a server knows no lanes."""
    socket = Socket()
    first, second = socket.ask(), socket.ask()
    socket.hear(event("created", "r1"), event("created", "r2"), event("in_progress", "r1"))
    socket.hear(done("r2", 2, 2), done("r1", 1, 1))
    assert socket.ended == [second, first]
    assert socket.bill == [("r2", 2, 2), ("r1", 1, 1)]


def test_a_response_whose_id_changes_is_one_response() -> None:
    """GitHub Copilot's do, in each event (recordings); the last one is what it is remembered by."""
    socket = Socket()
    turn = socket.ask()
    socket.hear(event("created", "r1"), event("in_progress", "r2"), delta("x"), done("r3", 1, 2))
    assert socket.ended == [turn]
    assert turn.response_id == "r3"
    assert socket.hear(done("r3", 1, 2)) is socket.hear(event("in_progress", "r1")) is None


def test_steering_makes_several_responses_of_one_create() -> None:
    socket = Socket()
    asked = socket.ask(create(stream_id="a"))
    steered = event("incomplete", "r1", "a", status="incomplete", incomplete_details={"reason": "steered"},
                    usage={"input_tokens": 5, "output_tokens": 1})  # fmt: skip
    socket.hear(event("created", "r1", "a"), event("steer.accepted", None, "a", steer={"id": "s"}), steered)
    successor = socket.hear(event("created", "r2", "a"))
    assert successor is not None
    assert (successor.unasked, successor.ask, successor.lane) == (True, asked.ask, "a")
    assert socket.conversation.open == [successor]
    socket.hear(done("r2", 7, 3, "a"))
    assert socket.bill == [("r1", 5, 1), ("r2", 7, 3)]
    assert asked.finish().finish_reason == "steered"


@pytest.mark.parametrize(
    ("then", "successor"),
    [
        ([], True),
        ([event("steer.failed", steer={"id": "s"})], False),
        ([event("steer.pending", steer={"id": "s"})], False),
        ([event("steer.failed", steer={"id": "other"})], True),
        ([event("steer.failed", steer={})], True),
        ([event("steer.accepted", steer={"id": "t"}), event("steer.failed", steer={"id": "s"})], True),
    ],
)
def test_a_successor_goes_before_what_waits_in_its_lane(then: list[bytes], *, successor: bool) -> None:
    """Unless the steering failed, or waits for the client's own `response.create`."""
    socket = Socket()
    socket.ask()
    socket.hear(event("created", "r1"), event("steer.accepted", steer={"id": "s"}))
    waiting = socket.ask(create(input="other"))
    socket.hear(*then, done("r1", 1, 1))
    following = socket.hear(event("created", "r2"))
    assert following is not None
    assert (following is not waiting, following.unasked) == (successor, successor)
    assert socket.hear(done("r2", 2, 2), event("created", "r3")) is not following


def test_a_response_out_of_nowhere_is_billed_too() -> None:
    socket = Socket()
    turn = socket.hear(done("r1", 3, 4))
    assert turn is not None
    assert (turn.unasked, turn.ask) == (True, Ask(stream=True))
    assert socket.bill == [("r1", 3, 4)]


def test_a_response_that_was_never_announced_ends_what_was_asked() -> None:
    socket = Socket()
    turn = socket.ask()
    assert socket.hear(done("r1", 3, 4)) is turn
    assert socket.ended == [turn]


def test_an_error_instead_of_an_answer() -> None:
    socket = Socket()
    first, second = socket.ask(), socket.ask()
    assert socket.hear(failed("previous_response_not_found")) is first
    reading = first.finish()
    assert (first.began, first.ended) == (False, True)
    assert (reading.basis, reading.in_stream_error) == (Basis.NONE, "previous_response_not_found: no")
    assert reading.usage.is_empty
    assert socket.conversation.open == [second]
    assert socket.hear(event("created", "r2"), done("r2", 1, 2)) is second
    assert socket.hear(failed("c")) is None


@pytest.mark.parametrize(
    "frame",
    [
        framed({"error": {"code": "c", "message": "no"}}),
        event("failed", error={"code": "c", "message": "no"}),
        framed({"type": "error", "code": "c", "message": "no"}),
    ],
)
def test_an_error_in_another_shape_answers_what_waits(frame: bytes) -> None:
    socket = Socket()
    turn = socket.ask()
    socket.hear(frame)
    assert (socket.ended, turn.finish().in_stream_error) == ([turn], "c: no")


def test_an_error_answers_in_its_lane_only() -> None:
    socket = Socket()
    a, b = (socket.ask(create(stream_id=lane)) for lane in ("a", "b"))
    assert socket.hear(failed("c", "b")) is b
    assert socket.hear(failed("c")) is None
    assert socket.conversation.open == [a]


def test_an_error_while_a_response_runs_counts_only_if_it_does_not_end() -> None:
    """It may be about another frame of the client's; the response that goes on is not the worse for it."""
    socket = Socket()
    turn, waiting = socket.ask(), socket.ask()
    assert socket.hear(event("created", "r1"), delta("abcd"), failed("server_error", status=500)) is turn
    assert socket.conversation.open == [turn, waiting]
    broken = turn.finish()
    assert (broken.in_stream_error, broken.basis, broken.delivered_bytes) == (
        "server_error: no", Basis.ESTIMATED, 4,
    )  # fmt: skip
    assert turn.so_far() == broken
    socket.hear(done("r1", 1, 2))
    assert (turn.finish().in_stream_error, turn.finish().basis) == (None, Basis.REPORTED)


def test_a_failed_response_ends_with_its_error() -> None:
    socket = Socket()
    turn = socket.ask()
    last = event("failed", "r1", status="failed", error={"code": "server_error", "message": "no"})
    assert socket.hear(event("created", "r1"), last) is turn
    assert (turn.began, turn.ended, turn.finish().in_stream_error) == (True, True, "server_error: no")


def test_a_failure_that_names_no_response_ends_the_one_that_runs() -> None:
    """Perplexity's has its error beside the response (facts/wire.md section 2)."""
    socket = Socket()
    turn = socket.ask()
    assert socket.hear(event("created", "r1"), event("failed", error={"code": "c", "message": "no"})) is turn
    assert socket.ended == [turn]


def test_a_socket_that_breaks_leaves_what_was_delivered() -> None:
    """Row 4.7: what its close settles."""
    socket = Socket()
    asked, waiting = socket.ask(create(input="x" * 100)), socket.ask()
    socket.hear(event("created", "r1"), delta("abcdefgh"))
    assert socket.conversation.open == [asked, waiting]
    reading = asked.finish()
    assert (reading.basis, reading.response_id, reading.terminal_evidence) == (Basis.ESTIMATED, "r1", None)
    assert reading.estimate is not None
    assert reading.estimate.output_tokens == 2
    assert waiting.finish() == Reading()


@pytest.mark.parametrize("frame", [delta("x"), event("steer.failed", steer={"id": "s"}), b"{}", b"x", b"[DONE]", b""])
def test_frames_of_no_response(frame: bytes) -> None:
    socket = Socket()
    turn = socket.ask()
    assert socket.hear(frame) is None
    assert not turn.began


def test_what_a_gateway_refuses_was_never_on_the_socket() -> None:
    socket = Socket()
    socket.conversation.ask(create())
    assert socket.conversation.open == []


PIECES = mixtures(
    create(), create(stream_id="a"), event("created", "r1"), done("r1", 1, 2), delta("x"), failed("c"), b'"type":',
    b"{", b"}", b'"response.create"', b",", b'"id":"r1"', b"\xed\xa0\x80", rb'"\ud800"', b"[", b"null", b"NaN",
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
    assert json.loads(socket.conversation.refusal(UpstreamCut("x"), "y"))["status"] == 502
