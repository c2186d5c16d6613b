import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.base import Answer, Ask
from headgate.dialects.google_generate import DIALECT
from headgate.dialects.google_wire import Events
from headgate.errors import (
    BadRequest,
    Busy,
    Forbidden,
    PaymentRequired,
    RateLimited,
    TooLarge,
    UnknownModel,
    Unpriced,
    UpstreamCut,
)
from headgate.testing.corpus import Case
from headgate.testing.splits import every_split
from headgate.usage import Basis, Reading, Usage
from tests.dialects import expected
from tests.dialects.playbook import CUTS, asked, cut_at, data, document, single_bytes

CASES = expected.cases("google.generate_content")
VERBATIM_STREAMS = [case for case in CASES if case.stream and case.verbatim]
FIELDS = {
    "prompt": "promptTokenCount",
    "tool": "toolUsePromptTokenCount",
    "made": "candidatesTokenCount",
    "thoughts": "thoughtsTokenCount",
    "cached": "cachedContentTokenCount",
    "total": "totalTokenCount",
}


def read(*chunks: bytes, ended: bool = True, status: int = 200, headers: Any = ()) -> Reading:
    """What the dialect makes of a body, framing and all."""
    meter = DIALECT.meter(Answer(status, headers=headers))
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish(ended=ended)


def says(words: str | None = None, finish: Any = None, more: Any = None, **counts: int) -> dict[str, Any]:
    """A response: some text, an end, a usage."""
    candidate: dict[str, Any] = {} if words is None else {"content": {"parts": [{"text": words}], "role": "model"}}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {FIELDS[name]: n for name, n in counts.items()}
    return {"candidates": [candidate], **({"usageMetadata": usage} if usage else {}), **(more or {})}


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    reading = read(case.body, status=case.status)
    assert reading.usage == expected.usage(case)
    assert reading.served_model in {case.model, None}
    assert (reading.basis is Basis.REPORTED) == (not reading.usage.is_empty)
    assert not reading.anomalies.keys() - {"unterminated_frame"}
    assert (reading.terminal_evidence is None) == (
        "error-mid-stream" in case.id or "streaming-failure-invalid-json" in case.id
    )


@pytest.mark.parametrize("case", VERBATIM_STREAMS, ids=expected.name)
def test_a_recorded_stream_reads_the_same_byte_by_byte(case: Case) -> None:
    assert read(*single_bytes(case.body)) == read(case.body)


@given(case=st.sampled_from(VERBATIM_STREAMS), cuts=CUTS)
def test_a_recorded_stream_reads_the_same_however_it_is_cut(case: Case, cuts: list[int]) -> None:
    assert read(*cut_at(case.body, cuts)) == read(case.body)


@pytest.mark.parametrize(
    ("counts", "given", "made", "thoughts"),
    [
        ({"prompt": 20, "made": 151, "thoughts": 382, "total": 553}, 20, 533, 382),  # 6.1
        ({"prompt": 20, "made": 533, "thoughts": 382, "total": 553}, 20, 533, 382),  # 6.2: thoughts within
        ({"prompt": 151, "tool": 18329, "made": 1089, "thoughts": 1120, "total": 20689}, 18480, 2209, 1120),  # 6.3
        ({"prompt": 151, "tool": 9, "made": 2, "thoughts": 1, "total": 162}, 160, 2, 1),  # 6.3 and 6.2
        ({"prompt": 5, "thoughts": 7, "total": 12}, 5, 7, 7),
        ({"prompt": 5, "made": 7}, 5, 7, None),
        ({"prompt": 5, "total": 5}, 5, None, None),
        ({"prompt": 5, "made": 0, "total": 5}, 5, 0, None),
    ],
)
def test_the_total_decides_what_is_part_of_what(
    counts: dict[str, int], given: int, made: int | None, thoughts: int | None
) -> None:
    reading = read(document(says("x", "STOP", **counts)))
    assert reading.usage == Usage(input_tokens=given, output_tokens=made, reasoning_tokens=thoughts)
    assert reading.anomalies == {}


