"""Exchanges by the short way, over raw sockets: what becomes a Request, what clients get, who hears that they left."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.gateway.local import LocalAnswers
from headgate.gateway.request import Client, ClientGone, Request
from headgate.net import http_protocol
from headgate.net.asgi import Application, Lifecycle
from headgate.net.editions import Edition
from headgate.net.http_protocol import MAX_HEAD_BYTES, ClientLimits
from headgate.net.server import Server, bind, make_server
from headgate.net.wire_protocol import split_target
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from tests.gateway.fakes import stage

from .test_http_protocol import BODY, REFUSED, TOO_LARGE, chunked, head, said, whole
from .wire import on_each_loop

LIMIT = 1_000_000
Answering = Callable[[Request, Client], Awaitable[None]]


async def tell(request: Request, client: Client) -> None:
    """Answer with what was read of a request."""
    error = request.unreadable
    headers = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
    told = {
        "method": request.method, "path": request.path, "query": request.query.decode("latin-1"), "headers": headers,
        "body": request.body.decode(), "error": error and error.code,
    }  # fmt: skip
    await client.start(200 if error is None else error.status, [(b"content-type", b"application/json")])
    await client.write(json.dumps(told).encode())
    await client.end()


class Exchanges:
    """In a gateway's place: notes what reaches it."""

    def __init__(self, answering: Answering) -> None:
        self.requests: list[Request] = []
        self.gone = asyncio.Event()
        self._answering = answering

    async def exchange(self, request: Request, client: Client) -> None:
        self.requests.append(request)
        client.on_gone(self.gone.set)
        with suppress(ClientGone):
            await self._answering(request, client)


async def nothing() -> None:
    pass


async def mounted(scope: Any, receive: Any, send: Any) -> None:
    """An application of its own below the gateway."""
    del receive
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
    await send({"type": "http.response.body", "body": scope["path"][:7].encode(), "more_body": False})


@asynccontextmanager
async def exchanging(
    answering: Answering = tell, limits: ClientLimits | None = None, body_seconds: float = 300.0
) -> AsyncIterator[tuple[Exchanges, int, Server]]:
    exchanges, gateway = Exchanges(answering), stage().gateway
    local = LocalAnswers(Models((), Catalogue.from_json(b"{}"), None), gateway.door, gateway.log, gateway.live, "1")
    edition = Edition(
        cast("Any", exchanges), cast("Any", Cut()), local, LIMIT, {"/admin/v1": mounted}, body_seconds=body_seconds
    )
    started, taken = asyncio.Event(), bind("127.0.0.1", 0)
    server = make_server(Application(edition, Lifecycle(nothing, nothing)), 1, started.set, client_limits=limits)
    running = asyncio.create_task(server.serve(sockets=[taken]))
    try:
        await started.wait()
        yield exchanges, taken.getsockname()[1], server
    finally:
        server.should_exit = True
        await running


class Cut:
    """Sessions that there are none of."""

    def cut(self) -> None:
        pass


