"""uvicorn's WebSockets at their edges, by clients that write bytes."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator

import pytest
from websockets.frames import Opcode

from headgate.gateway.socket import SocketClosed
from headgate.net.http_protocol import ClientLimits, Config
from headgate.net.websocket_server import AsgiSocket
from tests.net.sockets import ACCEPT, UPGRADE, Talk, Talking, closing, echo, frame, read_frame, talking
from tests.net.wire import MIB


class Peer:
    """A client by hand."""

    def __init__(self, app: Talking, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.app = app
        self.reader = reader
        self.writer = writer

    async def tell(self, data: bytes, step: int = 0) -> None:
        step = step or len(data) or 1
        for start in range(0, len(data), step):
            self.writer.write(data[start : start + step])
            await self.writer.drain()
            await asyncio.sleep(0)

    async def hear(self) -> tuple[Opcode, bytes]:
        return await read_frame(self.reader)

    async def ended(self) -> SocketClosed | None:
        return await self.app.heard.get()


@contextlib.asynccontextmanager
async def upgraded(talk: Talk = echo, headers: bytes = b"", *, max_frame_bytes: int = 1 << 20) -> AsyncIterator[Peer]:
    async with talking(talk, max_frame_bytes=max_frame_bytes) as (app, port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE % headers)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        assert ACCEPT in head
        try:
            yield Peer(app, reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def said(text: str) -> bytes:
    return frame(Opcode.TEXT, text.encode(), mask=True)


@pytest.mark.parametrize("step", [1, 3, 1000])
async def test_fragments_and_pings_cut_anywhere(step: int) -> None:
    stream = (
        frame(Opcode.TEXT, b"a\xc3", fin=False, mask=True)
        + frame(Opcode.PING, b"now", mask=True)
        + frame(Opcode.CONT, b"", fin=False, mask=True)
        + frame(Opcode.CONT, b"\xa9b", mask=True)
        + said("z" * 200)
    )
    async with upgraded() as peer:
        await peer.tell(stream, step)
        heard = [await peer.hear() for _ in range(3)]
    assert sorted(heard) == sorted([(Opcode.PONG, b"now"), (Opcode.TEXT, "aéb".encode()), (Opcode.TEXT, b"z" * 200)])


async def test_a_compressed_message() -> None:
    async with upgraded(headers=b"sec-websocket-extensions: permessage-deflate\r\n") as peer:
        squeeze = zlib.compressobj(wbits=-12)
        data = squeeze.compress(b"x" * 5000) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        packed = bytearray(frame(Opcode.TEXT, data[:-4], mask=True))
        packed[0] |= 0x40
        await peer.tell(bytes(packed))
        opcode, answer = await read_compressed(peer.reader)
        assert opcode is Opcode.TEXT
        assert zlib.decompressobj(wbits=-12).decompress(answer + b"\0\0\xff\xff") == b"x" * 5000


async def read_compressed(reader: asyncio.StreamReader) -> tuple[Opcode, bytes]:
    first, length = await reader.readexactly(2)
    assert first & 0x40
    return Opcode(first & 15), await reader.readexactly(length)


async def test_a_compressed_bomb_ends_the_socket() -> None:
    async with upgraded(headers=b"sec-websocket-extensions: permessage-deflate\r\n") as peer:
        squeeze = zlib.compressobj(wbits=-12)
        data = squeeze.compress(b"x" * (2 * MIB)) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        packed = bytearray(frame(Opcode.TEXT, data[:-4], mask=True))
        packed[0] |= 0x40
        await peer.tell(bytes(packed))
        opcode, close = await peer.hear()
        assert (opcode, close[:2]) == (Opcode.CLOSE, (1009).to_bytes(2))


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (frame(Opcode.TEXT, b"x" * 1001, mask=True), 1009),
        (frame(Opcode.TEXT, b"x" * (4 * MIB), mask=True), 1009),
        (frame(Opcode.TEXT, b"x" * 500, fin=False, mask=True) + frame(Opcode.CONT, b"x" * 501, mask=True), 1009),
        (frame(Opcode.TEXT, b"\xff", mask=True), 1007),
        (frame(Opcode.TEXT, b"\xed\xa0\x80", mask=True), 1007),
        (frame(Opcode.TEXT, b"unmasked"), 1002),
        (frame(Opcode.CONT, b"x", mask=True), 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (frame(Opcode.CLOSE, b"\x03\xee", mask=True), 1002),
    ],
    ids=["large", "huge", "fragments", "utf-8", "surrogate", "mask", "continuation", "opcode", "1006 on the wire"],
)
async def test_a_client_that_breaks_the_protocol_is_told_so(
    last: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What it said before is heard; and what it goes on to say does not turn the answer into a reset."""
    heard = []

    async def talk(socket: AsgiSocket) -> None:
        await socket.accept(())
        while True:
            heard.append(await socket.receive())

    async with upgraded(talk, max_frame_bytes=1000) as peer:
        await peer.tell(said("x" * 1000) + last + said("after"))
        opcode, close = await peer.hear()
        assert (opcode, close[:2]) == (Opcode.CLOSE, code.to_bytes(2))
        ended = await peer.ended()
        await peer.tell(said("more"))
    assert heard == [b"x" * 1000]
    assert ended is not None
    assert ended.code == 1006
    assert not [entry for entry in caplog.records if entry.levelname == "ERROR"]