def test_a_total_that_fits_neither_way_is_noted() -> None:
    reading = read(document(says("x", "STOP", prompt=5, made=7, thoughts=2, total=99)))
    assert (reading.usage.output_tokens, reading.anomalies) == (9, {"total_mismatch": 1})


def test_cached_content_is_part_of_the_prompt() -> None:
    """Row 6.7."""
    usage = read(document(says("x", "STOP", prompt=100, cached=80, made=1, total=101))).usage
    assert (usage.input_tokens, usage.cache_read_tokens) == (100, 80)


@pytest.mark.parametrize(("audio", "image"), [("AUDIO", "IMAGE"), (4, 2)])  # 2 and 4: enum-encoding=int
def test_modalities(audio: Any, image: Any) -> None:
    given = [{"modality": "TEXT", "tokenCount": 1}, {"modality": audio, "tokenCount": 6}]
    made = [{"modality": image, "tokenCount": 258}, {"modality": audio, "tokenCount": 3}]
    details = {
        "promptTokensDetails": given,
        "toolUsePromptTokensDetails": [{"modality": audio, "tokenCount": 2}, None, {"modality": image}],
        "candidatesTokensDetails": made,
    }
    counts = {"promptTokenCount": 7, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 300, "totalTokenCount": 309}
    assert read(document({"usageMetadata": counts | details})).usage == Usage(
        input_tokens=9, input_audio_tokens=8, output_tokens=300, output_image_tokens=258, output_audio_tokens=3
    )


def test_each_snapshot_takes_the_place_of_the_one_before() -> None:
    """Row 6.4: running totals are not summed."""
    stream = data(
        says("a", prompt=9, made=15, thoughts=78, total=102),
        says("b", prompt=9, total=9),
        says("c", "STOP", prompt=87, thoughts=78, total=165),  # no candidates: it adds up without
    )
    assert read(stream).usage == Usage(input_tokens=87, output_tokens=78, reasoning_tokens=78)


def test_a_count_that_is_not_told_again_stands() -> None:
    """Rows 6.5 and 6.6, and Vertex' chunks that have a traffic type only."""
    early = says("a") | {"usageMetadata": {"trafficType": "ON_DEMAND"}}
    stream = data(
        early, says("b", prompt=9, made=3), says("c", made=5), {"usageMetadata": {"totalTokenCount": 14}}, early
    )
    reading = read(stream + data(says(finish="STOP")))
    assert reading.usage == Usage(input_tokens=9, output_tokens=5)
    assert (reading.basis, reading.service_tier) == (Basis.REPORTED, "ON_DEMAND")


def test_only_a_traffic_type_is_no_usage() -> None:
    reading = read(data(says("hey", "STOP") | {"usageMetadata": {"trafficType": "ON_DEMAND"}}))
    assert (reading.usage, reading.basis, reading.delivered_bytes) == (Usage(), Basis.ESTIMATED, 3)


def test_the_tier_that_served() -> None:
    """Row 2.12: a header where the answer is whole, the usage in a stream."""
    header = ((b"x-gemini-service-tier", b"priority"),)
    assert read(document(says("x")), headers=header).service_tier == "priority"
    told = says("x") | {"usageMetadata": {"serviceTier": "flex"}}
    assert read(data(told), headers=header).service_tier == "flex"
    assert read(data(says("x"))).service_tier is None


def test_stop_is_no_end() -> None:
    """facts/wire.md section 5: STOP stands on chunks that are not the last."""
    first, last = data(says("a", "STOP", prompt=1, made=1, total=2)), data(says("b", "STOP", prompt=1, made=2, total=3))
    meter = DIALECT.meter(Answer(200))
    meter.feed(first)
    assert not meter.over
    meter.feed(last)
    reading = meter.finish(ended=True)
    assert (reading.usage.output_tokens, reading.terminal_evidence) == (2, "finish")
    cut = read(first, ended=False)
    assert (cut.basis, cut.terminal_evidence, cut.usage.output_tokens) == (Basis.PARTIAL, None, 1)


