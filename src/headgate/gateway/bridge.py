"""A socket towards a provider that has Responses over HTTP only: each create goes out as a stream of its own.

Its events come back as frames, as a provider's own socket would send them. Members are passed on as they are written;
none is read that is not needed. What such a socket remembers, the bridge
remembers: a response that was not stored is known to the next create by its id, with what was said before it. A
warm-up (`generate: false`) is answered here, because over HTTP it would be a real response (facts/stream_cases.md 4.3).
"""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from headgate import jsontext
from headgate.errors import Busy, HeadgateError, UpstreamCut
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
_REMEMBERED_BYTES = 32 * 1024 * 1024
"""Of what was said up to them; each has all of it."""
_OURS = frozenset({"type", "stream_id", "generate"})
"""What a create has that a POST has not."""
_TERMINALS = {"response.completed", "response.incomplete", "response.failed"}

_log = logging.getLogger("headgate.session")

Prepare = Callable[[bytes, str | None], Awaitable[UpstreamRequest]]
"""Makes the HTTP request of a body, for the model that it names. Raises UpstreamUnreachable."""


class _Connected(Exception):
    """There is a connection, and that is all that was asked."""


async def _be_content() -> None:
    raise _Connected


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
        self._tasks: dict[asyncio.Task[None], _Stream] = {}
        self._said: OrderedDict[str, bytes] = OrderedDict()
        """By the id of a response that was not stored, the items of all that was said to its end; the latest last."""
        self._said_bytes = 0
        self._closed = False

    async def knock(self) -> None:
        """Make sure that there is a provider: it is connected to, and sent nothing. Raises UpstreamUnreachable."""
        request = await self._prepare(b"{}", None)
        if self._upstream.ready(request.origin):
            return
        call = self._upstream.open(request, _be_content)
        try:
            await call.head()
        except _Connected:
            return
        finally:
            call.abort()

    async def receive(self) -> bytes:
        """The next frame."""
        return await self._frames.get()

    async def send(self, frame: bytes) -> None:
        """A create begins a stream, after the one that runs in its lane; other frames mean nothing over HTTP.

        Expects what the conversation has taken for one JSON object.
        """
        if _value(jsontext.value_of(frame, "type")) != "response.create":
            return
        await self._room.acquire()
        if self._closed:
            raise SocketClosed(1006)
        stream = _Stream(frame)
        lane = str(stream.lane.get("stream_id", ""))
        task = self._lanes[lane] = asyncio.create_task(self._answer(stream, self._lanes.get(lane)))
        self._tasks[task] = stream
        task.add_done_callback(lambda done: self._over(lane, done))

    def holds_back(self, frame: bytes) -> bool:
        """Whether a create waits for its lane, or for a connection."""
        return any(stream.frame is frame and not stream.sent for stream in self._tasks.values())

    def _over(self, lane: str, task: "asyncio.Task[None]") -> None:
        self._room.release()
        del self._tasks[task]
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
            await asyncio.wait(set(self._tasks))

    async def _answer(self, stream: "_Stream", before: "asyncio.Task[None] | None") -> None:
        """Serve a create in its lane's order; what goes wrong is told in its place, whatever it is."""
        if before is not None:
            await asyncio.wait({before})
        (fault,) = await asyncio.gather(self._serve(stream), return_exceptions=True)
        if fault is None or stream.over:
            return
        match fault:
            case HeadgateError():
                error = fault
            case CallAborted():
                error = Busy("The gateway is stopping.")
            case _:
                _log.error("a bridge's stream failed", exc_info=fault)
                error = HeadgateError("The gateway failed to handle this request.")
        await self._frames.put(stream.failure(error, f"resp_{self._new_id()}"))

    async def _serve(self, stream: "_Stream") -> None:
        asked = stream.asked
        known = self._said.get(_name(_value(asked.get("previous_response_id"))))
        stream.said = _joined(known or b"", _items_asked(asked.get("input", b"null")))
        if asked.get("generate") == b"false":
            await self._warm_up(stream)
            return
        body = {name: text for name, text in asked.items() if name not in _OURS} | {"stream": b"true"}
        if known is not None:
            del body["previous_response_id"]
            body["input"] = b"[%b]" % stream.said
        request = await self._prepare(_object_of(body), _name(_value(asked.get("model"))) or None)
        stream.call = self._upstream.open(request)
        await self._pass_on(stream.call, stream)

    def _remember(self, response_id: str, said: bytes) -> None:
        """Remember a response as the latest; without an id nobody could build upon it."""
        if not response_id:
            return
        self._said_bytes += len(said) - len(self._said.pop(response_id, b""))
        self._said[response_id] = said
        while len(self._said) > _REMEMBERED or self._said_bytes > _REMEMBERED_BYTES:
            _, forgotten = self._said.popitem(last=False)
            self._said_bytes -= len(forgotten)

    async def _warm_up(self, stream: "_Stream") -> None:
        response_id = f"resp_{self._new_id()}"
        model = _name(_value(stream.asked.get("model"))) or None
        response: dict[str, Any] = {"id": response_id, "object": "response", "model": model, "output": []}
        self._remember(response_id, stream.said)
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        begun = {"type": "response.created", "response": {**response, "status": "in_progress"}}
        ended = {"type": "response.completed", "response": {**response, "status": "completed", "usage": usage}}
        for told in (begun, ended):
            await self._frames.put(json.dumps(told | stream.lane).encode())

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
        stream.see(event, data)
        if stream.over and not stream.stored:
            self._remember(stream.response_id, _joined(stream.said, stream.output))
        lane = stream.asked["stream_id"] if stream.lane else None
        await self._frames.put(data if lane is None else jsontext.with_member(data, "stream_id", lane))


