"""Both providers that the agents speak to, at one address: Responses over HTTP and over a socket, and Messages."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from headgate.net.server import bind

TEXT = "Water runs through the headgate and is measured."
RESPONSES_TOKENS, WARM_TOKENS, MESSAGES_TOKENS = (4021, 12), (18, 0), (2503, 9)
"""Input and output: of an answer, of a response without output that warms the cache, and of a message."""


@dataclass(frozen=True)
class Asked:
    """What reached the provider: an HTTP request, or one frame of a socket."""

    method: str
    """"FRAME" for a socket's."""
    target: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Provider:
    """An ASGI application that remembers what it was asked."""

    asked: list[Asked] = field(default_factory=list)
    sockets: int = 0
    url: str = ""
    _made: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        target = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        if scope["type"] == "websocket":
            await self._socket(target, headers, receive, send)
            return
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        said = json.loads(body + message.get("body", b"") or b"{}")
        self.asked.append(Asked(scope["method"], target, headers, said))
        if scope["path"] == "/v1/responses":
            events = self._response(said)
        elif scope["path"] == "/v1/messages":
            events = self._message(said)
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        content = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": content})
        for event in events:
            frame = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _socket(self, target: str, headers: dict[str, str], receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        self.sockets += 1
        await send({"type": "websocket.accept", "headers": [(b"x-codex-turn-state", b"pinned")]})
        while (message := await receive())["type"] == "websocket.receive":
            said = json.loads(message["text"])
            self.asked.append(Asked("FRAME", target, headers, said))
            if said["type"] == "response.create":
                for event in self._response(said):
                    await send({"type": "websocket.send", "text": json.dumps(event)})

    def _response(self, said: dict[str, Any]) -> list[dict[str, Any]]:
        self._made += 1
        warms = said.get("generate") is False
        tokens = WARM_TOKENS if warms else RESPONSES_TOKENS
        usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
        about = {"id": f"resp_{self._made}", "object": "response", "created_at": 1, "model": said["model"]}
        part = {"type": "output_text", "text": TEXT, "annotations": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
        where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        told: list[dict[str, Any]] = [
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
            {"type": "response.output_text.delta", **where, "delta": TEXT},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
        ]
        first = {"type": "response.created", "response": {**about, "status": "in_progress", "output": []}}
        done = {**about, "status": "completed", "output": [] if warms else [item], "usage": usage}
        return [first, *([] if warms else told), {"type": "response.completed", "response": done}]

    def _message(self, said: dict[str, Any]) -> list[dict[str, Any]]:
        self._made += 1
        about = {"id": f"msg_{self._made}", "type": "message", "role": "assistant", "model": said["model"]}
        start = {"input_tokens": MESSAGES_TOKENS[0], "output_tokens": 1}
        return [
            {
                "type": "message_start",
                "message": {**about, "content": [], "stop_reason": None, "stop_sequence": None, "usage": start},
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}},
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": MESSAGES_TOKENS[1]},
            },
            {"type": "message_stop"},
        ]


@asynccontextmanager
async def served() -> AsyncIterator[Provider]:
    """A provider that listens."""
    provider = Provider()
    taken = bind("127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    config = uvicorn.Config(provider, ws="websockets-sansio", ws_max_size=2**26, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[taken]))
    try:
        yield provider
    finally:
        server.should_exit = True
        await task
