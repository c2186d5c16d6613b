"""A TCP proxy that fails on purpose: at a given byte of a given direction it cuts, resets or stalls."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """What happens to a connection."""

    CUT = "cut"
    """Both ends see it close (FIN)."""
    RESET = "reset"
    """Both ends see it break (RST)."""
    STALL = "stall"
    """Nothing more passes in that direction, until `release`."""


class Direction(StrEnum):
    """Which way bytes go."""

    UP = "up"
    """From who connected to who listens."""
    DOWN = "down"


@dataclass
class Proxy:
    """What to do to each connection. `piece` bytes at most pass at a time: 1 splits every write."""

    fault: Fault | None = None
    direction: Direction = Direction.DOWN
    after: int = 0
    """Bytes that pass in that direction before the fault."""
    piece: int = 65_536
    port: int = 0
    """Where it listens, on 127.0.0.1."""
    passed: dict[Direction, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the fault has happened."""
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    def release(self) -> None:
        """Let pass what was stalled."""
        self._released.set()

    async def serve(self, up: "Pair", down: "Pair") -> None:
        """Pass bytes both ways until both are over, or the fault strikes."""
        ways = {
            asyncio.create_task(self._pass(up[0], down[1], Direction.UP)),
            asyncio.create_task(self._pass(down[0], up[1], Direction.DOWN)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for _, writer in (up, down):
                _end(writer, reset=self.fault is Fault.RESET and self.struck.is_set())

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Direction) -> None:
        faulty = self.fault is not None and way is self.direction
        while data := await reader.read(self.piece):
            room = self.after - self.passed[way] if faulty and not self.struck.is_set() else len(data)
            await self._write(writer, data[:room], way)
            if room < len(data):
                await self._strike()
                await self._write(writer, data[room:], way)
        if writer.can_write_eof():
            writer.write_eof()

    async def _write(self, writer: asyncio.StreamWriter, data: bytes, way: Direction) -> None:
        self.passed[way] += len(data)
        writer.write(data)
        await writer.drain()

    async def _strike(self) -> None:
        self.struck.set()
        if self.fault is not Fault.STALL:
            raise ConnectionAbortedError
        await self._released.wait()


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _end(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """Close; a zero linger time makes that a reset (socket(7), SO_LINGER)."""
    taken = writer.get_extra_info("socket")
    if reset and taken is not None:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    writer.close()


@asynccontextmanager
async def proxying(proxy: Proxy, port: int) -> AsyncIterator[Proxy]:
    """The proxy before what listens at a port of 127.0.0.1."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = await asyncio.open_connection("127.0.0.1", port)
        task = asyncio.create_task(proxy.serve((reader, writer), far))
        proxy.serving.add(task)
        task.add_done_callback(proxy.serving.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(proxy.serving):
            task.cancel()
        await asyncio.gather(*proxy.serving, return_exceptions=True)
