"""Any bytes at any split give every dialect's meter the same reading, never an exception."""

import json
import sys
from functools import cache
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

from fuzz.mutations import main, mutated
from headgate.dialects.base import Answer, Dialect
from headgate.dialects.registry import all_dialects
from headgate.testing.corpus import load
from headgate.testing.splits import random_split
from headgate.usage import Reading

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "corpus.tar.xz"
LONGEST = 20_000
"""Bytes of a recording that is taken as a seed: the long ones hold more of the same."""
OWN_SEEDS = (
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"cost":0.1,"is_byok":true}}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":9,"iterations":[{"type":"x"}]}}\n\n',
    b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":1}}}\n\n',
    b'data: {"event_type":"interaction.completed","interaction":{"usage":{"total_input_tokens":1}}}\n\n',
    b'{"error":{"message":"no","type":"x","code":null}}',
    b"\n\n\xef\xbb\xbf {}",
)


@cache
def seeds(dialect: Dialect) -> tuple[bytes, ...]:
    """The recordings of a dialect, and of no dialect in particular."""
    names = {dialect.name, *dialect.aliases}
    return OWN_SEEDS + tuple(c.body for c in load(CORPUS) if c.wire_dialect in names and len(c.body) <= LONGEST)


def case(random: Random) -> None:
    """One body at two splits, read by one dialect; now and then it is another dialect's."""
    dialect = random.choice(all_dialects())
    origin = dialect if random.randrange(5) else random.choice(all_dialects())
    body = mutated(random.choice(seeds(origin)), random)
    answer = Answer(status=random.choice((200, 200, 200, 400, 500)))
    ended = bool(random.randrange(2))
    whole = _read(dialect, answer, [body], ended=ended)
    split = random_split(body, random)
    assert _read(dialect, answer, split, ended=ended) == whole, (dialect.name, split)
    json.dumps(whole.as_json(), allow_nan=False).encode()


def _read(dialect: Dialect, answer: Answer, chunks: list[bytes], *, ended: bool) -> Reading:
    meter = dialect.meter(answer)
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish(ended=ended)


if __name__ == "__main__":
    main(case, __doc__)
