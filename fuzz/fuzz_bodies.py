"""Any bytes under any content-encoding give a meter pieces of a body or nothing, and a server a body or a refusal."""

import gzip
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import brotli

sys.path.append(str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

from fuzz.mutations import main, mutated
from headgate.errors import BadRequest, TooLarge, UnsupportedEncoding
from headgate.framing.base import Frame
from headgate.framing.document import Document
from headgate.framing.inflate import PIECE_BYTES, decompress, inflater
from headgate.testing.splits import random_split

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SEEDS = (b'{"model":"m","usage":{"prompt_tokens":1}}', b"\n\n  [1,2]", b"\xef\xbb\xbf{}", b"", b"\0" * 5000)
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
    "identity": bytes,
    "unknown": bytes,
}
LIMIT = 4000


def case(random: Random) -> None:
    """One body, encoded, mutated, and undone in all three ways."""
    body = mutated(random.choice(SEEDS), random)
    names = [random.choice(tuple(ENCODERS)) for _ in range(random.choice((1, 1, 1, 2, 4)))]
    encoded = body
    for name in names:
        encoded = ENCODERS[name](encoded)
    if random.randrange(2):
        encoded = mutated(encoded, random)
    _check(encoded, ", ".join(names), random)


def _check(encoded: bytes, encoding: str, random: Random) -> None:
    """Where corrupt data is noticed, and so how much comes before it, is the decoder's own affair and differs."""
    split = random_split(encoded, random)
    watched = _watched([encoded], encoding), _watched(split, encoding)
    try:
        served = decompress(encoded, encoding, LIMIT)
    except (BadRequest, TooLarge, UnsupportedEncoding):
        return
    assert not encoded or watched == ((served, False), (served, False)), (encoded, encoding, split)


def _watched(chunks: list[bytes], encoding: str) -> tuple[bytes, bool]:
    inflating = inflater(encoding)
    document = Document(LIMIT)
    decoded = bytearray()
    for chunk in chunks:
        for piece in [chunk] if inflating is None else inflating.feed(chunk):
            assert len(piece) <= PIECE_BYTES
            decoded += piece
            assert document.feed(piece) == []
    expected = bytes(decoded).lstrip(b" \t\r\n").removeprefix(b"\xef\xbb\xbf")
    assert document.end() == ([Frame(b"", expected)] if expected and len(decoded) <= LIMIT else [])
    assert document.oversize == (len(decoded) > LIMIT)
    return bytes(decoded), inflating is not None and inflating.failed


if __name__ == "__main__":
    main(case, __doc__)
