"""What the APIs of OpenAI's family have in common, and no dialect itself: error objects, usage arithmetic, cost."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from headgate.dialects.base import Dialect
from headgate.dialects.reading import Anomalies, Count, Counts, check_parts, split_of
from headgate.errors import HeadgateError
from headgate.money import nanos_from_dollars, nanos_from_ticks
from headgate.usage import Leg, Usage

_TYPES = {402: "insufficient_quota", 429: "rate_limit_exceeded"}
"""The words that clients know for these (facts/wire.md section 10); OpenAI itself says 429 for both."""


def error_object(error: HeadgateError) -> dict[str, Any]:
    """OpenAI's error object. Its API calls most 4xx `invalid_request_error` (recordings)."""
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    return {"message": error.message, "type": kind, "param": error.param, "code": error.code}


def error_body(error: HeadgateError) -> bytes:
    """The error as a whole answer (facts/wire.md section 1)."""
    return json.dumps({"error": error_object(error)}, ensure_ascii=False).encode()


class OpenAIDialect(Dialect):
    """An API of OpenAI's family: how it tells errors."""

    def error_body(self, error: HeadgateError, exchange_id: str) -> bytes:
        """`{"error": {...}}`; the exchange's id has no place in it and stands in a header."""
        del exchange_id
        return error_body(error)

    def error_frame(self, error: HeadgateError, exchange_id: str) -> bytes:
        """A data line whose object has `error`, which is how clients know it (facts/wire.md section 1)."""
        return b"data: " + self.error_body(error, exchange_id) + b"\n\n"


class _Unusual(msgspec.Struct, kw_only=True, gc=False):
    """What a usage of the usual shape does not tell: services' own costs, and calls of their own tools."""

    server_tool_use_details: None = None
    server_side_tool_usage_details: None = None
    cost: None = None
    cost_in_usd_ticks: None = None
    cost_details: None = None
    is_byok: None = None


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None
    cached_tokens_details: None = None
    cache_write_tokens_details: None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    image_tokens: Count | None = None


class CompletionUsage(_Unusual, gc=False):
    """The usual shape of what `completion_usage` reads."""

    prompt_tokens: Count
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    reasoning_tokens: Count | None = None
    prompt_cache_hit_tokens: Count | None = None
    cached_tokens: Count | None = None
    num_cached_tokens: Count | None = None
    audio_prompt_tokens: Count | None = None
    service_tier: str | None = None


_NO_PROMPT_DETAILS, _NO_COMPLETION_DETAILS = _PromptDetails(), _CompletionDetails()


def usual_completion_usage(told: CompletionUsage, anomalies: Anomalies) -> Usage:
    """The same as `completion_usage` of the same members."""
    given = told.prompt_tokens_details or _NO_PROMPT_DETAILS
    made = told.completion_tokens_details or _NO_COMPLETION_DETAILS
    read, heard, reasoning = given.cached_tokens, given.audio_tokens, made.reasoning_tokens
    if read is None:
        read = told.prompt_cache_hit_tokens
        if read is None:
            read = told.num_cached_tokens if told.cached_tokens is None else told.cached_tokens
    if reasoning is None:
        reasoning = told.reasoning_tokens
    usage = Usage(
        input_tokens=told.prompt_tokens,
        cache_read_tokens=read,
        cache_write_tokens=given.cache_write_tokens,
        input_audio_tokens=told.audio_prompt_tokens if heard is None else heard,
        input_image_tokens=given.image_tokens,
        output_tokens=_completion(told.prompt_tokens, told.completion_tokens, told.total_tokens, reasoning, anomalies),
        reasoning_tokens=reasoning,
        output_audio_tokens=made.audio_tokens,
        output_image_tokens=made.image_tokens,
    )
    return check_parts(usage, anomalies)


def _completion(
    prompt: int | None, completion: int | None, total: int | None, reasoning: int | None, anomalies: Anomalies
) -> int | None:
    """All that was generated.

    Reasoning is part of the completion, except where the service's own total shows it beside it, as xAI's does
    (facts/stream_cases.md 2.1).
    """
    if prompt is None or completion is None or total is None or prompt + completion == total:
        return completion
    if reasoning and prompt + completion + reasoning == total:
        return completion + reasoning
    anomalies["total_mismatch"] += 1
    return completion


