"""A book from the data of genai-prices (https://github.com/pydantic/genai-prices, MIT), as its data.json has it.

What the data does not say and providers bill is added below, each with its source. A model without rates is free there;
here it is unpriced, unless its name or the provider says that it is free.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from headgate.pricing.book import FORMAT
from headgate.pricing.dated import clock_of
from headgate.pricing.units import unit_of

OUR_NAMES = {"aws": "bedrock", "moonshotai": "moonshot", "x-ai": "xai"}
"""Our names of providers, where they differ from genai-prices'."""

SAME = {"vertex": "google"}
"""Providers that sell another's models on the same terms."""

_HOSTED = "huggingface_"
"""genai-prices has one provider for each host behind Hugging Face's router, which takes `model:host`."""

_FREE = {("openai", "moderation"), ("google", "gemma-4-31b-it")}
"""Free of charge, as the data's comments on their prices say; `:free` in a name says it too."""

_LEAST = {
    ("groq", "whisper-large-v3"): {"input_audio_hours": 10, "audio_hours": 10},
    ("groq", "whisper-large-v3-turbo"): {"input_audio_hours": 10, "audio_hours": 10},
}
"""Groq bills at least ten seconds of audio; genai-prices has it in code."""

_TIMES = {"anthropic": [{"when": {"inference_geo": "us"}, "by": "1.1"}]}
"""Anthropic: inference in the US only costs 1.1 times all token prices (platform.claude.com, data residency; LiteLLM's
`provider_specific_entry`). Models that came before Opus 4.6 refuse the parameter."""

_TOOLS = {"anthropic": {"tool:web_fetch": "0"}}
"""Anthropic: web fetches cost nothing beyond their tokens (platform.claude.com, pricing)."""


def is_genai(content: Any) -> bool:
    """True if JSON has the shape of genai-prices' data: a list of providers."""
    return isinstance(content, list) and all(isinstance(p, dict) and "id" in p and "models" in p for p in content)


def book_from(providers: Iterable[Mapping[str, Any]], source: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The book's JSON, and what in the data it could not take, in words. `source` is what the book says of its origin.

    The data must have been read with `parse_float=Decimal`. Raises ValueError where its shape is another.
    """
    shelves: dict[str, Any] = {}
    unknown: list[str] = []
    try:
        for provider in providers:
            theirs = provider["id"]
            models = [_model(theirs, model, unknown) for model in provider["models"]]
            shelf: dict[str, Any] = {}
            if fallback := provider.get("fallback_model_providers"):
                shelf["fallback"] = [OUR_NAMES.get(other, other) for other in fallback]
            shelves[OUR_NAMES.get(theirs, theirs)] = shelf | {"models": models}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not genai-prices' data: {error!r}") from error
    for ours, theirs in SAME.items():
        if theirs in shelves:
            same = {"as": theirs, "models": []}
            shelves[ours] = {"fallback": shelves[theirs].get("fallback", [])} | same
    routed = list(_routed(shelves))
    if routed:
        shelves["huggingface"] = {"models": routed}
    return {"format": FORMAT, "source": dict(source), "providers": shelves}, unknown


def _routed(shelves: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, shelf in shelves.items():
        if name.startswith(_HOSTED):
            host = name.removeprefix(_HOSTED)
            for model in shelf["models"]:
                names = [f"{known}:{host}" for known in model.get("names", ())]
                kept = {key: value for key, value in model.items() if key != "match"}
                yield kept | {"id": f"{model['id']}:{host}", "names": names}


def _model(provider: str, model: Mapping[str, Any], unknown: list[str]) -> dict[str, Any]:
    label = f"{provider}/{model['id']}"
    names, clauses = _split(model["match"])
    free = (provider, model["id"]) in _FREE or all(name.endswith(":free") for name in (model["id"], *names))
    own = _TOOLS.get(provider, {})
    entry: dict[str, Any] = {"id": model["id"]}
    if others := [name for name in names if name != model["id"].lower()]:
        entry["names"] = others
    if clauses:
        entry["match"] = clauses
    if model.get("context_window"):
        entry["context"] = model["context_window"]
    entry["prices"] = [
        {"rates": _rates(rates, label, unknown) | own if rates else _NOTHING if free else {}} | _when(constraint, label)
        for rates, constraint in _dated(model["prices"])
    ]
    variants = [
        {"when": variant["when"], "rates": rates} | _when(variant.get("constraint"), label)
        for variant in model.get("price_variants") or ()
        if (rates := _rates(variant["prices"], label, unknown))
    ]
    if variants:
        entry["variants"] = variants
    if provider in _TIMES:
        entry["times"] = _TIMES[provider]
    if (provider, model["id"]) in _LEAST:
        entry["least"] = _LEAST[provider, model["id"]]
    return entry


_NOTHING = {"input_mtok": "0", "output_mtok": "0"}


def _dated(prices: Any) -> list[tuple[Mapping[str, Any], Any]]:
    """Rates with their constraints: one set that always holds, or a list of them."""
    if isinstance(prices, list):
        return [(entry["prices"], entry.get("constraint")) for entry in prices]
    return [(prices, None)]


def _when(constraint: Any, label: str) -> dict[str, Any]:
    if not constraint:
        return {}
    if "start_date" in constraint:
        return {"from": constraint["start_date"]}
    if "start_time" in constraint:
        return {"between": [_utc(constraint["start_time"]), _utc(constraint["end_time"])]}
    raise ValueError(f"{label}: an unknown constraint {constraint!r}")


def _utc(text: str) -> str:
    """A time of day in UTC: "16:30:00Z" or "18:30:00+02:00" as "16:30:00"."""
    for sign, way in (("+", -1), ("-", 1)):
        clock, found, offset = text.partition(sign)
        if found:
            second = (clock_of(clock) + way * clock_of(offset)) % 86_400
            return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return text.removesuffix("Z")


def _rates(prices: Mapping[str, Any], label: str, unknown: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, price in prices.items():
        if price is None:
            continue
        if unit_of(name) is None:
            unknown.append(f"{label}: no such unit {name}")
        elif isinstance(price, Mapping):
            tiers = sorted(price["tiers"], key=lambda tier: int(tier["start"]))
            found[name] = [_text(price["base"]), *([int(tier["start"]), _text(tier["price"])] for tier in tiers)]
        else:
            found[name] = _text(price)
    return found


def _text(price: Any) -> str:
    """Dollars as a plain decimal text. Raises ValueError for what is no price."""
    amount = Decimal(price)
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"not a price: {price!r}")
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _split(match: Mapping[str, Any]) -> tuple[list[str], list[Mapping[str, Any]]]:
    """The names that a clause spells out, in lower case, and the clauses that describe others."""
    names: dict[str, None] = {}
    clauses: list[Mapping[str, Any]] = []
    for clause in match.get("or", [match]):
        if "or" in clause:
            inner, more = _split(clause)
            names.update(dict.fromkeys(inner))
            clauses += more
        elif "equals" in clause:
            names[clause["equals"].lower()] = None
        else:
            clauses.append(clause)
    return list(names), clauses
