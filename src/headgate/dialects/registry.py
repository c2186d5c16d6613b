"""Which dialect and operation a method and path mean; which one a body means where the path does not say.

A dialect is a module of this package with a `DIALECT` in it: adding the file registers it.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from headgate import dialects
from headgate.dialects.asking import Wanted, read_request
from headgate.dialects.base import Dialect, Operation
from headgate.errors import BadRequest


class Match(NamedTuple):
    """What a request is: the dialect, its operation, and what the path's placeholders stand for, decoded."""

    dialect: Dialect
    operation: Operation
    parameters: Mapping[str, str]


@cache
def all_dialects() -> tuple[Dialect, ...]:
    """Every dialect, by module name."""
    names = sorted(module.name for module in pkgutil.iter_modules(dialects.__path__, f"{dialects.__name__}."))
    found = (getattr(importlib.import_module(name), "DIALECT", None) for name in names)
    return tuple(dialect for dialect in found if isinstance(dialect, Dialect))


def by_name(name: str) -> Dialect:
    """The dialect of that name or alias. Raises ValueError naming those there are."""
    for dialect in all_dialects():
        if name == dialect.name or name in dialect.aliases:
            return dialect
    known = ", ".join(sorted(known for dialect in all_dialects() for known in (dialect.name, *dialect.aliases)))
    raise ValueError(f"no dialect is called {name!r}; there are {known}")


_CACHED_PATH = 256
"""Characters of a path that is remembered: paths are the clients' own, and memory is not theirs to fill."""


def recognise(method: str, path: str) -> Match | None:
    """The operation at a path below the API's version root, such as "/responses/resp_1/cancel".

    Of dialects whose paths hang at the server's root, the whole path: "/v1beta/models/gemini-3:generateContent".
    """
    return _remembered(method, path) if len(path) <= _CACHED_PATH else _found(method, path)


def _found(method: str, path: str) -> Match | None:
    return next(_matches(method, path.split("/")), None)


_remembered = lru_cache(maxsize=4096)(_found)


@cache
def _most_segments() -> int:
    """Of the longest path that any operation has."""
    return max(operation.path.count("/") for dialect in all_dialects() for operation in dialect.operations)


def with_parameter(operation: Operation, path: str, name: str, value: str) -> str:
    """The path of that operation with one placeholder's text replaced, percent-encoded as it was before.

    AWS' SDKs encode a colon and sign it so, Google's leave it as it is.
    """
    segments = path.split("/")
    for at, wanted in enumerate(operation.path.split("/")):
        if wanted.startswith(f"{{{name}}}"):
            safe = "" if "%3A" in segments[at].upper() else ":@"
            segments[at] = quote(value, safe=safe) + wanted.removeprefix(f"{{{name}}}")
    return "/".join(segments)


_VERB = re.compile(r":[a-z]+[A-Za-z]*\Z")
"""What Google's paths do to the resource that they name, ":generateContent": never part of a plain placeholder."""

_NO_ROOT = re.compile(r".*/(threads|conversations|sessions)/[^/]+")
"""Paths that merely end alike: a message posted to OpenAI's /threads/{id}/messages is not Anthropic's."""


def recognise_suffix(method: str, path: str) -> Match | None:
    """The operation that a provider's own path ends in, such as "/openai/deployments/x/chat/completions".

    Only as many segments are looked at as an operation can have, however many a client writes.
    """
    segments = path.split("/")
    for start in range(max(0, len(segments) - 1 - _most_segments()), len(segments) - 1):
        match = recognise(method, "/" + "/".join(segments[start + 1 :]))
        if match is not None and not _NO_ROOT.fullmatch("/".join(segments[: start + 1])):
            return match
    return None


def _matches(method: str, segments: Sequence[str]) -> Iterator[Match]:
    for dialect in all_dialects():
        for operation in dialect.operations:
            template = operation.path.split("/")
            if operation.method == method and len(template) == len(segments):
                pairs = list(zip(template, segments, strict=True))
                if all(_fits(wanted, given) for wanted, given in pairs):
                    yield Match(dialect, operation, dict(_filled(w, g) for w, g in pairs if w[:1] == "{"))


def _fits(wanted: str, given: str) -> bool:
    """Whether a path's segment is what a template's says: the same text, or anything where a placeholder stands."""
    if wanted[:1] != "{":
        return given == wanted
    _, ending = wanted.split("}")
    return given.endswith(ending) and len(given) > len(ending) and (bool(ending) or not _VERB.search(given))


def _filled(wanted: str, given: str) -> tuple[str, str]:
    name, ending = wanted.split("}")
    return name[1:], unquote(given.removesuffix(ending))


class _Signs(Wanted):
    """The members that tell one API's requests from another's."""

    input: Any = None
    messages: Any = None
    prompt: Any = None
    system: Any = None
    encoding_format: Any = None
    dimensions: Any = None


_ANTHROPIC_HEADERS = frozenset({b"anthropic-version", b"x-api-key"})


def detect(body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> tuple[Dialect, Operation]:
    """The API that a body sent to no API's path in particular is written for.

    Raises BadRequest where the body is no JSON object, or shows none of the signs.
    """
    signs = read_request(body, _Signs)
    if signs.messages is not None:
        anthropic = signs.system is not None or any(name in _ANTHROPIC_HEADERS for name, _ in headers)
        return _creating("anthropic.messages" if anthropic else "openai.chat")
    if signs.input is not None or isinstance(signs.prompt, dict):  # a stored prompt is the Responses API's
        embeds = signs.encoding_format is not None or signs.dimensions is not None or "embed" in (signs.model or "")
        return _creating("openai.embeddings" if embeds else "openai.responses")
    if signs.prompt is not None:
        return _creating("openai.completions")
    raise BadRequest(
        "Cannot tell which API this body is for. Looked for 'messages' (chat completions; Anthropic messages with a "
        "'system' member or an anthropic-version or x-api-key header), 'input' (responses or embeddings) and 'prompt' "
        "(completions)."
    )


def _creating(name: str) -> tuple[Dialect, Operation]:
    dialect = by_name(name)
    return dialect, dialect.operations[0]
