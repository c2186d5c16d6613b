"""genai-prices itself, asked the same questions: the witness of the differential tests."""

import importlib.util
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, Provider, StartDateConstraint, TimeOfDateConstraint
from genai_prices.types import Usage as TheirUsage

from headgate.pricing import genai
from headgate.pricing.book import PriceBook
from headgate.usage import Usage

ROOT = Path(__file__).parent.parent.parent
PACKAGED = ROOT / "src" / "headgate" / "pricing" / "data" / "prices.json"
PROVIDERS: list[Provider] = providers
ALL = [(provider, model) for provider in PROVIDERS for model in provider.models]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def packaged() -> PriceBook:
    return PriceBook.from_json(PACKAGED.read_bytes())


@cache
def published() -> list[dict[str, Any]]:
    """genai-prices' data in the shape of its data.json, as tools/make_prices.py writes it out."""
    spec = importlib.util.spec_from_file_location("make_prices", ROOT / "tools" / "make_prices.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    told: list[dict[str, Any]] = module.published()
    return told


def ours(provider: Provider) -> str:
    return genai.OUR_NAMES.get(provider.id, provider.id)


def at_ns(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def nanos(dollars: Decimal) -> int:
    return int(dollars.scaleb(9).to_integral_value(ROUND_HALF_UP))


_FIELDS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "input_image_tokens": "input_image_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "output_image_tokens": "output_image_tokens",
    "cache_read_audio_tokens": "cache_audio_read_tokens",
    "cache_read_image_tokens": "cache_image_read_tokens",
}
_TOOLS = {"web_search": "web_searches", "file_search": "storage_searches", "x_search": "social_searches"}


def theirs(usage: Usage) -> TheirUsage:
    """The same usage in genai-prices' words."""
    told = {name: getattr(usage, field, None) for field, name in _FIELDS.items()}
    told |= {f"cache_write_{ttl}_tokens": n for ttl, n in (usage.cache_write_tokens_by_ttl or {}).items()}
    told |= {_TOOLS[tool]: n for tool, n in (usage.tool_calls or {}).items()}
    if seconds := (usage.billed_units or {}).get("seconds"):
        told |= {"audio_seconds": seconds, "input_audio_seconds": seconds}
    # What Usage leaves out where it is 0, their lazy inference wants to be told.
    for part in ("cache_audio_read_tokens", "cache_image_read_tokens"):
        told[part] = told[part] or 0
    return TheirUsage(**told)


def their_nanos(provider: Provider, model: ModelInfo, usage: Usage, moment: datetime, terms: Mapping[str, str]) -> int:
    answer = model.calc_price(theirs(usage), provider, genai_request_timestamp=moment, price_context=terms or None)
    return nanos(answer.total_price)


def prices(model: ModelInfo) -> list[ModelPrice]:
    """Its standard prices, whenever they hold."""
    return [entry.prices for entry in model.prices] if isinstance(model.prices, list) else [model.prices]


def moments(model: ModelInfo, now: datetime) -> list[datetime]:
    """Now, and either side of each moment at which the model's price changes."""
    found = [now]
    entries = [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
    for constraint in (entry.constraint for entry in entries):
        if isinstance(constraint, StartDateConstraint):
            day = datetime.combine(constraint.start_date, datetime.min.time(), tzinfo=UTC)
            found += [day - timedelta(seconds=1), day]
        elif isinstance(constraint, TimeOfDateConstraint):
            for clock in (constraint.start_time, constraint.end_time):
                edge = datetime.combine(now.date(), clock, tzinfo=clock.tzinfo or UTC)
                found += [edge - timedelta(seconds=1), edge]
    return sorted(set(found))
