"""Any request body is read as an ask that can be bounded, or refused as a bad request, never an exception."""

import sys
from functools import cache
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

from fuzz.mutations import main, mutated
from headgate.dialects.base import Dialect
from headgate.dialects.bound import ModelLimits, worst_case
from headgate.dialects.reading import MAX_COUNT
from headgate.dialects.registry import all_dialects
from headgate.errors import BadRequest
from headgate.testing.corpus import load

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "corpus.tar.xz"
LONGEST = 5_000
"""Bytes of a recorded request that is taken as a seed."""
OWN_SEEDS = (
    b'{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://a"}}]}]}',
    b'{"model":"m","messages":[{"content":[{"type":"image_url","image_url":{"url":"data:,"}},{"audio":{"id":"a"}}]}]}',
    b'{"model":"m","input":[{"type":"input_file","file_id":"f"}],"tools":[{"type":"web_search"}],"conversation":{}}',
    b'{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA"}}]}],"generationConfig":{}}',
    b'{"messages":[{"content":[{"document":{"source":{"s3Location":{}}}}]}],"inferenceConfig":{"maxTokens":5}}',
    b'{"model":"m","thinking":{"budget_tokens":5},"reasoning":{"max_tokens":5},"n":2,"metadata":{"user_id":"u"}}',
)


@cache
def seeds(dialect: Dialect) -> tuple[bytes, ...]:
    """The recorded requests of a dialect, and of no dialect in particular."""
    names = {dialect.name, *dialect.aliases}
    requests = [case.request for case in load(CORPUS) if case.wire_dialect in names and case.request is not None]
    return OWN_SEEDS + tuple(request for request in requests if len(request) <= LONGEST)


def case(random: Random) -> None:
    """One body, read by one dialect; now and then it is another dialect's."""
    dialect = random.choice(all_dialects())
    origin = dialect if random.randrange(5) else random.choice(all_dialects())
    body = mutated(random.choice(seeds(origin)), random)
    try:
        ask = dialect.read_ask(body, ((b"content-type", b"application/json"),))
    except BadRequest:
        return
    assert ask.input_bytes == len(body), (dialect.name, body)
    bound = worst_case(ask, ModelLimits())
    assert 0 <= bound.input_tokens <= MAX_COUNT, (dialect.name, body)
    assert 0 <= bound.output_tokens <= MAX_COUNT, (dialect.name, body)


if __name__ == "__main__":
    main(case, __doc__)
