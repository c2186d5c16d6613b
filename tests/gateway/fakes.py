"""Both ends of an exchange, played from a script: a conversation that a test can read aloud."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

from headgate.access.keys import Keys
from headgate.access.virtual import VirtualKey, digest_of
from headgate.config import price_data
from headgate.gateway.appraise import Appraiser
from headgate.gateway.deadline import Deadline
from headgate.gateway.exchange import Clock, Gateway
from headgate.gateway.forward import Bounds, Forwarder
from headgate.gateway.hold import Counting, Holds
from headgate.gateway.holder import Doorkeeper
from headgate.gateway.receipt import Trailers
from headgate.gateway.record import Trails
from headgate.gateway.request import ClientGone, Request
from headgate.gateway.settle import Settler
from headgate.gateway.tariff import Tariff
from headgate.gateway.upstream import CallAborted, Clearance, Head, Sink, UpstreamRequest
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import Account, AccountKind, Entry, EntryKind
from headgate.pricing.book import PriceBook
from headgate.pricing.markup import Markups
from headgate.providers import registry
from headgate.providers.base import Deployment, OnClientGone, Origin, Secret
from headgate.records import Record, Settled, exchange_of, hold_id_of
from headgate.routing.aliases import Alias
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from headgate.settlement import OnUpstreamFailure
from headgate.stores.memory import MemoryStore

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
    clearance: Clearance | None = None
    _abort: asyncio.Event = field(default_factory=asyncio.Event)
    _at: int = 0

    async def head(self) -> Head:
        if self.clearance is not None:
            await self.clearance()
            self.sent = True
        if isinstance(self.answer, str):
            await self._abort.wait()
        if self.aborted:
            raise CallAborted
        if isinstance(self.answer, Exception):
            raise self.answer
        assert isinstance(self.answer, Head)
        return self.answer

    async def read(self, sink: Sink | None = None) -> bytes:
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
                if sink is None or not sink(step):
                    return step
                await asyncio.sleep(0)
                continue
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

    is_ready: bool = True
    clearances: list[Clearance | None] = field(default_factory=list)

    def ready(self, origin: Origin) -> bool:
        del origin
        return self.is_ready

    def open(self, request: UpstreamRequest, clearance: Clearance | None = None) -> FakeCall:
        self.requests.append(request)
        self.clearances.append(clearance)
        call = self.calls[len(self.requests) - 1]
        if clearance is not None:
            call.clearance, call.sent = clearance, False
        return call


@dataclass
class FakeClient:
    """Keeps what it is sent."""

    status: int | None = None
    headers: Sequence[tuple[bytes, bytes]] = ()
    chunks: list[bytes] = field(default_factory=list)
    ended: bool = False
    aborted: bool = False
    gone: bool = False
    announced: bool = False
    keeps_up: bool = True
    """Takes at once what is put."""
    trailers: Sequence[tuple[bytes, bytes]] = ()
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

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]], *, trailers: bool = False) -> None:
        if self.gone:
            raise ClientGone
        self.status, self.headers, self.announced = status, headers, trailers

    async def write(self, chunk: bytes) -> None:
        if self.gone:
            raise ClientGone
        self.chunks.append(chunk)

    def put(self, chunk: bytes) -> bool:
        if self.gone:
            raise ClientGone
        if self.started and self.keeps_up:
            self.chunks.append(chunk)
        return self.started and self.keeps_up

    async def end(self, trailers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        if self.gone:
            raise ClientGone
        self.ended, self.trailers = True, trailers

    def abort(self) -> None:
        self.aborted = True


def deployment(name: str, *, policy: OnClientGone = OnClientGone.CUT, client_keys: bool = False) -> Deployment:
    provider = registry.by_name(name)
    credential = None if client_keys else Secret(f"sk-{name}-credential")
    return Deployment(name, provider, provider.base_url, credential, policy, client_keys)


def clock() -> Clock:
    """Time that moves a millisecond each time someone looks; ids that count."""
    ticks, ids = itertools.count(0, 1_000_000), itertools.count(1)
    return Clock(lambda: NOW_NS, lambda: next(ticks), lambda: f"ex_{next(ids)}")


ACCOUNT, KEY_ID, KEY_TEXT = "team", "key_1", b"hg-alices-own-key"
BEARER = (b"authorization", b"Bearer " + KEY_TEXT)
CREDIT = 10**9


def virtual_key(text: bytes = KEY_TEXT, key_id: str = KEY_ID, **more: Any) -> VirtualKey:
    return VirtualKey(key_id, more.pop("name", "alice"), ACCOUNT, digest_of(text, SECRET), "hg-alice", 0, **more)


@dataclass
class Stage:
    """A gateway between a fake upstream and fake clients."""

    upstream: FakeUpstream
    store: MemoryStore
    gateway: Gateway

    def records(self) -> list[Record]:
        """In the order in which they were made."""
        return self.store.kept[::-1]

    async def play(self, request: Request, client: FakeClient) -> Record:
        before = len(self.records())
        await self.gateway.exchange(request, client)
        assert len(self.records()) == before + 1, "exactly one record"
        record = self.records()[-1]
        await self.agrees(record)
        return record

    async def open_account(
        self, kind: AccountKind = AccountKind.PREPAID, credit: int = CREDIT, limit: int | None = None
    ) -> None:
        await self.store.submit(OpenAccount(ACCOUNT, kind, 0, limit))
        if credit:
            await self.store.submit(Post("first", ACCOUNT, EntryKind.TOP_UP, credit, 0))

    async def with_key(self, kind: AccountKind = AccountKind.PREPAID, credit: int = CREDIT, **more: Any) -> "Stage":
        """An account, and the key of `BEARER` that spends from it."""
        await self.open_account(kind, credit)
        await self.store.put_key(virtual_key(**more))
        return self

    async def account(self) -> Account:
        account = await self.store.account(ACCOUNT)
        assert account is not None
        return account

    async def entries(self, record: Record, number: int = 1) -> list[Entry]:
        """Of the hold of a record's attempt, oldest first."""
        hold_id = hold_id_of(record.exchange_id, number)
        return [entry for _, entry in await self.store.entries(hold_id=hold_id)][::-1]

    async def agrees(self, record: Record) -> None:
        """What must hold of any exchange: one resolution of its hold, and one amount, wherever it is told."""
        bill = record.bill
        if bill.lines:
            parts = [Decimal(x.dollars) * Decimal(x.quantity) * 10**9 / x.per for x in bill.lines]
            if len({attempt.hold_id for attempt in record.attempts}) < 2:
                assert bill.cost_nanos == int(sum(parts, Decimal(0)).quantize(Decimal(1), ROUND_HALF_UP))
        assert all(exchange_of(hold.hold_id) != record.exchange_id for hold in await self.store.open_holds())
        legs = [found for n in range(1, 9) if (found := await self.entries(record, n))]
        if len(legs) > 1:
            await self._adds_up(record, legs)
            return
        entries = legs[0] if legs else []
        assert bool(entries) == (bill.account is not None)
        if bill.account is None:
            assert (bill.hold_nanos, bill.charge_nanos, bill.settled) == (None, None, None)
            return
        resolving = [entry.kind for entry in entries if entry.kind in RESOLVING]
        assert resolving == [EntryKind.CAPTURE if bill.settled is Settled.CAPTURED else EntryKind.VOID]
        assert sum(entry.held_nanos for entry in entries) == 0
        assert -sum(entry.posted_nanos for entry in entries) == (bill.charge_nanos or 0)
        assert entries[0].held_nanos == bill.hold_nanos

    async def _adds_up(self, record: Record, legs: Sequence[Sequence[Entry]]) -> None:
        """Each attempt's hold is resolved by itself, and what all of them took is the charge on record."""
        for entries in legs:
            assert len([entry for entry in entries if entry.kind in RESOLVING]) == 1
            assert sum(entry.held_nanos for entry in entries) == 0
            of_it = [a for a in record.attempts if a.hold_id == entries[0].hold_id]
            if of_it:  # a hold may be placed and its request never go out
                assert -sum(e.posted_nanos for e in entries) == sum(a.charge_nanos or 0 for a in of_it)
        assert record.bill.charge_nanos == -sum(entry.posted_nanos for entries in legs for entry in entries)
        assert record.bill.cost_nanos == sum(attempt.cost_nanos or 0 for attempt in record.attempts)


