"""Edits of a JSON object's text that leave every other byte as it was.

A gateway that re-serialises a request changes key order, number formatting, escapes and integers over 2^53, and with
them prompt caches and signatures. So the named edits are spliced into the client's own text.
"""

import json
import re
from typing import NamedTuple

_SPACE = rb"[ \t\r\n]*+"
_STRING = (
    rb'"(?:[^"]*+"(?<=[^\\]\\"))*+'  # as far as each quote found is escaped by a single backslash, then
    rb'(?:[^"]*+"(?<!\\")'  # either on to one that no backslash precedes,
    rb'|[^"\\]*+(?:\\.[^"\\]*+)*+")'  # or, escape by escape, to the end
)
"""A string. The last alternative would do alone; looking for nothing but quotes is five times as fast."""

_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?" + _SPACE + rb"\{" + _SPACE + rb"(\}?)")
_NAME = re.compile(rb"(" + _STRING + rb")" + _SPACE + rb":" + _SPACE, re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|[^\[\]{},\" \t\r\n]++", re.DOTALL)
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+[\[\]{}]", re.DOTALL)
_AFTER_VALUE = re.compile(_SPACE + rb"([,}])" + _SPACE)
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")


class Member(NamedTuple):
    """A top-level member: its key, decoded, and the half-open span of its value's text."""

    key: str
    start: int
    end: int


def begins_object(text: bytes) -> bool:
    """True if a JSON text is an object's, which its beginning tells."""
    return _OPENING.match(text) is not None


def members(text: bytes) -> list[Member]:
    """The top-level members of a JSON object's text, in order, duplicates included.

    Expects text that a JSON parser has accepted; raises ValueError where even the outline is not an object's.
    """
    opening = _opening(text)
    at, more = opening.end(), not opening[1]
    found: list[Member] = []
    while more:
        name = _NAME.match(text, at)
        if name is None:
            raise ValueError("expected a member's name and a colon")
        end = _value_end(text, name.end())
        after = _AFTER_VALUE.match(text, end)
        if after is None:
            raise ValueError("expected a comma or the object's end")
        found.append(Member(_decoded(name[1]), name.end(), end))
        at, more = after.end(), after[1] == b","
    return found


def value_of(text: bytes, key: str) -> bytes | None:
    """The JSON text of a top-level member's value, the last one's of several; None if there is no such member.

    `key` consists of letters and underscores. Raises ValueError as `members` does, though not on every such text.
    """
    own = _named(text, key)
    return text[own[-1].start : own[-1].end] if own else None


def with_member(text: bytes, key: str, value: bytes) -> bytes:
    """The object's text with the member set to the JSON text `value`: replaced in place, or else inserted first.

    Of several members of that name the last is replaced. `key` consists of letters and underscores. Raises ValueError
    as `members` does.
    """
    own = _named(text, key)
    if own:
        return text[: own[-1].start] + value + text[own[-1].end :]
    opening = _opening(text)
    brace = text.index(b"{") + 1
    comma = b"" if opening[1] else b","
    return b"".join((text[:brace], b'"', key.encode(), b'":', value, comma, text[brace:]))


def repeats(text: bytes, key: str) -> bool:
    """True if the object names the top-level member more than once: parsers differ on which one counts.

    `key` consists of letters and underscores. Raises ValueError as `members` does, though not on every such text.
    """
    return len(_named(text, key, at_least=2)) > 1


def _named(text: bytes, key: str, at_least: int = 1) -> list[Member]:
    """The top-level members of that name. May give none without looking closer where the key stands less often.

    That glance is safe: a key is spelt plainly, or with an escape for one of its letters.
    """
    plain = text.count(b'"' + key.encode() + b'"')
    if plain < at_least and not (b"\\u00" in text and _ESCAPED_LETTER.search(text)):
        return []
    return [member for member in members(text) if member.key == key]


def _opening(text: bytes) -> re.Match[bytes]:
    opening = _OPENING.match(text)
    if opening is None:
        raise ValueError("not a JSON object")
    return opening


def _decoded(name: bytes) -> str:
    """A key. Bytes that are not UTF-8 are kept apart, not refused: some parsers let them pass in keys they skip."""
    key = name.decode(errors="surrogateescape")
    return str(json.loads(key)) if "\\" in key else key[1:-1]


def _value_end(text: bytes, start: int) -> int:
    if text[start : start + 1] not in {b"{", b"["}:
        scalar = _SCALAR.match(text, start)
        if scalar is None:
            raise ValueError("expected a value")
        return scalar.end()
    depth, at = 0, start
    while True:
        bracket = _TO_BRACKET.match(text, at)
        if bracket is None:
            raise ValueError("a value does not end")
        at = bracket.end()
        depth += 1 if text[at - 1] in b"{[" else -1
        if depth == 0:
            return at
