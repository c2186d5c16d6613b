"""The provider's end, against the `websockets` library's server and against scripted bytes."""

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import cast

import pytest
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets
from websockets.datastructures import Headers as FieldList
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.utils import accept_key

from headgate.errors import BadRequest, UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from headgate.gateway.socket import BinaryFrame, Refusal, SocketClosed
from headgate.gateway.upstream import Headers
from headgate.net import websocket_client
from headgate.net.websocket_client import HIGH_WATER, WebSocket, WebSockets
from headgate.providers.base import Origin
from tests.net.sockets import closing, frame
from tests.net.wire import MIB, TRUSTING, Wire, ask, black_hole, on_each_loop, serve, server_tls

TEXTS = [b"", b"{}", '{"é":"\U0001f600"}'.encode(), b"\0\x7f", b"x" * 125, b"x" * 126, b"x" * 70_000, b"y" * MIB]

Talk = Callable[[ServerConnection], Awaitable[None]]
Screen = Callable[[ServerConnection, Request], Response | None]


@contextlib.asynccontextmanager
async def provider(
    talk: Talk,
    *,
    tls: ssl.SSLContext | None = None,
    screen: Screen | None = None,
    answer: Callable[[ServerConnection, Request, Response], Response | None] | None = None,
) -> AsyncIterator[Origin]:
    """The library's server, which takes and offers compression, and takes any size."""
    async with serve_sockets(
        talk,
        "127.0.0.1",
        0,
        ssl=tls,
        process_request=screen,
        process_response=answer,
        server_header=None,
        max_size=None,
        ping_interval=None,
    ) as server:
        port: int = next(iter(server.sockets)).getsockname()[1]
        yield Origin(tls=tls is not None, host="127.0.0.1", port=port)


async def echo(peer: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in peer:
            await peer.send(message)


async def opened(
    origin: Origin, headers: Headers = ((b"x-a", b"1"),), max_frame_bytes: int = 4 * MIB, **limits: float
) -> WebSocket:
    request = replace(ask(origin, b"GET", b"", b"/v1/responses?a=%20b", **limits), headers=headers)
    socket = await WebSockets(ssl_context=TRUSTING, max_frame_bytes=max_frame_bytes).connect(request)
    assert isinstance(socket, WebSocket)
    return socket


async def upgrade(wire: Wire, *extra: bytes) -> None:
    """Accept the upgrade by hand."""
    key = re.search(rb"\r\nsec-websocket-key: (\S+)\r\n", await wire.request(), re.IGNORECASE)
    assert key is not None
    accept = accept_key(key[1].decode()).encode()
    await wire.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + b"".join(extra)
    )


@pytest.mark.parametrize("tls", [False, True])
@on_each_loop
async def test_text_passes_both_ways_byte_for_byte(tls: bool) -> None:
    async with provider(echo, tls=server_tls() if tls else None) as origin:
        socket = await opened(origin)
        for text in TEXTS:
            await socket.send(text)
            assert await socket.receive() == text
        await socket.close(1000)


@on_each_loop
async def test_the_upgrade_is_the_request_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")

    async def script(wire: Wire) -> None:
        await upgrade(wire)
        assert await wire.reader.read(2) != b""
        wire.close()

    async with serve(script) as server:
        given = [
            (b"authorization", b"Bearer k"), (b"user-agent", b"codex \xe9"), (b"x-b", b"1"), (b"x-b", b"2"),
            (b"sec-websocket-protocol", b"realtime, openai-insecure-api-key.secret"), (b"sec-websocket-key", b"theirs"),
            (b"Sec-WebSocket-Extensions", b"permessage-deflate"),
        ]  # fmt: skip
        socket = await opened(server.origin, given)
        await socket.close(1000)
        head = server.requests[0]
    lines = head.split(b"\r\n")
    assert lines[:2] == [b"GET /v1/responses?a=%20b HTTP/1.1", b"host: api.test"]
    assert lines[-6:-2] == [b": ".join(pair) for pair in given[:4]]
    names = sorted(line.partition(b":")[0].lower() for line in lines[2:-6])
    assert names == [b"connection", b"sec-websocket-key", b"sec-websocket-version", b"upgrade"]
    assert b"secret" not in head
    assert b"theirs" not in head


