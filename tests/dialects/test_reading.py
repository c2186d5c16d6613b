import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.reading import (
    MAX_ERROR,
    MAX_MEMBERS,
    MAX_TEXT,
    Anomalies,
    Count,
    Counts,
    Seen,
    Shape,
    Snapshot,
    check_parts,
    count,
    error_text,
    loads,
    merge,
    parsed,
    size,
    split_of,
    string,
    text,
)
from headgate.usage import Basis, Usage
from tests.dialects.playbook import refuse


class Inner(msgspec.Struct):
    name: str | None = None
    n: int | None = None


class Outer(msgspec.Struct):
    id: str | None = None
    inner: Inner | None = None
    many: list[Inner] | None = None
    either: str | list[Inner] | None = None
    usage: msgspec.Raw = msgspec.Raw()


OUTER = Shape(Outer)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"a","inner":{"name":"b"},"usage":{"n":1}}',
        b'{"id":"a","inner":{"name":"b","n":"odd"},"usage":{"n":1}}',  # a field of another type
        b'{"id":"a","inner":{"name":"b"},"many":[],"x":"\\ud800","usage":{"n":1}}',  # a lone surrogate
        b'{"id":"a","inner":{"name":"b"},"logprob":NaN,"min":-Infinity,"usage":{"n":1}}',
        b'{"id":"a","inner":{"name":"b"},"x":"\xff","many":5,"usage":{"n":1}}',  # not UTF-8
        b'\xef\xbb\xbf{"id":"a","inner":{"name":"b"},"usage":{"n":1}}',
        b'\n\n[{"id":"a","inner":{"name":"b"},"usage":{"n":1}}]',  # wrapped in an array
        b'{"id":"a","inner":{"name":"b"},"far":1e99999999999999999999,"far2":%s,"usage":{"n":1}}' % (b"9" * 5000),
    ],
)
def test_what_fits_is_read_whatever_else_is_there(body: bytes) -> None:
    outer = OUTER.read(body)
    assert outer is not None
    assert (outer.id, outer.inner, parsed(outer.usage)) == ("a", Inner("b"), {"n": 1})


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"[1]", b"5", b'{"id":"a"', b"[DONE]", b"[" * 100_000])
def test_what_is_no_object_is_none(body: bytes) -> None:
    assert OUTER.read(body) is None


def test_items_and_unions_are_fitted_one_by_one() -> None:
    outer = OUTER.read(b'{"many":[{"name":"a"},5,{"name":6,"n":7}],"either":[{"name":"b"},"c"],"id":7}')
    assert outer == Outer(many=[Inner("a"), Inner(n=7)], either=[Inner("b")])
    outer = OUTER.read(b'{"either":"text","id":7,"inner":"no object","many":{}}')
    assert outer == Outer(either="text")
    outer = OUTER.read(b'{"id":"\\ud800","either":{}}')
    assert outer == Outer(id="?")


@given(st.binary())
def test_a_shape_is_total(body: bytes) -> None:
    OUTER.read(body)


NAMES = st.sampled_from(["id", "inner", "many", "either", "usage", "name", "n"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda kids: st.lists(kids) | st.dictionaries(NAMES, kids),
)


@given(JSON)
def test_a_shape_reads_any_json(value: Any) -> None:
    outer = OUTER.read(json.dumps(value).encode())
    assert (outer is not None) == (
        isinstance(value, dict) or (isinstance(value, list) and isinstance(next(iter(value), 0), dict))
    )


def test_decimals_are_exact() -> None:
    assert loads(b"[0.1, 1e-9, 123456789012345678.5]") == [
        Decimal("0.1"),
        Decimal("1e-9"),
        Decimal("123456789012345678.5"),
    ]


def test_raw_values() -> None:
    assert parsed(msgspec.Raw()) is None
    assert parsed(msgspec.Raw(b"null")) is None
    assert parsed(msgspec.Raw(b"0.5")) == Decimal("0.5")
    assert parsed({"already": "parsed"}) == {"already": "parsed"}
    assert string(msgspec.Raw(b'"a"')) == "a"
    assert string(msgspec.Raw(b'["a"]')) is None
    assert string(msgspec.Raw()) is None
    assert string("b") == "b"
    assert string(["b"]) is None


SNAPSHOT = {"a": 1, "d": {"x": 1, "y": 2}, "l": [1]}


@pytest.mark.parametrize(
    ("new", "merged"),
    [
        ({}, SNAPSHOT),
        (None, SNAPSHOT),
        ([1], SNAPSHOT),
        ({"a": None, "d": None}, SNAPSHOT),
        ({"a": 0}, SNAPSHOT | {"a": 0}),  # the last value counts, even if it is smaller
        ({"d": {"x": 5}}, SNAPSHOT | {"d": {"x": 5, "y": 2}}),
        ({"d": {"x": None, "z": 3}}, SNAPSHOT | {"d": {"x": 1, "y": 2, "z": 3}}),
        ({"l": [2, 3]}, SNAPSHOT | {"l": [2, 3]}),
        ({"a": {"b": None, "c": 1}}, SNAPSHOT | {"a": {"c": 1}}),
    ],
)
def test_merge(new: Any, merged: dict[str, Any]) -> None:
    before = json.dumps(SNAPSHOT)
    assert merge(SNAPSHOT, new) == merged
    assert json.dumps(SNAPSHOT) == before


USAGE = st.recursive(
    st.integers(0, 9) | st.none() | st.lists(st.integers(0, 9), max_size=2),
    lambda kids: st.dictionaries(st.sampled_from("abc"), kids, max_size=3),
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), USAGE, max_size=3)


