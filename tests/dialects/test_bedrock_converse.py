from typing import Any

import pytest

from headgate.dialects import registry
from headgate.dialects.base import Ask, Metering
from headgate.dialects.bedrock_converse import DIALECT
from headgate.errors import BadRequest
from headgate.testing.corpus import Case
from headgate.usage import Basis
from tests.dialects import expected
from tests.dialects.playbook import asked, aws_event, document, read, replay, single_bytes

CASES = expected.cases("bedrock.converse", "bedrock.converse-stream")


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    reading = replay(case, [case.body])
    assert reading.usage == expected.usage(case)
    assert (reading.basis is Basis.REPORTED) == (case.usage_raw is not None)
    assert reading.anomalies == {}
    assert (reading.finish_reason is not None) == (case.status == 200)


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_the_same_byte_by_byte_and_as_it_arrived(case: Case) -> None:
    whole = replay(case, [case.body])
    assert replay(case, single_bytes(case.body)) == whole
    assert replay(case, case.chunks()) == whole


@pytest.mark.parametrize("name", ["bedrock.converse", "bedrock.converse-stream"])
def test_it_is_known_by_the_names_of_its_operations(name: str) -> None:
    assert registry.by_name(name) is DIALECT


@pytest.mark.parametrize(
    ("path", "operation", "streams", "metering"),
    [
        ("/model/amazon.nova-lite-v1%3A0/converse", "converse", False, Metering.COUNTED),
        ("/model/amazon.nova-lite-v1:0/converse-stream", "converse_stream", True, Metering.COUNTED),
        ("/model/amazon.nova-lite-v1%3A0/count-tokens", "count_tokens", False, Metering.FREE),
    ],
)
def test_operations_and_what_they_mean_for_the_books(
    path: str, operation: str, streams: bool, metering: Metering
) -> None:
    match = registry.recognise("POST", path)
    assert match is not None
    assert (match.dialect, match.operation.name) == (DIALECT, operation)
    assert (match.operation.streams, match.operation.metering) == (streams, metering)
    assert match.parameters == {"model": "amazon.nova-lite-v1:0"}


@pytest.mark.parametrize("colon", ["%3A", "%3a", ":"])
def test_a_colon_stays_encoded_or_not_as_the_client_wrote_it(colon: str) -> None:
    path = f"/model/bedrock%2Famazon.nova-lite-v1{colon}0/converse"
    renamed = registry.with_parameter(DIALECT.operations[0], path, "model", "amazon.nova-lite-v1:0")
    assert renamed == f"/model/amazon.nova-lite-v1{colon.upper()}0/converse"


def test_an_arn_is_one_parameter() -> None:
    arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fabc"
    match = registry.recognise("POST", f"/model/{arn}/converse")
    assert match is not None
    assert match.parameters["model"] == "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"


def test_what_an_ask_takes_from_a_request() -> None:
    body = b'{"messages": [], "inferenceConfig": {"maxTokens": 12, "topP": 1}}'
    assert DIALECT.read_ask(body, []) == Ask(output_cap=12, input_bytes=len(body))
    assert DIALECT.read_ask(b'{"inferenceConfig": 3}', []).output_cap is None
    with pytest.raises(BadRequest):
        DIALECT.read_ask(b"[]", [])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"messages": [{"role": "user", "content": [{"text": "Hi"}, {"cachePoint": {}}]}]}, {}),
        ({"inferenceConfig": {"maxTokens": 0}}, {}),
        (
            {
                "inferenceConfig": {"maxTokens": 5},
                "additionalModelRequestFields": {"max_tokens": 9, "thinking": {"budget_tokens": 4}},
            },
            {"output_cap": 9},
        ),
        ({"toolConfig": {"tools": [{"toolSpec": {"name": "t"}}]}}, {"has_tools": True}),
        (
            {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
            {"has_tools": True, "stored_context": True, "unbounded": "server_tools"},
        ),
        ({"toolConfig": 5}, {}),
        ({"promptVariables": {"a": {"text": "b"}}}, {"stored_context": True}),
        ({"serviceTier": {"type": "flex"}}, {"service_tier": "flex"}),
        (
            {"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"s3Location": {}}}}]}]},
            {"attachments": 1, "attachment_tokens": 16_384},
        ),
    ],
)  # fmt: skip
def test_what_bounds_a_request(body: dict[str, Any], told: dict[str, Any]) -> None:
    assert asked("bedrock.converse", body) == told


def test_optimized_latency_is_a_term() -> None:
    told = {"usage": {"inputTokens": 1, "outputTokens": 2}, "performanceConfig": {"latency": "optimized"}}
    assert read("bedrock.converse", [document(told)]).terms == {"latency": "optimized"}
    assert read("bedrock.converse", [aws_event("metadata", told)]).terms == {"latency": "optimized"}
    usual = told | {"performanceConfig": {"latency": "standard"}}
    assert read("bedrock.converse", [document(usual)]).terms == {}
