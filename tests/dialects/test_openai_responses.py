import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects import openai_responses
from headgate.dialects.base import Ask, Metering
from headgate.dialects.openai_responses import DIALECT
from headgate.errors import BadRequest, UpstreamCut
from headgate.testing.corpus import Case
from headgate.usage import Basis, Leg, Reading, Usage
from tests.dialects import expected
from tests.dialects.playbook import (
    CUTS,
    asked,
    both_ways,
    cut_at,
    data,
    document,
    events,
    read,
    replay,
    single_bytes,
    usages,
)

CASES = expected.cases("openai.responses")
VERBATIM_STREAMS = [case for case in CASES if case.verbatim and case.framing == "sse"]


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    reading = replay(case, [case.body])
    assert reading.usage == expected.usage(case)
    assert (reading.basis is Basis.REPORTED) == (case.usage_raw is not None)


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_the_same_byte_by_byte_and_as_it_arrived(case: Case) -> None:
    whole = replay(case, [case.body])
    assert replay(case, single_bytes(case.body)) == whole
    assert replay(case, case.chunks()) == whole


@pytest.mark.parametrize("case", VERBATIM_STREAMS, ids=expected.name)
def test_a_verbatim_stream_reads_the_same_at_any_split(case: Case) -> None:
    whole = replay(case, [case.body])

    @settings(max_examples=5, deadline=None)
    @given(CUTS)
    def reads_the_same(cuts: list[int]) -> None:
        assert replay(case, cut_at(case.body, cuts)) == whole

    reads_the_same()


@pytest.mark.parametrize("case", [case for case in CASES if case.dialect != "errors"], ids=expected.name)
def test_a_recording_names_its_model_and_its_end(case: Case) -> None:
    reading = replay(case, [case.body])
    assert reading.served_model == case.model
    assert reading.response_id
    assert reading.terminal_evidence in {"response.completed", "response.incomplete", "document"}


def response(status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "model": "m", "status": status, "output": [], **more}


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "sequence_number": 1, **more}


def used(given: int, made: int, **more: Any) -> dict[str, Any]:
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made, **more}


def figures(reading: Reading) -> tuple[Basis, int | None, int | None]:
    return reading.basis, reading.usage.input_tokens, reading.usage.output_tokens


CREATED = event("created", response=response("in_progress", usage=None))
DELTA = event("output_text.delta", delta="héllo")


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed", "cancelled", "done"])
def test_usage_comes_in_whichever_event_is_the_last(kind: str) -> None:
    """Row 3.1: an incomplete or failed response is billed too."""
    last = event(kind, response=response(kind, usage=used(64, 1500)))
    body = events(CREATED, DELTA, last)
    reading = read("openai.responses", [body], ended=False)
    assert figures(reading) == (Basis.REPORTED, 64, 1500)
    assert (reading.terminal_evidence, reading.finish_reason) == (f"response.{kind}", kind)
    assert reading.in_stream_error == ("response.failed" if kind == "failed" else None)
    assert read("openai.responses", single_bytes(body), ended=False) == reading
    assert read("openai.responses", [data(CREATED, DELTA, last)], ended=False) == reading  # without names
    default_name = body.replace(b"event: response.", b"event: message\nx: ")
    assert read("openai.responses", [default_name], ended=False) == reading


def test_why_a_response_is_incomplete() -> None:
    last = response("incomplete", incomplete_details={"reason": "max_output_tokens"}, service_tier="flex")
    reading = read("openai.responses", [events(CREATED, event("incomplete", response=last))])
    assert (reading.finish_reason, reading.service_tier) == ("max_output_tokens", "flex")  # row 2.10: the served tier


def test_no_terminal_is_an_estimate_and_not_zero() -> None:
    """Row 3.2."""
    reading = read("openai.responses", [events(CREATED, DELTA)])
    assert (reading.basis, reading.delivered_bytes, reading.terminal_evidence) == (Basis.ESTIMATED, 6, None)
    assert (reading.response_id, reading.served_model) == ("resp_1", "m")


