import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.framing.base import Frame
from headgate.framing.document import Document
from headgate.testing.splits import every_split


def read(chunks: list[bytes], bound: int = 100) -> tuple[list[Frame], int]:
    document = Document(bound)
    frames = [frame for chunk in chunks for frame in document.feed(chunk)]
    assert frames == []
    return document.end(), document.oversize


BODIES = {
    "plain": (b'{"a":1}', b'{"a":1}'),
    "blank lines before it": (b'\n\n \r\n{"a":1}\n', b'{"a":1}\n'),
    "a byte order mark": (b"\xef\xbb\xbf{}", b"{}"),
    "a mark behind blank lines": (b"\n\n\xef\xbb\xbf {}", b" {}"),
    "only one mark is dropped": (b"\xef\xbb\xbf\xef\xbb\xbf{}", b"\xef\xbb\xbf{}"),
    "no JSON at all": (b"<html>\x00\xff", b"<html>\x00\xff"),
    "exactly the bound": (bytes(100), bytes(100)),
}


@pytest.mark.parametrize(("body", "data"), BODIES.values(), ids=BODIES.keys())
def test_the_body_is_one_frame_however_it_is_split(body: bytes, data: bytes) -> None:
    for chunks in every_split(body):
        assert read(chunks) == ([Frame(b"", data)], 0)


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t", b"\xef\xbb\xbf"])
def test_a_body_of_nothing_is_no_frame(body: bytes) -> None:
    for chunks in every_split(body):
        assert read(chunks) == ([], 0)


@given(st.binary(min_size=101, max_size=140))
def test_a_body_over_the_bound_is_given_up_and_counted_once(body: bytes) -> None:
    for chunks in every_split(body):
        assert read(chunks) == ([], 1)


def test_a_body_over_the_bound_is_not_held() -> None:
    document = Document(bound=1000)
    for _ in range(5):
        document.feed(bytes(600))
    assert len(document._body) == 0
