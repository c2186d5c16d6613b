"""What the gateway answers by itself: is it there, is it well, which models does it know. These are no exchanges."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from typing import Any

from msgspec import Struct

from headgate.errors import HeadgateError, NotFound
from headgate.gateway.holder import Doorkeeper, Holder
from headgate.gateway.live import Live
from headgate.gateway.locate import below_version
from headgate.gateway.request import Request
from headgate.records import RecordLog
from headgate.routing.models import Models


class LocalAnswer(Struct, frozen=True):
    """A whole answer."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


_PROBES = frozenset({("HEAD", "/"), ("GET", "/"), ("HEAD", "/api/hello")})
"""Claude Code probes these without credentials and gives up on anything but 200 (facts/wire.md section 10)."""

_TO_THE_DASHBOARD = LocalAnswer(307, [(b"location", b"dashboard"), (b"content-length", b"0")], b"")
"""For a person with a browser; the address is relative, so that it is right below any root."""


class LocalAnswers:
    """Answers that need no provider."""

    def __init__(self, models: Models, door: Doorkeeper, log: RecordLog, live: Live, version: str) -> None:
        self._models = models
        self._door = door
        self._log = log
        self._live = live
        self._version = version

    def answer(self, request: Request) -> Coroutine[Any, Any, LocalAnswer] | None:
        """The answer, to be awaited, or None where the request is an exchange."""
        if (request.method, request.path) in _PROBES:
            return _at_once(self._greeting(request))
        if request.path == "/health":
            return _at_once(self._health())
        if (request.header(b"upgrade") or b"").lower() == b"websocket":
            return _at_once(_NO_WEBSOCKET)
        if request.method == "GET" and request.header(b"x-provider") is None:
            path = below_version(request.path)
            if path == "/models" or path.startswith("/models/"):
                return self._list(request, path.removeprefix("/models").removeprefix("/"))
            if path.startswith(_EXCHANGES):
                return self._exchange(request, path.removeprefix(_EXCHANGES))
        return None

    async def _exchange(self, request: Request, exchange_id: str) -> LocalAnswer:
        """What became of an exchange, for the key that made it: for clients that cannot read trailers."""
        try:
            return await self._told(await self._door.holder(request), exchange_id)
        except HeadgateError as error:  # also while the database cannot be asked
            return _refusal(error)

    async def _told(self, holder: Holder, exchange_id: str) -> LocalAnswer:
        """Raises NotFound for an exchange of another key's, and Busy while the log cannot be read."""
        running = self._live.running(exchange_id)
        if running is not None and running.admission.holder.is_same(holder):
            return _json(202, {"exchange_id": exchange_id, "status": "running"}, (b"retry-after", b"1"))
        record = self._live.record(exchange_id) or await self._log.find(exchange_id)
        if record is None:  # of another process perhaps, and on its way to the disk
            await asyncio.sleep(_SOON_SECONDS)
            record = await self._log.find(exchange_id)
        if record is None or (record.key, record.key_id) != (holder.name, holder.key_id):
            raise NotFound("No exchange of that id was made with this key, or it is not on record yet.")
        return _json(200, record.as_json())

    def _greeting(self, request: Request) -> LocalAnswer:
        if request.path == "/" and b"text/html" in (request.header(b"accept") or b""):
            return _TO_THE_DASHBOARD
        return _json(200, {"service": "headgate", "version": self._version})

    def _health(self) -> LocalAnswer:
        if self._log.accepting:
            return _json(200, {"status": "ok"})
        return _json(503, {"status": "records cannot be written"})

    async def _list(self, request: Request, model_id: str) -> LocalAnswer:
        """The models that can be asked for, in the shape of the API that the client speaks."""
        anthropic = request.header(b"anthropic-version") is not None
        try:
            holder = await self._door.holder(request)
        except HeadgateError as error:
            return _refusal(error)
        google = any(request.header(name) is not None for name in _GOOGLES)
        shape = _anthropic_model if anthropic else _google_model if google else _openai_model
        known = self._models.list_models()
        named = {
            alias.name: shape(alias.name, "headgate")
            for alias in self._models.list_aliases()
            if any(_may_use(holder, alias.name, target.deployment.name) for target in alias.targets)
        }
        named |= {name: shape(name, owner) for name, owner in known if _may_use(holder, name, owner)}
        if model_id:
            return _json(200, named[model_id]) if model_id in named else _unknown(model_id)
        models = list(named.values())
        if google:
            return _json(200, {"models": models})
        if anthropic:
            ends = {"first_id": models[0]["id"], "last_id": models[-1]["id"]} if models else {}
            return _json(200, {"data": models, "has_more": False, **ends})
        return _json(200, {"object": "list", "data": models})


async def _at_once(answer: LocalAnswer) -> LocalAnswer:
    return answer


_EXCHANGES = "/exchanges/"
_SOON_SECONDS = 0.1
"""Until a record that is settled can be read: a transaction gathers for 10 ms."""


def _may_use(holder: Holder, model: str, deployment: str) -> bool:
    if holder.key is None:
        return True
    try:
        holder.key.check_model(model)
        holder.key.check_provider(deployment)
    except HeadgateError:
        return False
    return True


def _refusal(error: HeadgateError) -> LocalAnswer:
    return _json(error.status, {"error": {"message": error.message, "type": error.code, "code": error.code}})


def _openai_model(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def _anthropic_model(name: str, owner: str) -> dict[str, Any]:
    del owner
    return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}


_GOOGLES = (b"x-goog-api-client", b"x-goog-api-key")
"""Headers of Google's clients, which list models below /v1 too (facts/wire.md section 5)."""


def _google_model(name: str, owner: str) -> dict[str, Any]:
    del owner
    return {"name": f"models/{name}", "displayName": name}


def _unknown(model_id: str) -> LocalAnswer:
    message = f"The model '{model_id}' is not known to this gateway."
    return _json(404, {"error": {"message": message, "type": "invalid_request_error", "code": "model_not_found"}})


def _json(status: int, value: dict[str, Any], *more: tuple[bytes, bytes]) -> LocalAnswer:
    body = json.dumps(value, default=str).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    return LocalAnswer(status, headers, body)


_NO_WEBSOCKET = _json(426, {"error": {"message": "Use HTTP here: there is no WebSocket.", "code": "upgrade_refused"}})
"""Codex goes on over HTTP at once on 426, and retries for seconds on 404 or 405 (facts/wire.md section 3)."""