def test_a_terminal_that_breaks_off_is_no_end() -> None:
    """Its name comes first; what it reports, and that the answer is whole, only with its last byte."""
    before, last = events(CREATED, DELTA), events(event("completed", response=response(usage=used(5, 2))))
    for cut in range(len(last) - 2):
        for ended in (False, True):
            reading = read("openai.responses", [before + last[:cut]], ended=ended)
            assert (reading.basis, reading.terminal_evidence) == (Basis.ESTIMATED, None), last[:cut]
    reading = read("openai.responses", [before + last[:-2]])
    assert (*figures(reading), reading.terminal_evidence) == (Basis.REPORTED, 5, 2, "response.completed")


def test_a_terminal_that_is_sent_again_changes_nothing() -> None:
    last = event("completed", response=response(usage=used(5, 2)))
    once, twice = events(CREATED, last), events(CREATED, last, last)
    assert read("openai.responses", [twice]) == read("openai.responses", [once])


def test_done_in_a_text_is_no_end() -> None:
    """A trap of facts/reference_systems.md section 2.1; and [DONE] itself, which some servers add, is passed over."""
    text = event("output_text.delta", delta="data: [DONE]\n\n")
    last = event("completed", response=response(usage=used(5, 2), output=[{"content": [{"text": "[DONE]"}]}]))
    reading = read("openai.responses", [events(text, last) + data(b"[DONE]")])
    assert figures(reading) == (Basis.REPORTED, 5, 2)
    assert reading.anomalies == {}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(
            events({"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}),
            "rate_limit_exceeded: slow down",
            id="flat",
        ),
        pytest.param(
            events({"type": "error", "error": {"type": "t", "message": "m"}}), "t: m", id="nested, as on WebSockets"
        ),
        pytest.param(
            events(event("failed", response=response("failed", error={"code": "server_error", "message": "m"}))),
            "server_error: m",
            id="in the response",
        ),
        pytest.param(
            events(event("failed", error={"code": 500, "message": "m"})), "500: m", id="Perplexity: beside the response"
        ),
        pytest.param(data({"error": {"code": "c", "message": "m"}}), "c: m", id="without a type"),
        pytest.param(data({"type": "unheard.of", "error": {"message": "m"}}), "m", id="of an unknown type"),
        pytest.param(events(event("mcp_call.failed", item={"error": "e"})), None, id="of a tool"),
        pytest.param(events(event("output_item.done", item={"error": None}, error=None)), None, id="null"),
        pytest.param(events(event("failed")), "response.failed", id="failed without a word"),
        pytest.param(b"event: error\ndata: {}\n\n", "error", id="an error without a word"),
    ],
)
def test_errors_wherever_they_are_told(body: bytes, told: str | None) -> None:
    assert read("openai.responses", [body]).in_stream_error == told


def test_what_is_not_json_is_noted() -> None:
    broken = b"event: response.completed\ndata: {broken\n\ndata: {broken\n\n"
    assert read("openai.responses", [broken]).anomalies == {"not_json": 2}


@pytest.mark.parametrize(
    ("stream", "delivered"),
    [
        ([DELTA, DELTA], 12),
        ([event("reasoning_summary_text.delta", delta="ab"), event("refusal.delta", delta="c")], 3),
        ([event("output_item.added", item={"type": "function_call", "name": "f"}),
          event("function_call_arguments.delta", delta="{}")], 3),
        ([event("code_interpreter_call_code.delta", delta="x=1"), event("custom_tool_call_input.delta", delta="y")], 4),
        ([event("audio.delta", delta="AAAA"), event("audio.transcript.delta", delta="hi")], 2),
        ([event("shell_call_output_content.delta", delta={"stdout": "xyz"})], 0),
        ([event("mcp_call_arguments.delta", delta={"odd": 1})], 0),
        ([DELTA, event("output_text.done", text="héllo"),
          event("completed", response=response(output=[{"content": [{"text": "héllo"}]}]))], 6),
        ([event("completed", response=response(output=[{"content": [{"text": "héllo"}]}]))], 6),  # no deltas came
    ],
)  # fmt: skip
def test_delivered_bytes_are_what_a_model_generated(stream: list[dict[str, Any]], delivered: int) -> None:
    assert read("openai.responses", [events(*stream)]).delivered_bytes == delivered


