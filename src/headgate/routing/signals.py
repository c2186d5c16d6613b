"""What an answer's head says about coming again: whether another try can help, and when. Pure; time is passed in.

The headers are those of facts/wire.md: `retry-after` (RFC 9110 section 10.2.3), `retry-after-ms`, and the figures for
what is left of a limit, as OpenAI's and Anthropic's APIs and those like them send them.
"""

import re
from calendar import timegm
from collections.abc import Iterable, Sequence
from email.utils import parsedate_tz
from math import isfinite

_NS = 1_000_000_000
_EPOCH_SECONDS, _EPOCH_MS = 1_000_000_000, 1_000_000_000_000
"""A larger number is a moment, in seconds or in milliseconds: nobody waits thirty years."""
_MOST_SECONDS = 366 * 86_400

_TRY_AGAIN = frozenset({401, 402, 403, 408, 409, 425, 429})
_LIMITED = 429
_NO_FAULT = frozenset({409})
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))")

Headers = Sequence[tuple[bytes, bytes]]


def helps(status: int, *, own_credential: bool) -> bool:
    """Whether another deployment may well answer what this one answered with that status.

    What is wrong with the request is wrong everywhere (400, 404, 413, 422). A refused credential is the operator's
    matter, unless it is the client's own.
    """
    if status in {401, 402, 403} and not own_credential:
        return False
    return status >= 500 or status in _TRY_AGAIN


def is_failure(status: int, *, own_credential: bool) -> bool:
    """Whether an answer speaks against the health of who gave it. A limit of the client's own account does not."""
    if status == _LIMITED and not own_credential:
        return False
    return helps(status, own_credential=own_credential) and status not in _NO_FAULT


def retry_after(headers: Headers, now_ns: int) -> int | None:
    """How long to wait, in nanoseconds, where the answer says so.

    `now_ns` is the wall clock, for a date.
    """
    for name, scale in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        text = _value(headers, name)
        if text is not None:
            seconds = _number(text)
            found = _nanoseconds(seconds * scale) if seconds is not None else _until_date(text, now_ns)
            if found is not None:
                return found
    return None


def spent(headers: Headers, now_ns: int) -> int | None:
    """How long until there is something left again of a limit of which nothing is left; None where something is."""
    waits = [
        wait
        for name, value in headers
        if value.strip() == b"0" and (reset := _reset_of(name)) is not None
        if (text := _value(headers, reset)) is not None and (wait := _until(text, now_ns)) is not None
    ]
    return max(waits, default=None)


def _reset_of(name: bytes) -> bytes | None:
    """The header with the end of the limit that a header has the rest of."""
    if name.startswith(b"x-ratelimit-remaining"):
        return name.replace(b"-remaining", b"-reset", 1)
    if name.startswith(b"anthropic-ratelimit-") and name.endswith(b"-remaining"):
        return name.removesuffix(b"-remaining") + b"-reset"
    return None


def _until(text: str, now_ns: int) -> int | None:
    """Nanoseconds until what a reset header says: a number, a duration such as 6m0s, or a moment."""
    number = _number(text)
    if number is not None:
        if number >= _EPOCH_MS:
            return max(0, _whole(number * 1_000_000) - now_ns)
        return max(0, _whole(number * _NS) - now_ns) if number >= _EPOCH_SECONDS else _nanoseconds(number)
    if (duration := _DURATION.fullmatch(text)) is not None and text:
        return _nanoseconds(_sum(duration.groups()))
    return _until_moment(text, now_ns)


def _sum(parts: Iterable[str | None]) -> float:
    return sum(float(part) * unit for part, unit in zip(parts, _UNITS, strict=True) if part is not None)


def _until_moment(text: str, now_ns: int) -> int | None:
    """RFC 3339, as Anthropic has it."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(found.group(n)) for n in range(1, 7))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60 and year >= 1970):
        return None
    offset = 0
    if found.group(7) is not None:
        offset = (int(found.group(8)) * 3600 + int(found.group(9)) * 60) * (-1 if found.group(7) == "-" else 1)
    return max(0, (timegm((year, month, day, hour, minute, second)) - offset) * _NS - now_ns)


def _until_date(text: str, now_ns: int) -> int | None:
    """An HTTP date."""
    try:
        found = parsedate_tz(text)
        seconds = None if found is None or found[0] < 1970 else timegm(found[:9]) - (found[9] or 0)
    except (ValueError, OverflowError, IndexError):
        return None
    return None if seconds is None else max(0, seconds * _NS - now_ns)


def _value(headers: Headers, name: bytes) -> str | None:
    """A header's first value, trimmed; None without it, and for what is not ASCII."""
    for key, value in headers:
        if key == name:
            return value.decode("ascii").strip() if value.isascii() else None
    return None


_NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,18})?")


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _nanoseconds(seconds: float) -> int:
    return _whole(min(seconds, _MOST_SECONDS) * _NS)


def _whole(value: float) -> int:
    return round(value) if isfinite(value) else 0
