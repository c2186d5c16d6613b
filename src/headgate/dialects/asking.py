"""How a request body is read, for all dialects: only the fields that headgate needs, whatever else it holds."""

import json
from typing import Any, TypeVar

import msgspec

from headgate import jsontext
from headgate.errors import BadRequest


class Wanted(msgspec.Struct):
    """The fields that every dialect's request has. A dialect adds its own, all of them Any.

    What headgate does not need is not checked: it is passed on for the provider to judge.
    """

    model: Any = None
    stream: Any = None


W = TypeVar("W", bound=Wanted)


def read_request(body: bytes, wanted: type[W]) -> W:
    """The wanted fields of a request body, `model` a string or None and `stream` a bool.

    Raises BadRequest for what is no JSON object, for a model or stream of another type, and for a model named twice:
    parsers differ on which one counts, so it would be possible to pay for one and get the other.
    """
    try:
        request = msgspec.json.decode(body, type=wanted)
    except (ValueError, RecursionError):
        request = msgspec.convert(_read_leniently(body), wanted)
    if not isinstance(request.model, str | None):
        raise BadRequest(f"'model' must be a string, not {_kind(request.model)}.", param="model")
    if not isinstance(request.stream, bool | None):
        raise BadRequest(f"'stream' must be true or false, not {_kind(request.stream)}.", param="stream")
    if jsontext.repeats(body, "model"):
        raise BadRequest("The request body names 'model' more than once.", param="model")
    request.stream = bool(request.stream)
    return request


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


def largest(*values: Any) -> int | None:
    """The largest of the values that are non-negative integers; None if none is (facts/stream_cases.md 1.32)."""
    return max((n for value in values if (n := whole(value)) is not None), default=None)
