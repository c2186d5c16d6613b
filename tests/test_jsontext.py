"""Edits against the standard library's parser: what is named changes, and not one other byte."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.jsontext import Member, begins_object, members, repeats, value_of, with_member
from tests.strategies import mixtures

SPACES = st.sampled_from(["", "", "", " ", "\n", "\t", "\r\n  "])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
KEYS = st.one_of(st.sampled_from(["model", "stream", "stream_options", "messages"]), st.text(max_size=6))


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """An object's text as some client may write it: any spacing, any spelling of keys, duplicates included."""
    written: list[str] = []
    for key, value in draw(st.lists(st.tuples(KEYS, VALUES), max_size=5)):
        name = draw(st.sampled_from([json.dumps(key), json.dumps(key, ensure_ascii=False), _escaped(key)]))
        text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 2])))
        written.append("".join((draw(SPACES), name, draw(SPACES), ":", draw(SPACES), text, draw(SPACES))))
    inside = ",".join(written) or draw(SPACES)
    return "".join((draw(st.sampled_from(["", "\ufeff"])), draw(SPACES), "{", inside, "}", draw(SPACES))).encode()


def _escaped(key: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if c.isascii() else c for c in key) + '"'


def loads(text: bytes) -> Any:
    """By the standard library, an object as the list of its pairs."""
    return json.loads(text.decode("utf-8-sig"), object_pairs_hook=list)


@given(texts())
def test_members_are_the_pairs_that_a_parser_sees(text: bytes) -> None:
    assert [(key, loads(text[start:end])) for key, start, end in members(text)] == loads(text)


@given(texts(), st.sampled_from(["model", "stream_options"]), VALUES)
def test_setting_a_member_changes_its_value_and_no_other_byte(text: bytes, key: str, value: Any) -> None:
    written = json.dumps(value).encode()
    edited = with_member(text, key, written)
    before, after = loads(text), loads(edited)
    places = [n for n, (name, _) in enumerate(before) if name == key]
    expected = loads(written)
    if places:
        assert after == [*before[: places[-1]], (key, expected), *before[places[-1] + 1 :]]
        _, start, end = members(text)[places[-1]]
        assert edited == text[:start] + written + text[end:]
    else:
        assert after == [(key, expected), *before]
        brace = text.index(b"{") + 1
        assert edited[:brace] == text[:brace]
        assert edited.endswith(text[brace:])
    assert value_of(edited, key) == written


@given(texts(), st.sampled_from(["model", "stream"]))
def test_a_value_is_the_last_one_of_that_name_and_repeats_are_told(text: bytes, key: str) -> None:
    own = [value for name, value in loads(text) if name == key]
    value = value_of(text, key)
    assert (value is None) == (not own)
    if value is not None:
        assert loads(value) == own[-1]
    assert repeats(text, key) == (len(own) > 1)


SPANS: list[tuple[bytes, list[tuple[str, bytes]]]] = [
    (b"{}", []),
    (b" { } ", []),
    (b'{"a":1}', [("a", b"1")]),
    (b'{"a" : 1 , "a":-2e5}', [("a", b"1"), ("a", b"-2e5")]),
    (b'{"a":"}","b":"{"}', [("a", b'"}"'), ("b", b'"{"')]),
    (b'{"a":[{"a":"]"},[]],"b":null}', [("a", b'[{"a":"]"},[]]'), ("b", b"null")]),
    (rb'{"a":"\"","b":1}', [("a", rb'"\""'), ("b", b"1")]),
    (rb'{"a":"\\","b":"\\\"","c":"\\\\"}', [("a", rb'"\\"'), ("b", rb'"\\\""'), ("c", rb'"\\\\"')]),
    (rb'{"a":["\"","\\",{"x\\\"]":"x\""}],"b":1}', [("a", rb'["\"","\\",{"x\\\"]":"x\""}]'), ("b", b"1")]),
    (rb'{"a":"x\"y\"z","b":1}', [("a", rb'"x\"y\"z"'), ("b", b"1")]),
    (rb'{"\u006dodel":1,"\"":2,"\\":3}', [("model", b"1"), ('"', b"2"), ("\\", b"3")]),
    (b'{"a":9007199254740993.10,"b":""}', [("a", b"9007199254740993.10"), ("b", b'""')]),
    ('{"é":"\u2028"}'.encode(), [("é", '"\u2028"'.encode())]),
    (b'\xef\xbb\xbf{"a":true}', [("a", b"true")]),
    (b'{"\xff":1,"a":"\xff"}', [("\udcff", b"1"), ("a", b'"\xff"')]),
]


