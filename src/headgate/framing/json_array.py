r"""A JSON array that is sent element by element, as `[{...}\n,{...}]` (facts/wire.md section 5)."""

import re

from headgate.framing.base import MAX_FRAME_BYTES, Frame

_BETWEEN = re.compile(rb"[ \t\r\n,}\xef\xbb\xbf]*+")
"""What may stand between elements, and before the first: with it the bytes of a byte order mark, and rubbish."""
_SCALAR = re.compile(rb'[^ \t\r\n,"\[\]{}]*+')
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""A string up to its closing quote; or up to the chunk's end, or an escape that the chunk's end cuts in two."""
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
"""Whole strings and what has no meaning here, up to a bracket; or up to a string that the chunk's end cuts in two."""
_QUOTE = ord('"')
_BACKSLASH = ord("\\")
_OPENING = b"[{"
_CLOSING = ord("]")


class JsonArray:
    """The Framing of a streamed JSON array. Fulfils `framing.base.Framing`.

    An object or array inside the array is a frame as soon as its last bracket has come, a number or word when something
    follows it. Values outside an array are frames too: the single object that a server answers in place of the array
    (facts/stream_cases.md 6.9). Only strings and brackets are looked at, and whether brackets match is not.
    """

    __slots__ = (
        "_bound", "_depth", "_escaped", "_held", "_in_array", "_in_string", "_parted", "_within", "_within_oversize",
        "oversize", "unterminated",
    )  # fmt: skip

    corrupt = 0

    def __init__(self, bound: int = MAX_FRAME_BYTES) -> None:
        self._bound = bound
        self._held = bytearray()
        self._in_array = False
        """The outermost array is open."""
        self._parted = True
        """No element has come yet, or a comma has since the last."""
        self._within = False
        """An element has begun. Its kind is told by the next two: neither is set within a number or word."""
        self._depth = 0
        """Open brackets of the element."""
        self._in_string = False
        self._escaped = False
        """The next byte of the string is an escape's second one."""
        self._within_oversize = False
        self.oversize = 0
        self.unterminated = False

    @property
    def rests(self) -> bool:
        """True between two elements, and before the first."""
        return self._in_array and not self._within

    def last(self, element: bytes) -> bytes | None:
        """One more element, and the end of the array, as they can follow what has come; None within an element."""
        if not self.rests:
            return None
        return (b"" if self._parted else b",") + element + b"]"

    def feed(self, chunk: bytes) -> list[Frame]:
        """The elements that this chunk completes, in order. Never raises."""
        frames: list[Frame] = []
        at = 0
        while at < len(chunk):
            start = at
            if not self._within:
                start, at = self._begin(chunk, at)
            if self._within:
                at = self._scan(chunk, at)
                self._take(chunk[start:at], frames)
        return frames

    def end(self) -> list[Frame]:
        """The element that the end cuts short, as it stands. An array that is not closed counts as cut short too."""
        self.unterminated = self._in_array or self._in_string or self._depth > 0
        rest = bytes(self._held)
        self._held.clear()
        return [Frame(b"", rest)] if rest else []

    def _take(self, piece: bytes, frames: list[Frame]) -> None:
        if not self._within_oversize and len(self._held) + len(piece) > self._bound:
            self._within_oversize = True
            self.oversize += 1
            self._held.clear()
        if self._within_oversize:
            self._within_oversize = self._within
        elif self._within:
            self._held += piece
        else:
            frames.append(Frame(b"", bytes(self._held) + piece))
            self._held.clear()

    def _begin(self, chunk: bytes, at: int) -> tuple[int, int]:
        """Look for the next element. Where it starts, and where to scan on: behind its bracket or quote."""
        between, at = at, _end_of(_BETWEEN, chunk, at)
        self._parted = self._parted or chunk.find(b",", between, at) >= 0
        if at == len(chunk):
            return at, at
        first = chunk[at]
        if first == _CLOSING:
            self._in_array = False
            return at + 1, at + 1
        if first == _OPENING[0] and not self._in_array:
            self._in_array = self._parted = True
            return at + 1, at + 1
        self._within, self._parted = True, False
        self._depth = int(first in _OPENING)
        self._in_string = first == _QUOTE
        return at, at + (self._depth or self._in_string)

    def _scan(self, chunk: bytes, at: int) -> int:
        """Where the element ends; or else the chunk, with the element still open."""
        if not self._depth and not self._in_string:
            at = _end_of(_SCALAR, chunk, at)
            self._within = at == len(chunk)
            return at
        while self._within and at < len(chunk):
            at = self._scan_string(chunk, at) if self._in_string else self._scan_brackets(chunk, at)
        return at

    def _scan_string(self, chunk: bytes, at: int) -> int:
        at = _end_of(_STRING_REST, chunk, at + self._escaped)
        self._escaped = at < len(chunk) and chunk[at] == _BACKSLASH
        if at == len(chunk) or self._escaped:
            return len(chunk)
        self._in_string = False
        self._within = self._depth > 0
        return at + 1

    def _scan_brackets(self, chunk: bytes, at: int) -> int:
        depth = self._depth
        while depth:
            at = _end_of(_TO_BRACKET, chunk, at)
            if at == len(chunk):
                break
            mark = chunk[at]
            at += 1
            if mark == _QUOTE:
                self._in_string = True
                break
            depth += 1 if mark in _OPENING else -1
        self._depth = depth
        self._within = depth > 0
        return at


def _end_of(pattern: re.Pattern[bytes], chunk: bytes, at: int) -> int:
    """Where the match from there on ends, for patterns that match anywhere, if only nothing."""
    found = pattern.match(chunk, at)
    return found.end() if found else at
