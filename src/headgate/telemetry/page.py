"""/metrics: what Prometheus reads, as an ASGI application for the gateway's own port or a listener of its own.

It is rendered in a thread, which stops for breath, so that no stream waits for a scrape. What it shows is what is spent
on what: it is open to nobody who could not be meant (docs/decisions/0029).
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import GCCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector, CollectorRegistry

from headgate.access.keys import Keys
from headgate.errors import HeadgateError
from headgate.telemetry.merging import Labelled, merged

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PAUSE_SECONDS = 1.0
_QUESTION = "metrics"
_LEVEL = 3
"""Of compression: beyond it a scrape takes longer and is hardly smaller."""
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


async def pause() -> None:
    """What a wrong key costs whoever tries it: admin keys are good here, so guessing them must not be cheaper."""
    await asyncio.sleep(_PAUSE_SECONDS)


async def to_nobody() -> bool:
    """Whoever reads it needs a key."""
    return False


async def to_anybody() -> bool:
    """Nobody needs a key."""
    return True


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read."""

    keys: Keys
    """That of the metrics, and the admin keys."""
    without_key: Callable[[], Awaitable[bool]] = to_nobody
    """Whether whoever reaches the page may read it now."""
    wait: Callable[[], Awaitable[None]] = pause

    async def let_in(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request with these headers may read."""
        given = [value for name, value in headers if name == b"authorization"]
        if not given:
            with suppress(HeadgateError):  # a database that cannot say so has not said that it is open
                return await self.without_key()
            return False
        scheme, _, token = given[0].partition(b" ")
        if len(given) == 1 and scheme.lower() == b"bearer" and self.keys.holder(token.strip()) is not None:
            return True
        await self.wait()
        return False


class Company(Protocol):
    """Other processes on the same port, of whom whoever asks one is told too."""

    @property
    def number(self) -> int:
        """This process's own."""

    async def open(self) -> None:
        """Answer from now on."""

    async def aclose(self) -> None:
        """Answer no more."""

    def answer(self, question: str, answer: Callable[[str], Awaitable[bytes]]) -> None:
        """How this process answers a question of theirs, given its detail."""

    async def ask(self, question: str, detail: str = "") -> list[bytes]:
        """What they answer."""


class Page:
    """The ASGI application. There is nothing below it and nothing beside it."""

    def __init__(self, families: Collector, readers: Readers, company: Company | None = None) -> None:
        """In company, samples are labelled with the number of their process, and those of all are shown."""
        self._registry = registry = CollectorRegistry()
        registry.register(families)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self._company = company
        if company is not None:
            self._registry = CollectorRegistry()
            self._registry.register(Labelled(registry, {"worker": str(company.number)}))
            company.answer(_QUESTION, self._own)
        self._readers = readers
        self._thread = ThreadPoolExecutor(1, "headgate-metrics")

    def let_in(self, readers: Readers) -> None:
        """Other readers may read from now on."""
        self._readers = readers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        del receive
        if scope["type"] != "http":
            raise ValueError("the metrics are read over HTTP")
        headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        if scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/") not in {"", "/metrics"}:
            await _answer(send, 404, b"There is nothing here but /metrics.\n")
        elif scope["method"] not in {"GET", "HEAD"}:
            await _answer(send, 405, b"The metrics can be read, and no more.\n", (b"allow", b"GET, HEAD"))
        elif not await self._readers.let_in(headers):
            told = b"The metrics need the key of [metrics], or an admin key, as a bearer token.\n"
            await _answer(send, 401, told, (b"www-authenticate", b"Bearer"))
        else:
            await self._show(headers, send)

    async def _show(self, headers: Sequence[tuple[bytes, bytes]], send: Send) -> None:
        accept = _value(headers, b"accept")
        _, content_type = choose_encoder(accept)
        zipped = gzip_accepted(_value(headers, b"accept-encoding"))
        others = None if self._company is None else asyncio.ensure_future(self._company.ask(_QUESTION, accept))
        pages = [await self._own(accept)]
        pages += [] if others is None else await others

        def whole() -> bytes:
            text = merged(pages)
            return gzip.compress(text, _LEVEL) if zipped else text

        body = await asyncio.get_running_loop().run_in_executor(self._thread, whole)
        encoding = [(b"content-encoding", b"gzip")] if zipped else []
        await _answer(send, 200, body, *encoding, kind=(b"content-type", content_type.encode()))

    async def _own(self, accept: str) -> bytes:
        """This process's page, in the format for who accepts that."""
        encode, _ = choose_encoder(accept)
        return await asyncio.get_running_loop().run_in_executor(self._thread, encode, self._registry)

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _value(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in headers if key == name)


async def _answer(
    send: Send, status: int, body: bytes, *more: tuple[bytes, bytes], kind: tuple[bytes, bytes] = _TEXT
) -> None:
    length = (b"content-length", str(len(body)).encode())
    headers = [kind, length, (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
