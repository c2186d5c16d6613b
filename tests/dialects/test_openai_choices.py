import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects import openai_choices
from headgate.dialects.base import Answer, Ask
from headgate.dialects.openai_choices import UsageFrameFilter, asks_for_usage, is_usage_frame, with_usage_frame
from headgate.dialects.registry import by_name
from headgate.testing.corpus import Case
from headgate.usage import Basis, Estimate, Reading
from tests.dialects import expected
from tests.dialects.playbook import CUTS, both_ways, cut_at, data, document, read, replay, single_bytes, usages

DONE = b"[DONE]"


def says(content: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "model": "m", "choices": [choice], **more}


def used(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def only_usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m", "choices": [], "usage": used(prompt, completion), **more}


def chat(*payloads: Any, ended: bool = True) -> Reading:
    return read("openai.chat", [data(*payloads)], ended=ended)


def figures(reading: Reading) -> tuple[Basis, int | None, int | None]:
    return reading.basis, reading.usage.input_tokens, reading.usage.output_tokens


REPORTED = Basis.REPORTED
DELTA = says("hi")
FINISH = says(finish="stop")
AZURE_FIRST = {"id": "", "model": "", "choices": [], "prompt_filter_results": []}
FILTER: dict[str, Any] = {"choices": [{"index": 0, "content_filter_offsets": {}}], "usage": None}
MODERATION: dict[str, Any] = {"choices": [], "moderation": {}, "usage": None}
GROQ = {"id": "req_1", "usage": used(9, 4, queue_time=0.1)}
OPENROUTER_ERROR = {"id": "c1", "choices": [], "error": {"code": 502, "message": "Provider returned error"}}


@pytest.mark.parametrize(
    ("stream", "figure"),
    [
        pytest.param([DELTA, FINISH, only_usage(9, 4), DONE], (REPORTED, 9, 4), id="1.1 after the finish"),
        pytest.param(
            [DELTA, FINISH, says(usage=used(9, 4)), DONE], (REPORTED, 9, 4), id="1.2 with choices that say nothing"
        ),
        pytest.param([only_usage(9, 4), DONE], (REPORTED, 9, 4), id="1.3 with no choices at all"),
        pytest.param([DELTA, says(usage=used(9, 4)), {"choices": []}, DONE], (REPORTED, 9, 4), id="1.6 absent later"),
        pytest.param(
            [DELTA, only_usage(9, 4), {"choices": [], "usage": None}, DONE], (REPORTED, 9, 4), id="1.6 null later"
        ),
        pytest.param(
            [*(says("x", usage=used(9, n)) for n in range(50)), FINISH, DONE],
            (REPORTED, 9, 49),
            id="1.7 on every chunk",
        ),
        pytest.param(
            [says("", usage=used(16, 0)), DELTA, FINISH, only_usage(9, 4), DONE], (REPORTED, 9, 4), id="1.8 early"
        ),
        pytest.param(
            [says("x", usage=used(900, 7)), FINISH, only_usage(9, 4), DONE],
            (REPORTED, 9, 4),
            id="1.9 the last counts though it is smaller",
        ),
        pytest.param(
            [says("a", usage=used(9, 1)), says("b"), says("c"), says(finish="stop", usage=used(9, 4)), DONE],
            (REPORTED, 9, 4),
            id="1.10 usage is no end",
        ),
        pytest.param([FINISH, only_usage(9, 4), only_usage(9, 4), DONE], (REPORTED, 9, 4), id="1.12 the same twice"),
        pytest.param([DELTA, says(finish="stop", x_groq=GROQ), DONE], (REPORTED, 9, 4), id="1.13 x_groq alone"),
        pytest.param(
            [says(finish="stop", x_groq={"usage": used(1, 1)}, usage=used(9, 4)), only_usage(9, 4), DONE],
            (REPORTED, 9, 4),
            id="1.13 the top level wins over x_groq",
        ),
        pytest.param(
            [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": used(9, 4)}]}, DONE],
            (REPORTED, 9, 4),
            id="1.14 inside the choice",
        ),
        pytest.param([DELTA, FINISH, DONE], (Basis.ESTIMATED, None, None), id="1.15 1.16 none"),
        pytest.param([says("x", usage=None), only_usage(9, 4), DONE], (REPORTED, 9, 4), id="1.22 null until the end"),
        pytest.param(
            [AZURE_FIRST, DELTA, FINISH, only_usage(9, 4), DONE],
            (REPORTED, 9, 4),
            id="1.23 Azure's empty first chunk",
        ),
        pytest.param([DELTA, FINISH, FILTER, only_usage(9, 4), FILTER, DONE], (REPORTED, 9, 4), id="1.24 no delta"),
        pytest.param([says("x", p="abcdefgh"), only_usage(9, 4, p="a"), DONE], (REPORTED, 9, 4), id="1.25 padding"),
        pytest.param([DELTA, only_usage(9, 4)], (REPORTED, 9, 4), id="1.27 no finish, no [DONE], a clean end"),
        pytest.param([FINISH, only_usage(9, 4), MODERATION, DONE], (REPORTED, 9, 4), id="moderation after usage"),
    ],
)
def test_where_usage_comes(stream: list[Any], figure: tuple[Basis, int | None, int | None]) -> None:
    reading = chat(*stream)
    assert figures(reading) == figure
    assert reading.in_stream_error is None
    assert read("openai.chat", single_bytes(data(*stream))) == reading


@pytest.mark.parametrize(
    ("stream", "basis"),
    [
        pytest.param([DELTA, says(finish="stop", usage=used(9, 4))], REPORTED, id="on the finish"),
        pytest.param([DELTA, FINISH, only_usage(9, 4)], REPORTED, id="after the finish"),
        pytest.param([DELTA, says("x", usage=used(9, 4))], Basis.PARTIAL, id="running figures"),
        pytest.param([DELTA, FINISH], Basis.ESTIMATED, id="before usage came"),
        pytest.param([says("x", usage=used(9, 4)), DONE], REPORTED, id="after [DONE]"),
        pytest.param(
            [says("x"), says("y", index=1), says(finish="stop", usage=used(9, 4)), says("z", index=1)],
            Basis.PARTIAL,
            id="one choice finished, another running",
        ),
        pytest.param(
            [says("y", index=1), says(finish="stop"), says(finish="stop", index=1, usage=used(9, 4))],
            REPORTED,
            id="all choices finished",
        ),
    ],
)
def test_what_a_cut_stream_is_worth(stream: list[Any], basis: Basis) -> None:
    assert chat(*stream, ended=False).basis is basis


@pytest.mark.parametrize(
    ("stream", "told", "basis"),
    [
        pytest.param([DELTA, OPENROUTER_ERROR], "502: Provider returned error", Basis.ESTIMATED, id="1.26"),
        pytest.param(
            [DELTA, OPENROUTER_ERROR, says(finish="error"), says(usage=used(9, 4))],
            "502: Provider returned error",
            REPORTED,
            id="1.26 with usage after the error",
        ),
        pytest.param(
            [says("x", usage=used(9, 4)), OPENROUTER_ERROR],
            "502: Provider returned error",
            Basis.PARTIAL,
            id="1.26 running figures before the error",
        ),
        pytest.param([{"error": "overloaded", "code": 503}], "503: overloaded", Basis.NONE, id="a bare message"),
        pytest.param([says("x", x_groq={"error": "over"})], "over", Basis.ESTIMATED, id="x_groq"),
        pytest.param([says("x", error=None), DONE], None, Basis.ESTIMATED, id="null is no error"),
    ],
)
def test_errors_in_a_stream(stream: list[Any], told: str | None, basis: Basis) -> None:
    reading = chat(*stream)
    assert (reading.in_stream_error, reading.basis) == (told, basis)


def test_choices_without_end_are_told_apart_up_to_a_bound() -> None:
    many = [says("x", index=n) for n in range(9999)]
    reading = chat(*many, *(says(finish="stop", index=n) for n in range(9999)), only_usage(9, 4), ended=False)
    assert figures(reading) == (REPORTED, 9, 4)
    assert chat(*many, says(finish="stop", usage=used(9, 4)), ended=False).basis is Basis.PARTIAL


def test_an_error_event_with_a_name() -> None:
    body = data(DELTA) + b'event: error\ndata: {"error":{"message":"m","code":"tool_use_failed"}}\n\n'
    assert read("openai.chat", [body]).in_stream_error == "tool_use_failed: m"


def test_usage_seen_before_an_error_in_json_is_kept() -> None:
    reading = chat(FINISH, only_usage(9, 4), b"{broken", DONE)
    assert figures(reading) == (REPORTED, 9, 4)
    assert reading.anomalies == {"not_json": 1}


def test_usage_survives_surprises_beside_it() -> None:
    odd = b'{"choices":[],"model":5,"seed":NaN,"x":"\\ud800","usage":{"prompt_tokens":9,"completion_tokens":4}}'
    assert figures(chat(odd, DONE)) == (REPORTED, 9, 4)


def test_what_else_a_stream_tells() -> None:
    reading = chat(
        {"id": "", "model": "", "choices": []},
        says("x", service_tier="auto"),
        says(finish="length", service_tier="default"),
        only_usage(9, 4),
        DONE,
    )
    assert (reading.response_id, reading.served_model, reading.service_tier) == ("c1", "m", "default")
    assert (reading.finish_reason, reading.terminal_evidence) == ("length", "[DONE]")


def test_a_tier_inside_usage() -> None:
    assert chat(says("x", usage=used(9, 4, service_tier="flex")), DONE).service_tier == "flex"


@pytest.mark.parametrize(
    ("message", "delivered"),
    [
        ({"content": "é"}, 2),
        ({"content": None, "role": "assistant"}, 0),
        ({"content": [{"type": "text", "text": "ab"}, {"type": "thinking", "thinking": [{"text": "cde"}]}]}, 5),
        ({"reasoning_content": "abc"}, 3),
        ({"reasoning": "abc", "reasoning_details": [{"text": "abc"}]}, 3),
        ({"reasoning": "abc", "reasoning_content": "abc"}, 3),
        ({"refusal": "no"}, 2),
        ({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"a":1}'}}]}, 8),
        ({"tool_calls": [{"function": {"arguments": None}}, {"custom": {"name": "g", "input": "in"}}]}, 3),
        ({"function_call": {"name": "f", "arguments": "{}"}}, 3),
        ({"audio": {"data": "AAAA", "transcript": "hey"}}, 3),
        ({"content": {"an": "object"}, "refusal": "no"}, 2),
    ],
)
def test_delivered_bytes_are_what_a_model_generated(message: dict[str, Any], delivered: int) -> None:
    streamed = chat({"choices": [{"index": 0, "delta": message}, {"index": 1, "delta": {"content": "!"}}]}, DONE)
    whole = read("openai.chat", [document({"choices": [{"index": 0, "message": message}]})])
    assert (streamed.delivered_bytes, whole.delivered_bytes) == (delivered + 1, delivered)


def test_a_document() -> None:
    body = document({"id": "c1", "model": "m", "choices": [{"finish_reason": "stop"}], "usage": used(9, 4)})
    reading = read("openai.chat", [b"\n\n" + body])  # row 7.14
    assert figures(reading) == (REPORTED, 9, 4)
    assert (reading.terminal_evidence, reading.finish_reason) == ("document", "stop")


def test_a_document_cut_off_is_estimated_from_all_its_bytes() -> None:
    body = document({"choices": [{"message": {"content": "a" * 81}}], "usage": used(9, 4)})[:100]
    reading = read("openai.chat", [body], ended=False)
    assert (reading.basis, reading.estimate, reading.terminal_evidence) == (Basis.ESTIMATED, Estimate(None, 25), None)
    assert reading.anomalies == {"not_json": 1}


def test_groqs_cache_statistics_are_no_usage() -> None:
    groq = {"usage": {"dram_cached_tokens": 5, "sram_cached_tokens": 6}}
    assert chat(says("x", x_groq=groq), DONE).basis is Basis.ESTIMATED


@pytest.mark.parametrize("depth", [200, 450, 900, 5000])
@pytest.mark.parametrize("around", [b"%s", b'{"model":5,"choices":[{"delta":{"content":%s}}]}', b'{"usage":%s}'])
def test_nesting_without_end_is_survived(depth: int, around: bytes) -> None:
    deep = b'[{"thinking":' * depth + b'"x"' + b"}]" * depth
    reading = chat(around % deep, only_usage(9, 4), DONE)
    assert figures(reading) == (REPORTED, 9, 4)


@pytest.mark.parametrize(
    ("usage", "figure"),
    [
        pytest.param(used(9, 4), (REPORTED, 9, 5, 4), id="they complete the body"),
        pytest.param(used(8, 4, prompt_tokens_details={"cached_tokens": 0}), (REPORTED, 8, 0, 4), id="the body wins"),
        pytest.param(None, (Basis.ESTIMATED, None, None, None), id="alone they are no report"),
    ],
)
def test_fireworks_counts_the_prompt_in_headers_2_16(usage: Any, figure: tuple[Basis, Any, Any, Any]) -> None:
    headers = [(b"fireworks-prompt-tokens", b"9"), (b"fireworks-cached-prompt-tokens", b"5"), (b"server", b"5")]
    meter = by_name("openai.chat").meter(Answer(200, headers=headers))
    meter.feed(data(DELTA, says(finish="stop", usage=usage), DONE))
    reading = meter.finish(ended=True)
    read_as = reading.usage
    assert (reading.basis, read_as.input_tokens, read_as.cache_read_tokens, read_as.output_tokens) == figure


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1))
def test_running_figures_are_never_summed(running: list[tuple[int, int]]) -> None:
    """Rows 1.7, 1.11, 1.12."""
    reading = chat(*(says("x", usage=used(*figure)) for figure in running), DONE)
    assert figures(reading) == (REPORTED, *running[-1])


NAMES = (
    "prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "cached_tokens", "num_cached_tokens",
    "prompt_cache_hit_tokens", "audio_prompt_tokens", "audio_tokens", "image_tokens", "cache_write_tokens",
    "ttl_5m_tokens", "web_search_requests", "service_tier", "cost", "cost_in_usd_ticks", "is_byok",
    "upstream_inference_cost", "anything_else",
)  # fmt: skip
OBJECTS = (
    "prompt_tokens_details", "completion_tokens_details", "cached_tokens_details", "cache_write_tokens_details",
    "server_tool_use_details", "server_side_tool_usage_details", "cost_details",
)  # fmt: skip
USAGES = usages(("prompt_tokens", "completion_tokens"), NAMES, OBJECTS)


@given(st.lists(USAGES, min_size=1, max_size=4), st.sampled_from(["usage", "x_groq", "choice"]), st.booleans())
def test_usage_reads_the_same_in_one_step_and_member_by_member(told: list[Any], place: str, ended: bool) -> None:
    last = {"usage": told[-1]}
    more = {"usage": last, "x_groq": {"x_groq": last}, "choice": {"choices": [{"index": 0, **last}]}}[place]
    stream = data(*(says("x", "stop", usage=usage) for usage in told[:-1]), says(finish="stop") | more)
    usual, exact = both_ways(openai_choices, lambda: read("openai.chat", [stream], ended=ended))
    assert usual == exact
    usual, exact = both_ways(openai_choices, lambda: read("openai.chat", [document(says("x") | last)]))
    assert usual == exact


@pytest.mark.parametrize("case", expected.cases("openai.chat", "mistral", "openai.completions"), ids=expected.name)
def test_a_recording_reads_the_same_in_one_step_and_member_by_member(case: Case) -> None:
    usual, exact = both_ways(openai_choices, lambda: replay(case, [case.body]))
    assert usual == exact


# --- asking for the usage frame, and taking it out again ---


@pytest.mark.parametrize(
    ("body", "asking"),
    [
        (b'{"stream":true}', b'{"stream_options":{"include_usage":true},"stream":true}'),
        (
            b'{ "stream": true, "stream_options": {"include_obfuscation": false} }',
            b'{ "stream": true, "stream_options": {"include_usage":true,"include_obfuscation": false} }',
        ),
        (
            b'{"stream":true,"stream_options":{"include_usage":false,"x":1.0}}',
            b'{"stream":true,"stream_options":{"include_usage":true,"x":1.0}}',
        ),
        (
            b'{"stream":true,"stream_options":{"include_usage":null}}',
            b'{"stream":true,"stream_options":{"include_usage":true}}',
        ),
        (b'{"stream":true,"stream_options":{}}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (b'{"stream":true,"stream_options":null}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (b'{"stream":true,"stream_options":{"include_usage":true}}', None),  # the client asks itself
        (b'{"stream":true,"stream_options":{"include_usage":"yes"}}', None),  # for the provider to judge
        (b'{"stream":true,"stream_options":"all"}', None),
        (b'{"stream":true,"stream_options":[]}', None),
        (b'{"stream":false}', None),  # row 1.20
        (b"{}", None),
    ],
)
def test_usage_is_asked_for_by_splicing(body: bytes, asking: bytes | None) -> None:
    """Row 1.16."""
    request = json.loads(body)
    ask = Ask(stream=request.get("stream", False), wants_usage=asks_for_usage(request.get("stream_options")))
    assert with_usage_frame(body, ask) == asking


def stripped(chunks: list[bytes]) -> bytes:
    strip = UsageFrameFilter()
    return b"".join([*(strip.feed(chunk) for chunk in chunks), strip.end()])


OURS = data(only_usage(9, 4, service_tier="default", obfuscation="x"))
KEPT = [
    pytest.param(data(DELTA, FINISH), id="deltas"),
    pytest.param(data(says(finish="stop", usage=used(9, 4))), id="usage with choices"),
    pytest.param(data(says(usage=used(9, 4))), id="usage with choices that say nothing"),
    pytest.param(data({"choices": [], "usage": None}), id="null usage"),
    pytest.param(data({"choices": [], "prompt_filter_results": []}), id="Azure's first chunk"),
    pytest.param(data({"usage": used(9, 4)}), id="no choices member"),
    pytest.param(data({"choices": None, "usage": used(9, 4)}), id="null choices"),
    pytest.param(data(OPENROUTER_ERROR | {"usage": used(9, 4)}), id="an error with usage"),
    pytest.param(data({"choices": [], "usage": []}), id="usage of another kind"),
    pytest.param(b": comment with usage\n\n", id="a comment"),
    pytest.param(b"data: usage, but not JSON\n\n", id="not JSON"),
    pytest.param(b"event: usage\n\n", id="no data"),
    pytest.param(data(DONE), id="[DONE]"),
    pytest.param(b"data: " + b"x" * 40_000 + b"usage\n\n", id="a frame over the bound"),
]


@pytest.mark.parametrize("block", KEPT)
def test_every_other_frame_stays_byte_for_byte(block: bytes) -> None:
    body = data(DELTA) + block + OURS + data(DONE)
    without = data(DELTA) + block + data(DONE)
    assert stripped([body]) == without
    assert stripped(list(single_bytes(body))) == without


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_the_usage_frame_goes_whatever_its_line_ends(newline: bytes) -> None:
    body = (data(FINISH) + OURS + data(DONE)).replace(b"\n", newline)
    without = data(FINISH, DONE).replace(b"\n", newline)
    assert stripped([body]) == without
    assert stripped(list(single_bytes(body))) == without


def test_an_unfinished_last_frame_goes_only_if_it_is_the_usage_frame() -> None:
    assert stripped([data(FINISH) + OURS[:-2]]) == data(FINISH)
    assert stripped([data(FINISH) + OURS[:-3]]) == data(FINISH) + OURS[:-3]
    assert stripped([b"data: [DONE]"]) == b"data: [DONE]"


def test_a_complete_frame_is_never_held() -> None:
    strip = UsageFrameFilter()
    for _ in range(3):
        assert strip.feed(data(DELTA)) == data(DELTA)
    assert strip.feed(data(DELTA) + OURS[:9]) == data(DELTA)
    assert strip.feed(OURS[9:] + data(DONE)) == data(DONE)


@pytest.mark.parametrize("after", [b"", b"\n"], ids=["CR", "CRLF"])
def test_a_frame_that_ends_in_cr_is_not_held_for_the_next_one_8_3(after: bytes) -> None:
    strip = UsageFrameFilter()
    frame, done = data(DELTA).replace(b"\n", b"\r"), data(DONE).replace(b"\n", b"\r")
    assert strip.feed(frame) == frame
    assert strip.feed(after + frame) == after + frame
    assert strip.feed(after + OURS.replace(b"\n", b"\r")) == after
    assert strip.feed(done) == done
    assert strip.end() == b""


def test_no_more_than_a_small_bound_is_held() -> None:
    strip = UsageFrameFilter()
    start = b"data: " + b"x" * (UsageFrameFilter.BOUND - 6)
    assert strip.feed(start) == b""
    assert strip.feed(b"y") == start + b"y"
    assert strip.feed(b"z") == b"z"
    assert strip.feed(b"\n\n" + OURS) == b"\n\n"


STREAMS = [case for case in expected.cases("openai.chat", "mistral") if case.verbatim and case.framing == "sse"]


def without_usage_frames(body: bytes) -> bytes:
    """The body without the blocks that are usage frames, found by looking at the whole of it at once."""
    blocks = body.replace(b"\n\n", b"\n\n\x00").split(b"\x00")
    chunks = [(block, json.loads(block[6:]) if block.startswith(b"data: {") else {}) for block in blocks]
    return b"".join(block for block, chunk in chunks if not (chunk.get("choices") == [] and chunk.get("usage")))


@pytest.mark.parametrize("case", [case for case in STREAMS if b"\r" not in case.body], ids=expected.name)
def test_recorded_streams_lose_their_usage_frame_at_any_split(case: Case) -> None:
    without = without_usage_frames(case.body)
    assert stripped([case.body]) == without

    @settings(max_examples=5, deadline=None)
    @given(CUTS)
    def lose_it(cuts: list[int]) -> None:
        assert stripped(cut_at(case.body, cuts)) == without

    lose_it()


def test_the_recordings_hold_frames_to_lose() -> None:
    assert sum(without_usage_frames(case.body) != case.body for case in STREAMS if b"\r" not in case.body) > 10


LISTS = st.sampled_from(
    [b'"choices":[]', b'"choices" : [ ]', b'"choices":[{}]', b'"choices": [{}]', b'"choices":null', b'"x":"choices"']
)
USED = st.sampled_from([b'"usage":{"prompt_tokens":1}', b'"usage":null', b'"usage":{}', b'"error":{"code":1}'])
MADE_UP = st.lists(st.lists(st.one_of(LISTS, USED), max_size=3), max_size=4)


@given(MADE_UP, st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_what_passes_at_a_glance_passes_byte_by_byte(events: list[list[bytes]], line: bytes, whole: bool) -> None:
    chunks = [b"data: {" + b",".join(members) + b"}" + line * 2 for members in events]
    body = b"".join(chunks) if whole else b"".join(chunks)[:-1]
    assert stripped([body]) == stripped(chunks if whole else [body]) == stripped(list(single_bytes(body)))


@given(st.binary())
def test_looking_for_a_usage_frame_never_raises(block: bytes) -> None:
    is_usage_frame(block + b"usage")
    assert stripped([block]) == block or b"usage" in block
