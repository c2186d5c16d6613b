"""The client's end: over the real server with the `websockets` library, and over ASGI as other servers do it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from headgate.gateway.socket import BinaryFrame, SocketClosed
from headgate.net import websocket_server
from headgate.net.websocket_server import AsgiSocket
from tests.net.sockets import Talk, Talking, echo, talking
from tests.net.wire import MIB

TEXTS = ["", "{}", '{"é":"\U0001f600"}', "\0\x7f\ufffe", "x" * 125, "x" * 126, "x" * 70_000, "y" * 900_000]


@contextlib.asynccontextmanager
async def client(talk: Talk, **how: Any) -> AsyncIterator[tuple[Talking, ClientConnection]]:
    async with talking(talk) as (app, port, _), connect(f"ws://127.0.0.1:{port}/v1/responses", **how) as peer:
        yield app, peer


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_text_passes_both_ways(compression: str | None) -> None:
    async with client(echo, compression=compression) as (app, peer):
        assert bool(peer.protocol.extensions) is (compression is not None)
        for text in TEXTS:
            await peer.send(text)
            assert await peer.recv() == text
        await peer.send(["a", "é", "", "b"])
        assert await peer.recv() == "aéb"
        await peer.close(4001, "enough")
        closed = await app.heard.get()
    assert closed is not None
    assert (closed.code, closed.reason) == (4001, "enough")


async def test_pings_are_answered_in_the_middle_of_a_message() -> None:
    async def fragments() -> AsyncIterator[str]:
        yield "a"
        await (await peer.ping())
        yield "b"

    async with client(echo) as (_, peer):
        await peer.send(fragments())
        assert await peer.recv() == "ab"


async def test_a_binary_message_is_told_apart() -> None:
    async def talk(socket: AsgiSocket) -> None:
        await socket.accept(())
        assert await socket.receive() == b"before"
        with pytest.raises(BinaryFrame):
            await socket.receive()
        await socket.close(1003, "text only")

    async with client(talk) as (app, peer):
        await peer.send("before")
        await peer.send(b"{}")
        with pytest.raises(ConnectionClosed) as caught:
            await peer.recv()
        assert await app.heard.get() is None
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1003, "text only")


HEADERS = [
    (b"x-codex-turn-state", b"a\xe9"),
    (b"openai-model", b"gpt"),
    (b"x-codex-turn-state", b"b"),
    (b"date", b"then"),
    (b"server", b"theirs"),
]
THEIRS = [
    (b"upgrade", b"h2c"),
    (b"connection", b"upgrade"),
    (b"sec-websocket-accept", b"wrong"),
    (b"sec-websocket-extensions", b"x"),
    (b"sec-websocket-protocol", b"y"),
    (b"content-length", b"5"),
    (b"transfer-encoding", b"chunked"),
]


async def test_the_provider_s_headers_reach_the_client_in_order_without_its_handshake() -> None:
    async def talk(socket: AsgiSocket) -> None:
        await socket.accept([*HEADERS, *THEIRS])
        await socket.receive()

    async with client(talk, compression=None) as (_, peer):
        assert peer.response is not None
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in peer.response.headers.raw_items()]
    assert raw[-5:] == HEADERS
    assert sorted(name for name, _ in raw[:-5]) == [b"connection", b"sec-websocket-accept", b"upgrade"]


@pytest.mark.parametrize(
    ("offered", "accepted"),
    [
        (None, None),
        (["realtime", "openai-insecure-api-key.sk-1", "openai-beta.realtime-v1"], "realtime"),
        (["openai-insecure-api-key.sk-1"], None),
    ],
)
async def test_no_subprotocol_but_realtime(offered: list[Subprotocol] | None, accepted: str | None) -> None:
    async with client(echo, subprotocols=offered) as (app, peer):
        assert peer.subprotocol == accepted
        assert app.scopes[0]["subprotocols"] == (offered or [])


@pytest.mark.parametrize("status", [401, 402, 403, 426, 429, 503])
async def test_a_refusal_is_an_http_answer(status: int) -> None:
    async def talk(socket: AsgiSocket) -> None:
        await socket.refuse(
            status, [(b"content-type", b"application/json"), (b"x-a", b"1"), (b"x-a", b"2")], b'{"e":1}'
        )
        await socket.close(1000)

    async with talking(talk) as (app, port, _):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{port}/v1/responses")
        assert await app.heard.get() is None
    response = caught.value.response
    assert (response.status_code, bytes(response.body)) == (status, b'{"e":1}')
    assert response.headers.get_all("content-type") == ["application/json"]
    assert response.headers.get_all("x-a") == ["1", "2"]


@pytest.mark.parametrize(
    ("code", "heard"), [(1000, 1000), (1008, 1008), (1012, 1012), (4000, 4000), (1005, 1001), (1006, 1011)]
)
async def test_close_codes_that_we_send(code: int, heard: int) -> None:
    async def talk(socket: AsgiSocket) -> None:
        await socket.accept(())
        await socket.close(code, "é" * 100)
        await socket.close(1000, "again")
        with pytest.raises(SocketClosed):
            await socket.receive()
        with pytest.raises(SocketClosed):
            await socket.send(b"{}")

    async with client(talk) as (app, peer):
        await peer.wait_closed()
        assert await app.heard.get() is None
    assert (peer.close_code, peer.close_reason) == (heard, "é" * 61)


async def test_a_client_that_leaves_without_a_word() -> None:
    async with client(echo) as (app, peer):
        peer.transport.abort()
        closed = await app.heard.get()
    assert closed is not None
    assert closed.code == 1006


async def test_the_end_is_told_again_and_to_the_sender() -> None:
    async def talk(socket: AsgiSocket) -> None:
        await socket.accept(())
        for _ in range(2):
            with pytest.raises(SocketClosed, match="1001 bye"):
                await socket.receive()
        with pytest.raises(SocketClosed, match="1001 bye"):
            await socket.send(b"{}")
        await socket.close(1000)

    async with client(talk) as (app, peer):
        await peer.close(1001, "bye")
        assert await app.heard.get() is None


async def test_a_client_that_has_left_before_it_is_accepted() -> None:
    left = asyncio.Event()

    async def talk(socket: AsgiSocket) -> None:
        await left.wait()
        await socket.accept(())

    async with talking(talk) as (app, port, _):
        with pytest.raises(TimeoutError):
            await connect(f"ws://127.0.0.1:{port}/", open_timeout=0.05)
        await asyncio.sleep(0.05)
        left.set()
        closed = await app.heard.get()
    assert closed is not None
    assert closed.code == 1006


async def test_a_client_that_is_slow_stops_the_sender_and_is_cut_off_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_server, "_CLOSE_SECONDS", 0.1)
    sent = 0

    async def talk(socket: AsgiSocket) -> None:
        nonlocal sent
        await socket.accept(())
        while True:
            await socket.send(b"x" * MIB)
            sent += 1

    async with talking(talk) as (app, port, _):
        peer = await connect(
            f"ws://127.0.0.1:{port}/", max_queue=1, max_size=None, compression=None, ping_interval=None
        )
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 64  # what the kernel's buffers hold, and the library's
        await app.sockets[0].close(1011)
        closed = await app.heard.get()
        assert closed is not None
        assert closed.code == 1006
        peer.transport.abort()


async def test_an_application_that_is_slow_stops_the_client() -> None:
    go = asyncio.Event()

    async def talk(socket: AsgiSocket) -> None:
        await socket.accept(())
        await go.wait()
        while True:
            await socket.receive()

    sent = 0

    async def flood(peer: ClientConnection) -> None:
        nonlocal sent
        for _ in range(128):
            await peer.send("x" * 1_000_000)
            sent += 1

    async with client(talk, compression=None, ping_interval=None) as (app, peer):
        flooding = asyncio.create_task(flood(peer))
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 64
        go.set()
        await flooding
        await peer.close()
        closed = await app.heard.get()
    assert sent == 128
    assert closed is not None
    assert closed.code == 1000


class Asgi:
    """A server's two ends, by hand."""

    def __init__(self, *events: dict[str, Any], gone: bool = False) -> None:
        self.events = list(events)
        self.sent: list[dict[str, Any]] = []
        self.gone = gone

    async def receive(self) -> Any:
        return self.events.pop(0)

    async def send(self, message: Any) -> None:
        if self.gone:
            raise OSError("gone")
        self.sent.append(message)


