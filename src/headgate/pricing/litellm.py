"""A book from LiteLLM's model_prices_and_context_window.json, read with `parse_float=Decimal`.

Its rates are dollars a token under flat keys such as `input_cost_per_token_above_200k_tokens_priority`. Keys that are
not known here are listed and not guessed; a model with a cost that is not known is left out as a whole, because the
rest of its price would be too little.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from headgate.pricing.book import FORMAT

_PROVIDERS = {
    "anthropic": "anthropic", "azure": "azure", "azure_ai": "azure", "bedrock": "bedrock",
    "bedrock_converse": "bedrock", "cerebras": "cerebras", "cohere": "cohere", "cohere_chat": "cohere",
    "deepseek": "deepseek", "fireworks_ai": "fireworks", "gemini": "google", "groq": "groq", "mistral": "mistral",
    "moonshot": "moonshot", "nvidia_nim": "nvidia", "openai": "openai", "openrouter": "openrouter",
    "perplexity": "perplexity", "text-completion-openai": "openai", "together_ai": "together", "xai": "xai",
    "zai": "zai",
}  # fmt: skip
_VERTEX = "vertex_ai"
"""Begins the names of several of LiteLLM's providers; all are Vertex."""

ORIGIN = "litellm"
"""What a model's entry says of its origin: such models outlive an update of the rest."""

_MILLION, _KILO, _HOUR = 1_000_000, 1_000, 3_600
_UNITS = {
    "input_cost_per_token": ("input_mtok", _MILLION),
    "output_cost_per_token": ("output_mtok", _MILLION),
    "cache_read_input_token_cost": ("cache_read_mtok", _MILLION),
    "cache_creation_input_token_cost": ("cache_write_mtok", _MILLION),
    "cache_creation_input_token_cost_above_1hr": ("cache_write_1h_mtok", _MILLION),
    "input_cost_per_audio_token": ("input_audio_mtok", _MILLION),
    "output_cost_per_audio_token": ("output_audio_mtok", _MILLION),
    "cache_read_input_audio_token_cost": ("cache_audio_read_mtok", _MILLION),
    "input_cost_per_image_token": ("input_image_mtok", _MILLION),
    "output_cost_per_image_token": ("output_image_mtok", _MILLION),
    "cache_read_input_image_token_cost": ("cache_image_read_mtok", _MILLION),
    "output_cost_per_reasoning_token": ("output_reasoning_mtok", _MILLION),
    "citation_cost_per_token": ("output_citation_mtok", _MILLION),
    "input_cost_per_character": ("input_mchars", _MILLION),
    "input_cost_per_second": ("input_audio_hours", _HOUR),
    "input_cost_per_query": ("rerank_searches_kcount", _KILO),
    "input_cost_per_request": ("requests_kcount", _KILO),
    "ocr_cost_per_page": ("input_document_kpages", _KILO),
    "annotation_cost_per_page": ("input_annotated_document_kpages", _KILO),
}
_KEY = re.compile(r"(?P<key>.+?)(?:_above_(?P<above>[0-9]+)(?P<kilo>k?)_tokens)?(?:_(?P<terms>priority|flex|batches))?")
_TERMS = {
    "priority": {"service_tier": "priority"},
    "flex": {"service_tier": "flex"},
    "batches": {"processing": "batch"},
}
_MULTIPLES = {"us": {"inference_geo": "us"}, "fast": {"speed": "fast"}}
_SEARCH = "search_context_cost_per_query"

_Found = dict[str | None, dict[str, dict[int, Decimal]]]
"""Dollars by terms, unit and the input tokens above which they hold."""


def is_litellm(content: Any) -> bool:
    """True if JSON has the shape of LiteLLM's: an object of models that name their `litellm_provider`."""
    return isinstance(content, dict) and any(
        isinstance(entry, dict) and "litellm_provider" in entry for entry in content.values()
    )


