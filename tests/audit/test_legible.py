import gzip
import json
import zlib
from base64 import b64encode

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.audit.legible import MOST, legible
from headgate.framing.eventstream import encode

TEXT = '{"content": "Stra\u00dfe \U0001f600"}'
BODY = TEXT.encode()


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (gzip.compress(BODY, mtime=0), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (brotli.compress(BODY), "br"),
        (brotli.compress(gzip.compress(BODY, mtime=0)), "gzip, br"),
        (b"\xef\xbb\xbf" + BODY, ""),
    ],
)
def test_text_is_text_whatever_its_encoding(body: bytes, encoding: str) -> None:
    assert legible(body, "application/json", encoding) == TEXT


def test_the_beginning_of_an_encoded_body_is_read_as_far_as_it_goes() -> None:
    noise = "".join(f"{n * 7919 % 65536:x} " for n in range(5_000))
    half = gzip.compress(noise.encode())[:6_000]
    assert len(legible(half, "text/plain", "gzip")) > 1_000
    assert noise.startswith(legible(half, "text/plain", "gzip"))


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "told"),
    [
        (b"\x89PNG\xff\x00", "image/png", "", "[6 bytes of image/png]"),
        (b"ID3\xff\xfb", "", "", "[5 bytes]"),
        ("utf-16".encode("utf-16-le"), "application/json", "", "[12 bytes of application/json]"),
        (b"not gzip", "application/json", "gzip", "[8 bytes of gzip]"),
        (b"whatever", "application/json", "rot13", "[8 bytes of rot13]"),
        (b"", "audio/mpeg", "", ""),
    ],
)
def test_what_is_no_text_is_told_by_its_size(body: bytes, kind: str, encoding: str, told: str) -> None:
    assert legible(body, kind, encoding) == told


def test_a_character_cut_in_half_is_left_out() -> None:
    assert legible("a\u00df".encode()[:2]) == "a"


def test_messages_of_aws_are_lines() -> None:
    inner = b64encode(BODY).decode()
    stream = (
        encode({":event-type": "contentBlockDelta"}, b'{"delta": "x"}')
        + encode({":event-type": "chunk"}, json.dumps({"bytes": inner, "p": "abc"}, separators=(",", ":")).encode())
        + encode({":event-type": "odd"}, b'{"bytes":"A"}')
    )
    kind = "application/vnd.amazon.eventstream"
    assert legible(stream, kind).split("\n") == ['{"delta": "x"}', TEXT, '"[1 characters]"']
    assert legible(stream[:-3], kind).split("\n") == ['{"delta": "x"}', TEXT], "half a message is left out"


def test_a_form_keeps_its_fields_and_not_its_files() -> None:
    form = (
        b'--xyz\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nID3\xff\xfb\r\n--xyz--\r\n'
    )
    text = legible(form, 'multipart/form-data; boundary="xyz"')
    assert "whisper-1" in text
    assert 'filename="a.mp3"\r\n\r\n[7 bytes]--xyz--' in text
    assert legible(form, "multipart/form-data") == f"[{len(form)} bytes of multipart]"


def test_what_is_huge_is_read_in_part() -> None:
    assert len(legible(b"a" * (MOST + 10))) == MOST
    assert MOST <= len(legible(gzip.compress(b"a" * 3 * MOST), "text/plain", "gzip")) <= MOST + 2**20


@given(
    st.binary(max_size=200),
    st.sampled_from(["application/json", "multipart/x; boundary=a", "application/vnd.amazon.eventstream"]),
    st.sampled_from(["", "gzip", "br", "zstd", "x"]),
)
def test_it_never_raises(body: bytes, kind: str, encoding: str) -> None:
    legible(body, kind, encoding)
