import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import fields

from headgate.usage import Basis, Estimate, Leg, Reading, Usage, legs_within

USAGE_FIELDS = {
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_tokens_by_ttl", "input_audio_tokens",
    "input_image_tokens", "output_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens",
    "tool_calls", "billed_units", "reported_cost_nanos", "legs",
}  # fmt: skip
WHERE_TOLD = {"cache_read_audio_tokens", "cache_read_image_tokens"}
READING_FIELDS = {
    "usage", "basis", "estimate", "served_model", "response_id", "service_tier", "finish_reason", "terminal_evidence",
    "in_stream_error", "delivered_bytes", "anomalies",
}  # fmt: skip


def test_nothing_reported_is_null_in_every_field_and_never_zero() -> None:
    assert Usage().as_json() == dict.fromkeys(USAGE_FIELDS) | {"legs": []}
    assert Usage().is_empty


@pytest.mark.parametrize("name", sorted((USAGE_FIELDS | WHERE_TOLD) - {"legs"}))
def test_a_reported_zero_is_a_report(name: str) -> None:
    zero: Any = {} if name in {"cache_write_tokens_by_ttl", "tool_calls", "billed_units"} else 0
    usage = Usage(**{name: zero})
    assert not usage.is_empty
    assert usage.as_json()[name] == zero


def test_usage_as_json_is_plain_json_to_its_leaves() -> None:
    leg = Leg("compaction", "claude", Usage(input_tokens=3))
    usage = Usage(
        output_tokens=5,
        cache_write_tokens_by_ttl={"5m": 2},
        tool_calls={"web_search": 1},
        billed_units={"search_units": 1, "images": Decimal("2.0"), "pages": Decimal("0.25")},
        legs=(leg,),
    )
    said = json.loads(json.dumps(usage.as_json()))
    assert said["billed_units"] == {"search_units": 1, "images": 2, "pages": 0.25}
    assert said["cache_write_tokens_by_ttl"] == {"5m": 2}
    assert said["tool_calls"] == {"web_search": 1}
    assert said["legs"] == [{"kind": "compaction", "model": "claude", "usage": leg.usage.as_json()}]


def test_a_reading_as_json_has_every_field_under_its_own_name() -> None:
    assert {field.name for field in fields(Reading)} == READING_FIELDS | {"terms"}
    assert {field.name for field in fields(Usage)} == USAGE_FIELDS | WHERE_TOLD
    empty = Reading().as_json()
    assert set(empty) == READING_FIELDS
    assert (empty["basis"], empty["estimate"], empty["delivered_bytes"], empty["anomalies"]) == ("none", None, 0, {})
    reading = Reading(
        usage=Usage(input_tokens=1),
        basis=Basis.PARTIAL,
        estimate=Estimate(output_tokens=4),
        served_model="m",
        anomalies={"frame_over_bound": 1},
    )
    said = json.loads(json.dumps(reading.as_json()))
    assert said["usage"]["input_tokens"] == 1
    assert said["estimate"] == {"input_tokens": None, "output_tokens": 4}
    assert (said["basis"], said["served_model"], said["anomalies"]) == ("partial", "m", {"frame_over_bound": 1})


def test_the_bases() -> None:
    assert [str(basis) for basis in Basis] == ["reported", "partial", "estimated", "none"]


def test_terms_are_told_where_there_are_any() -> None:
    said = Reading(terms={"speed": "fast"}).as_json()
    assert set(said) == READING_FIELDS | {"terms"}
    assert json.loads(json.dumps(said))["terms"] == {"speed": "fast"}


def test_legs_within_legs_are_found_under_the_nearest_model() -> None:
    named, unnamed = Usage(input_tokens=1), Usage(input_tokens=2)
    inner = Usage(output_tokens=3, legs=(Leg("advisor", "haiku", named), Leg("tool", None, unnamed)))
    usage = Usage(legs=(Leg("compaction", None, unnamed), Leg("image", "opus", inner)))
    after = [("opus", inner), ("haiku", named), ("opus", unnamed)]
    assert list(legs_within(usage, "sonnet")) == [("sonnet", unnamed), *after]
    assert list(legs_within(usage, None)) == [(None, unnamed), *after]
    assert list(legs_within(named, "sonnet")) == []
