"""The server over real sockets."""

import asyncio
import contextlib
import http.client
from collections.abc import AsyncIterator

import pytest

from headgate.access.keys import Keys
from headgate.errors import ConfigError, UpstreamCut
from headgate.gateway.local import LocalAnswers
from headgate.net.asgi import Application
from headgate.net.server import bind, make_server
from headgate.records import Ending
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from tests.gateway.fakes import CHAT, DONE, FIRST, HANG, FakeCall, Stage, ok, stage


@contextlib.asynccontextmanager
async def serving(scene: Stage, stop_seconds: float = 5) -> AsyncIterator[int]:
    async def close_upstream() -> None:
        for call in scene.upstream.calls:
            call.abort()

    local = LocalAnswers(Models((), Catalogue.from_json(b"{}"), None), Keys({}), scene.log, "1")
    started = asyncio.Event()
    application = Application(scene.gateway, local, 1 << 20, close_upstream, scene.log.close)
    server = make_server(application, stop_seconds, started.set)
    taken = bind("127.0.0.1", 0)
    running = asyncio.create_task(server.serve(sockets=[taken]))
    await started.wait()
    try:
        yield taken.getsockname()[1]
    finally:
        server.should_exit = True
        await running


def ask(port: int, body: bytes = CHAT) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


async def test_a_stream_over_a_socket() -> None:
    async with serving(stage(ok(FIRST, DONE))) as port:
        assert await asyncio.to_thread(ask, port) == (200, FIRST + DONE)


async def test_a_broken_answer_cannot_pass_for_a_whole_one() -> None:
    async with serving(stage(ok(FIRST[:9], UpstreamCut("lost")))) as port:
        with pytest.raises(http.client.IncompleteRead):
            await asyncio.to_thread(ask, port)


async def test_an_upgrade_is_not_a_crash() -> None:
    async with serving(stage()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-key: x\r\nsec-websocket-version: 13\r\n\r\n"
        )
        assert (await reader.readline()).split()[1] == b"426"
        writer.close()
        await writer.wait_closed()


async def test_a_graceful_stop_lets_a_stream_finish() -> None:
    finish = asyncio.Event()

    class Slow(FakeCall):
        async def read(self) -> bytes:
            if self._at == 1:
                await finish.wait()
            return await super().read()

    slow = Slow(ok().answer, [FIRST, DONE])
    scene = stage(slow)
    asking: asyncio.Task[tuple[int, bytes]]
    async with serving(scene) as port:
        asking = asyncio.create_task(asyncio.to_thread(ask, port))
        while not scene.upstream.requests:
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.3, finish.set)
    assert await asking == (200, FIRST + DONE)
    assert scene.records()[0].ending is Ending.COMPLETE


async def test_a_stop_cuts_what_does_not_finish_and_records_it() -> None:
    scene = stage(ok(FIRST, HANG))
    async with serving(scene, stop_seconds=1) as port:
        asking = asyncio.create_task(asyncio.to_thread(ask, port))
        while not scene.upstream.requests:
            await asyncio.sleep(0.01)
    status, body = await asking
    assert status == 200
    assert body.startswith(FIRST)
    assert b"stopping" in body
    assert [r.ending for r in scene.records()] == [Ending.GATEWAY_FAILED]


def test_an_address_that_is_taken() -> None:
    first = bind("127.0.0.1", 0)
    try:
        first.listen()
        with pytest.raises(ConfigError, match="cannot listen on"):
            bind("127.0.0.1", first.getsockname()[1])
    finally:
        first.close()
