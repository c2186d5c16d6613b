from typing import Any

import pytest
from openapi_spec_validator import validate

from headgate.admin.routes import OPERATIONS
from tests.admin.serving import DOCUMENT

EACH = [
    (path, method, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
each = pytest.mark.parametrize(("path", "method", "operation"), EACH, ids=[f"{m} {p}" for p, m, _ in EACH])


def test_the_document_is_a_valid_one() -> None:
    validate(DOCUMENT)


def test_every_operation_of_the_table_is_in_it() -> None:
    told = {(method.upper(), path): operation["operationId"] for path, method, operation in EACH}
    assert told.pop(("GET", "/openapi.json")) == "get_openapi"
    assert told == {(operation.method, operation.path): operation.name for operation in OPERATIONS}


def test_everything_needs_an_admin_key() -> None:
    assert DOCUMENT["security"] == [{"adminKey": []}, {"session": []}]
    assert DOCUMENT["components"]["securitySchemes"]["adminKey"] == {"type": "http", "scheme": "bearer"}
    assert {path for path, _, operation in EACH if "security" in operation} == {"/session"}
    assert {method for _, method, operation in EACH if operation.get("security") == []} == {"post", "delete"}


@each
def test_an_operation_is_told_whole(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"].endswith(".")
    parameters = {(p["in"], p["name"]) for p in operation.get("parameters", ())}
    assert {name for place, name in parameters if place == "path"} == {
        part.strip("{}") for part in path.split("/") if part.startswith("{")
    }
    responses = operation["responses"]
    assert "401" in responses
    assert any(status.startswith("2") for status in responses)
    for status, response in responses.items():
        schemas = [content["schema"] for content in response.get("content", {}).values()]
        assert (not schemas) == (status == "204")
        if int(status) >= 400:
            assert schemas == [{"$ref": "#/components/schemas/ErrorView"}]
    assert ("requestBody" in operation) == ("413" in responses)
    assert method != "get" or "requestBody" not in operation


def test_bodies_take_nothing_unknown() -> None:
    for _, _, operation in EACH:
        body = operation.get("requestBody")
        if body is not None:
            schema = body["content"]["application/json"]["schema"]
            for choice in schema.get("anyOf", [schema]):
                name = choice["$ref"].rpartition("/")[2]
                assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is False


def test_a_parameter_may_be_left_out_but_is_never_null() -> None:
    for _, _, operation in EACH:
        for parameter in operation.get("parameters", ()):
            schema = parameter["schema"]
            assert {"type": "null"} not in schema.get("anyOf", ())
            assert schema.get("default", 0) is not None


def test_payments_take_an_idempotency_key() -> None:
    taking = {
        operation["operationId"]
        for _, _, operation in EACH
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "header"
    }
    assert taking == {"top_up", "correct"}
