"""The OpenAPI 3.1 document, made from the table of operations and its types: it cannot say what the API does not do."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from headgate.admin import cookies
from headgate.admin.routes import PATH_PARAMETERS, Operation
from headgate.admin.texts import ENTRY_ID
from headgate.admin.views import ErrorView

IDEMPOTENCY_KEY = "idempotency-key"

_WHY = {
    200: "Done.",
    201: "Made.",
    204: "Gone.",
    400: "The request cannot be understood; `param` names what is wrong with it.",
    401: "No admin key or sign-in, or none that is known.",
    403: "A sign-in was used by a page that is not this gateway's own.",
    404: "There is none of that name.",
    405: "The path has no such method.",
    409: "It contradicts what is there already.",
    413: "The body is too large.",
    429: "Too many wrong admin keys are being tried.",
    503: "The database does not take changes now.",
}
_ALWAYS = (400, 401, 403, 405, 429)
_SCHEMAS = "#/components/schemas/{name}"


def document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The whole document, as JSON values."""
    types = _types(operations)
    schemas, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS)
    schema_of = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of, components)
    paths["/openapi.json"] = {"get": _own_operation()}
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "headgate admin API",
            "version": version,
            "description": "Accounts, credit, keys, budgets, records, usage and prices of a headgate gateway.",
        },
        "servers": [{"url": "/admin/v1"}],
        "security": [{"adminKey": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in _query_names(operations)},
            "securitySchemes": {
                "adminKey": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": cookies.NAME},
            },
        },
    }
    # Defaults are Python's values; what a reader sees is JSON's.
    return msgspec.json.decode(msgspec.json.encode(whole), type=dict[str, Any])


def _types(operations: Sequence[Operation]) -> list[Any]:
    wanted: dict[str, Any] = {repr(ErrorView): ErrorView}
    for operation in operations:
        for kind in (operation.answer, operation.body, operation.query, *_path_types(operation).values()):
            if kind is not None:
                wanted[repr(kind)] = kind
    return list(wanted.values())


def _query_names(operations: Sequence[Operation]) -> set[str]:
    """Queries are told parameter by parameter."""
    return {operation.query.__name__ for operation in operations}


def _path_types(operation: Operation) -> dict[str, Any]:
    return {name: PATH_PARAMETERS[name] for name in re.findall(r"{(\w+)}", operation.path)}


def _operation(operation: Operation, schema_of: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    refusals = {*_ALWAYS, *operation.refusals} | ({413} if operation.body is not None else set())
    answer = None if operation.answer is None else schema_of[repr(operation.answer)]
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.path.split("/")[1]],
        "parameters": _parameters(operation, schema_of, components),
        "responses": {str(status): _success(operation, status, answer) for status in operation.statuses}
        | {str(status): _response(status, schema_of[repr(ErrorView)]) for status in sorted(refusals)},
    }
    if operation.way_in:
        told["security"] = []
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": _json(schema_of[repr(operation.body)])}
    return told


def _parameters(operation: Operation, schema_of: dict[str, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    told = [
        {"name": name, "in": "path", "required": True, "schema": schema_of[repr(kind)]}
        for name, kind in _path_types(operation).items()
    ]
    query = components[operation.query.__name__]
    told += [
        {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema}
        for name, schema in query["properties"].items()
    ]
    if operation.idempotent:
        description = "The entry's id: the same request with the same id is done once."
        schema = {"type": "string", "pattern": ENTRY_ID, "description": description}
        told.append({"name": IDEMPOTENCY_KEY, "in": "header", "required": False, "schema": schema})
    return told


def _success(operation: Operation, status: int, schema: dict[str, Any] | None) -> dict[str, Any]:
    if not operation.downloads:
        return _response(status, schema)
    file = {"schema": {"type": "string"}}
    return _response(status, None) | {"content": dict.fromkeys(operation.downloads, file)}


def _response(status: int, schema: dict[str, Any] | None) -> dict[str, Any]:
    told: dict[str, Any] = {"description": _WHY[status]}
    return told if schema is None else told | {"content": _json(schema)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _own_operation() -> dict[str, Any]:
    return {
        "operationId": "get_openapi",
        "summary": "This document.",
        "tags": ["openapi.json"],
        "responses": {"200": _response(200, {"type": "object"}), "401": _response(401, {"$ref": _error_ref()})},
    }


def _error_ref() -> str:
    return _SCHEMAS.format(name=ErrorView.__name__)
