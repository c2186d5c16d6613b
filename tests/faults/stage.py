"""Where a play is played: a gateway as it is served, on SQLite, with a prepaid account, and a proxy on either side."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httptools
import pytest

from headgate import wiring_edition
from headgate.access.virtual import VirtualKey, digest_of, hint_of
from headgate.config import Settings, price_data
from headgate.ledger.commands import OpenAccount, Post, Resolution
from headgate.ledger.entries import AccountKind, Entry, EntryKind, Outcome
from headgate.net.http_protocol import ClientLimits
from headgate.net.server import bind, make_server
from headgate.pricing.book import PriceBook
from headgate.pricing.overrides import overrides_from
from headgate.providers import registry
from headgate.providers.base import Deployment, OnClientGone, Secret
from headgate.records import Record
from headgate.sections import AccessSection, LimitsSection
from headgate.stores.sqlite import SqliteStore
from headgate.testing.faults import Corrupt, Stall
from headgate.testing.proxy import Direction, Proxy, proxying
from headgate.testing.upstream import ScriptedUpstream, response
from headgate.wiring import build
from tests.e2e.running import ACCESS_SECRET, CREDENTIAL
from tests.faults.plays import KEY, MODEL, PROVIDERS, Play
from tests.net.wire import open_sockets

ACCOUNT = "team"
CREDIT_NANOS = 10**15
LIMITS = LimitsSection(
    connect_seconds=2.0,
    first_byte_seconds=0.4,
    idle_seconds=0.4,
    total_seconds=4.0,
    drain_seconds=0.4,
    client_head_seconds=0.4,
    client_body_seconds=0.4,
    client_idle_seconds=0.4,
    stop_seconds=5,
)
PATIENCE_SECONDS = 0.8
"""Of a client that cannot be told that its answer is over; then it leaves."""
TICK_SECONDS = 0.003
GUARD_TICKS = 6_000
"""Far above all limits together. Ticks, because machines that tests run on stop for a minute, and nobody hangs then."""
BUFFER = 16 * 1024
"""Of the kernel for the proxies: a large answer that stalls is felt by the gateway."""


class WatchedStore(SqliteStore):
    """A store that counts how often each record is handed to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.given: Counter[str] = Counter()
        self.kept: set[str] = set()

    def append(self, record: Record) -> None:
        self.given[record.exchange_id] += 1
        self.kept.add(record.exchange_id)
        super().append(record)

    async def settle(self, resolution: Resolution, record: Record) -> Outcome:
        self.given[record.exchange_id] += 1
        outcome = await super().settle(resolution, record)
        self.kept.add(record.exchange_id)
        return outcome


class Answers:
    """HTTP answers as they stand on a connection, one after the other; what is none ends them."""

    def __init__(self, said: bytes = b"") -> None:
        self.all: list[Message] = []
        self._broken = False
        self._parser = httptools.HttpResponseParser(self)
        self.feed(said)

    def feed(self, said: bytes) -> None:
        """Read on."""
        if not self._broken and said:
            try:
                self._parser.feed_data(said)
            except httptools.HttpParserError:
                self._broken = True

    @property
    def complete(self) -> int:
        """How many came whole."""
        return sum(message.complete for message in self.all)

    def on_message_begin(self) -> None:
        self.all.append(Message())

    def on_header(self, name: bytes, value: bytes) -> None:
        self.all[-1].headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        self.all[-1].status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.all[-1].body += body

    def on_message_complete(self) -> None:
        self.all[-1].complete = True


@dataclass
class Message:
    """One answer."""

    status: int = 0
    """0 where its head did not come whole."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False


@dataclass(frozen=True)
class Played:
    """What came of a play."""

    play: Play
    said: Sequence[Message]
    """What the provider's answers were as they reached the gateway."""
    told: Sequence[Message]
    """What the gateway sent to the client."""
    records: Sequence[Record]
    entries: Sequence[Entry]
    """New ones, oldest first."""
    charged_nanos: int
    """By how much the account's balance went down."""