async def test_no_credential_and_no_word_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with provider(echo) as origin:
            socket = await opened(origin, [(b"authorization", b"Bearer the-credential")])
            await socket.send(b"what was said")
            assert await socket.receive() == b"what was said"
            await socket.close(1000)
    assert "the-credential" not in caplog.text
    assert "what was said" not in caplog.text


@on_each_loop
async def test_the_headers_of_the_answer() -> None:
    def answer(_peer: ServerConnection, _request: Request, response: Response) -> Response:
        response.headers["OpenAI-Model"] = "gpt"
        response.headers["X-Codex-Turn-State"] = "a"
        response.headers["X-Codex-Turn-State"] = "\xe9"
        return response

    async with provider(echo, answer=answer) as origin:
        socket = await opened(origin)
        await socket.close(1000)
    assert socket.headers[-3:] == [
        (b"openai-model", b"gpt"),
        (b"x-codex-turn-state", b"a"),
        (b"x-codex-turn-state", b"\xe9"),
    ]
    assert all(name == name.lower() for name, _ in socket.headers)
    assert b"sec-websocket-extensions" not in dict(socket.headers)


@pytest.mark.parametrize("status", [301, 400, 401, 426, 429, 503])
@on_each_loop
async def test_a_refusal_comes_whole_and_no_redirect_is_followed(status: int) -> None:
    asked = []

    def refuse(_peer: ServerConnection, request: Request) -> Response:
        asked.append(request.path)
        headers = FieldList([("Location", "/elsewhere"), ("Retry-After", "7"), ("Content-Length", "9")])
        return Response(status, HTTPStatus(status).phrase, headers, b'{"error"}')

    async with provider(echo, screen=refuse) as origin:
        refusal = await WebSockets().connect(ask(origin, b"GET", b""))
    assert refusal == Refusal(
        status, [(b"location", b"/elsewhere"), (b"retry-after", b"7"), (b"content-length", b"9")], b'{"error"}'
    )
    assert asked == ["/v1/x"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 Unauthorized\r\n\r\nno",
        b"HTTP/1.1 401 Unauthorized\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno",
    ],
)
@on_each_loop
async def test_a_refusal_however_it_ends_and_is_cut(answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(*(answer[i : i + 1] for i in range(len(answer))))

    async with serve(script) as server:
        refusal = await WebSockets().connect(ask(server.origin, b"GET", b""))
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.body) == (401, b"no")


