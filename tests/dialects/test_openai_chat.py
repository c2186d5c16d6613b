import json
from typing import Any

import pytest
from hypothesis import given, settings

from headgate.dialects.base import Ask, Metering
from headgate.dialects.openai_chat import DIALECT
from headgate.errors import BadRequest, UnknownModel, UpstreamCut
from headgate.testing.corpus import Case
from headgate.usage import Basis
from tests.dialects import expected
from tests.dialects.playbook import CUTS, asked, cut_at, read, replay, single_bytes

CASES = expected.cases("openai.chat", "mistral")
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
def test_a_recording_names_its_model(case: Case) -> None:
    named = replay(case, [case.body]).served_model
    assert named == case.model or (named is None and case.provider == "snowflake")  # which names none in some answers


@pytest.mark.parametrize("case", [case for case in CASES if case.request is not None], ids=expected.name)
def test_a_recorded_request_is_read(case: Case) -> None:
    assert case.request is not None
    sent: dict[str, Any] = json.loads(case.request)
    ask = DIALECT.read_ask(case.request, ())
    assert (ask.model, ask.stream) == (sent.get("model"), sent.get("stream", False))
    assert ask.wants_usage == bool((sent.get("stream_options") or {}).get("include_usage"))


@pytest.mark.parametrize(
    ("body", "ask"),
    [
        ({"model": "m", "messages": []}, Ask(model="m")),
        ({"model": "m", "stream": True}, Ask(model="m", stream=True)),
        ({"stream": None, "model": None, "n": None}, Ask()),
        ({"max_tokens": 1, "max_completion_tokens": 1000}, Ask(output_cap=1000)),  # row 1.32
        ({"max_tokens": 7, "n": 3}, Ask(output_cap=7, choices=3)),
        ({"max_tokens": "many", "n": 0, "stream_options": 5}, Ask()),  # for the provider to judge
        ({"stream": True, "stream_options": {"include_usage": True}}, Ask(stream=True, wants_usage=True)),
        ({"stream": True, "stream_options": {"include_usage": False}}, Ask(stream=True)),
    ],
)
def test_what_an_ask_takes_from_a_request(body: dict[str, Any], ask: Ask) -> None:
    text = json.dumps(body).encode()
    read = DIALECT.read_ask(text, ())
    assert read.input_bytes == len(text)
    assert read == Ask(ask.model, ask.stream, ask.output_cap, ask.choices, len(text), ask.wants_usage)


def test_a_model_named_twice_is_refused() -> None:
    with pytest.raises(BadRequest, match="names 'model' more than once") as refusal:
        DIALECT.read_ask(b'{"model":"cheap","model":"dear"}', ())
    assert refusal.value.param == "model"


def test_only_creating_is_metered() -> None:
    assert [op.name for op in DIALECT.operations if op.metering is not Metering.FREE] == ["create"]


def test_an_error_has_openais_shape() -> None:
    error = UnknownModel("No provider serves 'm'.", param="model")
    assert json.loads(DIALECT.error_body(error, "x1")) == {
        "error": {
            "message": "No provider serves 'm'.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }


def test_an_error_in_a_stream_is_a_data_line() -> None:
    frame = DIALECT.error_frame(UpstreamCut("The provider's connection broke."), "x1")
    assert frame == (
        b'data: {"error": {"message": "The provider\'s connection broke.", "type": "server_error", "param": null, '
        b'"code": "upstream_connection_lost"}}\n\n'
    )
    told = read("openai.chat", [frame]).in_stream_error
    assert told == "upstream_connection_lost: The provider's connection broke."


CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (CHAT, {}),
        ({"max_tokens": 9, "max_completion_tokens": "100"}, {}),  # one that is invalid voids the other
        ({"max_tokens": -1}, {}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
        ({"service_tier": 5}, {}),
        ({"tools": [{"type": "function"}]}, {"has_tools": True}),
        ({"tools": []}, {}),
        ({"prompt_cache_key": "thread-7"}, {"sticky_id": "thread-7"}),
        ({"prompt_cache_key": 7}, {}),
        (
            {"tools": [{"type": "web_search"}]},
            {"has_tools": True, "stored_context": True, "unbounded": "server_tools"},
        ),
        ({"web_search_options": {}}, {"stored_context": True, "unbounded": "server_tools"}),
        ({"plugins": [{"id": "web"}]}, {"stored_context": True, "unbounded": "server_tools"}),
        ({"max_tokens": 5, "thinking_budget": 7}, {"output_cap": 5, "thinking_budget": 7}),
        ({"reasoning": {"max_tokens": 7}, "thinking": {"budget_tokens": 8}}, {"thinking_budget": 8}),
        ({"prediction": {"content": "0123"}}, {"thinking_budget": len('{"content": "0123"}')}),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, PICTURE, PICTURE]}]},
            {"attachments": 2, "attachment_tokens": 50_000},
        ),
    ],
)
def test_what_bounds_a_request(body: dict[str, Any], told: dict[str, Any]) -> None:
    assert asked("openai.chat", body) == told
    assert asked("azure.deployments", CHAT | body) == told


@pytest.mark.parametrize("member", ["max_tokens", "max_completion_tokens", "n", "stream_options", "service_tier"])
def test_what_bounds_a_request_is_named_once(member: str) -> None:
    """One server would take the first, another the last."""
    with pytest.raises(BadRequest, match=f"names '{member}' more than once") as refusal:
        DIALECT.read_ask(b'{"model":"m","%b":9000,"%b":1}' % (member.encode(), member.encode()), ())
    assert refusal.value.param == member
