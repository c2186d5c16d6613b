r"""Texts that a stream cuts into pieces, put together again: a secret may begin in one event and end in the next.

    data: {"delta": {"content": "sk-ab"}}
    data: {"delta": {"content": "cdef..."}}

Whatever the dialect, the pieces of one text stand under the same name, at the same place of their lines, in lines with
the same indices. So all texts of each such name are joined, and what is found in the joined text is led back to where
its parts stand.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from headgate.audit.spans import Span

_LINE = re.compile(r"[^\r\n]+")
_PAIR = re.compile(r'"([^"\\]{1,64})"\s*:\s*"((?:[^"\\]|\\.)*+)("?)', re.DOTALL)
_INDEX = re.compile(r'"([a-z_]*(?:index|stream_id|item_id))"\s*:\s*("[^"]*"|\d+)')


class _Joined:
    """Pieces of one text, and where they stand."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.starts: list[int] = []
        """In the joined text."""
        self.places: list[int] = []
        """In the whole text."""
        self.size = 0

    def add(self, piece: str, place: int) -> None:
        self.pieces.append(piece)
        self.starts.append(self.size)
        self.places.append(place)
        self.size += len(piece)

    @property
    def says(self) -> bool:
        """A text in pieces: not a single one, and not the same name again and again."""
        return len(set(self.pieces)) > 1

    def led_back(self, span: Span) -> Iterator[Span]:
        """The parts of a span that goes over a seam; what it becomes stands in the first."""
        first, last = bisect_right(self.starts, span.start) - 1, bisect_right(self.starts, span.end - 1) - 1
        if first == last:
            return
        instead = span.instead
        for at in range(first, last + 1):
            start = max(span.start - self.starts[at], 0)
            end = min(span.end - self.starts[at], len(self.pieces[at]))
            if start < end:
                yield Span(self.places[at] + start, self.places[at] + end, instead)
                instead = ""


def over_seams(text: str, find: Callable[[str], Iterable[Span]]) -> Iterator[Span]:
    """The parts of whatever is found in the joined texts of a stream, and goes over a seam."""
    for joined in _joined(text):
        if joined.says:
            for span in find("".join(joined.pieces)):
                yield from joined.led_back(span)


def _joined(text: str) -> Iterable[_Joined]:
    kinds: dict[tuple[tuple[str, str], ...], int] = {}
    """Numbers of the lines' indices: there may be thousands in a line, and as many pairs, each to be looked up."""
    by_place: dict[tuple[str, int, int], _Joined] = {}
    for line in _LINE.finditer(text):
        kind = kinds.setdefault(tuple(_INDEX.findall(line[0])), len(kinds))
        seen: dict[str, int] = {}
        for pair in _PAIR.finditer(line[0]):
            name = pair[1]
            seen[name] = seen.get(name, 0) + 1
            if pair[2]:
                place = by_place.setdefault((name, seen[name], kind), _Joined())
                place.add(pair[2], line.start() + pair.start(2))
    return by_place.values()
