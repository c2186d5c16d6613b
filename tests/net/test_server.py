"""The server over real sockets."""

import asyncio
import contextlib
import http.client
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from websockets.asyncio.client import connect
from websockets.frames import Opcode

from headgate.errors import ConfigError, UpstreamCut
from headgate.gateway.local import LocalAnswers
from headgate.gateway.receipt import Trailers
from headgate.gateway.sessions import Sessions
from headgate.gateway.socket import SocketClosed
from headgate.gateway.upstream import Sink
from headgate.net import server as server_module
from headgate.net.asgi import Application, Lifecycle
from headgate.net.editions import Edition
from headgate.net.server import Server, bind, make_server
from headgate.net.websocket_client import WebSockets
from headgate.net.websocket_server import AsgiSocket
from headgate.records import Ending
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from tests.gateway.fakes import BEARER, CHAT, DONE, FINISH, FIRST, HANG, JSON, USAGE, FakeCall, Stage, ok, stage
from tests.net.sockets import UPGRADE, echo, frame, read_frame, talking


@contextlib.asynccontextmanager
async def serving(scene: Stage, stop_seconds: float = 5) -> AsyncIterator[int]:
    async with listening(application_of(scene), stop_seconds) as port:
        yield port


def application_of(scene: Stage) -> Application:
    async def close_upstream() -> None:
        for call in scene.upstream.calls:
            call.abort()

    async def nothing() -> None:
        pass

    gateway = scene.gateway
    local = LocalAnswers(Models((), Catalogue.from_json(b"{}"), None), gateway.door, scene.store, gateway.live, "1")
    lifecycle = Lifecycle(nothing, scene.store.aclose)
    sessions = Sessions(gateway, WebSockets())
    edition = Edition(gateway, sessions, local, 1 << 20, close_upstream=close_upstream)
    return Application(edition, lifecycle)


@contextlib.asynccontextmanager
async def listening(application: Application, stop_seconds: float = 5) -> AsyncIterator[int]:
    taken = bind("127.0.0.1", 0)
    async with served(application, taken, stop_seconds):
        yield taken.getsockname()[1]


@contextlib.asynccontextmanager
async def served(
    application: Application, taken: socket.socket, stop_seconds: float = 5, looked_into: Sequence[socket.socket] = ()
) -> AsyncIterator[Server]:
    started = asyncio.Event()
    server = make_server(application, stop_seconds, started.set)
    server.looked_into = looked_into
    running = asyncio.create_task(server.serve(sockets=[taken]))
    await started.wait()
    try:
        yield server
    finally:
        server.should_exit = True
        await running


def ask(port: int, body: bytes = CHAT) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


async def test_a_stream_over_a_socket() -> None:
    async with serving(stage(ok(FIRST, DONE))) as port:
        assert await asyncio.to_thread(ask, port) == (200, FIRST + DONE)


async def test_a_broken_answer_cannot_pass_for_a_whole_one() -> None:
    async with serving(stage(ok(FIRST[:9], UpstreamCut("lost")))) as port:
        with pytest.raises(http.client.IncompleteRead):
            await asyncio.to_thread(ask, port)


async def test_an_upgrade_is_not_a_crash() -> None:
    async with serving(stage()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((UPGRADE % b"").replace(b"/v1/responses", b"/v1/chat/completions"))
        assert (await reader.readline()).split()[1] == b"426"
        writer.close()
        await writer.wait_closed()


async def test_a_graceful_stop_lets_a_stream_finish() -> None:
    finish = asyncio.Event()

    class Slow(FakeCall):
        async def read(self, sink: Sink | None = None) -> bytes:
            if self._at == 1:
                await finish.wait()
            return await super().read(sink)

    slow = Slow(ok().answer, [FIRST, DONE])
    scene = stage(slow)
    asking: asyncio.Task[tuple[int, bytes]]
    async with serving(scene) as port:
        asking = asyncio.create_task(asyncio.to_thread(ask, port))
        while not scene.upstream.requests:
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.3, finish.set)
    assert await asking == (200, FIRST + DONE)
    assert scene.records()[0].ending is Ending.COMPLETE


