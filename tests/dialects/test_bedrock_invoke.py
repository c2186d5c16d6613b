import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects import registry
from headgate.dialects.base import Answer, Ask
from headgate.dialects.bedrock_invoke import DIALECT
from headgate.errors import BadRequest
from headgate.testing.corpus import Case
from headgate.usage import Basis, Reading, Usage
from tests.dialects import expected
from tests.dialects.playbook import CUTS, asked, aws_event, aws_exception, cut_at, document, replay, single_bytes

CASES = expected.cases("bedrock.invoke", "bedrock.invoke-with-response-stream")

PLAIN = Answer(200)
METRICS = {"inputTokenCount": 5, "outputTokenCount": 10, "invocationLatency": 606, "firstByteLatency": 605}


def chunk(native: dict[str, Any] | bytes, metrics: dict[str, Any] | None = None) -> bytes:
    if isinstance(native, dict):
        native = json.dumps(native | ({"amazon-bedrock-invocationMetrics": metrics} if metrics else {})).encode()
    return aws_event("chunk", {"bytes": base64.b64encode(native).decode(), "p": "abcd"})


def said(*chunks: bytes, ended: bool = True, answer: Answer = PLAIN) -> Reading:
    meter = DIALECT.meter(answer)
    for piece in chunks:
        meter.feed(piece)
    return meter.finish(ended=ended)


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    reading = replay(case, [case.body])
    assert reading.usage == expected.usage(case)
    assert (reading.basis is Basis.REPORTED) == (bool(case.usage_raw or case.usage_headers))
    differs = {"multi_usage", "tool_call"} <= case.tags  # Claude's metrics leave out what a tool call costs
    assert reading.anomalies == ({"invocation_metrics_differ": 1} if differs else {})


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_the_same_byte_by_byte_and_as_it_arrived(case: Case) -> None:
    whole = replay(case, [case.body])
    assert replay(case, single_bytes(case.body)) == whole
    assert replay(case, case.chunks()) == whole


