import json
from importlib import resources

import pytest

from headgate.providers.base import Deployment
from headgate.providers.registry import all_providers, by_name
from headgate.routing.catalogue import Catalogue

PACKAGED = resources.files("headgate.routing").joinpath("data/models.json").read_bytes()


def test_from_json() -> None:
    catalogue = Catalogue.from_json(b'{"groq": ["a", "b/c"], "xai": []}')
    assert catalogue.by_provider == {"groq": ("a", "b/c"), "xai": ()}


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'"groq"', b'{"groq": "a"}', b'{"groq": [1]}', b'{"groq": {}}'])
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^expected|^Expecting"):
        Catalogue.from_json(text)


def test_models_of_a_deployment_are_its_providers_and_what_the_operator_says() -> None:
    catalogue = Catalogue.from_json(b'{"groq": ["a", "b"]}').with_models({"fast": ("mine", "b"), "xai": ("not",)})
    groq = by_name("groq")
    assert catalogue.models_of(Deployment("fast", groq, groq.base_url)) == ("mine", "b", "a")
    assert catalogue.models_of(Deployment("groq", groq, groq.base_url)) == ("a", "b")
    assert catalogue.models_of(Deployment("ollama", by_name("ollama"), "http://h/v1")) == ()


def test_the_packaged_catalogue_lists_known_providers_and_plain_names_once() -> None:
    table = json.loads(PACKAGED)
    assert set(table) <= {provider.name for provider in all_providers()}
    for models in table.values():
        assert models
        assert len({model.lower() for model in models}) == len(models)
        assert all(model.isascii() and model == model.strip() and " " not in model for model in models)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini"),
        ("openai", "text-embedding-3-small"),
        ("anthropic", "claude-sonnet-4-5"),
        ("groq", "llama-3.3-70b-versatile"),
        ("groq", "openai/gpt-oss-120b"),
        ("xai", "grok-4.7"),
        ("deepseek", "deepseek-chat"),
        ("mistral", "mistral-small-latest"),
        ("openrouter", "anthropic/claude-sonnet-4.5"),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("fireworks", "accounts/fireworks/models/gpt-oss-120b"),
        ("cerebras", "gpt-oss-120b"),
        ("perplexity", "sonar-pro"),
    ],
)
def test_the_packaged_catalogue_knows(provider: str, model: str) -> None:
    assert model in Catalogue.from_json(PACKAGED).by_provider[provider]


def test_the_packaged_catalogue_does_not_give_open_weights_to_openai() -> None:
    assert not [model for model in Catalogue.from_json(PACKAGED).by_provider["openai"] if "oss" in model]
