"""An independent reading of `usage_raw` by design/usage.md, sharing no code with the dialects."""

import json
import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from headgate.testing.corpus import Case, load, of_dialects
from headgate.usage import Leg, Usage

ARCHIVE = Path(__file__).parents[1] / "corpus.tar.xz"


def cases(*wire_dialects: str) -> list[Case]:
    return of_dialects(load(ARCHIVE), *wire_dialects)


def name(case: Case) -> str:
    return f"{case.dialect}/{case.id}"


def usage(case: Case) -> Usage:
    raw: dict[str, Any] = dict(case.usage_raw or {})
    match case.wire_dialect.split("."):
        case ["anthropic", _]:
            found = messages(raw)
        case ["google", _]:
            found = google(raw, google_searches(case))
        case ["bedrock", _]:
            found = bedrock(raw, case.usage_headers)
        case ["cohere"]:
            found = cohere(raw)
        case ["ollama"]:
            found = Usage(input_tokens=raw.get("prompt_eval_count"), output_tokens=raw.get("eval_count"))
        case ["openai", "responses"]:
            found = responses(raw, tool_usage(case))
        case ["openai", "embeddings"]:
            found = Usage(input_tokens=raw.get("prompt_tokens", raw.get("total_tokens")))
        case _:
            found = completions(raw)
    return found


def nanos(dollars: Any) -> int:
    return int((Decimal(dollars) * 10**9).quantize(Decimal(1), ROUND_HALF_UP))


def cost(raw: Mapping[str, Any]) -> int | None:
    if "cost_in_usd_ticks" in raw:
        return int((Decimal(raw["cost_in_usd_ticks"]) / 10).quantize(Decimal(1), ROUND_HALF_UP))
    if raw.get("cost") is None:
        return None
    if isinstance(raw["cost"], dict):
        return nanos(raw["cost"]["total_cost"])
    total = Decimal(raw["cost"])
    if raw.get("is_byok"):
        total += Decimal((raw.get("cost_details") or {}).get("upstream_inference_cost") or 0)
    return nanos(total)


def calls(raw: Mapping[str, Any]) -> dict[str, int] | None:
    found = {
        key.removesuffix(suffix): n
        for member, suffix in (
            ("server_tool_use", "_requests"),
            ("server_tool_use_details", "_requests"),
            ("server_side_tool_usage_details", "_calls"),
        )
        for key, n in (raw.get(member) or {}).items()
        if key.endswith(suffix)
    }
    return found or None


def completions(raw: Mapping[str, Any]) -> Usage:
    given = raw.get("prompt_tokens_details") or {}
    made = raw.get("completion_tokens_details") or {}
    prompt, output, total = raw.get("prompt_tokens"), raw.get("completion_tokens"), raw.get("total_tokens")
    reasoning = made.get("reasoning_tokens", raw.get("reasoning_tokens"))
    if prompt and output and total and prompt + output != total == prompt + output + (reasoning or 0):
        output += reasoning
    cached = [given.get("cached_tokens"), *(raw.get(k) for k in ("prompt_cache_hit_tokens", "cached_tokens"))]
    return Usage(
        input_tokens=prompt,
        cache_read_tokens=next((n for n in [*cached, raw.get("num_cached_tokens")] if n is not None), None),
        cache_write_tokens=given.get("cache_write_tokens"),
        input_audio_tokens=given.get("audio_tokens", raw.get("audio_prompt_tokens")),
        input_image_tokens=given.get("image_tokens"),
        output_tokens=output,
        reasoning_tokens=reasoning,
        output_audio_tokens=made.get("audio_tokens"),
        output_image_tokens=made.get("image_tokens"),
        tool_calls=calls(raw),
        reported_cost_nanos=cost(raw),
    )


def tool_usage(case: Case) -> dict[str, Any]:
    """The last `tool_usage` in the body: it stands beside `usage`, so usage_raw is without it."""
    texts = [case.body] if case.framing == "json" else re.findall(rb"(?m)^data: ?(.*)$", case.body)
    found: dict[str, Any] = {}
    for text in texts:
        value = json.loads(text) if text[:1] == b"{" else {}
        found = value.get("response", value).get("tool_usage") or found
    return found


def responses(raw: Mapping[str, Any], tools: Mapping[str, Any]) -> Usage:
    searches = {"web_search": tools["web_search"]["num_requests"]} if tools else None
    assert not tools or not tools["image_gen"]["total_tokens"]  # no recording generates an image so
    return Usage(
        input_tokens=raw.get("input_tokens"),
        cache_read_tokens=raw.get("input_tokens_details", {}).get("cached_tokens"),
        cache_write_tokens=raw.get("input_tokens_details", {}).get("cache_write_tokens"),
        output_tokens=raw.get("output_tokens"),
        reasoning_tokens=raw.get("output_tokens_details", {}).get("reasoning_tokens"),
        tool_calls=searches or calls(raw),
        reported_cost_nanos=cost(raw),
    )


