import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects.base import Answer, Ask
from headgate.dialects.cohere import DIALECT
from headgate.errors import (
    BadRequest,
    Forbidden,
    HeadgateError,
    PaymentRequired,
    RateLimited,
    UpstreamTimeout,
)
from headgate.testing.corpus import Case
from headgate.usage import Basis, Estimate, Usage
from tests.dialects import expected
from tests.dialects.playbook import CUTS, asked, cut_at, data, document, events, read, replay, single_bytes

CASES = expected.cases("cohere")


def lines(*payloads: object) -> bytes:
    return b"".join(json.dumps(payload).encode() + b"\n" for payload in payloads)


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    reading = replay(case, [case.body])
    assert reading.usage == expected.usage(case)
    assert (reading.basis is Basis.REPORTED) == (case.usage_raw is not None)
    assert reading.terminal_evidence == {"sse": "message-end", "ndjson": "stream-end", "json": "document"}[case.framing]
    assert reading.response_id
    assert not reading.anomalies
    assert replay(case, single_bytes(case.body)) == reading


@given(case=st.sampled_from(CASES), cuts=CUTS)
@settings(max_examples=40, deadline=None)
def test_splits_do_not_matter(case: Case, cuts: list[int]) -> None:
    assert replay(case, cut_at(case.body, cuts)) == replay(case, [case.body])


def test_an_empty_usage_is_none_and_the_failure_is_told() -> None:
    """A recording ends so: facts/stream_cases.md 2.17's counterpart, `usage: {}`."""
    end = {"finish_reason": "ERROR", "usage": {}, "error": "invalid tool", "error_type": "INVALID_TOOL_GENERATION"}
    reading = read(
        "cohere",
        [
            events(
                {"type": "message-start", "id": "c-1"},
                {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}},
                {"type": "message-end", "delta": end},
            )
        ],
        ask=Ask(input_bytes=40),
    )
    assert reading.usage == Usage()
    assert reading.in_stream_error == "INVALID_TOOL_GENERATION: invalid tool"
    assert (reading.basis, reading.estimate) == (Basis.ESTIMATED, Estimate(input_tokens=10, output_tokens=2))


def test_units_are_kept_as_sent_beside_tokens() -> None:
    usage = {
        "billed_units": {"input_tokens": 5.0, "output_tokens": 10, "search_units": 0.5},
        "tokens": {"input_tokens": 15.0, "output_tokens": 10.0},
    }
    (text,) = [json.dumps({"id": "c", "usage": usage, "message": {"content": []}}).encode()]
    reading = read("cohere", [text])
    assert reading.usage == Usage(
        input_tokens=15,
        output_tokens=10,
        billed_units={"input_tokens": Decimal(5), "output_tokens": 10, "search_units": Decimal("0.5")},
    )


def test_a_rerank_bills_searches_and_reports_no_tokens() -> None:
    body = document({"id": "r", "results": [], "meta": {"billed_units": {"search_units": 1}}})
    assert read("cohere", [body]).usage == Usage(billed_units={"search_units": 1})


def test_images_stand_beside_the_input() -> None:
    tokens = {"input_tokens": 501, "image_tokens": 518, "output_tokens": 65}
    usage = read("cohere", [document({"usage": {"tokens": tokens}})]).usage
    assert usage == Usage(input_tokens=1019, input_image_tokens=518, output_tokens=65)


def test_what_a_cut_stream_delivered() -> None:
    text = {"type": "content-delta", "delta": {"message": {"content": {"text": "Grüß"}}}}
    thought = {"type": "content-delta", "delta": {"message": {"content": {"thinking": "hm"}}}}
    call = {"type": "tool-call-delta", "delta": {"message": {"tool_calls": {"function": {"arguments": "{}"}}}}}
    reading = read("cohere", [events(text, thought, call)], ended=False)
    assert (reading.delivered_bytes, reading.terminal_evidence) == (10, None)


def test_what_a_cut_v1_stream_delivered() -> None:
    said = lines(
        {"event_type": "stream-start", "generation_id": "g-1"},
        {"event_type": "text-generation", "text": "four"},
        {"event_type": "tool-calls-chunk", "tool_call_delta": {"name": "f", "parameters": "{}"}},
    )
    reading = read("cohere", [said + b'{"event_type":"text-ge'], ended=False)
    assert reading.response_id == "g-1"
    assert reading.delivered_bytes == 7  # half a line is no text
    assert reading.anomalies == {"not_json": 1}