ACCEPTING = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: "


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 101 Switch",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        b"HTTP/1.1 401 No\r\ncontent-length: 2000000\r\n\r\n" + b"x" * 2_000_000,
        ACCEPTING + b"wrong\r\n\r\n",
    ],
    ids=["nothing", "half", "garbage", "1xx", "cut", "body", "key"],
)
@on_each_loop
async def test_an_answer_that_is_none(answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(answer)

    async with serve(script) as server:
        with pytest.raises(UpstreamCut):
            await WebSockets().connect(ask(server.origin, b"GET", b""))


@on_each_loop
async def test_an_extension_that_was_not_offered_is_refused() -> None:
    async def script(wire: Wire) -> None:
        key = re.search(rb"sec-websocket-key: (\S+)", await wire.request(), re.IGNORECASE)
        assert key is not None
        accept = accept_key(key[1].decode()).encode()
        await wire.send(ACCEPTING + accept + b"\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n")

    async with serve(script) as server:
        with pytest.raises(UpstreamCut):
            await WebSockets().connect(ask(server.origin, b"GET", b""))


@on_each_loop
async def test_a_reset_instead_of_an_answer() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        wire.reset()

    async with serve(script) as server:
        with pytest.raises(UpstreamCut):
            await WebSockets().connect(ask(server.origin, b"GET", b""))


@on_each_loop
async def test_silence_instead_of_an_answer() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        assert await wire.ended()

    async with serve(script) as server:
        with pytest.raises(UpstreamTimeout):
            await WebSockets().connect(ask(server.origin, b"GET", b"", first_byte=0.05))


@on_each_loop
async def test_nobody_there() -> None:
    async with black_hole() as origin:
        with pytest.raises(UpstreamUnreachable, match="too long"):
            await WebSockets().connect(ask(origin, b"GET", b"", connect=0.05))
    with pytest.raises(UpstreamUnreachable, match="refused"):
        await WebSockets().connect(ask(origin, b"GET", b""))
    with pytest.raises(UpstreamUnreachable, match="resolved"):
        await WebSockets().connect(ask(replace(origin, host="no-such-host.invalid"), b"GET", b""))


@on_each_loop
async def test_a_certificate_that_nobody_trusts() -> None:
    async with provider(echo, tls=server_tls()) as origin:
        with pytest.raises(UpstreamUnreachable, match="secure"):
            await WebSockets().connect(ask(origin, b"GET", b""))


@on_each_loop
async def test_a_request_that_could_be_read_as_two_is_not_sent() -> None:
    async with provider(echo) as origin:
        for bad in ([(b"x", b"1\r\ny: 2")], [(b"upgrade", b"h2c")], [(b"x y", b"1")]):
            with pytest.raises(BadRequest):
                await opened(origin, bad)


@on_each_loop
async def test_leaving_while_it_connects() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        assert await wire.ended()

    async with serve(script) as server:
        connecting = asyncio.create_task(WebSockets().connect(ask(server.origin, b"GET", b"")))
        while not server.requests:
            await asyncio.sleep(0.001)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting


FRAGMENTED = [
    frame(Opcode.TEXT, b'{"a":"\xc3', fin=False),
    frame(Opcode.PING, b"now"),
    frame(Opcode.CONT, b"", fin=False),
    frame(Opcode.CONT, b'\xa9"}'),
    frame(Opcode.PONG, b"?"),
    frame(Opcode.TEXT, b"z" * 300),
]


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
@on_each_loop
async def test_fragments_and_pings_cut_anywhere(step: int) -> None:
    async def script(wire: Wire) -> None:
        stream = b"".join(FRAGMENTED)
        await upgrade(wire)
        await wire.send(*(stream[i : i + step] for i in range(0, len(stream), step)))
        head = await wire.reader.readexactly(2 + 4 + 3)
        assert head[0] == 0x80 | Opcode.PONG
        assert bytes(a ^ b for a, b in zip(head[6:], head[2:5], strict=True)) == b"now"
        await wire.send(closing(1000))
        await wire.reader.read(8)

    async with serve(script) as server:
        socket = await opened(server.origin)
        assert await socket.receive() == '{"a":"é"}'.encode()
        assert await socket.receive() == b"z" * 300
        with pytest.raises(SocketClosed, match="1000"):
            await socket.receive()
        await socket.close(1000)


@on_each_loop
async def test_frames_that_come_with_the_answer_are_not_lost() -> None:
    async def script(wire: Wire) -> None:
        await upgrade(wire, frame(Opcode.TEXT, b"first"), frame(Opcode.TEXT, b"second"), closing(4001, "enough"))
        await wire.reader.read(1)

    async with serve(script) as server:
        socket = await opened(server.origin)
        assert [await socket.receive(), await socket.receive()] == [b"first", b"second"]
        for _ in range(2):
            with pytest.raises(SocketClosed) as caught:
                await socket.receive()
            assert (caught.value.code, caught.value.reason) == (4001, "enough")
        with pytest.raises(SocketClosed, match="4001 enough"):
            await socket.send(b"{}")
        await socket.close(1000)


@on_each_loop
async def test_a_binary_message_is_told_apart_in_its_place() -> None:
    async def talk(peer: ServerConnection) -> None:
        await peer.send("before")
        await peer.send(b"\xff")
        await peer.send("after")
        await peer.wait_closed()

    async with provider(talk) as origin:
        socket = await opened(origin)
        assert await socket.receive() == b"before"
        with pytest.raises(BinaryFrame):
            await socket.receive()
        assert await socket.receive() == b"after"
        await socket.close(1003)


@pytest.mark.parametrize(
    ("code", "heard"), [(1000, 1000), (1001, 1001), (1012, 1012), (4000, 4000), (1005, 1001), (1006, 1011)]
)
@on_each_loop
async def test_close_codes_that_we_send(code: int, heard: int) -> None:
    ends: list[tuple[int | None, str | None]] = []

    async def talk(peer: ServerConnection) -> None:
        await peer.wait_closed()
        ends.append((peer.close_code, peer.close_reason))

    async with provider(talk) as origin:
        socket = await opened(origin)
        await socket.close(code, "r" * 200)
        await socket.close(1000, "again")
    assert ends == [(heard, "r" * 123)]


@pytest.mark.parametrize(
    ("last", "heard"),
    [
        (closing(1000, "é"), (1000, "é")),
        (closing(1013), (1013, "")),
        (closing(4999, "x" * 123), (4999, "x" * 123)),
        (frame(Opcode.CLOSE, b""), (1005, "")),
        (b"", (1006, "")),
        (frame(Opcode.TEXT, b"abc")[:3], (1006, "")),
        (frame(Opcode.TEXT, b"\xff"), (1006, "")),
        (frame(Opcode.CONT, b"x"), (1006, "")),
        (frame(Opcode.TEXT, b"x", mask=True), (1006, "")),
        (b"\x83\x00", (1006, "")),
        (frame(Opcode.CLOSE, b"\x03\xed"), (1006, "")),
    ],
    ids=["1000", "1013", "4999", "none", "fin", "cut", "utf-8", "continuation", "mask", "opcode", "1005 on the wire"],
)
@on_each_loop
async def test_ends_that_we_hear_after_what_came_before(last: bytes, heard: tuple[int, str]) -> None:
    async def script(wire: Wire) -> None:
        await upgrade(wire)
        await wire.send(frame(Opcode.TEXT, b"before"), last)

    async with serve(script) as server:
        socket = await opened(server.origin)
        assert await socket.receive() == b"before"
        with pytest.raises(SocketClosed) as caught:
            await socket.receive()
        assert (caught.value.code, caught.value.reason) == heard
        with pytest.raises(SocketClosed):
            await socket.send(b"{}")
        await socket.close(1000)


@on_each_loop
async def test_a_reset() -> None:
    async def script(wire: Wire) -> None:
        await upgrade(wire)
        wire.reset()

    async with serve(script) as server:
        socket = await opened(server.origin)
        with pytest.raises(SocketClosed, match="1006"):
            await socket.receive()
        await socket.close(1000)


@on_each_loop
async def test_a_message_over_the_limit_ends_the_socket() -> None:
    """And one of exactly that size does not, whole or in fragments."""
    codes: list[int | None] = []

    async def talk(peer: ServerConnection) -> None:
        await peer.send("x" * 1000)
        await peer.send(["x" * 500, "x" * 500])
        await peer.send(["x" * 500, "x" * 501])
        await peer.wait_closed()
        codes.append(peer.close_code)

    async with provider(talk) as origin:
        socket = await opened(origin, max_frame_bytes=1000)
        assert [len(await socket.receive()) for _ in range(2)] == [1000, 1000]
        with pytest.raises(SocketClosed, match="1006"):
            await socket.receive()
        await socket.close(1011)
    assert codes == [1009]


@on_each_loop
async def test_a_provider_that_closes_and_stays_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_client, "_CLOSE_SECONDS", 0.05)

    async def script(wire: Wire) -> None:
        await upgrade(wire)
        await wire.send(closing(1001))
        await wire.reader.read()  # until we have left

    async with serve(script) as server:
        socket = await opened(server.origin)
        with pytest.raises(SocketClosed, match="1001"):
            await socket.receive()
        await socket.close(1000)


