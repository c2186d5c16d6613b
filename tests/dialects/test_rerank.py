import json

import pytest

from headgate.dialects.base import Ask
from headgate.dialects.rerank import DIALECT
from headgate.usage import Basis, Usage
from tests.dialects.playbook import asked, data, document, read, single_bytes


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"usage": {"total_tokens": 26}}, Usage(input_tokens=26)),
        ({"usage": {"prompt_tokens": 20, "total_tokens": 26}}, Usage(input_tokens=20)),
        ({"meta": {"billed_units": {"search_units": 2}}}, Usage(billed_units={"search_units": 2})),
        ({"meta": {"tokens": {"input_tokens": 7}}}, Usage(input_tokens=7)),
        ({}, Usage()),
    ],
)
def test_what_each_service_bills(told: dict[str, object], usage: Usage) -> None:
    body = document({"id": "r-1", "model": "ranker", "results": [{"index": 0, "relevance_score": 0.9}], **told})
    reading = read("rerank", [body])
    assert reading.usage == usage
    assert reading.basis is (Basis.NONE if usage.is_empty else Basis.REPORTED)
    assert (reading.served_model, reading.response_id, reading.terminal_evidence) == ("ranker", "r-1", "document")
    assert read("rerank", single_bytes(body)) == reading


@pytest.mark.parametrize("told", [{"message": "no"}, {"error": "no"}, {"error": {"message": "no"}}, {"detail": "no"}])
def test_an_error_document_is_told(told: dict[str, object]) -> None:
    assert read("rerank", [document(told)], status=400).in_stream_error == "no"


def test_a_cut_answer_is_no_json() -> None:
    assert read("rerank", [b'{"id": "r'], ended=False).anomalies == {"not_json": 1}


def test_an_answer_framed_as_an_event_is_read_all_the_same() -> None:
    assert read("rerank", [data({"usage": {"total_tokens": 1}})]).usage == Usage(input_tokens=1)


def test_what_an_ask_takes_from_a_request() -> None:
    body = json.dumps({"model": "m", "query": "q", "documents": []}).encode()
    assert DIALECT.read_ask(body, ()) == Ask(model="m", output_cap=0, input_bytes=len(body))


def test_the_query_is_read_with_each_document() -> None:
    body = json.dumps({"query": "0123456789", "documents": ["a", "b", "c"]}).encode()
    assert asked("rerank", body) == {"output_cap": 0, "prompts": 3, "prompt_bytes": len(body) + 2 * 12}