def test_half_an_event_is_no_delivered_text_and_half_a_document_may_be() -> None:
    said = {"type": "content-delta", "delta": {"message": {"content": {"text": "four"}}}}
    whole = events(said)
    for cut in range(1, len(whole) - 5):
        assert read("cohere", [whole + whole[:cut]], ended=False).delivered_bytes == 4, cut
    half = b'{"id": "a", "message": {"content": [{"text": "some'
    assert read("cohere", [half], ended=False).delivered_bytes == len(half)


def test_the_answer_that_ends_a_v1_stream_is_not_delivered_twice() -> None:
    end = {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": {"text": "four", "meta": {}}}
    reading = read("cohere", [lines({"event_type": "text-generation", "text": "four"}, end)])
    assert (reading.delivered_bytes, reading.finish_reason) == (4, "COMPLETE")


def test_what_is_no_unit_is_noted() -> None:
    units = {"input_tokens": "many", "output_tokens": -1, "searches": True, "classifications": 3, "images": None}
    reading = read("cohere", [document({"meta": {"billed_units": units}})])
    assert reading.usage.billed_units == {"classifications": 3}
    assert reading.anomalies == {"not_an_amount": 3}


def test_an_error_document_is_told() -> None:
    assert read("cohere", [document({"id": "e", "message": "no"})], status=404).in_stream_error == "no"


def test_done_is_no_event() -> None:
    assert not read("cohere", [data(b"[DONE]")]).anomalies


def test_what_an_ask_takes_from_a_request() -> None:
    body = json.dumps({"model": "command-a", "stream": True, "max_tokens": 7}).encode()
    assert DIALECT.read_ask(body, ()) == Ask(model="command-a", stream=True, output_cap=7, input_bytes=len(body))
    with pytest.raises(BadRequest):
        DIALECT.read_ask(b'{"model":"a","model":"b"}', ())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PaymentRequired("no"), "INSUFFICIENT_CREDIT"),
        (Forbidden("no"), "NOT_ALLOWED"),
        (RateLimited("no"), "RATE_LIMITED"),
        (UpstreamTimeout("no"), "UPSTREAM_TIMEOUT"),
    ],
)
def test_errors_in_its_own_shape(error: HeadgateError, kind: str) -> None:
    assert json.loads(DIALECT.error_body(error, "ex_1")) == {"id": "ex_1", "message": "no"}
    assert read("cohere", [DIALECT.error_frame(error, "ex_1")]).in_stream_error == f"{kind}: no"
    assert read("cohere", [DIALECT.error_piece(error, "ex_1") + b"\n"]).in_stream_error == "no"


def test_lines_under_the_name_of_a_document_are_read() -> None:
    """facts/stream_cases.md 7.13."""
    meter = DIALECT.meter(Answer(200, "application/json"))
    usage = {"tokens": {"input_tokens": 2, "output_tokens": 3}}
    meter.feed(lines({"event_type": "text-generation"}, {"event_type": "stream-end", "response": {"meta": usage}}))
    reading = meter.finish(ended=True)
    assert (reading.usage, reading.anomalies) == (Usage(input_tokens=2, output_tokens=3), {})
    assert reading.terminal_evidence == "stream-end"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}, {"output_cap": 5}),
        ({"messages": [], "thinking": {"token_budget": 7}}, {"thinking_budget": 7}),
        ({"messages": [], "tools": [{"type": "function"}]}, {"has_tools": True}),
        ({"message": "Hi", "conversation_id": "c"}, {"stored_context": True}),
        ({"message": "Hi", "connectors": [{"id": "web"}]}, {"stored_context": True, "unbounded": "server_tools"}),
        ({"texts": ["a", "b"]}, {"output_cap": 0, "prompts": 2}),
        ({"images": ["data:"]}, {"output_cap": 0, "attachments": 1, "attachment_tokens": 50_000}),
        (
            {"inputs": [{"content": [{"type": "image_url", "image_url": {"url": "u"}}]}]},
            {"output_cap": 0, "attachments": 1, "attachment_tokens": 50_000},
        ),
    ],
)  # fmt: skip
def test_what_bounds_a_request(body: dict[str, Any], told: dict[str, Any]) -> None:
    assert asked("cohere", body) == told


def test_a_rerank_reads_its_query_with_each_document() -> None:
    body = json.dumps({"query": "0123456789", "documents": ["a", "b", "c"]}).encode()
    assert asked("cohere", body) == {"output_cap": 0, "prompts": 3, "prompt_bytes": len(body) + 2 * 12}