@on_each_loop
async def test_closing_on_a_provider_that_neither_reads_nor_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_client, "_CLOSE_SECONDS", 0.05)
    over = asyncio.Event()

    async def script(wire: Wire) -> None:
        await upgrade(wire)
        wire.stop_reading()
        await over.wait()

    async def flood(socket: WebSocket) -> None:
        while True:
            await socket.send(b"x" * MIB)

    async with serve(script) as server:
        socket = await opened(server.origin)
        flooding = asyncio.create_task(flood(socket))
        await asyncio.sleep(0.05)
        assert not flooding.done()
        await socket.close(1000)
        with pytest.raises(SocketClosed, match="1006"):
            await flooding
        over.set()


@on_each_loop
async def test_a_reader_that_is_slow_stops_the_provider() -> None:
    sent = 0
    full = 256

    async def talk(peer: ServerConnection) -> None:
        nonlocal sent
        for _ in range(full):
            await peer.send("x" * MIB)
            sent += 1
        await peer.close()

    async with provider(talk) as origin:
        socket = await opened(origin)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < full // 4  # what the kernel's buffers hold
        assert socket._link._waiting <= HIGH_WATER + 2 * MIB
        assert len(socket._link._protocol.reader.buffer) <= 2 * MIB
        for _ in range(full):
            assert len(await socket.receive()) == MIB
        with pytest.raises(SocketClosed, match="1000"):
            await socket.receive()
        await socket.close(1000)


