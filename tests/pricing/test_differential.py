"""Our cost beside genai-prices' `calc_price`, for all models in its data: equal to the nano, or listed with why not."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from genai_prices.data_units import unit_data

from headgate.pricing import genai
from headgate.pricing.book import PriceBook, as_bytes
from headgate.pricing.cost import cost
from headgate.pricing.units import UNITS, unit_of
from headgate.usage import Usage
from tests.pricing.oracle import (
    ALL,
    PACKAGED,
    PROVIDERS,
    at_ns,
    moments,
    ours,
    packaged,
    prices,
    published,
    their_nanos,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

USAGES = [
    Usage(input_tokens=0, output_tokens=0),
    Usage(input_tokens=1, output_tokens=1),
    Usage(input_tokens=1_234, output_tokens=567, reasoning_tokens=500),
    Usage(input_tokens=10_000, cache_read_tokens=7_001, output_tokens=1_003),
    Usage(input_tokens=18_014, cache_read_tokens=3, cache_write_tokens=18_011, output_tokens=9),
    Usage(
        input_tokens=5_000,
        cache_read_tokens=1_000,
        cache_write_tokens=3_000,
        cache_write_tokens_by_ttl={"5m": 1_000, "1h": 2_000},
        output_tokens=10,
    ),
    Usage(input_tokens=3_001, input_audio_tokens=2_000, output_tokens=900, output_audio_tokens=700),
    Usage(input_tokens=3_001, input_image_tokens=1_999, output_tokens=900, output_image_tokens=899),
    Usage(input_tokens=2_000, input_audio_tokens=700, input_image_tokens=300, cache_read_tokens=900, output_tokens=1),
    Usage(input_tokens=1_000_003, cache_read_tokens=300_001, output_tokens=99_999),
    Usage(input_tokens=500, output_tokens=20, tool_calls={"web_search": 3, "file_search": 2}),
]
TERMS: list[dict[str, str]] = [
    {"processing": "batch"},
    {"service_tier": "flex"},
    {"service_tier": "priority"},
    {"service_tier": "fast"},
    {"speed": "fast"},
    {"processing": "batch", "service_tier": "flex"},
]
BOUNDARIES = (100_000, 128_000, 200_000, 256_000, 272_000)

NO_RATES = {
    "cerebras/qwen-3-coder-480b",
    "github-copilot/gpt-3.5-turbo",
    "github-copilot/gpt-4.1",
    "github-copilot/gpt-4o",
    "github-copilot/gpt-4o-mini",
    "google/gemma-3",
    "google/gemma-3n",
    "google/gemma-4-26b-a4b-it",
    "huggingface_together/ServiceNow-AI/Apriel-1.6-15b-Thinker",
    "huggingface_together/prism-ml/Ternary-Bonsai-27B-gguf",
    "huggingface_together/prism-ml/Ternary-Bonsai-27B-AWQ-4bit",
    "openrouter/gemini-2.5-pro-exp-03-25",
    "openrouter/google/gemini-flash-1.5-8b-exp",
    "openrouter/google/lyria-3-clip-preview",
    "openrouter/google/lyria-3-pro-preview",
    "openrouter/stealth/crouton-alpha",
}
"""Without rates in the data genai-prices says $0, and we that we do not know."""


BY_OTHER_UNITS = {
    f"{provider.id}/{model.id}"
    for provider, model in ALL
    if (rates := [set(vars(price)) for price in prices(model)]) and any(rates)
    if not any(unit.endswith("_mtok") for units in rates for unit in units)
}
"""Sold by the second, page or character. Where only tokens are told, genai-prices says $0, and we do not know."""


def test_every_model_at_every_moment_and_usage() -> None:
    found: Counter[str] = Counter()
    unpriced: set[str] = set()
    by_other_units: set[str] = set()
    for provider, model in ALL:
        for moment in moments(model, NOW):
            for usage in USAGES:
                told = cost(usage, ours(provider), model.id, packaged(), at_ns(moment), {})
                label = f"{provider.id}/{model.id}"
                wanted = their_nanos(provider, model, usage, moment, {})
                if told.nanos is None:
                    assert wanted == 0
                    (unpriced if told.unpriced == ("model",) else by_other_units).add(label)
                    continue
                assert told.nanos == wanted, (label, moment, usage)
                found["equal"] += 1
    assert found["equal"] > 25_000
    assert unpriced == NO_RATES
    assert by_other_units == BY_OTHER_UNITS


def test_every_special_term() -> None:
    met: Counter[str] = Counter()
    for provider, model in ALL:
        if not model.price_variants:
            continue
        for moment in moments(model, NOW):
            for terms in TERMS:
                for usage in USAGES[2:]:
                    told = cost(usage, ours(provider), model.id, packaged(), at_ns(moment), terms)
                    wanted = their_nanos(provider, model, usage, moment, terms)
                    unsold = told.nanos is None and f"{provider.id}/{model.id}" in BY_OTHER_UNITS
                    assert told.nanos == wanted or (unsold and wanted == 0), (provider.id, model.id, terms, usage)
                    met[str(terms)] += not any(name.startswith(("tier:", "speed:", "proc")) for name in told.unpriced)
    assert all(met[str(terms)] for terms in TERMS[:-1])


@pytest.mark.parametrize("tokens", [n + off for n in BOUNDARIES for off in (-1, 0, 1)])
def test_the_edges_of_request_sizes(tokens: int) -> None:
    usage = Usage(input_tokens=tokens, cache_read_tokens=tokens // 3, cache_write_tokens=1_000, output_tokens=77)
    for provider, model in ALL:
        told = cost(usage, ours(provider), model.id, packaged(), at_ns(NOW), {})
        if told.nanos is not None:
            assert told.nanos == their_nanos(provider, model, usage, NOW, {}), (provider.id, model.id)


@pytest.mark.parametrize("seconds", [1, 9, 10, 11, 3_599, 100_000])
def test_seconds_of_audio_groqs_least_of_ten_included(seconds: int) -> None:
    usage = Usage(billed_units={"seconds": seconds})
    counted = 0
    for provider, model in ALL:
        told = cost(usage, ours(provider), model.id, packaged(), at_ns(NOW), {})
        wanted = their_nanos(provider, model, usage, NOW, {})
        if told.nanos is not None and wanted:
            assert told.nanos == wanted, (provider.id, model.id)
            counted += 1
    assert counted >= 15


def test_every_spelled_out_name_finds_the_same_model() -> None:
    """Beyond theirs, ours finds ids that their clauses do not."""
    count = 0
    for provider, model in ALL:
        for name in _names(model.match) | {model.id}:
            wanted = provider.find_model(name, all_providers=PROVIDERS)
            found = packaged().model(ours(provider), name)
            assert found is not None, (provider.id, name)
            assert found.id == (wanted.id if wanted is not None else model.id), (provider.id, name)
            count += 1
    assert count > 3_500


def _names(match: object) -> set[str]:
    if hasattr(match, "equals"):
        return {match.equals}
    return {name for clause in getattr(match, "or_", ()) for name in _names(clause)}


def test_units_are_theirs() -> None:
    theirs = {raw["price_key"]: (raw["per"], frozenset(raw["dimensions"].values())) for raw in unit_data.values()}
    assert {unit.name: (unit.per, unit.kinds) for unit in UNITS} == theirs
    assert all(unit_of(name) is not None for name in theirs)


def test_the_packaged_book_is_what_the_tool_makes() -> None:
    source = packaged().content["source"]
    made, unknown = genai.book_from(published(), source)
    assert not unknown
    assert as_bytes(made) == PACKAGED.read_bytes()
    assert PriceBook.from_json(made).version == packaged().version
    assert PACKAGED.stat().st_size < 1_500_000