class _Stream:
    """One response on its way over HTTP."""

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.asked = {member.key: frame[member.start : member.end] for member in jsontext.members(frame)}
        """The create's members, as they are written."""
        name = _value(self.asked.get("stream_id"))
        self.lane: dict[str, Any] = {"stream_id": name} if name else {}
        self.stored = self.asked.get("store") != b"false"
        self.call: Call | None = None
        self.said = b""
        self.response_id = ""
        self.output = b""
        self.over = False

    @property
    def sent(self) -> bool:
        """Whether any of it has gone out."""
        return self.call is not None and self.call.sent

    def see(self, event: Mapping[str, Any], data: bytes) -> None:
        """An event goes on."""
        response = event.get("response")
        if isinstance(response, dict):
            self.response_id = _name(response.get("id")) or self.response_id
        if event.get("type") in _TERMINALS:
            self.over = True
            self.output = _items(jsontext.value_of(jsontext.value_of(data, "response") or b"", "output") or b"")

    def failure(self, error: HeadgateError, spare_id: str) -> bytes:
        """The frame that ends it: the terminal of a response, or an error in the place of one that was never sent.

        What was sent may cost, though it named no id yet: as a mere error it would count as refused, for nothing.
        """
        told = {"code": error.code, "message": error.message}
        if not self.response_id and not self.sent:
            kind = {"type": "error", "status": error.status, "error": {"type": error.code, **told}}
            return json.dumps(kind | self.lane).encode()
        name = self.response_id or spare_id
        response = {"id": name, "object": "response", "status": "failed", "error": told, "output": []}
        return json.dumps({"type": "response.failed", "response": response, **self.lane}).encode()


def _name(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _value(text: bytes | None) -> Any:
    """A small member's value; None where there is none, or no parser of ours takes it."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def _object(data: bytes) -> dict[str, Any] | None:
    value = _value(data)
    return value if isinstance(value, dict) else None


def _object_of(members: Mapping[str, bytes]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % (json.dumps(name).encode(), text) for name, text in members.items())


def _items(text: bytes) -> bytes:
    """What stands between an array's brackets; nothing of what is no array."""
    return text[1:-1].strip() if text.startswith(b"[") else b""


def _items_asked(given: bytes) -> bytes:
    """A create's input as items: a text is one of the user's."""
    if given.startswith(b"[") or given == b"null":
        return _items(given)
    return b'{"role":"user","content":%b}' % given


def _joined(*items: bytes) -> bytes:
    return b",".join(part for part in items if part)


async def _bounded(call: Call) -> bytes:
    body = b""
    while len(body) < _ERROR_BYTES and (chunk := await call.read()):
        body += chunk
    return body


def _error_in(body: bytes) -> Any:
    """The provider's own error object; its text where there is none."""
    error = (_object(body) or {}).get("error")
    return error if isinstance(error, dict) else {"message": body[:1000].decode(errors="replace"), "code": None}
