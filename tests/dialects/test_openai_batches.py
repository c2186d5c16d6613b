import json
from typing import Any

import pytest

from headgate.dialects.base import Answer, Metering
from headgate.dialects.openai_batches import DIALECT
from headgate.testing.splits import every_split
from headgate.usage import Basis, Leg, Reading, Usage

CHAT = {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}


def line(number: int, model: str | None, usage: Any, status: int = 200) -> bytes:
    body = {"id": f"c{number}", "model": model, "usage": usage}
    return json.dumps({"id": f"r{number}", "response": {"status_code": status, "body": body}, "error": None}).encode()


def read(*chunks: bytes, content_type: str = "application/octet-stream", ended: bool = True) -> Reading:
    meter = DIALECT.meter(Answer(200, content_type))
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish(ended=ended)


RESULTS = b"\n".join([
    line(1, "gpt-4o-mini", CHAT),
    line(2, "gpt-4o-mini", CHAT),
    line(3, "gpt-5", {"input_tokens": 5, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 6}}),
    line(4, "gpt-4o-mini", None, status=400),
    b'{"id":"r5","response":null,"error":{"code":"batch_expired"}}',
    line(6, "text-embedding-3-small", {"prompt_tokens": 9, "total_tokens": 9}),
])  # fmt: skip
LEGS = (
    Leg("batch", "gpt-4o-mini", Usage(input_tokens=16, cache_read_tokens=8, output_tokens=4)),
    Leg("batch", "gpt-5", Usage(input_tokens=5, output_tokens=7, reasoning_tokens=6)),
    Leg("batch", "text-embedding-3-small", Usage(input_tokens=9)),
)


def test_results_are_summed_by_model() -> None:
    reading = read(RESULTS)
    assert (reading.usage, reading.basis) == (Usage(legs=LEGS), Basis.REPORTED)
    assert (reading.service_tier, reading.terminal_evidence, reading.response_id) == ("batch", "results", None)


def test_at_every_split() -> None:
    whole = read(RESULTS)
    assert all(read(*chunks) == whole for chunks in every_split(RESULTS))


def test_results_that_break_off_are_partial() -> None:
    assert read(RESULTS, ended=False).basis is Basis.PARTIAL


@pytest.mark.parametrize(
    ("batch", "named"),
    [
        ({"id": "batch_1", "object": "batch", "output_file_id": None}, "batch_1"),
        ({"id": "batch_1", "object": "batch", "output_file_id": "file-7"}, "file-7"),
    ],
)
def test_a_batch_is_known_by_what_its_results_will_be_fetched_by(batch: dict[str, Any], named: str) -> None:
    for text in (json.dumps(batch), json.dumps(batch, indent=2)):
        reading = read(text.encode(), content_type="application/json")
        assert (reading.response_id, reading.basis) == (named, Basis.NONE)


@pytest.mark.parametrize(
    "body", [b"\x89PNG\r\n\x1a\n", b'{"messages":[]}\n{"id":"x","messages":[]}\n', b"", b"plain text", b'{"id":1}\n{']
)
def test_other_files_are_no_results(body: bytes) -> None:
    reading = read(body)
    assert (reading.usage, reading.basis, reading.response_id) == (Usage(), Basis.NONE, None)


def test_what_each_operation_means_for_the_books() -> None:
    metering = {operation.name: operation.metering for operation in DIALECT.operations}
    assert metering == {
        "create": Metering.DEFERRED, "list": Metering.FREE, "retrieve": Metering.DEFERRED, "cancel": Metering.FREE,
        "results": Metering.REPEATED,
    }  # fmt: skip


def test_the_ask_names_no_model() -> None:
    assert DIALECT.read_ask(b'{"input_file_id":"file-1"}', []).model is None
