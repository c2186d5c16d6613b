import json
from typing import Any

import pytest

from headgate.dialects import registry
from headgate.dialects.registry import all_dialects, by_name, detect, recognise, recognise_suffix
from headgate.errors import BadRequest
from headgate.testing.corpus import Case
from tests.dialects import expected

KNOWN = (
    "openai.chat",
    "openai.completions",
    "openai.embeddings",
    "openai.responses",
    "anthropic.messages",
    "azure.deployments",
    "cohere",
    "ollama",
    "openai.audio",
    "openai.files",
    "openai.images",
    "openai.realtime",
    "rerank",
    "google.generate_content",
    "google.interactions",
    "vertex.generate_content",
    "vertex.messages",
    "bedrock.converse",
    "bedrock.invoke",
    "openai.batches",
    "anthropic.batches",
)


def test_dialects_are_found_by_themselves() -> None:
    assert sorted(dialect.name for dialect in all_dialects()) == sorted(KNOWN)


def test_names_and_aliases() -> None:
    assert [by_name(name).name for name in KNOWN] == list(KNOWN)
    assert by_name("mistral") is by_name("openai.chat")
    with pytest.raises(
        ValueError, match=r"no dialect is called 'openai'; there are anthropic\.batches, anthropic\.messages, "
    ):
        by_name("openai")


@pytest.mark.parametrize(
    ("method", "path", "operation", "parameters"),
    [
        ("POST", "/chat/completions", "openai.chat create", {}),
        ("GET", "/chat/completions", "openai.chat list", {}),
        ("GET", "/chat/completions/chatcmpl-1", "openai.chat retrieve", {"id": "chatcmpl-1"}),
        ("POST", "/chat/completions/chatcmpl-1", "openai.chat update", {"id": "chatcmpl-1"}),
        ("DELETE", "/chat/completions/chatcmpl-1", "openai.chat delete", {"id": "chatcmpl-1"}),
        ("GET", "/chat/completions/chatcmpl-1/messages", "openai.chat list_messages", {"id": "chatcmpl-1"}),
        ("POST", "/completions", "openai.completions create", {}),
        ("POST", "/embeddings", "openai.embeddings create", {}),
        ("POST", "/responses", "openai.responses create", {}),
        ("POST", "/responses/compact", "openai.responses compact", {}),
        ("POST", "/responses/input_tokens", "openai.responses count_input", {}),
        ("GET", "/responses/resp_1", "openai.responses retrieve", {"id": "resp_1"}),
        ("GET", "/responses/resp%2F1", "openai.responses retrieve", {"id": "resp/1"}),
        ("DELETE", "/responses/resp_1", "openai.responses delete", {"id": "resp_1"}),
        ("POST", "/responses/resp_1/cancel", "openai.responses cancel", {"id": "resp_1"}),
        ("GET", "/responses/resp_1/input_items", "openai.responses list_input", {"id": "resp_1"}),
        ("POST", "/messages", "anthropic.messages create", {}),
        ("POST", "/messages/count_tokens", "anthropic.messages count_input", {}),
    ],
)
def test_paths_below_the_version_root(method: str, path: str, operation: str, parameters: dict[str, str]) -> None:
    match = recognise(method, path)
    assert match is not None
    assert f"{match.dialect.name} {match.operation.name}" == operation
    assert match.parameters == parameters
    assert recognise_suffix(method, path) == match
    assert recognise_suffix(method, "/v1" + path) == match
    assert recognise_suffix(method, "/inference/gpt-5/" + path[1:]) == match


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models"),
        ("GET", "/messages"),
        ("PATCH", "/responses"),
        ("GET", "/responses"),
        ("GET", "/responses/"),
        ("POST", "/responses//cancel"),
        ("POST", "/responses/resp_1"),
        ("POST", "/chat/completions/a/b/c"),
        ("POST", ""),
        ("POST", "/"),
    ],
)
def test_paths_of_no_operation(method: str, path: str) -> None:
    assert recognise(method, path) is None
    assert recognise_suffix(method, path) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/paas/v4/chat/completions", "openai.chat"),
        ("/anthropic/v1/messages", "anthropic.messages"),
        ("/inference/chat/completions", "openai.chat"),
        ("/v1/threads/thread_1/messages", None),  # a message of OpenAI's Assistants API
        ("/threads/thread_1/messages", None),
        ("/v1/projects/p/models/claude@1:streamRawPredict", None),
        ("/v1/audio/speech", "openai.audio"),
        ("/openai/deployments/gpt-5/chat/completions", "azure.deployments"),
        ("/openai/deployments/gpt-5/audio/speech", "openai.audio"),
        ("/v1/chat", "cohere"),
        ("/v1/rerank", "rerank"),
        ("/v2/rerank", "cohere"),
        ("/api/chat", "ollama"),
    ],
)
def test_providers_own_paths(path: str, name: str | None) -> None:
    match = recognise_suffix("POST", path)
    assert (match.dialect.name if match is not None else None) == name


