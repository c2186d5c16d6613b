"""How a body may arrive: the same bytes in other chunks must mean the same.

A framing, a filter or a meter is shown right by running it on every split of a body and comparing the outcomes.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from random import Random

SHORT_BYTES = 512
"""Up to this length every two-way split is tried; beyond it, about as many, evenly spaced."""


def every_split(data: bytes) -> Iterator[list[bytes]]:
    """Lists of chunks that join to `data`: whole, byte by byte, and in two at every place (of short data).

    Chunks are never empty; empty data gives one empty list. Quadratic in SHORT_BYTES, then linear.
    """
    yield split_at(data, ())
    if len(data) > 2:
        yield split_at(data, range(1, len(data)))
    step = max(1, len(data) // SHORT_BYTES)
    for cut in range(1, len(data), step):
        yield split_at(data, (cut,))


def split_at(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The chunks between the cuts, which may come in any order; those outside the data cut nothing."""
    inside = sorted({cut for cut in cuts if 0 < cut < len(data)})
    return [data[start:end] for start, end in pairwise((0, *inside, len(data))) if end]


def random_split(data: bytes, random: Random, most: int = 16) -> list[bytes]:
    """The data in up to `most` chunks, cut at places that `random` picks."""
    return split_at(data, (random.randrange(len(data) + 1) for _ in range(random.randrange(most))))
