import pytest

from headgate.dialects.base import Answer
from headgate.dialects.batch_results import added, framing_of_results
from headgate.framing.document import Document
from headgate.framing.ndjson import JsonLines
from headgate.framing.opaque import Opaque
from headgate.usage import Leg, Usage


def test_sums_keep_what_is_unknown() -> None:
    leg = Leg("compaction", None, Usage(input_tokens=1))
    one = Usage(input_tokens=3, output_tokens=None, tool_calls={"web_search": 1}, legs=(leg,))
    other = Usage(input_tokens=4, cache_read_tokens=0, tool_calls={"web_search": 1, "web_fetch": 2})
    assert added(one, other) == Usage(
        input_tokens=7, cache_read_tokens=0, tool_calls={"web_search": 2, "web_fetch": 2}, legs=(leg,)
    )


@pytest.mark.parametrize(
    ("head", "content_type", "framing"),
    [
        (b'{"custom_id"', "application/octet-stream", JsonLines),
        (b'\n{"custom_id"', "application/x-jsonl", JsonLines),
        (b'{"id": "batch_1"', "application/json", Document),
        (b"\x89PNG", "image/png", Opaque),
    ],
)
def test_what_the_body_is(head: bytes, content_type: str, framing: type) -> None:
    assert isinstance(framing_of_results(head, Answer(200, content_type)), framing)


def test_white_space_decides_nothing() -> None:
    assert framing_of_results(b" \n", Answer(200, "application/x-jsonl")) is None
