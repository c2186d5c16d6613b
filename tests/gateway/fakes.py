"""Both ends of an exchange, played from a script: a conversation that a test can read aloud."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from headgate.access.keys import Keys
from headgate.gateway.exchange import Clock, Gateway
from headgate.gateway.forward import Bounds, Forwarder
from headgate.gateway.record import Trails
from headgate.gateway.request import ClientGone, Request
from headgate.gateway.upstream import CallAborted, Head, UpstreamRequest
from headgate.providers import registry
from headgate.providers.base import Deployment, OnClientGone, Secret
from headgate.records import Record
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from headgate.stores.memory import MemoryRecordLog

SSE = [(b"content-type", b"text/event-stream")]
JSON = [(b"content-type", b"application/json")]

Step = bytes | Exception | Callable[[], None]
"""A chunk, a failure, or something that happens meanwhile; the script's end is the body's."""

HANG = "hang"


@dataclass
class FakeCall:
    """Plays one answer."""

    answer: Head | Exception | str
    steps: Sequence[Step | str] = ()
    sent: bool = True
    aborted: bool = False
    ended: bool = False
    _abort: asyncio.Event = field(default_factory=asyncio.Event)
    _at: int = 0

    async def head(self) -> Head:
        if isinstance(self.answer, str):
            await self._abort.wait()
        if self.aborted:
            raise CallAborted
        if isinstance(self.answer, Exception):
            raise self.answer
        assert isinstance(self.answer, Head)
        return self.answer

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        while True:
            if self.aborted:
                raise CallAborted
            if self._at == len(self.steps):
                self.ended = True
                return b""
            step = self.steps[self._at]
            self._at += 1
            if isinstance(step, bytes):
                return step
            if isinstance(step, Exception):
                raise step
            if isinstance(step, str):
                await self._abort.wait()
            else:
                step()

    def abort(self) -> None:
        if not self.ended:
            self.aborted = True
        self._abort.set()


@dataclass
class FakeUpstream:
    """Opens the calls it was given, in order."""

    calls: list[FakeCall]
    requests: list[UpstreamRequest] = field(default_factory=list)

    def open(self, request: UpstreamRequest) -> FakeCall:
        self.requests.append(request)
        return self.calls[len(self.requests) - 1]


@dataclass
class FakeClient:
    """Keeps what it is sent."""

    status: int | None = None
    headers: Sequence[tuple[bytes, bytes]] = ()
    chunks: list[bytes] = field(default_factory=list)
    ended: bool = False
    aborted: bool = False
    gone: bool = False
    _callback: Callable[[], None] | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def started(self) -> bool:
        return self.status is not None

    def on_gone(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        if self.gone:
            callback()

    def leave(self) -> None:
        self.gone = True
        if self._callback is not None:
            self._callback()

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if self.gone:
            raise ClientGone
        self.status, self.headers = status, headers

    async def write(self, chunk: bytes) -> None:
        if self.gone:
            raise ClientGone
        self.chunks.append(chunk)

    async def end(self) -> None:
        if self.gone:
            raise ClientGone
        self.ended = True

    def abort(self) -> None:
        self.aborted = True


def deployment(name: str, *, policy: OnClientGone = OnClientGone.CUT, client_keys: bool = False) -> Deployment:
    provider = registry.by_name(name)
    credential = None if client_keys else Secret(f"sk-{name}-credential")
    return Deployment(name, provider, provider.base_url, credential, policy, client_keys)


def clock() -> Clock:
    """Time that moves a millisecond each time someone looks; ids that count."""
    ticks, ids = itertools.count(0, 1_000_000), itertools.count(1)
    return Clock(lambda: 1_800_000_000_000_000_000, lambda: next(ticks), lambda: f"ex_{next(ids)}")


@dataclass
class Stage:
    """A gateway between a fake upstream and fake clients."""

    upstream: FakeUpstream
    log: MemoryRecordLog
    gateway: Gateway

    def records(self) -> list[Record]:
        """In the order in which they were made."""
        return self.log.records(limit=1000)[::-1]

    async def play(self, request: Request, client: FakeClient) -> Record:
        before = len(self.records())
        await self.gateway.exchange(request, client)
        assert len(self.records()) == before + 1, "exactly one record"
        return self.records()[-1]


def stage(
    *calls: FakeCall,
    deployments: Sequence[Deployment] | None = None,
    keys: dict[str, str] | None = None,
    bounds: Bounds | None = None,
) -> Stage:
    deployments = [deployment("openai"), deployment("anthropic")] if deployments is None else deployments
    log, upstream = MemoryRecordLog(), FakeUpstream(list(calls))
    models = Models(tuple(deployments), Catalogue.from_json(b"{}"), None)
    forwarder = Forwarder(upstream, bounds or Bounds())
    gateway = Gateway(forwarder, models, Keys(keys or {}), log, Trails(log), clock())
    return Stage(upstream, log, gateway)


def post(path: str, body: bytes, *headers: tuple[bytes, bytes]) -> Request:
    return Request("POST", path, b"", list(headers), body)


CHAT = b'{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}'
MESSAGES = b'{"model":"claude-haiku-4-5","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}'

FIRST = (
    b'data: {"id":"c1","model":"gpt-4o-mini-2024","choices":[{"index":0,"delta":{"content":"Hello"}}],"usage":null}\n\n'
)
FINISH = b'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
USAGE = b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}\n\n'
DONE = b"data: [DONE]\n\n"


def ok(*steps: Step | str, headers: Sequence[tuple[bytes, bytes]] = SSE) -> FakeCall:
    return FakeCall(Head(200, headers), steps)
