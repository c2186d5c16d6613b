"""Content codings (RFC 9110 section 8.4) undone: beside the relay for a meter, and whole for a request's body.

The one file below L6 that uses third-party packages: the standard library has no Brotli, and Zstandard only from
Python 3.14 on. Both are pure functions of bytes, as zlib is.
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import brotli

from headgate.errors import BadRequest, TooLarge, UnsupportedEncoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 1024 * 1024
"""The most that is decoded at once, however much the bytes blow up to."""
_SLICE_BYTES = 16 * 1024
"""Input goes in by slices: a decoder copies its unread input after each piece and member, which would be quadratic."""
_BROTLI_LIMIT = 256 * 1024
"""Brotli's limit is a threshold that its growing buffer may pass: from this one it stays below PIECE_BYTES."""
_ZSTD_WINDOW_LOG = 23
"""8 MiB, the window that RFC 9659 allows for this coding; the library's own bound is 128 MiB."""
_MAX_CODINGS = 3
"""More codings on one body than anyone uses; each may multiply the work of the one before."""
_FREE_BYTES = 64 * 1024 * 1024
_EXPANSION = 64
"""An answer that passes by is decoded to so many bytes for each of its own, beyond the first 64 MiB. Text becomes ten
to thirty times as long; a bomb a thousand times, or a million in two codings, and whoever decodes that does nothing
else meanwhile."""


class _Bomb(Exception):
    """Raised where decoding would be too much work."""


_CORRUPT = (zlib.error, brotli.error, zstd.ZstdError)


class _Stage(Protocol):
    """Undoes one coding."""

    @property
    def whole(self) -> bool:
        """True where the encoded data may end."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the data decodes to, in pieces of at most PIECE_BYTES. Raises one of _CORRUPT."""


class _Decoder(Protocol):
    """What zlib's and zstd's decompressors have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Members:
    """Data of one member or, where the format allows it, of several in a row (RFC 1952 section 2.2, RFC 8878)."""

    def __init__(self, decoder_for: Callable[[bytes], _Decoder], *, several: bool) -> None:
        self._decoder_for = decoder_for
        self._several = several
        self._decoder: _Decoder | None = None
        self.whole = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        more = False
        while data or more:
            piece, data, more = self._step(data)
            if piece:
                yield piece

    def _step(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """A piece, the input that is left, and whether the decoder may have more output without any."""
        if self._decoder is None:
            if self.whole and not self._several:
                raise zlib.error("data after the end")
            self._decoder = self._decoder_for(data)
            self.whole = False
        decoder = self._decoder
        piece = decoder.decompress(data, PIECE_BYTES)
        if decoder.eof:
            self._decoder = None
            self.whole = True
            return piece, decoder.unused_data, False
        return piece, getattr(decoder, "unconsumed_tail", b""), len(piece) == PIECE_BYTES


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    @property
    def whole(self) -> bool:
        return bool(self._decoder.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        piece = self._decoder.process(data, output_buffer_limit=_BROTLI_LIMIT)
        while piece:
            yield piece
            piece = self._decoder.process(b"", output_buffer_limit=_BROTLI_LIMIT)


def _gzip() -> _Stage:
    return _Members(lambda _: zlib.decompressobj(16 + zlib.MAX_WBITS), several=True)


def _deflate() -> _Stage:
    """With the zlib wrapper that RFC 9110 asks for, or without, as some servers send it.

    A wrapper's first byte has 8 in its low half. A bare stream begins so only with a stored block whose padding bits
    are not zero, which no encoder writes.
    """
    return _Members(
        lambda data: zlib.decompressobj(zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS), several=False
    )


def _zstd() -> _Stage:
    options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG}
    return _Members(lambda _: zstd.ZstdDecompressor(options=options), several=True)


_STAGES: dict[str, Callable[[], _Stage]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _Brotli,
    "zstd": _zstd,
}


def _stages(content_encoding: str) -> list[_Stage]:
    """The stages that undo a Content-Encoding value, the last coding's first. Raises UnsupportedEncoding."""
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name not in {"", "identity"}]
    unknown = [name for name in names if name not in _STAGES]
    if unknown or len(names) > _MAX_CODINGS:
        raise UnsupportedEncoding(f"content-encoding {content_encoding!r} is not supported")
    return [_STAGES[name]() for name in reversed(names)]


def _undo(stages: Sequence[_Stage], data: bytes, work: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
    """`work` is told of every byte that any stage makes, and may raise to stop it."""
    if not stages:
        yield data
        return
    for at in range(0, len(data), _SLICE_BYTES):
        for piece in stages[0].feed(data[at : at + _SLICE_BYTES]):
            work(len(piece))
            yield from _undo(stages[1:], piece, work)


class Inflate:
    """Undoes the codings of a body that passes by, as far as its chunks allow at each moment.

    Sound data gives the same bytes however it is split. How much comes before corrupt data is noticed is the decoders'
    own affair, and may differ.
    """

    __slots__ = ("_left", "_stages", "failed")

    def __init__(self, content_encoding: str) -> None:
        self.failed = False
        """True once the data was corrupt or a bomb, or from the start if the coding is unknown: no more will come."""
        self._left = _FREE_BYTES
        try:
            self._stages = _stages(content_encoding)
        except UnsupportedEncoding:
            self._stages = []
            self.failed = True

    @property
    def whole(self) -> bool:
        """Whether what came so far ends where the encoding does."""
        return all(stage.whole for stage in self._stages)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What the chunk decodes to, in pieces of at most PIECE_BYTES. Never raises; decodes as it is iterated."""
        if self.failed:
            return
        self._left += _EXPANSION * len(chunk)
        try:
            yield from _undo(self._stages, chunk, self._work)
        except (*_CORRUPT, _Bomb):
            self._stages = []
            self.failed = True

    def _work(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _Bomb


def inflater(content_encoding: str) -> Inflate | None:
    """What undoes a Content-Encoding value, such as "gzip" or "gzip, br"; None if there is nothing to undo."""
    if content_encoding.strip().lower() in {"", "identity"}:
        return None
    return Inflate(content_encoding)


def decompress(body: bytes, content_encoding: str, limit: int) -> bytes:
    """A whole body with its codings undone; no coding may expand it to more than `limit` bytes.

    Raises TooLarge over the limit, UnsupportedEncoding for an unknown coding, BadRequest for corrupt or truncated data.
    """
    for stage in _stages(content_encoding) if body else ():
        body = _whole(stage, body, limit)
    return body


def _whole(stage: _Stage, body: bytes, limit: int) -> bytes:
    out = bytearray()
    try:
        for piece in _undo([stage], body):
            out += piece
            if len(out) > limit:
                raise TooLarge(f"the request body decompresses to more than {limit} bytes")
    except _CORRUPT as error:
        raise BadRequest("the request body does not match its content-encoding") from error
    if not stage.whole:
        raise BadRequest("the request body ends inside its compressed data")
    return bytes(out)
