import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import pytest

from headgate.net.server import bind
from headgate.testing.faults import Corrupt, Cut, Delay, Faults, HalfClose, Reset, Script, Stall, Trickle
from headgate.testing.proxy import Direction, Proxy, proxying
from tests.net.wire import on_each_loop

SAID = b"0123456789" * 10
UP, DOWN = Direction.UP, Direction.DOWN


def script_of(direction: Direction, *script: Script) -> Faults:
    (own,) = script
    return Faults(up=own) if direction is UP else Faults(down=own)


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    serving = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(ConnectionError):
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
        await end(writer)

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*(task for task in serving if task is not None))


@asynccontextmanager
async def through(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with echo() as port, proxying(proxy, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        yield reader, writer
        await end(writer)


@pytest.mark.parametrize("piece", [1, 7, 65_536])
@on_each_loop
async def test_bytes_pass_in_pieces_and_ends_too(piece: int) -> None:
    slowly = (Trickle(0, piece),)
    proxy = Proxy(Faults(slowly, slowly), keep=True)
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        writer.write_eof()
        assert await reader.read() == SAID
    assert proxy.passed == {UP: 100, DOWN: 100}
    (passage,) = proxy.passages
    assert passage.came == passage.went == {UP: SAID, DOWN: SAID}
    assert not proxy.struck.is_set()


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("after", [0, 1, 42, 99, 100])
@on_each_loop
async def test_a_cut_is_an_end_and_a_reset_a_break_after_so_many_bytes(direction: Direction, after: int) -> None:
    proxy = Proxy(script_of(direction, (Cut(after),)))
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        got = await reader.read()
    assert SAID.startswith(got)
    assert proxy.passed[direction] == after
    proxy = Proxy(script_of(direction, (Reset(after),)))
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        with pytest.raises(ConnectionResetError):
            await reader.read()
    assert proxy.passed[direction] == after


@pytest.mark.parametrize("direction", Direction)
@on_each_loop
async def test_half_of_a_connection_closes(direction: Direction) -> None:
    proxy = Proxy(script_of(direction, (HalfClose(30),)), keep=True)
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        assert await reader.read() == SAID[:30]
        writer.write_eof()
    (passage,) = proxy.passages
    assert passage.came[UP] == SAID  # also what was lost
    assert passage.went[direction] == SAID[:30]


@on_each_loop
async def test_a_byte_is_changed_and_a_delay_only_delays() -> None:
    proxy = Proxy(Faults(up=(Corrupt(5, 1), Delay(50, 0.01)), down=(Corrupt(99, 0x80),)))
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        assert await reader.readexactly(100) == b"0123446789" + SAID[10:99] + b"\xb9"


@on_each_loop
async def test_a_stall_lasts_until_it_is_released() -> None:
    proxy = Proxy(Faults(up=(Stall(10),)))
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        assert await reader.readexactly(10) == SAID[:10]
        await proxy.struck.wait()
        assert proxy.passed[UP] == 10
        proxy.release()
        assert await reader.readexactly(90) == SAID[10:]


@on_each_loop
async def test_a_stall_is_over_when_the_other_end_leaves() -> None:
    proxy = Proxy(Faults(down=(Stall(0),)))
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        await proxy.struck.wait()
        writer.write_eof()
        assert await reader.read() == b""
        while proxy.serving:
            await asyncio.sleep(0.001)
    assert proxy.passages == []


@on_each_loop
async def test_a_stall_is_soon_felt_where_the_buffers_are_small() -> None:
    proxy = Proxy(Faults(up=(Stall(0),)), buffer=4096)
    async with through(proxy) as (_, writer):
        writer.transport.set_write_buffer_limits(0)
        writer.write(bytes(1 << 22))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.2)
        writer.transport.abort()


@on_each_loop
async def test_each_connection_has_its_own_faults() -> None:
    proxy = Proxy(lambda number: Faults(down=(Cut(number),)))
    async with echo() as port, proxying(proxy, port):
        for number in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(SAID)
            assert await reader.read() == SAID[:number]
            await end(writer)
    assert proxy.accepted == 4


@pytest.mark.parametrize("turns", range(8))
@on_each_loop
async def test_a_connection_that_is_ended_as_it_begins_leaves_nothing(turns: int) -> None:
    async with echo() as port, proxying(Proxy(), port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        while not proxy.serving:
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        await proxy.end_all()
        assert await reader.read() == b""
        await end(writer)


@on_each_loop
async def test_where_nobody_listens_the_connection_breaks() -> None:
    with closing(bind("127.0.0.1", 0)) as taken:
        async with proxying(Proxy(), taken.getsockname()[1]) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
            await end(writer)