@on_each_loop
async def test_empty_frames_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_client, "_CLOSE_SECONDS", 0.05)

    async def script(wire: Wire) -> None:
        await upgrade(wire)
        while True:
            wire.writer.write(frame(Opcode.TEXT, b"") * 1000)
            await wire.writer.drain()

    async with serve(script) as server:
        socket = await opened(server.origin)
        await asyncio.sleep(0.2)
        waiting = len(socket._link._frames)
        assert waiting > 1000
        await asyncio.sleep(0.1)
        assert len(socket._link._frames) == waiting
        await socket.close(1000)


@on_each_loop
async def test_a_provider_that_is_slow_stops_the_sender() -> None:
    go = asyncio.Event()
    got = 0

    async def talk(peer: ServerConnection) -> None:
        nonlocal got
        await go.wait()
        with contextlib.suppress(ConnectionClosed):
            async for message in peer:
                got += len(message)

    async with provider(talk) as origin:
        socket = await opened(origin)
        sent = 0

        async def flood() -> None:
            nonlocal sent
            for _ in range(256):
                await socket.send(b"x" * MIB)
                sent += 1

        flooding = asyncio.create_task(flood())
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 64
        assert socket._link._transport.get_write_buffer_size() <= 2 * MIB
        go.set()
        await flooding
        await socket.close(1000)
    assert got == 256 * MIB


@on_each_loop
async def test_a_flood_of_pings_is_owed_one_pong() -> None:
    """More pings than both kernels hold pongs; whoever sent them reads none until then."""
    last = b"the last of them"
    read = asyncio.Event()
    heard: list[bytes] = []

    async def script(wire: Wire) -> None:
        await upgrade(wire)
        wire.stop_reading()
        for _ in range(16):
            wire.writer.write(frame(Opcode.PING, b"x" * 125) * (MIB // 128))
            await wire.writer.drain()
        await wire.send(frame(Opcode.PING, last), frame(Opcode.TEXT, b"now"))
        await read.wait()
        cast("asyncio.Transport", wire.writer.transport).resume_reading()
        pong = b""
        while unmasked(pong) != last:
            _, length = await wire.reader.readexactly(2)
            pong = await wire.reader.readexactly(4 + (length & 127))
        heard.append(unmasked(pong))
        wire.close()

    async with serve(script) as server:
        socket = await opened(server.origin)
        assert await socket.receive() == b"now"
        assert socket._link._transport.get_write_buffer_size() <= 2 * MIB
        read.set()
        with pytest.raises(SocketClosed):
            await socket.receive()
        await socket.close(1000)
    assert heard == [last]


def unmasked(payload: bytes) -> bytes:
    """Of a frame, behind its mask."""
    return bytes(byte ^ payload[at % 4] for at, byte in enumerate(payload[4:]))


@on_each_loop
async def test_closing_with_frames_unread_is_still_in_good_order() -> None:
    codes: list[int | None] = []

    async def talk(peer: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await peer.send("x" * 100_000)
        codes.append(peer.close_code)

    async with provider(talk) as origin:
        socket = await opened(origin)
        await asyncio.sleep(0.1)
        await socket.close(1001, "the client left")
    assert codes == [1001]


@on_each_loop
async def test_pings_keep_the_connection_and_need_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_client, "_PING_SECONDS", 0.02)
    monkeypatch.setattr(websocket_client, "_CLOSE_SECONDS", 0.05)

    async def script(wire: Wire) -> None:
        await upgrade(wire)
        for _ in range(5):
            assert (await wire.reader.readexactly(6))[:2] == bytes([0x80 | Opcode.PING, 0x80])
        await wire.send(frame(Opcode.TEXT, b"still here"), closing(1000))
        await wire.reader.read()

    async with serve(script) as server:
        socket = await opened(server.origin)
        assert await socket.receive() == b"still here"
        await socket.close(1000)


@on_each_loop
async def test_a_receive_that_is_given_up_loses_nothing() -> None:
    async with provider(echo) as origin:
        socket = await opened(origin)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await socket.receive()
        await socket.send(b"kept")
        await asyncio.sleep(0.05)
        assert await socket.receive() == b"kept"
        await socket.close(1000)
