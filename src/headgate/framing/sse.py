"""Server-sent events, by the rules of the WHATWG HTML standard (section "Server-sent events"), on bytes.

Two layers: `Blocks` cuts a byte stream into raw blocks and loses none of its bytes, `parse_block` reads the event's
name and data inside one. `ServerSentEvents` is both together; what takes events out of a stream uses `Blocks`.
Only CR, LF and CRLF end a line: U+2028 and its like may stand raw inside JSON (facts/wire.md section 9).
"""

import re
from collections.abc import Iterator
from functools import partial

from headgate.framing.base import MAX_FRAME_BYTES, Frame

_BLOCK_END = re.compile(rb"(?:\n|\r\n?+)(?:\n|\r\n?+)")
"""The end of a line and a blank line after it; possessive, so that a CRLF never counts as two line ends."""
_REACH = 2
"""So many bytes before a chunk tell whether it completes a block: the last one of a line end, and a CR."""
_usual = re.compile(rb"(?:event: ?(.*)\n)?data: ?(.*)\n\n").fullmatch
"""Matches the shapes of nearly all events; `.` stops at LF."""
_frame = partial(tuple.__new__, Frame)
"""Makes a Frame in half the time that `Frame._make` takes."""
_LINE = re.compile(rb".+")
_FIELD = re.compile(rb"^[^:\r\n]|[\r\n][^:\r\n]")
"""The first byte of a line that is neither blank nor a comment."""
_ENDED_BY_CR = (b"\r\r", b"\n\r")
"""A held block that ends so is whole: it was held for a LF that might have followed."""
_BOM = b"\xef\xbb\xbf"


class Part(bytes):
    """Some bytes of a block that is over the bound: not to be parsed, only to be passed on."""

    __slots__ = ()


class Blocks:
    r"""Cuts a stream into raw blocks, each the exact bytes up to and including its blank line.

    What `feed` has returned, plus `pending`, is always exactly what was fed; and the same bytes give the same blocks
    however they are split. A block of more than `bound` bytes comes as Parts instead, handed on from the moment it is
    known to be that long, and `oversize` counts it. At most `bound` bytes are held between two chunks.

    A caller that takes events out of what it passes on writes::

        blocks = Blocks(bound=64 * 1024)

        def feed(chunk: bytes) -> bytes:
            return b"".join(b for b in blocks.feed(chunk) if isinstance(b, Part) or not unwanted(parse_block(b)))

        def end() -> bytes:
            return blocks.pending

    Blank lines beyond the one that ends an event are blocks of their own or lead the next one. A block that ends in CR
    is held until the next byte shows whether a LF belongs to it.
    """

    __slots__ = ("_held", "_tail", "between", "bound", "oversize", "within_oversize")

    def __init__(self, bound: int) -> None:
        self._held = bytearray()
        self._tail = b""
        """The last bytes of the unfinished block, in which its end may have begun."""
        self.bound = bound
        self.between = True
        """True while no block is unfinished: the next byte begins one."""
        self.oversize = 0
        """How many blocks so far were over the bound."""
        self.within_oversize = False
        """True while the unfinished block is over the bound."""

    @property
    def pending(self) -> bytes:
        """What has not been handed on: the beginning of an unfinished block."""
        return bytes(self._held)

    @property
    def ripe(self) -> bytes:
        """A held block that is whole, but for a LF that may follow its last CR; nothing if there is none."""
        return self.pending if self._held.endswith(_ENDED_BY_CR) else b""

    def release(self) -> bytes:
        """Hand on what is held, so that nobody waits for it. A LF that follows comes as a block of its own."""
        held = self.pending
        self._held.clear()
        return held

    def feed(self, chunk: bytes) -> list[bytes]:
        """The blocks that this chunk completes, in order; of blocks over the bound, Parts."""
        if (
            self.between
            and 0 <= chunk.find(b"\n\n") == len(chunk) - 2 < self.bound - 1  # the usual chunk: one event
            and b"\r" not in chunk
        ):
            return [chunk]
        window = self._tail + chunk
        start, block_start = len(self._tail), 0
        blocks: list[bytes] = []
        for end in _block_ends(window):
            blocks.append(self._complete(window[start:end]))
            start = block_start = end
        if start < len(window):
            self._hold(window[start:], blocks)
        self._tail = window[max(block_start, len(window) - _REACH) :]
        self.between = not self._tail
        return blocks

    def _complete(self, piece: bytes) -> bytes:
        block = bytes(self._held) + piece
        self._held.clear()
        if self.within_oversize:
            self.within_oversize = False
            return Part(block)
        if len(block) > self.bound:
            self.oversize += 1
            return Part(block)
        return block

    def _hold(self, piece: bytes, blocks: list[bytes]) -> None:
        self._held += piece
        if len(self._held) > self.bound and not self.within_oversize:
            self.within_oversize = True
            self.oversize += 1
        if self.within_oversize:
            blocks.append(Part(self._held))
            self._held.clear()