def test_delivered_bytes_of_a_document() -> None:
    output = [
        {"type": "reasoning", "summary": [{"text": "ab"}], "content": [{"text": "c"}]},
        {"type": "message", "content": [{"text": "de"}, {"refusal": "f"}]},
        {"type": "function_call", "name": "g", "arguments": "{}"},
        {"type": "custom_tool_call", "name": "h", "input": "i"},
        {"type": "code_interpreter_call", "code": "jk"},
        {"type": "image_generation_call", "result": "AAAA"},
        {"type": "compaction", "encrypted_content": "AAAA"},
    ]
    assert read("openai.responses", [document(response(output=output))]).delivered_bytes == 13


def test_documents_of_every_operation() -> None:
    polled = read("openai.responses", [document(response(usage=used(5, 2)))])
    assert (figures(polled), polled.terminal_evidence) == ((Basis.REPORTED, 5, 2), "document")

    queued = read("openai.responses", [document(response("queued", usage=None, background=True))])  # row 3.7
    assert (queued.basis, queued.response_id, queued.finish_reason) == (Basis.NONE, "resp_1", None)

    cancelled = read("openai.responses", [document(response("cancelled", usage=used(5, 0)))])
    assert (figures(cancelled), cancelled.finish_reason) == ((Basis.REPORTED, 5, 0), "cancelled")

    compacted = {"id": "c1", "object": "response.compaction", "output": [], "usage": used(900, 80)}  # row 3.9
    assert figures(read("openai.responses", [document(compacted)])) == (Basis.REPORTED, 900, 80)

    failed = response("failed", error={"code": "server_error", "message": "m"}, usage=used(5, 0))
    assert read("openai.responses", [document(failed)]).in_stream_error == "server_error: m"

    cut = read("openai.responses", [document(response(usage=used(5, 2)))[:40]], ended=False)
    assert (cut.basis, cut.delivered_bytes, cut.anomalies) == (Basis.ESTIMATED, 40, {"not_json": 1})


WRITES = {"cached_tokens": 3, "cache_write_tokens": 7, "cache_write_tokens_details": {"ttl_30m_tokens": 7}}
PERPLEXITY = {"cache_creation_input_tokens": 1, "cache_read_input_tokens": 2}
IMAGES = {"input_tokens": 50, "input_tokens_details": {"image_tokens": 20, "text_tokens": 30}, "output_tokens": 100}
IMAGE_TOOL = [{"type": "function", "name": "f"}, {"type": "image_generation", "model": "gpt-image-1"}]


