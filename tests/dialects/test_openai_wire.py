import json
from decimal import Decimal
from typing import Any

import pytest

from headgate.dialects.openai_wire import completion_usage, error_object, reported_cost
from headgate.dialects.reading import Anomalies
from headgate.errors import (
    BadRequest,
    Forbidden,
    HeadgateError,
    PaymentRequired,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unpriced,
    UpstreamTimeout,
)
from headgate.usage import Usage


def read(raw: dict[str, Any]) -> tuple[Usage, dict[str, int]]:
    anomalies = Anomalies()
    return completion_usage(raw, anomalies), dict(anomalies)


def tokens(prompt: int, completion: int, total: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **more}


def reasoning(n: int) -> dict[str, Any]:
    return {"completion_tokens_details": {"reasoning_tokens": n}}


@pytest.mark.parametrize(
    ("raw", "usage", "anomalies"),
    [
        pytest.param({}, Usage(), {}, id="nothing"),
        pytest.param(tokens(5, 2, 7), Usage(input_tokens=5, output_tokens=2), {}, id="plain"),
        pytest.param(
            tokens(10120, 1499, 14428, **reasoning(2809)),
            Usage(input_tokens=10120, output_tokens=4308, reasoning_tokens=2809),
            {},
            id="2.1 xAI: reasoning beside the completion",
        ),
        pytest.param(
            tokens(10, 30, 40, **reasoning(22)),
            Usage(input_tokens=10, output_tokens=30, reasoning_tokens=22),
            {},
            id="2.1 OpenAI: reasoning inside the completion",
        ),
        pytest.param(
            tokens(66, 6, 100),
            Usage(input_tokens=66, output_tokens=6),
            {"total_mismatch": 1},
            id="2.1 neither identity holds: nothing is changed",
        ),
        pytest.param(
            tokens(66, 6, 100, **reasoning(5)),
            Usage(input_tokens=66, output_tokens=6, reasoning_tokens=5),
            {"total_mismatch": 1},
            id="2.1 neither identity holds with reasoning",
        ),
        pytest.param(
            tokens(19, 1720, 1739, reasoning_tokens=0, prompt_tokens_details=None),
            Usage(input_tokens=19, output_tokens=1720, reasoning_tokens=0),
            {},
            id="top-level reasoning, null details",
        ),
        pytest.param(
            tokens(339, 92, 431, prompt_cache_hit_tokens=320, prompt_cache_miss_tokens=19),
            Usage(input_tokens=339, cache_read_tokens=320, output_tokens=92),
            {},
            id="2.5 2.7 DeepSeek: hits are read, misses are not written",
        ),
        pytest.param(
            tokens(20, 30, 50, cached_tokens=10),
            Usage(input_tokens=20, cache_read_tokens=10, output_tokens=30),
            {},
            id="1.14 Moonshot: cached at the top",
        ),
        pytest.param(
            tokens(100, 29, 129, num_cached_tokens=99),
            Usage(input_tokens=100, cache_read_tokens=99, output_tokens=29),
            {},
            id="Mistral: num_cached_tokens",
        ),
        pytest.param(
            tokens(18014, 1, 18015, prompt_tokens_details={"cached_tokens": 3, "cache_write_tokens": 18011}),
            Usage(input_tokens=18014, cache_read_tokens=3, cache_write_tokens=18011, output_tokens=1),
            {},
            id="2.8 writes are slices of the input",
        ),
        pytest.param(
            tokens(
                9, 1, 10, prompt_tokens_details={"cache_write_tokens": 7, "cache_write_tokens_details": {
                    "ttl_30m_tokens": 5, "ttl_12h_tokens": 2}},
            ),
            Usage(
                input_tokens=9, cache_write_tokens=7, cache_write_tokens_by_ttl={"30m": 5, "12h": 2}, output_tokens=1
            ),
            {},
            id="2.8 writes by time to live",
        ),
        pytest.param(
            tokens(
                9, 1, 10, prompt_tokens_details={"cache_write_tokens": 7, "cache_write_tokens_details": {
                    "ttl_30m_tokens": 5}},
            ),
            Usage(input_tokens=9, cache_write_tokens=7, output_tokens=1),
            {"cache_write_split_mismatch": 1},
            id="writes by time to live that do not add up",
        ),
        pytest.param(
            tokens(
                9, 8, 17, prompt_tokens_details={"audio_tokens": 4, "image_tokens": 3},
                completion_tokens_details={"audio_tokens": 2, "image_tokens": 1},
            ),
            Usage(
                input_tokens=9, input_audio_tokens=4, input_image_tokens=3, output_tokens=8, output_audio_tokens=2,
                output_image_tokens=1,
            ),
            {},
            id="2.14 modalities",
        ),
        pytest.param(
            tokens(5, 2, 7, audio_prompt_tokens=0),
            Usage(input_tokens=5, input_audio_tokens=0, output_tokens=2),
            {},
            id="Azure: audio_prompt_tokens",
        ),
        pytest.param(
            tokens(-5, 2, 7, prompt_tokens_details={"cached_tokens": Decimal("1.5")}),
            Usage(output_tokens=2),
            {"not_a_count.prompt_tokens": 1, "not_a_count.cached_tokens": 1},
            id="2.18 no counts",
        ),
        pytest.param(
            {"prompt_tokens": "3", "completion_tokens": Decimal("1.0"), "total_tokens": "4"},
            Usage(input_tokens=3, output_tokens=1),
            {},
            id="2.18 counts as strings and integral decimals",
        ),
        pytest.param(
            tokens(5, 2, 7, prompt_tokens_details={"cached_tokens": 6}, **reasoning(3)),
            Usage(input_tokens=5, cache_read_tokens=6, output_tokens=2, reasoning_tokens=3),
            {"cache_read_tokens_over_total": 1, "reasoning_tokens_over_total": 1},
            id="2.18 details above their totals",
        ),
        pytest.param({"total_tokens": 9}, Usage(), {}, id="a total alone tells neither part"),
        pytest.param(
            {"completion_tokens": 4, "total_tokens": 9}, Usage(output_tokens=4), {}, id="no prompt is an unknown prompt"
        ),
        pytest.param(
            tokens(5, 2, 7, server_tool_use_details={"web_search_requests": 1, "tool_calls_requested": 1}),
            Usage(input_tokens=5, output_tokens=2, tool_calls={"web_search": 1}),
            {},
            id="2.15 OpenRouter's tools",
        ),
        pytest.param(
            tokens(5, 2, 7, server_side_tool_usage_details={"web_search_calls": 1, "x_search_calls": 0}),
            Usage(input_tokens=5, output_tokens=2, tool_calls={"web_search": 1, "x_search": 0}),
            {},
            id="2.15 xAI's tools, zeros kept",
        ),
    ],
)  # fmt: skip
def test_usage_in_every_spelling(raw: dict[str, Any], usage: Usage, anomalies: dict[str, int]) -> None:
    assert read(raw) == (usage, anomalies)


