"""Of valid JSON objects, members are what a parser sees and edits change what they name; all else is a ValueError."""

import contextlib
import json
import sys
from pathlib import Path
from random import Random
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

from fuzz.mutations import main, mutated
from headgate.jsontext import members, repeats, value_of, with_member

SEEDS = (
    b'{"model":"groq/llama","messages":[{"role":"user","content":"hi \\"there\\" {[\\\\"}],"stream":true}',
    b' { "model" : 1.0 , "stream_options" : { "include_usage" : false } , "n" : [ [ ] , { } , null ] } ',
    b'{"\\u006dodel":"a","model":"b","mod\\u0065l":"c","\\ud83d\\ude00":"\xf0\x9f\x98\x80"}',
    b'\xef\xbb\xbf{"a":-1.5e+10,"b":9007199254740993,"c":"\\u0000\\/\\ud800"}',
    b"{}",
)
KEYS = ("model", "stream_options", "n")


def case(random: Random) -> None:
    """One text, read and edited."""
    text = mutated(random.choice(SEEDS), random)
    key = random.choice(KEYS)
    try:
        pairs = _pairs(text)
    except (ValueError, RecursionError):
        _check_invalid(text, key)
    else:
        _check_valid(text, key, pairs)


def _pairs(text: bytes) -> list[tuple[str, Any]]:
    """The top-level pairs, by the standard library; ValueError where the text is no object."""
    outermost: Any = None

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal outermost
        outermost = pairs
        return dict(pairs)

    if not isinstance(json.loads(text.decode("utf-8-sig"), object_pairs_hook=keep), dict):
        raise ValueError("no object")  # noqa: TRY004 - what json raises
    found: list[tuple[str, Any]] = outermost
    return found


def _check_invalid(text: bytes, key: str) -> None:
    for act in (members, lambda t: with_member(t, key, b"1"), lambda t: repeats(t, key), lambda t: value_of(t, key)):
        with contextlib.suppress(ValueError):
            act(text)


def _check_valid(text: bytes, key: str, pairs: list[tuple[str, Any]]) -> None:
    found = members(text)
    read = [(name, json.loads(text[start:end].decode())) for name, start, end in found]
    assert repr(read) == repr(pairs), text  # as text: NaN is not equal to itself
    own = [member for member in found if member.key == key]
    value = value_of(text, key)
    assert value == (text[own[-1].start : own[-1].end] if own else None), text
    assert repeats(text, key) == (len(own) > 1), text
    edited = with_member(text, key, b'{"new":[]}')
    assert value_of(edited, key) == b'{"new":[]}', text
    if value is None:
        added = b'"' + key.encode() + b'":{"new":[]}' + (b"," if pairs else b"")
        assert edited.replace(added, b"", 1) == text, text
    else:
        assert edited == text[: own[-1].start] + b'{"new":[]}' + text[own[-1].end :], text


if __name__ == "__main__":
    main(case, __doc__)
