"""What the usage of Anthropic's messages says: its shape, its sums and its legs (facts/wire.md section 4)."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from headgate.dialects.reading import Anomalies, Count, Counts, Snapshot, check_parts, split_of, text
from headgate.usage import Leg, Usage

_BESIDE_TOTALS = frozenset({"compaction", "advisor_message"})
"""Iterations that the top-level usage leaves out (recordings; facts/wire.md section 4)."""
_IN_TOTALS = frozenset({"message", "fallback_message"})


class _CacheCreation(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """All counts here are read, whatever their names: where there is another, the object does not fit."""

    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class _ServerTools(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Likewise."""

    web_search_requests: Count | None = None
    web_fetch_requests: Count | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: Count | None = None


class MessageUsage(msgspec.Struct, gc=False):
    """The usual shape of what `message_usage` reads."""

    output_tokens: Count
    input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: _CacheCreation | None = None
    server_tool_use: _ServerTools | None = None
    output_tokens_details: _OutputDetails | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    iterations: None = None


USAGE = msgspec.json.Decoder(MessageUsage).decode


def fallback_model(iterations: Any) -> str | None:
    """The model that answered in place of the one asked for, where iterations tell of one."""
    if not iterations:
        return None
    rows = (row for row in _objects(iterations) if row.get("type") == "fallback_message")
    return next((model for row in rows if (model := text(row.get("model"))) is not None), None)


def _objects(rows: Any) -> list[dict[str, Any]]:
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def usage_of(told: Snapshot[MessageUsage], anomalies: Anomalies, *, output_counts: bool) -> Usage:
    """The usage of all snapshots; the output is left out where it does not count."""
    if told.usual is not None and output_counts:
        return _usual(told.usual, anomalies)
    raw = told.members
    if not output_counts:
        raw = {key: value for key, value in raw.items() if not key.startswith("output_tokens")}
    return message_usage(raw, anomalies)


def _usual(told: MessageUsage, anomalies: Anomalies) -> Usage:
    """The same as `message_usage` of the same members."""
    split, tools, details = told.cache_creation, told.server_tool_use, told.output_tokens_details
    parts = {} if split is None else {"5m": split.ephemeral_5m_input_tokens, "1h": split.ephemeral_1h_input_tokens}
    calls = {} if tools is None else {"web_search": tools.web_search_requests, "web_fetch": tools.web_fetch_requests}
    return _summed(
        (told.input_tokens, told.cache_read_input_tokens, told.cache_creation_input_tokens),
        {ttl: n for ttl, n in parts.items() if n is not None},
        (told.output_tokens, None if details is None else details.thinking_tokens),
        {name: n for name, n in calls.items() if n is not None},
        anomalies,
    )


def message_usage(raw: Mapping[str, Any], anomalies: Anomalies) -> Usage:
    """A message's usage. On the wire the three kinds of input are disjoint; here they are summed (facts/wire.md 10b).

    Iterations that the totals leave out become legs, each with the model that its row names.
    """
    usage = _tokens(raw, anomalies)
    legs: list[Leg] = []
    for row in _objects(raw.get("iterations")):
        kind = text(row.get("type")) or "unnamed"
        if kind in _BESIDE_TOTALS:
            legs.append(Leg(kind, text(row.get("model")), _tokens(row, anomalies)))
        elif kind not in _IN_TOTALS:
            anomalies["unknown_iteration"] += 1
    return replace(usage, legs=tuple(legs)) if legs else usage


def _tokens(raw: Mapping[str, Any], anomalies: Anomalies) -> Usage:
    counts = Counts(raw, anomalies)
    named = counts.named("cache_creation", suffix="_input_tokens")
    return _summed(
        (
            counts.get("input_tokens"),
            counts.get("cache_read_input_tokens"),
            counts.get("cache_creation_input_tokens"),
        ),
        {name.removeprefix("ephemeral_"): n for name, n in named.items()},
        (counts.get("output_tokens"), counts.get("output_tokens_details", "thinking_tokens")),
        counts.named("server_tool_use", suffix="_requests"),
        anomalies,
    )


def _summed(
    given: tuple[int | None, int | None, int | None],
    parts: Mapping[str, int],
    made: tuple[int | None, int | None],
    calls: Mapping[str, int],
    anomalies: Anomalies,
) -> Usage:
    """The usage of fresh, read and written input, writes by time to live, output and thinking, and calls of tools."""
    (fresh, read, written), (output, thinking) = given, made
    if written is None and parts:
        written = sum(parts.values())
    usage = Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_tokens_by_ttl=split_of(written, parts, anomalies),
        output_tokens=output,
        reasoning_tokens=thinking,
        tool_calls=calls or None,
    )
    return check_parts(usage, anomalies)
