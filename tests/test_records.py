import json
from dataclasses import fields, replace

from headgate.records import Attempt, Ending, Record
from headgate.usage import Basis, Reading, Usage

RECORD = Record(
    exchange_id="x1",
    started_at_ns=1,
    method="POST",
    path="/v1/chat/completions",
    dialect="openai.chat",
    operation="create",
    provider="openai",
    key="team",
    model_asked="gpt",
    streamed=True,
    status=200,
    ending=Ending.COMPLETE,
    reading=Reading(usage=Usage(input_tokens=7), basis=Basis.REPORTED, served_model="gpt-1"),
    billable=True,
    counted=True,
    first_byte_ns=2,
    total_ns=3,
    bytes_in=4,
    bytes_out=4,
)


def test_a_record_as_json_is_its_fields_and_the_readings() -> None:
    said = json.loads(json.dumps(RECORD.as_json()))
    own = {field.name for field in fields(Record)} - {"reading"}
    assert set(said) == own | {field.name for field in fields(Reading)}
    assert said["ending"] == "complete"
    assert said["usage"]["input_tokens"] == 7
    assert (said["served_model"], said["basis"], said["model_asked"]) == ("gpt-1", "reported", "gpt")


def test_no_field_of_a_reading_hides_one_of_the_record() -> None:
    assert not {field.name for field in fields(Record)} & {field.name for field in fields(Reading)}


def test_attempts_are_told_in_order() -> None:
    attempts = (Attempt("a", None, 0, 5, "upstream_unreachable: no"), Attempt("b", 200, 5, 9))
    said = json.loads(json.dumps(replace(RECORD, attempts=attempts).as_json()))
    assert said["attempts"] == [
        {"provider": "a", "status": None, "started_ns": 0, "ended_ns": 5, "error": "upstream_unreachable: no"},
        {"provider": "b", "status": 200, "started_ns": 5, "ended_ns": 9, "error": None},
    ]


def test_the_endings() -> None:
    assert {str(ending) for ending in Ending} == {
        "never_sent", "refused", "complete", "incomplete", "client_left", "upstream_cut", "upstream_error",
        "gateway_failed", "gateway_died",
    }  # fmt: skip