async def test_a_close_without_a_code_is_1005_and_echoed() -> None:
    async with upgraded() as peer:
        await peer.tell(frame(Opcode.CLOSE, b"", mask=True))
        assert await peer.hear() == (Opcode.CLOSE, b"")
        assert await peer.reader.read() == b""
        ended = await peer.ended()
    assert ended is not None
    assert ended.code == 1005


async def test_a_client_that_only_shuts_the_connection() -> None:
    async with upgraded() as peer:
        await peer.tell(said("x")[:3])
        peer.writer.write_eof()
        ended = await peer.ended()
    assert ended is not None
    assert ended.code == 1006


@pytest.mark.parametrize(
    "early", [said("early"), b"\xff" * 20, closing(1000, mask=True)], ids=["a message", "noise", "a close"]
)
async def test_a_client_that_speaks_before_it_is_accepted(early: bytes, caplog: pytest.LogCaptureFixture) -> None:
    accept = asyncio.Event()

    async def talk(socket: AsgiSocket) -> None:
        await accept.wait()
        await socket.accept(())

    async with talking(talk) as (app, port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(UPGRADE % b"")
        while not app.scopes:
            await asyncio.sleep(0.01)
        writer.write(early)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        accept.set()
        ended = await app.heard.get()
        writer.close()
    assert ended is not None
    assert ended.code == 1006
    assert not [entry for entry in caplog.records if entry.levelname == "ERROR"]


async def test_empty_fragments_take_no_room() -> None:
    async with upgraded() as peer:
        await peer.tell(frame(Opcode.TEXT, b"", fin=False, mask=True))
        await peer.tell(frame(Opcode.CONT, b"", fin=False, mask=True) * 20_000)
        await peer.tell(frame(Opcode.PING, b"", mask=True))
        assert await peer.hear() == (Opcode.PONG, b"")
        protocol = peer.app.scopes[0]["extensions"]["headgate.break"].__self__.get_protocol()
        assert (len(protocol.frames), protocol._whole) == (1, bytearray())
        await peer.tell(frame(Opcode.CONT, b"end", mask=True))
        assert await peer.hear() == (Opcode.TEXT, b"end")


async def test_pings_of_a_client_that_reads_nothing_do_not_pile_up() -> None:
    async def talk(socket: AsgiSocket) -> None:
        await socket.accept(())
        while True:
            await socket.send(b"x" * MIB)

    async with upgraded(talk) as peer:
        await asyncio.sleep(0.3)  # until nothing more fits
        transport = peer.app.scopes[0]["extensions"]["headgate.break"].__self__
        before = transport.get_write_buffer_size()
        assert before > 0
        for number in range(20_000):
            peer.writer.write(frame(Opcode.PING, b"%120d" % number, mask=True))
        await peer.writer.drain()
        async with asyncio.timeout(30):
            while b"%120d" % 19_999 not in transport.get_protocol()._owed:
                await asyncio.sleep(0.01)
        assert transport.get_write_buffer_size() == before
        while (heard := await peer.hear())[0] is not Opcode.PONG:
            pass
        assert heard[1] == b"%120d" % 19_999
        peer.writer.transport.abort()


async def test_a_sender_learns_of_an_end_at_any_moment() -> None:
    """Not a RuntimeError, which uvicorn raises between its own close frame and the connection's end."""
    over = asyncio.Event()

    async def talk(socket: AsgiSocket) -> None:
        await socket.accept(())
        await over.wait()
        await socket.send(b"too late")

    async with upgraded(talk) as peer:
        await peer.tell(frame(Opcode.TEXT, b"\xff", mask=True))
        assert (await peer.hear())[0] is Opcode.CLOSE
        over.set()
        ended = await peer.ended()
    assert ended is not None
    assert ended.code == 1006


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ((UPGRADE % b"").replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"x"), b"400"),
        ((UPGRADE % b"").replace(b"version: 13", b"version: 8"), b"400"),
        ((UPGRADE % b"").replace(b"GET", b"POST"), b"405"),
        ((UPGRADE % b"").replace(b"upgrade: websocket", b"upgrade: h2c"), b"426"),
    ],
    ids=["key", "version", "method", "h2c"],
)
async def test_an_upgrade_that_is_none(request_: bytes, status: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with talking(echo) as (app, port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_)
        assert (await reader.readline()).split()[1] == status
        writer.close()
    assert not app.sockets
    assert not [entry for entry in caplog.records if entry.levelname == "ERROR"]


async def test_the_scope_tells_the_path_as_it_came() -> None:
    async with upgraded(headers=b"x-a: 1\r\nX-A: 2\r\n") as peer:
        scope = peer.app.scopes[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/v1/responses", b"/v1/responses", b"a=%20b")
    assert [value for name, value in scope["headers"] if name == b"x-a"] == [b"1", b"2"]


async def test_who_takes_nothing_is_left_and_the_application_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Config, "client_limits", ClientLimits(idle=0.2))
    ended = asyncio.Event()

    async def talk(socket: AsgiSocket) -> None:
        await socket.accept(())
        try:
            while True:
                await socket.send(b"x" * 65_536)
        except SocketClosed:
            ended.set()

    async with upgraded(talk), asyncio.timeout(20):
        await ended.wait()
