import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

import pytest
from msgspec.structs import replace

from headgate.errors import UpstreamUnreachable
from headgate.net.connection import Connection
from headgate.net.connection_dial import tls_context
from headgate.net.pool import Pool
from headgate.providers.base import Origin

from .wire import Wire, black_hole, on_each_loop, serve

SYSTEM = tls_context()


@asynccontextmanager
async def pooling(max_idle: int = 10, idle_seconds: float = 10.0) -> AsyncIterator[Pool]:
    pool = Pool(max_idle, idle_seconds, SYSTEM)
    yield pool
    await pool.aclose()
    assert not pool._idle


async def keep_open(wire: Wire) -> None:
    assert await wire.ended()


async def until_dead(connection: Connection) -> None:
    while connection.alive:
        await asyncio.sleep(0.001)


@on_each_loop
async def test_what_was_used_last_is_used_first() -> None:
    async with serve(keep_open) as server, pooling() as pool:
        assert pool.take(server.origin) is None
        first, second = [await pool.dial(server.origin, 10) for _ in range(2)]
        pool.give(first, inf)
        pool.give(second, inf)
        assert pool.take(server.origin) is second
        assert pool.take(server.origin) is first
        assert pool.take(server.origin) is None


@on_each_loop
async def test_origins_do_not_mix() -> None:
    async with serve(keep_open) as server, serve(keep_open) as other, pooling() as pool:
        pool.give(await pool.dial(server.origin, 10), inf)
        for stranger in (
            other.origin,
            replace(server.origin, tls=True),
            replace(server.origin, host="localhost"),
            replace(server.origin, port=server.origin.port + 1),
        ):
            assert pool.take(stranger) is None
        assert pool.take(server.origin) is not None


@on_each_loop
async def test_over_the_limit_the_oldest_goes() -> None:
    async with serve(keep_open) as server, pooling(max_idle=2) as pool:
        connections = [await pool.dial(server.origin, 10) for _ in range(3)]
        for connection in connections:
            pool.give(connection, inf)
        assert [connection.alive for connection in connections] == [False, True, True]


@pytest.mark.parametrize(("max_idle", "keep_alive"), [(0, inf), (10, 1.0), (10, 0.0), (10, 0.5)])
@on_each_loop
async def test_not_kept_at_all(max_idle: int, keep_alive: float) -> None:
    async with serve(keep_open) as server, pooling(max_idle=max_idle) as pool:
        connection = await pool.dial(server.origin, 10)
        pool.give(connection, keep_alive)
        assert not connection.alive


@pytest.mark.parametrize(("idle_seconds", "keep_alive"), [(0.05, inf), (10.0, 1.05)])
@on_each_loop
async def test_what_is_idle_for_too_long_is_closed_without_being_asked_for(
    idle_seconds: float, keep_alive: float
) -> None:
    async with serve(keep_open) as server, pooling(idle_seconds=idle_seconds) as pool:
        connections = [await pool.dial(server.origin, 10) for _ in range(2)]
        for connection in connections:
            pool.give(connection, keep_alive)
            await asyncio.sleep(0.01)
        for connection in connections:
            await until_dead(connection)
        assert pool.take(server.origin) is None
        assert pool._sweeper is None


@on_each_loop
async def test_what_is_too_old_is_not_handed_out_even_before_it_is_swept() -> None:
    async with serve(keep_open) as server, pooling() as pool:
        young, old = [await pool.dial(server.origin, 10) for _ in range(2)]
        pool.give(young, inf)
        pool.give(old, 1.001)
        await asyncio.sleep(0.01)
        assert pool.take(server.origin) is young
        assert not old.alive


@on_each_loop
async def test_a_connection_its_server_closed_is_passed_over() -> None:
    close = asyncio.Event()

    async def closing(wire: Wire) -> None:
        await close.wait()
        wire.close()

    async with serve(keep_open, closing) as server, pooling() as pool:
        open_one, closed_one = [await pool.dial(server.origin, 10) for _ in range(2)]
        while server.accepted < 2:
            await asyncio.sleep(0)
        pool.give(open_one, inf)
        pool.give(closed_one, inf)
        close.set()
        # Which of the two the server accepted first is its own affair.
        while open_one.alive and closed_one.alive:
            await asyncio.sleep(0.001)
        survivor = open_one if open_one.alive else closed_one
        assert pool.take(server.origin) is survivor
        assert pool.take(server.origin) is None


@on_each_loop
async def test_a_close_that_the_loop_has_not_seen_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.net.pool._FRESH_SECONDS", -1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = threading.Event()

        def accept_and_close() -> None:
            accepted, _ = listener.accept()
            accepted.close()
            closed.set()

        async with pooling() as pool:
            origin = Origin(tls=False, host="127.0.0.1", port=listener.getsockname()[1])
            connection = await pool.dial(origin, 10)
            pool.give(connection, inf)
            thread = threading.Thread(target=accept_and_close)
            thread.start()
            closed.wait()  # the loop stands still, as it does while other work has its turn
            thread.join()
            assert connection.alive
            assert pool.take(origin) is None
            assert not connection.alive


@on_each_loop
async def test_idle_for_long_but_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.net.pool._FRESH_SECONDS", -1)
    async with serve(keep_open) as server, pooling() as pool:
        connection = await pool.dial(server.origin, 10)
        pool.give(connection, inf)
        assert pool.take(server.origin) is connection


@on_each_loop
async def test_closing_ends_what_is_idle_or_being_dialled() -> None:
    async with black_hole() as hole, serve(keep_open) as server, pooling() as pool:
        connection = await pool.dial(server.origin, 10)
        pool.give(connection, inf)
        dialling = pool.dial(hole, 10)
        await asyncio.sleep(0.01)
        await pool.aclose()
        assert not connection.alive
        assert dialling.cancelled()


@on_each_loop
async def test_dialling_in_vain() -> None:
    async with black_hole() as hole, pooling() as pool:
        with pytest.raises(UpstreamUnreachable):
            await pool.dial(hole, 0.02)


@on_each_loop
async def test_what_waits_is_known_by_origin() -> None:
    async with serve(keep_open) as server, pooling() as pool:
        other = replace(server.origin, host="localhost")
        assert not pool.has_idle(server.origin)
        pool.give(await pool.dial(server.origin, 10), inf)
        assert (pool.has_idle(server.origin), pool.has_idle(other)) == (True, False)
        taken = pool.take(server.origin)
        assert taken is not None
        assert not pool.has_idle(server.origin)
        taken.close()


@on_each_loop
async def test_a_pool_that_is_retired_closes_what_is_idle_and_what_is_given_back() -> None:
    async with serve(keep_open) as server, pooling() as pool:
        idle, used = [await pool.dial(server.origin, 10) for _ in range(2)]
        pool.give(idle, inf)
        pool.retire()
        assert [connection.alive for connection in (idle, used)] == [False, True]
        pool.give(used, inf)
        assert [connection.alive for connection in (idle, used)] == [False, False]
        assert pool.take(server.origin) is None