def completion_usage(raw: Mapping[str, Any], anomalies: Anomalies) -> Usage:
    """`prompt_tokens` and `completion_tokens`, as all compatible services spell them (facts/wire.md section 8)."""
    counts = Counts(raw, anomalies)
    prompt, completion, total = (counts.get(f"{name}_tokens") for name in ("prompt", "completion", "total"))
    reasoning = counts.first(("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",))
    written = counts.get("prompt_tokens_details", "cache_write_tokens")
    usage = Usage(
        input_tokens=prompt,
        cache_read_tokens=counts.first(
            ("prompt_tokens_details", "cached_tokens"),
            ("prompt_cache_hit_tokens",),
            ("cached_tokens",),
            ("num_cached_tokens",),
        ),
        cache_read_audio_tokens=counts.get("prompt_tokens_details", "cached_tokens_details", "audio_tokens"),
        cache_read_image_tokens=counts.get("prompt_tokens_details", "cached_tokens_details", "image_tokens"),
        cache_write_tokens=written,
        cache_write_tokens_by_ttl=write_split(counts, written, anomalies, "prompt_tokens_details"),
        input_audio_tokens=counts.first(("prompt_tokens_details", "audio_tokens"), ("audio_prompt_tokens",)),
        input_image_tokens=counts.get("prompt_tokens_details", "image_tokens"),
        output_tokens=_completion(prompt, completion, total, reasoning, anomalies),
        reasoning_tokens=reasoning,
        output_audio_tokens=counts.get("completion_tokens_details", "audio_tokens"),
        output_image_tokens=counts.get("completion_tokens_details", "image_tokens"),
        tool_calls=tool_calls(counts) or None,
        reported_cost_nanos=reported_cost(raw, anomalies),
    )
    return check_parts(usage, anomalies)


def write_split(counts: Counts, written: int | None, anomalies: Anomalies, details: str) -> Mapping[str, int] | None:
    """Cache writes by time to live: `cache_write_tokens_details` {"ttl_30m_tokens", ...} (facts/wire.md section 2)."""
    named = counts.named(details, "cache_write_tokens_details", suffix="_tokens")
    parts = {name.removeprefix("ttl_"): n for name, n in named.items() if name.startswith("ttl_")}
    return split_of(written, parts, anomalies)


def tool_calls(counts: Counts) -> dict[str, int]:
    """Server-tool calls by name, reported zeros included: OpenRouter's and xAI's spellings (facts/wire.md 8)."""
    return counts.named("server_tool_use_details", suffix="_requests") | counts.named(
        "server_side_tool_usage_details", suffix="_calls"
    )


