"""Looking on over real sockets: who may, how many, how it ends. The exchanges themselves are in e2e/test_live.py."""

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import cast

import aiohttp
import pytest
from starlette.types import Receive, Scope, Send

from headgate.admin.api import Shown
from headgate.admin.onlookers import MOST_ONLOOKERS, Onlooker, Onlookers
from headgate.admin.passes import LIFETIME_SECONDS
from headgate.admin.snapshot import LiveView
from headgate.admin.views import moment
from headgate.net.asgi import Application
from headgate.net.server import bind, make_server
from tests.admin.events import events, first
from tests.admin.serving import KEY, Api, Clock, served
from tests.stores.examples import a_record

BEARER = {"authorization": f"Bearer {KEY}"}
NS = 1_000_000_000


async def until_alone(api: Api) -> None:
    """Wait until nobody looks on."""
    async with asyncio.timeout(10):
        while len(api.sight.onlookers):
            await asyncio.sleep(0.01)


async def test_snapshots_come_again_and_again_and_who_ended_at_once() -> None:
    async with served() as api, api.http.get(f"{api.root}/live/events", headers=BEARER) as answer:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        assert await first(answer, "live") == (await api("GET", "/live")).body
        await first(answer, "live")
        api.sight.onlookers.saw(a_record("ex_1"))
        ended = await first(answer, "ended")
        api.store.append(a_record("ex_1"))
        assert ended == (await api("GET", "/records/ex_1")).body


async def test_who_has_signed_in_may_look_on_until_that_ends() -> None:
    async with served() as api:
        entered = await api("POST", "/session", {"key": KEY}, key=None)
        mine = {"cookie": entered.headers["set-cookie"].partition(";")[0], "sec-fetch-site": "same-origin"}
        async with api.http.get(f"{api.root}/live/events", headers=mine) as answer:
            await first(answer, "live")
            api.clock.now_ns += LIFETIME_SECONDS * NS
            async with asyncio.timeout(10):
                assert [event.name async for event in events(answer) if event.name != "live"] == []
        assert (await api.raw("GET", "/live/events", key=None, headers=mine)).status == 401
        assert (await api.raw("GET", "/live/events", key=None)).status == 401


async def test_who_leaves_leaves_nothing_behind() -> None:
    async with served() as api:
        for _ in range(5):
            async with api.http.get(f"{api.root}/live/events", headers=BEARER) as answer:
                await first(answer, "live")
        await until_alone(api)
        assert (await api.raw("HEAD", "/live/events")).status == 200
        await until_alone(api)


async def test_a_hundred_cannot_look_on_at_once_and_are_told_so() -> None:
    async with served() as api, AsyncExitStack() as open_ones:
        http = await open_ones.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)))
        asked = [http.get(f"{api.root}/live/events", headers=BEARER) for _ in range(100)]
        answers = await asyncio.gather(*(open_ones.enter_async_context(request) for request in asked))
        assert sorted(answer.status for answer in answers) == [200] * MOST_ONLOOKERS + [503] * (100 - MOST_ONLOOKERS)
        refused = next(answer for answer in answers if answer.status == 503)
        assert (await refused.json())["error"]["code"] == "gateway_unavailable"
        for answer in answers:
            if answer.status == 200:
                assert (await first(answer, "live"))["running"] == 0
        await open_ones.aclose()
        await until_alone(api)


async def test_when_the_gateway_stops_looking_on_is_over() -> None:
    async with served() as api, api.http.get(f"{api.root}/live/events", headers=BEARER) as answer:
        await first(answer, "live")
        api.sight.onlookers.close()
        async with asyncio.timeout(10):
            assert [event.name async for event in events(answer) if event.name != "live"] == []
        assert (await api.raw("GET", "/live/events")).status == 503


class Showing:
    """An application that shows snapshots of megabytes to whoever asks."""

    def __init__(self) -> None:
        self.onlookers = Onlookers(self.take, Clock(), second=0.01)
        self.onlooker: Onlooker | None = None

    async def take(self) -> LiveView:
        return LiveView(at=moment(0), node="x" * 4_000_000, running=0, exchanges=[])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        else:
            self.onlooker = self.onlookers.join()
            await Shown(self.onlooker, bare=False)(scope, receive, send)

    def dismiss(self) -> None:
        self.onlookers.close()

    def cut(self) -> None:
        """Nothing else runs."""


async def test_a_stop_drops_one_who_does_not_even_take_his_last_bytes(caplog: pytest.LogCaptureFixture) -> None:
    showing, taken = Showing(), bind("127.0.0.1", 0)
    server = make_server(cast("Application", showing), stop_seconds=600)
    running = asyncio.create_task(server.serve(sockets=[taken]))
    with socket.socket() as stalled:
        stalled.settimeout(0)
        loop = asyncio.get_running_loop()
        while not server.started:
            await asyncio.sleep(0.01)
        await loop.sock_connect(stalled, taken.getsockname())
        await loop.sock_sendall(stalled, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        while showing.onlooker is None or showing.onlooker._untaken < 5:  # the buffers between us are full
            await asyncio.sleep(0.01)
        assert len(showing.onlooker._snapshot) < 5_000_000, "one snapshot is kept for him"
        server.should_exit = True
        async with asyncio.timeout(60):
            await running
    assert len(showing.onlookers) == 0
    assert not [entry for entry in caplog.records if entry.levelname == "ERROR"]


async def test_models_come_in_pages() -> None:
    async with served() as api:
        page = (await api("GET", "/models?limit=2")).body
        rest = (await api("GET", f"/models?limit=2&cursor={page['next_cursor']}")).body
        assert [model["model"] for model in page["data"] + rest["data"]] == [
            "gpt-4o",
            "gpt-4o-mini",
            "main/a-model-of-mine",
        ]
        assert rest["next_cursor"] is None
        assert page["data"][0]["prices"]["provider"] == "openai"
        assert rest["data"][0]["prices"] is None
        found = (await api("GET", "/models?search=mini")).body["data"]
        assert [model["model"] for model in found] == ["gpt-4o-mini"]


async def test_a_provider_is_told_without_its_credential() -> None:
    async with served() as api:
        got = await api("GET", "/providers")
        assert got.body["data"][0]["has_credential"] is True
        assert "sk-the-credential" not in str(got.body)
