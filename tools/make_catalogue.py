#!/usr/bin/env python3
"""Make src/headgate/routing/data/models.json from the data of the package genai-prices (MIT, Pydantic).

Run it in an environment of its own that holds genai-prices, at the root of the checkout, and read the difference:

    PYTHONPATH=src python tools/make_catalogue.py

genai-prices is about prices, so it keeps names that are no longer served and spellings that never were. What is known
to be such is left out below; a name that is left out can still be asked for with its provider's prefix.
"""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

from headgate.providers.base import Provider
from headgate.providers.registry import all_providers

TARGET = Path("src/headgate/routing/data/models.json")

THEIR_NAMES = {"moonshot": "moonshotai", "xai": "x-ai"}
"""genai-prices' names of providers, where they differ from ours."""

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*[A-Za-z0-9]")

LEFT_OUT = {
    # retired; open weights that OpenAI does not serve; stems and variants that are no names
    "openai": (
        "ada", "babbage", "curie", "davinci", "text-ada-*", "text-babbage-*", "text-curie-*", "text-davinci-*",
        "gpt-3.5-0301", "gpt-3.5-turbo-0*", "gpt-3.5-turbo-16k*", "gpt-35-*", "gpt-4-32k*", "gpt-4-vision-*",
        "gpt-4-1106-*", "gpt-4.5-*", "o1-mini*", "o1-preview*", "gpt-oss-*", "chat-latest", "computer-use",
        "moderation", "ft:*", "*.ft-", "*:extended",
    ),
    # retired: genai-prices has no batch price for them, which it has for each active one
    "anthropic": ("claude-v1", "claude-2*", "claude-3-*", "claude-opus-4-0", "claude-opus-4-1", "claude-sonnet-4-0"),
    # retired
    "groq": (
        "deepseek-r1-*", "gemma*", "llama2-*", "llama3-*", "llama-3.1-405b-*", "llama-3.1-70b-*", "llama-3.2-*",
        "*-specdec", "llama-guard-3-*", "mistral-saba-*", "mixtral-*",
    ),
    # retired; OpenRouter's spelling
    "xai": ("grok-2*", "x-ai/*"),
    "deepseek": ("deepseek-chat-v3-*", "deepseek-r1-*", "deepseek-v3*"),
    # OpenRouter's spelling, and names of the open weights
    "mistral": ("*:free", "*-instruct", "*-instruct-*", "mistral-7b", "mixtral-8x7b", "mistral-tiny"),
    # the generation of 2023
    "together": (
        "Austism/*", "Gryphe/*", "Nexusflow/*", "NousResearch/*", "Open-Orca/*", "Qwen/Qwen1.5-*", "Undi95/*",
        "WizardLM/*", "allenai/*", "codellama/*", "deepseek-ai/deepseek-coder-*", "garage-bAInd/*", "google/gemma-2b*",
        "google/gemma-7b*", "lmsys/*", "meta-llama/Llama-2-*", "meta-llama/Llama-3-*", "microsoft/phi-2",
        "mistralai/*-v0.1", "openchat/*", "snorkelai/*", "teknium/*", "togethercomputer/*", "upstage/SOLAR-*",
        "zero-one-ai/*",
    ),
    "perplexity": ("llama-3.1-sonar-*", "r1-1776"),
    # a deployment's name is its operator's own
    "azure": ("*",),
    # what Vertex serves and AI Studio does not; retired; stems that are no names
    "google": (
        "anthropic/*", "claude-*", "*-maas", "gemini-1.*", "gemini-flash-1.5*", "gemini-pro", "gemini-pro-1.5",
        "gemini-live-*", "gemma-2-*", "gemma-3", "gemma-3n",
    ),
    # batch prices; a release's date behind its name, as the answers spell it
    "openrouter": ("*:batch", "*-20[0-9][0-9][0-9][0-9][0-9][0-9]"),
}  # fmt: skip
"""By provider, patterns of names in genai-prices that are not listed."""

ONLY = {"openrouter": "*/*"}
"""By provider, the pattern that all its names fit: OpenRouter's are author/slug."""


def main() -> None:
    """Write the catalogue: every provider with models, in order of their names."""
    theirs = {provider.id: provider for provider in import_module("genai_prices.data").providers}
    catalogue = {ours.name: sorted(names(ours, theirs), key=str.lower) for ours in all_providers()}
    text = json.dumps({provider: models for provider, models in catalogue.items() if models}, indent=1)
    TARGET.write_text(text + "\n", encoding="utf-8")


def names(ours: Provider, theirs: dict[str, Any]) -> set[str]:
    """The names to list for a provider; none where genai-prices does not know it."""
    known = theirs.get(THEIR_NAMES.get(ours.name, ours.name))
    models = [model for model in known.models if not model.deprecated] if known is not None else []
    found = {name for model in models for name in spellings(ours, model)}
    return {name for name in found if PLAIN.fullmatch(name) and not left_out(ours.name, name)}


def spellings(ours: Provider, model: Any) -> Iterator[str]:
    """A model's id, if that is a name the API takes, and its other names, unless a pattern finds those anyway."""
    takes_id = model.match.is_match(model.id)
    if takes_id:
        yield model.id
    for name in exact_names(model.match):
        if not (takes_id and ours.recognises(name)):
            yield name


def exact_names(match: Any) -> Iterator[str]:
    """The names that a match clause of genai-prices spells out; those it only describes are passed over."""
    if hasattr(match, "equals"):
        yield match.equals
    for clause in getattr(match, "or_", ()):
        yield from exact_names(clause)


def left_out(provider: str, name: str) -> bool:
    """True if the name is known to be none that the provider serves."""
    fits = fnmatchcase(name, ONLY.get(provider, "*"))
    return not fits or any(fnmatchcase(name, pattern) for pattern in LEFT_OUT.get(provider, ()))


if __name__ == "__main__":
    main()