def messages(raw: Mapping[str, Any]) -> Usage:
    if not raw:
        return Usage()
    read, written = raw.get("cache_read_input_tokens"), raw.get("cache_creation_input_tokens")
    split = raw.get("cache_creation")
    by_ttl = {ttl: split[f"ephemeral_{ttl}_input_tokens"] for ttl in ("5m", "1h")} if split else None
    legs = [
        Leg(row["type"], row.get("model"), messages({k: v for k, v in row.items() if k != "type"}))
        for row in raw.get("iterations", [])
        if row["type"] in {"compaction", "advisor_message"}
    ]
    return Usage(
        input_tokens=raw["input_tokens"] + (read or 0) + (written or 0),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_tokens_by_ttl=by_ttl if by_ttl and sum(by_ttl.values()) == written else None,
        output_tokens=raw["output_tokens"],
        reasoning_tokens=raw.get("output_tokens_details", {}).get("thinking_tokens"),
        tool_calls=calls(raw),
        legs=tuple(legs),
    )


def google(raw: Mapping[str, Any], tools: Mapping[str, int]) -> Usage:
    prompt, tool_use = raw.get("promptTokenCount"), raw.get("toolUsePromptTokenCount")
    candidates, thoughts = raw.get("candidatesTokenCount"), raw.get("thoughtsTokenCount")
    if prompt is not None:  # no recording has the thoughts within the candidates
        assert raw["totalTokenCount"] == sum(n or 0 for n in (prompt, tool_use, candidates, thoughts))
    pictures = [
        sum(row["tokenCount"] for row in raw.get(key, []) if row["modality"] == "IMAGE") or None
        for key in ("promptTokensDetails", "candidatesTokensDetails")
    ]
    return Usage(
        input_tokens=prompt + (tool_use or 0) if prompt is not None else None,
        cache_read_tokens=raw.get("cachedContentTokenCount"),
        input_image_tokens=pictures[0],
        output_tokens=None if candidates is None and thoughts is None else (candidates or 0) + (thoughts or 0),
        reasoning_tokens=thoughts,
        output_image_tokens=pictures[1],
        tool_calls=tools or None,
    )


def google_searches(case: Case) -> dict[str, int]:
    """The queries told beside the usage: each non-empty one once. Of the recordings, one asked Google Maps instead."""
    asked = re.findall(rb'"webSearchQueries"\s*:\s*(\[[^\]]*\])', case.body)
    queries = {query for found in asked for query in json.loads(found) if query}
    return {"google_maps" if "maps-grounding" in case.id else "google_search": len(queries)} if queries else {}


def bedrock(raw: Mapping[str, Any], head: Mapping[str, str]) -> Usage:
    """By the names that a model's own form has; from the head where the body counts nothing."""
    if "input_tokens" in raw:
        return messages(raw)
    if "prompt_tokens" in raw:
        return completions(raw)
    if not raw:
        assert not any("cache" in name for name in head)
        told = {
            kind: int(head[name])
            for kind in ("input", "output")
            if (name := f"x-amzn-bedrock-{kind}-token-count") in head
        }
        return Usage(input_tokens=told.get("input"), output_tokens=told.get("output"))
    for prompt, made in (
        ("inputTextTokenCount", "results[].tokenCount"),
        ("prompt_token_count", "generation_token_count"),
        ("inputTokenCount", "outputTokenCount"),
    ):
        if prompt in raw:
            return Usage(input_tokens=raw[prompt], output_tokens=raw.get(made))
    read = raw.get("cacheReadInputTokens", raw.get("cacheReadInputTokenCount"))
    written = raw.get("cacheWriteInputTokens", raw.get("cacheWriteInputTokenCount"))
    given = raw["inputTokens"] + (read or 0) + (written or 0)
    assert raw.get("totalTokens", given + raw["outputTokens"]) == given + raw["outputTokens"]
    return Usage(
        input_tokens=given,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_tokens_by_ttl={row["ttl"]: row["inputTokens"] for row in raw.get("cacheDetails", [])} or None,
        output_tokens=raw["outputTokens"],
    )


def cohere(raw: Mapping[str, Any]) -> Usage:
    tokens = raw.get("tokens") or {}
    given, pictures = tokens.get("input_tokens"), tokens.get("image_tokens")
    return Usage(
        input_tokens=given if pictures is None else given + pictures,
        cache_read_tokens=raw.get("cached_tokens"),
        input_image_tokens=pictures,
        output_tokens=tokens.get("output_tokens"),
        billed_units=raw.get("billed_units"),
    )
