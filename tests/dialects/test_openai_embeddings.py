import json

import pytest

from headgate.dialects.base import Ask
from headgate.dialects.openai_embeddings import DIALECT
from headgate.testing.corpus import Case
from headgate.usage import Basis, Usage
from tests.dialects import expected
from tests.dialects.playbook import asked, data, document, read, replay, single_bytes

CASES = expected.cases("openai.embeddings")


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    reading = replay(case, [case.body])
    assert reading.usage == expected.usage(case)
    assert (reading.basis is Basis.REPORTED) == (case.usage_raw is not None)
    assert reading.served_model == (case.model or None) or case.dialect == "errors"
    assert replay(case, single_bytes(case.body)) == reading


def test_a_total_alone_is_the_input() -> None:
    reading = read("openai.embeddings", [document({"data": [], "usage": {"total_tokens": 9}})])
    assert reading.usage == Usage(input_tokens=9)
    assert reading.basis is Basis.REPORTED


def test_vectors_are_no_generated_text() -> None:
    body = document({"data": [{"embedding": [0.1, 0.2]}]})
    assert read("openai.embeddings", [body]).delivered_bytes == 0
    assert read("openai.embeddings", [body[:-5]], ended=False).anomalies == {"not_json": 1}


def test_an_error_document_is_told() -> None:
    body = document({"error": "no such model", "code": "not_found"})
    assert read("openai.embeddings", [body], status=404).in_stream_error == "not_found: no such model"


def test_an_answer_framed_as_an_event_is_read_all_the_same() -> None:
    assert read("openai.embeddings", [data({"usage": {"prompt_tokens": 4, "total_tokens": 4}})]).usage.input_tokens == 4


def test_what_an_ask_takes_from_a_request() -> None:
    body = json.dumps({"model": "m", "input": ["a", "b"]}).encode()
    assert DIALECT.read_ask(body, ()) == Ask(model="m", output_cap=0, input_bytes=len(body), prompts=2)
    assert asked("openai.embeddings", {"model": "m", "input": [1, 2]}) == {"output_cap": 0}
