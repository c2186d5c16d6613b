from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import BadRequest, ConfigError, Forbidden, HeadgateError, NotFound, UnknownModel
from headgate.providers.base import Deployment
from headgate.providers.registry import all_providers, by_name
from headgate.routing.aliases import Alias, Target, Tier
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models, Route

CATALOGUE = Catalogue.from_json(resources.files("headgate.routing").joinpath("data/models.json").read_bytes())
CHAT, RESPONSES, EMBEDDINGS, MESSAGES = "openai.chat", "openai.responses", "openai.embeddings", "anthropic.messages"


def deployed(name: str) -> Deployment:
    """A deployment called by its provider's name, or `name=provider`."""
    own, _, provider = name.partition("=")
    return Deployment(own, by_name(provider or own), "https://upstream.example/v1")


def models(*names: str, fallback: str | None = None, catalogue: Catalogue = CATALOGUE) -> Models:
    return Models([deployed(name) for name in names], catalogue, fallback)


EVERYONE = models(*(provider.name for provider in all_providers()))


def chosen(
    models: Models, dialect: str | None, model: str | None, x_provider: str | None = None, hint: str | None = None
) -> tuple[str, str | None, bool]:
    route = models.choose(dialect, model, x_provider, hint)
    return route.deployment.name, route.model, route.model_prefix_removed


@pytest.mark.parametrize(
    ("dialect", "model", "x_provider", "expected"),
    [
        # the header, whatever the model
        (CHAT, "claude-opus-5", "groq", ("groq", "claude-opus-5", False)),
        (CHAT, "gpt-4o", " OpenRouter ", ("openrouter", "gpt-4o", False)),
        (CHAT, "groq/llama-3.3-70b-versatile", "groq", ("groq", "llama-3.3-70b-versatile", True)),
        (CHAT, "groq/compound", "groq", ("groq", "groq/compound", False)),
        (CHAT, "openai/gpt-4o", "openrouter", ("openrouter", "openai/gpt-4o", False)),
        (CHAT, "openrouter/openai/gpt-4o", "openrouter", ("openrouter", "openai/gpt-4o", True)),
        (None, None, "mistral", ("mistral", None, False)),
        # the prefix of a configured deployment
        (CHAT, "groq/llama-3.3-70b-versatile", None, ("groq", "llama-3.3-70b-versatile", True)),
        (CHAT, "Groq/Brand-New-Model", None, ("groq", "Brand-New-Model", True)),
        (CHAT, "groq/openai/gpt-oss-120b", None, ("groq", "openai/gpt-oss-120b", True)),
        (CHAT, "openai/gpt-4o", None, ("openai", "gpt-4o", True)),
        (CHAT, "openrouter/anthropic/claude-3.5", None, ("openrouter", "anthropic/claude-3.5", True)),
        (CHAT, "ollama/hf.co/acme/llama:q4", None, ("ollama", "hf.co/acme/llama:q4", True)),
        (MESSAGES, "anthropic/claude-opus-5", None, ("anthropic", "claude-opus-5", True)),
        (CHAT, "perplexity/sonar", None, ("perplexity", "sonar", True)),
        # what looks like a prefix and belongs to the name
        (CHAT, "groq/compound", None, ("groq", "groq/compound", False)),
        (CHAT, "openai/gpt-oss-120b", None, ("groq", "openai/gpt-oss-120b", False)),
        (CHAT, "openrouter/auto", None, ("openrouter", "openrouter/auto", False)),
        (RESPONSES, "perplexity/glm-5.3", None, ("perplexity", "perplexity/glm-5.3", False)),
        (CHAT, "together/Tev1-4B-experimental", None, ("together", "together/Tev1-4B-experimental", False)),
        # name patterns
        (CHAT, "gpt-9-not-out-yet", None, ("openai", "gpt-9-not-out-yet", False)),
        (MESSAGES, "claude-not-out-yet", None, ("anthropic", "claude-not-out-yet", False)),
        (CHAT, "GROK-9", None, ("xai", "GROK-9", False)),
        (EMBEDDINGS, "text-embedding-3-large", None, ("openai", "text-embedding-3-large", False)),
        (MESSAGES, "deepseek-chat", None, ("deepseek", "deepseek-chat", False)),
        # the catalogue
        (CHAT, "llama-3.3-70b-versatile", None, ("groq", "llama-3.3-70b-versatile", False)),
        (CHAT, "META-LLAMA/llama-3.3-70b-instruct-turbo", None,
         ("together", "META-LLAMA/llama-3.3-70b-instruct-turbo", False)),
        (CHAT, "mistralai/mistral-nemo", None, ("openrouter", "mistralai/mistral-nemo", False)),
        (MESSAGES, "moonshotai/kimi-k2", None, ("openrouter", "moonshotai/kimi-k2", False)),
    ],
)  # fmt: skip
def test_the_order_of_choice(
    dialect: str | None, model: str | None, x_provider: str | None, expected: tuple[str, str | None, bool]
) -> None:
    assert chosen(EVERYONE, dialect, model, x_provider) == expected


