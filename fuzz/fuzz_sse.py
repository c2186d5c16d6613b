"""Any bytes at any split give the same frames or none, never an exception, and no byte is lost."""

import sys
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

from fuzz.mutations import main, mutated
from headgate.framing.base import Frame
from headgate.framing.sse import Blocks, Part, ServerSentEvents
from headgate.testing.splits import random_split

SEEDS = (
    b'data: {"id":"x","choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n',
    b'event: message_start\ndata: {"type":"message_start"}\n\nevent: ping\ndata: {"type": "ping"}\n\n',
    b"\xef\xbb\xbf: comment\r\n\r\nid: 7\r\ndata: a\r\ndata:b\r\n\r\nretry: 10\r\ndata\r\n\r\n",
    b"data: a\rdata: b\r\rdata: c\n\r\ndata: d\r\n\ndata: no end",
    b"data: " + b"x" * 300 + b"\n\ndata: short\n\n",
)


def case(random: Random) -> None:
    """One stream at two splits, under a bound that it may pass."""
    body = mutated(random.choice(SEEDS), random)
    bound = random.choice((0, 7, 40, 100, 1 << 20))
    whole = _read([body], bound)
    split = random_split(body, random)
    assert _read(split, bound) == whole, (body, split, bound)


def _read(chunks: list[bytes], bound: int) -> tuple[list[Frame], int, bool, list[bytes]]:
    events, blocks = ServerSentEvents(bound), Blocks(bound)
    frames = [frame for chunk in chunks for frame in events.feed(chunk)] + events.end()
    passed = [block for chunk in chunks for block in blocks.feed(chunk)]
    assert b"".join(passed) + blocks.pending == b"".join(chunks)
    assert all(len(block) <= bound for block in passed if not isinstance(block, Part))
    assert len(blocks.pending) <= bound
    whole = [block for block in passed if not isinstance(block, Part)]
    return frames, events.oversize, events.unterminated, whole


if __name__ == "__main__":
    main(case, __doc__)
