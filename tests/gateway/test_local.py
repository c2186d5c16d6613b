import json
from typing import Any

import pytest

from headgate.access.keys import Keys
from headgate.gateway.local import LocalAnswers
from headgate.gateway.request import Request
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from headgate.stores.memory import MemoryRecordLog

from .fakes import deployment

CATALOGUE = Catalogue.from_json(b'{"openai":["gpt-4o-mini"],"anthropic":["claude-haiku-4-5"],"groq":["llama"]}')


def local(keys: dict[str, str] | None = None, log: MemoryRecordLog | None = None) -> LocalAnswers:
    models = Models((deployment("openai"), deployment("anthropic")), CATALOGUE, None)
    return LocalAnswers(models, Keys(keys or {}), log or MemoryRecordLog(), "1.0")


def get(path: str, *headers: tuple[bytes, bytes], method: str = "GET") -> Request:
    return Request(method, path, b"", list(headers), b"")


def body(answers: LocalAnswers, request: Request) -> Any:
    answer = answers.answer(request)
    assert answer is not None
    assert dict(answer.headers)[b"content-length"] == str(len(answer.body)).encode()
    return json.loads(answer.body)


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/"), ("GET", "/"), ("HEAD", "/api/hello"), ("GET", "/health")])
def test_probes_need_no_key(method: str, path: str) -> None:
    answer = local({"a": "k" * 16}).answer(get(path, method=method))
    assert answer is not None
    assert answer.status == 200


def test_health_tells_when_records_cannot_be_written() -> None:
    class FullLog(MemoryRecordLog):
        @property
        def accepting(self) -> bool:
            return False

    answer = local(log=FullLog()).answer(get("/health"))
    assert answer is not None
    assert answer.status == 503


def test_the_list_names_what_can_be_asked_for_here() -> None:
    listed = body(local(), get("/v1/models"))
    assert listed["object"] == "list"
    assert {model["id"] for model in listed["data"]} == {"gpt-4o-mini", "claude-haiku-4-5"}


def test_anthropic_clients_get_their_shape() -> None:
    listed = body(local(), get("/v1/models", (b"anthropic-version", b"2023-06-01")))
    assert {model["type"] for model in listed["data"]} == {"model"}
    assert listed["first_id"] == listed["data"][0]["id"]


@pytest.mark.parametrize("header", [b"x-goog-api-client", b"x-goog-api-key"])
def test_googles_clients_get_their_shape(header: bytes) -> None:
    listed = body(local(), get("/v1/models", (header, b"x")))
    assert {model["name"] for model in listed["models"]} == {"models/gpt-4o-mini", "models/claude-haiku-4-5"}
    one = body(local(), get("/v1/models/gpt-4o-mini", (header, b"x")))
    assert one == {"name": "models/gpt-4o-mini", "displayName": "gpt-4o-mini"}


def test_one_model() -> None:
    assert body(local(), get("/v1/models/gpt-4o-mini"))["owned_by"] == "openai"
    answer = local().answer(get("/v1/models/nobody"))
    assert answer is not None
    assert answer.status == 404


def test_the_list_asks_for_a_key() -> None:
    answer = local({"a": "k" * 16}).answer(get("/v1/models"))
    assert answer is not None
    assert answer.status == 401


def test_everything_else_is_an_exchange() -> None:
    assert local().answer(get("/v1/models", (b"x-provider", b"openai"))) is None
    assert local().answer(get("/p/openai/v1/models")) is None
    assert local().answer(get("/v1/chat/completions", method="POST")) is None
