"""The ASGI side alone, its events played by hand; test_server.py and e2e/ do it over sockets."""

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any

import pytest

from headgate.access.keys import Keys
from headgate.errors import BadRequest, TooLarge, UnsupportedEncoding, UpstreamCut
from headgate.gateway.local import LocalAnswers
from headgate.gateway.request import ClientGone
from headgate.net.asgi import BREAK_EXTENSION, Application, AsgiClient, read_request
from headgate.records import Ending
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from headgate.stores.memory import MemoryRecordLog
from tests.gateway.fakes import CHAT, DONE, FIRST, HANG, FakeCall, Stage, ok, stage

Headers = Sequence[tuple[bytes, bytes]]


class Server:
    """An ASGI server's end: gives the request's events, takes the answer's, and can hang up."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.sent: list[dict[str, Any]] = []
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for event in events:
            self._events.put_nowait(event)

    async def receive(self) -> dict[str, Any]:
        return await self._events.get()

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))
        if message["type"] == "http.response.body" and not message["more_body"]:
            self.hang_up()

    def hang_up(self) -> None:
        self._events.put_nowait({"type": "http.disconnect"})

    @property
    def body(self) -> bytes:
        return b"".join(m["body"] for m in self.sent if m["type"] == "http.response.body")


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def scope(path: str, headers: Headers = (), **more: Any) -> dict[str, Any]:
    return {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": list(headers), "root_path": "", **more,
    }  # fmt: skip


class Closing:
    def __init__(self) -> None:
        self.order: list[str] = []

    async def upstream(self) -> None:
        self.order.append("upstream")

    def log(self) -> None:
        self.order.append("log")


def application(scene: Stage, closing: Closing | None = None) -> Application:
    closing = closing or Closing()
    local = LocalAnswers(Models((), Catalogue.from_json(b"{}"), None), Keys({}), MemoryRecordLog(), "1")
    return Application(scene.gateway, local, 1000, closing.upstream, closing.log)


async def test_an_exchange_over_asgi() -> None:
    scene, server = stage(ok(FIRST, DONE)), Server(body(CHAT[:9], more=True), body(CHAT[9:]))
    await application(scene)(scope("/v1/chat/completions"), server.receive, server.send)
    assert server.sent[0]["status"] == 200
    assert server.body == FIRST + DONE
    assert scene.records()[0].ending is Ending.COMPLETE


async def test_hanging_up_stops_a_silent_upstream() -> None:
    call = FakeCall(HANG)
    scene, server = stage(call), Server(body(CHAT))
    serving = asyncio.create_task(application(scene)(scope("/v1/chat/completions"), server.receive, server.send))
    await asyncio.sleep(0.01)
    server.hang_up()
    await serving
    await asyncio.sleep(0)
    assert call.aborted
    assert [r.ending for r in scene.records()] == [Ending.CLIENT_LEFT]
    assert not server.sent


async def test_a_server_that_cancels_us_cannot_cancel_the_books() -> None:
    call = FakeCall(HANG)
    scene, server = stage(call), Server(body(CHAT))
    serving = asyncio.create_task(application(scene)(scope("/v1/chat/completions"), server.receive, server.send))
    await asyncio.sleep(0.01)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await asyncio.sleep(0)
    assert [r.ending for r in scene.records()] == [Ending.CLIENT_LEFT]


async def test_local_answers_are_no_exchanges() -> None:
    scene, server = stage(), Server(body(b""))
    await application(scene)(scope("/health"), server.receive, server.send)
    assert server.sent[0]["status"] == 200
    assert not scene.records()


async def test_stopping_cuts_waits_and_closes_in_that_order() -> None:
    call, closing = FakeCall(HANG), Closing()
    scene, server = stage(call), Server(body(CHAT))

    class CutsTheCall(Closing):
        async def upstream(self) -> None:
            self.order.append("upstream")
            call.abort()

        def log(self) -> None:
            self.order.append(f"log with {len(scene.records())} record")

    closing = CutsTheCall()
    app = application(scene, closing)
    serving = asyncio.create_task(app(scope("/v1/chat/completions"), server.receive, server.send))
    await asyncio.sleep(0.01)
    lifespan = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await app({"type": "lifespan"}, lifespan.receive, lifespan.send)
    await serving
    assert [m["type"] for m in lifespan.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert closing.order == ["upstream", "log with 1 record"]
    assert server.sent[0]["status"] == 503


async def test_web_sockets_are_refused() -> None:
    server = Server()
    await application(stage())({"type": "websocket"}, server.receive, server.send)
    assert server.sent == [{"type": "websocket.close", "code": 1008}]


async def read(headers: Headers, *events: dict[str, Any], limit: int = 1000) -> Any:
    return await read_request(scope("/v1/x%20y", headers), Server(*events).receive, limit)


async def test_reading_a_request() -> None:
    request = await read([(b"a", b"1")], body(b"12", more=True), body(b"3"))
    assert (request.method, request.path, request.body, request.unreadable) == ("POST", "/v1/x%20y", b"123", None)


async def test_a_compressed_body_is_undone_and_its_header_goes() -> None:
    request = await read([(b"content-encoding", b"gzip"), (b"a", b"1")], body(gzip.compress(CHAT)))
    assert (request.body, request.headers) == (CHAT, [(b"a", b"1")])


@pytest.mark.parametrize(
    ("headers", "data", "error"),
    [
        ([], b"x" * 1001, TooLarge),
        ([(b"content-length", b"1")], b"x" * 1001, TooLarge),
        ([(b"content-encoding", b"gzip")], gzip.compress(b"x" * 1001), TooLarge),
        ([(b"content-encoding", b"gzip")], b"not gzip", BadRequest),
        ([(b"content-encoding", b"gzip")], gzip.compress(CHAT)[:-9], BadRequest),
        ([(b"content-encoding", b"pigz")], b"x", UnsupportedEncoding),
    ],
)
async def test_what_makes_a_body_unreadable_is_told(headers: Headers, data: bytes, error: type[Exception]) -> None:
    request = await read(headers, body(data))
    assert isinstance(request.unreadable, error)
    assert request.body == b""


async def test_a_client_that_leaves_while_sending() -> None:
    request = await read([], body(b"12", more=True), {"type": "http.disconnect"})
    assert isinstance(request.unreadable, BadRequest)


async def test_mounted_below_a_root_path() -> None:
    request = await read_request(scope("/llm/v1/x", root_path="/llm"), Server(body(b"")).receive, 10)
    assert request.path == "/v1/x"


async def test_the_client_tells_its_leaving_once_and_only_before_the_end() -> None:
    told: list[str] = []
    server = Server()
    client = AsgiClient(server.send, lambda: told.append("broken"))
    client.on_gone(lambda: told.append("gone"))
    await client.start(200, [])
    assert client.started
    client.leave()
    client.leave()
    assert told == ["gone"]
    for refused in (client.start(200, []), client.write(b"x"), client.end()):
        with pytest.raises(ClientGone):
            await refused
    whole = AsgiClient(server.send, lambda: told.append("broken"))
    whole.on_gone(lambda: told.append("late"))
    await whole.end()
    whole.leave()
    assert told == ["gone"]
    whole.abort()
    assert told == ["gone", "broken"]


async def test_the_servers_extension_breaks_the_connection() -> None:
    broken: list[str] = []
    scene, server = stage(ok(FIRST[:9], UpstreamCut("lost"))), Server(body(CHAT))

    def cut() -> None:
        broken.append("cut")
        server.hang_up()

    await application(scene)(
        scope("/v1/chat/completions", extensions={BREAK_EXTENSION: cut}), server.receive, server.send
    )
    assert broken == ["cut"]


async def test_under_a_foreign_server_the_callable_fails_instead() -> None:
    scene, server = stage(ok(FIRST[:9], UpstreamCut("lost"))), Server(body(CHAT))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(application(scene)(scope("/v1/chat/completions"), server.receive, server.send))
    assert scene.records()[0].ending is Ending.UPSTREAM_CUT