def test_a_stream_that_ends_without_a_finish_reason_has_no_evidence() -> None:
    reading = read(data(says("a", prompt=1, made=1, total=2)))
    assert (reading.basis, reading.terminal_evidence, reading.finish_reason) == (Basis.REPORTED, None, None)


def test_a_blocked_prompt_is_finished_and_its_prompt_counted() -> None:
    """Row 6.12."""
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    for body, evidence in ((data(blocked), "finish"), (document(blocked), "document")):
        reading = read(body)
        assert (reading.finish_reason, reading.usage.input_tokens) == ("SAFETY", 4)
        assert (reading.terminal_evidence, reading.basis) == (evidence, Basis.REPORTED)


@pytest.mark.parametrize(
    ("grounding", "calls"),
    [
        ({"webSearchQueries": ["", "a", "b", "a"]}, {"google_search": 2}),  # empty ones are not billed, nor repeats
        ({"webSearchQueries": ["pizza"], "groundingChunks": [{"maps": {}}]}, {"google_maps": 1}),
        ({"webSearchQueries": ["pizza"], "groundingChunks": [{"web": {}}]}, {"google_search": 1}),
        ({"webSearchQueries": [""]}, None),
        ({"groundingChunks": []}, None),
        ({"webSearchQueries": 3}, None),
    ],
)
def test_grounding_queries_are_tool_calls(grounding: dict[str, Any], calls: dict[str, int] | None) -> None:
    response = {"candidates": [{"groundingMetadata": grounding}]}
    assert read(data(response, response)).usage.tool_calls == calls


def test_what_was_generated() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    code = {"executableCode": {"code": "1+1"}}
    picture = {"inlineData": {"data": "QUJD"}}
    parts = [{"text": "\u00e9", "thought": True}, call, code, picture]
    body = json.dumps({"candidates": [{"content": {"parts": parts}}]}).encode()
    told = 2 + len(json.dumps(call["functionCall"])) + len(json.dumps(code["executableCode"]))
    assert read(body).delivered_bytes == told


ERROR = b"""{
  "error": {
    "code": 499,
    "message": "The operation was cancelled.",
    "status": "CANCELLED"
  }
}
"""
TOLD = "CANCELLED: The operation was cancelled."


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("rest", [b"", b"\n"])
def test_an_error_stands_in_a_stream_without_a_field_name(line_end: bytes, rest: bytes) -> None:
    body = data(says("First ", "STOP", prompt=1, made=1, total=2)) + ERROR + rest
    body = body.replace(b"\n", line_end)
    reading = read(body)
    assert (reading.in_stream_error, reading.basis, reading.terminal_evidence) == (TOLD, Basis.PARTIAL, None)
    assert read(*single_bytes(body)) == reading


@pytest.mark.parametrize("body", [ERROR, b"[" + ERROR + b"]\n", b"data: " + ERROR.replace(b"\n", b"") + b"\n\n"])
def test_an_error_instead_of_an_answer(body: bytes) -> None:
    assert read(body, status=499).in_stream_error == TOLD
    assert read(body, status=499).usage == Usage()


def test_an_event_in_a_stream_is_cut_out_whole() -> None:
    stream = b'data: {"a":1}\r\n\r\n' + ERROR + b'\ndata: {"b":2}\r\n\r\n'
    for chunks in every_split(stream):
        events = Events()
        frames = [frame for chunk in chunks for frame in events.feed(chunk)] + events.end()
        assert [list(json.loads(frame.data)) for frame in frames] == [["a"], ["error"], ["b"]]


def test_what_is_over_the_bound_is_no_event() -> None:
    events = Events(bound=64)
    frames = events.feed(b"{" + b" " * 99 + b"}\n\n" + b'data: {"a":1}\n\n') + events.end()
    assert [frame.data for frame in frames] == [b'{"a":1}']
    assert events.oversize == 1


