import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.base import Ask
from headgate.dialects.bound import (
    DEFAULT_OUTPUT,
    DEFAULT_WINDOW,
    TEMPLATE_TOKENS,
    TOOLS_TOKENS,
    Bound,
    ModelLimits,
    worst_case,
)
from headgate.dialects.reading import MAX_COUNT
from headgate.dialects.registry import by_name
from headgate.testing.corpus import Case, load
from tests.dialects import expected

KNOWN = ModelLimits(context_window=200_000, max_output=64_000)
UNKNOWN = ModelLimits()
SAID = TEMPLATE_TOKENS + 100
"""What a body of 100 bytes is bounded by."""


@pytest.mark.parametrize(
    ("ask", "limits", "tokens"),
    [
        # The prompt.
        (Ask(input_bytes=100), KNOWN, (SAID, 64_000)),
        (Ask(input_bytes=100, has_tools=True), KNOWN, (SAID + TOOLS_TOKENS, 64_000)),
        (Ask(input_bytes=900_000), KNOWN, (200_000, 64_000)),  # more would be refused
        (Ask(input_bytes=900_000), UNKNOWN, (900_000 + TEMPLATE_TOKENS, DEFAULT_OUTPUT)),
        (Ask(input_bytes=900_000, prompts=3, output_cap=0), KNOWN, (600_000, 0)),
        (Ask(input_bytes=100, attachments=2, attachment_tokens=5_000), KNOWN, (SAID + 10_000, 64_000)),
        (Ask(input_bytes=9_000, prompt_bytes=100, attachments=1, attachment_tokens=7), KNOWN, (SAID + 7, 64_000)),
        (Ask(input_bytes=100, stored_context=True), KNOWN, (200_000, 64_000)),
        (Ask(input_bytes=100, stored_context=True), UNKNOWN, (DEFAULT_WINDOW, DEFAULT_OUTPUT)),
        (Ask(input_bytes=5_000_000, stored_context=True), UNKNOWN, (5_000_000 + TEMPLATE_TOKENS, DEFAULT_OUTPUT)),
        # The output.
        (Ask(output_cap=0), KNOWN, (TEMPLATE_TOKENS, 0)),  # an embedding
        (Ask(output_cap=10), KNOWN, (TEMPLATE_TOKENS, 10)),
        (Ask(output_cap=10, choices=3), KNOWN, (TEMPLATE_TOKENS, 30)),
        (Ask(output_cap=10, choices=3, thinking_budget=5), KNOWN, (TEMPLATE_TOKENS, 45)),
        (Ask(choices=2), KNOWN, (TEMPLATE_TOKENS, 128_000)),
        (Ask(choices=2), ModelLimits(context_window=8_192), (TEMPLATE_TOKENS, 16_384)),
        (Ask(output_cap=100_000), KNOWN, (TEMPLATE_TOKENS, 100_000)),  # what is named is believed, up to the window
        (Ask(output_cap=10**9), KNOWN, (TEMPLATE_TOKENS, 200_000)),
        (Ask(output_cap=10**30, choices=10**30), UNKNOWN, (TEMPLATE_TOKENS, MAX_COUNT)),
    ],
)  # fmt: skip
def test_the_bound(ask: Ask, limits: ModelLimits, tokens: tuple[int, int]) -> None:
    assert worst_case(ask, limits) == Bound(*tokens)


def test_the_operators_own_defaults() -> None:
    bound = worst_case(Ask(stored_context=True), UNKNOWN, default_output=7, default_window=9_000)
    assert bound == Bound(9_000, 7)


def test_why_there_is_no_bound_is_passed_on() -> None:
    assert worst_case(Ask(unbounded="server_tools"), KNOWN).unbounded == "server_tools"


def test_a_count_takes_the_place_of_bytes_where_it_is_less() -> None:
    assert worst_case(Ask(input_bytes=100), KNOWN, prompt_tokens=30).input_tokens == TEMPLATE_TOKENS + 30
    assert worst_case(Ask(input_bytes=100), KNOWN, prompt_tokens=300).input_tokens == SAID
    pictured = Ask(input_bytes=9_000, prompt_bytes=100, attachments=1, attachment_tokens=7)
    assert worst_case(pictured, KNOWN, prompt_tokens=5_000).input_tokens == SAID + 7
    ranked = Ask(input_bytes=100, prompt_bytes=150)  # 50 bytes of query, read again
    assert worst_case(ranked, KNOWN, prompt_tokens=30).input_tokens == TEMPLATE_TOKENS + 80


counts = st.integers(0, 10**12)
ASKS = st.builds(
    Ask,
    output_cap=st.none() | counts,
    choices=st.integers(1, 10**6),
    input_bytes=counts,
    prompt_bytes=st.none() | counts,
    prompts=st.integers(1, 10**6),
    has_tools=st.booleans(),
    attachments=counts,
    attachment_tokens=counts,
    stored_context=st.booleans(),
    thinking_budget=counts,
)
LIMITS = st.builds(ModelLimits, st.none() | st.integers(1, 10**7), st.none() | st.integers(1, 10**7))


@given(ASKS, LIMITS, st.none() | counts)
def test_a_bound_is_never_less_for_asking_for_more(ask: Ask, limits: ModelLimits, counted: int | None) -> None:
    bound = worst_case(ask, limits, prompt_tokens=counted)
    assert 0 <= bound.input_tokens <= MAX_COUNT
    assert 0 <= bound.output_tokens <= MAX_COUNT
    one = {name: getattr(ask, name) + 1 for name in ("choices", "attachments", "thinking_budget", "input_bytes")}
    for name, value in one.items():
        more = worst_case(_with(ask, name, value), limits, prompt_tokens=counted)
        assert more.output_tokens >= bound.output_tokens
        assert more.input_tokens >= bound.input_tokens or name == "input_bytes"


def _with(ask: Ask, name: str, value: Any) -> Ask:
    fields = {field: getattr(ask, field) for field in Ask.__struct_fields__}
    return Ask(**(fields | {name: value}))


RECORDED = [
    case
    for case in load(expected.ARCHIVE)
    if case.request is not None and b"[elided " not in case.request and case.usage_raw is not None
]
SEARCH_UNASKED = {"groq/compound"}
"""Models with tools of their own, whose prompts no request bounds."""


def test_every_recorded_prompt_is_within_its_bound() -> None:
    """No window is known here, so that what a provider keeps elsewhere is bounded by the default one."""
    checked = 0
    for case in RECORDED:
        usage = expected.usage(case)
        if usage.input_tokens is None or case.model in SEARCH_UNASKED:
            continue
        assert case.request is not None
        bound = worst_case(by_name(case.wire_dialect).read_ask(case.request, ()), UNKNOWN)
        assert usage.input_tokens <= bound.input_tokens, case.id
        checked += 1
    assert checked > 600


def test_every_recorded_answer_is_within_its_bound() -> None:
    checked = 0
    for case in RECORDED:
        ask = _asked(case)
        output = expected.usage(case).output_tokens
        if output is not None and ask.output_cap:
            assert output <= worst_case(ask, UNKNOWN).output_tokens, case.id
            checked += 1
    assert checked > 150


def _asked(case: Case) -> Ask:
    assert case.request is not None
    assert isinstance(json.loads(case.request), dict)
    return by_name(case.wire_dialect).read_ask(case.request, ())