def told(answer: bytes) -> dict[str, Any]:
    """What a chunked answer in one piece says."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    read: dict[str, Any] = json.loads(body.split(b"\r\n")[1])
    return read


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *pieces: bytes) -> dict[str, Any]:
    """One of several requests on a connection."""
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.01)
    return told(await reader.readuntil(b"0\r\n\r\n"))


@on_each_loop
async def test_a_request_is_what_was_sent() -> None:
    target = b"/v1/chat/completions?a=%20b&c"
    async with exchanging() as (exchanges, port, _), connection(port) as streams:
        data = whole(b"X-A: B", line=b"POST " + target + b" HTTP/1.1")
        for pieces in (
            [data],
            [data[:9], data[9:80], data[80:]],
            [data[at : at + 19] for at in range(0, len(data), 19)],
        ):
            got = await asked(*streams, *pieces)
            assert got["method"] == "POST"
            assert (got["path"], got["query"]) == ("/v1/chat/completions", "a=%20b&c")
            assert got["headers"] == [["host", "x"], ["content-length", "30"], ["x-a", "B"]]
            assert got["body"] == BODY.decode()
        assert (await asked(*streams, chunked()))["body"] == BODY.decode()
        assert (await asked(*streams, head(line=b"GET /v1/files HTTP/1.1")))["body"] == ""
    assert len(exchanges.requests) == 5


@on_each_loop
async def test_a_compressed_body_is_undone() -> None:
    packed = gzip.compress(BODY)
    async with exchanging() as (_, port, _), connection(port) as streams:
        got = await asked(*streams, head(b"content-encoding: gzip", b"content-length: %d" % len(packed)) + packed)
    assert got["body"] == BODY.decode()
    assert "content-encoding" not in dict(got["headers"])


@given(st.from_regex(rb"/[!-~]*", fullmatch=True))
@example(b"//x:80/y?z")
@example(b"/a?b?c#d")
def test_targets_are_split_as_the_parsers_own_way_splits_them(target: bytes) -> None:
    parsed = httptools.parse_url(target)
    assert split_target(target) == (parsed.path.decode("ascii"), parsed.query or b"")


@on_each_loop
async def test_whole_addresses_are_targets_too() -> None:
    async with exchanging() as (_, port, _), connection(port) as streams:
        got = await asked(*streams, whole(line=b"POST http://x/v1/responses?a=b HTTP/1.1"))
    assert (got["path"], got["query"]) == ("/v1/responses", "a=b")


@pytest.mark.parametrize("target", [b"/admin/v1", b"/admin/v1/keys", b"/%61dmin/v1"])
@on_each_loop
async def test_what_is_mounted_goes_its_own_way(target: bytes) -> None:
    async with exchanging() as (exchanges, port, _), connection(port) as (reader, writer):
        for _ in range(2):
            writer.write(whole(line=b"POST " + target + b" HTTP/1.1"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(7) == b"/admin/"
            assert (await asked(reader, writer, whole()))["body"] == BODY.decode()
    assert len(exchanges.requests) == 2


@on_each_loop
async def test_the_gateways_own_answers_are_no_exchanges() -> None:
    async with exchanging() as (exchanges, port, _), connection(port) as (reader, writer):
        writer.write(head(line=b"HEAD / HTTP/1.1") + head(line=b"GET /health HTTP/1.1"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readuntil(b"}") == b'{"status": "ok"}'
    assert not exchanges.requests


@on_each_loop
async def test_an_answer_that_cannot_be_made_breaks_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fails(*_: object) -> None:
        raise LookupError("of ours")

    monkeypatch.setattr(LocalAnswers, "_list", fails)
    async with exchanging() as (_, port, _):
        assert await said(port, head(line=b"GET /v1/models HTTP/1.1")) == b""


UPGRADES = {
    "h2c": (b"upgrade: h2c", b"connection: Upgrade, HTTP2-Settings", b"http2-settings: AAMAAABkAAQAoAAAAAIAAAAA"),
    "h2c on a connection that ends": (b"upgrade: h2c", b"connection: upgrade", b"connection: close"),
    "not of this hop": (b"upgrade: other",),
    "nothing": (b"connection: upgrade",),
}


@pytest.mark.parametrize("lines", UPGRADES.values(), ids=UPGRADES)
@on_each_loop
async def test_upgrades_that_are_not_known_are_passed_over(lines: tuple[bytes, ...]) -> None:
    """RFC 9110 section 7.8. Java's own client offers h2c with its first request."""
    data = whole(*lines)
    async with exchanging() as (exchanges, port, _):
        for pieces in ([data], [data[:-9], data[-9:]], [data[at : at + 19] for at in range(0, len(data), 19)]):
            async with connection(port) as (reader, writer):
                assert (await asked(reader, writer, *pieces))["body"] == BODY.decode()
                if b"close" in data:
                    assert await reader.read() == b""
                else:
                    assert (await asked(reader, writer, whole()))["body"] == BODY.decode()
        many = await said(port, data * 100 + whole(b"connection: close"))
    assert many.count(b"HTTP/1.1 200 ") == 101 if b"close" not in data else 1
    passed = {name for request in exchanges.requests for name, value in request.headers if b"pgrade" in value}
    assert passed <= {b"connection"}


@on_each_loop
async def test_a_websocket_behind_a_running_answer_is_refused_once_it_is_its_turn() -> None:
    """Also if its body comes after that: it has had its answer."""
    go_on = asyncio.Event()

    async def slowly(request: Request, client: Client) -> None:
        await client.start(200, [])
        await go_on.wait()
        await client.write(request.body)
        await client.end()

    upgrade = head(
        b"upgrade: websocket", b"connection: upgrade", b"sec-websocket-version: 13", b"content-length: 2",
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", line=b"GET /v1/responses HTTP/1.1",
    )  # fmt: skip
    async with exchanging(slowly) as (exchanges, port, _), connection(port) as (reader, writer):
        writer.write(whole())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(upgrade)
        await asyncio.sleep(0.02)
        go_on.set()
        assert BODY in await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"ab")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 426 ")
    assert len(exchanges.requests) == 1


