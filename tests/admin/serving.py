"""The admin API on a real socket, and a client that holds every answer against the OpenAPI document."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import aiohttp
import uvicorn
from openapi_schema_validator import OAS31Validator
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from headgate.admin.api import admin_application
from headgate.admin.bookkeeping import Bookkeeping, Since
from headgate.admin.books import check_books
from headgate.admin.deeds import Deeds
from headgate.admin.handlers import Desk, Sight
from headgate.admin.health import DatabaseKind, Health, Process, price_book_view
from headgate.admin.offer import Offer
from headgate.admin.office import Office
from headgate.admin.onlookers import Onlookers
from headgate.admin.openapi import document
from headgate.admin.passes import Passes
from headgate.admin.prices import PriceFinder, price_of_from
from headgate.admin.records import RecordReader
from headgate.admin.routes import OPERATIONS
from headgate.admin.signin import AdminKeys
from headgate.admin.snapshot import Snapshots
from headgate.audit.log import AuditLog
from headgate.audit.redaction import Redactor
from headgate.config import price_data
from headgate.gateway.live import Live
from headgate.ledger.store import Ledger
from headgate.net.server import bind
from headgate.pricing.book import PriceBook
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.stores.memory import MemoryStore
from headgate.wiring_store import StoreRecords

KEY = "an admin key, long enough"
KEYS = {"ada": KEY}
SECRET = b"what digests are made with"
NOON_NS = 1_762_000_000 * 1_000_000_000

DOCUMENT = document(OPERATIONS, "1")
JSON = "application/json"


@dataclass
class Clock:
    """A clock that stands still unless it is moved."""

    now_ns: int = NOON_NS

    def __call__(self) -> int:
        return self.now_ns


def an_office(store: MemoryStore, clock: Callable[[], int] | None = None, ledger: Ledger | None = None) -> Office:
    """An office whose chance is a counter."""
    numbers = count(1)
    return Office(
        ledger or store, store, SECRET, clock or Clock(), lambda size: next(numbers).to_bytes(size, "big"),
        patience_seconds=30,
    )  # fmt: skip


def a_sight(store: MemoryStore, clock: Clock, live: Live | None = None, second: float = 0.05) -> Sight:
    """What there is to see of a gateway with one provider, which serves gpt-4o-mini; a second is short."""
    book = PriceBook.from_json(price_data())
    live = Live() if live is None else live
    snapshots = Snapshots(live, "node-1", clock)
    onlookers = Onlookers(snapshots.take, clock, second=second)
    books = Bookkeeping(partial(check_books, store), clock, time.monotonic_ns)
    process = Process("node-1", NOON_NS - 90 * 10**9, DatabaseKind.MEMORY, price_book_view(book))
    health = Health(
        process, store, books, Since(), lambda: len(live), lambda: len(onlookers), store.count_open_holds, clock
    )
    openai = registry.by_name("openai")
    offer = Offer(
        [Deployment("main", openai, openai.base_url, Secret("sk-the-credential"))],
        [("gpt-4o-mini", "main"), ("gpt-4o", "main"), ("main/a-model-of-mine", "main")],
        price_of_from(book, clock),
    )
    return Sight(snapshots.take, onlookers, health, books, offer)


def some_deeds(log: AuditLog, clock: Callable[[], int] | None = None, patience_seconds: float = 30) -> Deeds:
    """Keeps deeds; knows the admin key for a secret."""
    numbers = count(1)
    return Deeds(
        log, Redactor([KEY]), clock or Clock(), lambda size: next(numbers).to_bytes(size, "big"),
        patience_seconds=patience_seconds,
    )  # fmt: skip


def a_desk(store: MemoryStore) -> Desk:
    """Whom handlers ask, over a store."""
    clock = Clock()
    return Desk(
        an_office(store),
        StoreRecords(store),
        lambda _: (),
        clock,
        AdminKeys(KEYS),
        Passes(SECRET, KEYS, clock),
        a_sight(store, clock),
        some_deeds(store, clock),
    )


class Got(NamedTuple):
    """An answer."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def error(self) -> Any:
        return self.body["error"]


@dataclass
class Api:
    """A client of a served admin API."""

    http: aiohttp.ClientSession
    root: str
    store: MemoryStore
    office: Office
    clock: Clock
    sight: Sight
    live: Live
    deeds: Deeds
    called: set[tuple[str, str]] = field(default_factory=set)
    """Documented operations that answered with success."""

    async def raw(self, method: str, path: str, key: str | None = KEY, **more: Any) -> Got:
        """Ask, whatever the document says."""
        headers = {"authorization": f"Bearer {key}"} if key is not None else {}
        async with self.http.request(method, self.root + path, headers=headers | more.pop("headers", {}), **more) as r:
            text = await r.text()
            told = r.headers.get("content-type")
            return Got(r.status, (await r.json() if text else None) if told in {JSON, None} else text, r.headers)

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Got:
        """Ask for something documented, and check that the answer is as documented."""
        got = await self.raw(method, path, **({"json": body} if body is not None else {}), **more)
        template, operation = described(method, path)
        conforms(got, operation)
        if got.status < 400:
            self.called.add((method, template))
        return got


def described(method: str, path: str) -> tuple[str, Any]:
    """The path template and the operation that the document has for a request."""
    bare = path.partition("?")[0]
    for template, operations in DOCUMENT["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), bare) and method.lower() in operations:
            return template, operations[method.lower()]
    raise AssertionError(f"{method} {bare} is not in the document")


def conforms(got: Got, operation: Any) -> None:
    """Assert that an answer is one that the document has for the operation."""
    assert str(got.status) in operation["responses"], (got.status, got.body)
    content = operation["responses"][str(got.status)].get("content")
    assert (content is None) == (got.body is None)
    if content is not None:
        schema = content[got.headers["content-type"].partition(";")[0]]["schema"] | {
            "components": DOCUMENT["components"]
        }
        errors = [f"{error.json_path}: {error.message}" for error in OAS31Validator(schema).iter_errors(got.body)]
        assert not errors


async def no_pause() -> None:
    """A wrong key costs nothing here."""


@asynccontextmanager
async def served(
    keys: Mapping[str, str] = KEYS,
    prices: PriceFinder = lambda _: (),
    wait: Callable[[], Awaitable[None]] = no_pause,
    office_of: Callable[[MemoryStore, Clock], Office] = an_office,
    reader_of: Callable[[MemoryStore], RecordReader] = StoreRecords,
    *,
    log: AuditLog | None = None,
    patience_seconds: float = 30,
) -> AsyncIterator[Api]:
    """The API under uvicorn on a free port, mounted at /admin/v1, on an empty store."""
    store, clock = MemoryStore(), Clock()
    office = office_of(store, clock)
    live = Live()
    sight = a_sight(store, clock, live)
    deeds = some_deeds(store if log is None else log, clock, patience_seconds)
    inside = admin_application(
        office, reader_of(store), prices, keys, SECRET, sight=sight, deeds=deeds, clock_ns=clock, wait=wait
    )
    async with applications({"/admin/v1": inside}) as root, aiohttp.ClientSession() as http:
        yield Api(http, f"{root}/admin/v1", store, office, clock, sight, live, deeds)
        sight.onlookers.close()


@asynccontextmanager
async def applications(mounts: Mapping[str, ASGIApp]) -> AsyncIterator[str]:
    """Applications under uvicorn on a free port; its address."""
    application = Starlette(routes=[Mount(path, app=mounted) for path, mounted in mounts.items()])
    taken = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False, ws="none"))
    running = asyncio.create_task(server.serve(sockets=[taken]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
