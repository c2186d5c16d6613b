from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.base import Answer
from headgate.dialects.bedrock_converse import DIALECT
from headgate.errors import (
    BadRequest,
    Busy,
    Forbidden,
    HeadgateError,
    PaymentRequired,
    RateLimited,
    TooLarge,
    UnknownModel,
    Unpriced,
    UpstreamCut,
    UpstreamTimeout,
)
from headgate.framing.document import Document
from headgate.framing.eventstream import EventStream
from headgate.usage import Basis, Reading, Usage
from tests.dialects.playbook import CUTS, cut_at, document
from tests.dialects.playbook import aws_event as event
from tests.dialects.playbook import aws_exception as exception

START = event("messageStart", {"role": "assistant", "p": "abc"})
TEXT = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hé"}, "p": "ab"})
BLOCK_STOP = event("contentBlockStop", {"contentBlockIndex": 0})
STOP = event("messageStop", {"stopReason": "end_turn"})
PLAIN = Answer(200)
USED = {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}
METADATA = event("metadata", {"usage": USED, "metrics": {"latencyMs": 9}, "serviceTier": {"type": "flex"}})
WHOLE = [START, TEXT, BLOCK_STOP, STOP, METADATA]


def said(*chunks: bytes, ended: bool = True, answer: Answer = PLAIN) -> Reading:
    meter = DIALECT.meter(answer)
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish(ended=ended)


def test_usage_comes_after_the_message_has_stopped_7_1() -> None:
    meter = DIALECT.meter(Answer(200, "application/vnd.amazon.eventstream"))
    seen = []
    for frame in WHOLE:
        meter.feed(frame)
        seen.append(meter.over)
    assert seen == [False, False, False, False, True]
    reading = meter.finish(ended=True)
    assert reading == Reading(
        usage=Usage(input_tokens=9, output_tokens=4),
        basis=Basis.REPORTED,
        finish_reason="end_turn",
        service_tier="flex",
        terminal_evidence="metadata",
        delivered_bytes=3,
        anomalies={},
    )


@given(CUTS)
def test_a_stream_reads_the_same_at_any_split(cuts: list[int]) -> None:
    assert said(*cut_at(b"".join(WHOLE), cuts)) == said(*WHOLE)


@pytest.mark.parametrize("chunks", [WHOLE[:4], [*WHOLE[:3], STOP[:20]]])
def test_without_metadata_nothing_is_reported(chunks: list[bytes]) -> None:
    reading = said(*chunks, ended=False)
    assert (reading.basis, reading.terminal_evidence, reading.usage.is_empty) == (Basis.ESTIMATED, None, True)
    assert reading.estimate is not None
    assert reading.estimate.output_tokens == 1


def test_truncation_and_damage_are_told_7_6_7_8() -> None:
    assert said(*WHOLE[:3], STOP[:20]).anomalies == {"unterminated_frame": 1}
    damaged = TEXT[:-1] + bytes([TEXT[-1] ^ 1])
    reading = said(START, damaged, *WHOLE[2:])
    assert reading.anomalies == {"corrupt_frame": 1}
    assert reading.usage == Usage(input_tokens=9, output_tokens=4)
    assert said(b"\0\xff\xff\xff" + START[4:], *WHOLE[1:]).anomalies == {"corrupt_frame": 1}


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (exception("throttlingException", {"message": "Slow down"}), "throttlingException: Slow down"),
        (exception("modelStreamErrorException", {"originalStatusCode": 500}), "modelStreamErrorException"),
        (exception("validationException", b"not json"), "validationException: not json"),
        (exception("x", b"\xff"), "x: \ufffd"),
    ],
)
def test_exceptions_within_a_stream_7_5(frame: bytes, told: str) -> None:
    reading = said(START, TEXT, frame)
    assert reading.in_stream_error == told
    assert reading.terminal_evidence is None
    assert reading.basis is Basis.ESTIMATED


@pytest.mark.parametrize(
    ("usage", "read_as", "anomalies"),
    [
        # beside the input: recordings of Claude and Nova
        (
            {"inputTokens": 3, "outputTokens": 121, "totalTokens": 2072, "cacheReadInputTokens": 1712,
             "cacheReadInputTokenCount": 1712, "cacheWriteInputTokens": 236, "cacheWriteInputTokenCount": 236,
             "cacheDetails": [{"ttl": "5m", "inputTokens": 200}, {"ttl": "1h", "inputTokens": 36}]},
            Usage(input_tokens=1951, cache_read_tokens=1712, cache_write_tokens=236,
                  cache_write_tokens_by_ttl={"5m": 200, "1h": 36}, output_tokens=121),
            {},
        ),
        # 7.3, with one name and without a total
        (
            {"inputTokens": 4, "cacheReadInputTokens": 832, "outputTokens": 1490},
            Usage(input_tokens=836, cache_read_tokens=832, output_tokens=1490),
            {},
        ),
        # the total shows that the cached tokens are within the input
        (
            {"inputTokens": 5000, "cacheWriteInputTokens": 4993, "outputTokens": 19, "totalTokens": 5019},
            Usage(input_tokens=5000, cache_write_tokens=4993, output_tokens=19),
            {"input_includes_cache": 1},
        ),
        # 7.4: the total agrees with a sum that is likely to be wrong; it is the provider's word
        (
            {"inputTokens": 4995, "cacheWriteInputTokens": 4993, "outputTokens": 19, "totalTokens": 10007},
            Usage(input_tokens=9988, cache_write_tokens=4993, output_tokens=19),
            {},
        ),
        (
            {"inputTokens": 5, "cacheReadInputTokens": 3, "outputTokens": 1, "totalTokens": 77},
            Usage(input_tokens=8, cache_read_tokens=3, output_tokens=1),
            {"total_mismatch": 1},
        ),
        (
            {"inputTokens": 5, "outputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": 2}, None, {"ttl": 3}]},
            Usage(input_tokens=7, cache_write_tokens=2, cache_write_tokens_by_ttl={"1h": 2}, output_tokens=1),
            {},
        ),
        (
            {"inputTokens": 5, "outputTokens": 1, "cacheWriteInputTokens": 9, "cacheDetails": [
                {"ttl": "1h", "inputTokens": 2}]},
            Usage(input_tokens=14, cache_write_tokens=9, output_tokens=1),
            {"cache_write_split_mismatch": 1},
        ),
        ({"inputTokens": -5, "outputTokens": 1}, Usage(output_tokens=1), {"not_a_count.inputTokens": 1}),
        ({"inputTokens": 6.0, "outputTokens": "7"}, Usage(input_tokens=6, output_tokens=7), {}),
        ({"cacheDetails": 7}, Usage(), {}),
    ],
)  # fmt: skip
def test_usage_in_every_shape(usage: dict[str, Any], read_as: Usage, anomalies: dict[str, int]) -> None:
    reading = said(event("metadata", {"usage": usage}))
    assert (reading.usage, reading.anomalies) == (read_as, anomalies)
    assert said(document({"usage": usage})).usage == read_as