@pytest.mark.parametrize(
    ("answer", "usage", "anomalies"),
    [
        pytest.param(
            {"usage": used(12, 2, input_tokens_details=WRITES, output_tokens_details={"reasoning_tokens": 1})},
            Usage(
                input_tokens=12, cache_read_tokens=3, cache_write_tokens=7, cache_write_tokens_by_ttl={"30m": 7},
                output_tokens=2, reasoning_tokens=1,
            ),
            {},
            id="2.8 slices of the input",
        ),
        pytest.param(
            {"usage": used(5, 2, input_tokens_details=PERPLEXITY)},
            Usage(input_tokens=5, cache_read_tokens=2, cache_write_tokens=1, output_tokens=2),
            {},
            id="Perplexity's names",
        ),
        pytest.param(
            {"usage": used(5, 2, cost={"input_cost": 0, "total_cost": 0.25})},
            Usage(input_tokens=5, output_tokens=2, reported_cost_nanos=250_000_000),
            {},
            id="2.4 Perplexity's cost",
        ),
        pytest.param(
            {"usage": used(5, 2, cost_in_usd_ticks=57462500, server_side_tool_usage_details={"x_search_calls": 1})},
            Usage(input_tokens=5, output_tokens=2, reported_cost_nanos=5_746_250, tool_calls={"x_search": 1}),
            {},
            id="2.2 xAI's ticks and tools",
        ),
        pytest.param(
            {"usage": used(5, 2), "tool_usage": {"web_search": {"num_requests": 2}}},
            Usage(input_tokens=5, output_tokens=2, tool_calls={"web_search": 2}),
            {},
            id="2.15 billed searches",
        ),
        pytest.param(
            {"usage": used(5, 2), "tool_usage": {"image_gen": IMAGES}, "tools": IMAGE_TOOL},
            Usage(
                input_tokens=5, output_tokens=2,
                legs=(
                    Leg("image_generation", "gpt-image-1", Usage(
                        input_tokens=50, input_image_tokens=20, output_tokens=100)),
                ),
            ),
            {},
            id="images are a leg of their own",
        ),
        pytest.param(
            {"usage": used(5, 2), "tool_usage": {"image_gen": {"input_tokens": 0, "output_tokens": 0}}},
            Usage(input_tokens=5, output_tokens=2),
            {},
            id="no images, no leg",
        ),
        pytest.param(
            {"usage": used(5, 2) | {"total_tokens": 9}},
            Usage(input_tokens=5, output_tokens=2),
            {"total_mismatch": 1},
            id="a total that does not add up",
        ),
    ],
)  # fmt: skip
def test_usage_in_every_spelling(answer: dict[str, Any], usage: Usage, anomalies: dict[str, int]) -> None:
    for reading in (
        read("openai.responses", [document(response(**answer))]),
        read("openai.responses", [events(CREATED, event("completed", response=response(**answer)))]),
    ):
        assert reading.usage == usage
        assert reading.anomalies == anomalies


NAMES = (
    "input_tokens", "output_tokens", "total_tokens", "cached_tokens", "cache_read_input_tokens", "cache_write_tokens",
    "cache_creation_input_tokens", "audio_tokens", "image_tokens", "reasoning_tokens", "ttl_5m_tokens",
    "web_search_requests", "x_search_calls", "cost", "cost_in_usd_ticks", "is_byok", "upstream_inference_cost",
    "anything_else",
)  # fmt: skip
OBJECTS = (
    "input_tokens_details", "output_tokens_details", "cached_tokens_details", "cache_write_tokens_details",
    "server_tool_use_details", "server_side_tool_usage_details", "cost_details",
)  # fmt: skip
TOOL_USAGE: list[Any] = [{}, None, {"web_search": {"num_requests": 2}}, {"image_gen": {"output_tokens": 3}}]


@given(
    st.lists(usages(("input_tokens", "output_tokens"), NAMES, OBJECTS), min_size=1, max_size=3),
    st.sampled_from(TOOL_USAGE),
    st.booleans(),
)
def test_usage_reads_the_same_in_one_step_and_member_by_member(told: list[Any], tools: Any, ended: bool) -> None:
    stream = events(*(event("completed", response=response(usage=usage, tool_usage=tools)) for usage in told))
    usual, exact = both_ways(openai_responses, lambda: read("openai.responses", [stream], ended=ended))
    assert usual == exact
    whole = document(response(usage=told[-1]))
    usual, exact = both_ways(openai_responses, lambda: read("openai.responses", [whole]))
    assert usual == exact


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_the_same_in_one_step_and_member_by_member(case: Case) -> None:
    usual, exact = both_ways(openai_responses, lambda: replay(case, [case.body]))
    assert usual == exact