def test_a_prefix_that_names_no_deployment_is_part_of_the_name() -> None:
    assert chosen(models("openrouter", "openai"), CHAT, "anthropic/claude-3-haiku") == (
        "openrouter", "anthropic/claude-3-haiku", False,
    )  # fmt: skip
    assert chosen(models("together=openai_compatible"), CHAT, "openai/gpt-oss-120b") == (
        "together", "openai/gpt-oss-120b", False,
    )  # fmt: skip


def test_prefixes_are_deployments_names_not_providers() -> None:
    assert chosen(models("eu=openai", "us=openai"), CHAT, "us/gpt-4o") == ("us", "gpt-4o", True)
    assert chosen(models("eu=openai", "us=openai"), CHAT, "gpt-4o") == ("eu", "gpt-4o", False)


@pytest.mark.parametrize("model", ["groq/", "/", "/gpt", ""])
def test_a_slash_without_two_sides_is_no_prefix(model: str) -> None:
    with pytest.raises(UnknownModel):
        EVERYONE.choose(CHAT, model)


def test_the_operators_word_goes_before_patterns_and_catalogue() -> None:
    catalogue = CATALOGUE.with_models({"inhouse": ("gpt-4o", "llama-3.3-70b-versatile", "own")})
    gateway = models("openai", "groq", "inhouse=openai_compatible", catalogue=catalogue)
    assert chosen(gateway, CHAT, "gpt-4o")[0] == "inhouse"
    assert chosen(gateway, CHAT, "llama-3.3-70b-versatile")[0] == "inhouse"
    assert chosen(gateway, CHAT, "own")[0] == "inhouse"
    assert chosen(gateway, CHAT, "gpt-4o-mini")[0] == "openai"


def test_the_fallback_takes_what_nobody_is_known_to_serve() -> None:
    gateway = models("openai", "anthropic", "ollama", fallback="Ollama")
    assert chosen(gateway, CHAT, "llama3.2") == ("ollama", "llama3.2", False)
    assert chosen(gateway, CHAT, "acme/llama3.2") == ("ollama", "acme/llama3.2", False)
    assert chosen(gateway, CHAT, "gpt-4o")[0] == "openai"
    assert chosen(gateway, MESSAGES, "claude-opus-5")[0] == "anthropic"


def test_the_fallback_takes_nothing_that_it_does_not_speak_or_that_names_another() -> None:
    gateway = models("anthropic", "openai", fallback="openai")
    with pytest.raises(UnknownModel):
        gateway.choose(MESSAGES, "llama3.2")
    with pytest.raises(BadRequest, match=r"anthropic does not speak openai\.chat"):
        gateway.choose(CHAT, "anthropic/claude-opus-5")


def test_an_unknown_fallback_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"fallback: expected a configured provider \(openai\), not 'olama'"):
        models("openai", fallback="olama")


def test_the_only_deployment_is_the_fallback_if_nobody_can_know_what_it_serves() -> None:
    assert chosen(models("ollama"), CHAT, "llama3.2") == ("ollama", "llama3.2", False)
    assert chosen(models("acme=openai_compatible"), MESSAGES, "claude-opus-5")[0] == "acme"
    for gateway in (models("openai"), models("ollama", "vllm")):
        with pytest.raises(UnknownModel):
            gateway.choose(CHAT, "llama3.2")


