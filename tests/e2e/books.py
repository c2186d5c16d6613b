"""Real gateway processes whose books are checked against a witness: the upstream's own log of what it was asked for."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from headgate.access.limits import Limits
from headgate.access.virtual import VirtualKey, digest_of, hint_of
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, Entry, EntryKind, Hold, HoldState, Result
from headgate.records import Ending, Record
from headgate.stores.postgres import PostgresStore
from headgate.stores.sqlite import SqliteStore
from headgate.testing.upstream import LAST_CHUNK, Pause, Received, Reset, Script, WaitFor, chunk, head, response
from tests.ports import kept_port

Store = SqliteStore | PostgresStore

SECRET = "a secret of the tests' own"
ACCOUNT = "team"
MODEL = "gpt-4o-mini"
PROMPT_TOKENS, TOKENS_A_CHUNK = 100, 2
INPUT_NANOS, OUTPUT_NANOS = 1_000, 2_000
"""Nano-dollars a token: one and two dollars a million."""
LEASE_SECONDS = 1.0


def price(chunks: int) -> int:
    """What a whole answer of so many chunks costs, in nano-dollars."""
    return PROMPT_TOKENS * INPUT_NANOS + chunks * TOKENS_A_CHUNK * OUTPUT_NANOS


def config(upstream: str, database: str, *, port: int, patience_seconds: float = 2.0, host: str = "127.0.0.1") -> str:
    """A headgate.toml."""
    return f"""
listen = "{host}:{port}"
database = "{database}"
[access]
secret = "{SECRET}"
require_keys = true
[holds]
lease_seconds = {LEASE_SECONDS}
patience_seconds = {patience_seconds}
trailers = "always"
[limits]
stop_seconds = 5
[prices.override."openai/{MODEL}"]
input_mtok = "1"
output_mtok = "2"
[providers.openai]
base_url = "{upstream}/v1"
api_key = "the-providers-own-key"
"""


def key_text(n: int | str) -> str:
    return f"hg-test-key-{n}"


async def fill(store: Store, *, credit_nanos: int, keys: Sequence[int | str], limits: Limits | None = None) -> None:
    """One prepaid account, and keys that spend from it."""
    assert (await store.submit(OpenAccount(ACCOUNT, AccountKind.PREPAID, 0))).stands
    assert (await store.submit(Post("first", ACCOUNT, EntryKind.TOP_UP, credit_nanos, 0))).result is Result.DONE
    for n in keys:
        text = key_text(n)
        digest = digest_of(text.encode(), SECRET.encode())
        await store.put_key(
            VirtualKey(f"key_{n}", f"key {n}", ACCOUNT, digest, hint_of(text), 0, limits=limits or Limits())
        )


@asynccontextmanager
async def opened(database: str) -> AsyncIterator[Store]:
    """The store of a database, as the gateway's config names it."""
    store: Store
    if database.startswith("postgres"):
        store = PostgresStore(database, spill_folder=Path(os.devnull).parent)
        await store.open()
    else:
        store = SqliteStore(Path(database))
    try:
        yield store
    finally:
        await store.aclose()