def _block_ends(window: bytes) -> Iterator[int]:
    """Where blocks end. An end at the window's own end that is a CR is left out: its LF may be still to come."""
    if b"\r" not in window:
        at = window.find(b"\n\n")
        while at >= 0:
            yield at + 2
            at = window.find(b"\n\n", at + 2)
        return
    for match in _BLOCK_END.finditer(window):
        if match.end() < len(window) or window[-1:] == b"\n":
            yield match.end()


def parse_block(block: bytes) -> Frame | None:
    """The event in a raw block; None if it has no data line. Takes an unfinished block as well, as it stands.

    Multi-line data is joined with LF, one space after a colon is dropped, the last event name counts. A byte order mark
    is not looked for: it belongs to the stream.
    """
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    usual = _usual(block)
    if usual:
        return _frame(usual.groups(b""))
    return _parse_lines(block)


def _parse_lines(block: bytes) -> Frame | None:
    event = b""
    data: bytearray | None = None
    for line in _LINE.finditer(block):
        name, _, value = line[0].partition(b":")
        if name == b"data":
            if data is None:
                data = bytearray()
            else:
                data += b"\n"
            data += value.removeprefix(b" ")
        elif name == b"event":
            event = value.removeprefix(b" ")
    return None if data is None else Frame(event, bytes(data))


class ServerSentEvents:
    """The Framing of an event stream. Fulfils `framing.base.Framing`."""

    __slots__ = ("_blocks", "_started", "unterminated")

    corrupt = 0

    def __init__(self, bound: int = MAX_FRAME_BYTES) -> None:
        self._blocks = Blocks(bound)
        self._started = False
        self.unterminated = False

    @property
    def oversize(self) -> int:
        """How many events so far were over the bound and passed over."""
        return self._blocks.oversize

    def feed(self, chunk: bytes) -> list[Frame]:
        """The events that this chunk completes."""
        blocks = self._blocks
        if blocks.between and self._started and chunk.find(b"\r") < 0:  # three times as fast as `in` is for a byte
            usual = _usual(chunk)
            if usual is not None and len(chunk) <= blocks.bound:  # one event of the usual shape: nothing to cut
                return [_frame(usual.groups(b""))]
        return self._frames(blocks.feed(chunk))

    def end(self) -> list[Frame]:
        """The event that the stream's end cuts short or leaves without its blank line, as it stands.

        The standard drops it; real servers send their last event so (facts/stream_cases.md 8.12).
        """
        rest = self._blocks.pending
        within_event = _FIELD.search(rest) is not None and not rest.endswith(_ENDED_BY_CR)
        self.unterminated = within_event or self._blocks.within_oversize
        return self._frames([rest])

    def _frames(self, blocks: list[bytes]) -> list[Frame]:
        if blocks and not self._started:
            self._started = True
            if not isinstance(blocks[0], Part):
                blocks[0] = blocks[0].removeprefix(_BOM)
        return [frame for block in blocks if type(block) is bytes and (frame := parse_block(block)) is not None]
