"""The scan against a table, the standard library's parser, recordings, and every split of each."""

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.framing.base import Frame
from headgate.framing.json_array import JsonArray
from headgate.testing.corpus import Case, load
from headgate.testing.splits import every_split, random_split, split_at
from tests.strategies import mixtures, splits

CASES = [case for case in load(Path(__file__).parent.parent / "corpus.tar.xz") if case.framing == "json-array"]


def read(chunks: list[bytes], bound: int = 1 << 20) -> tuple[list[Frame], int, bool]:
    array = JsonArray(bound)
    frames = [frame for chunk in chunks for frame in array.feed(chunk)] + array.end()
    return frames, array.oversize, array.unterminated


def data(*elements: bytes) -> list[Frame]:
    return [Frame(b"", element) for element in elements]


WIRE = {
    "as Gemini sends it (6.8)": (b'[{\n  "a": 1\n}\n,\n{\n  "b": 2\n}\n]', data(b'{\n  "a": 1\n}', b'{\n  "b": 2\n}')),
    "closely set": (b'[{},{"a":[{}]}]', data(b"{}", b'{"a":[{}]}')),
    "an empty array": (b"[ ]\n", []),
    "a single object (6.9)": (b'{"error": {"details": []}}\n', data(b'{"error": {"details": []}}')),
    "an error in an array of one": (b'[{"error":{}}\n]', data(b'{"error":{}}')),
    "byte order mark": (b"\xef\xbb\xbf[{}]", data(b"{}")),
    "blank lines before it": (b"\n\n \t\r\n[{}]", data(b"{}")),
    "brackets and quotes in strings": (
        rb'[{"a]}\"[{":"}\\"},{"\\\"":"]"}]',
        data(rb'{"a]}\"[{":"}\\"}', rb'{"\\\"":"]"}'),
    ),
    "a key that ends in a backslash": (rb'[{"\\":{"\\\\":"\\\\\""}},{}]', data(rb'{"\\":{"\\\\":"\\\\\""}}', b"{}")),
    "raw line ends in strings": (b'[{"a\n":"\\\n"},{}]', data(b'{"a\n":"\\\n"}', b"{}")),
    "UTF-8 is left alone": ('[{"é":"邃\u2028"}]'.encode(), data('{"é":"邃\u2028"}'.encode())),
    "arrays in the array": (b"[[1,[2]],[]]", data(b"[1,[2]]", b"[]")),
    "scalars": (b'[1, "a,b]" ,null,-1.5e3,"",true]', data(b"1", b'"a,b]"', b"null", b"-1.5e3", b'""', b"true")),
    "texts without an array": (b'{"a":1}\n{"b":[2]} 3\n', data(b'{"a":1}', b'{"b":[2]}', b"3")),
    "a lone scalar": (b"12", data(b"12")),
    "a lone string": (b'"a b"', data(b'"a b"')),
    "two arrays": (b"[{}][[]]", data(b"{}", b"[]")),
    "rubbish": (b"}},]]<p>{}\x00\\,a{}", data(b"<p>", b"{}", b"\x00\\", b"a", b"{}")),
    "brackets that do not match": (b"[{]},{}]", data(b"{]", b"{}")),
    "nothing": (b"", []),
}  # fmt: skip


@pytest.mark.parametrize(("body", "frames"), WIRE.values(), ids=WIRE.keys())
def test_wire_forms_give_the_same_elements_at_every_split(body: bytes, frames: list[Frame]) -> None:
    for chunks in every_split(body):
        assert read(chunks) == (frames, 0, False)


CUT_SHORT = {
    "in an object": (b'[{"a":1},{"b":', data(b'{"a":1}', b'{"b":')),
    "in a string": (b'[{"a":"b', data(b'{"a":"b')),
    "in an escape": (b'[{"a":"\\', data(b'{"a":"\\')),
    "in a single object": (b'{"a":[', data(b'{"a":[')),
    "in a lone string": (b'"a', data(b'"a')),
    "in a number": (b"[1,2", data(b"1", b"2")),
    "between elements": (b"[{},", data(b"{}")),
    "before the closing bracket": (b"[{}", data(b"{}")),
    "after the opening bracket": (b"[", []),
}


@pytest.mark.parametrize(("body", "frames"), CUT_SHORT.values(), ids=CUT_SHORT.keys())
def test_an_array_or_element_that_is_cut_short_is_given_and_told(body: bytes, frames: list[Frame]) -> None:
    for chunks in every_split(body):
        assert read(chunks) == (frames, 0, True)


def test_an_element_comes_with_the_byte_that_ends_it() -> None:
    array = JsonArray()
    steps = [array.feed(chunk) for chunk in (b"[{", b'"a":[]', b"}", b'\n,\n"b', b'"', b",1", b"2", b"]")]
    assert steps == [[], [], data(b'{"a":[]}'), [], data(b'"b"'), [], [], data(b"12")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=6), st.sampled_from([None, 0, 2]), st.booleans(), st.data())
def test_the_elements_of_any_array_are_what_a_parser_sees(
    value: list[object], indent: int | None, ascii_only: bool, draw: st.DataObject
) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    frames, oversize, unterminated = read(draw.draw(splits(body)))
    assert [json.loads(frame.data) for frame in frames] == value
    assert (oversize, unterminated) == (0, False)


