"""How usage on the wire is kept and read, for all dialects.

Three rules hold here (architecture, decisions 3 and 4): per field the last value that the provider sent counts, absent
or null never erases, and what is not a count is unknown, not 0. Oddities are named and counted in `Seen.anomalies`;
they never change a number.
"""

import json
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from headgate.usage import Basis, Reading, Usage

MAX_COUNT = 2**40
"""No response has as many tokens, and millions of such counts still add up within 64 bits."""
MAX_TEXT = 1024
"""Characters kept of a name or a message: a reading is a row in a log, not a copy of the response."""
MAX_ERROR = MAX_TEXT + 16 * 1024
"""Characters of an error's parts until it is a record's: so many behind the cut as the redactor looks at."""

MAX_MEMBERS = 256
"""Members kept of an object, so that no stream of ever new ones grows without bound."""
MAX_KEY = 64
"""Characters of a key that can name a count."""
_NULL = msgspec.Raw(b"null")

S = TypeVar("S", bound=msgspec.Struct)
Count = Annotated[int, msgspec.Meta(ge=0, lt=MAX_COUNT)]
"""What a count is in the usual shape of a usage object; of any other shape `Counts` makes what can be made of it."""


class Anomalies(dict[str, int]):
    """Oddities by name, counted. Made for every reading, and empty in nearly all."""

    __slots__ = ()

    def __missing__(self, name: str) -> int:
        """What was not met counts 0."""
        return 0

    def __add__(self, other: Mapping[str, int]) -> "Anomalies":
        """Both together."""
        both = Anomalies(self)
        for name, n in other.items():
            both[name] += n
        return both


class Shape(Generic[S]):
    """A Struct to read JSON into: only its fields are decoded, and nothing wrong elsewhere in the text matters.

    What msgspec refuses (lone surrogates, NaN, a field of an unexpected type; facts/libraries.md section 4) is read
    again leniently: fields that fit are kept, the others get their defaults.
    """

    __slots__ = ("_decode", "_struct")

    def __init__(self, struct: type[S]) -> None:
        self._struct = struct
        self._decode = msgspec.json.Decoder(struct).decode

    def read(self, data: bytes) -> S | None:
        """The object in `data`, or the first one of an array; None if there is none."""
        try:
            return self._decode(data)
        except (ValueError, RecursionError):
            return self._read_leniently(data)

    def _read_leniently(self, data: bytes) -> S | None:
        value = loads(data)
        if isinstance(value, list) and value:
            value = value[0]
        return fitted(value, self._struct) if isinstance(value, dict) else None


def loads(data: bytes) -> Any:
    """Any JSON, decimals exact, numbers beyond reason and NaN as None; None if it is not JSON."""
    try:
        return _LENIENT.decode(data.decode("utf-8", "replace").lstrip("\ufeff \t\r\n"))
    except (ValueError, RecursionError):
        return None


def _integer(text: str) -> int | None:
    return int(text) if len(text) <= 20 else None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent that no Decimal holds
        return None


_LENIENT = json.JSONDecoder(parse_float=_decimal, parse_int=_integer, parse_constant=lambda _: None)


def _fit(value: Any, hint: Any) -> Any:
    """The value as the type `hint` wants it, or None. Where a Raw is wanted, the value itself: see `parsed`."""
    if hint is msgspec.Raw or hint is Any:
        return value
    if isinstance(hint, types.UnionType):
        fits = (_fit(value, option) for option in typing.get_args(hint))
        return next((fit for fit in fits if fit is not None), None)
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return [fit for each in value if (fit := _fit(each, item)) is not None] if isinstance(value, list) else None
    if issubclass(hint, msgspec.Struct):
        return fitted(value, hint) if isinstance(value, dict) else None
    if hint is str:
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
    return value if type(value) is hint else None


def fitted(value: dict[str, Any], struct: type[S]) -> S:
    """The struct with those members of a decoded object that fit its fields; the others get their defaults."""
    hints = typing.get_type_hints(struct)
    fits = {f.name: _fit(value.get(f.encode_name), hints[f.name]) for f in msgspec.structs.fields(struct)}
    return struct(**{name: fit for name, fit in fits.items() if fit is not None})


def parsed(value: Any) -> Any:
    """The value of a Raw field, decimals exact; None where it was absent, null or is not JSON."""
    if not isinstance(value, msgspec.Raw):
        return value
    return None if not value or value == _NULL else loads(bytes(value))