RESOLVING = {EntryKind.CAPTURE, EntryKind.VOID, EntryKind.EXPIRE}
SECRET = b"a secret for digests"
NOW_NS = 1_800_000_000_000_000_000
NODE = "node-1"


def stage(
    *calls: FakeCall,
    deployments: Sequence[Deployment] | None = None,
    keys: dict[str, str] | None = None,
    bounds: Bounds | None = None,
    book: PriceBook | None = None,
    trailers: Trailers = Trailers.ASKED,
    policy: OnUpstreamFailure = OnUpstreamFailure.DELIVERED,
    markups: Markups | None = None,
    ready: bool = True,
    store: MemoryStore | None = None,
    tokenizer: Counting | None = None,
    aliases: Sequence[Alias] = (),
) -> Stage:
    deployments = [deployment("openai"), deployment("anthropic")] if deployments is None else deployments
    store, upstream = store or MemoryStore(), FakeUpstream(list(calls), is_ready=ready)
    tariff = Tariff(book or BOOK, markups or Markups())
    settler = Settler(store)
    gateway = Gateway(
        door=Doorkeeper(Keys(keys or {}), store, SECRET, lambda: NOW_NS),
        models=Models(tuple(deployments), Catalogue.from_json(b"{}"), None, aliases),
        holds=Holds(store, tariff, NODE, tokenizer, deadline=Deadline(0.05), abandon=settler.abandon),
        forwarder=Forwarder(upstream, bounds or Bounds(), trailers=trailers),
        appraiser=Appraiser(tariff, policy),
        settler=settler,
        log=store,
        trails=Trails(store),
        clock=clock(),
    )
    return Stage(upstream, store, gateway)


@cache
def packaged_book() -> PriceBook:
    return PriceBook.from_json(price_data())


def priced(rates: Mapping[str, str], **more: Any) -> dict[str, Any]:
    return {"prices": [{"rates": rates}], **more}


PLAIN = {"input_mtok": "1", "output_mtok": "2"}
BOOK = PriceBook.from_json({"format": 1, "source": {"name": "tests"}, "providers": {
    "openai": {"models": [
        priced(PLAIN, id="gpt-4o-mini", match=[{"starts_with": "gpt-4o-mini-"}], context=128_000),
        priced(PLAIN, id="gpt-5"),
    ]},
    "anthropic": {"models": [priced(PLAIN, id="claude-haiku-4-5")]},
    "google": {"models": [priced(PLAIN, id="gemini-3-flash")]},
    "bedrock": {"models": [priced(PLAIN, id="amazon.nova-lite-v1:0")]},
    "cohere": {"models": [priced(PLAIN, id="command-a")]},
    "ollama": {"models": [priced(PLAIN, id="llama3")]},
    "openrouter": {"models": [priced(PLAIN, id="openai/gpt-4o-mini")]},
}})  # fmt: skip
"""One dollar a million tokens in, two out: 1,000 and 2,000 nano-dollars a token."""
IN, OUT = 1_000, 2_000


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