@dataclass
class Stage:
    """Everything that stands between plays."""

    store: WatchedStore
    upstream: ScriptedUpstream
    client_side: Proxy
    provider_side: Proxy
    opened: list[str]
    """The id of every exchange so far."""
    sockets: int
    """That were open before the first play."""
    last_entry: int = 0
    posted_nanos: int = CREDIT_NANOS

    async def play(self, play: Play) -> Played:
        """Play, and wait until nothing of it is left: no exchange, no hold, no task, no socket."""
        tasks, exchanges = asyncio.all_tasks(), len(self.opened)
        self.upstream.handler = lambda _: response(
            play.pieces, play.case.status, content_type=play.case.content_type, coding=play.coding, headers=play.headers
        )
        self._raise_the_curtain(play)
        asking = asyncio.create_task(_ask(self.client_side.port, play))
        await until(asking.done, "a request hangs beyond all limits")
        await asking
        await self.client_side.end_all()  # the client's machine is gone, with whatever stalled before it
        await until(lambda: self.store.kept >= set(self.opened[exchanges:]), "an exchange has no end")
        told = self._messages(self.client_side)
        said = self._messages(self.provider_side)
        await self.provider_side.end_all()
        await until(lambda: not asyncio.all_tasks() - tasks, "a task is left over")
        await until(lambda: open_sockets() <= self.sockets, "a socket is left over")
        return await self._outcome(play, said, told, self.opened[exchanges:])

    def _raise_the_curtain(self, play: Play) -> None:
        before = self.provider_side.accepted
        by_number = play.provider_side
        self.provider_side.faults = lambda number: by_number[min(number - before, len(by_number) - 1)]
        self.client_side.faults = play.client_side
        self.provider_side.passages.clear()
        self.client_side.passages.clear()

    def _messages(self, proxy: Proxy) -> list[Message]:
        """What went down through a proxy: of the provider's side as it left it, of the client's as it came in."""
        ours = proxy is self.client_side
        streams = [(p.came if ours else p.went)[Direction.DOWN] for p in proxy.passages]
        return [message for said in streams for message in Answers(bytes(said)).all]

    async def _outcome(
        self, play: Play, said: Sequence[Message], told: Sequence[Message], exchanges: Sequence[str]
    ) -> Played:
        records = []
        for exchange_id in exchanges:
            assert self.store.given[exchange_id] == 1, "a record for each exchange, once"
            await until(lambda: self.store.backlog == 0, "a record is not written")  # without a hold nobody waits
            record = await self.store.find(exchange_id)
            assert record is not None
            records.append(record)
        assert await self.store.open_holds() == []
        numbered = [pair for pair in await self.store.entries(ACCOUNT, limit=100) if pair[0] > self.last_entry]
        self.last_entry = max((number for number, _ in numbered), default=self.last_entry)
        account = await self.store.account(ACCOUNT)
        assert account is not None
        assert account.held_nanos == 0
        charged, self.posted_nanos = self.posted_nanos - account.posted_nanos, account.posted_nanos
        return Played(play, said, told, records, [entry for _, entry in reversed(numbered)], charged)


async def until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait for something that comes soon. Raises AssertionError if it does not."""
    for _ in range(GUARD_TICKS):
        if condition():
            return
        await asyncio.sleep(TICK_SECONDS)
    raise AssertionError(otherwise)


async def _ask(port: int, play: Play) -> None:
    """A client: its requests one after the other, each when the answer before it was whole."""
    # What stalls or is changed behind the gateway is beyond it, and so is a request that has not begun: such a client
    # is waited for as one between two requests is.
    unheard = any(isinstance(fault, Stall) and fault.at % len(play.request()) == 0 for fault in play.client_side.up)
    waits_in_vain = unheard or any(isinstance(fault, Stall | Corrupt) for fault in play.client_side.down)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS if waits_in_vain else None):
            got = Answers()
            for number in range(1, play.requests + 1):
                writer.write(play.request())
                while got.complete < number:
                    piece = await reader.read(65536)
                    if not piece:
                        return
                    got.feed(piece)
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """A stage; at the end the gateway stops in good order."""
    store = WatchedStore(folder / "books.db")
    opened: list[str] = []
    numbers = itertools.count()

    def new_id() -> str:
        opened.append(f"exchange-{next(numbers):06}")
        return opened[-1]

    client_side, provider_side = Proxy(keep=True, buffer=BUFFER), Proxy(keep=True, buffer=BUFFER)
    async with ScriptedUpstream(lambda _: []) as upstream, proxying(provider_side, upstream.port):
        taken = bind("127.0.0.1", 0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wiring_edition, "new_exchange_id", new_id)
            application = build(_settings(taken.getsockname()[1], provider_side.port), store).application
        started = asyncio.Event()
        patience = ClientLimits(LIMITS.client_head_seconds, LIMITS.client_body_seconds, LIMITS.client_idle_seconds)
        server = make_server(application, LIMITS.stop_seconds, started.set, client_limits=patience)
        serving = asyncio.create_task(server.serve(sockets=[taken]))
        await started.wait()
        await store.submit(OpenAccount(ACCOUNT, AccountKind.PREPAID, 0))
        await store.submit(Post("first", ACCOUNT, EntryKind.TOP_UP, CREDIT_NANOS, 0))
        digest = digest_of(KEY.encode(), ACCESS_SECRET.encode())
        await store.put_key(VirtualKey("key_1", "alice", ACCOUNT, digest, hint_of(KEY), 0))
        try:
            async with proxying(client_side, taken.getsockname()[1]):
                yield Stage(store, upstream, client_side, provider_side, opened, open_sockets(), last_entry=1)
        finally:
            server.should_exit = True
            await serving


def _settings(port: int, provider_port: int) -> Settings:
    prices: dict[str, Any] = {f"{name}/{MODEL}": {"input_mtok": "1", "output_mtok": "3"} for name in PROVIDERS}
    return Settings(
        "127.0.0.1",
        port,
        Path("unused.db"),
        tuple(_deployments(f"http://127.0.0.1:{provider_port}")),
        limits=LIMITS,
        access=AccessSection(secret=ACCESS_SECRET, require_keys=True),
        book=PriceBook.from_json(price_data()).with_overrides(overrides_from(prices)),
    )


def _deployments(url: str) -> list[Deployment]:
    """Of each provider one that is cut when its client leaves, and one that is drained."""
    return [
        Deployment(provider.name + suffix, provider, provider.root(url), Secret(CREDENTIAL), policy)
        for provider in map(registry.by_name, PROVIDERS)
        for suffix, policy in (("", OnClientGone.CUT), ("-drained", OnClientGone.DRAIN))
    ]