@pytest.mark.parametrize(
    ("dialect", "hint", "expected"),
    [
        (RESPONSES, None, "openai"),
        (RESPONSES, "xai", "xai"),
        (MESSAGES, None, "anthropic"),
        (MESSAGES, "ollama", "ollama"),
    ],
)
def test_without_a_model_the_hint_decides_or_the_company_that_the_dialect_is_named_after(
    dialect: str, hint: str | None, expected: str
) -> None:
    assert chosen(EVERYONE, dialect, None, hint=hint) == (expected, None, False)


def test_without_a_model_or_that_company_the_first_that_speaks_the_dialect() -> None:
    assert chosen(models("mistral", "xai", "groq"), RESPONSES, None)[0] == "xai"


def test_the_header_goes_before_the_hint() -> None:
    assert chosen(EVERYONE, RESPONSES, None, x_provider="groq", hint="xai")[0] == "groq"


@pytest.mark.parametrize(("x_provider", "hint"), [("acme", None), (None, "acme"), ("", None)])
def test_a_name_that_is_not_configured(x_provider: str | None, hint: str | None) -> None:
    with pytest.raises(NotFound, match=r"No provider is configured as '(acme)?'\. Configured: groq, openai\."):
        models("groq", "openai").choose(RESPONSES, None, x_provider, hint)


@pytest.mark.parametrize(
    ("model", "x_provider"), [("gpt-4o", "openai"), ("openai/gpt-4o", None), ("openai/new", None), ("gpt-4o", None)]
)
def test_a_deployment_that_does_not_speak_the_dialect_is_told_with_those_that_do(
    model: str, x_provider: str | None
) -> None:
    with pytest.raises(BadRequest) as caught:
        models("openai", "anthropic", "deepseek").choose(MESSAGES, model, x_provider)
    assert (
        "openai does not speak anthropic.messages; it speaks openai.chat, openai.completions, openai.embeddings, "
        "openai.responses, openai.audio, openai.images, openai.files, openai.batches, openai.realtime. "
        "Configured providers that speak anthropic.messages: anthropic, deepseek."
    ) in caught.value.message


def test_a_host_that_does_speak_the_dialect_is_chosen_over_the_owner_that_does_not() -> None:
    assert chosen(models("openai", "openrouter"), MESSAGES, "openai/gpt-4o")[0] == "openrouter"


def test_a_dialect_that_nobody_speaks() -> None:
    with pytest.raises(NotFound, match=r"speaks anthropic\.messages\. Configured: openai\."):
        models("openai").choose(MESSAGES, "claude-opus-5")
    with pytest.raises(NotFound, match=r"Configured: none\."):
        models().choose(CHAT, "gpt-4o")


def test_an_unknown_model_is_told_with_the_nearest_that_are_known() -> None:
    with pytest.raises(UnknownModel) as caught:
        models("anthropic", "openai", "groq").choose(CHAT, "llama-3.3-70b-versatil")
    assert caught.value.status == 404
    assert caught.value.param == "model"
    assert caught.value.message == (
        "No configured provider is known to serve the model 'llama-3.3-70b-versatil'. "
        "Nearest known: llama-3.3-70b-versatile. "
        "To choose a provider yourself, write PROVIDER/llama-3.3-70b-versatil or send X-Provider: PROVIDER, "
        "with one of openai, groq."
    )


def test_at_most_three_names_and_only_ones_that_can_be_asked_for_in_this_dialect() -> None:
    with pytest.raises(UnknownModel) as caught:
        EVERYONE.choose(CHAT, "cluade-sonnet-4.5")
    nearest = caught.value.message.partition("Nearest known: ")[2].partition(". To choose")[0].split(", ")
    assert len(nearest) == 3
    for name in nearest:
        assert EVERYONE.choose(CHAT, name).model is not None


