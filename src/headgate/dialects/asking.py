"""How a request body is read, for all dialects: only the fields that headgate needs, whatever else it holds."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import msgspec

from headgate import jsontext
from headgate.dialects.reading import fitted, parsed, string
from headgate.errors import BadRequest


class Wanted(msgspec.Struct):
    """The fields that every dialect's request has. A dialect adds its own: Any, or Raw for what may be large.

    What headgate does not need is not checked: it is passed on for the provider to judge.
    """

    once: ClassVar[tuple[str, ...]] = ("model", "stream")
    """Members that may stand there only once: parsers differ on which one counts, so one could be held and another
    served. A dialect adds those that bound what is generated, or that the price depends on."""

    bulk: ClassVar[tuple[str, ...]] = ()
    """Members that were read as Raw and are most of a large body: the others are looked for outside of them."""

    model: Any = None
    stream: Any = None


W = TypeVar("W", bound=Wanted)


def read_request(body: bytes, wanted: type[W]) -> W:
    """The wanted fields of a request body, `model` a string or None and `stream` a bool.

    Raises BadRequest for what is no JSON object, for a model or stream of another type, and for a member of `once`
    that is named twice.
    """
    try:
        request = msgspec.json.decode(body, type=wanted)
    except (ValueError, RecursionError):
        request = fitted(_read_leniently(body), wanted)
    if not isinstance(request.model, str | None):
        raise BadRequest(f"'model' must be a string, not {_kind(request.model)}.", param="model")
    if not isinstance(request.stream, bool | None):
        raise BadRequest(f"'stream' must be true or false, not {_kind(request.stream)}.", param="stream")
    repeated = _repeated(_outline(body, request) if len(body) > _LARGE else body, wanted.once)
    if repeated is not None:
        raise BadRequest(f"The request body names '{repeated}' more than once.", param=repeated)
    request.stream = bool(request.stream)
    return request


_LARGE = 256
"""Bytes of a member from which on it pays to leave it out."""


def _repeated(outline: bytes, names: tuple[str, ...]) -> str | None:
    """The first of these members that stands there twice, whether or not in the same case.

    Go's parser takes "Model" for "model", and so do others; it even takes a long s for an s.
    """
    if not _spelt(outline):
        keys = [key.lower() for key in _keys(names).findall(outline)]
        if len(keys) == len(set(keys)):
            return None
    found = Counter(member.key.casefold() for member in jsontext.members(outline))
    return next((name for name in names if found[name.casefold()] > 1), None)


def _spelt(outline: bytes) -> bool:
    """Whether a key may be written otherwise than in letters of ASCII. The first look is a tenth of the others'."""
    if outline.isascii() and outline.find(b"\\") < 0:
        return False
    return b"\\u" in outline or _LONG_S in outline or _KELVIN in outline


@lru_cache
def _keys(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Finds them in any case, each by one look at a quotation mark: to count each of them by itself takes longer."""
    letters = ["".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in name) for name in names]
    return re.compile(f'"({"|".join(letters)})"'.encode())


_LONG_S, _KELVIN = "\u017f".encode(), "\u212a".encode()
"""The two characters beyond ASCII that are letters of it in another case (Unicode's CaseFolding.txt)."""


def _outline(body: bytes, request: Wanted) -> bytes:
    """The body without its bulk, where that can be told at a glance: searching it all costs more than decoding it."""
    for name in request.bulk:
        value = getattr(request, name)
        text = bytes(value) if isinstance(value, msgspec.Raw) else b""
        if len(text) > _LARGE:
            key = b'"' + name.encode() + b'"'
            start = body.find(text[:1], body.find(key) + len(key))
            if start >= 0 and body.startswith(text, start):
                body = b"".join((body[:start], b"null", body[start + len(text) :]))
    return body


def _read_leniently(body: bytes) -> dict[str, Any]:
    """What msgspec is too strict for: lone surrogates, NaN, a byte order mark (facts/libraries.md section 4)."""
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadRequest("The request body is not JSON: it is not UTF-8 text.") from None
    except RecursionError:
        raise BadRequest("The request body is nested too deeply.") from None
    except ValueError as error:
        raise BadRequest(f"The request body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise BadRequest(f"The request body must be a JSON object, not {_kind(value)}.")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds = {str: "a string", int: "a number", float: "a number", list: "an array", dict: "an object"}
    return kinds[type(value)]


def whole(value: Any) -> int | None:
    """A non-negative integer, or None for anything else."""
    return value if type(value) is int and value >= 0 else None


def times(value: Any) -> int:
    """A number of answers: 1 where none is named, or what is named is no positive integer."""
    return whole(value) or 1


def largest(*caps: Any) -> int | None:
    """The largest of the caps that are named (facts/stream_cases.md 1.32).

    None if none is, and if any is no positive integer: 0, -1, NaN, true and "100" are passed on for the provider to
    judge, who may read them as no cap at all, so they bound nothing.
    """
    most = None
    for cap in caps:
        if cap is not None:
            if type(cap) is not int or cap <= 0:
                return None
            if most is None or cap > most:
                most = cap
    return most


def budget(*values: Any) -> int:
    """The largest of several thinking budgets; 0 where none is named, or none is a positive integer."""
    return max((n for value in values if (n := whole(value)) is not None), default=0)


_ROWS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


def rows(raw: Any) -> list[dict[str, Any]]:
    """The objects of an array that was read as Raw, their members still raw; what is none is passed over."""
    if not raw:
        return []
    if isinstance(raw, msgspec.Raw):
        try:
            return _ROWS.decode(raw)
        except (ValueError, RecursionError):
            raw = parsed(raw)
    return [row for row in raw if isinstance(row, dict)] if isinstance(raw, list) else []


def items(raw: Any) -> int:
    """How many items an array has that was read as Raw; 1 for anything else that is there, 0 for nothing or null."""
    if isinstance(raw, msgspec.Raw):
        try:
            return len(_ITEMS.decode(raw))
        except (ValueError, RecursionError):
            raw = parsed(raw)
    if not raw:
        return 0
    return len(raw) if isinstance(raw, list) else 1


def prompts(raw: Any) -> int:
    """How many prompts: an array holds several texts, objects or token arrays, or else the tokens of one."""
    if isinstance(raw, msgspec.Raw):
        start = bytes(memoryview(raw)[:16]).lstrip(b" \t\r\n")
        if start[:1] != b"[" or start[1:].lstrip(b" \t\r\n")[:1] not in {b'"', b"[", b"{", b""}:
            return 1
    elif not (isinstance(raw, list) and raw and isinstance(raw[0], str | list | dict)):
        return 1
    return max(items(raw), 1)


def raw_bytes(value: Any) -> bytes:
    """The JSON text of a member that was read as Raw; none for one that is absent."""
    return bytes(value) if isinstance(value, msgspec.Raw) else json.dumps(value).encode()


def given(*values: Any) -> bool:
    """True if any of these members was named, and not as null. An empty object is one: it may ask for the defaults."""
    return values.count(None) < len(values)


def runs_tools(tools: Sequence[Mapping[str, Any]], own: tuple[str, ...]) -> bool:
    """True if the provider itself runs one of these tools.

    Those without a type the client runs, and those whose type begins like one of `own`.
    What a provider's tools find is read by the model, and billed, as often as the model likes.
    """
    if not tools:
        return False
    kinds = (string(tool.get("type")) for tool in tools)
    return any(kind is not None and not kind.startswith(own) for kind in kinds)