def test_without_alt_sse_a_stream_is_an_array() -> None:
    """Row 6.8."""
    one, two = says("a", prompt=1, made=1, total=2), says("b", "STOP", prompt=1, made=2, total=3)
    body = b"[" + json.dumps(one, indent=2).encode() + b"\n,\r\n" + json.dumps(two, indent=2).encode() + b"\n]"
    reading = read(body)
    assert (reading.usage.output_tokens, reading.terminal_evidence, reading.anomalies) == (2, "finish", {})
    assert read(*single_bytes(body)) == reading
    cut = read(body[:-40], ended=False)
    assert (cut.usage.output_tokens, cut.basis) == (1, Basis.PARTIAL)
    assert cut.anomalies == {"unterminated_frame": 1, "not_json": 1}


def test_a_whole_answer_to_a_request_for_a_stream() -> None:
    """Row 6.9."""
    reading = read(document(says("a", "STOP", prompt=1, made=1, total=2)))
    assert (reading.terminal_evidence, reading.basis) == ("document", Basis.REPORTED)


def test_a_document_that_is_cut_off_is_delivered_as_far_as_it_came() -> None:
    body = document(says("a", "STOP", prompt=1, made=1, total=2))[:-10]
    reading = read(body, ended=False)
    assert (reading.delivered_bytes, reading.basis, reading.anomalies) == (len(body), Basis.ESTIMATED, {"not_json": 1})


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({"embedding": {"values": [0.1]}}, None),
        ({"embedding": {"values": [0.1]}, "usageMetadata": {"promptTokenCount": 6}}, 6),
        ({"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 6}}, 6),
        ({"predictions": [{"embeddings": {"statistics": {"token_count": n}}} for n in (4, 3.0)]}, 7),  # Vertex
        ({"predictions": [{"bytesBase64Encoded": "QUJD"}]}, None),
        ({"predictions": 5}, None),
    ],
)
def test_embeddings(answer: dict[str, Any], tokens: int | None) -> None:
    reading = read(document(answer))
    assert reading.usage == Usage(input_tokens=tokens)
    assert reading.delivered_bytes == 0


@pytest.mark.parametrize(
    ("request_body", "ask"),
    [
        ({}, Ask()),
        ({"generationConfig": {"maxOutputTokens": 99, "candidateCount": 2}}, Ask(output_cap=99, choices=2)),
        ({"generation_config": {"max_output_tokens": 99, "candidate_count": 2}}, Ask(output_cap=99, choices=2)),
        ({"generationConfig": {"maxOutputTokens": 0, "candidateCount": 0}}, Ask()),  # for Google to judge
        ({"generationConfig": {"maxOutputTokens": "many"}}, Ask()),
        ({"generationConfig": []}, Ask()),
        ({"model": "models/m", "content": {}}, Ask(model="models/m", output_cap=0)),  # embedContent names it twice
    ],
)
def test_what_an_ask_takes_from_a_request(request_body: dict[str, Any], ask: Ask) -> None:
    body = json.dumps(request_body).encode()
    read = DIALECT.read_ask(body, ())
    assert (read.model, read.output_cap, read.choices, read.stream) == (ask.model, ask.output_cap, ask.choices, False)
    assert read.input_bytes == len(body)


def test_a_request_that_is_no_object_is_refused() -> None:
    with pytest.raises(BadRequest):
        DIALECT.read_ask(b"[]", ())


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (PaymentRequired("no"), 402, "RESOURCE_EXHAUSTED"),
        (Forbidden("no"), 403, "PERMISSION_DENIED"),
        (Unpriced("no"), 403, "PERMISSION_DENIED"),
        (UnknownModel("no"), 404, "NOT_FOUND"),
        (RateLimited("no"), 429, "RESOURCE_EXHAUSTED"),
        (TooLarge("no"), 413, "INVALID_ARGUMENT"),
        (Busy("no"), 503, "UNAVAILABLE"),
        (UpstreamCut("no"), 502, "UNAVAILABLE"),
    ],
)
def test_errors_in_googles_own_shape(error: Any, code: int, status: str) -> None:
    told = {"error": {"code": code, "message": "no", "status": status}}
    assert json.loads(DIALECT.error_body(error, "ex_1")) == told
    frame = DIALECT.error_frame(error, "ex_1")
    assert read(data(says("a")) + frame).in_stream_error == f"{status}: no"
    assert json.loads(frame.removeprefix(b"data: ")) == told
    meter = DIALECT.meter(Answer(200, "application/json"))
    meter.feed(b"[" + json.dumps(says("a")).encode())
    last = meter.last(DIALECT.error_piece(error, "ex_1"))
    assert last is not None
    meter.feed(last)
    assert meter.finish(ended=True).in_stream_error == f"{status}: no"


