import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.framing.base import Frame
from headgate.framing.ndjson import JsonLines
from headgate.testing.corpus import Case, load
from headgate.testing.splits import every_split, random_split, split_at
from tests.strategies import mixtures, splits

CASES = [case for case in load(Path(__file__).parent.parent / "corpus.tar.xz") if case.framing == "ndjson"]


def read(chunks: list[bytes], bound: int = 1 << 20) -> tuple[list[Frame], int, bool]:
    lines = JsonLines(bound)
    frames = [frame for chunk in chunks for frame in lines.feed(chunk)] + lines.end()
    return frames, lines.oversize, lines.unterminated


def data(*texts: bytes) -> list[Frame]:
    return [Frame(b"", text) for text in texts]


WIRE = {
    "LF": (b'{"a":1}\n{"b":2}\n', data(b'{"a":1}', b'{"b":2}'), False),
    "CRLF": (b"{}\r\n[]\r\n", data(b"{}", b"[]"), False),
    "a CR alone ends no line": (b"1\r2\n", data(b"1\r2"), False),
    "blank lines": (b"\n\r\n \t\n{}\n\n[]\n\n", data(b"{}", b"[]"), False),
    "white space around": (b"  {} \t\n", data(b"{}"), False),
    "no last line end (7.12)": (b'{}\n{"error":"x"}', data(b"{}", b'{"error":"x"}'), True),
    "half a line": (b'{}\n{"er', data(b"{}", b'{"er'), True),
    "white space at the end": (b"{}\n \r", data(b"{}"), False),
    "byte order mark": (b"\xef\xbb\xbf{}\n\xef\xbb\xbf[]\n", data(b"{}", b"\xef\xbb\xbf[]"), False),
    "a mark and nothing else": (b"\xef\xbb\xbf", [], False),
    "other separators": ("{\u2028\u0085\v\f}\n".encode(), data("{\u2028\u0085\v\f}".encode()), False),
    "no JSON at all": (b"<p>\x00\xff\n\\", data(b"<p>\x00\xff", b"\\"), True),
    "nothing": (b"", [], False),
}


@pytest.mark.parametrize(("body", "frames", "unterminated"), WIRE.values(), ids=WIRE.keys())
def test_wire_forms_give_the_same_lines_at_every_split(body: bytes, frames: list[Frame], *, unterminated: bool) -> None:
    for chunks in every_split(body):
        assert read(chunks) == (frames, 0, unterminated)


def test_a_line_comes_with_the_chunk_that_ends_it() -> None:
    lines = JsonLines()
    assert [lines.feed(chunk) for chunk in (b"{", b"}\r", b"\n[]\n1", b"\n")] == [
        [],
        [],
        data(b"{}", b"[]"),
        data(b"1"),
    ]


STREAMS = mixtures(b"\n", b"\n", b"\r\n", b"\r", b" ", b"{}", b'{"a":1}', b"\xef\xbb\xbf", b"12345678")


@given(STREAMS.flatmap(lambda body: st.tuples(st.just(body), splits(body))), st.integers(0, 12))
def test_any_bytes_at_any_split_are_the_lines_within_the_bound(case: tuple[bytes, list[bytes]], bound: int) -> None:
    body, chunks = case
    lines = body.split(b"\n")
    texts = [line for line in lines if len(line) <= bound]
    if texts and len(lines[0]) <= bound:
        texts[0] = texts[0].removeprefix(b"\xef\xbb\xbf")
    texts = [text.strip(b" \t\r") for text in texts]
    frames, oversize, _ = read(chunks, bound)
    assert frames == data(*(text for text in texts if text))
    assert oversize == sum(len(line) > bound for line in lines)


def test_a_line_over_the_bound_is_passed_over_and_the_next_one_found() -> None:
    for chunks in every_split(b"1234567\n12345678\n" + b"x" * 30 + b"\r\n{}\n"):
        assert read(chunks, bound=8) == (data(b"1234567", b"12345678", b"{}"), 1, False)


def test_a_stream_that_ends_inside_an_oversize_line_is_unterminated() -> None:
    for chunks in every_split(b"{}\n" + b"x" * 30):
        assert read(chunks, bound=8) == (data(b"{}"), 1, True)


def test_a_64_mib_line_in_small_chunks_is_passed_over_without_being_held() -> None:
    lines = JsonLines()
    held = 0
    chunk = b"x" * (64 * 1024)
    for _ in range(1024):
        assert lines.feed(chunk) == []
        held = max(held, len(lines._held) if lines.oversize else 0)
    assert (held, lines.oversize) == (0, 1)
    assert lines.feed(b"\n{}\n") == data(b"{}")


def test_a_31_mib_line_in_small_chunks_is_kept_whole() -> None:
    line = b"x" * (31 * 1024 * 1024)
    lines = JsonLines()
    body = line + b"\n"
    assert [f for at in range(0, len(body), 65_521) for f in lines.feed(body[at : at + 65_521])] == data(line)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_recordings_are_their_lines(case: Case) -> None:
    frames = data(*case.body.removesuffix(b"\n").split(b"\n"))
    assert all(isinstance(json.loads(frame.data), dict) for frame in frames)
    random = Random(case.id)
    for chunks in ([case.body], split_at(case.body, range(len(case.body))), random_split(case.body, random)):
        assert read(chunks) == (frames, 0, False)


def test_there_are_recordings() -> None:
    assert {case.wire_dialect for case in CASES} == {"cohere", "ollama"}
