"""The text of a TOML file becomes tables, with the variables in it filled in, and tables become types.

What is wrong is told with the source, the key's path and what was expected, and never with a variable's value.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from headgate.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def table_of(text: str, env: Mapping[str, str], source: str) -> dict[str, Any]:
    """The table, with `${NAME}` in its strings replaced by the variable's value. Raises ConfigError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: expected TOML: {error}") from error
    return {key: _filled(value, env, source, (key,)) for key, value in table.items()}


def sections_of(table: dict[str, Any], key: str, shape: type[_Shape], source: str) -> dict[str, _Shape]:
    """The sections [key.NAME], taken out of the table. Raises ConfigError, which tells a section's name."""
    sections = table.pop(key, {})
    if not isinstance(sections, dict):
        raise ConfigError(f"{source}: `{key}`: expected tables, [{key}.NAME]")
    return {name: shaped(value, shape, f"{source}: `{key}.{name}`") for name, value in sections.items()}


def shaped(value: Any, shape: type[_Shape], where: str) -> _Shape:
    """The value as a type; a field that is not known is told with those that are. Raises ConfigError."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        outermost = "unknown field" in str(error) and " - at " not in str(error)
        known = ", ".join(f.name for f in msgspec.structs.fields(shape)) if outermost else ""
        raise ConfigError(f"{where}: {error}" + (f"; known are {known}" if known else "")) from error


def _filled(value: Any, env: Mapping[str, str], source: str, at: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, env, source, (*at, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, env, source, at) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in env:
            raise ConfigError(f"{source}: `{'.'.join(at)}`: the environment variable {name} is not set")
        return env[name]

    return _VARIABLE.sub(variable, value)