HELPED = {"has_tools": True, "stored_context": True, "unbounded": "server_tools"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"contents": [{"parts": [{"text": "Hi"}]}]}, {}),
        ({"generationConfig": {"maxOutputTokens": 9, "thinkingConfig": {"thinkingBudget": 8}}}, {"output_cap": 9}),
        ({"generationConfig": {"maxOutputTokens": 9, "max_output_tokens": -1}}, {}),
        ({"generationConfig": {"candidateCount": 2, "\ud800": 1}}, {"choices": 2}),
        ({"generation_config": [{"maxOutputTokens": 9}]}, {}),
        ({"cachedContent": "cachedContents/1"}, {"stored_context": True}),
        ({"cached_content": "cachedContents/1"}, {"stored_context": True}),
        ({"tools": [{"functionDeclarations": []}]}, {"has_tools": True}),
        ({"tools": [{"functionDeclarations": []}, {"googleSearch": {}}]}, HELPED),
        ({"tools": [{"function_declarations": [], "url_context": {}}]}, HELPED),
        ({"serviceTier": "flex"}, {"service_tier": "flex"}),
        ({"content": {"parts": [{"text": "Hi"}]}}, {"output_cap": 0}),
        ({"requests": [{"content": {}}, {"content": {}}]}, {"output_cap": 0, "prompts": 2}),
        ({"instances": [{"prompt": "a cat"}]}, {"unbounded": "predictions"}),
        (
            {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png"}}]}]},
            {"attachments": 1, "attachment_tokens": 10_000},
        ),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "gs://a"}}]}]}, {"stored_context": True}),
    ],
)  # fmt: skip
def test_what_bounds_a_request(body: dict[str, Any], told: dict[str, Any]) -> None:
    for dialect in ("google.generate_content", "vertex.generate_content"):
        assert asked(dialect, body) == told


def test_a_tier_may_be_asked_for_in_a_header() -> None:
    header = (b"x-vertex-ai-llm-shared-request-type", b"priority")
    assert asked("vertex.generate_content", {}, [header]) == {"service_tier": "priority"}


def test_a_traffic_type_is_the_tier_or_stands_beside_it() -> None:
    def told(usage: dict[str, Any]) -> tuple[Any, Any]:
        reading = read(document({"usageMetadata": usage}))
        return reading.service_tier, reading.terms

    assert told({"trafficType": "ON_DEMAND_FLEX"}) == ("ON_DEMAND_FLEX", {})
    assert told({"serviceTier": "flex"}) == ("flex", {})
    assert told({"serviceTier": "flex", "trafficType": "ON_DEMAND"}) == ("flex", {"traffic_type": "ON_DEMAND"})


def test_cache_reads_by_modality() -> None:
    rows = [
        {"modality": "TEXT", "tokenCount": 1},
        {"modality": "AUDIO", "tokenCount": 3},
        {"modality": "IMAGE", "tokenCount": 2},
    ]
    usage = {"promptTokenCount": 9, "cachedContentTokenCount": 6, "cacheTokensDetails": rows}
    assert read(document({"usageMetadata": usage})).usage == Usage(
        input_tokens=9, cache_read_tokens=6, cache_read_audio_tokens=3, cache_read_image_tokens=2
    )
