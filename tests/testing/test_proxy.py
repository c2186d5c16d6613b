import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from headgate.testing.proxy import Direction, Fault, Proxy, proxying

SAID = b"0123456789" * 10


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        await end(writer)

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def through(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with echo() as port, proxying(proxy, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        yield reader, writer
        await end(writer)


@pytest.mark.parametrize("piece", [1, 7, 65_536])
async def test_bytes_pass_in_pieces_and_ends_too(piece: int) -> None:
    proxy = Proxy(piece=piece)
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        writer.write_eof()
        assert await reader.read() == SAID
    assert proxy.passed == {Direction.UP: 100, Direction.DOWN: 100}


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("after", [0, 1, 42, 99])
async def test_a_cut_and_a_reset_come_after_so_many_bytes(direction: Direction, after: int) -> None:
    proxy = Proxy(Fault.CUT, direction, after)
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        got = await reader.read()
    assert SAID.startswith(got)
    assert proxy.passed[direction] == after
    proxy = Proxy(Fault.RESET, direction, after)
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        with pytest.raises(ConnectionResetError):
            await reader.read()
    assert proxy.passed[direction] == after


async def test_a_stall_lasts_until_it_is_released() -> None:
    proxy = Proxy(Fault.STALL, Direction.UP, 10)
    async with through(proxy) as (reader, writer):
        writer.write(SAID)
        assert await reader.readexactly(10) == SAID[:10]
        await proxy.struck.wait()
        assert proxy.passed[Direction.UP] == 10
        proxy.release()
        assert await reader.readexactly(90) == SAID[10:]
