"""A TCP proxy that fails on purpose, by the scripts of `faults.py`: what there is between two ends of a connection."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager, suppress
from enum import StrEnum
from typing import Any, cast

from headgate.testing.faults import NO_FAULTS, Cut, Delay, Ending, Faults, HalfClose, Pass, Reset, Stall, Way

_LIMIT = 64 * 1024
_READ = 65_536


class Direction(StrEnum):
    """Which way bytes go."""

    UP = "up"
    """From who connected to who listens."""
    DOWN = "down"


class Proxy:
    """What is done to connections, and what came of it."""

    def __init__(
        self, faults: Faults | Callable[[int], Faults] = NO_FAULTS, *, buffer: int | None = None, keep: bool = False
    ) -> None:
        """`faults`: of every connection, or by its number, from 0; `keep`: keep all that came.

        `buffer`: bytes that the kernel may keep for the proxy on each side, so that a stall is felt by its sender soon.
        """
        self.faults = faults
        """May be replaced between connections."""
        self.port = 0
        """Where it listens, on 127.0.0.1."""
        self.passages: list[Passage] = []
        """Every connection so far; one that is over is kept with `keep` only."""
        self.accepted = 0
        self.passed = dict.fromkeys(Direction, 0)
        """Bytes that passed, of all connections."""
        self.struck = asyncio.Event()
        """Set once a stall or an ending has struck anywhere."""
        self.serving: set[asyncio.Task[None]] = set()
        self.keep = keep
        self.buffer = buffer
        self.released = asyncio.Event()

    def release(self) -> None:
        """Let pass what is stalled, now and later."""
        self.released.set()

    async def end_all(self) -> None:
        """Break every connection, and wait until none is left."""
        for task in list(self.serving):
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)

    def plan(self, number: int) -> Faults:
        """What happens to a connection."""
        return self.faults if isinstance(self.faults, Faults) else self.faults(number)

    async def serve(self, near: "End", port: int) -> None:
        """Serve one connection to its end."""
        passage = Passage(self, self.plan(self.accepted))
        self.accepted += 1
        self.passages.append(passage)
        try:
            far = await _connected(port, self.buffer)
        except OSError:
            near.reset()
        else:
            await passage.serve(near, far)
        finally:
            if not self.keep:
                self.passages.remove(passage)


class End:
    """One end of a connection: what its peer sends, and the way back to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def write(self, data: bytes) -> None:
        """Pass bytes on; waits while the peer reads slowly. Raises ConnectionError."""
        self._writer.write(data)
        await self._writer.drain()

    def finish(self) -> None:
        """Send a FIN."""
        with suppress(OSError, RuntimeError):  # a connection that is gone has no end to be told
            if not self._writer.is_closing():
                self._writer.write_eof()

    async def swallow(self) -> None:
        """Read to the end, for nothing."""
        with suppress(OSError):
            while await self.reader.read(_READ):
                pass

    async def flushed(self) -> None:
        """Wait until all that was written is with the kernel, as far as the peer takes it within a moment."""
        for _ in range(50):
            if self._writer.is_closing() or not self._writer.transport.get_write_buffer_size():
                return
            await asyncio.sleep(0.001)

    def reset(self) -> None:
        """Break it; a zero linger time makes that a RST (socket(7), SO_LINGER)."""
        if not self._writer.is_closing():
            taken = cast("socket.socket", self._writer.get_extra_info("socket"))
            with suppress(OSError):
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def drop(self) -> None:
        """Close it now; does nothing to one that is closed."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close, once what was written has gone out."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


class _OverError(Exception):
    """The connection is over, both ways, because of that; None where it just ended."""

    def __init__(self, fault: Cut | Reset | None) -> None:
        super().__init__(fault)
        self.fault = fault


class Passage:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, faults: Faults) -> None:
        self.faults = faults
        self.came = {direction: bytearray() for direction in Direction}
        """What was read from each sender, with `keep`."""
        self.went = {direction: bytearray() for direction in Direction}
        """What was written to each receiver, with `keep`."""
        self._proxy = proxy
        self._ended = asyncio.Event()
        """One direction has come to its end."""

    async def serve(self, near: End, far: End) -> None:
        """Pass bytes both ways until both are over, or an ending strikes."""
        ways = [
            asyncio.create_task(self._pass(near, far, Direction.UP)),
            asyncio.create_task(self._pass(far, near, Direction.DOWN)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
            failures = [failure for way in ways if way.done() and (failure := way.exception()) is not None]
            await _stopped(ways)
            await _end(near, far, failures[0] if failures else None)
        finally:
            near.drop()
            far.drop()
            await _stopped(ways)

    async def _pass(self, sender: End, receiver: End, direction: Direction) -> None:
        """One direction. Raises OSError if an end breaks the connection, _OverError if it is over both ways."""
        way = Way(self.faults.up if direction is Direction.UP else self.faults.down)
        data = b""
        while True:
            for step in way.feed(data):
                match step:
                    case Pass(piece):
                        await self._write(receiver, piece, direction)
                    case Delay():
                        await asyncio.sleep(step.seconds)
                    case Stall():
                        await self._stall()
                    case HalfClose() | Cut() | Reset():
                        await self._strike(step, sender, receiver)
                        return
            data = await sender.reader.read(_READ)
            if self._proxy.keep:
                self.came[direction] += data
            if not data:
                break
        receiver.finish()
        self._ended.set()

    async def _write(self, receiver: End, piece: bytes, direction: Direction) -> None:
        self._proxy.passed[direction] += len(piece)
        if self._proxy.keep:
            self.went[direction] += piece
        await receiver.write(piece)

    async def _stall(self) -> None:
        self._proxy.struck.set()
        waits = {asyncio.create_task(event.wait()) for event in (self._proxy.released, self._ended)}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _stopped(waits)
        if not self._proxy.released.is_set():
            raise _OverError(None)

    async def _strike(self, fault: Ending, sender: End, receiver: End) -> None:
        self._proxy.struck.set()
        if not isinstance(fault, HalfClose):
            raise _OverError(fault)
        receiver.finish()
        await sender.swallow()
        self._ended.set()


async def _end(near: End, far: End, failure: BaseException | None) -> None:
    """End a connection as its script, or one of its ends, has it ended."""
    match failure:
        case _OverError(fault=Cut()):
            near.finish()
            far.finish()
            await asyncio.gather(near.swallow(), far.swallow())
        case OSError() | _OverError(fault=Reset()):
            await asyncio.gather(near.flushed(), far.flushed())
            near.reset()
            far.reset()
        case None | _OverError():
            await asyncio.gather(near.close(), far.close())
        case _:
            raise failure


async def _stopped(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _connected(port: int, buffer: int | None) -> End:
    """A connection to a port of 127.0.0.1. Raises OSError."""
    with ExitStack() as on_failure:
        sock = on_failure.enter_context(socket.socket())
        _bounded(sock, buffer)
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        end = End(*await asyncio.open_connection(sock=sock, limit=buffer or _LIMIT))
        on_failure.pop_all()
    return end


def _bounded(sock: socket.socket, buffer: int | None) -> None:
    if buffer is not None:  # accepted connections have it of their listener
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)


@asynccontextmanager
async def proxying(proxy: Proxy, port: int) -> AsyncIterator[Proxy]:
    """The proxy before what listens at a port of 127.0.0.1."""

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near = End(reader, writer)
        task = asyncio.create_task(proxy.serve(near, port))
        proxy.serving.add(task)
        task.add_done_callback(proxy.serving.discard)
        task.add_done_callback(lambda _: near.drop())  # also of one that is ended before it has begun

    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _bounded(taken, proxy.buffer)
    taken.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(connected, sock=taken, limit=proxy.buffer or _LIMIT, backlog=4096)
    proxy.port = taken.getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end_all()
