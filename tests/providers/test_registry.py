import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate import providers
from headgate.dialects.registry import all_dialects
from headgate.errors import ConfigError
from headgate.providers.base import StreamUsage
from headgate.providers.registry import all_providers, by_name, from_environment

KEYS = {
    "OPENAI_API_KEY": "openai",
    "ANTHROPIC_API_KEY": "anthropic",
    "GROQ_API_KEY": "groq",
    "XAI_API_KEY": "xai",
    "DEEPSEEK_API_KEY": "deepseek",
    "MISTRAL_API_KEY": "mistral",
    "OPENROUTER_API_KEY": "openrouter",
    "TOGETHER_API_KEY": "together",
    "FIREWORKS_API_KEY": "fireworks",
    "CEREBRAS_API_KEY": "cerebras",
    "PERPLEXITY_API_KEY": "perplexity",
    "COHERE_API_KEY": "cohere",
    "HF_TOKEN": "huggingface",
    "MOONSHOT_API_KEY": "moonshot",
    "GEMINI_API_KEY": "google",
    "GOOGLE_ACCESS_TOKEN": "vertex",
    "NVIDIA_API_KEY": "nvidia",
    "ZAI_API_KEY": "zai",
}
BASE_URLS = {
    "LITELLM_BASE_URL": "litellm",
    "LLAMACPP_BASE_URL": "llamacpp",
    "LMSTUDIO_BASE_URL": "lmstudio",
    "OLLAMA_BASE_URL": "ollama",
    "SGLANG_BASE_URL": "sglang",
    "VLLM_BASE_URL": "vllm",
}
DIALECTS = {dialect.name for dialect in all_dialects()}


def names(**env: str) -> list[str]:
    return [deployment.name for deployment in from_environment(env)]


def test_every_provider_file_is_found_by_itself() -> None:
    files = {path.stem for path in Path(providers.__path__[0]).glob("*.py")} - {
        "__init__",
        "base",
        "registry",
        "sigv4",
        "grants",
    }
    assert {provider.name for provider in all_providers()} == files


def test_declarations_are_consistent() -> None:
    for provider in all_providers():
        assert provider.name == provider.name.lower()
        assert provider.title
        assert provider.dialects
        assert set(provider.dialects) <= DIALECTS
        assert set(provider.roots) <= set(provider.dialects)
        assert provider.self_hosted or (provider.base_url.startswith("https://") and provider.api_key_env)
        assert all(re.fullmatch(r"[a-z0-9*.:/~#\[\]-]+", pattern) for pattern in provider.model_patterns)


def test_only_providers_known_to_take_the_option_are_asked_for_usage() -> None:
    asked = {provider.name for provider in all_providers() if provider.stream_usage is StreamUsage.ON_REQUEST}
    assert asked == {
        "openai", "xai", "deepseek", "fireworks", "cerebras", "ollama", "vllm", "openai_compatible", "azure",
        "cohere", "google", "huggingface", "litellm", "llamacpp", "lmstudio", "moonshot", "nvidia", "sglang", "zai",
    }  # fmt: skip


def test_by_name() -> None:
    assert by_name("groq").title == "Groq"
    with pytest.raises(ValueError, match=r"expected a provider's name .*anthropic, .*xai.*, not 'grok'"):
        by_name("grok")


def test_an_empty_environment_configures_nothing() -> None:
    assert from_environment({}) == []
    assert from_environment(dict.fromkeys([*KEYS, *BASE_URLS, "ACME_BASE_URL"], "")) == []
    assert from_environment({"PATH": "/bin", "HOME": "/root", "BASE_URL": "http://h", "_BASE_URL": "http://h"}) == []


@pytest.mark.parametrize(("variable", "name"), KEYS.items())
def test_a_key_makes_its_provider_appear(variable: str, name: str) -> None:
    (deployment,) = from_environment({variable: " key-1\n"})
    assert (deployment.name, deployment.provider.name) == (name, name)
    assert deployment.base_url == deployment.provider.base_url
    assert deployment.credential is not None
    assert deployment.credential.reveal() == "key-1"


@pytest.mark.parametrize(("variable", "name"), BASE_URLS.items())
def test_a_base_url_makes_what_operators_run_appear(variable: str, name: str) -> None:
    (deployment,) = from_environment({variable: "http://127.0.0.1:9"})
    assert (deployment.name, deployment.base_url, deployment.credential) == (name, "http://127.0.0.1:9/v1", None)


