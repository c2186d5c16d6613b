import pytest

from headgate.dialects.base import Ask
from headgate.dialects.conversation import _REMEMBERED, SocketDialect, Turn, Turns, once, remember
from headgate.dialects.openai_responses import ResponsesTally
from headgate.dialects.registry import all_dialects
from headgate.errors import BadRequest
from headgate.usage import Basis

COMPLETED = b'{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":1,"output_tokens":2}}}'
FAILED = b'{"type":"response.failed","response":{"id":"r","error":{"code":"c","message":"own"}}}'
DELTA = b'{"type":"response.output_text.delta","delta":"12345678"}'


def turn(lane: str = "") -> Turn:
    return Turn(Ask(input_bytes=40), ResponsesTally(), lane=lane)


def test_a_turn_is_estimated_until_it_is_reported() -> None:
    spoken = turn()
    spoken.take(DELTA)
    estimate = spoken.so_far().estimate
    assert estimate is not None
    assert (spoken.so_far().basis, estimate.input_tokens, estimate.output_tokens) == (Basis.ESTIMATED, 10, 2)
    assert spoken.finish() == spoken.so_far()
    spoken.take(COMPLETED)
    spoken.ended = True
    assert (spoken.finish().basis, spoken.finish().estimate) == (Basis.REPORTED, None)


def test_trouble_counts_where_a_turn_does_not_end_and_says_nothing_itself() -> None:
    spoken = turn()
    spoken.trouble = "c: told beside"
    assert spoken.finish().in_stream_error == spoken.so_far().in_stream_error == "c: told beside"
    spoken.take(FAILED)
    assert spoken.finish().in_stream_error == "c: own"
    whole = turn()
    whole.trouble = "c: told beside"
    whole.take(COMPLETED)
    whole.ended = True
    assert whole.finish().in_stream_error is None


def test_turns_by_how_far_they_have_come() -> None:
    turns = Turns()
    first, second, other = turn(), turn(), turn("a")
    for spoken in (first, second, other):
        turns.add(spoken)
    assert (list(turns.waiting()), list(turns.waiting("a")), turns.running()) == ([first, second], [other], None)
    turns.begin(first, "r1")
    assert (list(turns.waiting()), turns.running(), turns.running("a"), turns.known("r1")) == (
        [second], first, None, first,
    )  # fmt: skip
    turns.begin(second, "r2")
    assert turns.running() is second
    turns.end(second, "r3")
    assert (second.ended, second.response_id, turns.running()) == (True, "r3", first)
    assert [turns.has_ended(name) for name in ("r1", "r2", "r3")] == [False, True, True]
    assert turns.known("r2") is None
    turns.end(other)
    assert (other.began, other.ended) == (False, True)
    assert turns.open == [first]


def test_a_turn_that_comes_unasked_is_open_too() -> None:
    turns = Turns()
    spoken = turn()
    turns.begin(spoken, None)
    assert turns.open == [spoken]


def test_what_is_remembered_is_bounded_and_the_latest_stays() -> None:
    kept: dict[str, int] = {}
    for n in range(_REMEMBERED):
        remember(kept, str(n), n)
    remember(kept, "0", -1)
    remember(kept, "new", 1)
    assert len(kept) == _REMEMBERED
    assert kept["0"] == -1
    assert "1" not in kept


def test_a_member_that_counts_is_named_once() -> None:
    once(b'{"a":1,"b":{"a":2}}', "a", "b")
    with pytest.raises(BadRequest) as told:
        once(b'{"b":1,"a":1,"\\u0061":2}', "b", "a")
    assert told.value.param == "a"
    for several in (b'["a", "a"]', b' [{"a":1}]', b"[]", b""):
        with pytest.raises(BadRequest):
            once(several, "a")


def test_which_dialects_are_spoken_over_sockets() -> None:
    spoken = [dialect for dialect in all_dialects() if isinstance(dialect, SocketDialect)]
    assert {dialect.name for dialect in spoken} == {"openai.responses", "openai.realtime"}
    assert all(dialect.conversation() is not dialect.conversation() for dialect in spoken)
