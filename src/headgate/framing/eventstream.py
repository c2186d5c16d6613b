"""AWS event streams: length-framed binary messages, each under two checksums (facts/wire.md section 6).

A message, its numbers big-endian::

    total length, 4 bytes | headers' length, 4 | CRC-32 of these 8, 4 | headers | payload | CRC-32 of all before, 4

A header is the name's length in one byte, the name, the value's type in one byte, the value.
"""

from collections.abc import Mapping
from struct import Struct
from zlib import crc32

from headgate.framing.base import MAX_FRAME_BYTES, Frame

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_AROUND = _PRELUDE.size + _CRC.size
"""Bytes of a message that are neither headers nor payload."""

_BYTES, _STRING = 6, 7
"""The two header types whose values carry their length, in two bytes."""
_WIDTHS = (0, 0, 1, 2, 4, 8, None, None, 8, 16)
"""Bytes of a header's value by its type: true, false, four sizes of integer, bytes, string, timestamp, UUID."""


class EventStream:
    """The Framing of an AWS event stream. Fulfils `framing.base.Framing`.

    A frame's event is the message's `:event-type`, such as b"messageStart". What a provider says in its place when a
    stream fails has a prefix: b"exception:" before the `:exception-type`, b"error:" before the `:error-code`; an error
    without payload gives its `:error-message` as data.

    A message whose own checksum or headers are wrong is dropped, and the next one found by its length. A length that is
    impossible or fails its checksum tells nothing of where the next message begins: the rest of the stream is given up.
    """

    __slots__ = ("_bound", "_held", "_lost", "_skip", "_wanted", "corrupt", "oversize", "unterminated")

    def __init__(self, bound: int = MAX_FRAME_BYTES) -> None:
        self._bound = bound
        self._held = bytearray()
        self._wanted = _PRELUDE.size
        """So many bytes are needed to go on: those of a prelude, or else of the whole message that one announced."""
        self._skip = 0
        """Bytes still to come of a message over the bound."""
        self._lost = False
        self.corrupt = 0
        """How many messages so far were dropped because a checksum or the headers were wrong; the rest of a stream
        that was given up counts as one."""
        self.oversize = 0
        self.unterminated = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that this chunk completes, in order. Never raises."""
        if self._lost:
            return []
        if self._skip:
            passed = min(self._skip, len(chunk))
            self._skip -= passed
            chunk = chunk[passed:]
        if len(self._held) + len(chunk) < self._wanted:
            self._held += chunk
            return []
        data = bytes(self._held) + chunk
        self._held.clear()
        return self._cut(data)

    def end(self) -> list[Frame]:
        """No frame: half a message has no checksum that it could be trusted by."""
        self.unterminated = bool(self._held or self._skip)
        return []

    def _cut(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        at = 0
        while len(data) - at >= self._wanted:
            if self._wanted == _PRELUDE.size:
                at = self._read_prelude(data, at)
                continue
            end = at + self._wanted
            frame = _frame(data, at, end)
            if frame is None:
                self.corrupt += 1
            else:
                frames.append(frame)
            at, self._wanted = end, _PRELUDE.size
        self._held += data[at:]
        return frames

    def _read_prelude(self, data: bytes, at: int) -> int:
        """Where to read on: at the message itself, behind it if it is over the bound, or nowhere at all."""
        total: int
        total, headers, crc = _PRELUDE.unpack_from(data, at)
        if crc32(data[at : at + 8]) != crc or total < headers + _AROUND:
            self._lost = True
            self.corrupt += 1
            return len(data)
        if total <= self._bound:
            self._wanted = total
            return at
        self.oversize += 1
        self._skip = max(0, at + total - len(data))
        return min(at + total, len(data))


def _frame(data: bytes, start: int, end: int) -> Frame | None:
    """The frame of the message that stands there, its prelude known to be sound; None if the rest of it is not."""
    end -= _CRC.size
    if _CRC.unpack_from(data, end)[0] != crc32(memoryview(data)[start:end]):
        return None
    payload_start = start + _PRELUDE.size + _PRELUDE.unpack_from(data, start)[1]
    try:
        headers = _strings(data[start + _PRELUDE.size : payload_start])
    except IndexError:
        return None
    payload = data[payload_start:end]
    kind = headers.get(b":message-type")
    if kind == b"exception":
        return Frame(b"exception:" + headers.get(b":exception-type", b""), payload)
    if kind == b"error":
        event = b"error:" + headers.get(b":error-code", b"")
        return Frame(event, payload or headers.get(b":error-message", b""))
    return Frame(headers.get(b":event-type", b""), payload)


def _strings(headers: bytes) -> dict[bytes, bytes]:
    """The headers that hold a string, by name; of several with one name the last. Raises IndexError if malformed."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(headers):
        name_end = at + 1 + headers[at]
        name = headers[at + 1 : name_end]
        kind = headers[name_end]
        at = name_end + 1
        width = _WIDTHS[kind]
        if width is None:
            width = headers[at] << 8 | headers[at + 1]
            at += 2
        if kind == _STRING:
            found[name] = headers[at : at + width]
        at += width
    if at > len(headers):
        raise IndexError("the last value is cut short")
    return found


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A message with these headers, all of them strings.

    Raises OverflowError for a name of more than 255 bytes or a value of more than 65535.
    """
    block = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = _PRELUDE.pack(_AROUND + len(block) + len(payload), len(block), 0)[:8]
    message = b"".join((prelude, _CRC.pack(crc32(prelude)), block, payload))
    return message + _CRC.pack(crc32(message))


def _header(name: bytes, value: bytes) -> bytes:
    return b"".join((len(name).to_bytes(1), name, _STRING.to_bytes(1), len(value).to_bytes(2), value))
