"""admin_application: the table of operations behind the door, as an ASGI application to be mounted at /admin/v1."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from headgate import __version__
from headgate.admin import signin, views
from headgate.admin.deeds import Deeds, detail_of, subject_of
from headgate.admin.handlers import Answer, Call, Desk, Download, Events, Sight
from headgate.admin.office import Office
from headgate.admin.onlookers import Onlooker
from headgate.admin.openapi import IDEMPOTENCY_KEY, document
from headgate.admin.passes import Passes
from headgate.admin.prices import PriceFinder
from headgate.admin.records import RecordReader
from headgate.admin.routes import OPERATIONS, PATH_PARAMETERS, Operation
from headgate.errors import BadRequest, HeadgateError, MethodNotAllowed, NotFound, TooLarge


def _number(text: str) -> int | float:
    """A number with a point or an exponent; for JSON Schema 60.0 is an integer. Money is never a number here."""
    value = float(text)
    return int(value) if value.is_integer() else value


MAX_BODY_BYTES = 64 * 1024
"""Far above the largest body that the types allow to mean anything."""

_DECODER = msgspec.json.Decoder(float_hook=_number)

_LAST_WORDS_SECONDS = 0.5
"""For an onlooker's connection to end in good order."""
_ABORT_EXTENSION = "headgate.abort"
"""Of headgate's own server: drops a connection at once."""

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def admin_application(
    office: Office,
    records: RecordReader,
    prices: PriceFinder,
    keys: Mapping[str, str],
    secret: bytes,
    *,
    sight: Sight,
    deeds: Deeds,
    clock_ns: Callable[[], int] = time.time_ns,
    wait: Callable[[], Awaitable[None]] = signin.pause,
) -> ASGIApp:
    """The admin API. `keys` are the admin keys by their names; `wait` is what a wrong one has to sit through.

    `secret` is what passes are signed with, the same in all processes of one database; `deeds` keeps
    what administrators do.

    Raises ValueError if a key is too short. Where there is none at all, every request is answered with 404.
    """
    known, passes = signin.AdminKeys(keys, wait, deeds.note_refusal), Passes(secret, keys, clock_ns)
    desk = Desk(office, records, prices, clock_ns, known, passes, sight, deeds)
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    routes = [
        Route(path, _endpoint(desk, operations), methods=list(operations)) for path, operations in by_path.items()
    ]
    routes.append(Route("/openapi.json", _text(_described()), methods=["GET"]))
    handlers: Mapping[Any, Any] = {
        HeadgateError: _tell,
        HTTPException: _tell_http,
        ClientDisconnect: _tell_gone,
        Exception: _tell_fault,
    }
    inside = Starlette(routes=routes, exception_handlers=handlers)
    inside.router.redirect_slashes = False
    ways_in = {(operation.method, operation.path) for operation in OPERATIONS if operation.way_in}
    return signin.Door(inside, known, passes, error_response, ways_in)


@cache
def _described() -> bytes:
    """The OpenAPI document, made once: it takes longer than all the rest."""
    return msgspec.json.encode(document(OPERATIONS, __version__))


