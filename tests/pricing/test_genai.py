import json
from decimal import Decimal
from typing import Any

import pytest

from headgate.pricing.book import PriceBook, check
from headgate.pricing.genai import book_from, is_genai

PUBLISHED = """[
  {"id": "x-ai", "name": "X", "models": [
    {"id": "Grok", "match": {"or": [{"equals": "Grok"}, {"equals": "grok-latest"}, {"regex": "^grok-\\\\d$"}]},
     "context_window": 1000, "prices": {"input_mtok": 2.5, "output_mtok": 5e-1, "cache_read_mtok": null,
                                        "novel_mtok": 3}},
    {"id": "dated", "match": {"starts_with": "dated"}, "prices": [
      {"prices": {"input_mtok": {"base": 1, "tiers": [{"start": 400, "price": 3}, {"start": 200, "price": 2.0}]}}},
      {"constraint": {"start_date": "2026-10-14"}, "prices": {"input_mtok": 4}},
      {"constraint": {"start_time": "18:30:00+02:00", "end_time": "00:30:00Z"}, "prices": {"input_mtok": 5}}],
     "price_variants": [{"when": {"service_tier": "default"}, "prices": {}},
                        {"when": {"processing": "batch"}, "prices": {"input_mtok": 0.5},
                         "constraint": {"start_date": "2026-10-14"}}]},
    {"id": "gift:free", "match": {"equals": "gift:free"}, "prices": {}},
    {"id": "mystery", "match": {"equals": "mystery"}, "prices": {}}
  ]},
  {"id": "google", "models": [], "fallback_model_providers": ["x-ai"]},
  {"id": "anthropic", "models": [{"id": "claude", "match": {"equals": "claude"}, "prices": {"input_mtok": 1}}]},
  {"id": "huggingface_groq", "models": [
    {"id": "meta/Llama", "match": {"or": [{"equals": "meta/llama"}, {"equals": "meta/llama-fast"}]},
     "prices": {"input_mtok": 1}}]},
  {"id": "groq", "models": [
    {"id": "whisper-large-v3", "match": {"equals": "whisper-large-v3"}, "prices": {"audio_hours": 0.111}}]}
]"""


def read() -> Any:
    return json.loads(PUBLISHED, parse_float=Decimal)


def test_the_published_shape() -> None:
    assert is_genai(read())
    made, unknown = book_from(read(), {"name": "here"})
    assert unknown == ["x-ai/Grok: no such unit novel_mtok"]
    assert made["source"] == {"name": "here"}
    grok, dated, gift, mystery = made["providers"]["xai"]["models"]
    assert grok == {
        "id": "Grok",
        "names": ["grok-latest"],
        "match": [{"regex": "^grok-\\d$"}],
        "context": 1000,
        "prices": [{"rates": {"input_mtok": "2.5", "output_mtok": "0.5"}}],
    }
    assert dated["prices"] == [
        {"rates": {"input_mtok": ["1", [200, "2"], [400, "3"]]}},
        {"rates": {"input_mtok": "4"}, "from": "2026-10-14"},
        {"rates": {"input_mtok": "5"}, "between": ["16:30:00", "00:30:00"]},
    ]
    assert dated["variants"] == [
        {"when": {"processing": "batch"}, "rates": {"input_mtok": "0.5"}, "from": "2026-10-14"}
    ]
    assert gift["prices"] == [{"rates": {"input_mtok": "0", "output_mtok": "0"}}]
    assert mystery["prices"] == [{"rates": {}}]
    assert not list(check(PriceBook.from_json(made)))


def test_what_providers_bill_and_the_data_does_not_say() -> None:
    shelves = book_from(read(), {})[0]["providers"]
    assert shelves["anthropic"]["models"][0]["times"] == [{"when": {"inference_geo": "us"}, "by": "1.1"}]
    assert shelves["anthropic"]["models"][0]["prices"][0]["rates"]["tool:web_fetch"] == "0"
    assert shelves["groq"]["models"][0]["least"]["audio_hours"] == 10


def test_providers_that_sell_for_others() -> None:
    shelves = book_from(read(), {})[0]["providers"]
    assert shelves["google"]["fallback"] == ["xai"]
    assert shelves["vertex"] == {"fallback": ["xai"], "as": "google", "models": []}
    (routed,) = shelves["huggingface"]["models"]
    assert (routed["id"], routed["names"]) == ("meta/Llama:groq", ["meta/llama-fast:groq"])


BAD: list[Any] = [
    [{"id": "x", "models": [{"id": "m"}]}],
    [{"id": "x", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": -1}}]}],
    [
        {
            "id": "x",
            "models": [
                {
                    "id": "m",
                    "match": {"equals": "m"},
                    "prices": [{"constraint": {"moon": "full"}, "prices": {"input_mtok": 1}}],
                }
            ],
        }
    ],
    [{"id": "x", "models": 3}],
]


@pytest.mark.parametrize("providers", BAD)
def test_another_shape_is_refused(providers: Any) -> None:
    with pytest.raises(ValueError, match=r"not genai-prices' data|not a price|unknown constraint"):
        book_from(providers, {})


@pytest.mark.parametrize("content", [{}, [1], [{"id": "x"}], "x"])
def test_other_json_is_not_taken_for_it(content: Any) -> None:
    assert not is_genai(content)
