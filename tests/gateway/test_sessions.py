"""An upgrade: who may, where it goes, and what becomes of one that comes to nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from headgate.errors import UpgradeRefused, UpstreamTimeout, UpstreamUnreachable
from headgate.gateway.request import Request
from headgate.gateway.sessions import Sessions, _with_model, locate_socket
from headgate.gateway.socket import Refusal, SocketClosed
from headgate.providers.base import Deployment
from headgate.records import Ending, Record
from headgate.routing.aliases import Alias, Target, Tier
from tests.gateway.fake_sockets import FakeSocket, FakeSockets, create, line, terminal, upgrade
from tests.gateway.fakes import Stage, deployment, stage

BYE = SocketClosed(1000)
PAGE = (b"origin", b"https://app.example")


async def refused(
    scene: Stage, request: Request, *answers: FakeSocket | Refusal | Exception
) -> tuple[FakeSocket, Record]:
    """What a client is answered whose upgrade comes to nothing, and the one record of it."""
    client = FakeSocket()
    await Sessions(scene.gateway, FakeSockets(list(answers))).serve(request, client)
    assert client.accepted is None
    (record,) = scene.records()
    await scene.agrees(record)
    return client, record


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (Request("GET", "/v1/responses", b"", [], b""), 401),
        (Request("GET", "/v1/responses", b"", [(b"authorization", b"Bearer hg-nobody")], b""), 401),
        (upgrade("/v1/chat/completions"), 426),
        (upgrade("/nowhere"), 426),
        (upgrade("/v1/responses", b"", PAGE), 403),
        (upgrade("/openai/v1/responses", b"", PAGE), 403),
    ],
)
async def test_who_may_not(request_: Request, status: int) -> None:
    client, record = await refused(await stage().with_key(), request_)
    assert client.refused is not None
    assert client.refused[0] == status
    assert (record.ending, record.status) == (Ending.NEVER_SENT, status)


async def test_a_page_may_where_the_operator_says_so() -> None:
    for origins in ({"https://app.example"}, {"*"}):
        async with line(
            await stage().with_key(), upgrade("/v1/responses", b"", PAGE), origins=frozenset(origins)
        ) as on:
            on.client.plays(BYE)
            assert await on.over() == []


async def test_an_upgrade_is_refused_so_that_codex_goes_on_over_http_4_5() -> None:
    quiet = replace(deployment("openai"), websocket=False)
    client, record = await refused(await stage(deployments=[quiet]).with_key(), upgrade())
    assert client.refused is not None
    status, headers, body = client.refused
    assert (status, record.status) == (426, 426)
    assert (b"content-type", b"application/json") in headers
    assert json.loads(body)["error"]["code"] == "upgrade_refused"


@pytest.mark.parametrize(("error", "status"), [(UpstreamUnreachable("no"), 502), (UpstreamTimeout("late"), 504)])
async def test_a_provider_that_is_not_there(error: Exception, status: int) -> None:
    client, record = await refused(await stage().with_key(), upgrade(), error)
    assert client.refused is not None
    assert client.refused[0] == record.status == status


async def test_a_providers_refusal_passes_as_it_is() -> None:
    refusal = Refusal(429, [(b"retry-after", b"7"), (b"set-cookie", b"a=b")], b'{"error":{"message":"slow down"}}')
    client, record = await refused(await stage().with_key(), upgrade(), refusal)
    assert client.refused is not None
    status, headers, body = client.refused
    assert (status, body) == (429, refusal.body)
    assert (b"retry-after", b"7") in headers
    assert b"set-cookie" not in dict(headers)
    assert (record.ending, record.status) == (Ending.REFUSED, 429)


async def test_headers_pass_both_ways_and_keys_do_not() -> None:
    scene, provider = await stage().with_key(), FakeSocket([(b"x-codex-turn-state", b"kept"), (b"set-cookie", b"a=b")])
    sockets, client = FakeSockets([provider]), FakeSocket()
    client.plays(BYE)
    request = upgrade(
        "/v1/responses", b"a=1", (b"openai-beta", b"responses_websockets=2026-02-06"), (b"sec-websocket-key", b"k")
    )
    await Sessions(scene.gateway, sockets).serve(request, client)
    assert client.accepted is not None
    assert dict(client.accepted)[b"x-codex-turn-state"] == b"kept"
    assert b"set-cookie" not in dict(client.accepted)
    (sent,) = sockets.requests
    assert (sent.method, sent.target) == (b"GET", b"/v1/responses?a=1")
    assert dict(sent.headers)[b"openai-beta"] == b"responses_websockets=2026-02-06"
    assert dict(sent.headers)[b"authorization"] == b"Bearer sk-openai-credential"
    assert b"sec-websocket-key" not in dict(sent.headers)


async def test_a_client_that_does_not_wait_leaves_no_socket_behind() -> None:
    scene, provider, client = await stage().with_key(), FakeSocket(), FakeSocket(gone=SocketClosed(1006))
    await Sessions(scene.gateway, FakeSockets([provider])).serve(upgrade(), client)
    (record,) = scene.records()
    assert record.ending is Ending.CLIENT_LEFT
    assert provider.closed == (1001, "")


async def test_an_upgrade_that_a_stop_overtakes() -> None:
    scene, sockets, client = await stage().with_key(), FakeSockets(hangs=True), FakeSocket()
    serving = asyncio.create_task(Sessions(scene.gateway, sockets).serve(upgrade(), client))
    while not sockets.requests:
        await asyncio.sleep(0)
    serving.cancel()
    await serving
    (record,) = scene.records()
    assert (record.ending, record.status) == (Ending.GATEWAY_FAILED, 503)
    assert client.refused is not None
    assert client.refused[0] == 503


async def test_a_socket_is_pinned_to_its_provider_whatever_a_frame_names() -> None:
    async with line(await stage().with_key(), upgrade("/openai/v1/responses")) as on:
        on.client.plays(create(model="openai/gpt-4o-mini"))
        (frame,) = await on.upstream.has_sent(1)
        on.client.plays(BYE)
        (record,) = await on.over()
    assert json.loads(frame)["model"] == "gpt-4o-mini"
    assert record.provider == "openai"


A, B = (replace(deployment("openai"), name=name) for name in "ab")
SMART = Alias("smart", (Tier((Target(A, "gpt-4o-mini"),)), Tier((Target(B, "gpt-4o-mini"),))))


def smart(*deployments: Deployment) -> Stage:
    return stage(deployments=deployments or [A, B], aliases=[SMART])


@asynccontextmanager
async def asking(scene: Stage, sockets: FakeSockets, frame: bytes) -> AsyncIterator[tuple[Sessions, FakeSocket]]:
    """A client that was accepted at once, and has sent a frame."""
    client, sessions = FakeSocket(), Sessions(scene.gateway, sockets)
    serving = asyncio.create_task(sessions.serve(upgrade(), client))
    client.plays(frame)
    yield sessions, client
    client.plays(BYE)
    await asyncio.wait_for(serving, 10)
    for record in scene.records():
        await scene.agrees(record)


async def test_who_may_not_use_an_alias_connects_to_nobody() -> None:
    scene, sockets = await smart().with_key(models=("gpt-5",)), FakeSockets()
    async with asking(scene, sockets, create(model="smart")) as (_, client):
        (told,) = await client.has_sent(1)
    assert json.loads(told)["status"] == 403
    assert sockets.requests == []
    (record,) = scene.records()
    assert (record.ending, record.status) == (Ending.NEVER_SENT, 403)


async def test_a_key_that_is_bound_to_a_provider_gets_its_target() -> None:
    scene, provider = await smart().with_key(providers=("b",)), FakeSocket()
    async with asking(scene, FakeSockets([provider]), create(model="smart")) as (_, client):
        await provider.has_sent(1)
        provider.plays(terminal("resp_1"))
        await client.has_sent(1)
    (record,) = scene.records()
    assert (record.provider, len(record.attempts)) == ("b", 1)


async def test_a_stop_while_a_provider_is_connected_to() -> None:
    scene, sockets = await smart().with_key(), FakeSockets(hangs=True)
    async with asking(scene, sockets, create(model="smart")) as (sessions, client):
        while not sockets.requests:
            await asyncio.sleep(0)
        sessions.cut()
        assert (await client.is_closed())[0] == 1012
    (record,) = scene.records()
    assert (record.ending, record.status, record.bill.settled) == (Ending.NEVER_SENT, 503, None)
    assert scene.gateway.health.of(SMART.targets[0].key).under_way == 0


async def test_a_client_that_says_nothing_leads_nowhere() -> None:
    scene, sockets, client = await smart().with_key(), FakeSockets(), FakeSocket()
    client.plays(BYE)
    await Sessions(scene.gateway, sockets).serve(upgrade(), client)
    assert client.accepted is not None
    assert (scene.records(), sockets.requests) == ([], [])


async def test_where_no_target_is_reached_by_websocket_http_is_to_be_used() -> None:
    quiet = replace(A, websocket=False)
    alias = Alias("smart", (Tier((Target(quiet, "gpt-4o-mini"),)),))
    scene = await stage(deployments=[quiet, B], aliases=[alias]).with_key()
    client, record = await refused(scene, upgrade("/v1/responses", b"model=smart"))
    assert client.refused is not None
    assert client.refused[0] == record.status == 426


def test_where_sockets_are() -> None:
    for path in ("/v1/responses", "/openai/v1/responses", "/v1/realtime"):
        assert locate_socket(upgrade(path)).dialect is not None
    for path in ("/v1/messages", "/v1/embeddings", "/"):
        with pytest.raises(UpgradeRefused):
            locate_socket(upgrade(path))


@pytest.mark.parametrize(
    ("query", "model", "sent"),
    [
        (b"model=smart", "gpt-realtime", b"model=gpt-realtime"),
        (b"a=%20b&model=openai%2Fgpt-realtime&c", "gpt-realtime", b"a=%20b&model=gpt-realtime&c"),
        (b"model=gpt-realtime&a=1", "gpt-realtime", b"model=gpt-realtime&a=1"),
        (b"a=1", "gpt-realtime", b"a=1"),
        (b"model=smart", None, b"model=smart"),
        (b"mod%65l=smart", "a b&c", b"model=a%20b%26c"),
    ],
)
def test_the_model_in_an_address_is_named_as_its_provider_knows_it(
    query: bytes, model: str | None, sent: bytes
) -> None:
    assert _with_model(query, model) == sent
