from decimal import Decimal

import pytest

from headgate.dialects.base import Answer
from headgate.dialects.openai_audio import DIALECT
from headgate.dialects.openai_media import media_usage
from headgate.dialects.reading import Anomalies
from headgate.usage import Basis, Reading, Usage
from tests.dialects.playbook import data, document


def watched(body: bytes, content_type: str = "application/json", *, status: int = 200, ended: bool = True) -> Reading:
    meter = DIALECT.meter(Answer(status, content_type))
    for at in range(0, len(body), 7):
        meter.feed(body[at : at + 7])
    return meter.finish(ended=ended)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (
            {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
                "output_tokens": 45,
                "total_tokens": 59,
            },
            Usage(input_tokens=14, input_audio_tokens=10, output_tokens=45),
        ),
        ({"type": "duration", "seconds": 2.5}, Usage(billed_units={"seconds": Decimal("2.5")})),
        (
            {"prompt_tokens": 4, "completion_tokens": 27, "prompt_audio_seconds": 203},
            Usage(input_tokens=4, output_tokens=27, billed_units={"seconds": 203}),
        ),
        (
            {
                "input_tokens": 50,
                "input_tokens_details": {"image_tokens": 40, "text_tokens": 10, "cached_tokens": 8},
                "output_tokens": 50,
                "output_tokens_details": {"image_tokens": 50, "text_tokens": 0},
            },
            Usage(
                input_tokens=50,
                cache_read_tokens=8,
                input_image_tokens=40,
                output_tokens=50,
                output_image_tokens=50,
            ),
        ),
    ],
)
def test_usage_in_every_shape(told: dict[str, object], usage: Usage) -> None:
    reading = watched(document({"text": "Hi", "usage": told}))
    assert reading.usage == usage
    assert (reading.basis, reading.terminal_evidence) == (Basis.REPORTED, "document")
    assert not reading.anomalies


def test_a_stream_reports_at_its_end() -> None:
    done = {"type": "transcript.text.done", "text": "Hi", "usage": {"input_tokens": 3, "output_tokens": 2}}
    body = data({"type": "transcript.text.delta", "delta": "Hi"}, done)
    reading = watched(body, "text/event-stream; charset=utf-8")
    assert reading.usage == Usage(input_tokens=3, output_tokens=2)
    assert (reading.terminal_evidence, reading.delivered_bytes) == ("transcript.text.done", 2)


def test_an_error_in_a_stream_is_told() -> None:
    reading = watched(data({"type": "error", "error": {"message": "no"}}, b"[DONE]"), "text/event-stream")
    assert reading.in_stream_error == "no"
    assert not reading.anomalies


@pytest.mark.parametrize("content_type", ["audio/mpeg", "text/plain; charset=utf-8", "application/octet-stream"])
def test_a_body_with_nothing_to_read_is_unmetered_and_says_so(content_type: str) -> None:
    reading = watched(b"{1\n00:00:01 --> data: {}\n\n", content_type)
    assert (reading.usage, reading.basis) == (Usage(), Basis.NONE)
    assert reading.terminal_evidence == "end of body"
    assert reading.anomalies == {"unmetered": 1}


def test_a_body_that_breaks_off_is_not_whole() -> None:
    reading = watched(b"ID3", "audio/mpeg", ended=False)
    assert (reading.terminal_evidence, dict(reading.anomalies)) == (None, {})
    assert watched(b'{"text": "H', ended=False).anomalies == {"not_json": 1}


def test_an_answer_without_usage_is_unmetered_but_a_refusal_is_not() -> None:
    assert watched(document({"text": "Hi"})).anomalies == {"unmetered": 1}
    refused = watched(document({"error": {"message": "no", "code": "bad"}}), status=400)
    assert (refused.in_stream_error, dict(refused.anomalies)) == ("bad: no", {})


def test_cache_reads_by_modality() -> None:
    details = {"cached_tokens": 5, "cached_tokens_details": {"audio_tokens": 4, "image_tokens": 1}}
    for name in ("input_token_details", "input_tokens_details"):
        usage = media_usage({"input_tokens": 9, name: details}, Anomalies())
        assert (usage.cache_read_audio_tokens, usage.cache_read_image_tokens) == (4, 1)
