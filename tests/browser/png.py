"""Screenshots in a quarter of their size: 8-bit palettes, which pages hardly have more colours than."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 6: 4}
"""Samples a pixel, by PNG's colour type: RGB and RGBA."""
COMMONEST = 64


def smaller(png: bytes) -> bytes:
    """The same picture in at most 256 colours, and for each other one the nearest of them."""
    pixels = decoded(png)
    height, width, _ = pixels.shape
    packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    colours, which, counts = np.unique(packed, return_inverse=True, return_counts=True)
    kept = colours[_chosen(colours, counts)]
    nearest = np.argmin(_distances(colours, kept), axis=1).astype(np.uint8)
    rows = nearest[which].reshape(height, width)
    raw = np.hstack([np.zeros((height, 1), np.uint8), rows]).tobytes()
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", _bytes_of(kept).tobytes()), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(*part) for part in parts)


def _chosen(colours: NDArray[np.uint32], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The commonest, and then whatever is least like those before it: a small mark keeps its colour."""
    chosen = list(np.argsort(-counts, kind="stable")[:COMMONEST])
    away = _distances(colours, colours[chosen]).min(axis=1)
    while len(chosen) < 256 and away.max() > 0:
        chosen.append(np.argmax(away * np.log1p(counts)))
        away = np.minimum(away, _distances(colours, colours[chosen[-1:]])[:, 0])
    return np.array(chosen, np.int64)


def decoded(png: bytes) -> Pixels:
    """Rows of pixels of red, green and blue, of an 8-bit PNG that is not interlaced, as browsers write them."""
    at, data, head = len(_SIGNATURE), b"", b""
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        head, data = (body if kind == b"IHDR" else head), data + (body if kind == b"IDAT" else b"")
        at += 12 + length
    width, height, depth, colour = struct.unpack_from(">IIBB", head)
    assert depth == 8
    channels = _CHANNELS[colour]
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    out = np.zeros((height + 1, width + 1, channels), np.uint8)  # a row and a column of nothing before the first
    for y, line in enumerate(lines, start=1):
        _unfilter(int(line[0]), line[1:].reshape(width, channels), out[y - 1], out[y])
    return out[1:, 1:, :3]


def _unfilter(kind: int, line: Pixels, above: Pixels, out: Pixels) -> None:
    """Undo one row's filter (PNG specification, section 9)."""
    match kind:
        case 0:
            out[1:] = line
        case 1:
            out[1:] = np.cumsum(line, axis=0, dtype=np.uint8)
        case 2:
            out[1:] = line + above[1:]
        case _:
            predict = _average if kind == 3 else _paeth
            for x in range(1, len(out)):
                for c in range(out.shape[1]):
                    a, b, d = int(out[x - 1, c]), int(above[x, c]), int(above[x - 1, c])
                    out[x, c] = (int(line[x - 1, c]) + predict(a, b, d)) & 255


def _average(left: int, above: int, _corner: int) -> int:
    return (left + above) // 2


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda near: abs(guess - near))


def _bytes_of(colours: NDArray[np.uint32]) -> Pixels:
    return np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8)


def _distances(colours: NDArray[np.uint32], kept: NDArray[np.uint32]) -> NDArray[np.int64]:
    one, other = _bytes_of(colours).astype(np.int64), _bytes_of(kept).astype(np.int64)
    away: NDArray[np.int64] = (one**2).sum(axis=1)[:, None] - 2 * one @ other.T + (other**2).sum(axis=1)[None, :]
    return away


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
