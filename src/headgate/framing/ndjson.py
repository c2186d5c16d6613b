"""Newline-delimited JSON: one text a line."""

from headgate.framing.base import MAX_FRAME_BYTES, Frame

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r"


class JsonLines:
    """The Framing of newline-delimited JSON. Fulfils `framing.base.Framing`.

    LF ends a line, and so does CRLF: white space around a line's text is dropped, and a blank line is no frame. Neither
    is a byte order mark part of the first. Bytes of a line before its LF count for the bound.
    """

    __slots__ = ("_bound", "_held", "_started", "_within_oversize", "oversize", "unterminated")

    corrupt = 0

    def __init__(self, bound: int = MAX_FRAME_BYTES) -> None:
        self._bound = bound
        self._held = bytearray()
        self._started = False
        self._within_oversize = False
        self.oversize = 0
        self.unterminated = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """The lines that this chunk completes, in order. Never raises."""
        *ended, rest = chunk.split(b"\n")
        frames: list[Frame] = []
        for line in ended:
            self._hold(line)
            self._give(frames)
        self._hold(rest)
        return frames

    def end(self) -> list[Frame]:
        """The last line if it has no line end, as an error that breaks a stream off (facts/stream_cases.md 7.12)."""
        frames: list[Frame] = []
        within_oversize = self._within_oversize
        self._give(frames)
        self.unterminated = bool(frames) or within_oversize
        return frames

    def _hold(self, piece: bytes) -> None:
        if self._within_oversize:
            return
        self._held += piece
        if len(self._held) > self._bound:
            self._within_oversize = True
            self.oversize += 1
            self._held.clear()

    def _give(self, frames: list[Frame]) -> None:
        line = bytes(self._held)
        self._held.clear()
        self._within_oversize = False
        if not self._started:
            self._started = True
            line = line.removeprefix(_BOM)
        text = line.strip(_SPACE)
        if text:
            frames.append(Frame(b"", text))
