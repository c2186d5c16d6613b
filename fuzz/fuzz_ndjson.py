"""Any bytes at any split are their lines within the bound, never an exception."""

import sys
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

from fuzz.mutations import main, mutated
from headgate.framing.base import Frame
from headgate.framing.ndjson import JsonLines
from headgate.testing.splits import random_split

SEEDS = (
    b'{"message":{"content":"hi"},"done":false}\n{"done":true,"prompt_eval_count":3,"eval_count":4}\n',
    b'{"a":1}\r\n\r\n{"b":2}\r\n{"error":"no line end"}',
    b"\xef\xbb\xbf{}\n \n[]\n" + b"x" * 300 + b"\n{}\n",
)


def case(random: Random) -> None:
    """One stream at a split, under a bound that it may pass."""
    body = mutated(random.choice(SEEDS), random)
    bound = random.choice((0, 7, 40, 100, 1 << 20))
    split = random_split(body, random)
    assert _read(split, bound) == _expected(body, bound), (body, split, bound)


def _expected(body: bytes, bound: int) -> tuple[list[Frame], int, bool]:
    lines = body.split(b"\n")
    kept = [b"" if len(line) > bound else line for line in lines]
    kept[0] = kept[0].removeprefix(b"\xef\xbb\xbf")
    texts = [line.strip(b" \t\r") for line in kept]
    oversize = sum(len(line) > bound for line in lines)
    return [Frame(b"", text) for text in texts if text], oversize, bool(texts[-1]) or len(lines[-1]) > bound


def _read(chunks: list[bytes], bound: int) -> tuple[list[Frame], int, bool]:
    lines = JsonLines(bound)
    frames = [frame for chunk in chunks for frame in lines.feed(chunk)] + lines.end()
    return frames, lines.oversize, lines.unterminated


if __name__ == "__main__":
    main(case, __doc__)