def reported_cost(raw: Mapping[str, Any], anomalies: Anomalies) -> int | None:
    """The provider's own cost in nano-dollars.

    xAI sends `cost_in_usd_ticks`, Perplexity `cost.total_cost`, OpenRouter `cost`; to the last, what the operator's own
    key paid the upstream is added only where `is_byok` says so (facts/stream_cases.md 2.2 to 2.4).
    """
    ticks, cost = raw.get("cost_in_usd_ticks"), raw.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if ticks is None and cost is None:
        return None
    nanos = None
    if type(ticks) is int:
        nanos = nanos_from_ticks(ticks)
    elif (dollars := _amount(cost)) is not None:
        details = raw.get("cost_details") if raw.get("is_byok") is True else None
        upstream = _amount(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
        nanos = nanos_from_dollars(dollars + (upstream or 0))
    if nanos is None:
        anomalies["not_a_cost"] += 1
    return nanos


def _amount(value: Any) -> Decimal | None:
    """A number of dollars, or None; what is beyond any bill is none, and is kept out of decimal arithmetic."""
    if type(value) is not int and not isinstance(value, Decimal):
        return None
    dollars = Decimal(value)
    return dollars if dollars.is_finite() and dollars.adjusted() < 20 else None


class _InputDetails(msgspec.Struct, gc=False):
    cached_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cached_tokens_details: None = None
    cache_write_tokens_details: None = None


class _OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count | None = None


class ResponseUsage(_Unusual, gc=False):
    """The usual shape of what `response_usage` reads."""

    input_tokens: Count
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


_NO_INPUT_DETAILS, _NO_OUTPUT_DETAILS = _InputDetails(), _OutputDetails()


def usual_response_usage(told: ResponseUsage, anomalies: Anomalies) -> Usage:
    """The same as `response_usage` of the same members, where there is no `tool_usage` beside them."""
    given = told.input_tokens_details or _NO_INPUT_DETAILS
    made = told.output_tokens_details or _NO_OUTPUT_DETAILS
    read, written = given.cached_tokens, given.cache_write_tokens
    _check_total(told.input_tokens, told.output_tokens, told.total_tokens, anomalies)
    usage = Usage(
        input_tokens=told.input_tokens,
        cache_read_tokens=given.cache_read_input_tokens if read is None else read,
        cache_write_tokens=given.cache_creation_input_tokens if written is None else written,
        output_tokens=told.output_tokens,
        reasoning_tokens=made.reasoning_tokens,
    )
    return check_parts(usage, anomalies)


def _check_total(given: int | None, made: int | None, total: int | None, anomalies: Anomalies) -> None:
    if given is not None and made is not None and total is not None and given + made != total:
        anomalies["total_mismatch"] += 1


def response_usage(
    raw: Mapping[str, Any], tool_usage: Mapping[str, Any], image_model: str | None, anomalies: Anomalies
) -> Usage:
    """A response's `usage`, details being parts of totals, and its `tool_usage`, which is beside it."""
    counts = Counts(raw, anomalies)
    given, made, total = counts.get("input_tokens"), counts.get("output_tokens"), counts.get("total_tokens")
    _check_total(given, made, total, anomalies)
    written = counts.first(
        ("input_tokens_details", "cache_write_tokens"), ("input_tokens_details", "cache_creation_input_tokens")
    )
    usage = Usage(
        input_tokens=given,
        cache_read_tokens=counts.first(
            ("input_tokens_details", "cached_tokens"), ("input_tokens_details", "cache_read_input_tokens")
        ),
        cache_read_audio_tokens=counts.get("input_tokens_details", "cached_tokens_details", "audio_tokens"),
        cache_read_image_tokens=counts.get("input_tokens_details", "cached_tokens_details", "image_tokens"),
        cache_write_tokens=written,
        cache_write_tokens_by_ttl=write_split(counts, written, anomalies, "input_tokens_details"),
        output_tokens=made,
        reasoning_tokens=counts.get("output_tokens_details", "reasoning_tokens"),
        tool_calls=(tool_calls(counts) | _searches(tool_usage, anomalies)) or None,
        reported_cost_nanos=reported_cost(raw, anomalies),
        legs=_image_leg(Counts(tool_usage, anomalies), image_model),
    )
    return check_parts(usage, anomalies)


def _searches(tool_usage: Mapping[str, Any], anomalies: Anomalies) -> dict[str, int]:
    """Billed searches, which are fewer than the search items in the output (facts/stream_cases.md 2.15)."""
    requests = Counts(tool_usage, anomalies).get("web_search", "num_requests")
    return {} if requests is None else {"web_search": requests}


def _image_leg(counts: Counts, model: str | None) -> tuple[Leg, ...]:
    """Image generation inside a response: its tokens are not in `usage` (facts/wire.md section 2)."""
    usage = Usage(
        input_tokens=counts.get("image_gen", "input_tokens"),
        cache_read_tokens=counts.get("image_gen", "cached_tokens"),
        cache_read_image_tokens=counts.get("image_gen", "cached_tokens_details", "image_tokens"),
        input_image_tokens=counts.get("image_gen", "input_tokens_details", "image_tokens"),
        output_tokens=counts.get("image_gen", "output_tokens"),
        output_image_tokens=counts.get("image_gen", "output_tokens_details", "image_tokens"),
    )
    return (Leg("image_generation", model, usage),) if usage.input_tokens or usage.output_tokens else ()
