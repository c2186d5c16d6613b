"""Decoders against the encoders of their own libraries, at every split."""

import gzip
import sys
import zlib
from collections.abc import Callable
from random import Random

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import BadRequest, TooLarge, UnsupportedEncoding
from headgate.framing import inflate
from headgate.framing.inflate import PIECE_BYTES, decompress, inflater
from headgate.testing.splits import every_split

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = b'data: {"usage":{"prompt_tokens":7}}\n\n' * 40


def _raw_deflate(data: bytes) -> bytes:
    encoder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


def _two_members(encode: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: encode(data[:100]) + encode(b"") + encode(data[100:])


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _brotli(data: bytes) -> bytes:
    return bytes(brotli.compress(data))


def _zstd(data: bytes) -> bytes:
    return bytes(zstd.compress(data))


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", _gzip),
    "x-gzip": ("x-gzip", _gzip),
    "any case and space": (" GZip ", _gzip),
    "gzip in several members": ("gzip", _two_members(_gzip)),
    "deflate, wrapped": ("deflate", zlib.compress),
    "deflate, bare": ("deflate", _raw_deflate),
    "br": ("br", _brotli),
    "zstd": ("zstd", _zstd),
    "zstd in several frames": ("zstd", _two_members(_zstd)),
    "gzip, then br": ("gzip, br", lambda data: _brotli(_gzip(data))),
    "zstd, then deflate, then gzip": ("zstd,deflate , gzip", lambda data: _gzip(zlib.compress(_zstd(data)))),
    "identity among them": ("identity, gzip,", _gzip),
}
encodings = pytest.mark.parametrize(("name", "encode"), ENCODERS.values(), ids=ENCODERS.keys())


def undone(name: str, chunks: list[bytes]) -> tuple[bytes, bool]:
    inflating = inflater(name)
    assert inflating is not None
    return b"".join(piece for chunk in chunks for piece in inflating.feed(chunk)), inflating.failed