@pytest.mark.parametrize(
    ("block", "delivered"),
    [
        ({"text": "four"}, 4),
        ({"reasoningContent": {"text": "héy"}}, 4),
        ({"reasoningContent": {"reasoningText": {"text": "hey", "signature": "xyz"}}}, 3),
        ({"reasoningContent": {"redactedContent": "eHl6"}}, 0),
        ({"toolUse": {"toolUseId": "t1", "name": "look"}}, 4),
        ({"toolUse": {"input": '{"a":1}'}}, 7),
        ({"toolUse": {"name": "look", "input": {"a": 1}}}, 12),
        ({"toolUse": {"name": "look", "input": {}}}, 4),
        ({"toolResult": [{"json": {"stdOut": "x"}}]}, 0),
    ],
)
def test_delivered_bytes_are_what_a_model_generated(block: dict[str, Any], delivered: int) -> None:
    assert said(event("contentBlockDelta", {"delta": block})).delivered_bytes == delivered
    assert said(event("contentBlockStart", {"start": block})).delivered_bytes == delivered
    answer = {"output": {"message": {"role": "assistant", "content": [block]}}, "stopReason": "end_turn"}
    assert said(document(answer)).delivered_bytes == delivered


def test_a_prompt_router_names_the_model_that_served() -> None:
    trace = {"trace": {"promptRouter": {"invokedModelId": "amazon.nova-lite-v1:0"}}, "usage": USED}
    assert said(event("metadata", trace)).served_model == "amazon.nova-lite-v1:0"


def test_what_the_head_tells() -> None:
    headers = [(b"x-amzn-requestid", b"r-1"), (b"x-amzn-errortype", b"ThrottlingException:http://docs/")]
    assert said(*WHOLE, answer=Answer(200, headers=headers)).response_id == "r-1"
    refused = said(document({"message": "Too many requests"}), answer=Answer(429, headers=headers))
    assert refused.in_stream_error == "ThrottlingException: Too many requests"


def test_what_is_not_json_is_noted() -> None:
    assert said(event("metadata", b"\xff{")).anomalies == {"not_json": 1}
    cut = said(b'{"output": {"message": {"content": [{"text": "abc')
    assert (cut.anomalies, cut.terminal_evidence, cut.delivered_bytes) == ({"not_json": 1}, None, 49)


@pytest.mark.parametrize("told_type", ["", "application/json", "application/vnd.amazon.eventstream"])
def test_the_framing_goes_by_the_first_byte(told_type: str) -> None:
    answer = Answer(200, told_type)
    assert isinstance(DIALECT.framing(START, answer), EventStream)
    assert isinstance(DIALECT.framing(b'\n {"output":', answer), Document)
    assert DIALECT.framing(b"", answer) is None


@pytest.mark.parametrize(
    ("error", "kind", "in_stream"),
    [
        (BadRequest("no"), "ValidationException", "internalServerException"),
        (PaymentRequired("no"), "ServiceQuotaExceededException", "internalServerException"),
        (Forbidden("no"), "AccessDeniedException", "internalServerException"),
        (Unpriced("no"), "AccessDeniedException", "internalServerException"),
        (UnknownModel("no"), "ResourceNotFoundException", "internalServerException"),
        (RateLimited("no"), "ThrottlingException", "internalServerException"),
        (TooLarge("no"), "ValidationException", "internalServerException"),
        (Busy("no"), "ServiceUnavailableException", "serviceUnavailableException"),
        (UpstreamTimeout("no"), "ModelTimeoutException", "modelTimeoutException"),
        (UpstreamCut("no"), "InternalServerException", "internalServerException"),
    ],
)
def test_errors_have_awss_shape(error: HeadgateError, kind: str, in_stream: str) -> None:
    body = DIALECT.error_body(error, "x1")
    assert body == document({"message": "no", "__type": kind, "exchangeId": "x1"})
    assert said(START, DIALECT.error_frame(error, "x1")).in_stream_error == f"{in_stream}: no"


@given(st.lists(st.sampled_from([*WHOLE, exception("e", {"message": 3}), b"\0\0", b"{"])))
def test_any_order_of_frames_is_read(frames: list[bytes]) -> None:
    assert said(*frames) == said(b"".join(frames))
