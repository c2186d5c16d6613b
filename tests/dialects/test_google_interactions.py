import json
from typing import Any

import pytest

from headgate.dialects.base import Ask, Metering
from headgate.dialects.google_interactions import DIALECT
from headgate.dialects.registry import recognise
from headgate.errors import UpstreamCut
from headgate.usage import Basis, Reading, Usage
from tests.dialects.playbook import asked, data, document, single_bytes
from tests.dialects.playbook import read as read_as

USAGE = {
    "total_input_tokens": 20,
    "total_output_tokens": 30,
    "total_thought_tokens": 8,
    "total_cached_tokens": 4,
    "total_tool_use_tokens": 5,
    "total_tokens": 63,
    "input_tokens_by_modality": [{"modality": "text", "tokens": 18}, {"modality": "image", "tokens": 2}],
    "output_tokens_by_modality": [{"modality": "audio", "tokens": 7}],
    "grounding_tool_count": [{"type": "google_search", "count": 2}, {"type": "google_maps"}, 3],
}
READ = Usage(
    input_tokens=25,
    cache_read_tokens=4,
    input_image_tokens=2,
    output_tokens=38,
    reasoning_tokens=8,
    output_audio_tokens=7,
    tool_calls={"google_search": 2},
)
DONE = {"id": "i-1", "status": "completed", "model": "gemini-3-pro", "service_tier": "flex", "usage": USAGE}
CREATED = {"event_type": "interaction.created", "interaction": {"id": "i-1", "status": "in_progress"}}
DELTA = {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "Hello"}}
COMPLETED = {"event_type": "interaction.completed", "interaction": DONE, "event_id": "e9"}


def read(*chunks: bytes, ended: bool = True) -> Reading:
    return read_as("google.interactions", chunks, ended=ended)


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
def test_a_stream(end: bytes) -> None:
    body = data(CREATED, DELTA, COMPLETED) + end
    reading = read(body)
    assert reading == Reading(
        usage=READ,
        basis=Basis.REPORTED,
        served_model="gemini-3-pro",
        response_id="i-1",
        service_tier="flex",
        finish_reason="completed",
        terminal_evidence="interaction.completed",
        delivered_bytes=5,
    )
    assert read(*single_bytes(body)) == reading


def test_a_whole_interaction() -> None:
    steps = [{"type": "user_input"}, {"type": "model_output", "content": [{"type": "text", "text": "Hi"}, {}]}]
    reading = read(document(DONE | {"steps": steps}))
    assert (reading.usage, reading.basis, reading.terminal_evidence) == (READ, Basis.REPORTED, "document")
    assert reading.delivered_bytes == 2


def test_thoughts_and_arguments_are_delivered_too() -> None:
    thought = {"event_type": "step.delta", "delta": {"type": "thought_summary", "content": {"text": "Hm."}}}
    call = {"event_type": "step.delta", "delta": {"type": "arguments_delta", "arguments": "{}"}}
    assert read(data(thought, call), ended=False).delivered_bytes == 3 + len('"{}"')
    steps = [{"type": "thought", "summary": [{"type": "text", "text": "Hm."}]}]
    assert read(document(DONE | {"steps": steps})).delivered_bytes == 3


def test_one_that_goes_on_in_the_background_has_no_final_usage() -> None:
    queued = read(document({"id": "i-1", "status": "queued", "usage": None}))
    assert (queued.basis, queued.finish_reason) == (Basis.NONE, "queued")
    assert read(document(DONE | {"status": "in_progress"})).basis is Basis.PARTIAL


def test_a_stream_that_is_cut_has_no_end() -> None:
    reading = read(data(CREATED, DELTA), ended=False)
    assert (reading.basis, reading.terminal_evidence, reading.delivered_bytes) == (Basis.ESTIMATED, None, 5)