async def test_a_stop_cuts_what_does_not_finish_and_records_it() -> None:
    scene = stage(ok(FIRST, HANG))
    async with serving(scene, stop_seconds=1) as port:
        asking = asyncio.create_task(asyncio.to_thread(ask, port))
        while not scene.upstream.requests:
            await asyncio.sleep(0.01)
    status, body = await asking
    assert status == 200
    assert body.startswith(FIRST)
    assert b"stopping" in body
    assert [r.ending for r in scene.records()] == [Ending.GATEWAY_FAILED]


def test_an_address_that_is_taken() -> None:
    first = bind("127.0.0.1", 0)
    try:
        first.listen()
        with pytest.raises(ConfigError, match="cannot listen on"):
            bind("127.0.0.1", first.getsockname()[1])
    finally:
        first.close()


STREAM = FIRST + FINISH + USAGE + DONE
SEEN = FIRST + FINISH + DONE
COST = [
    (b"x-headgate-cost-usd", b"0.000012"),
    (b"x-headgate-input-tokens", b"8"),
    (b"x-headgate-output-tokens", b"2"),
]


def request(*headers: bytes, version: bytes = b"1.1", body: bytes = CHAT) -> bytes:
    """A chat request as it stands on the wire."""
    bearer = b": ".join(BEARER)
    head = (b"host: x", b"content-type: application/json", bearer, b"content-length: %d" % len(body), *headers)
    return b"POST /v1/chat/completions HTTP/%b\r\n" % version + b"\r\n".join(head) + b"\r\n\r\n" + body


Pairs = list[tuple[bytes, bytes]]


