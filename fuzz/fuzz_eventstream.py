"""Any bytes at any split give the same frames or none, never an exception."""

import struct
import sys
from pathlib import Path
from random import Random
from zlib import crc32

sys.path.append(str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

from fuzz.mutations import main, mutated
from headgate.framing.base import Frame
from headgate.framing.eventstream import EventStream, encode
from headgate.testing.splits import random_split

_EVENT = {":event-type": "metadata", ":content-type": "application/json", ":message-type": "event"}
MESSAGES = (
    encode(_EVENT, b'{"usage":{"inputTokens":3,"outputTokens":4}}'),
    encode({**_EVENT, ":event-type": "chunk"}, b'{"bytes":"' + b"eA==" * 80 + b'"}'),
    encode({":message-type": "exception", ":exception-type": "throttlingException"}, b'{"message":"slow"}'),
    encode({":message-type": "error", ":error-code": "500", ":error-message": "no"}, b""),
)


def case(random: Random) -> None:
    """One stream at two splits, under a bound that it may pass; often with its checksums made right again."""
    body = b"".join(random.choice(MESSAGES) for _ in range(random.randrange(1, 5)))
    if random.randrange(2):
        body = _edited(body, random)
    body = mutated(body, random)
    if random.randrange(2):
        body = _repaired(body)
    bound = random.choice((0, 100, 300, 1 << 20))
    whole = _read([body], bound)
    split = random_split(body, random)
    assert _read(split, bound) == whole, (body, split, bound)


def _edited(body: bytes, random: Random) -> bytes:
    """Some byte, within the lengths and headers as a rule, set to another value."""
    at = random.randrange(min(len(body), 100))
    return body[:at] + bytes([random.choice((0, 1, 6, 7, 10, 255, random.randrange(256)))]) + body[at + 1 :]


def _repaired(body: bytes) -> bytes:
    """The stream with right checksums wherever its lengths say that they stand, so that what they guard is read."""
    fixed = bytearray(body)
    at = 0
    while at + 16 <= len(fixed):
        fixed[at + 8 : at + 12] = struct.pack(">I", crc32(fixed[at : at + 8]))
        end = at + max(16, int.from_bytes(fixed[at : at + 4]))
        if end <= len(fixed):
            fixed[end - 4 : end] = struct.pack(">I", crc32(fixed[at : end - 4]))
        at = end
    return bytes(fixed)


def _read(chunks: list[bytes], bound: int) -> tuple[list[Frame], int, int, bool]:
    stream = EventStream(bound)
    frames = [frame for chunk in chunks for frame in stream.feed(chunk)] + stream.end()
    assert sum(len(frame.data) for frame in frames) <= sum(map(len, chunks))
    assert all(len(frame.data) <= bound for frame in frames)
    return frames, stream.corrupt, stream.oversize, stream.unterminated


if __name__ == "__main__":
    main(case, __doc__)