def _endpoint(desk: Desk, operations: Mapping[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        operation = operations["GET" if request.method == "HEAD" else request.method]
        body = await _body(request) if operation.body is not None else b""
        answer: Answer | Download | Events
        if operation.changes:
            answer = await _done(desk, operation, request, body)
        else:
            answer = await operation.handler(desk, _call(operation, request, body))
            if operation.discloses:
                await desk.deeds.keep(*_about(operation, request), 200)
        if isinstance(answer, Download):
            return _file(answer, bare=request.method == "HEAD")
        if isinstance(answer, Events):
            return Shown(answer.onlooker, bare=request.method == "HEAD")
        if answer.value is None:
            return Response(status_code=answer.status, headers={**_HEADERS, **answer.headers})
        return _json(answer.status, msgspec.json.encode(answer.value), answer.headers)

    return serve


async def _done(desk: Desk, operation: Operation, request: Request, body: bytes) -> Answer:
    """What an operation answers that is kept as a deed, also where it is refused."""
    about = _about(operation, request, body)
    async with desk.deeds.doing(*about) as doing:
        answer = await operation.handler(desk, _call(operation, request, body))
        if not isinstance(answer, Answer):
            raise TypeError(f"{operation.name} changes something and gives no plain answer")
        doing.status = answer.status
        if isinstance(answer.value, views.CreatedKey):
            doing.subject += f"/{answer.value.key_id}"
        return answer


def _about(operation: Operation, request: Request, body: bytes = b"") -> tuple[str, str, str, dict[str, Any]]:
    """Who does what to what, and what was asked for."""
    visit: signin.Visit = request.scope[signin.VISIT]
    detail = detail_of(body, request.headers.get(IDEMPOTENCY_KEY)) | dict(request.query_params)
    return visit.name, operation.name, subject_of(operation.path, request.path_params), detail


def _text(text: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_: Request) -> Response:
        return _json(200, text)

    return serve


def _call(operation: Operation, request: Request, data: bytes) -> Call:
    """The request, with the body that was read, as its operation takes it. Raises BadRequest with what is wrong."""
    path = {name: _path_value(name, text) for name, text in request.path_params.items()}
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise BadRequest(f"`{name}` is given twice.", param=name)
        given[name] = value
    query = _checked(lambda: msgspec.convert(given, operation.query, strict=False))
    body = None
    if operation.body is not None:
        shape = operation.body
        body = _checked(lambda: msgspec.convert(_DECODER.decode(data), shape))
    key = request.headers.get(IDEMPOTENCY_KEY) if operation.idempotent else None
    visit: signin.Visit = request.scope[signin.VISIT]
    return Call(path, query, body, key, visit)


def _path_value(name: str, text: str) -> Any:
    try:
        return msgspec.convert(text, PATH_PARAMETERS[name])
    except msgspec.ValidationError as error:
        raise BadRequest(f"`{name}`: {error}.", param=name) from error


def _checked(read: Callable[[], Any]) -> Any:
    """What is read, or a BadRequest that names the field at fault."""
    try:
        return read()
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        field = where.rstrip("`") or _quoted(what)
        raise BadRequest(f"`{field}`: {what}." if where else f"{what}.", param=field) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body cannot be read as JSON: {error}.") from error


def _quoted(message: str) -> str | None:
    """The field that a message without a path names, as those about unknown and missing fields do."""
    parts = message.split("`")
    return parts[1] if "field" in parts[0] and len(parts) == 3 else None


async def _body(request: Request) -> bytes:
    """The whole body. Raises TooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"The request body is over the limit of {MAX_BODY_BYTES} bytes.")
    return bytes(body)


def error_response(error: HeadgateError) -> Response:
    """An error as the API tells it."""
    told = {"error": {"code": error.code, "message": error.message, "param": error.param}}
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    headers |= {"retry-after": "1"} if error.status == 429 else {}
    return _json(error.status, msgspec.json.encode(told), headers)


async def _tell(_: Request, error: HeadgateError) -> Response:
    return error_response(error)


async def _tell_http(request: Request, error: HTTPException) -> Response:
    """What Starlette itself refuses."""
    if error.status_code == 405:
        response = error_response(MethodNotAllowed(f"{request.method} is not a method of this path."))
    else:
        response = error_response(NotFound(f"There is nothing at {request.url.path}."))
    response.headers.update(error.headers or {})
    return response


async def _tell_gone(_: Request, __: ClientDisconnect) -> Response:
    """Nobody reads it."""
    return error_response(BadRequest("The connection closed before the request was whole."))


async def _tell_fault(_: Request, __: Exception) -> Response:
    """A fault of ours; the server logs it."""
    return error_response(HeadgateError("A fault of the gateway's own; its log has more."))


def _file(answer: Download, *, bare: bool) -> Response:
    """A file as it is made; when the client leaves, so does whoever makes it."""
    headers = {**_HEADERS, "content-disposition": f'attachment; filename="{answer.filename}"'}
    return StreamingResponse(() if bare else answer.chunks, headers=headers, media_type=answer.media_type)


class Shown(StreamingResponse):
    """Events for an onlooker. When he is closed, what he does not take at once is dropped with his connection."""

    def __init__(self, onlooker: Onlooker, *, bare: bool) -> None:
        # No proxy shall gather what is news (nginx's X-Accel-Buffering).
        headers = {**_HEADERS, "x-accel-buffering": "no"}
        super().__init__(() if bare else onlooker, headers=headers, media_type="text/event-stream")
        self._onlooker = onlooker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show him what is new, until either side has enough."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                self._onlooker.on_close(lambda: limit.reschedule(loop.time() + _LAST_WORDS_SECONDS))
                await super().__call__(scope, receive, send)
        except TimeoutError:
            abort: Callable[[], object] = scope.get("extensions", {}).get(_ABORT_EXTENSION, _nothing)
            abort()
            await asyncio.sleep(0)  # the server sees that nobody is left to finish the answer for
        finally:
            self._onlooker.on_close(_nothing)
            self._onlooker.close()


def _nothing() -> None:
    pass


def _json(status: int, body: bytes, headers: Mapping[str, str] = {}) -> Response:
    return Response(body, status, {**_HEADERS, **headers}, media_type="application/json")
