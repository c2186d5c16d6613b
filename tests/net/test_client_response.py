from collections.abc import Iterable
from itertools import repeat
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import UpstreamCut
from headgate.net.client_response import MAX_HEAD_BYTES, Response
from headgate.testing.splits import every_split

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"


def feed(response: Response, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        response.feed(chunk)


def read(chunks: Iterable[bytes], *, bodyless: bool = False, closed: bool = False) -> Response:
    response = Response(bodyless=bodyless)
    feed(response, chunks)
    if closed:
        response.end()
    return response


def body(response: Response) -> bytes:
    taken = []
    while response.chunks:
        taken.append(response.take())
    assert response.buffered == 0
    return b"".join(taken)


WHOLE = {
    "content-length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", inf),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", inf),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, b"", inf),
    "chunked": (CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, b"hello", inf),
    "chunked, hex, extension, trailers": (
        CHUNKED + b'00A;n=v;q="x"\r\n0123456789\r\n0\r\nx-t: 1\r\nx-u: 2\r\n\r\n',
        200,
        b"0123456789",
        inf,
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", inf),
    "304 with the length of what it stands for": (b"HTTP/1.1 304 X\r\ncontent-length: 9\r\n\r\n", 304, b"", inf),
    "after interim answers": (
        INTERIM + b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok",
        201,
        b"ok",
        inf,
    ),
    "status 599": (b"HTTP/1.1 599 X\r\ncontent-length: 2\r\n\r\nno", 599, b"no", inf),
    "hint": (b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\ncontent-length: 1\r\n\r\na", 200, b"a", 5),
    "hint, spelled oddly": (
        b'HTTP/1.1 200 OK\r\nkeep-alive: max=9,TIMEOUT = "7"\r\ncontent-length: 0\r\n\r\n',
        200,
        b"",
        7,
    ),
    "hint without timeout": (b"HTTP/1.1 200 OK\r\nkeep-alive: max=9\r\ncontent-length: 0\r\n\r\n", 200, b"", inf),
    "explicit keep-alive": (b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\na", 200, b"a", inf),
    "close": (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\na", 200, b"a", 0),
    "close among others": (b"HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 1\r\n\r\na", 200, b"a", 0),
    "close, chunked": (
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        200,
        b"a",
        0,
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", 200, b"a", 0),
    "HTTP/1.0 that would stay": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\na",
        200,
        b"a",
        0,
    ),
}


@pytest.mark.parametrize(("data", "status", "expected", "keep_alive"), WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_message_however_it_is_split(data: bytes, status: int, expected: bytes, keep_alive: float) -> None:
    for chunks in every_split(data):
        assert not read(chunks[:-1]).complete, "nothing ends before its last byte"
        response = read(chunks)
        assert response.complete
        assert response.head is not None
        assert response.head.status == status
        assert response.keep_alive == keep_alive
        assert body(response) == expected


def test_the_head_comes_as_received_with_names_in_lower_case() -> None:
    data = b"HTTP/1.1 200 OK\r\nX-Twice: 1\r\nx-Empty:\r\nx-twice: \t 2 \t\r\nx-latin: caf\xc3\xa9\r\nage: 0\r\n\r\n"
    for chunks in every_split(data):
        response = read(chunks)
        assert response.head is not None
        assert response.head.headers == [
            (b"x-twice", b"1"),
            (b"x-empty", b""),
            (b"x-twice", b"2"),
            (b"x-latin", "café".encode()),
            (b"age", b"0"),
        ]


def test_the_head_is_there_before_the_body() -> None:
    data = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    assert read([data[:-1]]).head is None
    assert read([data]).head is not None
    assert not read([data]).complete


def test_each_feed_gives_one_chunk_at_once() -> None:
    response = read([CHUNKED])
    response.feed(b"1\r\na\r\n2\r\nbc\r\n3\r\nde")
    assert list(response.chunks) == [b"abcde"]
    assert response.buffered == 5
    response.feed(b"f\r\n")
    response.feed(b"0\r\n")
    assert list(response.chunks) == [b"abcde", b"f"]
    assert response.take() == b"abcde"
    assert response.buffered == 1


def test_trailers_are_no_headers() -> None:
    response = read([CHUNKED + b"0\r\nx-t: 1\r\n\r\n"])
    assert response.head is not None
    assert response.head.headers == [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_a_body_without_length_ends_with_the_connection(version: bytes) -> None:
    for chunks in every_split(version + b" 200 OK\r\nx: 1\r\n\r\nhello"):
        assert not read(chunks).complete
        response = read(chunks, closed=True)
        assert response.complete
        assert response.keep_alive == 0
        assert body(response) == b"hello"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
def test_any_other_message_does_not(data: bytes) -> None:
    assert not read([data], closed=True).complete


@pytest.mark.parametrize(
    "framing", [b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"content-length: 0\r\n", b""]
)
def test_an_answer_to_head_ends_with_its_head(framing: bytes) -> None:
    response = read([b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n"], bodyless=True)
    assert response.complete
    assert response.head is not None
    assert not response.chunks
    assert response.keep_alive == 0


ABUSE = {
    "no HTTP": b"SSH-2.0-OpenSSH\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/2 frames": b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "length twice": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nab",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    "list of lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nab",
    "signed length": b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nab",
    "negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nab",
    "empty length": b"HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nab",
    "huge length": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nab",
    "length and chunked": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding nobody asked for": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "the same in two lines": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
    "a coding without end": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc",
    "identity": b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nabc",
    "no chunk size": CHUNKED + b"\r\nab\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + b"-2\r\nab\r\n0\r\n\r\n",
    "0x": CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n",
    "space after a chunk size": CHUNKED + b"2 \r\nab\r\n0\r\n\r\n",
    "huge chunk size": CHUNKED + b"fffffffffffffffff\r\nab\r\n0\r\n\r\n",
    "bare LF after a chunk size": CHUNKED + b"2\nab\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
    "obs-fold": b"HTTP/1.1 200 OK\r\nx: 1\r\n 2\r\ncontent-length: 0\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nx: \0\r\ncontent-length: 0\r\n\r\n",
    "NUL in a name": b"HTTP/1.1 200 OK\r\nx\0: 1\r\ncontent-length: 0\r\n\r\n",
    "CR in a value": b"HTTP/1.1 200 OK\r\nx: 1\r2\r\ncontent-length: 0\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nx : 1\r\ncontent-length: 0\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nabc\r\ncontent-length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 X\r\ncontent-length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 X\r\ncontent-length: 0\r\n\r\n",
    "status 20": b"HTTP/1.1 20 X\r\ncontent-length: 0\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "101 without upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "interim answer with a body": b"HTTP/1.1 104 X\r\ncontent-length: 2\r\n\r\nab",
}


@pytest.mark.parametrize("data", ABUSE.values(), ids=ABUSE.keys())
def test_what_is_not_quite_http_is_cut_however_it_is_split(data: bytes) -> None:
    for chunks in every_split(data):
        response = Response()
        with pytest.raises(UpstreamCut):
            feed(response, chunks)
        response.end()
        assert not response.complete


def test_what_came_before_the_fault_is_still_there() -> None:
    response = Response()
    with pytest.raises(UpstreamCut):
        response.feed(CHUNKED + b"5\r\nhello\r\nzz\r\n")
    assert response.head is not None
    assert body(response) == b"hello"


@pytest.mark.parametrize("connection", [b"keep-alive", b"close"])
@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"x", b"\0"])
def test_bytes_after_the_end_keep_the_connection_out_of_the_pool(connection: bytes, surplus: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: " + connection
    for whole in (
        head + b"\r\ncontent-length: 2\r\n\r\nok",
        head + b"\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ):
        response = read([whole + surplus])
        assert response.complete
        assert response.keep_alive == 0
        assert body(response) == b"ok"


FLOODS = {
    "one endless value": (b"HTTP/1.1 200 OK\r\nx: ", b"a" * 1000),
    "one endless name": (b"HTTP/1.1 200 OK\r\n", b"a" * 1000),
    "endless reason": (b"HTTP/1.1 200 ", b"a" * 1000),
    "endless headers": (b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n" * 200),
    "endless interim answers": (b"", b"HTTP/1.1 103 X\r\nlink: x\r\n\r\n" * 40),
    "endless empty lines": (b"", b"\r\n" * 500),
    "endless extension": (CHUNKED + b"1;", b"a" * 1000),
    "endless trailers": (CHUNKED + b"1\r\na\r\n0\r\n", b"x: 1\r\n" * 200),
}


@pytest.mark.parametrize(("start", "more"), FLOODS.values(), ids=FLOODS.keys())
def test_bytes_that_bring_no_body_are_bounded(start: bytes, more: bytes) -> None:
    response = read([start])
    with pytest.raises(UpstreamCut):
        feed(response, repeat(more, MAX_HEAD_BYTES // len(more) + 2))


def test_a_head_just_within_the_bound_passes() -> None:
    start, end = b"HTTP/1.1 200 OK\r\nx: ", b"\r\ncontent-length: 1\r\n\r\n"
    value = b"a" * (MAX_HEAD_BYTES - len(start) - len(end))
    for chunks in ([start + value + end, b"b"], [start + value + end + b"b"], [start, value, end, b"b"]):
        response = read(chunks)
        assert response.head is not None
        assert response.head.headers[0] == (b"x", value)
        assert body(response) == b"b"
    with pytest.raises(UpstreamCut):
        read([start + value + b"a" + end])


def test_a_long_body_is_no_flood() -> None:
    response = read([CHUNKED])
    for _ in range(3 * MAX_HEAD_BYTES // 6):
        response.feed(b"1\r\na\r\n")
        response.take()
    response.feed(b"0\r\n\r\n")
    assert response.complete


pieces = st.sampled_from(
    [
        b"HTTP/1.1 ",
        b"200 OK",
        b"\r\n",
        b"\n",
        b"content-length: ",
        b"transfer-encoding: chunked",
        b"0",
        b"5",
        b"a",
        b": ",
    ]
)


@given(st.lists(pieces | st.binary(max_size=4), max_size=25), st.booleans())
def test_any_bytes_at_all_are_an_answer_or_cut(chunks: list[bytes], bodyless: bool) -> None:
    response = Response(bodyless=bodyless)
    try:
        feed(response, chunks)
    except UpstreamCut:
        assert not response.complete
    response.end()
    assert response.head is not None or not (response.chunks or response.complete)
    assert sum(map(len, response.chunks)) == response.buffered
