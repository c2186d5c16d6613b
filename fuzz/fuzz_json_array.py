"""Any bytes at any split give the same elements, never an exception; of valid JSON, those that a parser sees."""

import json
import sys
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

from fuzz.mutations import main, mutated
from headgate.framing.base import Frame
from headgate.framing.json_array import JsonArray
from headgate.testing.splits import random_split

SEEDS = (
    b'[{\n  "candidates": [{"content": {"parts": [{"text": "a"}]}}]\n}\n,\n{"usageMetadata": {"totalTokenCount": 7}}]',
    rb'[{"a":"\"}]","\\":[[],{}]},{"b":"\\"},"c\u0022d",null,-1.5e+3,[1,[2]]]',
    b'{"error": {"code": 429, "details": [{"x": "[{"}]}}\n',
    b'\xef\xbb\xbf\n[{"text":"' + b"x" * 300 + b'"},{}]',
)


def case(random: Random) -> None:
    """One body at two splits, under a bound that it may pass."""
    body = mutated(random.choice(SEEDS), random)
    bound = random.choice((0, 7, 40, 100, 1 << 20))
    whole = _read([body], bound)
    split = random_split(body, random)
    assert _read(split, bound) == whole, (body, split, bound)
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return
    seen = [json.loads(frame.data) for frame in _read(split, len(body))[0]]
    assert repr(seen) == repr(value if isinstance(value, list) else [value]), (
        body
    )  # as text: NaN is not equal to itself


def _read(chunks: list[bytes], bound: int) -> tuple[list[Frame], int, bool]:
    array = JsonArray(bound)
    frames = [frame for chunk in chunks for frame in array.feed(chunk)] + array.end()
    assert all(len(frame.data) <= bound for frame in frames)
    return frames, array.oversize, array.unterminated


if __name__ == "__main__":
    main(case, __doc__)
