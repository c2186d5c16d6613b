import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects.base import Answer, Ask
from headgate.dialects.ollama import DIALECT
from headgate.errors import (
    Forbidden,
    HeadgateError,
    PaymentRequired,
    RateLimited,
    UpstreamTimeout,
)
from headgate.testing.corpus import Case
from headgate.usage import Basis, Estimate, Usage
from tests.dialects import expected
from tests.dialects.playbook import CUTS, asked, cut_at, document, read, replay, single_bytes

CASES = expected.cases("ollama")
END = {"model": "m", "done": True, "done_reason": "stop", "eval_count": 3}


def lines(*payloads: object) -> bytes:
    return b"".join(json.dumps(payload).encode() + b"\n" for payload in payloads)


def said(text: str) -> dict[str, object]:
    return {"model": "m", "message": {"role": "assistant", "content": text}, "done": False}


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    reading = replay(case, [case.body])
    assert reading.usage == expected.usage(case)
    assert (reading.basis is Basis.REPORTED) == (case.usage_raw is not None)
    assert reading.terminal_evidence == ("done" if case.usage_raw else "document")
    assert not reading.anomalies
    assert replay(case, single_bytes(case.body)) == reading


@given(case=st.sampled_from(CASES), cuts=CUTS)
@settings(max_examples=20, deadline=None)
def test_splits_do_not_matter(case: Case, cuts: list[int]) -> None:
    assert replay(case, cut_at(case.body, cuts)) == replay(case, [case.body])


def test_a_count_that_is_absent_is_unknown() -> None:
    """facts/stream_cases.md 7.11."""
    reading = read("ollama", [lines(said("hi"), END)])
    assert reading.usage == Usage(output_tokens=3)
    assert (reading.served_model, reading.finish_reason) == ("m", "stop")


def test_cached_input_is_part_of_the_input() -> None:
    """facts/stream_cases.md 7.10."""
    reading = read("ollama", [lines(END | {"prompt_eval_count": 20, "prompt_eval_cached_count": 12})])
    assert reading.usage == Usage(input_tokens=20, cache_read_tokens=12, output_tokens=3)


def test_an_error_without_a_line_end_breaks_a_stream_off() -> None:
    """facts/stream_cases.md 7.12."""
    reading = read("ollama", [lines(said("five!")) + b'{"error":"out of memory"}'], ask=Ask(input_bytes=8))
    assert reading.in_stream_error == "out of memory"
    assert (reading.basis, reading.estimate) == (Basis.ESTIMATED, Estimate(2, 2))


def test_half_a_line_is_no_delivered_text_and_half_a_document_may_be() -> None:
    body = lines(said("five!"), said("five!"))
    half = len(body) // 2
    for cut in range(half, len(body) - 2):
        assert read("ollama", [body[:cut]], ended=False).delivered_bytes == 5, cut
    assert read("ollama", [b'{"message": {"content": "fi'], ended=False).delivered_bytes == 27


def test_a_generated_text() -> None:
    body = lines({"model": "m", "response": "ab", "thinking": "cd", "done": False})
    assert read("ollama", [body], ended=False).delivered_bytes == 4


def test_a_call_is_delivered_text() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 2}}}
    body = b'{"message":{"content":"","tool_calls":[' + json.dumps(call).encode() + b']},"done":false}\n'
    assert read("ollama", [body], ended=False).delivered_bytes == len("f") + len('{"a": 2}')


def test_embeddings_have_input_alone() -> None:
    body = document({"model": "e", "embeddings": [[0.1]], "prompt_eval_count": 4})
    reading = read("ollama", [body])
    assert reading.usage == Usage(input_tokens=4)
    assert reading.terminal_evidence == "document"


def test_a_document_laid_out_over_lines_is_read() -> None:
    body = json.dumps(END | {"prompt_eval_count": 1}, indent=1).encode()
    assert read("ollama", [body]).usage == Usage(input_tokens=1, output_tokens=3)


def test_an_ask_streams_unless_it_says_that_it_does_not() -> None:
    for given_, stream in (({}, True), ({"stream": None}, True), ({"stream": True}, True), ({"stream": False}, False)):
        body = json.dumps({"model": "m", "options": {"num_predict": 5}, **given_}).encode()
        assert DIALECT.read_ask(body, ()) == Ask(model="m", stream=stream, output_cap=5, input_bytes=len(body))
    assert DIALECT.read_ask(b'{"model":"m","options":1}', ()).output_cap is None


@pytest.mark.parametrize("error", [PaymentRequired("no"), Forbidden("no"), RateLimited("no"), UpstreamTimeout("no")])
def test_errors_in_its_own_shape(error: HeadgateError) -> None:
    assert json.loads(DIALECT.error_body(error, "ex_1")) == {"error": "no"}
    assert read("ollama", [DIALECT.error_frame(error, "ex_1")]).in_stream_error == "no"


def test_lines_under_the_name_of_a_document_are_read() -> None:
    """facts/stream_cases.md 7.13."""
    meter = DIALECT.meter(Answer(200, "application/json"))
    meter.feed(lines(said("hi"), END | {"prompt_eval_count": 2}))
    reading = meter.finish(ended=True)
    assert (reading.usage, reading.anomalies) == (Usage(input_tokens=2, output_tokens=3), {})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"options": {"num_predict": -1}}, {}),  # without end
        ({"options": {"num_predict": 5}, "tools": [{"type": "function"}]}, {"output_cap": 5, "has_tools": True}),
        ({"input": ["a", "b"]}, {"output_cap": 0, "prompts": 2}),
        ({"prompt": "?", "images": ["QUJD", "QUJD"]}, {"attachments": 2, "attachment_tokens": 50_000}),
    ],
)
def test_what_bounds_a_request(body: dict[str, Any], told: dict[str, Any]) -> None:
    assert asked("ollama", {"stream": False} | body) == told


def test_a_messages_pictures_are_no_text() -> None:
    body = {"messages": [{"role": "user", "content": "?", "images": ["QUJD"]}], "stream": False}
    size = len(json.dumps(body))
    assert asked("ollama", body) == {"attachments": 1, "attachment_tokens": 50_000, "prompt_bytes": size - 4}