MESSAGE = {"id": "m1", "model": "claude", "usage": {"input_tokens": 702, "cache_read_input_tokens": 8}}
CLAUDE = [
    chunk({"type": "message_start", "message": MESSAGE}),
    chunk({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Of"}}),
    chunk({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 130}}),
    chunk({"type": "message_stop"}, METRICS | {"inputTokenCount": 702, "outputTokenCount": 98}),
]


def test_the_models_own_usage_wins_over_the_metrics_7_2() -> None:
    reading = said(*CLAUDE)
    assert reading.usage == Usage(input_tokens=710, cache_read_tokens=8, output_tokens=130)
    assert (reading.basis, reading.terminal_evidence) == (Basis.REPORTED, "message_stop")
    assert reading.anomalies == {"invocation_metrics_differ": 1}
    assert (reading.served_model, reading.response_id, reading.finish_reason) == ("claude", "m1", "end_turn")


@given(CUTS)
def test_a_stream_reads_the_same_at_any_split(cuts: list[int]) -> None:
    assert said(*cut_at(b"".join(CLAUDE), cuts)) == said(*CLAUDE)


def test_the_metrics_count_where_the_model_says_nothing_1_15() -> None:
    kimi = [
        chunk({"id": "c1", "model": "moonshot.kimi", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}),
        chunk({"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, METRICS),
    ]
    reading = said(*kimi)
    assert reading.usage == Usage(input_tokens=5, output_tokens=10)
    assert (reading.basis, reading.terminal_evidence) == (Basis.REPORTED, "invocationMetrics")
    assert said(kimi[0]).basis is Basis.ESTIMATED


def test_coheres_events_are_not_taken_for_claudes() -> None:
    cohere = [chunk({"type": "message-start", "id": "c1"}), chunk({"type": "message-end"}, METRICS)]
    reading = said(*cohere)
    assert (reading.usage, reading.anomalies) == (Usage(input_tokens=5, output_tokens=10), {})


def test_the_metrics_leave_the_cache_out_of_the_input() -> None:
    cached = METRICS | {"cacheReadInputTokenCount": 100, "cacheWriteInputTokenCount": 7}
    read_as = Usage(input_tokens=112, cache_read_tokens=100, cache_write_tokens=7, output_tokens=10)
    assert said(chunk({"outputs": [{"text": "a", "stop_reason": "stop"}]}, cached)).usage == read_as


def test_what_a_cut_stream_is_worth() -> None:
    reading = said(*CLAUDE[:2], ended=False)
    assert (reading.basis, reading.usage.input_tokens, reading.usage.output_tokens) == (Basis.PARTIAL, 710, None)
    assert reading.terminal_evidence is None


@pytest.mark.parametrize("name", ["throttlingException", "modelTimeoutException"])
def test_exceptions_within_a_stream_5_10_7_5(name: str) -> None:
    reading = said(CLAUDE[0], aws_exception(name, {"message": "Wait"}))
    assert reading.in_stream_error == f"{name}: Wait"
    assert (reading.basis, reading.usage.input_tokens) == (Basis.PARTIAL, 710)


def test_the_models_own_error_events() -> None:
    told = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert said(CLAUDE[0], chunk(told)).in_stream_error == "overloaded_error: Overloaded"


NOVA = {"metadata": {"usage": {"inputTokens": 12, "outputTokens": 13, "cacheReadInputTokenCount": 100}}}


def test_novas_events_are_converses() -> None:
    stream = [
        chunk({"messageStart": {"role": "assistant"}}),
        chunk({"contentBlockDelta": {"delta": {"text": "The"}, "contentBlockIndex": 0}}),
        chunk({"messageStop": {"stopReason": "end_turn"}}),
        chunk(NOVA, METRICS | {"inputTokenCount": 12, "outputTokenCount": 13, "cacheReadInputTokenCount": 100}),
    ]
    reading = said(*stream)
    assert reading.usage == Usage(input_tokens=112, cache_read_tokens=100, output_tokens=13)
    assert (reading.finish_reason, reading.delivered_bytes, reading.anomalies) == ("end_turn", 3, {})


@pytest.mark.parametrize(
    ("body", "usage", "finish", "delivered"),
    [
        (
            {"inputTextTokenCount": 6.0, "results": [
                {"tokenCount": 10, "outputText": "abc", "completionReason": "FINISH"},
                {"tokenCount": 2, "outputText": "d", "completionReason": "LENGTH"}]},
            Usage(input_tokens=6, output_tokens=12), "LENGTH", 4,
        ),
        (
            {"generation": "abc", "prompt_token_count": 5, "generation_token_count": 10, "stop_reason": "length"},
            Usage(input_tokens=5, output_tokens=10), "length", 3,
        ),
        ({"text": "abc", "finish_reason": "COMPLETE", "chat_history": [{"message": "x"}]}, Usage(), "COMPLETE", 3),
        ({"generations": [{"text": "abc", "finish_reason": "MAX_TOKENS"}]}, Usage(), "MAX_TOKENS", 3),
        ({"outputs": [{"text": "abc", "stop_reason": "stop"}]}, Usage(), "stop", 3),
        ({"type": "completion", "completion": "abc", "stop_reason": "max_tokens"}, Usage(), "max_tokens", 3),
        ({"embedding": [0.1], "inputTextTokenCount": 5}, Usage(input_tokens=5), None, 0),
        (
            {"output": {"message": {"content": [{"text": "abc"}]}}, "stopReason": "end_turn",
             "usage": {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokenCount": 4}},
            Usage(input_tokens=5, cache_read_tokens=4, output_tokens=2), "end_turn", 3,
        ),
        (
            {"choices": [{"index": 0, "message": {"content": "abc"}, "finish_reason": "stop"}],
             "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}},
            Usage(input_tokens=3, output_tokens=4), "stop", 3,
        ),
        (
            {"type": "message", "content": [{"type": "text", "text": "abc"}], "stop_reason": "end_turn",
             "usage": {"input_tokens": 3, "output_tokens": 4}},
            Usage(input_tokens=3, output_tokens=4), "end_turn", 3,
        ),
    ],
    ids=["titan", "llama", "command-r", "command", "mistral", "claude 2", "embedding", "nova", "gpt-oss", "claude"],
)  # fmt: skip
def test_native_bodies(body: dict[str, Any], usage: Usage, finish: str | None, delivered: int) -> None:
    reading = said(document(body))
    assert (reading.usage, reading.finish_reason, reading.delivered_bytes) == (usage, finish, delivered)
    assert reading.terminal_evidence == "document"


def test_a_count_that_is_none_is_unknown_and_noted() -> None:
    reading = said(document({"inputTextTokenCount": 6, "results": [{"tokenCount": 1}, {"tokenCount": -1}]}))
    assert reading.usage == Usage(input_tokens=6)
    assert reading.anomalies == {"not_a_count.tokenCount": 1}


def test_llamas_running_counts_are_never_summed() -> None:
    stream = [
        chunk({"generation": "a", "prompt_token_count": 5, "generation_token_count": 1, "stop_reason": None}),
        chunk({"generation": "b", "prompt_token_count": None, "generation_token_count": 2, "stop_reason": "stop"}),
    ]
    assert said(*stream).usage == Usage(input_tokens=5, output_tokens=2)


HEADERS = [
    (b"x-amzn-requestid", b"r-1"),
    (b"x-amzn-bedrock-input-token-count", b"3"),
    (b"x-amzn-bedrock-output-token-count", b"44"),
    (b"x-amzn-bedrock-cache-read-input-token-count", b"9511"),
    (b"x-amzn-bedrock-service-tier", b"priority"),
]


def test_the_heads_counts_stand_in_for_a_body_without() -> None:
    reading = said(document({"outputs": [{"text": "abc"}]}), answer=Answer(200, headers=HEADERS))
    assert reading.usage == Usage(input_tokens=9514, cache_read_tokens=9511, output_tokens=44)
    assert (reading.basis, reading.response_id, reading.service_tier) == (Basis.REPORTED, "r-1", "priority")


def test_the_bodys_counts_win_over_the_heads() -> None:
    body = document({"generation": "a", "prompt_token_count": 5, "generation_token_count": 10})
    assert said(body, answer=Answer(200, headers=HEADERS)).usage == Usage(input_tokens=5, output_tokens=10)


def test_a_refusal() -> None:
    answer = Answer(400, headers=[(b"x-amzn-errortype", b"ValidationException:http://internal/")])
    reading = said(document({"message": "Malformed input request"}), answer=answer)
    assert reading.in_stream_error == "ValidationException: Malformed input request"
    assert reading.basis is Basis.NONE


@pytest.mark.parametrize(
    "payload",
    [b"{", b"{}", b'{"bytes": 3}', b'{"bytes": "@"}', b'{"bytes": "\\u00e9"}', b'{"bytes": "\\ud800"}'],
)
def test_unreadable_chunks_are_noted(payload: bytes) -> None:
    assert said(aws_event("chunk", payload), *CLAUDE).usage.output_tokens == 130
    assert said(aws_event("chunk", payload)).anomalies == {"unreadable_chunk": 1}


@given(st.lists(st.sampled_from([*CLAUDE, chunk(NOVA), chunk(b"[1"), chunk(b'{"messageStop":[}'), chunk({})])))
def test_any_mixture_is_read(frames: list[bytes]) -> None:
    assert said(*frames) == said(b"".join(frames))


KEYS = st.sampled_from([
    "type", "choices", "output", "message", "usage", "delta", "messageStart", "contentBlockDelta", "metadata",
    "results", "generation", "prompt_token_count", "inputTextTokenCount", "tokenCount", "outputs", "text", "outputText",
    "amazon-bedrock-invocationMetrics", "inputTokenCount", "toolUse", "input", "cacheDetails", "inputTokens",
])  # fmt: skip
NATIVE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(NATIVE | st.binary(max_size=20), max_size=3))
def test_whatever_a_model_says_is_read(said_by_a_model: list[Any]) -> None:
    natives = [told if isinstance(told, bytes) else json.dumps(told).encode() for told in said_by_a_model]
    said(*map(chunk, natives))
    for native in natives:
        said(native)


def test_a_document_that_breaks_off() -> None:
    reading = said(b'{"outputs": [')
    assert (reading.anomalies, reading.delivered_bytes) == ({"not_json": 1}, 13)


@pytest.mark.parametrize("name", ["bedrock.invoke", "bedrock.invoke-with-response-stream"])
def test_it_is_known_by_the_names_of_its_operations(name: str) -> None:
    assert registry.by_name(name) is DIALECT


@pytest.mark.parametrize(("path", "streams"), [("invoke", False), ("invoke-with-response-stream", True)])
def test_operations(path: str, streams: bool) -> None:
    match = registry.recognise("POST", f"/model/us.amazon.nova-lite-v1%3A0/{path}")
    assert match is not None
    assert (match.dialect, match.operation.streams) == (DIALECT, streams)


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": 7, "anthropic_version": "bedrock-2023-05-31"},
        {"max_tokens_to_sample": 7},
        {"max_gen_len": 7},
        {"max_completion_tokens": 7},
        {"textGenerationConfig": {"maxTokenCount": 7}},
        {"inferenceConfig": {"maxTokens": 7}},
        {"inferenceConfig": {"max_new_tokens": 7}},
        {"inferenceConfig": [], "textGenerationConfig": None, "max_tokens": 7},
    ],
)
def test_every_models_output_cap(body: dict[str, Any]) -> None:
    sent = document(body)
    assert DIALECT.read_ask(sent, []) == Ask(output_cap=7, input_bytes=len(sent))


def test_a_body_that_is_no_object() -> None:
    with pytest.raises(BadRequest):
        DIALECT.read_ask(b"abc", [])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"prompt": "Hi"}, {}),
        ({"max_tokens": 5, "max_gen_len": -1}, {}),
        ({"max_tokens": 5, "n": 2}, {"output_cap": 5, "choices": 2}),
        ({"imageGenerationConfig": {"numberOfImages": 3}}, {"choices": 3, "unbounded": "images"}),
        ({"tools": [{"name": "mine"}]}, {"has_tools": True}),
        (
            {"tools": [{"type": "web_search_20260209"}]},
            {"has_tools": True, "stored_context": True, "unbounded": "server_tools"},
        ),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, {"unbounded": "compaction"}),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]}]},
            {"attachments": 1, "attachment_tokens": 16_384},
        ),
    ],
)
def test_what_bounds_a_request(body: dict[str, Any], told: dict[str, Any]) -> None:
    assert asked("bedrock.invoke", body) == told


def test_a_tier_is_asked_for_in_a_header() -> None:
    assert asked("bedrock.invoke", {}, [(b"x-amzn-bedrock-service-tier", b"flex")]) == {"service_tier": "flex"}


def test_optimized_latency_is_a_term_beside_the_models_own() -> None:
    headers = [(b"x-amzn-bedrock-performanceconfig-latency", b"optimized")]
    meter = DIALECT.meter(Answer(200, "application/json", headers=headers))
    meter.feed(document({"type": "message", "usage": {"input_tokens": 1, "output_tokens": 2, "speed": "standard"}}))
    assert meter.finish(ended=True).terms == {"speed": "standard", "latency": "optimized"}
