"""A socket towards a provider that has Responses over HTTP only: each create goes out as a stream of its own.

Its events come back as frames, as a provider's own socket would send them. What such a socket remembers, the bridge
remembers: a response that was not stored is known to the next create by its id, with what was said before it. A
warm-up (`generate: false`) is answered here, because over HTTP it would be a real response (facts/stream_cases.md 4.3).
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from headgate.errors import HeadgateError, UpstreamCut
from headgate.framing.sse import ServerSentEvents
from headgate.gateway.socket import SocketClosed
from headgate.gateway.upstream import Call, CallAborted, Headers, Upstream, UpstreamRequest

_ERROR_BYTES = 1024 * 1024
_WAITING = 16
"""Frames that may wait for a client that reads slowly; then the streams they come from wait too."""
_AT_ONCE = 16
"""Creates that may run or wait for their lane; then the client's next frame is not read yet."""
_REMEMBERED = 16
"""Responses of a socket that can be built upon without being stored: the latest of each of so many lanes."""
_TERMINALS = {"response.completed", "response.incomplete", "response.failed"}

Prepare = Callable[[bytes, str | None], Awaitable[UpstreamRequest]]
"""Makes the HTTP request of a body, for the model that it names. Raises UpstreamUnreachable."""


class Bridge:
    """An UpstreamSocket. Lanes run side by side; within a lane one stream follows the other."""

    headers: Headers = ()

    def __init__(self, upstream: Upstream, prepare: Prepare, new_id: Callable[[], str]) -> None:
        self._upstream = upstream
        self._prepare = prepare
        self._new_id = new_id
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._said: OrderedDict[str, list[Any]] = OrderedDict()
        """By the id of a response that was not stored, everything said up to its end; the latest last."""
        self._closed = False

    async def receive(self) -> bytes:
        """The next frame."""
        return await self._frames.get()

    async def send(self, frame: bytes) -> None:
        """A create begins a stream, after the one that runs in its lane; other frames mean nothing over HTTP."""
        asked = json.loads(frame)
        if asked.get("type") != "response.create":
            return
        await self._room.acquire()
        if self._closed:
            raise SocketClosed(1006)
        lane = str(asked.get("stream_id") or "")
        task = self._lanes[lane] = asyncio.create_task(self._answer(asked, self._lanes.get(lane)))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._over(lane, done))

    def _over(self, lane: str, task: "asyncio.Task[None]") -> None:
        self._room.release()
        self._tasks.discard(task)
        if self._lanes.get(lane) is task:
            del self._lanes[lane]

    async def close(self, code: int, reason: str = "") -> None:
        """Abort what runs."""
        del code, reason
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _answer(self, asked: dict[str, Any], before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        lane = {"stream_id": asked["stream_id"]} if asked.get("stream_id") else {}
        said = self._context(asked)
        if asked.get("generate") is False:
            await self._warm_up(asked, said, lane)
            return
        body = {name: value for name, value in asked.items() if name not in {"type", "stream_id", "generate"}}
        if _name(asked.get("previous_response_id")) in self._said:
            del body["previous_response_id"]
            body["input"] = said
        stream = _Stream(lane, said, stored=asked.get("store") is not False)
        try:
            request = await self._prepare(json.dumps(body | {"stream": True}).encode(), body.get("model"))
            await self._pass_on(self._upstream.open(request), stream)
        except CallAborted:
            return
        except HeadgateError as error:
            await self._frames.put(stream.failure(error))

    def _context(self, asked: dict[str, Any]) -> list[Any]:
        """All that a create says, with what was said before it on this socket."""
        given = asked.get("input")
        items = given if isinstance(given, list) else [] if given is None else [{"role": "user", "content": given}]
        return [*self._said.get(_name(asked.get("previous_response_id")), ()), *items]

    def _remember(self, response_id: str, said: list[Any]) -> None:
        self._said[response_id] = said
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)

    async def _warm_up(self, asked: dict[str, Any], said: list[Any], lane: dict[str, Any]) -> None:
        response_id = f"resp_{self._new_id()}"
        response: dict[str, Any] = {"id": response_id, "object": "response", "model": asked.get("model"), "output": []}
        self._remember(response_id, said)
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        begun = {"type": "response.created", "response": {**response, "status": "in_progress"}, **lane}
        ended = {"type": "response.completed", "response": {**response, "status": "completed", "usage": usage}, **lane}
        for told in (begun, ended):
            await self._frames.put(json.dumps(told).encode())

    async def _pass_on(self, call: Call, stream: "_Stream") -> None:
        try:
            head = await call.head()
            if head.status >= 400:
                told = {"type": "error", "status": head.status, "error": _error_in(await _bounded(call)), **stream.lane}
                await self._frames.put(json.dumps(told).encode())
                return
            framing = ServerSentEvents()
            while chunk := await call.read():
                for frame in framing.feed(chunk):
                    await self._pass(frame.data, stream)
            for frame in framing.end():
                await self._pass(frame.data, stream)
            if not stream.over:
                raise UpstreamCut("The provider ended its stream before the response was whole.")
        finally:
            call.abort()

    async def _pass(self, data: bytes, stream: "_Stream") -> None:
        """One event as a frame: the provider's own text, but for the lane."""
        event = _object(data)
        if event is None:  # [DONE], or what is no event
            return
        stream.see(event)
        if stream.over and not stream.stored:
            self._remember(stream.response_id, [*stream.said, *stream.output])
        await self._frames.put(json.dumps(event | stream.lane).encode() if stream.lane else data)


class _Stream:
    """One response on its way over HTTP."""

    def __init__(self, lane: dict[str, Any], said: list[Any], *, stored: bool) -> None:
        self.lane = lane
        self.said = said
        self.stored = stored
        self.response_id = ""
        self.output: list[Any] = []
        self.over = False

    def see(self, event: dict[str, Any]) -> None:
        """An event goes on."""
        response = event.get("response")
        if isinstance(response, dict):
            self.response_id = _name(response.get("id")) or self.response_id
            output = response.get("output")
            self.output = output if isinstance(output, list) else []
        self.over = self.over or event.get("type") in _TERMINALS

    def failure(self, error: HeadgateError) -> bytes:
        """The frame that ends it: of a response that had begun its terminal, else an error in its place."""
        told = {"code": error.code, "message": error.message}
        if not self.response_id:
            kind = {"type": "error", "status": error.status, "error": {"type": error.code, **told}}
            return json.dumps(kind | self.lane).encode()
        response = {"id": self.response_id, "object": "response", "status": "failed", "error": told, "output": []}
        return json.dumps({"type": "response.failed", "response": response, **self.lane}).encode()


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


async def _bounded(call: Call) -> bytes:
    body = b""
    while len(body) < _ERROR_BYTES and (chunk := await call.read()):
        body += chunk
    return body


def _error_in(body: bytes) -> Any:
    """The provider's own error object; its text where there is none."""
    error = (_object(body) or {}).get("error")
    return error if isinstance(error, dict) else {"message": body[:1000].decode(errors="replace"), "code": None}