BYOK = {"cost": Decimal("0.001"), "cost_details": {"upstream_inference_cost": Decimal("0.02")}}


@pytest.mark.parametrize(
    ("raw", "nanos", "odd"),
    [
        pytest.param({"cost_in_usd_ticks": 232856000}, 23_285_600, False, id="2.2 ticks"),
        pytest.param({"cost_in_usd_ticks": 2709000}, 270_900, False, id="2.2 more ticks"),
        pytest.param({"cost_in_usd_ticks": 0}, 0, False, id="2.2 none to pay"),
        pytest.param({"cost": Decimal("0.0076509169000000005")}, 7_650_917, False, id="2.3 dollars"),
        pytest.param({"cost": 0, "is_byok": False}, 0, False, id="2.3 none to pay"),
        pytest.param(BYOK | {"is_byok": True}, 21_000_000, False, id="2.3 the operator's own key: both"),
        pytest.param(BYOK | {"is_byok": False}, 1_000_000, False, id="2.3 OpenRouter's key: cost has it all"),
        pytest.param(BYOK, 1_000_000, False, id="2.3 no key told"),
        pytest.param(BYOK | {"is_byok": True, "cost_details": None}, 1_000_000, False, id="2.3 details null"),
        pytest.param(
            {"cost": {"input_tokens_cost": Decimal("0.1"), "request_cost": 0, "total_cost": Decimal("0.3")}},
            300_000_000, False, id="2.4 Perplexity",
        ),
        pytest.param({}, None, False, id="not told"),
        pytest.param({"cost": None}, None, False, id="null"),
        pytest.param({"cost": Decimal(-1)}, None, True, id="negative"),
        pytest.param({"cost": Decimal("NaN")}, None, True, id="not a number"),
        pytest.param({"cost": Decimal("1e999990")}, None, True, id="beyond any bill"),
        pytest.param({"cost": True}, None, True, id="a bool"),
        pytest.param({"cost": "0.5"}, None, True, id="a text"),
        pytest.param({"cost_in_usd_ticks": Decimal("0.5")}, None, True, id="half a tick"),
        pytest.param({"cost_in_usd_ticks": -1}, None, True, id="negative ticks"),
    ],
)  # fmt: skip
def test_reported_cost(raw: dict[str, Any], nanos: int | None, odd: bool) -> None:
    anomalies = Anomalies()
    assert reported_cost(raw, anomalies) == nanos
    assert bool(anomalies["not_a_cost"]) == odd


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequest("no", param="model"), "invalid_request_error"),
        (Unauthorized("no"), "invalid_request_error"),
        (PaymentRequired("no"), "insufficient_quota"),
        (Forbidden("no"), "invalid_request_error"),
        (Unpriced("no", param="model"), "invalid_request_error"),
        (RateLimited("no"), "rate_limit_exceeded"),
        (TooLarge("no"), "invalid_request_error"),
        (HeadgateError("no"), "server_error"),
        (UpstreamTimeout("no"), "server_error"),
    ],
)
def test_error_types_follow_the_status(error: HeadgateError, kind: str) -> None:
    told = {"message": "no", "type": kind, "param": error.param, "code": error.code}
    assert error_object(error) == told
    assert json.dumps(told)


def test_cache_reads_by_modality() -> None:
    """facts/stream_cases.md 2.14: parts of what was cached, which is a part of the input."""
    details: dict[str, Any] = {
        "cached_tokens": 6,
        "audio_tokens": 5,
        "cached_tokens_details": {"audio_tokens": 4, "image_tokens": 2},
    }
    anomalies = Anomalies()
    usage = completion_usage({"prompt_tokens": 9, "prompt_tokens_details": details}, anomalies)
    assert (usage.cache_read_tokens, usage.cache_read_audio_tokens, usage.cache_read_image_tokens) == (6, 4, 2)
    assert not anomalies
    details["cached_tokens"] = 3
    completion_usage({"prompt_tokens": 9, "prompt_tokens_details": details}, anomalies)
    assert anomalies == {"cache_read_audio_tokens_over_total": 1}
