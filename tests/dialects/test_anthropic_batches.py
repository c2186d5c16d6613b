import json
from typing import Any

from headgate.dialects.anthropic_batches import DIALECT
from headgate.dialects.base import Answer
from headgate.testing.splits import every_split
from headgate.usage import Basis, Leg, Reading, Usage

USAGE = {"input_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 2}


def line(number: int, result: dict[str, Any]) -> bytes:
    return json.dumps({"custom_id": f"r{number}", "result": result}).encode() + b"\n"


def message(model: str) -> dict[str, Any]:
    return {"type": "succeeded", "message": {"id": "msg_1", "type": "message", "model": model, "usage": USAGE}}


RESULTS = (
    line(1, message("claude-haiku-4-5"))
    + line(2, {"type": "errored", "error": {"type": "invalid_request_error"}})
    + line(3, message("claude-haiku-4-5"))
    + line(4, {"type": "expired"})
    + line(5, message("claude-opus-4-5"))
)


def read(*chunks: bytes, content_type: str = "application/x-jsonl") -> Reading:
    meter = DIALECT.meter(Answer(200, content_type))
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish(ended=True)


def test_results_are_summed_by_model_at_every_split() -> None:
    legs = (
        Leg("batch", "claude-haiku-4-5",
            Usage(input_tokens=14, cache_read_tokens=8, cache_write_tokens=0, output_tokens=4)),
        Leg("batch", "claude-opus-4-5",
            Usage(input_tokens=7, cache_read_tokens=4, cache_write_tokens=0, output_tokens=2)),
    )  # fmt: skip
    whole = read(RESULTS)
    assert (whole.usage, whole.basis, whole.response_id) == (Usage(legs=legs), Basis.REPORTED, None)
    assert (whole.service_tier, whole.terms) == ("batch", {"processing": "batch"})
    assert all(read(*chunks) == whole for chunks in every_split(RESULTS))


def test_what_the_totals_leave_out_is_summed_beside_them() -> None:
    row = {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 5, "output_tokens": 1}
    told = message("claude-haiku-4-5")
    told["message"]["usage"] = USAGE | {"iterations": [row]}
    legs = read(line(1, told) * 100).usage.legs
    assert [(leg.kind, leg.model, leg.usage.output_tokens) for leg in legs] == [
        ("batch", "claude-haiku-4-5", 200), ("advisor_message", "claude-opus-4-5", 100),
    ]  # fmt: skip


def test_memory_is_bounded_and_nothing_is_lost() -> None:
    reading = read(b"".join(line(n, message(f"model-{n}")) for n in range(1000)))
    assert len(reading.usage.legs) == 257
    assert sum(leg.usage.output_tokens or 0 for leg in reading.usage.legs) == 2000
    assert reading.anomalies["too_many_models"] == 744


def test_a_batch_is_known_by_its_id() -> None:
    batch = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress", "results_url": None}
    assert read(json.dumps(batch).encode(), content_type="application/json").response_id == "msgbatch_1"


def test_the_ask_names_no_model() -> None:
    ask = DIALECT.read_ask(b'{"requests":[{"params":{"model":"m"}}]}', [])
    assert (ask.model, ask.unbounded) == (None, "batch")
