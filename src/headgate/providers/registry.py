"""Finds the provider files, and tells what the environment configures.

Every module of this folder that holds a `PROVIDER` is a provider, and so is every `Provider` that an installed
distribution names under the entry point group "headgate.providers"; there is no list to keep.
"""

import pkgutil
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from headgate import providers
from headgate.errors import ConfigError
from headgate.providers.base import Deployment, Provider, Secret, header_safe

GROUP = "headgate.providers"
"""The entry point group under which other distributions add providers (docs/adding-a-provider.md)."""

_ANY_SERVER = "openai_compatible"
"""The provider that an unknown `<NAME>_BASE_URL` makes."""

_BASE_URL = re.compile(r"[A-Z][A-Z0-9_]*_BASE_URL")

_OTHER_PROGRAMS = re.compile(
    # a site's own address, as web frameworks and test runners keep it
    r"API|APP|AUTH|BACKEND|CLIENT|DOCS|FRONTEND|HOST|PUBLIC|SERVER|SERVICE|SITE|TEST|WEB|WEBHOOK|WWW"
    r"|(CYPRESS|EXPO|GATSBY|NEXT|NUXT|PLAYWRIGHT|REACT|STORYBOOK|VITE)(_.*)?"
    # package managers and forges
    r"|(BITBUCKET|CARGO|CONDA|GITEA|GITHUB|GITLAB|MAVEN|NPM|PIP|UV|YARN)(_.*)?"
    # services that stand beside a model in many set-ups, and are none
    r"|(CONFLUENCE|FIRECRAWL|GRAFANA|HELICONE|JIRA|KEYCLOAK|LANGCHAIN|LANGFUSE|LANGSMITH|N8N|PHOENIX|POSTHOG|SEARXNG"
    r"|SENTRY|SERPER|SLACK|STRIPE|SUPABASE|TAVILY|WANDB)(_.*)?"
    # other programs' further settings for providers that have a file or a dialect of their own
    r"|ANTHROPIC_.*|GOOGLE_.*|MISTRAL_AUDIO|OLLAMA_API|OPENAI_API"
    r"|HEADGATE(_.*)?"
)
"""Names before `_BASE_URL` that make no provider: many programs keep an address in such a variable, and no prompt may
go to one of them by accident. A list like this is never complete. So the start-up message shows every provider with its
address, a request goes to an unknown server only when it names it or there is no other, and a config file with
providers is the way to be exact: with one, the environment makes none."""


@cache
def all_providers() -> tuple[Provider, ...]:
    """Every provider: those there is a file for, by module name, then those of other distributions, by name.

    Raises ConfigError, naming the entry point, for one that cannot be loaded, is none, or takes a name that is taken.
    """
    names = (found.name for found in pkgutil.iter_modules(providers.__path__, f"{providers.__name__}."))
    found = {
        module.PROVIDER.name: module.PROVIDER for module in map(import_module, names) if hasattr(module, "PROVIDER")
    }
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        provider = _added(entry)
        if found.setdefault(provider.name, provider) is not provider:
            raise ConfigError(f"entry point {_told(entry)}: there is a provider called '{provider.name}' already")
    return tuple(found.values())


def _added(entry: EntryPoint) -> Provider:
    try:
        provider = entry.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"entry point {_told(entry)}: cannot be loaded: {error}") from error
    if not isinstance(provider, Provider):
        raise ConfigError(f"entry point {_told(entry)}: expected a Provider, found {type(provider).__name__}")
    return provider


def _told(entry: EntryPoint) -> str:
    """An entry point as its distribution's pyproject.toml has it, with that distribution's name."""
    source = f" of {entry.dist.name}" if entry.dist is not None else ""
    return f'{GROUP}: {entry.name} = "{entry.value}"{source}'


def by_name(name: str) -> Provider:
    """The provider of that name. Raises ValueError, naming those there are."""
    found = {provider.name: provider for provider in all_providers()}
    if name not in found:
        raise ValueError(f"expected a provider's name ({', '.join(sorted(found))}), not '{name}'")
    return found[name]


def from_environment(env: Mapping[str, str]) -> list[Deployment]:
    """The deployments that environment variables configure: known providers by name, then others by name.

    A provider with a key of its own appears when that key is set, one that operators run themselves when its base URL
    is; `<NAME>_BASE_URL` moves a known provider to another address. Any other `<NAME>_BASE_URL` that holds an http or
    https URL, with `<NAME>_API_KEY` if that is set, is an OpenAI-compatible server called name. An empty variable
    counts as unset. Raises ConfigError, naming the variable and what was expected and never its value.
    """
    known = (_known(provider, env) for provider in all_providers())
    return [deployment for deployment in known if deployment is not None] + _others(env)


def _known(provider: Provider, env: Mapping[str, str]) -> Deployment | None:
    secrets = {name: secret for name, variable in provider.secrets.items() if (secret := _key(env, variable))}
    keys = (provider.api_key_env, provider.other_key_env)
    named = any(_text(env, name) for name in ((provider.base_url_env,) if provider.self_hosted else keys))
    given = {name: _first(env, variables) for name, variables in provider.options.items()}
    options = {name: value for name, value in given.items() if value}
    # Other programs have a use for such secrets: alone, without a region, they are not meant for us.
    signs = bool(provider.needed_secrets) and secrets.keys() >= set(provider.needed_secrets)
    if not named and not (signs and options.keys() >= provider.options.keys()):
        return None
    try:
        root = _read(env, provider.base_url_env, provider.root) or provider.address(options)
    except ValueError as error:
        variables = ", ".join(variable for some in provider.options.values() for variable in some)
        raise ConfigError(f"environment variable {variables}: {error}") from None
    key = next((key for name in keys if (key := _key(env, name))), None)
    return Deployment(provider.name, provider, root, key, provider.on_client_gone, options=options, secrets=secrets)


def _first(env: Mapping[str, str], variables: tuple[str, ...]) -> str:
    return next((text for variable in variables if (text := _read(env, variable, header_safe))), "")


def _others(env: Mapping[str, str]) -> list[Deployment]:
    server = by_name(_ANY_SERVER)
    known = {provider.base_url_env for provider in all_providers()}
    found: list[Deployment] = []
    for variable in sorted(env.keys() - known):
        name = variable.removesuffix("_BASE_URL")
        if not _BASE_URL.fullmatch(variable) or _OTHER_PROGRAMS.fullmatch(name):
            continue
        # A value that is no web address at all is some other program's setting, not a mistake in ours.
        if _text(env, variable).lower().startswith(("http://", "https://")):
            root = _read(env, variable, server.root)
            key = _key(env, f"{name}_API_KEY")
            found.append(Deployment(name.lower().replace("_", "-"), server, root, key, server.on_client_gone))
    return found


def _key(env: Mapping[str, str], variable: str | None) -> Secret | None:
    return Secret(key) if (key := _read(env, variable, header_safe)) else None


def _read(env: Mapping[str, str], variable: str | None, read: Callable[[str], str]) -> str:
    """The variable's value as `read` makes it; empty where it is unset or empty."""
    text = _text(env, variable)
    try:
        return read(text) if text else ""
    except ValueError as error:
        raise ConfigError(f"environment variable {variable}: {error}") from None


def _text(env: Mapping[str, str], variable: str | None) -> str:
    return env.get(variable, "").strip() if variable is not None else ""