CONNECT: dict[str, Any] = {"type": "websocket.connect"}


async def test_a_server_that_cannot_refuse_closes() -> None:
    asgi = Asgi(CONNECT)
    await AsgiSocket({"type": "websocket"}, asgi.receive, asgi.send).refuse(402, [], b"{}")
    assert asgi.sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    ("event", "code", "reason"),
    [
        ({}, 1005, ""),
        ({"code": None, "reason": None}, 1005, ""),
        ({"code": 1006}, 1006, ""),
        ({"code": 1001, "reason": "x"}, 1001, "x"),
    ],
)
async def test_disconnects_as_servers_tell_them(event: dict[str, Any], code: int, reason: str) -> None:
    asgi = Asgi(CONNECT, {"type": "websocket.disconnect", **event})
    socket = AsgiSocket({"type": "websocket", "extensions": None}, asgi.receive, asgi.send)
    await socket.accept(())
    with pytest.raises(SocketClosed) as caught:
        await socket.receive()
    assert (caught.value.code, caught.value.reason) == (code, reason)


async def test_a_text_beside_an_empty_bytes_is_a_text() -> None:
    asgi = Asgi(
        CONNECT, {"type": "websocket.receive", "text": "", "bytes": None}, {"type": "websocket.receive", "bytes": b""}
    )
    socket = AsgiSocket({"type": "websocket"}, asgi.receive, asgi.send)
    await socket.accept(())
    assert await socket.receive() == b""
    with pytest.raises(BinaryFrame):
        await socket.receive()


async def test_a_client_that_is_gone_is_no_error() -> None:
    asgi = Asgi({"type": "websocket.disconnect", "code": 1006}, CONNECT, CONNECT, gone=True)
    scope = cast("dict[str, Any]", {"type": "websocket", "extensions": {"websocket.http.response": {}}})
    await AsgiSocket(scope, asgi.receive, asgi.send).refuse(426, [], b"")
    await AsgiSocket(scope, asgi.receive, asgi.send).refuse(426, [], b"")
    socket = AsgiSocket(scope, asgi.receive, asgi.send)
    with pytest.raises(SocketClosed, match="1006"):
        await socket.accept(())
    await socket.close(1000)