@given(OBJECTS, st.lists(OBJECTS))
def test_repeating_a_snapshot_changes_nothing(first: dict[str, Any], rest: list[dict[str, Any]]) -> None:
    merged = merge({}, first)
    for new in rest:
        merged = merge(merged, new)
    assert merge(merged, merged) == merged
    assert None not in merged.values()


class Details(msgspec.Struct):
    a: Count | None = None
    b: Count | None = None


class Told(msgspec.Struct):
    a: Count
    b: Count | None = None
    d: Details | None = None
    seldom: None = None


def snapshot(usages: list[Any], *, usual: bool = True) -> Snapshot[Any]:
    told: Snapshot[Any] = Snapshot(msgspec.json.Decoder(Told).decode if usual else refuse)
    for usage in usages:
        text = usage if isinstance(usage, bytes) else json.dumps(usage).encode()
        told.lay(told.read(msgspec.Raw(text)))
    return told


@pytest.mark.parametrize(
    ("usages", "members", "usual"),
    [
        ([], {}, False),
        ([{"a": 1}], {"a": 1}, True),
        ([{"a": 1, "b": None, "c": 5, "d": {"c": 6}}], {"a": 1, "d": {}}, True),
        ([{"a": 1, "b": 2}, {"a": 3, "b": None}, b"null"], {"a": 3, "b": 2}, True),
        ([{"a": 1, "d": {"a": 1}}, {"a": 1, "d": {"b": 2}}, {"a": 0}], {"a": 0, "d": {"a": 1, "b": 2}}, True),
        ([{"a": 1, "d": {"a": 1}}, {"d": {"b": 2}}], {"a": 1, "d": {"a": 1, "b": 2}}, False),  # without the count
        ([{"a": 1}, {"a": 2, "seldom": 3}, {"a": 4, "c": 5}], {"a": 4, "seldom": 3}, False),
        ([{"a": 1}, {"a": "2"}], {"a": "2"}, False),
        ([{"a": -1}], {"a": -1}, False),
        ([{"a": 2**40}], {"a": 2**40}, False),
        ([b'{"a":1.0}'], {"a": Decimal("1.0")}, False),
        ([b'{"a":1,"b":"\\ud800"}'], {"a": 1, "b": "\ud800"}, False),
        ([b"5", b"[]", b'"a"', b"{}", b"{", b"\xff", b""], {}, False),
        ([{"a": 1}, 5, [7]], {"a": 1}, False),
    ],
)
def test_usual_objects_are_kept_as_what_they_are(usages: list[Any], members: dict[str, Any], usual: bool) -> None:
    told = snapshot(usages)
    assert ({name: n for name, n in told.members.items() if name != "c"}, told.usual is not None) == (members, usual)
    assert told.said == bool(members)


def known(members: Any) -> Any:
    """Of any members those that are ever read."""
    if not isinstance(members, dict):
        return members
    return {name: known(value) for name, value in members.items() if name in ("a", "b", "d", "seldom")}


TOLD = st.fixed_dictionaries(
    {"a": st.integers(-1, 9)},
    optional={
        "b": st.integers(0, 9) | st.none() | st.sampled_from([1.0, "1", True, [], {}]),
        "d": st.dictionaries(st.sampled_from("abc"), st.integers(0, 9) | st.none(), max_size=3) | st.none(),
        "c": st.integers(0, 9),
        "seldom": st.integers(0, 9) | st.none(),
    },
)


@given(st.lists(TOLD | st.sampled_from([None, {}, [1], 5]), max_size=5))
def test_both_ways_keep_the_same(usages: list[Any]) -> None:
    both = snapshot(usages), snapshot(usages, usual=False)
    assert known(both[0].members) == known(both[1].members)
    assert [told.read(msgspec.Raw(b"{}")) for told in both] == [None, None]


def test_members_beyond_a_bound_are_passed_over() -> None:
    merged = merge({}, {str(n): n for n in range(MAX_MEMBERS)})
    merged = merge(merged, {"new": 1, "0": 7, "1": {"x": 8}, "2": None})
    assert len(merged) == MAX_MEMBERS
    assert (merged["0"], merged["1"], merged["2"]) == (7, {"x": 8}, 2)


def test_merging_goes_only_so_deep() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = {"d": deep}
    assert merge(merge({}, deep), deep)["d"]["d"]


