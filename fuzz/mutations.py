"""What all fuzzers share: seeded mutations of good data, and the loop that runs cases.

A fuzzer is a function `case(random)` that makes its data from `random` alone and raises if the contract is broken. So a
case is known by its seed and number, and can be run again.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import count
from random import Random

Case = Callable[[Random], None]

VALUES = (
    b"null", b"true", b"{}", b"[]", b'""', b"0", b"-1", b"1.5", b"6.0", b'"7"', b"9007199254740993", b"9" * 400,
    b"9" * 5000, b"-0.0", b"1e999999", b"1e-999999", b"1e400", b"NaN", b"-Infinity", rb'"\ud800"', rb'"\u0000"',
    b'{"a":' * 500 + b"1" + b"}" * 500, b"[" * 5000 + b"]" * 5000,
)  # fmt: skip
"""JSON where something else was expected; not all parsers take all of it."""
TOKENS = (
    *VALUES,
    b"\n", b"\r", b"\r\n", b"\n\n", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"\xc3", b"\xed\xa0\x80",
    b"data:", b"data: ", b"event: ", b"id: 1\n", b": ping\n\n", b"data: [DONE]\n\n", b"data: null\n\n", b"data: []\n\n",
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"[" * 5000, b'{"a":' * 5000,
    rb"\ud800", rb"\udc00\ud800", rb"\u0000", rb"\u006d",
    b'"usage":', b'"usage":null,', b'"usage":{"prompt_tokens":5},', b'"cost":1e999999,', b'"error":{"message":[]},',
    b'"choices":[],',
)  # fmt: skip
"""What parsers stumble over."""


def mutated(seed: bytes, random: Random) -> bytes:
    """The seed after a few mutations, by byte, by token and by frame; now and then as it is."""
    for _ in range(random.choice((0, 1, 1, 2, 3, 8))):
        seed = random.choice(_MUTATIONS)(seed, random)
    return seed


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 2, 5, 20, 100, len(data) + 1)))


def _flip_bit(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _remove(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _splice(data: bytes, random: Random) -> bytes:
    """A piece from elsewhere in the data, put over or between its bytes."""
    start, end = _span(data, random)
    at, until = _span(data, random)
    return data[:at] + data[start:end] + data[random.choice((at, until)) :]


def _insert_token(data: bytes, random: Random) -> bytes:
    at, until = _span(data, random)
    return data[:at] + random.choice(TOKENS) + data[random.choice((at, at, until)) :]


def _replace_value(data: bytes, random: Random) -> bytes:
    """Another value behind some colon, often one near a usage."""
    start = random.randrange(len(data) + 1)
    if random.randrange(2):
        start = max(0, data.find(b'"usage"', start)) + random.randrange(200)
    at = data.find(b":", start) + 1
    ends = [end for end in (data.find(mark, at) for mark in b",}]\n") if end >= at]
    return data[:at] + random.choice(VALUES) + data[min(ends, default=len(data)) :]


def _reorder_frames(data: bytes, random: Random) -> bytes:
    """Frames removed, repeated or swapped."""
    frames = data.split(b"\n\n")
    at, to = random.randrange(len(frames)), random.randrange(len(frames))
    if random.randrange(2):
        frames[at], frames[to] = frames[to], frames[at]
    else:
        frames[at : at + random.randrange(2)] = frames[to : to + random.randrange(3)]
    return b"\n\n".join(frames)


def _other_line_ends(data: bytes, random: Random) -> bytes:
    return data.replace(b"\n", random.choice((b"\r\n", b"\r", b"\n\n")))


_MUTATIONS: Sequence[Callable[[bytes, Random], bytes]] = (
    _flip_bit, _truncate, _remove, _splice, _insert_token, _insert_token, _replace_value, _replace_value,
    _reorder_frames, _other_line_ends,
)  # fmt: skip


def run(case: Case, seed: int, numbers: range) -> None:
    """Runs cases of a seed; an exception says in a note which case raised it."""
    for number in numbers:
        try:
            case(Random(f"{seed}/{number}"))
        except Exception as error:
            error.add_note(f"in case {number} of seed {seed}: repeat it with --seed {seed} --only {number}")
            raise


def main(case: Case, contract: str | None) -> None:
    """The command line of a fuzzer."""
    parser = argparse.ArgumentParser(description=contract)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="CASE", help="run one case, to repeat a failure")
    asked = parser.parse_args()
    if asked.only is not None:
        run(case, asked.seed, range(asked.only, asked.only + 1))
        return
    end = time.monotonic() + asked.seconds
    for number in count():
        if time.monotonic() >= end:
            break
        run(case, asked.seed, range(number, number + 1))
    print(f"{number} cases of seed {asked.seed}: {contract}")