STREAMS = mixtures(
    b"{", b"}", b"[", b"]", b"{", b"}", b",", b'"', b"\\", b'\\"', b'"a":', b" ", b"\n", b"12", b"\xef\xbb\xbf", b"{}",
)  # fmt: skip


@given(STREAMS, st.integers(0, 12))
def test_every_split_of_any_bytes_means_the_same_under_any_bound(body: bytes, bound: int) -> None:
    outcomes = [read(chunks, bound) for chunks in every_split(body)]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert all(len(frame.data) <= bound for frame in outcomes[0][0])


OVERSIZE = {
    "object": b'[{"a":"%s"},{}]',
    "array": b'[["%s",[]],{}]',
    "string": b'["%s",{}]',
    "number": b"[%s,{}]",
    "key": b'[{"%s":{}},{}]',
    "escapes": rb'[{"a":"\"]}%s\\"},{}]',
}


@pytest.mark.parametrize("body", OVERSIZE.values(), ids=OVERSIZE.keys())
def test_an_element_over_the_bound_is_passed_over_and_the_next_one_found(body: bytes) -> None:
    for chunks in every_split(body % (b"1" * 40)):
        assert read(chunks, bound=32) == (data(b"{}"), 1, False)


def test_the_bound_is_the_longest_element_that_is_kept() -> None:
    for chunks in every_split(b"[{1234567},{12345678},[1234567],123456789,1234567890,{}]"):
        assert read(chunks, bound=9) == (data(b"{1234567}", b"[1234567]", b"123456789", b"{}"), 2, False)


def test_a_stream_that_ends_inside_an_oversize_element_is_unterminated() -> None:
    for chunks in every_split(b'[{},{"a":"' + b"x" * 40):
        assert read(chunks, bound=32) == (data(b"{}"), 1, True)


def test_a_64_mib_element_in_small_chunks_is_passed_over_without_being_held() -> None:
    array = JsonArray()
    array.feed(b'[{"a":"')
    held = 0
    chunk = b"x" * (64 * 1024)
    for _ in range(1024):
        assert array.feed(chunk) == []
        held = max(held, len(array._held) if array.oversize else 0)
    assert (held, array.oversize) == (0, 1)
    assert array.feed(b'"},{}') == data(b"{}")


def test_white_space_without_end_is_not_held() -> None:
    array = JsonArray(bound=100)
    assert array.feed(b"[") == []
    for _ in range(100):
        assert array.feed(b" \n" * 50) == []
    assert array.feed(b"{}]") == data(b"{}")
    assert array.oversize == 0


LONG = {
    "one string": b'["' + b"x" * 4_000_000 + b'"]',
    "escapes": b'["' + b'\\"' * 500_000 + b'"]',
    "backslashes": b'["' + b"\\\\" * 500_000 + b'"]',
    "deep": b"[" + b"[" * 100_000 + b"]" * 100_000 + b"]",
    "many strings": b"[[" + b'"a",' * 100_000 + b'""]]',
}


@pytest.mark.parametrize("body", LONG.values(), ids=LONG.keys())
def test_a_long_element_is_kept_whole_however_it_comes(body: bytes) -> None:
    for size in (len(body), 61):
        assert read([body[at : at + size] for at in range(0, len(body), size)], 1 << 23) == (data(body[1:-1]), 0, False)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_recordings_are_their_elements(case: Case) -> None:
    elements = json.loads(case.body)
    random = Random(case.id)
    for chunks in (case.chunks(), split_at(case.body, range(len(case.body))), random_split(case.body, random)):
        frames, oversize, unterminated = read(chunks)
        assert [json.loads(frame.data) for frame in frames] == elements
        assert (oversize, unterminated) == (0, False)


def test_a_recorded_stream_gives_an_element_with_each_chunk_it_came_in() -> None:
    recorded = [case for case in CASES if case.chunk_lengths]
    assert recorded
    for case in recorded:
        array = JsonArray()
        *elements, closing = [array.feed(chunk) for chunk in case.chunks()]
        assert [len(frames) for frames in elements] == [1] * len(elements), case.id
        assert closing == []


def test_between_two_elements_it_rests() -> None:
    array = JsonArray()
    for piece, rests in ((b" ", False), (b"[", True), (b'{"a":', False), (b'"]"', False), (b"}", True), (b",\n", True)):
        array.feed(piece)
        assert array.rests is rests, piece
    array.feed(b"{}]")
    assert not array.rests


def test_between_two_elements_one_more_can_be_the_last() -> None:
    """Where the standard parser can read the whole that this makes, and only there; however the bytes came."""
    body = b' [ {"a":"],["}\n,\r\n{"b":[{}, [1]]},[] , "c\\"" ]\n'
    by_byte = JsonArray()
    found = 0
    for at in range(len(body)):
        at_once = JsonArray()
        at_once.feed(body[:at])
        expected = next((end for end in (b"9]", b",9]") if _is_json(body[:at] + end)), None)
        assert at_once.last(b"9") == by_byte.last(b"9") == expected, body[:at]
        found += expected is not None
        by_byte.feed(body[at : at + 1])
    assert found > 10


def test_an_array_that_is_cut_within_an_element_has_no_other_last() -> None:
    array = JsonArray()
    array.feed(b'[{}, {"a"')
    array.end()
    assert array.last(b"{}") is None
    assert JsonArray().last(b"{}") is None


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
