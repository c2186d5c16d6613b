"""The other end of the wire: a server that plays bytes, and a harness that proves that nothing was left behind."""

import asyncio
import functools
import inspect
import os
import re
import socket
import ssl
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop

from headgate.gateway.upstream import Call, Head, UpstreamRequest
from headgate.net.client import HttpUpstream
from headgate.net.connection_dial import tls_context
from headgate.providers.base import Origin, TimeLimits

TLS = Path(__file__).parent / "tls"
"""authority.pem signs server.pem, for localhost and 127.0.0.1, from 2020 to 2120. Its key was thrown away."""

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
LOOPS: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on, 0 seconds. Closing is then a RST."""


class Wire:
    """One accepted connection, as a script sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[bytes]) -> None:
        self.reader = reader
        self.writer = writer
        self._requests = requests

    async def request(self) -> bytes:
        """The next request: its head, and its body by content-length."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
        request = head + await self.reader.readexactly(int(length[1]) if length else 0)
        self._requests.append(request)
        return request

    async def send(self, *pieces: bytes) -> None:
        """Each piece in a write of its own, with turns of the loop between them, so that each is a read of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)

    async def answer(self, *pieces: bytes) -> None:
        """Read a request, answer it."""
        await self.request()
        await self.send(*pieces)

    async def ended(self) -> bool:
        """Wait until the client closes: True for a FIN or RST, False if it sent more bytes instead."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    def stop_reading(self) -> None:
        """Let what the client sends fill the buffers of both kernels."""
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    def close(self) -> None:
        """FIN; a RST if there is something unread, as kernels do it."""
        self.writer.close()

    def reset(self) -> None:
        """RST."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()


Script = Callable[[Wire], Awaitable[object]]


class Server:
    """Plays one script for every connection, or the n-th script for the n-th connection."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts = scripts
        self.accepted = 0
        self.requests: list[bytes] = []
        """What `Wire.request` has read, in order."""
        self.origin = Origin(tls=False, host="127.0.0.1", port=0)
        self._playing: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.accepted, len(self.scripts) - 1)]
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._playing.add(task)
        try:
            # What the client does to the connection is the client's test's business.
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await script(Wire(reader, writer, self.requests))
        except (AssertionError, ValueError) as failure:
            self._failures.append(failure)
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()
            self._playing.discard(task)

    async def stop(self) -> None:
        """End every script, and raise what one of them has asserted in vain."""
        playing = list(self._playing)
        for task in playing:
            task.cancel()
        if playing:
            await asyncio.wait(playing)
        for failure in self._failures:
            raise failure


@asynccontextmanager
async def serve(*scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    """A server on a free port; leaving raises what a script has asserted in vain."""
    server = Server(scripts)
    listener = await asyncio.start_server(server.accept, host, 0, ssl=tls)
    server.origin = Origin(tls=tls is not None, host=host, port=listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        await server.stop()
        await listener.wait_closed()


TRUSTING = tls_context()
TRUSTING.load_verify_locations(TLS / "authority.pem")


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem")
    context.set_alpn_protocols(["http/1.1"])
    return context


@asynccontextmanager
async def calling() -> AsyncIterator[HttpUpstream]:
    """A client that trusts the test authority, closed in the end."""
    upstream = HttpUpstream(ssl_context=TRUSTING)
    yield upstream
    await upstream.aclose()


def idle(upstream: HttpUpstream, origin: Origin) -> int:
    """How many connections wait in the pool."""
    return len(upstream._pool._idle.get(origin, ()))


def forever(*answers: bytes) -> Callable[[Wire], Awaitable[None]]:
    """Answer every request alike, until the client closes."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.answer(*answers)

    return script


async def silent(wire: Wire) -> None:
    """Read the request, then say nothing."""
    await wire.request()
    assert await wire.ended()


@asynccontextmanager
async def black_hole() -> AsyncIterator[Origin]:
    """An address that does not answer at all: its backlog is full, so the kernel drops whoever knocks."""
    with closing(socket.socket()) as listener, closing(socket.socket()) as first, closing(socket.socket()) as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        yield Origin(tls=False, host="127.0.0.1", port=listener.getsockname()[1])


def ask(
    origin: Origin,
    method: bytes = b"POST",
    body: bytes = b"{}",
    target: bytes = b"/v1/x",
    **limits: float,
) -> UpstreamRequest:
    """A request, with limits that a test should not run into unless it names them."""
    limits = {"connect": 10.0, "first_byte": 10.0, "idle": 10.0} | limits
    return UpstreamRequest(method, origin, b"api.test", target, [(b"x-a", b"1")], body, TimeLimits(**limits))


async def read_all(call: Call) -> bytes:
    """The rest of the body."""
    chunks = []
    while chunk := await call.read():
        chunks.append(chunk)
    return b"".join(chunks)


async def fetch(call: Call) -> tuple[Head, bytes]:
    """The whole answer."""
    return await call.head(), await read_all(call)


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for descriptor in Path("/dev/fd").iterdir():
        with suppress(OSError):
            count += stat.S_ISSOCK(os.fstat(int(descriptor.name)).st_mode)
    return count


async def leaves_nothing(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario; afterwards no task and no socket of it may be left."""
    sockets = open_sockets()
    own = {asyncio.current_task()}
    async with asyncio.timeout(60):
        await scenario
    for _ in range(1000):  # closing takes a turn or more of the loop, and name look-ups end in a thread
        if asyncio.all_tasks() == own and open_sockets() == sockets:
            break
        await asyncio.sleep(0.001)
    assert asyncio.all_tasks() == own
    assert open_sockets() == sockets


def on_each_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test under asyncio's loop and under uvloop, and check that it leaves nothing behind."""

    def run(new_loop: LoopFactory, **arguments: object) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(leaves_nothing(test(**arguments)))

    functools.update_wrapper(run, test)
    signature = inspect.signature(test)
    loop = inspect.Parameter("new_loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    # Where pytest looks for what a test wants.
    vars(run)["__signature__"] = signature.replace(parameters=[loop, *signature.parameters.values()])
    return pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())(run)