@encodings
def test_each_coding_is_undone_at_every_split_and_whole(name: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(BODY)
    for chunks in every_split(encoded):
        assert undone(name, chunks) == (BODY, False)
    assert decompress(encoded, name, limit=len(BODY)) == BODY


@encodings
def test_incompressible_data_longer_than_any_buffer_comes_through(name: str, encode: Callable[[bytes], bytes]) -> None:
    data = Random(1).randbytes(300_000)
    encoded = encode(data)
    assert undone(name, [encoded]) == (data, False)
    assert undone(name, [encoded[at : at + 4093] for at in range(0, len(encoded), 4093)]) == (data, False)


@pytest.mark.parametrize("name", ["", " ", "identity", "Identity "])
def test_where_nothing_is_encoded_there_is_nothing_to_undo(name: str) -> None:
    assert inflater(name) is None
    assert decompress(BODY, name, limit=0) == BODY


def _streamed(name: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    """An encoder that flushes each piece, as a server does for a stream of events."""
    if name == "br":
        encoder = brotli.Compressor()
        return lambda data: encoder.process(data) + encoder.flush(), encoder.finish
    if name == "zstd":
        frames = zstd.ZstdCompressor()
        return lambda data: frames.compress(data, frames.FLUSH_BLOCK), frames.flush
    blocks = zlib.compressobj(wbits=16 + zlib.MAX_WBITS if name == "gzip" else zlib.MAX_WBITS)
    return lambda data: blocks.compress(data) + blocks.flush(zlib.Z_SYNC_FLUSH), blocks.flush


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_what_a_chunk_holds_comes_with_that_chunk(name: str) -> None:
    encode, finish = _streamed(name)
    inflating = inflater(name)
    assert inflating is not None
    for event in (b"data: a\n\n", b"data: b\n\n"):
        assert b"".join(inflating.feed(encode(event))) == event
    assert b"".join(inflating.feed(finish())) == b""
    assert not inflating.failed


@pytest.mark.parametrize("name", ["compress", "gzip, aes128gcm", "br, br, br, br", "\x00"])
def test_an_unknown_coding_gives_nothing_or_is_refused(name: str) -> None:
    assert undone(name, [BODY]) == (b"", True)
    with pytest.raises(UnsupportedEncoding, match="is not supported"):
        decompress(BODY, name, limit=10_000)


@encodings
def test_a_truncated_body_is_refused_but_watched_as_far_as_it_goes(name: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(BODY)[:-1]
    decoded, failed = undone(name, [encoded])
    assert BODY.startswith(decoded)
    assert not failed
    with pytest.raises(BadRequest):
        decompress(encoded, name, limit=10_000)


@encodings
def test_data_after_the_end_is_corrupt_and_ends_the_watching(name: str, encode: Callable[[bytes], bytes]) -> None:
    encoded = encode(BODY) + b"more than that"
    assert undone(name, [encoded, encoded])[1]
    with pytest.raises(BadRequest, match="does not match"):
        decompress(encoded, name, limit=10_000)


def test_deflate_has_no_second_member() -> None:
    with pytest.raises(BadRequest, match="does not match"):
        decompress(zlib.compress(BODY) * 2, "deflate", limit=10_000)


def test_what_was_decoded_before_the_corruption_stands() -> None:
    decoded, failed = undone("gzip", [_gzip(BODY), b"\x00\x00\x00\x00"])
    assert (decoded, failed) == (BODY, True)


@given(st.sampled_from(["gzip", "deflate", "br", "zstd", "br, gzip"]), st.binary(max_size=60))
def test_any_bytes_are_watched_without_an_exception_and_served_or_refused(name: str, data: bytes) -> None:
    seen = [undone(name, chunks) for chunks in every_split(data)]
    try:
        served = decompress(data, name, limit=10_000)
    except (BadRequest, TooLarge):
        return
    assert all(each == (served, False) for each in seen)


def _bomb(name: str) -> bytes:
    zeros = bytes(64 * 1024 * 1024)
    if name == "br":
        return bytes(brotli.compress(zeros, quality=2))
    return _zstd(zeros) if name == "zstd" else _gzip(zeros) if name == "gzip" else zlib.compress(zeros)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_comes_in_small_pieces_and_is_refused_at_the_limit(name: str) -> None:
    bomb = _bomb(name)
    inflating = inflater(name)
    assert inflating is not None
    sizes = [len(piece) for piece in inflating.feed(bomb)]
    assert (sum(sizes), inflating.failed) == (64 * 1024 * 1024, False)
    assert max(sizes) <= PIECE_BYTES
    with pytest.raises(TooLarge, match="more than 1000000 bytes"):
        decompress(bomb, name, limit=1_000_000)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_larger_bomb_is_not_watched_to_its_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "_FREE_BYTES", 8 * 1024 * 1024)
    bomb, inflating = _bomb(name), inflater(name)
    assert inflating is not None
    size = sum(len(piece) for piece in inflating.feed(bomb))
    assert size <= 64 * len(bomb) + 8 * 1024 * 1024
    assert inflating.failed
    assert list(inflating.feed(bomb)) == []


def test_what_only_another_coding_reads_is_work_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "_FREE_BYTES", 1024 * 1024)
    inflating = inflater("gzip, gzip")
    assert inflating is not None
    assert list(inflating.feed(_gzip(_gzip(b"") * 200_000))) == []
    assert inflating.failed


@pytest.mark.parametrize("size", [1, 1000, 10**9])
def test_text_is_no_bomb(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "_FREE_BYTES", 0)
    text = b"".join(b'data: {"choices":[{"delta":{"content":"%x"}}]}\n\n' % (n * n) for n in range(2000))
    packed, inflating = _gzip(text), inflater("gzip")
    assert inflating is not None
    chunks = (packed[at : at + size] for at in range(0, len(packed), size))
    assert b"".join(piece for chunk in chunks for piece in inflating.feed(chunk)) == text
    assert not inflating.failed


def test_no_coding_on_the_way_may_pass_the_limit_either() -> None:
    empty_members = _gzip(_gzip(b"") * 100_000)
    assert len(empty_members) < 10_000
    with pytest.raises(TooLarge):
        decompress(empty_members, "gzip, gzip", limit=1_000_000)


def test_a_zstd_window_beyond_the_standard_is_refused() -> None:
    parameters = {int(zstd.CompressionParameter.window_log): 27, int(zstd.CompressionParameter.content_size_flag): 0}
    encoder = zstd.ZstdCompressor(options=parameters)
    encoded = encoder.compress(BODY) + encoder.flush()
    assert undone("zstd", [encoded]) == (b"", True)


def test_a_body_of_nothing_decodes_to_nothing() -> None:
    assert decompress(b"", "gzip", limit=10) == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip"])
def test_it_tells_whether_the_encoding_has_ended(coding: str) -> None:
    data = zlib.compress(b"word " * 50) if coding == "deflate" else gzip.compress(b"word " * 50)
    data = gzip.compress(data) if coding == "gzip, gzip" else data
    for cut in range(1, len(data) + 1):
        watching = inflater(coding)
        assert watching is not None
        assert b"".join(watching.feed(data[:cut])) == b"word " * 50 or cut < len(data)
        assert watching.whole == (cut == len(data))