def pairs(lines: bytes) -> Pairs:
    return [
        (name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    ]


async def chunked(reader: asyncio.StreamReader) -> tuple[Pairs, bytes, Pairs]:
    """An answer's headers, its body and its trailers, read by RFC 9112 section 7.1 and not a byte further."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    trailers = b""
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        trailers += line
    return pairs(head.split(b"\r\n", 1)[1]), body, pairs(trailers)


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("setting", "te", "trails"),
    [
        (Trailers.ASKED, [b"TE: trailers"], True),
        (Trailers.ASKED, [b"TE: deflate;q=0.5, Trailers;q=1"], True),
        (Trailers.ASKED, [], False),
        (Trailers.ASKED, [b"TE: deflate"], False),
        (Trailers.ALWAYS, [], True),
        (Trailers.NEVER, [b"TE: trailers"], False),
    ],
)
async def test_the_cost_follows_a_stream_in_trailers_and_the_connection_goes_on(
    setting: Trailers, te: list[bytes], trails: bool
) -> None:
    scene = await stage(*(ok(STREAM) for _ in range(3)), trailers=setting).with_key()
    async with serving(scene) as port, connected(port) as (reader, writer):
        for _ in range(3):
            writer.write(request(*te))
            headers, body, trailers = await chunked(reader)
            assert body == SEEN
            assert trailers == (COST if trails else [])
            announced = [value.split(b", ") for name, value in headers if name == b"trailer"]
            assert announced == ([[name for name, _ in COST]] if trails else [])
    assert [record.bill.charge_nanos for record in scene.records()] == [12_000] * 3


async def test_pipelined_requests_keep_their_own_trailers() -> None:
    scene = await stage(ok(STREAM), ok(STREAM), trailers=Trailers.ALWAYS).with_key()
    async with serving(scene) as port, connected(port) as (reader, writer):
        writer.write(request() * 2)
        for _ in range(2):
            assert (await chunked(reader))[1:] == (SEEN, COST)


async def test_http_1_0_gets_a_stream_that_ends_with_its_connection() -> None:
    scene = await stage(ok(STREAM), trailers=Trailers.ALWAYS).with_key()
    async with serving(scene) as port, connected(port) as (reader, writer):
        writer.write(request(b"TE: trailers", version=b"1.0"))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == SEEN
    assert [record.ending for record in scene.records()] == [Ending.COMPLETE]


async def test_the_cost_of_a_document_stands_in_its_head() -> None:
    document = (
        b'{"id":"c1","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"finish_reason":"stop"'
    )
    document += b',"message":{"role":"assistant","content":"Hi"}}],"usage":{"prompt_tokens":8,"completion_tokens":2}}'
    length = (b"content-length", str(len(document)).encode())
    scene = await stage(ok(document, headers=[*JSON, length]), trailers=Trailers.ALWAYS).with_key()
    async with serving(scene) as port, connected(port) as (reader, writer):
        writer.write(request(b"TE: trailers", b"connection: close", body=CHAT.replace(b'"stream":true,', b"")))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert body == document
    headers = pairs(head.split(b"\r\n", 1)[1])
    assert set(COST) < set(headers)
    assert not {b"trailer", b"transfer-encoding"} & {name for name, _ in headers}


async def test_a_client_that_resets_before_the_trailers_is_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    resume = asyncio.Event()

    class Waits(FakeCall):
        async def read(self, sink: Sink | None = None) -> bytes:
            if self._at == 1:
                await resume.wait()
            return await super().read(sink)

    scene = await stage(Waits(ok().answer, [FIRST, FINISH + USAGE + DONE]), trailers=Trailers.ALWAYS).with_key()
    async with serving(scene) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request())
        await reader.readuntil(FIRST)
        writer.transport.abort()
        await asyncio.sleep(0.05)
        resume.set()
    record = scene.records()[0]
    assert record.ending is Ending.CLIENT_LEFT
    await scene.agrees(record)
    assert not [entry for entry in caplog.records if entry.levelname == "ERROR"]


async def test_a_stop_gives_open_sockets_their_time() -> None:
    """They go on as if nothing had happened; the application closes them when their time is over."""
    async with talking(echo, stop_seconds=0.5) as (app, port, server):
        peer = await connect(f"ws://127.0.0.1:{port}/")
        await peer.send("before")
        assert await peer.recv() == "before"
        server.should_exit = True
        await asyncio.sleep(0.3)  # uvicorn looks every tenth of a second, and would close at once
        await peer.send("during")
        assert await peer.recv() == "during"
        with pytest.raises(ConnectionRefusedError):
            await connect(f"ws://127.0.0.1:{port}/")
        await peer.wait_closed()
    assert (peer.close_code, peer.close_reason) == (1012, "stopping")
    assert app.cuts == 1


async def test_a_stop_ends_as_soon_as_the_sockets_do() -> None:
    async with talking(echo, stop_seconds=60) as (app, port, server):
        peer = await connect(f"ws://127.0.0.1:{port}/")
        server.should_exit = True
        await asyncio.sleep(0.3)
        await peer.close(1000)
    assert not app.cuts


async def test_a_stop_while_a_socket_is_not_yet_accepted() -> None:
    accept = asyncio.Event()

    async def talk(socket: AsgiSocket) -> None:
        await accept.wait()
        await socket.refuse(503, [(b"content-type", b"text/plain")], b"stopping")

    async with talking(talk, stop_seconds=60) as (app, port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE % b"")
        while not app.sockets:
            await asyncio.sleep(0.01)
        server.should_exit = True
        await asyncio.sleep(0.3)
        accept.set()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert head.split()[1] == b"503"
    assert body == b"stopping"


async def test_a_message_is_bounded_as_it_is_when_decompressed() -> None:
    async with talking(echo, max_frame_bytes=100_000) as (app, port, _):
        async with connect(f"ws://127.0.0.1:{port}/", compression="deflate") as peer:
            await peer.send("x" * 100_000)
            assert len(await peer.recv()) == 100_000
            await peer.send("x" * 100_001)
            await peer.wait_closed()
        assert peer.close_code == 1009
        ended = await app.heard.get()
    assert ended is not None
    assert ended.code == 1006


async def test_pings_keep_the_line_and_need_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_PING_SECONDS", 0.02)
    async with talking(echo) as (_, port, _), connected(port) as (reader, writer):
        writer.write(UPGRADE % b"")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(5):
            assert (await read_frame(reader))[0] is Opcode.PING
        writer.write(frame(Opcode.TEXT, b"still here", mask=True))
        while (heard := await read_frame(reader))[0] is Opcode.PING:
            pass
    assert heard == (Opcode.TEXT, b"still here")


async def test_an_upgrade_on_a_connection_that_was_used_before() -> None:
    async with talking(echo) as (app, port, _), connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(UPGRADE % b"")
        assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"101"
        writer.write(frame(Opcode.TEXT, b"{}", mask=True))
        assert await read_frame(reader) == (Opcode.TEXT, b"{}")
    assert isinstance(await app.heard.get(), SocketClosed)


async def test_an_upgrade_behind_a_running_answer_is_no_upgrade() -> None:
    """It would take the connection away from the answer, whose application would then never hear the client leave."""
    async with talking(echo) as (app, port, _), connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADE % b"")
        assert b"http" in await reader.readuntil(b"0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"426"
    assert not app.sockets


async def test_small_answers_do_not_wait_for_acknowledgements() -> None:
    """On asyncio's own event loop too; uvloop asks nobody."""
    undelayed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        undelayed.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    taken = bind("127.0.0.1", 0)
    async with await asyncio.start_server(accepted, sock=taken):
        _, writer = await asyncio.open_connection(*taken.getsockname())
        assert await undelayed
        writer.close()
        await writer.wait_closed()


async def test_who_leaves_the_port_to_others_tells_each_client_so_with_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that were closed while a request is on its way to it would be an error for who sent that."""
    monkeypatch.setattr(server_module, "_PARTING_SECONDS", 1)
    slow = Gated(ok().answer, (FIRST, DONE))
    scene = await stage(ok(FIRST, DONE), slow, *(ok(FIRST, DONE) for _ in range(2))).with_key()
    taken = bind("127.0.0.1", 0)
    port = taken.getsockname()[1]
    async with (
        served(application_of(scene), taken) as server,
        connected(port) as (kept, to_kept),
        connected(port) as (busy, to_busy),
        connected(port) as (silent, _),
    ):
        to_kept.write(request())
        head, body, _ = await chunked(kept)
        assert body == FIRST + DONE
        assert (b"connection", b"close") not in head
        to_busy.write(request())
        await busy.readuntil(FIRST)
        server.leave(30)
        while server.servers and server.servers[0].is_serving():
            await asyncio.sleep(0.01)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        to_kept.write(request())
        head, body, _ = await chunked(kept)
        assert body == FIRST + DONE
        assert (b"connection", b"close") in head
        assert await kept.read() == b""
        slow.gate.set()
        assert await busy.readuntil(b"0\r\n\r\n")
        to_busy.write(request())
        head, body, _ = await chunked(busy)
        assert (body, (b"connection", b"close") in head) == (FIRST + DONE, True)
        async with asyncio.timeout(5):
            assert await silent.read() == b"", "nothing was asked on it in a while"


@dataclass
class Gated(FakeCall):
    """Says no more after its first chunk until it may."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, sink: Sink | None = None) -> bytes:
        if self._at == 1:
            await self.gate.wait()
        return await super().read(sink)


async def test_a_signal_hurries_who_is_leaving() -> None:
    scene, taken = await stage(ok(FIRST, HANG)).with_key(), bind("127.0.0.1", 0)
    async with (
        served(application_of(scene), taken, 0.1) as server,
        connected(taken.getsockname()[1]) as (reader, writer),
    ):
        writer.write(request())
        await reader.readuntil(FIRST)
        server.leave(3600)
        await asyncio.sleep(0.3)
        server.handle_exit(signal.SIGTERM, None)
        server._captured_signals.clear()  # or else it would be raised again at the end
        async with asyncio.timeout(5):
            assert b"stopping" in await reader.read()
    assert scene.records()[0].ending is Ending.GATEWAY_FAILED


async def test_who_waits_in_the_socket_of_one_that_is_not_there_is_served_too() -> None:
    own = bind("127.0.0.1", 0, shared=True)
    with bind("127.0.0.1", own.getsockname()[1], shared=True) as other:
        other.listen()
        scene = stage(*(ok(FIRST, DONE) for _ in range(24)))
        async with served(application_of(scene), own, looked_into=[other]):
            port = other.getsockname()[1]
            answers = await asyncio.gather(*(asyncio.to_thread(ask, port) for _ in range(24)))
        assert answers == [(200, FIRST + DONE)] * 24