def test_a_name_without_end_is_cut() -> None:
    with pytest.raises(UnknownModel) as caught:
        EVERYONE.choose(CHAT, "x" * 1_000_000)
    assert len(caught.value.message) < 1000


def test_names_that_differ_only_in_case_are_refused() -> None:
    with pytest.raises(ConfigError, match="differ in more than case"):
        models("acme=openai", "Acme=groq")


def test_every_listed_model_leads_to_the_deployment_it_is_listed_with() -> None:
    listed = EVERYONE.list_models()
    assert len(listed) > 500
    assert len({name for name, _ in listed}) == len(listed)
    for name, owner in listed:
        assert EVERYONE.choose(None, name).deployment.name == owner


def test_a_plain_name_is_listed_for_the_first_and_with_its_prefix_for_the_others() -> None:
    catalogue = Catalogue({"groq": ("shared", "openai/x"), "cerebras": ("shared",), "openai": ("x",)})
    gateway = models("groq", "cerebras", "openai", "us=groq", catalogue=catalogue)
    assert gateway.list_models() == [
        ("shared", "groq"),
        ("groq/openai/x", "groq"),
        ("cerebras/shared", "cerebras"),
        ("x", "openai"),
        ("us/shared", "us"),
        ("us/openai/x", "us"),
    ]


def attempt(
    dialect: str | None, model: str | None, x_provider: str | None, among: tuple[str, ...] = ()
) -> Route | HeadgateError:
    try:
        return EVERYONE.choose(dialect, model, x_provider, among=among)
    except HeadgateError as error:
        return error


@given(
    dialect=st.sampled_from([CHAT, RESPONSES, MESSAGES, None]),
    model=st.none() | st.text() | st.sampled_from([name for name, _ in EVERYONE.list_models()]),
    x_provider=st.none() | st.text() | st.sampled_from([provider.name for provider in all_providers()]),
)
def test_any_request_gets_a_deployment_that_speaks_its_dialect_or_a_clients_error(
    dialect: str | None, model: str | None, x_provider: str | None
) -> None:
    route = attempt(dialect, model, x_provider)
    if isinstance(route, HeadgateError):
        assert 400 <= route.status < 500
        return
    assert dialect is None or route.deployment.speaks(dialect)
    if model is None:
        assert route.model is None
    elif route.model_prefix_removed:
        assert model.lower() == f"{route.deployment.name}/{route.model}".lower()
    else:
        assert route.model == model


def test_a_language_that_only_one_self_hosted_server_speaks_is_meant_for_it() -> None:
    both = models("openai", "ollama")
    assert both.choose("ollama", "my-own-model").deployment.name == "ollama"
    with pytest.raises(UnknownModel):
        both.choose("openai.chat", "my-own-model")


@pytest.mark.parametrize(
    ("dialect", "model", "among", "expected"),
    [
        (CHAT, "gpt-4o", (), ("eu", "gpt-4o", False)),
        (CHAT, "gpt-4o", ("us",), ("us", "gpt-4o", False)),
        (CHAT, "gpt-4o", ("us", "eu"), ("eu", "gpt-4o", False)),  # the order is the operator's
        (CHAT, "gpt-4o", ("groq", "us"), ("us", "gpt-4o", False)),
        (CHAT, "us/gpt-4o", ("us",), ("us", "gpt-4o", True)),
        (CHAT, "openai/gpt-oss-120b", ("groq",), ("groq", "openai/gpt-oss-120b", False)),
        (RESPONSES, None, ("us", "anthropic"), ("us", None, False)),
        (None, "gpt-4o", ("us",), ("us", "gpt-4o", False)),
        (MESSAGES, "claude-opus-5", ("us", "anthropic"), ("anthropic", "claude-opus-5", False)),
    ],
)
def test_the_choice_among_some(
    dialect: str | None, model: str | None, among: tuple[str, ...], expected: tuple[str, str | None, bool]
) -> None:
    gateway = models("eu=openai", "us=openai", "groq", "anthropic")
    route = gateway.choose(dialect, model, among=among)
    assert (route.deployment.name, route.model, route.model_prefix_removed) == expected


