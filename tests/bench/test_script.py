"""What is asked, and what must come back: the same at the upstream, in the load, and to who reads the answer."""

import json
from typing import Any

import httptools
import pytest

from bench import script
from bench import upstream as scripted
from bench.apis import WIRES, Meaning
from bench.apis.base import MARK, events
from bench.script import Script

APIS = pytest.mark.parametrize("api", sorted(WIRES))


@APIS
@pytest.mark.parametrize("asked", [Script(), Script(10, 50), Script(140, 20, 300)])
@pytest.mark.parametrize("ask_usage", [False, True])
def test_an_upstream_reads_back_what_was_asked(api: str, asked: Script, *, ask_usage: bool) -> None:
    asked = Script(asked.chunks, asked.rate, asked.first_ms, api)
    body = script.request_body(asked, ask_usage=ask_usage)
    assert script.script_of(body) == (asked, ask_usage)
    assert json.loads(body).get("stream", False) is bool(asked.chunks)


@pytest.mark.parametrize(("kilobytes", "least", "most"), [(1, 900, 1_200), (100, 100_000, 102_400)])
@APIS
def test_a_prompt_has_its_size(api: str, kilobytes: int, least: int, most: int) -> None:
    assert least <= len(script.request_body(Script(api=api, prompt_kb=kilobytes))) <= most


def test_a_model_of_another_kind_names_no_script() -> None:
    with pytest.raises(ValueError, match="names no script"):
        script.script_of(b'{"model": "gpt-4o"}')


def test_a_request_is_http_with_the_key_and_what_a_gateway_wants_beside_it() -> None:
    request = script.request(Script(api="messages"), "127.0.0.1:9", b"x-more: 1\r\n")
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:9\r\n")
    assert f"x-api-key: {script.KEY}\r\n".encode() in head
    assert head.endswith(b"x-more: 1")
    assert f"content-length: {len(body)}\r\n".encode() in head


@APIS
def test_a_document_has_usage_and_but_for_responses_one_kilobyte(api: str) -> None:
    body = WIRES[api].document()
    assert len(body) == 1024 if api != "responses" else 1024 < len(body) < 2048
    assert WIRES[api].read_document(body).output_tokens == 170


@APIS
def test_all_content_frames_have_one_size_and_differ_and_bear_the_mark(api: str) -> None:
    frames = script.frames(api, 1000)
    assert {len(frame) for frame in frames} == {Script(api=api).frame_size}
    assert len(set(frames)) == 1000
    assert {frame.count(MARK) for frame in frames} == {1}


@APIS
@pytest.mark.parametrize("chunks", [0, 3])
def test_what_must_come_back_reads_as_what_was_said(api: str, chunks: int) -> None:
    meaning = script.expected_meaning(Script(chunks, 10, api=api))
    assert meaning.whole
    assert meaning.text == (" token000000 token000001 token000002" if chunks else "w" * len(meaning.text))
    assert meaning.output_tokens == {("chat", 3): None}.get((api, chunks), chunks or 170)


def test_the_usage_frame_comes_after_the_finish_and_only_when_asked_for() -> None:
    asked = [_event(data) for data in events(script.expected_body(Script(3, 10), ask_usage=True))]
    unasked = [_event(data) for data in events(script.expected_body(Script(3, 10)))]
    usage = asked.pop(-2)
    assert usage is not None
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3
    assert asked == unasked
    assert asked[-1] is None
    assert asked[-2] is not None
    assert asked[-2]["choices"][0]["finish_reason"] == "stop"


def test_the_numbers_of_a_response_have_no_gap() -> None:
    told = [json.loads(data) for data in events(script.expected_body(Script(12, 10, api="responses")))]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert told[-1]["response"]["output"][0]["content"][0]["text"].count("token") == 12


def test_events_are_read_however_their_lines_end() -> None:
    assert list(events(b"event: a\r\ndata: 1\r\n\r\ndata:2\n\n: ping\n\n")) == [b"1", b"2"]


@APIS
def test_a_changed_answer_means_something_else(api: str) -> None:
    asked = Script(5, 10, api=api)
    body, wire = script.expected_body(asked), WIRES[api]
    assert script.meaning(asked, body.replace(b" token000003", b" token000004", 1)) != script.expected_meaning(asked)
    shorter = Meaning(" token000000", whole=False, output_tokens=None)
    assert script.meaning(asked, wire.opening() + wire.content(0)) == shorter


class TestUpstream:
    @APIS
    @pytest.mark.parametrize("usage", [False, True])
    def test_a_stream_is_an_http_answer_with_the_expected_body(self, api: str, *, usage: bool) -> None:
        asked = Script(5, 10, api=api)
        received = _received(b"".join(scripted.stream_writes(asked, usage=usage)))
        assert received == script.expected_body(asked, ask_usage=usage)

    @APIS
    def test_a_document_is_too(self, api: str) -> None:
        asked = Script(api=api)
        assert _received(scripted.document_write(asked)) == script.expected_body(asked)

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            (b"/v1/chat/completions", script.request_body(Script(api="messages"))),
            (b"/v1/messages", script.request_body(Script())),
            (b"/v1/chat/completions", b'{"model": "gpt-4o"}'),
            (b"/v1/chat/completions", b'{"model": null}'),
            (b"/", b""),
        ],
    )
    def test_what_is_not_asked_as_scripted_is_refused(self, path: bytes, body: bytes) -> None:
        assert scripted.answer(path, body) == (Script(), (scripted.REFUSAL,))
        assert _received(scripted.REFUSAL) == b"no script\n"


def _event(data: bytes) -> dict[str, Any] | None:
    return None if data == b"[DONE]" else json.loads(data)


def _received(answer: bytes) -> bytes:
    body = bytearray()

    class Receiver:
        whole = False

        def on_body(self, piece: bytes) -> None:
            body.extend(piece)

        def on_message_complete(self) -> None:
            self.whole = True

    receiver = Receiver()
    httptools.HttpResponseParser(receiver).feed_data(answer)
    assert receiver.whole
    return bytes(body)
