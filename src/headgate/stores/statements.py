"""Rows in the statements that put them into SQLite, many at once.

Every statement costs two turns of the interpreter's lock, which the event loop may hold, and is parsed once for each
number of rows that it has: so there are few such numbers, and few statements for any number of rows.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

_SIZES = (64, 32, 16, 8, 4, 2, 1)

PREPARED = 1_000
"""Statements that a connection keeps parsed: each kind in each size, and records of many shapes."""

T = TypeVar("T")


def together(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """The rows in their order, in as few parts as there are sizes for."""
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