@pytest.mark.parametrize("pieces", [1, 7], ids=["whole", "in pieces"])
@on_each_loop
async def test_what_is_no_request_is_refused_and_no_exchange(pieces: int) -> None:
    async def verdict(name: str, data: bytes, port: int) -> tuple[str, bytes, bool]:
        size = -(-len(data) // pieces)
        answer = await said(port, *(data[at : at + size] for at in range(0, len(data), size)))
        return name, answer[9:12], b"connection: close" in answer

    wanted = dict.fromkeys(REFUSED, (b"400", True)) | dict.fromkeys(TOO_LARGE, (b"431", True))
    async with exchanging() as (exchanges, port, _), asyncio.timeout(60):
        verdicts = await asyncio.gather(*(verdict(*case, port) for case in (REFUSED | TOO_LARGE).items()))
    assert {name: tuple(rest) for name, *rest in verdicts} == wanted
    # What is wrong with a body comes after a head that is good: an exchange that has no client any more.
    assert {request.unreadable and request.unreadable.code for request in exchanges.requests} == {"invalid_request"}
    assert len(exchanges.requests) <= sum("chunk" in name or "trailers" in name for name in wanted)


@on_each_loop
async def test_a_large_head_and_a_large_body_are_a_request() -> None:
    body = b" " * 400_000
    async with exchanging() as (_, port, _):
        got = await said(port, head(b"x-a: " + b"y" * (MAX_HEAD_BYTES - 200), b"connection: close"))
        assert got.startswith(b"HTTP/1.1 200 ")
        got = await said(port, head(b"content-length: %d" % len(body), b"connection: close") + body)
        assert got.startswith(b"HTTP/1.1 200 ")


@on_each_loop
async def test_trailers_are_no_headers() -> None:
    body = b"0\r\nx-provider: other\r\nauthorization: Bearer another\r\nupgrade: websocket\r\n\r\n"
    async with exchanging() as (_, port, _), connection(port) as streams:
        got = await asked(*streams, head(b"transfer-encoding: chunked") + body)
    assert [name for name, _ in got["headers"]] == ["host", "transfer-encoding"]


@on_each_loop
async def test_who_waits_to_be_told_to_send_its_body_is_told() -> None:
    async with exchanging() as (_, port, _), connection(port) as (reader, writer):
        for _ in range(2):
            writer.write(head(b"content-length: %d" % len(BODY), b"Expect: 100-Continue"))
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert (await asked(reader, writer, BODY))["body"] == BODY.decode()


@on_each_loop
async def test_http_1_0_has_no_chunks_and_no_continue() -> None:
    async with exchanging() as (_, port, _):
        line = b"POST /v1/chat/completions HTTP/1.0"
        answer = await said(port, whole(b"expect: 100-continue", b"connection: keep-alive", line=line))
    top, _, body = answer.partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in top
    assert b"transfer-encoding" not in top
    assert json.loads(body)["body"] == BODY.decode()


@on_each_loop
async def test_a_body_over_the_limit_is_refused_while_it_is_still_being_sent() -> None:
    """The client hears why: to close on what it goes on sending would be a reset, which takes the answer with it."""
    async with exchanging() as (exchanges, port, _), asyncio.timeout(20):
        answer = await said(port, head(b"content-length: 9000000"), *[bytes(500_000)] * 10)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer
        assert told(answer)["error"] == "request_too_large"
    assert len(exchanges.requests) == 1


@on_each_loop
async def test_a_client_that_never_stops_sending_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "_LINGER_SECONDS", 0.2)
    async with exchanging() as (_, port, _), asyncio.timeout(20), connection(port) as (_, writer):
        writer.write(head(b"content-length: 900000000"))
        with suppress(ConnectionError):
            while True:
                writer.write(bytes(100_000))
                await writer.drain()


@on_each_loop
async def test_a_body_that_does_not_come_in_time_is_refused_in_an_answer() -> None:
    async with exchanging(body_seconds=0.1) as (exchanges, port, _):
        answer = await said(port, head(b"content-length: 5"), b"ab")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in answer
    assert [request.unreadable and request.unreadable.status for request in exchanges.requests] == [408]


@on_each_loop
async def test_a_client_that_leaves_in_the_middle_of_its_body_is_an_exchange_too() -> None:
    async with exchanging() as (exchanges, port, _):
        async with connection(port) as (_, writer):
            writer.write(head(b"content-length: 5") + b"ab")
            await asyncio.sleep(0.02)
        await exchanges.gone.wait()
    assert [request.unreadable and request.unreadable.status for request in exchanges.requests] == [400]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@on_each_loop
