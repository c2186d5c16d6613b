import pytest
from httptools import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.errors import BadRequest
from headgate.gateway.upstream import UpstreamRequest
from headgate.net.client_request import request_head
from headgate.providers.base import Origin, TimeLimits

ORIGIN = Origin(tls=True, host="api.test", port=443)
PLAIN = UpstreamRequest(
    method=b"POST",
    origin=ORIGIN,
    host=b"api.test",
    target=b"/v1/chat/completions?a=b",
    headers=[(b"content-type", b"application/json"), (b"x-empty", b""), (b"x-latin", b"caf\xe9\t1")],
    body=b'{"model":"m"}',
    limits=TimeLimits(),
)


def test_the_head_as_it_stands_on_the_wire() -> None:
    assert request_head(PLAIN) == (
        b"POST /v1/chat/completions?a=b HTTP/1.1\r\n"
        b"host: api.test\r\n"
        b"content-type: application/json\r\n"
        b"x-empty: \r\n"
        b"x-latin: caf\xe9\t1\r\n"
        b"content-length: 13\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        (b"POST", b"", b"0"),
        (b"PUT", b"", b"0"),
        (b"PATCH", b"", b"0"),
        (b"GET", b"", None),
        (b"HEAD", b"", None),
        (b"DELETE", b"", None),
        (b"OPTIONS", b"", None),
        (b"DELETE", b"abc", b"3"),
        (b"GET", b"abc", b"3"),
    ],
)
def test_content_length_is_ours_to_write(method: bytes, body: bytes, length: bytes | None) -> None:
    lines = request_head(replace(PLAIN, method=method, body=body)).split(b"\r\n")
    lengths = [line.partition(b": ")[2] for line in lines if line.startswith(b"content-length")]
    assert lengths == ([] if length is None else [length])


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"v1/models",
        b"http://evil.test/",
        b"/a b",
        b"/a HTTP/1.1\r\nx: 1",
        b"/a\r\n",
        b"/a\n",
        b"/a\r",
        b"/a\0",
        b"/a\tb",
        b"/caf\xe9",
        b"/a\x7f",
    ],
)
def test_a_target_that_could_end_its_line_is_refused(target: bytes) -> None:
    with pytest.raises(BadRequest):
        request_head(replace(PLAIN, target=target))


@pytest.mark.parametrize("method", [b"", b"GET ", b"G T", b"GET / HTTP/1.1\r\nx: 1\r\n\r\nGET", b"GE\0T", b"CONNECT"])
def test_a_method_that_is_none_is_refused(method: bytes) -> None:
    with pytest.raises(BadRequest):
        request_head(replace(PLAIN, method=method))


@pytest.mark.parametrize("host", [b"", b"a b", b"a\r\nx: 1", b"a\n", b"a\0"])
def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    with pytest.raises(BadRequest):
        request_head(replace(PLAIN, host=host))


@pytest.mark.parametrize(
    "header",
    [
        (b"x", b"1\r\nevil: 1"),
        (b"x", b"1\nevil: 1"),
        (b"x", b"1\r"),
        (b"x", b"1\r\n"),
        (b"x", b"1\0"),
        (b"x", b"1\r\n folded"),
        (b"", b"1"),
        (b"x y", b"1"),
        (b"x ", b"1"),
        (b"x:", b"1"),
        (b"x: 1\r\ny", b"1"),
        (b"x\ny", b"1"),
        (b"x\n", b"1"),
        (b"x\0", b"1"),
        (b"caf\xe9", b"1"),
        (b"content-length", b"5"),
        (b"Content-Length", b"5"),
        (b"transfer-encoding", b"chunked"),
        (b"TRANSFER-ENCODING", b"chunked"),
        (b"host", b"evil.test"),
        (b"connection", b"close"),
        (b"upgrade", b"websocket"),
    ],
)
def test_a_header_that_could_be_two_or_frame_the_message_again_is_refused(header: tuple[bytes, bytes]) -> None:
    for headers in ([header], [(b"a", b"1"), header], [header, (b"a", b"1")]):
        with pytest.raises(BadRequest):
            request_head(replace(PLAIN, headers=headers))


class Parsed:
    """What a strict parser of the other kind reads."""

    def __init__(self, data: bytes) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = 0
        parser = HttpRequestParser(self)
        parser.feed_data(data)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1


hostile = st.lists(
    st.sampled_from(
        [b"a", b"X", b"-", b":", b" ", b"\t", b"\r\n", b"\n", b"\r", b"\0", b"/", b"chunked", b"\xe9", b"0"]
    ),
    max_size=5,
).map(b"".join)
names = st.sampled_from([b"x-a", b"accept", b"content-length", b"transfer-encoding", b"host"]) | hostile


@given(
    target=hostile.map(lambda rest: b"/" + rest),
    headers=st.lists(st.tuples(names, hostile), max_size=4),
    body=st.binary(max_size=20),
)
def test_what_is_sent_is_read_as_the_one_request_that_was_meant(
    target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    request = replace(PLAIN, target=target, headers=headers, body=body)
    try:
        head = request_head(request)
    except BadRequest:
        return
    parsed = Parsed(head + body)
    assert parsed.complete == 1
    assert (parsed.method, parsed.target, parsed.body) == (b"POST", target, body)
    assert [(name, value.strip(b" \t")) for name, value in parsed.headers] == [
        (b"host", b"api.test"),
        *((name, value.strip(b" \t")) for name, value in headers),
        (b"content-length", b"%d" % len(body)),
    ]