def test_a_base_url_moves_a_known_provider_but_does_not_make_it_appear() -> None:
    (deployment,) = from_environment({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://eu.api.openai.com"})
    assert deployment.base_url == "https://eu.api.openai.com/v1"
    assert names(OPENAI_BASE_URL="https://eu.api.openai.com") == []
    assert names(ANTHROPIC_BASE_URL="not one, but nobody asked for anthropic") == []


def test_any_other_base_url_makes_an_openai_compatible_server() -> None:
    one, two = from_environment(
        {
            "MY_LLM_BASE_URL": "http://10.0.0.5:1234",
            "JAN_BASE_URL": "http://localhost:1337/v1",
            "MY_LLM_API_KEY": "k",
            "UNRELATED_API_KEY": "x",
        }
    )
    assert (one.name, one.base_url, one.credential) == ("jan", "http://localhost:1337/v1", None)
    assert (two.name, two.base_url) == ("my-llm", "http://10.0.0.5:1234/v1")
    assert two.credential is not None
    assert two.credential.reveal() == "k"
    assert one.provider.name == two.provider.name == "openai_compatible"


@pytest.mark.parametrize(
    "variable",
    [
        "NPM_CONFIG_BASE_URL",
        "npm_config_base_url",
        "PIP_BASE_URL",
        "APP_BASE_URL",
        "API_BASE_URL",
        "NEXT_PUBLIC_BASE_URL",
        "NEXT_PUBLIC_API_BASE_URL",
        "VITE_API_BASE_URL",
        "PLAYWRIGHT_TEST_BASE_URL",
        "GITHUB_BASE_URL",
        "LANGFUSE_BASE_URL",
        "SENTRY_BASE_URL",
        "ANTHROPIC_VERTEX_BASE_URL",
        "GOOGLE_GEMINI_BASE_URL",
        "OPENAI_API_BASE_URL",
        "OLLAMA_API_BASE_URL",
        "HEADGATE_BASE_URL",
        "ACME_BASE_URLS",
        "ACME_BASE_URL_OLD",
        "1_BASE_URL",
    ],
)
def test_other_programs_variables_make_no_provider(variable: str) -> None:
    assert from_environment({variable: "https://somewhere.example/v1"}) == []


@pytest.mark.parametrize("value", ["/assets", "localhost:8000", "postgres://h/db", "true", "$HOST"])
def test_what_is_no_web_address_is_some_other_programs_setting(value: str) -> None:
    assert names(ACME_BASE_URL=value) == []


def test_names_that_only_resemble_other_programs_are_providers() -> None:
    assert names(
        AZURE_OPENAI_BASE_URL="https://a.example/openai/v1",
        OPENAI_COMPATIBLE_BASE_URL="http://h:1",
        PIPELINE_BASE_URL="http://h:1",
        LLM_BASE_URL="http://h:1",
    ) == ["azure-openai", "llm", "openai-compatible", "pipeline"]


@pytest.mark.parametrize(
    ("env", "variable", "expected"),
    [
        ({"OPENAI_API_KEY": "s3cret key"}, "OPENAI_API_KEY", "visible ASCII"),
        ({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "s3cret"}, "OPENAI_BASE_URL", "http:// or https://"),
        ({"OLLAMA_BASE_URL": "localhost:11434"}, "OLLAMA_BASE_URL", "http:// or https://"),
        ({"ACME_BASE_URL": "http://user:s3cret@h"}, "ACME_BASE_URL", "without a user name or password"),
        ({"ACME_BASE_URL": "http://h/v1?key=s3cret"}, "ACME_BASE_URL", "without a query"),
        ({"ACME_BASE_URL": "http://h:s3cret"}, "ACME_BASE_URL", "valid host and port"),
        ({"ACME_BASE_URL": "http://h", "ACME_API_KEY": "s3cret\x00"}, "ACME_API_KEY", "visible ASCII"),
    ],
)
def test_bad_values_name_the_variable_and_what_was_expected(env: dict[str, str], variable: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment(env)
    assert variable in caught.value.message
    assert expected in caught.value.message
    assert "s3cret" not in caught.value.message


def test_known_providers_come_before_others_and_the_order_is_stable() -> None:
    env = dict.fromkeys(KEYS, "k") | dict.fromkeys(["ZEBRA_BASE_URL", *BASE_URLS, "ACME_BASE_URL"], "http://h:1")
    expected = [*sorted([*KEYS.values(), *BASE_URLS.values()]), "acme", "zebra"]
    assert names(**env) == expected
    assert names(**dict(reversed(env.items()))) == expected


ADDING = (Path(__file__).parent.parent.parent / "docs" / "adding-a-provider.md").read_text()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that distributions are found in."""
    all_providers.cache_clear()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    monkeypatch.undo()
    all_providers.cache_clear()
    sys.modules.pop("acme_headgate", None)


def example(language: str) -> str:
    """The one block of that language in docs/adding-a-provider.md."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", ADDING, re.DOTALL)
    return str(block)


def install(site: Path, module: str, entry: str | None = None) -> None:
    """Lay the page's distribution out as an installer does (the specification of "core metadata" and entry points)."""
    project = tomllib.loads(example("toml"))["project"]
    wheel = tomllib.loads(example("toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    (name,) = wheel["only-include"]
    (site / name).write_text(module)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    ((group, entries),) = project["entry-points"].items()
    lines = [f"{key} = {entry or value}" for key, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))


def test_another_distribution_adds_a_provider(site: Path) -> None:
    before = all_providers()
    all_providers.cache_clear()
    install(site, example("python"))
    assert [provider.name for provider in all_providers()] == [*(provider.name for provider in before), "acme"]
    (deployment,) = from_environment({"ACME_API_KEY": "k"})
    assert (deployment.name, deployment.base_url) == ("acme", "https://api.acme.example/v1")
    assert deployment.provider.recognises("acme-large")
    assert not deployment.provider.self_hosted


@pytest.mark.parametrize(
    ("module", "entry", "told"),
    [
        ("PROVIDER = 1", None, "expected a Provider, found int"),
        ("PROVIDER = 1", "acme_headgate:OTHER", "cannot be loaded"),
        ("import nothing_of_that_name", None, "cannot be loaded"),
        (example("python").replace('"acme"', '"groq"'), None, "there is a provider called 'groq' already"),
    ],
)
def test_an_added_provider_that_cannot_serve_is_told(site: Path, module: str, entry: str | None, told: str) -> None:
    install(site, module, entry)
    with pytest.raises(ConfigError) as caught:
        all_providers()
    assert told in caught.value.message
    assert 'headgate.providers: acme = "acme_headgate:' in caught.value.message
    assert "of acme-headgate" in caught.value.message