async def test_an_exchange_hears_at_once_that_its_client_has_left(reset: bool) -> None:
    forever = asyncio.Event()

    async def silent(request: Request, client: Client) -> None:
        del request
        await client.start(200, [])
        client.on_gone(forever.set)
        await forever.wait()

    async with exchanging(silent) as (_, port, _), asyncio.timeout(10):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole())
        await asyncio.sleep(0.02)
        if reset:
            writer.transport.abort()
        writer.close()
        await forever.wait()


@on_each_loop
async def test_requests_behind_an_unfinished_answer_have_their_turns_in_order() -> None:
    """Whatever way they go."""
    go_on = asyncio.Event()

    async def slowly(request: Request, client: Client) -> None:
        await go_on.wait()
        await tell(request, client)

    lines = [b"POST /v1/%d HTTP/1.1" % n for n in range(3)]
    async with exchanging(slowly) as (exchanges, port, _), connection(port) as (reader, writer):
        writer.write(whole(line=lines[0]) + whole(line=lines[1]) + whole(line=b"POST /admin/v1 HTTP/1.1"))
        await asyncio.sleep(0.02)
        writer.write(whole(b"expect: 100-continue", line=lines[2]))
        await asyncio.sleep(0.02)
        assert len(exchanges.requests) == 1
        go_on.set()
        answers = [await reader.readuntil(b"0\r\n\r\n") for _ in range(2)]
        assert b"/admin/" in await reader.readuntil(b"/admin/")
        answers.append(await reader.readuntil(b"0\r\n\r\n"))
    assert [told(answer)["path"] for answer in answers] == ["/v1/0", "/v1/1", "/v1/2"]


@on_each_loop
async def test_who_leaves_with_requests_behind_the_first_ends_the_first_and_begins_none() -> None:
    async def ticks(request: Request, client: Client) -> None:
        del request
        await client.start(200, [])
        while True:  # what stands behind it is not read, so that writing alone tells
            await client.write(b"tick")
            await asyncio.sleep(0.01)

    async with exchanging(ticks) as (exchanges, port, _), asyncio.timeout(10):
        async with connection(port) as (reader, writer):
            writer.write(whole() * 2 + head(b"content-length: 5"))
            await reader.readuntil(b"tick")
        await exchanges.gone.wait()
        await asyncio.sleep(0.02)
        assert len(exchanges.requests) == 1


@pytest.mark.parametrize("behind", [b"RUBBISH\r\n\r\n", chunked(body=b"-1\r\n\r\n")], ids=["rubbish", "a broken body"])
@on_each_loop
async def test_a_refusal_is_not_taken_for_the_answer_before_it(behind: bytes) -> None:
    go_on = asyncio.Event()

    async def slowly(request: Request, client: Client) -> None:
        await go_on.wait()
        await tell(request, client)

    async with exchanging(slowly) as (exchanges, port, _):
        assert await said(port, whole() + behind) == b""
        await exchanges.gone.wait()
        go_on.set()


@on_each_loop
async def test_who_takes_nothing_is_left_and_holds_no_more_than_a_buffer() -> None:
    sent = 0

    async def flood(request: Request, client: Client) -> None:
        nonlocal sent
        del request
        await client.start(200, [])
        while True:
            if not client.put(bytes(65536)):
                await client.write(bytes(65536))
            sent += 65536

    async with exchanging(flood, ClientLimits(idle=0.2)) as (exchanges, port, _), asyncio.timeout(20):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(head(line=b"GET /v1/x HTTP/1.1"))
            await exchanges.gone.wait()
    assert sent < 64 * 1024 * 1024


@on_each_loop
async def test_who_takes_slowly_is_waited_for() -> None:
    size = 12 * 1024 * 1024

    async def much(request: Request, client: Client) -> None:
        del request
        await client.start(200, [(b"content-length", b"%d" % size)])
        await client.write(bytes(size))
        await client.end()

    async with exchanging(much, ClientLimits(idle=1.0)) as (_, port, _), asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65536)
        writer.write(head(b"connection: close", line=b"GET /v1/x HTTP/1.1"))
        got = 0
        while data := await reader.read(262_144):
            got += len(data)
            await asyncio.sleep(0.03)
        writer.close()
    assert got > size


@on_each_loop
async def test_what_is_broken_off_is_no_whole_answer() -> None:
    async def breaks(request: Request, client: Client) -> None:
        del request
        await client.start(200, [])
        await client.write(b"half")
        client.abort()

    async with exchanging(breaks) as (_, port, _):
        answer = await said(port, whole())
    assert answer.endswith(b"4\r\nhalf\r\n")
