import json
from decimal import Decimal
from typing import Any

import pytest

from headgate.pricing.book import PriceBook, check
from headgate.pricing.cost import cost
from headgate.pricing.litellm import book_from, is_litellm
from headgate.usage import Usage
from tests.pricing.books import AT

PUBLISHED = """{
  "sample_spec": {"litellm_provider": "one of", "input_cost_per_token": 0.0},
  "gpt-x": {
    "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 128000, "supports_vision": true,
    "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-06,
    "input_cost_per_token_above_272k_tokens": 5e-06, "output_cost_per_token_above_272k_tokens": 1.5e-05,
    "input_cost_per_token_priority": 5e-06, "input_cost_per_token_above_272k_tokens_priority": 1e-05,
    "input_cost_per_token_flex": 1.25e-06, "input_cost_per_token_batches": 1.2e-06,
    "output_cost_per_token_batches": 5e-06,
    "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.01},
    "output_cost_per_image": 0.0
  },
  "anthropic/claude-x": {
    "litellm_provider": "anthropic", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
    "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
    "provider_specific_entry": {"us": 1.1, "fast": 6.0, "other": {"x": 1}}
  },
  "vertex_ai/gemini-x": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 1e-06},
  "whisper-x": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001},
  "rerank-x": {"litellm_provider": "cohere", "input_cost_per_query": 0.002},
  "image-x": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_image": 0.04},
  "sizes-x": {"litellm_provider": "openai", "input_cost_per_token": 1e-06,
              "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.02}},
  "negative-x": {"litellm_provider": "openai", "input_cost_per_token": -1e-06},
  "nothing-x": {"litellm_provider": "openai", "mode": "chat"},
  "elsewhere": {"litellm_provider": "somebody", "input_cost_per_token": 1e-06}
}"""


def read() -> Any:
    return json.loads(PUBLISHED, parse_float=Decimal)


MADE, UNKNOWN = book_from(read(), {"name": "here"})
BOOK = PriceBook.from_json(MADE)


def test_the_shape_is_known() -> None:
    assert is_litellm(read())
    assert not is_litellm([])
    assert not is_litellm({"providers": {"openai": {}}})


def test_costs_of_unknown_kinds_are_listed_and_their_models_left_out() -> None:
    assert UNKNOWN == [
        "openai/image-x: output_cost_per_image",
        "openai/sizes-x: search_context_cost_per_query",
        "openai/negative-x: input_cost_per_token",
    ]
    assert {model.id for model in BOOK.models()} == {"gpt-x", "claude-x", "gemini-x", "whisper-x", "rerank-x"}
    assert not list(check(BOOK))


BY_HAND: list[tuple[str, str, Usage, dict[str, str], int]] = [
    # 600 x 2500 + 400 x 1250 + 10 x 10000
    ("openai", "gpt-x", Usage(input_tokens=1_000, cache_read_tokens=400, output_tokens=10), {}, 2_100_000),
    # above 272000: 272001 x 5000 + 10 x 15000
    ("openai", "gpt-x", Usage(input_tokens=272_001, output_tokens=10), {}, 1_360_155_000),
    # at it: 272000 x 2500 + 10 x 10000
    ("openai", "gpt-x", Usage(input_tokens=272_000, output_tokens=10), {}, 680_100_000),
    ("openai", "gpt-x", Usage(input_tokens=1_000, output_tokens=0), {"service_tier": "priority"}, 5_000_000),
    ("openai", "gpt-x", Usage(input_tokens=300_000, output_tokens=0), {"service_tier": "priority"}, 3_000_000_000),
    ("openai", "gpt-x", Usage(input_tokens=1_000, output_tokens=0), {"service_tier": "flex"}, 1_250_000),
    ("openai", "gpt-x", Usage(input_tokens=1_000, output_tokens=10), {"service_tier": "batch"}, 1_250_000),
    ("openai", "gpt-x", Usage(input_tokens=0, output_tokens=0, tool_calls={"web_search": 3}), {}, 30_000_000),
    # 10 x 3000 + 20 x 3750 + 70 x 6000
    (
        "anthropic",
        "claude-x",
        Usage(input_tokens=100, cache_write_tokens=90, output_tokens=0, cache_write_tokens_by_ttl={"5m": 20, "1h": 70}),
        {},
        525_000,
    ),
    ("anthropic", "claude-x", Usage(input_tokens=100, output_tokens=0), {"inference_geo": "us"}, 330_000),
    ("anthropic", "claude-x", Usage(input_tokens=100, output_tokens=0), {"speed": "fast"}, 1_800_000),
    ("openai", "whisper-x", Usage(billed_units={"seconds": 30}), {}, 3_000_000),
    ("cohere", "rerank-x", Usage(billed_units={"search_units": 2}), {}, 4_000_000),
]


@pytest.mark.parametrize(("provider", "model", "usage", "terms", "nanos"), BY_HAND)
def test_by_hand(provider: str, model: str, usage: Usage, terms: dict[str, str], nanos: int) -> None:
    told = cost(usage, provider, model, BOOK, AT, terms)
    assert (told.nanos, told.unpriced) == (nanos, ())


def test_windows_of_context_come_along() -> None:
    price = BOOK.find("openai", "gpt-x", AT)
    assert price is not None
    assert price.context_window == 128_000
