from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.testing.corpus import Case
from headgate.usage import Basis, Estimate, Leg, Reading, Usage
from tests.dialects import expected
from tests.dialects.playbook import CUTS, asked, cut_at, data, document, events, read, replay, single_bytes

CASES = expected.cases("anthropic.messages")
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
    served = "claude-opus-4-8" if "anthropic-fallback" in case.id else case.model
    assert reading.served_model == served
    assert reading.response_id
    assert reading.finish_reason
    assert reading.terminal_evidence == ("message_stop" if case.framing == "sse" else "document")


def start(given: int = 10, made: int = 1, model: str = "m", ident: str = "msg_1", **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": given, "output_tokens": made, **more}
    return {"type": "message_start", "message": {"id": ident, "model": model, "content": [], "usage": usage}}


def text(value: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": value}}


def delta(made: int, stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": made, **more}}


STOP = {"type": "message_stop"}
PING = {"type": "ping"}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
BLOCK_STOP = {"type": "content_block_stop", "index": 0}


def said(*payloads: dict[str, Any], ended: bool = True) -> Reading:
    body = events(*payloads)
    reading = read("anthropic.messages", [body], ended=ended)
    assert read("anthropic.messages", single_bytes(body), ended=ended) == reading
    return reading


def figures(reading: Reading) -> tuple[Basis, int | None, int | None]:
    return reading.basis, reading.usage.input_tokens, reading.usage.output_tokens


REPORTED, PARTIAL = Basis.REPORTED, Basis.PARTIAL


def test_a_stop_that_breaks_off_is_no_end() -> None:
    before, stop = events(start(), text("hi"), delta(5)), events(STOP)
    for cut in range(len(stop) - 2):
        assert read("anthropic.messages", [before + stop[:cut]]).terminal_evidence is None, stop[:cut]
    assert read("anthropic.messages", [before + stop[:-2]]).terminal_evidence == "message_stop"


@pytest.mark.parametrize(
    ("stream", "figure", "anomalies"),
    [
        pytest.param(
            [start(10, 1), PING, BLOCK, text("hi"), BLOCK_STOP, delta(15), STOP], (REPORTED, 10, 15), {},
            id="5.1 output is cumulative",
        ),
        pytest.param(
            [start(10, 1, cache_read_input_tokens=5), delta(15, cache_read_input_tokens=5), STOP],
            (REPORTED, 15, 15), {},
            id="5.2 cache in both events",
        ),
        pytest.param([start(10), delta(5), STOP], (REPORTED, 10, 5), {}, id="5.3 absent input keeps"),
        pytest.param([start(10), delta(5, input_tokens=None), STOP], (REPORTED, 10, 5), {}, id="5.3 null input keeps"),
        pytest.param(
            [start(10), delta(5, input_tokens=0), STOP], (REPORTED, 10, 5), {"input_dropped_to_zero": 1},
            id="5.3 a later zero is suspicious",
        ),
        pytest.param([start(0), delta(5, input_tokens=10), STOP], (REPORTED, 10, 5), {}, id="5.13 input at the end"),
        pytest.param(
            [start(3602), delta(5, cache_read_input_tokens=3604), STOP], (REPORTED, 7206, 5), {},
            id="5.4 cache at the end only",
        ),
        pytest.param(
            [start(1128), delta(5, input_tokens=2411), STOP], (REPORTED, 2411, 5), {}, id="server tools grow the input"
        ),
        pytest.param(
            [start(10), delta(4, stop=None), delta(9, stop=None), delta(12), STOP], (REPORTED, 10, 12), {},
            id="several deltas",
        ),
        pytest.param(
            [start(10, 7), text("hi"), STOP], (REPORTED, 10, 7), {"output_from_message_start": 1},
            id="an end without a delta",
        ),
        pytest.param([STOP], (Basis.NONE, None, None), {}, id="5.12 nothing"),
        pytest.param([delta(5), STOP], (REPORTED, None, 5), {}, id="no start"),
        pytest.param(
            [start(10), delta(-1), STOP], (REPORTED, 10, None), {"not_a_count.output_tokens": 1}, id="2.18 no count"
        ),
        pytest.param(
            [start(10), delta(5), STOP, start(20, ident="msg_2"), delta(6), STOP], (REPORTED, 20, 6),
            {"several_messages": 1},
            id="two messages in a body: the last one's",
        ),
    ],
)  # fmt: skip
def test_usage_over_a_stream(
    stream: list[dict[str, Any]], figure: tuple[Basis, int | None, int | None], anomalies: dict[str, int]
) -> None:
    reading = said(*stream)
    assert figures(reading) == figure
    assert reading.anomalies == anomalies
    assert read("anthropic.messages", [data(*stream)]) == reading  # without names


@pytest.mark.parametrize(
    ("stream", "ended", "figure"),
    [
        pytest.param([start(10, 8), text("hi")], False, (PARTIAL, 10, None), id="5.8 the placeholder is no output"),
        pytest.param([start(10, 8), text("hi")], True, (PARTIAL, 10, None), id="5.8 at a clean end too"),
        pytest.param([start(10), delta(5, stop=None)], False, (PARTIAL, 10, 5), id="before the stop reason"),
        pytest.param([start(10), delta(5, stop=None)], True, (REPORTED, 10, 5), id="a clean end without message_stop"),
        pytest.param([start(10), delta(5)], False, (REPORTED, 10, 5), id="after the last figures"),
        pytest.param(
            [start(10), delta(5), STOP, start(20, ident="msg_2")], False, (PARTIAL, 20, None), id="in a second message"
        ),
        pytest.param([text("hi")], False, (Basis.ESTIMATED, None, None), id="no usage at all"),
    ],
)
def test_what_a_cut_stream_is_worth(
    stream: list[dict[str, Any]], ended: bool, figure: tuple[Basis, int | None, int | None]
) -> None:
    assert figures(said(*stream, ended=ended)) == figure


def test_a_cut_stream_is_estimated_from_what_was_delivered() -> None:
    reading = said(start(10), BLOCK, text("é" * 10), ended=False)
    assert (reading.delivered_bytes, reading.estimate) == (20, Estimate(None, 5))


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"}


@pytest.mark.parametrize(
    ("stream", "told", "basis"),
    [
        pytest.param([start(10), text("x"), OVERLOADED], "overloaded_error: Overloaded", PARTIAL, id="5.9"),
        pytest.param([start(10), OVERLOADED], "overloaded_error: Overloaded", PARTIAL, id="5.10"),
        pytest.param([OVERLOADED], "overloaded_error: Overloaded", Basis.NONE, id="at once"),
        pytest.param(
            [start(10), delta(5), OVERLOADED], "overloaded_error: Overloaded", REPORTED, id="after all figures"
        ),
        pytest.param([{"type": "error", "message": "flat"}], "error", Basis.NONE, id="of another shape"),
        pytest.param([{"type": "unheard_of", "error": {"message": "m"}}], "m", Basis.NONE, id="of an unknown type"),
    ],
)
def test_errors_in_a_stream(stream: list[dict[str, Any]], told: str, basis: Basis) -> None:
    reading = said(*stream)
    assert (reading.in_stream_error, reading.basis) == (told, basis)
    assert reading.usage.output_tokens in {None, 5}


def test_what_is_not_json_is_noted() -> None:
    broken = b"event: message_delta\ndata: {broken\n\nevent: unheard_of\ndata: {broken\n\n"
    assert read("anthropic.messages", [broken]).anomalies == {"not_json": 1}


def message(usage: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "model": "m", "stop_reason": "end_turn", "usage": usage, **more}


def row(kind: str, given: int, made: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "input_tokens": given, "output_tokens": made, **more}


ADVISED = [row("message", 1128, 135), row("advisor_message", 2543, 18, model="big"), row("message", 1283, 10)]
COMPACTED = [
    row("compaction", 100, 131, cache_creation_input_tokens=55096, cache_read_input_tokens=0,
        cache_creation={"ephemeral_5m_input_tokens": 55096, "ephemeral_1h_input_tokens": 0}),
    row("message", 229, 5),
]  # fmt: skip


@pytest.mark.parametrize(
    ("usage", "read_as", "anomalies"),
    [
        pytest.param(
            {"input_tokens": 3, "cache_creation_input_tokens": 11, "cache_read_input_tokens": 7, "output_tokens": 5},
            Usage(input_tokens=21, cache_read_tokens=7, cache_write_tokens=11, output_tokens=5),
            {},
            id="10b disjoint inputs are summed",
        ),
        pytest.param(
            {"input_tokens": 3, "cache_creation_input_tokens": 11, "output_tokens": 5,
             "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 7}},
            Usage(
                input_tokens=14, cache_write_tokens=11, cache_write_tokens_by_ttl={"5m": 4, "1h": 7}, output_tokens=5
            ),
            {},
            id="5.6 writes by time to live",
        ),
        pytest.param(
            {"input_tokens": 3, "cache_creation_input_tokens": 184457, "output_tokens": 5,
             "cache_creation": {"ephemeral_5m_input_tokens": 31490, "ephemeral_1h_input_tokens": 0}},
            Usage(input_tokens=184460, cache_write_tokens=184457, output_tokens=5),
            {"cache_write_split_mismatch": 1},
            id="5.5 a split of another snapshot",
        ),
        pytest.param(
            {"input_tokens": 3, "output_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 7}},
            Usage(input_tokens=10, cache_write_tokens=7, cache_write_tokens_by_ttl={"1h": 7}, output_tokens=5),
            {},
            id="a split without its total",
        ),
        pytest.param(
            {"cache_read_input_tokens": 7, "output_tokens": 5},
            Usage(cache_read_tokens=7, output_tokens=5),
            {},
            id="unknown fresh input is an unknown total",
        ),
        pytest.param(
            {"input_tokens": 3, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 4}},
            Usage(input_tokens=3, output_tokens=5, reasoning_tokens=4),
            {},
            id="thinking is inside the output",
        ),
        pytest.param(
            {"input_tokens": 3, "output_tokens": 5,
             "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}},
            Usage(input_tokens=3, output_tokens=5, tool_calls={"web_search": 2, "web_fetch": 0}),
            {},
            id="2.15 server tools",
        ),
        pytest.param(
            {"input_tokens": 229, "output_tokens": 5, "iterations": COMPACTED},
            Usage(
                input_tokens=229, output_tokens=5,
                legs=(Leg("compaction", None, Usage(
                    input_tokens=55196, cache_read_tokens=0, cache_write_tokens=55096,
                    cache_write_tokens_by_ttl={"5m": 55096, "1h": 0}, output_tokens=131)),),
            ),
            {},
            id="5.7 compaction is beside the totals",
        ),
        pytest.param(
            {"input_tokens": 2411, "output_tokens": 145, "iterations": ADVISED},
            Usage(
                input_tokens=2411, output_tokens=145,
                legs=(Leg("advisor_message", "big", Usage(input_tokens=2543, output_tokens=18)),),
            ),
            {},
            id="5.7 the advisor is beside the totals, at its own model's price",
        ),
        pytest.param(
            {"input_tokens": 1, "output_tokens": 1, "iterations": [row("novelty", 5, 5), "odd", row("message", 1, 1)]},
            Usage(input_tokens=1, output_tokens=1),
            {"unknown_iteration": 1},
            id="an iteration of an unknown type",
        ),
        pytest.param(
            {"input_tokens": 1, "output_tokens": 1, "iterations": 5}, Usage(input_tokens=1, output_tokens=1), {},
            id="iterations of another kind",
        ),
    ],
)  # fmt: skip
def test_usage_in_every_shape(usage: dict[str, Any], read_as: Usage, anomalies: dict[str, int]) -> None:
    whole = read("anthropic.messages", [document(message(usage))])
    assert (whole.usage, whole.anomalies) == (read_as, anomalies)
    streamed = said({"type": "message_delta", "delta": {}, "usage": usage}, STOP)
    assert (streamed.usage, streamed.anomalies) == (read_as, anomalies)


def test_a_fallback_names_the_model_that_answered() -> None:
    rows = [row("message", 408, 0, model="first"), row("fallback_message", 412, 264, model="second")]
    reading = said(start(408, model="first"), delta(264, input_tokens=412, iterations=rows), STOP)
    assert (reading.served_model, figures(reading)) == ("second", (REPORTED, 412, 264))
    assert reading.usage.legs == ()


def test_what_else_a_message_tells() -> None:
    reading = said(start(10, service_tier="priority"), delta(5, stop="max_tokens"), STOP)
    assert (reading.response_id, reading.served_model, reading.service_tier) == ("msg_1", "m", "priority")
    assert (reading.finish_reason, reading.terminal_evidence) == ("max_tokens", "message_stop")
    refused = read("anthropic.messages", [document(OVERLOADED)], status=529)
    assert refused.in_stream_error == "overloaded_error: Overloaded"
    cut = read("anthropic.messages", [document(message({"input_tokens": 1, "output_tokens": 1}))[:40]], ended=False)
    assert (cut.basis, cut.delivered_bytes, cut.anomalies) == (Basis.ESTIMATED, 40, {"not_json": 1})


@pytest.mark.parametrize(
    ("block", "delivered"),
    [
        ({"type": "text", "text": "é"}, 2),
        ({"type": "thinking", "thinking": "abc", "signature": "AAAA"}, 3),
        ({"type": "redacted_thinking", "data": "AAAA"}, 0),
        ({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}, 1),
        ({"type": "server_tool_use", "id": "srvtoolu_1", "name": "f", "input": {"q": 1}}, 9),
        ({"type": "web_search_tool_result", "tool_use_id": "t", "content": [{"title": "long"}]}, 0),
        ({"type": "web_fetch_tool_result", "tool_use_id": "t", "content": {"type": "long"}}, 0),
        ({"type": "compaction", "content": "abcd"}, 4),
        ({"type": "novelty", "input": "odd", "name": 5}, 0),
    ],
)
def test_delivered_bytes_are_what_a_model_generated(block: dict[str, Any], delivered: int) -> None:
    whole = read("anthropic.messages", [document(message({}, content=[block]))])
    streamed = said({"type": "content_block_start", "index": 0, "content_block": block})
    assert (whole.delivered_bytes, streamed.delivered_bytes) == (delivered, delivered)


def test_delivered_bytes_of_deltas() -> None:
    deltas = [
        {"type": "text_delta", "text": "ab"},
        {"type": "thinking_delta", "thinking": "c", "estimated_tokens": 5},
        {"type": "input_json_delta", "partial_json": '{"'},
        {"type": "signature_delta", "signature": "AAAA"},
        {"type": "compaction_delta", "content": "d"},
        {"type": "citations_delta", "citation": {"cited_text": "long"}},
    ]
    stream = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    assert said(*stream).delivered_bytes == 6


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(0, 99)), min_size=1))
def test_snapshots_are_never_summed(running: list[tuple[int, int]]) -> None:
    deltas = [delta(made, input_tokens=given) for given, made in running]
    assert figures(read("anthropic.messages", [events(start(5), *deltas, STOP)])) == (REPORTED, *running[-1])


HELPED = {"has_tools": True, "stored_context": True, "unbounded": "server_tools"}
PICTURE = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"max_tokens": 9}, {"output_cap": 9}),
        ({"max_tokens": 9, "thinking": {"type": "enabled", "budget_tokens": 8}}, {"output_cap": 9}),  # within the cap
        ({"max_tokens": 0}, {}),
        (
            {"service_tier": "standard_only", "speed": "fast", "inference_geo": "us"},
            {"service_tier": "standard_only", "speed": "fast", "inference_geo": "us"},
        ),
        ({"tools": [{"name": "mine"}, {"type": "bash_20250124", "name": "bash"}]}, {"has_tools": True}),
        ({"tools": [{"name": "mine"}, {"type": "web_search_20260209", "name": "web_search"}]}, HELPED),
        ({"mcp_servers": [{"url": "https://x"}]}, {"stored_context": True, "unbounded": "server_tools"}),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, {"unbounded": "compaction"}),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, {}),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [PICTURE]}]}]},
            {"attachments": 1, "attachment_tokens": 5_000},
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "u"}}]}]},
            {"stored_context": True},
        ),
    ],
)
def test_what_bounds_a_request(body: dict[str, Any], told: dict[str, Any]) -> None:
    for dialect in ("anthropic.messages", "vertex.messages"):
        assert asked(dialect, body) == told


def test_the_terms_of_message_start_stand_until_a_delta_says_otherwise() -> None:
    """facts/stream_cases.md 2.13."""
    begun = {"input_tokens": 3, "output_tokens": 1, "speed": "fast", "inference_geo": "us", "service_tier": "standard"}
    start = {"type": "message_start", "message": {"id": "m", "usage": begun}}

    def terms(*usages: dict[str, Any]) -> Any:
        deltas = [{"type": "message_delta", "delta": {}, "usage": usage} for usage in usages]
        return read("anthropic.messages", [events(start, *deltas, {"type": "message_stop"})]).terms

    assert terms({"output_tokens": 9}) == {"speed": "fast", "inference_geo": "us"}
    assert terms({"output_tokens": 9, "speed": None}) == {"speed": "fast", "inference_geo": "us"}
    assert terms({"output_tokens": 9, "speed": "standard"}) == {"speed": "standard", "inference_geo": "us"}
    whole = {"id": "m", "usage": {"input_tokens": 3, "output_tokens": 9, "speed": 5, "inference_geo": "global"}}
    assert read("anthropic.messages", [document(whole)]).terms == {"inference_geo": "global"}
