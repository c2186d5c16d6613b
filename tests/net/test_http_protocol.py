"""Clients that are slow or that break HTTP, over raw sockets: what they are told, and what of it is ever a request."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

from headgate.net import http_protocol
from headgate.net.asgi import Application, read_request
from headgate.net.http_protocol import MAX_HEAD_BYTES, ClientLimits
from headgate.net.server import bind, make_server

from .wire import on_each_loop

BODY = b'{"model": "m", "messages": []}'
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LINE = b"POST /v1/chat/completions HTTP/1.1"

Answering = Callable[[Any, Any, Any], Awaitable[None]]


async def read_and_answer(scope: Any, receive: Any, send: Any) -> None:
    """Read a request as the gateway does; answer with what was read of it."""
    request = await read_request(scope, receive, 1_000_000)
    error = request.unreadable
    headers = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
    body = json.dumps({"body": request.body.decode(), "headers": headers, "error": error and error.code}).encode()
    status = 200 if error is None else error.status
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


class Gate:
    """The application: counts what reaches it."""

    def __init__(self, answering: Answering) -> None:
        self.reached = 0
        self.gone = asyncio.Event()
        self._answering = answering

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.reached += 1
        await self._answering(scope, receive, send)
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()

    def dismiss(self) -> None:
        pass

    def cut(self) -> None:
        pass


@asynccontextmanager
async def served(
    answering: Answering = read_and_answer, limits: ClientLimits | None = None
) -> AsyncIterator[tuple[Gate, int]]:
    gate, started, taken = Gate(answering), asyncio.Event(), bind("127.0.0.1", 0)
    server = make_server(cast("Application", gate), 1, started.set, client_limits=limits)
    running = asyncio.create_task(server.serve(sockets=[taken]))
    try:
        await started.wait()
        yield gate, taken.getsockname()[1]
    finally:
        server.should_exit = True
        await running


async def said(port: int, *pieces: bytes, ends: bool = True) -> bytes:
    """What comes back until the server closes, or, with `ends` false, until an answer's end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        while data := await reader.read(65536):
            got += data
            if not ends and got.endswith(b"0\r\n\r\n"):
                break
    finally:
        writer.close()
    return got


def head(*lines: bytes, line: bytes = LINE, host: bytes = b"host: x") -> bytes:
    return b"\r\n".join([line, *([host] if host else []), *lines, b"", b""])


def whole(*lines: bytes, line: bytes = LINE, host: bytes = b"host: x") -> bytes:
    return head(b"content-length: %d" % len(BODY), *lines, line=line, host=host) + BODY


def chunked(value: bytes = b"transfer-encoding: chunked", body: bytes = CHUNKED, line: bytes = LINE) -> bytes:
    return head(value, line=line) + body