@pytest.mark.parametrize(("text", "expected"), SPANS)
def test_members_give_the_span_of_each_value(text: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert [(key, text[start:end]) for key, start, end in members(text)] == expected


OUTLINES = [
    b"", b"  ", b"[]", b"1", b'"a"', b"{", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":1,}', b"{a:1}", b'{"a" 1}',
    b'{"a":1 "b":2}', b'{"a":"x', rb'{"a":"x\"', rb'{"a":"x\\\"', b'{"a":[1,2', b'{"a":{"b":[}', b'{"a":}', b'{"a":,}',
    b"{,}", rb'{"\x":1}', b'{"a":{"b":"c}', b"\xef\xbb{}",
]  # fmt: skip


@pytest.mark.parametrize("text", OUTLINES)
def test_what_is_no_object_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a JSON object|expected|does not end|Expecting|Invalid"):
        members(text)
    with pytest.raises(ValueError, match=r"not a JSON object|expected|does not end|Expecting|Invalid"):
        with_member(text + b'"model"', "model", b"1")


BROKEN = mixtures(
    b"{", b"}", b"[", b"]", b'"', b"\\", b'\\"', b":", b",", b'"model"', b"1", b" ", b"\\u00", b"\xef\xbb\xbf"
)


@given(BROKEN)
def test_any_bytes_give_members_or_a_value_error(text: bytes) -> None:
    for act in (members, lambda t: with_member(t, "model", b"1"), lambda t: repeats(t, "model")):
        with contextlib.suppress(ValueError):
            act(text)


def test_an_object_is_told_by_its_beginning() -> None:
    for text in (b"{}", b' \n{"a":1}', b"\xef\xbb\xbf{}"):
        assert begins_object(text)
    for text in (b"[]", b'"{"', b"", b" "):
        assert not begins_object(text)


def test_deep_nesting_needs_no_stack() -> None:
    deep = b'{"a":' * 100_000 + b"[" * 100_000 + b"]" * 100_000 + b"}" * 100_000
    assert members(deep) == [Member("a", 5, len(deep) - 1)]


EDITS: list[tuple[bytes, str, bytes, bytes]] = [
    (b'{"model":"groq/llama","n":1}', "model", b'"llama"', b'{"model":"llama","n":1}'),
    (b'{ "n": 1.0 }', "model", b'"m"', b'{"model":"m", "n": 1.0 }'),
    (b"{ }", "model", b'"m"', b'{"model":"m" }'),
    (b'\xef\xbb\xbf {"n":1}', "model", b"1", b'\xef\xbb\xbf {"model":1,"n":1}'),
    (b'{"a":{"model":1}}', "model", b"2", b'{"model":2,"a":{"model":1}}'),
    (b'{"a":"\\"model\\"","model":1}', "model", b"2", b'{"a":"\\"model\\"","model":2}'),
    (b'{"m\\u006Fdel":1}', "model", b"2", b'{"m\\u006Fdel":2}'),
    (b'{"model":1,"model":2}', "model", b"3", b'{"model":1,"model":3}'),
]


@pytest.mark.parametrize(("text", "key", "value", "edited"), EDITS)
def test_edits(text: bytes, key: str, value: bytes, edited: bytes) -> None:
    assert with_member(text, key, value) == edited


REPEATED: list[tuple[bytes, bool]] = [
    (b'{"model":1}', False),
    (b'{"model":1,"model":1}', True),
    (b'{"model":1,"\\u006dodel":1}', True),
    (b'{"\\u006Dodel":1,"mode\\u006c":1}', True),
    (b'{"model":1,"a":{"model":1}}', False),
    (b'{"model":1,"a":"model"}', False),
    (b'{"model":1,"a":["model","model"]}', False),
    (b'{"model":1,"Model":1,"model ":1}', False),
    (b'{"model":1,"a":"\\u006d\\u00e9"}', False),
]


@pytest.mark.parametrize(("text", "expected"), REPEATED)
def test_repeats(text: bytes, *, expected: bool) -> None:
    assert repeats(text, "model") is expected


@pytest.mark.parametrize("letter", "AZ_az")
def test_every_letter_may_hide_in_an_escape(letter: str) -> None:
    assert repeats(f'{{"{letter}":1,"\\u{ord(letter):04x}":1}}'.encode(), letter)
    assert repeats(f'{{"{letter}":1,"\\u{ord(letter):04X}":1}}'.encode(), letter)