def test_the_fallback_is_one_of_those_that_may_be_chosen_or_none() -> None:
    gateway = models("openai", "groq", "ollama", fallback="ollama")
    assert gateway.choose(CHAT, "my-own", among=("openai", "ollama")).deployment.name == "ollama"
    with pytest.raises(UnknownModel, match="with one of openai, groq"):
        gateway.choose(CHAT, "my-own", among=("openai", "groq"))


def test_who_insists_on_another_gets_it_for_the_caller_to_judge() -> None:
    gateway = models("openai", "groq")
    assert gateway.choose(CHAT, "gpt-4o", "openai", among=("groq",)).deployment.name == "openai"
    assert gateway.choose(RESPONSES, None, hint="openai", among=("groq",)).deployment.name == "openai"


@pytest.mark.parametrize(("dialect", "among"), [(MESSAGES, ("groq",)), (CHAT, ("no-longer-configured",))])
def test_where_none_of_them_speaks_the_dialect(dialect: str, among: tuple[str, ...]) -> None:
    with pytest.raises(Forbidden, match=f"this key may use speaks {dialect}: {among[0]}"):
        models("groq", "anthropic").choose(dialect, "any", among=among)


def test_one_keys_choice_is_not_anothers() -> None:
    gateway = models("eu=openai", "us=openai")
    asked: list[tuple[str, ...]] = [("us",), ("eu",), (), ("us",), ("eu", "us")]
    chosen_for = [gateway.choose(CHAT, "gpt-4o", among=among).deployment.name for among in asked]
    assert chosen_for == ["us", "eu", "eu", "us", "eu"]


NAMES = [provider.name for provider in all_providers()]


@given(
    dialect=st.sampled_from([CHAT, RESPONSES, MESSAGES, None]),
    model=st.none() | st.text(max_size=20) | st.sampled_from([name for name, _ in EVERYONE.list_models()]),
    among=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(tuple),
)
def test_nobody_is_led_outside_of_those_that_they_may_use(
    dialect: str | None, model: str | None, among: tuple[str, ...]
) -> None:
    route = attempt(dialect, model, None, among)
    if isinstance(route, HeadgateError):
        assert 400 <= route.status < 500
    else:
        assert route.deployment.name in among


def test_a_model_of_a_provider_that_may_not_be_used_is_refused_for_that_reason() -> None:
    with pytest.raises(Forbidden, match=r"belongs to openai, which this key may not use; it may use groq\."):
        models("groq", "openai").choose("openai.chat", "gpt-4o", among=("groq",))


def with_alias(*names: str) -> Models:
    deployments = [deployed(name) for name in names]
    alias = Alias("smart", (Tier(tuple(Target(deployment, f"{deployment.name}s") for deployment in deployments)),))
    return Models(deployments, CATALOGUE, None, [alias])


def test_an_alias_at_a_deployment_that_is_settled_already() -> None:
    both = with_alias("anthropic", "openai")
    assert chosen(both, CHAT, "Smart", "openai") == ("openai", "openais", False)
    assert chosen(both, CHAT, "gpt-4o-mini") == ("openai", "gpt-4o-mini", False)


def test_an_alias_is_among_the_nearest_names() -> None:
    with pytest.raises(UnknownModel, match="Nearest known: smart"):
        with_alias("openai").choose(CHAT, "smar")
    assert with_alias("openai").alias("SMART") is not None
    assert with_alias("openai").alias("gpt-4o") is None


def test_a_deployment_that_has_no_target_of_an_alias_is_not_sent_its_name() -> None:
    openai, groq = deployed("openai"), deployed("groq")
    aliases = [Alias(name, (Tier((Target(groq, "llama"),)),)) for name in ("smart", "gpt-4o-mini")]
    both = Models([openai, groq], CATALOGUE, None, aliases)
    with pytest.raises(BadRequest, match="The model 'smart' has no target at openai"):
        both.choose(CHAT, "smart", "openai")
    assert chosen(both, CHAT, "gpt-4o-mini", "openai") == ("openai", "gpt-4o-mini", False), "it has one of that name"