REFUSED = {
    "content-length and chunked": head(b"content-length: 5", b"transfer-encoding: chunked") + CHUNKED,
    "chunked and content-length": head(b"transfer-encoding: chunked", b"content-length: 5") + CHUNKED,
    "content-length twice": whole(b"content-length: %d" % len(BODY)),
    "two content-lengths": whole(b"content-length: 3"),
    "a list of content-lengths": head(b"content-length: 30, 30") + BODY,
    "a content-length with a sign": head(b"content-length: +30") + BODY,
    "a negative content-length": head(b"content-length: -1") + BODY,
    "a hexadecimal content-length": head(b"content-length: 0x1e") + BODY,
    "a content-length beyond 64 bits": head(b"content-length: 99999999999999999999999") + BODY,
    "an unknown coding": chunked(b"transfer-encoding: xchunked"),
    "chunked, but not last": chunked(b"transfer-encoding: chunked, identity"),
    "a coding that nobody would undo": chunked(b"transfer-encoding: gzip, chunked"),
    "identity": chunked(b"transfer-encoding: identity"),
    "codings twice": head(b"transfer-encoding: chunked", b"transfer-encoding: chunked") + CHUNKED,
    "a coding behind a vertical tab": chunked(b"transfer-encoding: \x0bchunked"),
    "a space before the colon": chunked(b"transfer-encoding : chunked"),
    "a folded coding": chunked(b"transfer-encoding:\r\n chunked"),
    "chunks in HTTP/1.0": chunked(line=b"POST /v1/chat/completions HTTP/1.0"),
    "a negative chunk": chunked(body=b"-1\r\n\r\n"),
    "a chunk size with 0x": chunked(body=b"0x1e\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk size beyond 64 bits": chunked(body=b"fffffffffffffffff\r\n" + BODY),
    "a chunk size with a space": chunked(body=b"1e \r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunks between bare line feeds": chunked(body=b"1e\n" + BODY + b"\n0\n\n"),
    "a chunk extension that ends in a line feed": chunked(body=b"1e;a\n" + BODY + b"\r\n0\r\n\r\n"),
    "a chunk longer than its size": chunked(body=b"1d\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "a folded header": whole(b"x-a: b\r\n c"),
    "bare line feeds": whole().replace(b"\r\n", b"\n"),
    "one bare line feed": whole(b"x-a: b\nx-b: c"),
    "a bare carriage return": whole(b"x-a: b\rx-b: c"),
    "a NUL in a header": whole(b"x-a: b\0c"),
    "a control character in a header": whole(b"x-a: b\x01c"),
    "a space in a header's name": whole(b"x a: b"),
    "a header without a name": whole(b": b"),
    "a header without a colon": whole(b"abc"),
    "no host": whole(host=b""),
    "two hosts": whole(b"host: y"),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": whole(line=b"POST / HTTP/1.2"),
    "HTTP/3.0": whole(line=b"POST / HTTP/3.0"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
    "CONNECT": b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    "a NUL in the path": whole(line=b"POST /v1/chat\0/completions HTTP/1.1"),
    "a byte beyond ASCII in the path": whole(line=b"POST /v1/chat/\xff HTTP/1.1"),
    "a tab in the path": whole(line=b"POST /v1/chat\t/completions HTTP/1.1"),
    "a space in the path": whole(line=b"POST /v1/chat /completions HTTP/1.1"),
    "a path without a slash": whole(line=b"POST v1/chat/completions HTTP/1.1"),
    "a method that there is not": whole(line=b"PO ST / HTTP/1.1"),
}
TOO_LARGE = {
    "a long path": b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "a long path without an end": b"GET /" + b"a" * 300_000,
    "many headers": whole(*(b"x-%d: y" % n for n in range(20_000))),
    "one long header": whole(b"x-a: " + b"y" * 1_000_000),
    "one just over the bound": whole(b"x-a: " + b"y" * MAX_HEAD_BYTES),
    "nothing but line breaks": b"\r\n" * 100_000,
    "a long chunk extension": chunked(body=b"1e;" + b"a" * 300_000),
    "trailers without end": chunked(body=CHUNKED[:-2] + b"x-a: b\r\n" * 30_000),
}


@pytest.mark.parametrize("pieces", [1, 7], ids=["whole", "in pieces"])
@on_each_loop
async def test_what_is_no_request_is_refused_and_the_connection_ends(pieces: int) -> None:
    async def verdict(name: str, data: bytes, port: int) -> tuple[str, bytes, str, bool]:
        size = -(-len(data) // pieces)
        answer = await said(port, *(data[at : at + size] for at in range(0, len(data), size)))
        told = json.loads(answer.partition(b"\r\n\r\n")[2] or b"{}")
        return name, answer[9:12], told.get("error", {}).get("type"), b"connection: close" in answer

    wanted = dict.fromkeys(REFUSED, (b"400", "invalid_request", True))
    wanted |= dict.fromkeys(TOO_LARGE, (b"431", "headers_too_large", True))
    async with served() as (gate, port), asyncio.timeout(60):
        verdicts = await asyncio.gather(*(verdict(*case, port) for case in (REFUSED | TOO_LARGE).items()))
    assert {name: told for name, *told in verdicts} == {name: list(told) for name, told in wanted.items()}
    # What is wrong with a body comes after a head that is good, and the application hears that its client has left.
    assert gate.reached <= sum("chunk" in name or "trailers" in name for name in wanted)


@on_each_loop
async def test_a_large_head_within_the_bound_is_a_request() -> None:
    async with served() as (_, port):
        answer = await said(port, whole(b"x-a: " + b"y" * (MAX_HEAD_BYTES - 200), b"connection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")


@on_each_loop
async def test_a_large_body_behind_a_small_head_is_no_large_head() -> None:
    body = b" " * 400_000
    async with served() as (_, port):
        asked = head(b"content-length: %d" % len(body), b"connection: close") + body
        assert (await said(port, asked)).startswith(b"HTTP/1.1 200 ")


@on_each_loop
async def test_trailers_are_no_headers() -> None:
    body = CHUNKED[:-2] + b"x-provider: other\r\nauthorization: Bearer another\r\nupgrade: websocket\r\n\r\n"
    async with served() as (_, port):
        answer = await said(port, head(b"transfer-encoding: chunked", b"connection: close") + body)
    told = json.loads(answer.partition(b"\r\n\r\n")[2].split(b"\r\n")[1])
    assert told["body"] == BODY.decode()
    assert [name for name, _ in told["headers"]] == ["host", "transfer-encoding", "connection"]


@on_each_loop
async def test_rubbish_behind_a_request_that_is_being_answered_is_not_taken_for_its_answer() -> None:
    """The client cannot tell which of its requests a refusal is for."""
    go_on = asyncio.Event()

    async def slowly(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await read_and_answer(scope, receive, send)

    async with served(slowly) as (gate, port):
        assert await said(port, whole() + b"RUBBISH\r\n\r\n") == b""
        go_on.set()
        await gate.gone.wait()


@on_each_loop
async def test_a_second_request_on_the_connection_is_held_to_the_same() -> None:
    async with served() as (gate, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole())
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(head(b"content-length: 5", b"transfer-encoding: chunked") + CHUNKED)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
    assert gate.reached == 1


@pytest.mark.parametrize("pieces", [
    [b"POST / HT", b"TP/1.1\r\n"],
    [b"G"],
    [b"\r\n", b"\r\n"],
    [LINE + b"\r\nhost: x\r\n", b"x-a: b\r\n", b"x-b: c\r\n"],
], ids=["a line", "a byte", "line breaks", "headers"])  # fmt: skip
@on_each_loop
async def test_a_head_that_does_not_come(pieces: list[bytes]) -> None:
    async with served(limits=ClientLimits(head=0.1)) as (gate, port):
        answer = await said(port, *pieces)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert gate.reached == 0


@on_each_loop
async def test_a_second_head_that_does_not_come() -> None:
    async with served(limits=ClientLimits(head=0.1)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole())
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"POST / ")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()


@on_each_loop
async def test_a_trickle_does_not_prolong_it() -> None:
    async with served(limits=ClientLimits(head=0.2)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = asyncio.create_task(reader.read())
        writer.write(LINE + b"\r\n")
        while not answer.done():
            with suppress(ConnectionError):
                writer.write(b"x-a: b\r\n")
            await asyncio.sleep(0.02)
        assert answer.result().startswith(b"HTTP/1.1 408 ")
        writer.close()


@on_each_loop
async def test_who_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.net.server._KEEP_ALIVE_SECONDS", 0.1)
    async with served() as (_, port):
        assert await said(port) == b""


@on_each_loop
async def test_a_body_that_does_not_come_is_left_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the application does not say so itself."""
    monkeypatch.setattr(http_protocol, "_GRACE_SECONDS", 0.1)
    async with served(limits=ClientLimits(body=0.05)) as (gate, port):
        with suppress(ConnectionError):
            assert await said(port, head(b"content-length: 5"), b"ab") == b""
        assert gate.reached == 1


@on_each_loop
async def test_who_takes_nothing_is_left_and_the_application_hears_of_it() -> None:
    async def flood(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(4000):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})

    async with served(flood, ClientLimits(idle=0.2)) as (gate, port), asyncio.timeout(20):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(head(line=b"GET / HTTP/1.1"))
        await gate.gone.wait()
        sock.close()


@on_each_loop
async def test_who_takes_slowly_is_waited_for() -> None:
    size = 12 * 1024 * 1024

    async def much(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": bytes(size), "more_body": False})

    async with served(much, ClientLimits(idle=1.0)) as (_, port), asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65536)
        writer.write(head(line=b"GET / HTTP/1.1"))
        got = 0
        while data := await reader.read(262_144):
            got += len(data)
            await asyncio.sleep(0.03)
        writer.close()
    assert got > size


@on_each_loop
async def test_a_client_hears_why_its_body_is_not_read_on() -> None:
    """It goes on sending; to close on that at once would be a reset, which takes the answer with it."""
    async with served() as (gate, port), asyncio.timeout(20):
        answer = await said(port, head(b"content-length: 9000000"), *[bytes(500_000)] * 10)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer
        assert gate.reached == 1


@on_each_loop
async def test_a_client_that_never_stops_sending_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "_LINGER_SECONDS", 0.2)
    async with served() as (_, port), asyncio.timeout(20):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(b"content-length: 900000000"))
        with suppress(ConnectionError):
            while True:
                writer.write(bytes(100_000))
                await writer.drain()
        writer.close()
