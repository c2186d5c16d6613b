import json

import pytest

from headgate.dialects.base import Ask, Metering
from headgate.dialects.registry import recognise
from headgate.dialects.vertex_messages import DIALECT
from headgate.errors import Busy
from headgate.testing.corpus import Case
from tests.dialects import expected
from tests.dialects.playbook import read

MODELS = "/v1/projects/p-1/locations/global/publishers/anthropic/models"
CASES = [case for case in expected.cases("anthropic.messages") if "/publishers/anthropic/" in case.api_path]


def test_there_are_recordings() -> None:
    assert len(CASES) == 6


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    match = recognise("POST", case.api_path)
    assert match is not None
    assert match.dialect is DIALECT
    assert read("vertex.messages", [case.body]).usage == expected.usage(case)


@pytest.mark.parametrize(
    ("path", "operation", "model"),
    [
        (f"{MODELS}/claude-opus-4-5@20251101:rawPredict", "create", "claude-opus-4-5@20251101"),
        (f"{MODELS}/claude-opus-4-5@20251101:streamRawPredict", "stream", "claude-opus-4-5@20251101"),
        (f"{MODELS}/count-tokens:rawPredict", "count_input", None),
    ],
)
def test_paths(path: str, operation: str, model: str | None) -> None:
    match = recognise("POST", path)
    assert match is not None
    assert (match.operation.name, match.parameters.get("model")) == (operation, model)
    assert (match.operation.metering is Metering.FREE) == (operation == "count_input")


def test_whether_it_streams_the_body_tells_and_not_the_path() -> None:
    """Row 6.11."""
    assert not any(operation.streams for operation in DIALECT.operations)
    body = b'{"anthropic_version":"vertex-2023-10-16","max_tokens":9,"stream":true,"messages":[]}'
    assert DIALECT.read_ask(body, ()) == Ask(stream=True, output_cap=9, input_bytes=len(body))


def test_errors_are_anthropics() -> None:
    told = json.loads(DIALECT.error_body(Busy("no"), "ex_1"))
    assert told["error"] == {"type": "overloaded_error", "message": "no"}
    assert DIALECT.error_frame(Busy("no"), "ex_1").startswith(b"event: error\ndata: {")