def string(value: Any) -> str | None:
    """The value of a Raw field if it is a string; other kinds, which may be large, are not parsed."""
    if isinstance(value, msgspec.Raw):
        value = loads(bytes(value)) if bytes(memoryview(value)[:1]) == b'"' else None
    return value if isinstance(value, str) else None


def merge(snapshot: Mapping[str, Any], new: Any, depth: int = 8) -> Mapping[str, Any]:
    """The snapshot with what `new` says laid over it: objects merge, lists replace, null and absent keep.

    Objects nested deeper than `depth` replace each other, and members beyond MAX_MEMBERS are passed over; real usage
    nests three deep and has some twenty members.
    """
    if not isinstance(new, dict):
        return snapshot
    merged = dict(snapshot)
    for key, value in new.items():
        old = merged.get(key)
        if value is None or (old is None and len(merged) >= MAX_MEMBERS):
            continue
        if isinstance(value, dict) and depth:
            merged[key] = merge(old if isinstance(old, dict) else {}, value, depth - 1)
        else:
            merged[key] = value
    return merged


class Snapshot(Generic[S]):
    """What a response has said of its usage: each object laid over the one before, where null and absent keep.

    There are two ways to one reading. A usage object nearly always has the shape that its API documents, and is decoded
    into a Struct in one step: `usual`. Once one does not fit, all are kept as `merge` makes them: `members`. The Struct
    has a field for every member that is ever read, so that nothing is lost when the second way follows on the first;
    what is seldom told and not simple has the type None, and does not fit.
    """

    __slots__ = ("_decode", "_members", "usual")

    def __init__(self, decode: Callable[[msgspec.Raw], S]) -> None:
        """`decode` is the strict decoder of the Struct."""
        self._decode = decode
        self._members: Mapping[str, Any] = {}
        self.usual: S | None = None

    def read(self, value: Any) -> "S | Any":
        """A usage object from a Raw field, to be laid over; None where it says nothing."""
        if isinstance(value, msgspec.Raw):
            if not value or value == _NULL:
                return None
            try:
                return self._decode(value)
            except (ValueError, RecursionError):
                value = loads(bytes(value))
        return value or None

    def lay(self, new: "S | Any") -> None:
        """Lay what `read` gave over what was said before; what is no object changes nothing."""
        if isinstance(new, msgspec.Struct) and not self._members:
            usual: Any = new if self.usual is None else _laid_over(self.usual, new)
            self.usual = usual
        elif new is not None:
            self._members = merge(self.members, members_of(new))
            self.usual = None

    @property
    def members(self) -> Mapping[str, Any]:
        """All that was said and may be read, member by member."""
        return self._members if self.usual is None else members_of(self.usual)

    def get(self, name: str) -> Any:
        """A member that the Struct has too; None where it was not said."""
        return self._members.get(name) if self.usual is None else getattr(self.usual, name)

    @property
    def said(self) -> bool:
        """Whether anything was."""
        return self.usual is not None or bool(self._members)


def _laid_over(old: msgspec.Struct, new: msgspec.Struct) -> msgspec.Struct:
    """The new object with what only the old one says."""
    for name in new.__struct_fields__:
        said, before = getattr(new, name), getattr(old, name)
        if said is None:
            setattr(new, name, before)
        elif isinstance(before, msgspec.Struct):
            _laid_over(before, said)
    return new


def members_of(said: Any) -> Any:
    """An object as decoded into a Struct, as a mapping without null; any other value as it is."""
    if not isinstance(said, msgspec.Struct):
        return said
    members = ((name, members_of(getattr(said, name))) for name in said.__struct_fields__)
    return {name: value for name, value in members if value is not None}


def count(value: Any) -> int | None:
    """A non-negative integer below MAX_COUNT; integral decimals and digits in a string count (design/usage.md).

    None for null; raises ValueError for anything else.
    """
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        value = int(value)
    if isinstance(value, Decimal) and value.is_finite() and 0 <= value < MAX_COUNT and value == int(value):
        value = int(value)
    if type(value) is int and 0 <= value < MAX_COUNT:
        return value
    raise ValueError("not a count")


