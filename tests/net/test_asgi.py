"""The ASGI side alone, its events played by hand; test_server.py and e2e/ do it over sockets."""

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any

import pytest

from headgate.errors import BadRequest, ConfigError, TooLarge, UnsupportedEncoding, UpstreamCut
from headgate.gateway.local import LocalAnswers
from headgate.gateway.request import ClientGone
from headgate.gateway.sessions import Sessions
from headgate.net.asgi import TRAILERS_EXTENSION, Application, AsgiClient, Lifecycle, read_request
from headgate.net.editions import Edition
from headgate.records import Ending
from headgate.routing.catalogue import Catalogue
from headgate.routing.models import Models
from tests.gateway.fake_sockets import FakeSocket, FakeSockets, create, terminal
from tests.gateway.fakes import BEARER, CHAT, DONE, FINISH, FIRST, HANG, USAGE, FakeCall, Stage, ok, stage

Headers = Sequence[tuple[bytes, bytes]]


class Server:
    """An ASGI server's end: gives the request's events, takes the answer's, and can hang up."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.sent: list[dict[str, Any]] = []
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.add(*events)

    def add(self, *events: dict[str, Any]) -> None:
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


class Life:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.order: list[str] = []

    async def start(self) -> None:
        self.order.append("start")

    async def close_upstream(self) -> None:
        self.order.append("upstream")

    async def close(self) -> None:
        self.order.append("books")


def application(scene: Stage, life: Life | None = None, **more: Any) -> Application:
    life, gateway = life or Life(), scene.gateway
    local = LocalAnswers(Models((), Catalogue.from_json(b"{}"), None), gateway.door, scene.store, gateway.live, "1")
    lifecycle = Lifecycle(life.start, life.close)
    sessions = Sessions(gateway, more.pop("sockets", FakeSockets()))
    mounts = more.pop("mounts", {})
    edition = Edition(gateway, sessions, local, 1000, mounts, close_upstream=life.close_upstream)
    return Application(edition, lifecycle, **more)


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


class CutsTheCall(Life):
    """Closing the upstream aborts its one call."""

    def __init__(self, scene: Stage) -> None:
        super().__init__()
        self._scene = scene

    async def close_upstream(self) -> None:
        await super().close_upstream()
        self._scene.upstream.calls[0].abort()

    async def close(self) -> None:
        self.order.append(f"books with {len(self._scene.records())} record")


async def test_stopping_cuts_waits_and_closes_in_that_order() -> None:
    scene, server = stage(FakeCall(HANG)), Server(body(CHAT))
    life = CutsTheCall(scene)
    app = application(scene, life)
    serving = asyncio.create_task(app(scope("/v1/chat/completions"), server.receive, server.send))
    await asyncio.sleep(0.01)
    lifespan = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await app({"type": "lifespan"}, lifespan.receive, lifespan.send)
    await serving
    assert [m["type"] for m in lifespan.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert life.order == ["start", "upstream", "books with 1 record"]
    assert server.sent[0]["status"] == 503


async def test_a_client_that_takes_nothing_does_not_hold_up_a_stop() -> None:
    scene = await stage(ok(FIRST, HANG)).with_key()

    class Stuck(Server):
        async def send(self, message: Any) -> None:
            self.sent.append(dict(message))
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

    server, life = Stuck(body(CHAT)), CutsTheCall(scene)
    app = application(scene, life, settle_seconds=0.01)
    asked = scope("/v1/chat/completions", [BEARER])
    serving = asyncio.create_task(app(asked, server.receive, server.send))
    while len(server.sent) < 2:
        await asyncio.sleep(0)
    await app.stop()
    assert life.order[-1] == "books with 1 record"
    record = scene.records()[0]
    assert record.ending is Ending.GATEWAY_FAILED
    await scene.agrees(record)
    server.hang_up()
    with pytest.raises(asyncio.CancelledError):  # the foreign server's way to have its connection broken
        await serving


async def test_it_starts_once_and_before_the_first_request_of_a_server_without_a_lifespan() -> None:
    begin = asyncio.Event()

    class Slow(Life):
        async def start(self) -> None:
            await begin.wait()
            await super().start()

    life = Slow()
    app, servers = application(stage(), life), [Server(body(b"")) for _ in range(2)]
    serving = [asyncio.create_task(app(scope("/health"), s.receive, s.send)) for s in servers]
    await asyncio.sleep(0.01)
    assert not servers[0].sent
    begin.set()
    await asyncio.gather(*serving)
    assert [s.sent[0]["status"] for s in servers] == [200, 200]
    assert life.order == ["start"]


async def test_a_start_that_fails_is_told_to_the_server() -> None:
    class Fails(Life):
        async def start(self) -> None:
            raise ConfigError("the database cannot be opened")

    lifespan, app = Server({"type": "lifespan.startup"}), application(stage(), Fails())
    await app({"type": "lifespan"}, lifespan.receive, lifespan.send)
    assert lifespan.sent == [{"type": "lifespan.startup.failed", "message": "the database cannot be opened"}]
    server = Server(body(b""))
    with pytest.raises(ConfigError):
        await app(scope("/health"), server.receive, server.send)


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/admin/v1/accounts", "", "/admin/v1"),
        ("/admin/v1", "", "/admin/v1"),
        ("/llm/admin/v1/accounts", "/llm", "/llm/admin/v1"),
        ("/admin/v10/accounts", "", None),
        ("/admin", "", None),
        ("/dashboard", "", "/dashboard"),
        ("/dashboards", "", None),
        ("", "", None),
        ("/v1/chat/completions", "", None),
        ("/llm/v1/chat/completions", "/llm", None),
    ],
)
async def test_what_is_mounted_gets_its_own_paths_and_no_others(path: str, root: str, below: str | None) -> None:
    seen: list[tuple[str, str]] = []

    async def admin(scope: Any, receive: Any, send: Any) -> None:
        del receive
        seen.append((scope["path"], scope["root_path"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})

    scene, server = stage(ok(DONE)), Server(body(CHAT))
    app = application(scene, mounts={"/dashboard": admin, "/admin/v1": admin})
    await app(scope(path, root_path=root), server.receive, server.send)
    assert seen == ([] if below is None else [(path, below)])
    assert [record.path for record in scene.records()] == ([path.removeprefix(root)] if below is None else [])


def test_two_mounts_cannot_begin_alike() -> None:
    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send

    with pytest.raises(ValueError, match="first segment"):
        application(stage(), mounts={"/admin/v1": nothing, "/admin/v2": nothing})


def socket_scope(path: str = "/v1/responses", **more: Any) -> dict[str, Any]:
    return scope(path, **{"type": "websocket", "subprotocols": [], "extensions": {}, **more})


async def test_a_session_over_asgi() -> None:
    scene, provider = await stage().with_key(), FakeSocket()
    app, server = application(scene, sockets=FakeSockets([provider])), Server({"type": "websocket.connect"})
    key = f"openai-insecure-api-key.{BEARER[1].removeprefix(b'Bearer ').decode()}"
    serving = asyncio.create_task(
        app(socket_scope(subprotocols=["realtime", key]), server.receive, server.send)
    )  # a browser's key
    server.add({"type": "websocket.receive", "text": create().decode()})
    await provider.has_sent(1)
    provider.plays(terminal("resp_1"))
    while not scene.records():
        await asyncio.sleep(0)
    server.add({"type": "websocket.disconnect", "code": 1000})
    await serving
    assert provider.sent == [create()]
    assert [m["type"] for m in server.sent[:2]] == ["websocket.accept", "websocket.send"]
    assert [r.ending for r in scene.records()] == [Ending.COMPLETE]


async def test_a_server_that_cannot_refuse_an_upgrade_closes_it() -> None:
    server = Server({"type": "websocket.connect"})
    await application(stage())(socket_scope("/v1/chat/completions"), server.receive, server.send)
    assert server.sent == [{"type": "websocket.close", "code": 1008}]


async def test_a_stop_cuts_sessions_and_waits_for_their_books() -> None:
    scene, provider, life = await stage().with_key(), FakeSocket(), Life()
    app, server = application(scene, life, sockets=FakeSockets([provider])), Server({"type": "websocket.connect"})
    serving = asyncio.create_task(app(socket_scope(headers=[BEARER]), server.receive, server.send))
    server.add({"type": "websocket.receive", "text": create().decode()})
    await provider.has_sent(1)
    await app.stop()
    await serving
    assert [r.ending for r in scene.records()] == [Ending.GATEWAY_FAILED]
    assert (await scene.account()).held_nanos == 0
    assert server.sent[-1]["code"] == 1012
    assert life.order == ["start", "upstream", "books"]


async def test_a_stop_refuses_an_upgrade_that_is_still_on_its_way() -> None:
    scene, sockets = await stage().with_key(), FakeSockets(hangs=True)
    app, server = application(scene, sockets=sockets, settle_seconds=0.01), Server({"type": "websocket.connect"})
    serving = asyncio.create_task(
        app(socket_scope(headers=[BEARER], extensions={"websocket.http.response": {}}), server.receive, server.send)
    )
    while not sockets.requests:
        await asyncio.sleep(0)
    await app.stop()
    await serving
    assert server.sent[0]["status"] == 503
    assert [r.ending for r in scene.records()] == [Ending.GATEWAY_FAILED]


async def read(headers: Headers, *events: dict[str, Any], limit: int = 1000) -> Any:
    return await read_request(scope("/v1/x%20y", headers), Server(*events).receive, limit)


async def test_reading_a_request() -> None:
    request = await read([(b"a", b"1")], body(b"12", more=True), body(b"3"))
    assert (request.method, request.path, request.body, request.unreadable) == ("POST", "/v1/x%20y", b"123", None)


async def test_a_compressed_body_is_undone_and_its_header_goes() -> None:
    request = await read([(b"content-encoding", b"gzip"), (b"a", b"1")], body(gzip.compress(CHAT, mtime=0)))
    assert (request.body, request.headers) == (CHAT, [(b"a", b"1")])


@pytest.mark.parametrize(
    ("headers", "data", "error"),
    [
        ([], b"x" * 1001, TooLarge),
        ([(b"content-length", b"1")], b"x" * 1001, TooLarge),
        ([(b"content-encoding", b"gzip")], gzip.compress(b"x" * 1001, mtime=0), TooLarge),
        ([(b"content-encoding", b"gzip")], b"not gzip", BadRequest),
        ([(b"content-encoding", b"gzip")], gzip.compress(CHAT, mtime=0)[:-9], BadRequest),
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
    assert not client.put(b"x"), "ASGI's send may wait"
    client.leave()
    client.leave()
    assert told == ["gone"]
    for refused in (client.start(200, []), client.write(b"x"), client.end()):
        with pytest.raises(ClientGone):
            await refused
    with pytest.raises(ClientGone):
        client.put(b"x")
    whole = AsgiClient(server.send, lambda: told.append("broken"))
    whole.on_gone(lambda: told.append("late"))
    await whole.end()
    whole.leave()
    assert told == ["gone"]
    whole.abort()
    assert told == ["gone", "broken"]


async def test_what_is_broken_off_fails_the_callable() -> None:
    scene, server = stage(ok(FIRST[:9], UpstreamCut("lost"))), Server(body(CHAT))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(application(scene)(scope("/v1/chat/completions"), server.receive, server.send))
    assert scene.records()[0].ending is Ending.UPSTREAM_CUT


STREAM = FIRST + FINISH + USAGE + DONE
TAKES = (b"te", b"trailers")


@pytest.mark.parametrize(
    ("more", "trails"),
    [
        ({"extensions": {TRAILERS_EXTENSION: {}}, "http_version": "1.1"}, True),
        ({"extensions": {TRAILERS_EXTENSION: {}}, "http_version": "1.0"}, False),
        ({"extensions": {}, "http_version": "1.1"}, False),
        ({"http_version": "1.1"}, False),
    ],
    ids=["known", "http-1.0", "unknown", "no-extensions"],
)
async def test_trailers_go_to_a_server_that_knows_them(more: dict[str, Any], trails: bool) -> None:
    class Trailing(Server):
        async def send(self, message: Any) -> None:
            self.sent.append(dict(message))
            last = "http.response.trailers" if trails else "http.response.body"
            if message["type"] == last and not message.get("more_body", False):
                self.hang_up()

    scene, server = await stage(ok(STREAM)).with_key(), Trailing(body(CHAT))
    await application(scene)(scope("/v1/chat/completions", [BEARER, TAKES], **more), server.receive, server.send)
    assert server.sent[0]["trailers"] is trails
    told = [message["headers"] for message in server.sent if message["type"] == "http.response.trailers"]
    cost = [
        (b"x-headgate-cost-usd", b"0.000012"),
        (b"x-headgate-input-tokens", b"8"),
        (b"x-headgate-output-tokens", b"2"),
    ]
    assert told == ([cost] if trails else [])
