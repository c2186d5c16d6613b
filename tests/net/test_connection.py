import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from headgate.errors import UpstreamCut
from headgate.net.client_response import Response
from headgate.net.connection import HIGH_WATER, Connection
from headgate.net.connection_dial import dial
from headgate.providers.base import Origin

from .wire import MIB, OK, RESET, TRUSTING, Wire, forever, on_each_loop, serve, server_tls

REQUEST = b"POST / HTTP/1.1\r\n\r\n"


class Ear:
    """A Listener that keeps what it hears."""

    def __init__(self) -> None:
        self.response = Response()
        self.told: list[str] = []
        self.changed = asyncio.Event()

    def received(self) -> None:
        self.hear("received")

    def failed(self, error: UpstreamCut) -> None:
        self.hear(f"failed: {error}")

    def lost(self, cause: Exception | None) -> None:
        self.hear(f"lost: {type(cause).__name__}")

    def hear(self, what: str) -> None:
        self.told.append(what)
        self.changed.set()

    async def heard(self, what: str) -> None:
        while what not in self.told:
            self.changed.clear()
            await self.changed.wait()


@asynccontextmanager
async def connected(origin: Origin) -> AsyncIterator[Connection]:
    connection = await dial(origin, 10, TRUSTING)
    yield connection
    connection.close()
    connection.close()


async def until_complete(response: Response) -> None:
    while not response.complete:
        await asyncio.sleep(0.001)


@on_each_loop
async def test_one_request_after_the_other() -> None:
    async with serve(forever(OK)) as server, connected(server.origin) as connection:
        for body in (b"", b"abc"):
            ear = Ear()
            connection.begin(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body), body, ear.response, ear)
            await ear.heard("received")
            assert ear.response.complete
            assert connection.finish()
        assert [request[-3:] for request in server.requests] == [b"\n\r\n", b"abc"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"surplus",
        OK + OK,
    ],
)
@on_each_loop
async def test_not_reused_after(answer: bytes) -> None:
    async with serve(lambda wire: wire.answer(answer)) as server, connected(server.origin) as connection:
        ear = Ear()
        connection.begin(REQUEST, b"", ear.response, ear)
        await until_complete(ear.response)
        assert not connection.finish()


@on_each_loop
async def test_surplus_that_comes_later_closes_it() -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(OK, OK)
        assert await wire.ended()

    for finished_first in (True, False):
        async with serve(script) as server, connected(server.origin) as connection:
            ear = Ear()
            connection.begin(REQUEST, b"", ear.response, ear)
            await until_complete(ear.response)
            if finished_first:
                connection.finish()
            while connection.alive:
                await asyncio.sleep(0.001)
            assert not connection.finish()
            assert list(ear.response.chunks) == [b"ok"]


@on_each_loop
async def test_closed_while_idle() -> None:
    finished = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.answer(OK)
        await finished.wait()
        wire.close()

    async with serve(script) as server, connected(server.origin) as connection:
        ear = Ear()
        connection.begin(REQUEST, b"", ear.response, ear)
        await until_complete(ear.response)
        assert connection.finish()
        finished.set()
        while connection.alive:
            await asyncio.sleep(0.001)
        assert ear.told == ["received"]