def book_from(content: Mapping[str, Any], source: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The book's JSON, and what it could not take, in words. `source` is what the book says of its origin."""
    shelves: dict[str, Any] = {}
    unknown: list[str] = []
    for name, entry in content.items():
        if name == "sample_spec" or not isinstance(entry, dict):
            continue
        theirs = str(entry.get("litellm_provider"))
        ours = "vertex" if theirs.startswith(_VERTEX) else _PROVIDERS.get(theirs)
        model = _model(_plain_name(name, theirs), entry, unknown) if ours is not None else None
        if ours is not None and model is not None:
            shelves.setdefault(ours, {"models": []})["models"].append(model)
    return {"format": FORMAT, "source": dict(source), "providers": shelves}, unknown


def _plain_name(name: str, provider: str) -> str:
    """A model's name as its provider spells it."""
    first, slash, rest = name.partition("/")
    return rest if slash and first in {provider, "bedrock", _VERTEX} else name


def _model(name: str, entry: Mapping[str, Any], unknown: list[str]) -> dict[str, Any] | None:
    """One model; None if it has no rates, or one that is not known."""
    found: _Found = {}
    strange = [key for key, value in entry.items() if _is_cost(key, value) and not _take(key, value, found)]
    if strange:
        unknown.append(f"{entry['litellm_provider']}/{name}: {', '.join(sorted(strange))}")
        return None
    rates = _listed(found.pop(None, {}))
    if not rates:
        return None
    model: dict[str, Any] = {"id": name, "origin": ORIGIN, "prices": [{"rates": rates}]}
    if type(entry.get("max_input_tokens")) is int:
        model["context"] = entry["max_input_tokens"]
    variants = [{"when": _TERMS[terms or ""], "rates": _listed(units)} for terms, units in found.items()]
    if variants:
        model["variants"] = variants
    multiples = entry.get("provider_specific_entry")
    times = [
        {"when": _MULTIPLES[key], "by": _plain(Decimal(value))}
        for key, value in (multiples.items() if isinstance(multiples, dict) else ())
        if key in _MULTIPLES and _is_amount(value)
    ]
    return model | {"times": times} if times else model


def _is_cost(key: str, value: Any) -> bool:
    """True for what asks for money. A cost of 0 under a key of its own says only that there is none."""
    if key == _SEARCH:
        return True
    return "cost" in key and not (_is_amount(value) and not value) and value is not None


def _is_amount(value: Any) -> bool:
    return (type(value) is int or isinstance(value, Decimal)) and Decimal(value).is_finite() and value >= 0


def _take(key: str, value: Any, found: _Found) -> bool:
    """Note a cost; False if it is of no known kind."""
    if key == _SEARCH:
        # The price depends on a setting of the request; where it does not, all three are the same.
        sizes = set(value.values()) if isinstance(value, dict) else {value}
        if len(sizes) != 1 or not _is_amount(amount := sizes.pop()):
            return False
        found.setdefault(None, {}).setdefault("web_searches_kcount", {})[0] = Decimal(amount) * _KILO
        return True
    match = _KEY.fullmatch(key)
    unit = _UNITS.get(match["key"]) if match else None
    if match is None or unit is None or not _is_amount(value):
        return False
    start = int(match["above"]) * (1000 if match["kilo"] else 1) if match["above"] else 0
    found.setdefault(match["terms"], {}).setdefault(unit[0], {})[start] = Decimal(value) * unit[1]
    return True


def _listed(units: Mapping[str, Mapping[int, Decimal]]) -> dict[str, Any]:
    """Rates as a book has them. A step without a rate below it stands alone, as that rate."""
    found: dict[str, Any] = {}
    for unit, steps in units.items():
        base, *above = sorted(steps.items())
        texts = [[start, _plain(dollars)] for start, dollars in above]
        found[unit] = [_plain(base[1]), *texts] if texts else _plain(base[1])
    return found


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
