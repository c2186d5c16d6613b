from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects import anthropic_usage, anthropic_wire
from headgate.dialects.reading import Anomalies
from headgate.testing.corpus import Case
from headgate.usage import Leg, Usage
from tests.dialects import expected
from tests.dialects.playbook import both_ways, document, events, read, replay, usages

NAMES = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "ephemeral_2h_input_tokens", "web_search_requests",
    "web_fetch_requests", "code_requests", "thinking_tokens", "service_tier", "speed", "inference_geo",
    "output_tokens_of_another_kind", "anything_else",
)  # fmt: skip
OBJECTS = ("cache_creation", "server_tool_use", "output_tokens_details", "iterations")
ITERATIONS: list[Any] = [
    [{"type": "compaction", "model": "c", "input_tokens": 3, "output_tokens": 4}],
    [{"type": "fallback_message", "model": "f"}, {"type": "new"}, 5],
]
USAGES = usages(("input_tokens", "output_tokens"), NAMES, OBJECTS)
TOLD = USAGES | st.builds(lambda rows: {"output_tokens": 1, "iterations": rows}, st.sampled_from(ITERATIONS))


def stream(told: list[Any], *, stops: bool) -> bytes:
    """The first usage with the start, the others with deltas."""
    start = {"type": "message_start", "message": {"id": "m1", "model": "m", "usage": told[0]}}
    deltas = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage} for usage in told[1:]]
    return events(start, *deltas, *([{"type": "message_stop"}] if stops else []))


@given(st.lists(TOLD, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_usage_reads_the_same_in_one_step_and_member_by_member(told: list[Any], stops: bool, ended: bool) -> None:
    body = stream(told, stops=stops)
    usual, exact = both_ways(anthropic_wire, lambda: read("anthropic.messages", [body], ended=ended))
    assert usual == exact
    whole = document({"id": "m1", "model": "m", "content": [], "usage": told[-1]})
    usual, exact = both_ways(anthropic_wire, lambda: read("anthropic.messages", [whole]))
    assert usual == exact


@pytest.mark.parametrize("case", expected.cases("anthropic.messages"), ids=expected.name)
def test_a_recording_reads_the_same_in_one_step_and_member_by_member(case: Case) -> None:
    usual, exact = both_ways(anthropic_wire, lambda: replay(case, [case.body]))
    assert usual == exact


def test_a_cut_stream_has_the_input_alone() -> None:
    usage = {"input_tokens": 5, "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 1}}
    assert read("anthropic.messages", [stream([usage], stops=False)], ended=False).usage == Usage(input_tokens=5)


def test_what_the_totals_leave_out_is_a_leg() -> None:
    anomalies = Anomalies()
    raw = {"input_tokens": 1, "output_tokens": 2, "iterations": ITERATIONS[0]}
    leg = Leg("compaction", "c", Usage(input_tokens=3, output_tokens=4))
    assert anthropic_usage.message_usage(raw, anomalies) == Usage(input_tokens=1, output_tokens=2, legs=(leg,))
    assert not anomalies
    assert [anthropic_usage.fallback_model(rows) for rows in (*ITERATIONS, None, 5)] == [None, "f", None, None]