@pytest.mark.parametrize(
    ("value", "counted"),
    [
        (0, 0),
        (2**40 - 1, 2**40 - 1),
        (Decimal("6.0"), 6),
        (Decimal("1e3"), 1000),
        ("12", 12),
        ("0", 0),
        (None, None),
    ],
)
def test_counts(value: Any, counted: int | None) -> None:
    assert count(value) == counted


NO_NUMBERS = [True, False, "", "-1", "1.0", "twelve", "٣", "9" * 17, [], {}]
NO_COUNTS = [-5, 2**40, *(Decimal(n) for n in ("1.5", "-1", "NaN", "Infinity", "1e999999"))]


@pytest.mark.parametrize("value", NO_NUMBERS + NO_COUNTS)
def test_what_is_no_count(value: Any) -> None:
    """Row 2.18 of facts/stream_cases.md."""
    with pytest.raises(ValueError, match="not a count"):
        count(value)


def test_counts_are_found_by_path_and_oddities_are_named() -> None:
    anomalies = Anomalies()
    counts = Counts({"a": {"b": 5, "c": -1}, "d": 7, "e": None, "f": "x"}, anomalies)
    assert [counts.get("a", "b"), counts.get("d"), counts.get("e"), counts.get("z", "z")] == [5, 7, None, None]
    assert [counts.get("d", "x"), counts.get("a", "b", "c")] == [None, None]
    assert not anomalies
    assert counts.first(("e",), ("a", "c"), ("d",), ("f",)) == 7
    assert anomalies == {"not_a_count.c": 1}


def test_counts_named_by_their_keys() -> None:
    anomalies = Anomalies()
    tools = {"web_search_calls": 2, "x_calls": 0, "other": 5, "bad_calls": -1, "long" * 99 + "_calls": 1}
    counts = Counts({"tools": tools, "no": 1}, anomalies)
    assert counts.named("tools", suffix="_calls") == {"web_search": 2, "x": 0}
    assert counts.named("no", suffix="_calls") == {}
    assert counts.named("absent", suffix="_calls") == {}
    assert anomalies == {"not_a_count.bad_calls": 1}


def test_a_split_counts_only_if_it_sums_to_its_total() -> None:
    anomalies = Anomalies()
    assert split_of(3, {"5m": 1, "1h": 2}, anomalies) == {"5m": 1, "1h": 2}
    assert split_of(0, {"5m": 0}, anomalies) == {"5m": 0}
    assert split_of(None, {"5m": 1}, anomalies) is None
    assert split_of(3, {}, anomalies) is None
    assert not anomalies
    assert split_of(184457, {"5m": 31490}, anomalies) is None
    assert anomalies == {"cache_write_split_mismatch": 1}


def test_details_above_their_total_are_noted_and_kept() -> None:
    anomalies = Anomalies()
    usage = Usage(input_tokens=5, cache_read_tokens=9, output_tokens=5, reasoning_tokens=5, output_audio_tokens=6)
    assert check_parts(usage, anomalies) is usage
    assert anomalies == {"cache_read_tokens_over_total": 1, "output_audio_tokens_over_total": 1}


def test_kept_texts_are_bounded_and_can_be_written_anywhere() -> None:
    assert text("gpt\ud800") == "gpt?"
    assert len(text("m" * 5000) or "") == MAX_TEXT
    assert [text(value) for value in ("", None, 5, {"m": 1})] == [None] * 4


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_sizes_are_utf8_bytes(value: str) -> None:
    assert size(value) == len(value.encode("utf-8", "replace"))
    assert size(None) == 0


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        ({"code": "c", "type": "t", "message": "m"}, None, "c: m"),
        ({"type": "t", "message": "m"}, None, "t: m"),
        ({"code": 502, "message": "m"}, None, "502: m"),
        ({"code": None, "message": "m"}, "outer", "outer: m"),
        ("m", "c", "c: m"),
        ("m", None, "m"),
        ({}, None, "error"),
        ({"message": ["odd"]}, None, "error"),
        (None, None, "error"),
        (5, None, "5"),
        ({"message": "long" * 9999, "code": "c"}, None, "c: " + ("long" * 9999)[:MAX_ERROR]),
    ],
)
def test_errors_in_all_their_shapes(error: Any, code: Any, told: str) -> None:
    assert error_text(error, code) == told


def test_what_was_seen_becomes_a_reading() -> None:
    seen = Seen()
    seen.model, seen.response_id, seen.delivered = "m", "", 5
    seen.anomalies["a"] += 1
    reading = seen.reading(Usage(input_tokens=1), Anomalies(a=1, b=2), final=True)
    assert (reading.basis, reading.served_model, reading.response_id) == (Basis.REPORTED, "m", None)
    assert (reading.delivered_bytes, reading.anomalies) == (5, {"a": 2, "b": 2})
    assert seen.reading(Usage(input_tokens=1), Anomalies(), final=False).basis is Basis.PARTIAL
    assert seen.reading(Usage(), Anomalies(), final=True).basis is Basis.NONE