@pytest.mark.parametrize(
    ("how", "told"), [("close", "lost: NoneType"), ("reset", "lost: ConnectionResetError"), ("abuse", "failed")]
)
@on_each_loop
async def test_the_listener_hears_how_it_ended(how: str, told: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        if how == "abuse":
            await wire.send(b"\0")
            await wire.ended()
        elif how == "close":
            wire.close()
        else:
            wire.reset()

    async with serve(script) as server, connected(server.origin) as connection:
        ear = Ear()
        connection.begin(REQUEST, b"", ear.response, ear)
        while not ear.told:
            await asyncio.sleep(0.001)
        assert [what[: len(told)] for what in ear.told] == [told]


@pytest.mark.parametrize("tls", [False, True])
@on_each_loop
async def test_reading_pauses_until_the_chunks_are_taken(tls: bool) -> None:
    size, sent = 32 * MIB, asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        wire.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            wire.writer.write(b"a" * MIB)
            await wire.writer.drain()
        sent.set()
        assert await wire.ended()

    async with serve(script, tls=server_tls() if tls else None) as server, connected(server.origin) as connection:
        ear = Ear()
        connection.begin(REQUEST, b"", ear.response, ear)
        response = ear.response
        while response.buffered <= HIGH_WATER:
            await asyncio.sleep(0.001)
        held = response.buffered
        await asyncio.sleep(0.05)
        assert response.buffered == held <= HIGH_WATER + 256 * 1024
        assert not sent.is_set()
        taken = 0
        while not response.complete or response.chunks:
            while response.chunks:
                taken += len(response.take())
            connection.drained()
            await asyncio.sleep(0)
        assert taken == size
        assert connection.finish()


@pytest.mark.parametrize("tls", [False, True])
@on_each_loop
async def test_a_large_body_is_written_bit_by_bit_beside_other_work(tls: bool) -> None:
    size, turns, most = 100 * MIB, 0, 0

    async def script(wire: Wire) -> None:
        got = len(await wire.reader.readuntil(b"\r\n\r\n")) * 0
        while got < size:
            got += len(await wire.reader.read(MIB))
        await wire.send(OK)
        assert await wire.ended()

    async with serve(script, tls=server_tls() if tls else None) as server, connected(server.origin) as connection:
        ear = Ear()
        connection.begin(REQUEST, bytes(size), ear.response, ear)
        while not ear.response.complete:
            turns += 1
            most = max(most, connection._transport.get_write_buffer_size())
            await asyncio.sleep(0)
        assert turns > 100
        assert most <= MIB
        assert connection.finish()


@on_each_loop
async def test_an_answer_before_the_body_is_written_ends_the_writing() -> None:
    async def script(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        await wire.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        assert not await wire.ended(), "some of the body had been written"
        while await wire.reader.read(MIB):
            pass

    async with serve(script) as server, connected(server.origin) as connection:
        ear = Ear()
        connection.begin(REQUEST, bytes(100 * MIB), ear.response, ear)
        await until_complete(ear.response)
        assert list(ear.response.chunks) == [b"no"]
        unsent = len(connection._unsent or b"")
        await asyncio.sleep(0.05)
        assert len(connection._unsent or b"") == unsent > 0
        assert not connection.finish(), "half a request is on it"


@on_each_loop
async def test_an_answer_before_the_transport_has_sent_it_all() -> None:
    done = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        wire.stop_reading()
        await wire.send(OK)
        await done.wait()

    async with serve(script) as server, connected(server.origin) as connection:
        connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        ear = Ear()
        connection.begin(REQUEST, bytes(256 * 1024), ear.response, ear)
        await until_complete(ear.response)
        assert connection._unsent is None
        assert connection._transport.get_write_buffer_size() > 0
        assert not connection.finish()
        done.set()


@on_each_loop
async def test_an_answer_that_is_there_goes_before_a_write_that_would_fail() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refused = threading.Event()

        def refuse() -> None:
            accepted, _ = listener.accept()
            accepted.recv(1)
            accepted.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            accepted.close()
            refused.set()

        thread = threading.Thread(target=refuse)
        thread.start()
        async with connected(Origin(tls=False, host="127.0.0.1", port=listener.getsockname()[1])) as connection:
            connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIB)
            ear = Ear()
            connection.begin(REQUEST, bytes(100 * MIB), ear.response, ear)
            while connection._transport.get_write_buffer_size():  # uvloop writes at the end of the turn
                await asyncio.sleep(0)
            refused.wait()  # the loop stands still, as it does while other work has its turn
            thread.join()
            while not ear.told:
                await asyncio.sleep(0)
            assert list(ear.response.chunks) == [b"no"]


@on_each_loop
async def test_half_closed_is_closed_even_if_nobody_reads_what_we_write() -> None:
    done = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        wire.stop_reading()
        wire.writer.write_eof()
        await done.wait()

    async with serve(script) as server, connected(server.origin) as connection:
        ear = Ear()
        connection.begin(REQUEST, bytes(100 * MIB), ear.response, ear)
        await ear.heard("lost: NoneType")
        done.set()


@on_each_loop
async def test_not_reused_while_reading_is_paused() -> None:
    async with serve(lambda wire: wire.ended()) as server, connected(server.origin) as connection:
        for drained in (True, False):
            ear = Ear()
            connection.begin(b"", b"", ear.response, ear)
            connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n" + b"a" * 70_000)
            assert ear.response.complete
            assert len(ear.response.take()) == 70_000
            if drained:
                connection.drained()
            assert connection.finish() == drained


@on_each_loop
async def test_readable_tells_what_the_loop_has_not_seen() -> None:
    proceed = asyncio.Event()

    async def script(wire: Wire) -> None:
        await proceed.wait()
        wire.writer.transport.write(b"x")
        assert await wire.ended()

    async with serve(script) as server, connected(server.origin) as connection:
        assert not connection.readable
        connection._transport.pause_reading()
        proceed.set()
        while not connection.readable:
            await asyncio.sleep(0.001)
