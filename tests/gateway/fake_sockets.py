"""Both ends of a WebSocket, played by a test: frames go in when it says so, and what comes out is kept."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from headgate.gateway.request import Request
from headgate.gateway.sessions import Sessions
from headgate.gateway.socket import BinaryFrame, Refusal, SocketClosed
from headgate.gateway.upstream import Headers, UpstreamRequest
from headgate.providers.base import TimeLimits
from headgate.records import Record
from tests.gateway.fakes import BEARER, Stage

Peer = bytes | SocketClosed | BinaryFrame
"""What a socket's far end does."""


@dataclass
class FakeSocket:
    """One end. `plays` is what its far end does next; `sent` what it was sent; `closed` how we closed it."""

    headers: Headers = ()
    sent: list[bytes] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    accepted: Headers | None = None
    refused: tuple[int, Headers, bytes] | None = None
    gone: SocketClosed | None = None
    """Its sends fail with this from now on, before anything is received."""
    slow: bool = False
    """It takes nothing: `send` waits."""
    holds: bool = False
    """It takes frames, and they do not go out."""
    _coming: asyncio.Queue[Peer] = field(default_factory=asyncio.Queue)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def plays(self, *steps: Peer) -> None:
        for step in steps:
            self._coming.put_nowait(step)

    def stops_being_slow(self) -> None:
        self.slow = False
        self._changed.set()

    async def has_sent(self, count: int) -> list[bytes]:
        """What it was sent, once there is that much."""
        while len(self.sent) < count:
            await self._change()
        return self.sent

    async def is_closed(self) -> tuple[int, str]:
        while self.closed is None:
            await self._change()
        return self.closed

    async def accept(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if self.gone is not None:
            raise self.gone
        self.accepted = headers
        self._changed.set()

    async def refuse(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        if self.gone is not None:
            raise self.gone
        self.refused = status, headers, body

    async def receive(self) -> bytes:
        step = await self._coming.get()
        if isinstance(step, bytes):
            return step
        if isinstance(step, SocketClosed):
            self.gone = self.gone or step
        raise step

    async def send(self, frame: bytes) -> None:
        await asyncio.sleep(0)
        while self.slow:
            await self._change()
        if self.gone is not None:
            raise self.gone
        self.sent.append(frame)
        self._changed.set()

    def holds_back(self, frame: bytes) -> bool:
        return self.holds and frame in self.sent

    async def close(self, code: int, reason: str = "") -> None:
        self.closed = self.closed or (code, reason)
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


@dataclass
class FakeSockets:
    """A provider's end for each upgrade, in order; an answer that is none of these is how it fails."""

    answers: list[FakeSocket | Refusal | Exception] = field(default_factory=list)
    requests: list[UpstreamRequest] = field(default_factory=list)
    hangs: bool = False

    async def connect(self, request: UpstreamRequest) -> FakeSocket | Refusal:
        self.requests.append(request)
        if self.hangs:
            await asyncio.Event().wait()
        answer = self.answers[len(self.requests) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def upgrade(path: str = "/v1/responses", query: bytes = b"", *headers: tuple[bytes, bytes]) -> Request:
    return Request("GET", path, query, [BEARER, *headers], b"")


@dataclass
class Line:
    """A session under way between two fake ends."""

    scene: Stage
    sessions: Sessions
    client: FakeSocket
    upstream: FakeSocket
    serving: asyncio.Task[None]

    async def over(self) -> list[Record]:
        """Wait for its end: every turn has one record and one settlement, and nothing is held."""
        await asyncio.wait_for(self.serving, 10)
        records = self.scene.records()
        assert len({record.exchange_id for record in records}) == len(records)
        for record in records:
            await self.scene.agrees(record)
        account = await self.scene.store.account("team")
        assert account is None or account.held_nanos == 0
        assert not list(self.scene.gateway.live)
        return records

    async def records(self, count: int) -> list[Record]:
        """The first records, once there are that many, while the socket stands."""
        while len(found := self.scene.records()) < count:
            await asyncio.sleep(0)
        return found


@asynccontextmanager
async def line(
    scene: Stage,
    request: Request | None = None,
    *,
    drain_seconds: float = 5.0,
    origins: frozenset[str] = frozenset(),
    idle_seconds: float = 300.0,
    unused_seconds: float = 3600.0,
) -> AsyncIterator[Line]:
    """A session; a test ends it, and asks `over` for what became of it."""
    client, upstream = FakeSocket(), FakeSocket()
    sessions = Sessions(
        scene.gateway,
        FakeSockets([upstream]),
        TimeLimits(idle=idle_seconds),
        drain_seconds=drain_seconds,
        origins=origins,
        unused_seconds=unused_seconds,
    )
    serving = asyncio.create_task(sessions.serve(request or upgrade(), client))
    while client.accepted is None and not serving.done():
        await asyncio.sleep(0)
    try:
        yield Line(scene, sessions, client, upstream, serving)
        assert serving.done(), "the test looks at the end"
    finally:
        serving.cancel()
        await asyncio.wait({serving})


def event(kind: str, **more: Any) -> bytes:
    return json.dumps({"type": kind, **more}).encode()


def create(**more: Any) -> bytes:
    return event("response.create", **({"model": "gpt-4o-mini", "max_output_tokens": 50, "input": "hi"} | more))


def created(name: str, **more: Any) -> bytes:
    return event("response.created", response={"id": name, "model": "gpt-4o-mini"}, **more)


def delta(words: str, **more: Any) -> bytes:
    return event("response.output_text.delta", delta=words, item_id="i", **more)


def terminal(name: str, status: str = "completed", tokens: tuple[int, int] = (10, 3), **more: Any) -> bytes:
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
    response = {"id": name, "status": status, "model": "gpt-4o-mini", "usage": usage, "output": []}
    return event(f"response.{status}", response=response | more.pop("response", {}), **more)