@pytest.mark.parametrize(
    ("counts", "given", "made"),
    [
        ((20, 5, 30, 8, 63), 25, 38),
        ((20, 5, 30, 8, 55), 25, 30),
        ((20, 5, 30, 8, 58), 20, 38),
        ((20, 5, 30, 8, 50), 20, 30),
        ((20, None, 30, 8, 58), 20, 38),
        ((20, None, 30, 8, None), 20, 38),
        ((20, None, 30, None, 50), 20, 30),
        ((None, None, 30, None, None), None, 30),
    ],
)
def test_the_total_decides_what_is_part_of_what(
    counts: tuple[int | None, ...], given: int | None, made: int | None
) -> None:
    names = ("total_input_tokens", "total_tool_use_tokens", "total_output_tokens", "total_thought_tokens")
    usage = dict(zip((*names, "total_tokens"), counts, strict=True))
    reading = read(document({"usage": usage}))
    assert (reading.usage.input_tokens, reading.usage.output_tokens) == (given, made)
    assert reading.anomalies == {}


def test_a_total_that_fits_in_no_way_is_noted() -> None:
    reading = read(document({"usage": USAGE | {"total_tokens": 999}}))
    assert (reading.usage, reading.anomalies) == (READ, {"total_mismatch": 1})


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({"event_type": "error", "error": {"code": "quota", "message": "m"}}, "quota: m"),
        ({"event_type": "error"}, "error"),
        ({"interaction": {"id": "i", "status": "failed", "error": {"code": 13, "message": "m"}}}, "13: m"),
    ],
)
def test_errors_within(event: dict[str, Any], told: str) -> None:
    assert read(data(CREATED, event)).in_stream_error == told


def test_what_is_not_json_is_noted() -> None:
    assert read(data(b"?")).anomalies == {"not_json": 1}
    body = document(DONE)[:-9]
    assert read(body, ended=False).delivered_bytes == len(body)


@pytest.mark.parametrize(
    ("method", "path", "operation", "metering"),
    [
        ("POST", "/v1beta/interactions", "create", Metering.COUNTED),
        ("GET", "/v1/interactions/i-1", "retrieve", Metering.REPEATED),
        ("POST", "/v1/interactions/i-1/cancel", "cancel", Metering.REPEATED),
        ("DELETE", "/v1/interactions/i-1", "delete", Metering.FREE),
    ],
)
def test_paths(method: str, path: str, operation: str, metering: Metering) -> None:
    match = recognise(method, path)
    assert match is not None
    assert match.dialect is DIALECT
    assert (match.operation.name, match.operation.metering) == (operation, metering)


def test_what_an_ask_takes_from_a_request() -> None:
    config = {"max_output_tokens": 7}
    body = json.dumps({"model": "gemini-3", "stream": True, "generation_config": config}).encode()
    assert DIALECT.read_ask(body, ()) == Ask("gemini-3", stream=True, output_cap=7, input_bytes=len(body))
    agent = json.dumps({"agent": "deep-research-1", "generation_config": 1}).encode()
    assert DIALECT.read_ask(agent, ()) == Ask(
        "deep-research-1", input_bytes=len(agent), stored_context=True, unbounded="server_tools"
    )


def test_our_own_error_is_read_as_one() -> None:
    frame = DIALECT.error_frame(UpstreamCut("lost"), "ex_1")
    assert read(data(CREATED) + frame).in_stream_error == "UNAVAILABLE: lost"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"input": "Hi", "generation_config": {"max_output_tokens": True}}, {}),
        ({"previous_interaction_id": "i", "service_tier": "flex"}, {"stored_context": True, "service_tier": "flex"}),
        ({"tools": [{"type": "function"}]}, {"has_tools": True}),
        (
            {"tools": [{"type": "google_search"}]},
            {"has_tools": True, "stored_context": True, "unbounded": "server_tools"},
        ),
        ({"input": [{"type": "image", "uri": "u"}]}, {"attachments": 1, "attachment_tokens": 50_000}),
        ({"input": [{"type": "document", "data": "JVBERi0="}]}, {"stored_context": True}),
    ],
)
def test_what_bounds_a_request(body: dict[str, Any], told: dict[str, Any]) -> None:
    assert asked("google.interactions", body) == told


def test_cache_reads_by_modality() -> None:
    rows = [{"modality": "audio", "tokens": 3}, {"modality": "image", "tokens": 2}]
    usage = {"total_input_tokens": 9, "total_cached_tokens": 5, "cached_tokens_by_modality": rows}
    reading = read(json.dumps({"id": "i", "status": "completed", "usage": usage}).encode())
    assert (reading.usage.cache_read_audio_tokens, reading.usage.cache_read_image_tokens) == (3, 2)
