import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from headgate.errors import UpstreamUnreachable
from headgate.net.connection import Connection
from headgate.net.connection_dial import _alternating, _first_to_answer, dial, tls_context
from headgate.providers.base import Origin

from .wire import TRUSTING, Wire, black_hole, on_each_loop, serve, server_tls

SYSTEM = tls_context()


@asynccontextmanager
async def dialled(origin: Origin, tls: ssl.SSLContext = SYSTEM, limit: float = 10) -> AsyncIterator[Connection]:
    """A connection, closed when it is no longer needed."""
    connection = await dial(origin, limit, tls)
    assert connection.origin == origin
    yield connection
    connection.close()


async def unreachable(origin: Origin, tls: ssl.SSLContext = SYSTEM, limit: float = 10) -> UpstreamUnreachable:
    with pytest.raises(UpstreamUnreachable) as caught:
        async with dialled(origin, tls, limit):
            pass
    assert caught.value.__cause__ is not None, "the log wants to know"
    for secret in (origin.host, str(origin.port), "Errno", "certificate"):
        assert secret not in str(caught.value)
    return caught.value


async def keep_open(wire: Wire) -> None:
    assert await wire.ended()


@on_each_loop
async def test_a_connection_that_is_kept_alive_by_the_kernel() -> None:
    async with serve(keep_open) as server, dialled(server.origin) as connection:
        assert connection.alive
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@on_each_loop
async def test_a_name_is_resolved() -> None:
    async with serve(keep_open) as server, dialled(Origin(tls=False, host="localhost", port=server.origin.port)) as c:
        assert c.alive


@on_each_loop
async def test_refused() -> None:
    async with serve(keep_open) as server:
        origin = server.origin
    assert str(await unreachable(origin)) == "The provider refused the connection."


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test", "nothing.invalid"])
@on_each_loop
async def test_no_such_name(host: str) -> None:
    assert (
        str(await unreachable(Origin(tls=False, host=host, port=80))) == "The provider's host name cannot be resolved."
    )


@on_each_loop
async def test_no_answer_to_tcp_in_time() -> None:
    async with black_hole() as origin:
        assert str(await unreachable(origin, limit=0.05)) == "Connecting to the provider took too long."


@on_each_loop
async def test_no_answer_to_tls_in_time() -> None:
    async with serve(lambda wire: wire.reader.read()) as server:
        origin = Origin(tls=True, host="127.0.0.1", port=server.origin.port)
        assert str(await unreachable(origin, limit=0.05)) == "Connecting to the provider took too long."


@on_each_loop
async def test_tls_with_name_and_protocol() -> None:
    seen = []

    def on_name(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        seen.append(name)

    server_side = server_tls()
    server_side.sni_callback = on_name
    async with serve(keep_open, tls=server_side) as server:
        origin = Origin(tls=True, host="localhost", port=server.origin.port)
        async with dialled(origin, TRUSTING) as connection:
            tls = connection._transport.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "http/1.1"
            assert connection.alive
    assert seen == ["localhost"]


@on_each_loop
async def test_tls_with_a_stranger() -> None:
    async with serve(keep_open, tls=server_tls()) as server:
        assert str(await unreachable(server.origin)) == "No secure connection to the provider could be made."


@on_each_loop
async def test_tls_with_somebody_else() -> None:
    async with serve(keep_open, tls=server_tls(), host="127.0.0.2") as server:
        assert str(await unreachable(server.origin, TRUSTING)) == "No secure connection to the provider could be made."


@on_each_loop
async def test_tls_with_a_server_that_speaks_plainly() -> None:
    async with serve(lambda wire: wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        origin = Origin(tls=True, host="127.0.0.1", port=server.origin.port)
        assert str(await unreachable(origin, TRUSTING)) == "No secure connection to the provider could be made."


@pytest.mark.parametrize("stage", ["tcp", "tls"])
@on_each_loop
async def test_cancelled_midway_it_leaves_no_socket(stage: str) -> None:
    async with black_hole() as hole, serve(lambda wire: wire.reader.read()) as server:
        origin = hole if stage == "tcp" else Origin(tls=True, host="127.0.0.1", port=server.origin.port)
        task = asyncio.ensure_future(dial(origin, 10, SYSTEM))
        while stage == "tls" and not server.accepted:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # being asked twice must not interrupt the cleaning up
        with pytest.raises(asyncio.CancelledError):
            await task


def address(origin: Origin) -> tuple[int, int, int, str, tuple[str, int]]:
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", (origin.host, origin.port))


@on_each_loop
async def test_a_silent_address_does_not_use_up_the_time_of_the_next() -> None:
    async with black_hole() as hole, serve(keep_open) as server:
        others = asyncio.all_tasks()
        with await _first_to_answer([address(hole), address(server.origin)]) as sock:
            assert sock.getpeername()[1] == server.origin.port
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not [task for task in asyncio.all_tasks() - others if "_connected" in repr(task)]


@on_each_loop
async def test_after_a_refusal_the_next_address_is_tried_at_once() -> None:
    async with serve(keep_open) as stopped:
        pass
    async with serve(keep_open) as server:
        with await _first_to_answer([address(stopped.origin)] * 50 + [address(server.origin)]) as sock:
            assert sock.getpeername()[1] == server.origin.port


@on_each_loop
async def test_when_no_address_answers_the_last_refusal_is_told() -> None:
    async with serve(keep_open) as stopped:
        pass
    with pytest.raises(ConnectionRefusedError):
        await _first_to_answer([address(stopped.origin)] * 2)


@on_each_loop
async def test_of_two_that_answer_together_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.net.connection_dial._STAGGER", 0)
    async with serve(keep_open) as server:
        with await _first_to_answer([address(server.origin)] * 5) as sock:
            assert sock.getpeername()[1] == server.origin.port


def test_families_take_turns() -> None:
    six, four = (socket.AF_INET6, 1, 6, "", ()), (socket.AF_INET, 1, 6, "", ())
    assert _alternating([six, six, six, four]) == [six, four, six, six]
    assert _alternating([four, six]) == [four, six]
    assert _alternating([four]) == [four]
