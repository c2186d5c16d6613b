import json

import pytest

from headgate.dialects.azure_deployments import DIALECT
from headgate.dialects.base import Ask
from headgate.dialects.registry import recognise, with_parameter
from headgate.testing.corpus import Case
from headgate.usage import Usage
from tests.dialects import expected
from tests.dialects.playbook import asked, data, read

CASES = [
    case
    for case in expected.cases("openai.chat", "openai.embeddings")
    if "/openai/deployments/" in case.api_path and case.status == 200
]


def test_there_are_recordings() -> None:
    assert {case.wire_dialect for case in CASES} == {"openai.chat", "openai.embeddings"}
    assert any(case.stream for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=expected.name)
def test_a_recording_reads_as_its_usage_says(case: Case) -> None:
    reading = read("azure.deployments", [case.body])
    assert reading.usage == expected.usage(case)
    assert reading.terminal_evidence == ("[DONE]" if case.stream else "document")


@pytest.mark.parametrize("path", ["chat/completions", "completions", "embeddings"])
def test_the_path_names_the_model(path: str) -> None:
    match = recognise("POST", f"/openai/deployments/my-gpt/{path}")
    assert match is not None
    assert (match.dialect, match.parameters) == (DIALECT, {"model": "my-gpt"})
    renamed = with_parameter(match.operation, f"/openai/deployments/my-gpt/{path}", "model", "other")
    assert renamed == f"/openai/deployments/other/{path}"


def test_the_first_chunk_may_be_empty_of_names() -> None:
    """facts/stream_cases.md 1.23."""
    first = {"choices": [], "prompt_filter_results": [], "id": "", "model": "", "created": 0, "object": ""}
    usage = {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}
    reading = read("azure.deployments", [data(first, {"id": "c", "model": "gpt-5", "choices": [], "usage": usage})])
    assert (reading.served_model, reading.response_id) == ("gpt-5", "c")
    assert reading.usage == Usage(input_tokens=2, output_tokens=1)


def test_what_an_ask_takes_from_a_request() -> None:
    said = {"model": "ignored", "stream": True, "n": 2, "max_tokens": 5, "max_completion_tokens": 9}
    body = json.dumps(said).encode()
    ask = DIALECT.read_ask(body, ())
    assert ask == Ask(model="ignored", stream=True, output_cap=9, choices=2, input_bytes=len(body))
    asking = DIALECT.with_usage_frame(body, ask)
    assert asking is not None
    assert json.loads(asking) == {"stream_options": {"include_usage": True}} | said
    assert DIALECT.read_ask(asking, ()).wants_usage


def test_the_usage_frame_that_we_caused_is_taken_out() -> None:
    strip = DIALECT.usage_frame_filter()
    usage_only = data({"choices": [], "usage": {"prompt_tokens": 1}})
    assert strip.feed(data({"choices": [{}]}) + usage_only) + strip.end() == data({"choices": [{}]})


def test_completions_and_embeddings_are_told_by_their_members() -> None:
    assert asked("azure.deployments", {"prompt": ["a", "b"], "n": 2, "best_of": 3}) == {"choices": 6, "prompts": 2}
    assert asked("azure.deployments", {"input": ["a", "b"]}) == {"output_cap": 0, "prompts": 2}