class Counts:
    """Reads counts out of a usage object by their path; what is none becomes None and an anomaly."""

    __slots__ = ("_anomalies", "_usage")

    def __init__(self, usage: Any, anomalies: Anomalies) -> None:
        self._usage = usage
        self._anomalies = anomalies

    def get(self, *path: str) -> int | None:
        """The count at a path of keys; None where it is absent, null or not a count."""
        value = self._usage
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or (type(value) is int and 0 <= value < MAX_COUNT):  # nearly always
            return value
        try:
            return count(value)
        except ValueError:
            self._anomalies[f"not_a_count.{path[-1]}"] += 1
            return None

    def first(self, *paths: tuple[str, ...]) -> int | None:
        """The first of several paths that holds a count."""
        for path in paths:
            found = self.get(*path)
            if found is not None:
                return found
        return None

    def named(self, *path: str, suffix: str) -> dict[str, int]:
        """The counts of the object at a path whose keys end in `suffix`, by key without it."""
        found = self._usage
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        keys = found if isinstance(found, dict) else ()
        names = [key for key in keys if key.endswith(suffix) and len(key) <= MAX_KEY]
        counts = {text(name.removesuffix(suffix)) or "": self.get(*path, name) for name in names}
        return {name: n for name, n in counts.items() if n is not None}


def split_of(total: int | None, parts: Mapping[str, int], anomalies: Anomalies) -> Mapping[str, int] | None:
    """The parts, if they sum to their total; otherwise None and an anomaly (facts/stream_cases.md 5.5)."""
    if not parts or total is None:
        return None
    if sum(parts.values()) == total:
        return parts
    anomalies["cache_write_split_mismatch"] += 1
    return None


_PARTS = {
    "cache_read_tokens": "input_tokens",
    "cache_read_audio_tokens": "cache_read_tokens",
    "cache_read_image_tokens": "cache_read_tokens",
    "cache_write_tokens": "input_tokens",
    "input_audio_tokens": "input_tokens",
    "input_image_tokens": "input_tokens",
    "reasoning_tokens": "output_tokens",
    "output_audio_tokens": "output_tokens",
    "output_image_tokens": "output_tokens",
}
"""Details and the totals that hold them (design/usage.md)."""


_parts_of = attrgetter(*_PARTS)


def check_parts(usage: Usage, anomalies: Anomalies) -> Usage:
    """The usage as it is; details above their total are noted."""
    for n, (part, total) in zip(_parts_of(usage), _PARTS.items(), strict=True):
        if n:
            whole = getattr(usage, total)
            if whole is not None and n > whole:
                anomalies[f"{part}_over_total"] += 1
    return usage


def text(value: Any, most: int = MAX_TEXT) -> str | None:
    """A name or message fit to be kept: a non-empty string without lone surrogates, cut at `most`; else None."""
    if not isinstance(value, str) or not value:
        return None
    if len(value) <= most and value.isascii():
        return value
    return value[:most].encode("utf-8", "replace").decode()


def size(value: str | None) -> int:
    """UTF-8 bytes of a text."""
    if not value:
        return 0
    return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))


def error_text(error: Any, code: Any = None) -> str:
    """`code: message` of an error object in any of the shapes that providers use, or of a bare message.

    Longer than it is kept: what it quotes of credentials is blotted out first, and half of one would not be known.
    """
    message: Any = error
    if isinstance(error, dict):
        code = error.get("code") or error.get("type") or code
        message = error.get("message")
    told = [
        text(str(part), MAX_ERROR)
        for part in (code, message)
        if isinstance(part, str | int) and part not in ("", False)
    ]
    return ": ".join(part for part in told if part) or "error"


class Seen(msgspec.Struct):
    """What a tally has seen of a response, apart from its usage."""

    model: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    terms: Mapping[str, str] = {}
    finish_reason: str | None = None
    terminal: str | None = None
    error: str | None = None
    delivered: int = 0
    anomalies: Anomalies = msgspec.field(default_factory=Anomalies)

    def reading(self, usage: Usage, anomalies: Anomalies, *, final: bool) -> Reading:
        """The reading with this usage; `anomalies` are those of reading it, `final` says that it is the last word."""
        seen = not usage.is_empty
        return Reading(
            usage=usage,
            basis=(Basis.REPORTED if final else Basis.PARTIAL) if seen else Basis.NONE,
            served_model=text(self.model),
            response_id=text(self.response_id),
            service_tier=text(self.service_tier),
            terms=dict(self.terms),
            finish_reason=text(self.finish_reason),
            terminal_evidence=self.terminal,
            in_stream_error=self.error,
            delivered_bytes=self.delivered,
            anomalies=dict(self.anomalies + anomalies if self.anomalies else anomalies),
        )
