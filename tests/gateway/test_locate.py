import pytest

from headgate.dialects.base import Metering
from headgate.errors import BadRequest, HeadgateError, NotFound
from headgate.gateway.locate import Place, below_version, climbs, locate, may_cost
from headgate.gateway.request import Request


def ask(method: str, path: str, body: bytes = b"{}", *headers: tuple[bytes, bytes]) -> Request:
    return Request(method, path, b"", list(headers), body)


@pytest.mark.parametrize(
    ("method", "path", "dialect", "operation", "below"),
    [
        ("POST", "/v1/chat/completions", "openai.chat", "create", "/chat/completions"),
        ("POST", "/chat/completions", "openai.chat", "create", "/chat/completions"),
        ("POST", "/v1/completions", "openai.completions", "create", "/completions"),
        ("POST", "/v1/embeddings", "openai.embeddings", "create", "/embeddings"),
        ("POST", "/v1/responses", "openai.responses", "create", "/responses"),
        ("POST", "/v1/responses/compact", "openai.responses", "compact", "/responses/compact"),
        ("POST", "/v1/messages", "anthropic.messages", "create", "/messages"),
        ("POST", "/openai/v1/chat/completions", "openai.chat", "create", "/chat/completions"),
        ("POST", "/v1/rerank", "rerank", "create", "/rerank"),
        ("POST", "/v2/chat", "cohere", "chat", "/v2/chat"),
        ("POST", "/v1/chat", "cohere", "chat_v1", "/v1/chat"),
        ("POST", "/api/chat", "ollama", "chat", "/api/chat"),
    ],
)
def test_paths(method: str, path: str, dialect: str, operation: str, below: str) -> None:
    place = locate(ask(method, path))
    assert place.dialect is not None
    assert place.operation is not None
    assert (place.dialect.name, place.operation.name, place.path) == (dialect, operation, below)
    assert place.metered


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/messages/count_tokens"), ("POST", "/v1/responses/input_tokens"), ("DELETE", "/v1/responses/resp_1")],
)
def test_free_operations(method: str, path: str) -> None:
    place = locate(ask(method, path))
    assert place.operation is not None
    assert place.operation.metering is Metering.FREE
    assert not place.metered


def test_a_stored_response_is_named_by_the_path() -> None:
    place = locate(ask("GET", "/v1/responses/resp_1"))
    assert place.response_id == "resp_1"
    assert place.operation is not None
    assert place.operation.metering is Metering.REPEATED


@pytest.mark.parametrize(
    ("body", "headers", "dialect"),
    [
        (b'{"model":"m","messages":[]}', [], "openai.chat"),
        (b'{"model":"m","messages":[]}', [(b"anthropic-version", b"2023-06-01")], "anthropic.messages"),
        (b'{"model":"m","input":"x"}', [], "openai.responses"),
        (b'{"model":"m","prompt":"x"}', [], "openai.completions"),
    ],
)
def test_the_body_tells_where_the_path_does_not(body: bytes, headers: list[tuple[bytes, bytes]], dialect: str) -> None:
    place = locate(ask("POST", "/", body, *headers))
    assert place.dialect is not None
    assert place.dialect.name == dialect


def test_opaque_paths() -> None:
    place = locate(ask("POST", "/p/groq/v1/fine_tuning/jobs"))
    assert (place.deployment, place.path, place.dialect) == ("groq", "/v1/fine_tuning/jobs", None)
    assert place.opaque
    known = locate(ask("POST", "/p/groq/chat/completions"))
    assert known.dialect is not None
    assert (known.deployment, known.path, known.dialect.name) == ("groq", "/chat/completions", "openai.chat")


def test_the_header_names_a_deployment_for_any_path() -> None:
    place = locate(ask("GET", "/v1/evals", b"", (b"x-provider", b"openai")))
    assert (place.deployment, place.path, place.dialect) == ("openai", "/v1/evals", None)


def test_a_deployment_of_azures_is_the_model() -> None:
    place = locate(ask("POST", "/openai/deployments/my%2Dgpt/chat/completions"))
    assert place.dialect is not None
    assert (place.dialect.name, place.model) == ("azure.deployments", "my-gpt")
    assert place.path == "/openai/deployments/my%2Dgpt/chat/completions"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (ask("GET", "/nothing"), NotFound),
        (ask("GET", "/p/openai"), NotFound),
        (ask("GET", "/p//x"), NotFound),
        (ask("GET", "/p/openai/../admin"), BadRequest),
        (ask("GET", "/p/openai/%2e%2E/admin"), BadRequest),
        (ask("POST", "/", b'{"unlike":"anything"}'), BadRequest),
    ],
)
def test_refusals(request_: Request, error: type[HeadgateError]) -> None:
    with pytest.raises(error):
        locate(request_)


@pytest.mark.parametrize("path", ["/a/%252e%252e/b", "/a/..%2f", "/..", "/a%5C..%5Cb", "/./a", "/%2e"])
def test_a_path_that_climbs_however_it_is_written(path: str) -> None:
    assert climbs(path)


@pytest.mark.parametrize(
    "path", ["/a..b", "/...", "/.well-known/x", "/gpt-4.1", "/a%2fb", "/%25" + "25" * 30_000 + "2e"]
)
def test_a_path_that_does_not_climb(path: str) -> None:
    assert not climbs(path)


def test_below_version() -> None:
    assert [below_version(p) for p in ("/v1/a", "/a", "/v1beta/a")] == ["/a", "/a", "/v1beta/a"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "costs"),
    [
        ("POST", "/v1/chat/completions", [], True),
        ("POST", "/v1/embeddings", [], True),
        ("POST", "/v1/messages/count_tokens", [], False),
        ("GET", "/v1/responses/resp_1", [], False),
        ("POST", "/v1/batches", [], False),  # billed by what will be read
        ("POST", "/v1/messages/batches", [], False),
        ("DELETE", "/v1/responses/resp_1", [], False),
        # a path that nobody here understands
        ("POST", "/p/openai/v1/fine_tuning/jobs", [], True),
        ("GET", "/p/openai/v1/fine_tuning/jobs", [], False),
        ("DELETE", "/p/openai/v1/files/f", [], False),
        ("POST", "/p/openai/v1/chat/completions", [], True),
        ("POST", "/v1/evals", [(b"x-provider", b"openai")], True),
        ("GET", "/v1/evals", [(b"x-provider", b"openai")], False),
    ],
)
def test_what_may_cost(method: str, path: str, headers: list[tuple[bytes, bytes]], costs: bool) -> None:
    assert may_cost(method, locate(ask(method, path, b"{}", *headers))) is costs


def test_a_post_whose_place_was_never_found_may_cost_as_far_as_anyone_can_tell() -> None:
    assert may_cost("POST", None)
    assert not may_cost("GET", None)
    assert may_cost("POST", Place("/anything"))


@pytest.mark.parametrize(
    ("method", "path", "billed", "metered"),
    [
        ("POST", "/v1/chat/completions", True, True),
        ("GET", "/v1/responses/resp_1", False, True),
        ("POST", "/v1/batches", False, True),
        ("POST", "/v1/messages/count_tokens", False, False),
        ("POST", "/p/openai/v1/fine_tuning/jobs", False, False),
    ],
)
def test_what_is_billed_and_what_matters_for_the_books(method: str, path: str, billed: bool, metered: bool) -> None:
    place = locate(ask(method, path))
    assert (place.billed, place.metered) == (billed, metered)