def test_operations_and_what_they_mean_for_the_books() -> None:
    metering = {operation.name: operation.metering for operation in DIALECT.operations}
    assert metering == {
        "create": Metering.COUNTED,
        "compact": Metering.COUNTED,
        "count_input": Metering.FREE,
        "retrieve": Metering.REPEATED,  # row 3.6
        "delete": Metering.FREE,
        "cancel": Metering.REPEATED,
        "list_input": Metering.FREE,
    }


def test_what_an_ask_takes_from_a_request() -> None:
    body = b'{"model":"m","stream":true,"max_output_tokens":9,"input":"hi"}'
    ask = DIALECT.read_ask(body, ())
    assert ask == Ask(model="m", stream=True, output_cap=9, input_bytes=len(body))
    assert DIALECT.with_usage_frame(body, ask) is None  # row 1.21
    assert DIALECT.usage_frame_filter() is None
    with pytest.raises(BadRequest):
        DIALECT.read_ask(b"[]", ())


def test_an_error_in_a_stream_is_a_failed_response() -> None:
    """Row 3.8: Codex passes over a bare `error` event."""
    frame = DIALECT.error_frame(UpstreamCut("The provider's connection broke."), "x1")
    name, payload = frame.decode().removesuffix("\n\n").split("\n")
    told = json.loads(payload.removeprefix("data: "))
    assert name == "event: response.failed"
    assert told["type"] == "response.failed"
    assert (told["response"]["id"], told["response"]["status"]) == ("resp_x1", "failed")
    assert told["response"]["error"] == {
        "code": "upstream_connection_lost",
        "message": "The provider's connection broke.",
    }
    reading = read("openai.responses", [frame])
    assert reading.in_stream_error == "upstream_connection_lost: The provider's connection broke."


def test_an_error_as_a_whole_answer_has_openais_shape() -> None:
    assert json.loads(DIALECT.error_body(BadRequest("no"), "x1"))["error"]["type"] == "invalid_request_error"


STORED = {"stored_context": True}
HELPED = {"has_tools": True, "stored_context": True, "unbounded": "server_tools"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"input": "Hi"}, {}),
        ({"max_output_tokens": 0}, {}),
        ({"service_tier": "priority"}, {"service_tier": "priority"}),
        ({"prompt": {"id": "pmpt_1"}}, STORED),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, STORED),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, STORED),
        ({"context_management": [{"type": "compaction"}]}, STORED | {"unbounded": "compaction"}),
        ({"tools": [{"type": "function"}, {"type": "computer_use_preview"}]}, {"has_tools": True}),
        ({"tools": [{"type": "function"}, {"type": "file_search"}]}, HELPED),
        ({"tools": [{"type": "image_generation"}]}, HELPED),
        ({"prompt_cache_key": "thread-7"}, {"sticky_id": "thread-7"}),
        ({"previous_response_id": "resp_1"}, STORED | {"previous_id": "resp_1"}),
        ({"conversation": "conv_1", "prompt_cache_key": "x"}, STORED | {"sticky_id": "conv_1"}),
        ({"conversation": {"id": "conv_1"}}, STORED | {"sticky_id": "conv_1"}),
        (
            {"input": [{"type": "function_call_output", "output": [{"type": "input_image", "file_id": "f"}]}]},
            {"attachments": 1, "attachment_tokens": 50_000},
        ),
    ],
)
def test_what_bounds_a_request(body: dict[str, Any], told: dict[str, Any]) -> None:
    assert asked("openai.responses", body) == told


def test_cache_reads_by_modality() -> None:
    details = {"cached_tokens": 5, "cached_tokens_details": {"audio_tokens": 2, "image_tokens": 1}}
    body = {"status": "completed", "usage": {"input_tokens": 9, "input_tokens_details": details}}
    assert read("openai.responses", [json.dumps(body).encode()]).usage == Usage(
        input_tokens=9, cache_read_tokens=5, cache_read_audio_tokens=2, cache_read_image_tokens=1
    )