class GatewayProcess:
    """`headgate serve` in a process of its own, which can be killed and started again."""

    def __init__(
        self,
        folder: Path,
        upstream: str,
        database: str,
        *,
        patience_seconds: float = 2.0,
        host: str = "127.0.0.1",
        within: Sequence[str] = (),
    ) -> None:
        """`within` is a command that runs it somewhere else, where `host` is an address of its own."""
        self.port = kept_port()
        self.host = host
        self._within = within
        self._config = folder / f"headgate-{self.port}.toml"
        self._config.write_text(
            config(upstream, database, port=self.port, patience_seconds=patience_seconds, host=host)
        )
        self._log = folder / f"headgate-{self.port}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def arguments(self) -> list[str]:
        """Of the interpreter."""
        return ["-m", "headgate", "serve", "--config", str(self._config)]

    @property
    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def settings(self) -> str:
        """The file of its settings."""
        return self._config.read_text()

    def write(self, settings: str) -> None:
        """Change the file; it does not look at it by itself."""
        self._config.write_text(settings)

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    async def start(self) -> None:
        """Start, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._within, sys.executable, *self.arguments, env=self.environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(30):
            while not await self._answers():
                assert self._process.returncode is None, self.log()
                await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.startswith(b"HTTP/1.1 200")

    async def kill(self) -> None:
        """kill -9."""
        await self._signalled(signal.SIGKILL)

    async def stop(self) -> None:
        """In good order."""
        await self._signalled(signal.SIGTERM)

    async def _signalled(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(30):
            await self._process.wait()


@dataclass
class Witness:
    """What the upstream was asked for, by the number in the request's own header, and how far it came."""

    pause: float = 0.015
    chunks: int = 20
    asked: dict[int, int] = field(default_factory=dict)
    """Numbers of the requests that came whole, with how often."""
    sent: dict[int, int] = field(default_factory=dict)
    """Chunks sent, by number."""
    gate: asyncio.Event | None = None
    """No stream goes on after its first chunk before this is set."""

    def handle(self, request: Received) -> Script:
        """Every kind of answer: most stream to the end, some come whole, some break off."""
        n = int(dict(request.headers)[b"x-number"])
        self.asked[n] = self.asked.get(n, 0) + 1
        self.sent[n] = 0
        if not json.loads(request.body)["stream"]:
            return self._whole(n)
        return self._stream(n, breaks_at=7 if n % 8 == 6 else None)

    def _whole(self, n: int) -> Script:
        yield Pause(self.pause * 5)
        message = {"role": "assistant", "content": "word " * self.chunks}
        body: dict[str, object] = {
            "id": f"c{n}",
            "object": "chat.completion",
            "model": MODEL,
            "usage": _usage(self.chunks),
        }
        body["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
        yield from response([json.dumps(body).encode()], content_type="application/json")

    def _stream(self, n: int, breaks_at: int | None) -> Script:
        yield head(content_type="text/event-stream")
        for i in range(self.chunks):
            if i == breaks_at:
                yield Reset()
                return
            yield chunk(_frame({"id": f"c{n}", "choices": [{"index": 0, "delta": {"content": "word word"}}]}))
            self.sent[n] += 1
            yield Pause(self.pause)
            if self.gate is not None:
                yield WaitFor(self.gate)
        yield chunk(_frame({"id": f"c{n}", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        yield chunk(_frame({"id": f"c{n}", "choices": [], "usage": _usage(self.chunks)}))
        yield chunk(b"data: [DONE]\n\n")
        yield LAST_CHUNK


def _usage(chunks: int) -> dict[str, int]:
    out = chunks * TOKENS_A_CHUNK
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": out, "total_tokens": PROMPT_TOKENS + out}


def _frame(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    status: int
    """0 where there was none."""
    body: bytes = b""

    @property
    def whole(self) -> bool:
        return self.status == 200 and (b"[DONE]" in self.body or b'"finish_reason": "stop"}]' in self.body)


async def ask(
    port: int,
    n: int,
    *,
    key: int | str | None = None,
    cap: int = 40,
    leave_after: int | None = None,
    host: str = "127.0.0.1",
) -> Answer:
    """One request on a connection of its own. `leave_after`: reset it once so many bytes of the answer have come."""
    stream = n % 8 != 5
    body = json.dumps({
        "model": MODEL, "stream": stream, "max_tokens": cap, "messages": [{"role": "user", "content": "hi " * 100}],
    }).encode()  # fmt: skip
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return Answer(0)
    try:
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n"
            + f"authorization: Bearer {key_text(n if key is None else key)}\r\nx-number: {n}\r\n".encode()
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        )
        got = b""
        while piece := await reader.read(65536):
            got += piece
            if leave_after is not None and len(got) >= leave_after:
                _reset(writer)
                break
    except OSError:
        pass
    finally:
        writer.close()
    status = int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/1.1 ") else 0
    return Answer(status, got)


def _reset(writer: asyncio.StreamWriter) -> None:
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


@dataclass(frozen=True)
class Book:
    """What the ledger and the records say of one request."""

    hold: Hold
    entries: list[Entry]
    record: Record | None

    @property
    def captured(self) -> int:
        return -sum(entry.posted_nanos for entry in self.entries)


_RESOLVING = {EntryKind.CAPTURE, EntryKind.VOID, EntryKind.EXPIRE}


async def audited(store: Store) -> dict[str, list[Book]]:
    """Every hold by its key's id, after checking what must hold of any books.

    No hold is open; each has one resolving entry; the entries add up to the balances; nothing is held.
    """
    assert await store.open_holds() == []
    account = await store.account(ACCOUNT)
    assert account is not None
    sums = (await store.trial()).entries[ACCOUNT]
    assert (sums.posted_nanos, sums.held_nanos) == (account.posted_nanos, account.held_nanos)
    assert account.held_nanos == 0
    entries = [entry for _, entry in await store.entries(ACCOUNT, limit=1_000_000)]
    assert len({entry.entry_id for entry in entries}) == len(entries)
    by_hold: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.hold_id is not None:
            by_hold.setdefault(entry.hold_id, []).append(entry)
    books: dict[str, list[Book]] = {}
    for hold_id, own in by_hold.items():
        hold = await store.hold(hold_id)
        assert hold is not None
        assert hold.state is not HoldState.OPEN
        assert len([entry for entry in own if entry.kind in _RESOLVING]) == 1, own
        key_id = json.loads(hold.about)["key_id"]
        books.setdefault(key_id, []).append(Book(hold, own, await store.find(hold_id)))
    paid_in = sum(entry.posted_nanos for entry in entries if entry.hold_id is None)
    assert account.posted_nanos == paid_in - sum(book.captured for own in books.values() for book in own)
    return books


def agrees(witness: Witness, books: dict[str, list[Book]]) -> dict[str, int]:
    """Hold the books against the witness; returns how many requests there were of each kind.

    Every request that the upstream saw has one hold, one settlement and one record, and is paid for: exactly where it
    came to its end, at least its prompt and at most its hold where it did not. What the upstream never saw is not
    paid for; but a gateway that dies between the commit of a hold and the write to the socket cannot say so, and then
    the prompt alone is paid.
    """
    kinds = {"complete": 0, "broken": 0, "died": 0, "never seen": 0, "prompt only": 0}
    for n, times in witness.asked.items():
        assert times == 1, f"{n} was sent upstream {times} times"
        assert len(books.get(f"key_{n}", [])) == 1, f"{n} has {len(books.get(f'key_{n}', []))} holds"
    for key_id, (book, *_) in books.items():
        n = int(key_id.removeprefix("key_"))
        assert book.record is not None, f"{n} has no record"
        assert (book.record.bill.charge_nanos or 0) == book.captured, book
        if n not in witness.asked:
            kinds["prompt only" if book.captured else "never seen"] += 1
            assert book.captured <= book.hold.minimum_nanos, book
        elif book.record.ending is Ending.COMPLETE:
            kinds["complete"] += 1
            assert book.captured == price(witness.chunks), book
        else:
            kinds["died" if book.record.ending is Ending.GATEWAY_DIED else "broken"] += 1
            unheard = book.record.ending is Ending.UPSTREAM_CUT and book.record.reading.delivered_bytes == 0
            assert unheard or book.hold.minimum_nanos <= book.captured <= book.hold.amount_nanos, book
    return kinds
