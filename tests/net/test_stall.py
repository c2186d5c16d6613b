import asyncio
import socket
from typing import cast

from headgate.net.stall import Stall

from .wire import on_each_loop


class Sender(asyncio.Protocol):
    """One end of a pair of sockets, watched."""

    def __init__(self, seconds: float) -> None:
        self.stall = Stall(seconds)
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        self.stall.begin(self.transport)

    def resume_writing(self) -> None:
        self.stall.end()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.stall.end()
        self.lost.set()


async def pair(seconds: float) -> tuple[Sender, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)
    sender = Sender(seconds)
    await asyncio.get_running_loop().create_connection(lambda: sender, sock=ours)
    return sender, theirs


@on_each_loop
async def test_who_takes_nothing_is_cut_off() -> None:
    sender, theirs = await pair(0.1)
    with theirs:
        sender.transport.write(bytes(10_000_000))
        async with asyncio.timeout(10):
            await sender.lost.wait()


@on_each_loop
async def test_who_takes_a_little_now_and_then_is_not() -> None:
    sender, theirs = await pair(0.3)
    with theirs:
        sender.transport.write(bytes(4_000_000))
        got = 0
        while got < 4_000_000:
            got += len(await asyncio.get_running_loop().sock_recv(theirs, 200_000))
            await asyncio.sleep(0.03)
        assert not sender.lost.is_set()
        sender.transport.close()
        await sender.lost.wait()


@on_each_loop
async def test_who_has_caught_up_is_not_watched() -> None:
    sender, theirs = await pair(0.05)
    with theirs:
        sender.stall.begin(sender.transport)
        sender.stall.begin(sender.transport)
        sender.stall.end()
        sender.stall.end()
        await asyncio.sleep(0.15)
        assert not sender.lost.is_set()
        sender.transport.close()
        await sender.lost.wait()