VERTEX = "/publishers/"  # the same bytes as elsewhere, but dialects of their own: see the tests of these
RECORDED = [case for case in expected.cases(*KNOWN, "mistral") if VERTEX not in case.api_path]


@pytest.mark.parametrize("case", RECORDED, ids=expected.name)
def test_recorded_paths_are_recognised(case: Case) -> None:
    path = case.api_path.partition("?")[0].replace("inference-profile/", "inference-profile%2F")  # recorded decoded
    match = recognise_suffix("POST", path)
    assert match is not None
    by_deployment = "/openai/deployments/" in case.api_path
    assert case.wire_dialect in {match.dialect.name, *match.dialect.aliases} or by_deployment
    assert (match.dialect.name == "azure.deployments") == by_deployment


@pytest.mark.parametrize(
    ("body", "headers", "operation"),
    [
        ({"messages": []}, [], "/chat/completions"),
        ({"messages": [], "input": "x"}, [(b"accept", b"*/*")], "/chat/completions"),
        ({"messages": [], "system": "s"}, [], "/messages"),
        ({"messages": []}, [(b"anthropic-version", b"2026-10-21")], "/messages"),
        ({"messages": []}, [(b"x-api-key", b"k")], "/messages"),
        ({"input": "x", "model": "gpt-5"}, [], "/responses"),
        ({"prompt": {"id": "pmpt_1"}}, [], "/responses"),
        ({"input": "x", "model": "text-embedding-3-small"}, [], "/embeddings"),
        ({"input": "x", "encoding_format": "base64"}, [], "/embeddings"),
        ({"input": "x", "dimensions": 8}, [], "/embeddings"),
        ({"prompt": "p"}, [], "/completions"),
    ],
)
def test_the_api_is_detected_from_the_body(
    body: dict[str, Any], headers: list[tuple[bytes, bytes]], operation: str
) -> None:
    dialect, found = detect(json.dumps(body).encode(), headers)
    assert (found.method, found.path) == ("POST", operation)
    assert found in dialect.operations


def test_a_body_of_no_known_api_is_told_what_was_looked_for() -> None:
    with pytest.raises(BadRequest, match=r"Looked for 'messages' .*'input' .*'prompt'"):
        detect(b'{"model":"m"}', [])
    with pytest.raises(BadRequest, match="not valid JSON"):
        detect(b"", [])


def test_a_path_of_a_clients_own_making_takes_neither_long_nor_memory() -> None:
    path = "/a" * 100_000 + "/chat/completions"
    match = recognise_suffix("POST", path)
    assert match is not None
    assert match.dialect.name == "openai.chat"
    assert recognise("POST", path) is None
    before = registry._remembered.cache_info().currsize
    for n in range(10):
        recognise("POST", f"/{n}" + "x" * 1000)
    assert registry._remembered.cache_info().currsize == before
