"""Failover over WebSockets, on real ones: who serves an alias, and what the books say of whom could not be reached."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import openai
import pytest
import websockets
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from headgate.access.virtual import VirtualKey, digest_of, hint_of
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.records import Ending, Record, Settled
from headgate.routing.aliases import Alias, Target, Tier
from headgate.testing.replay import recordings, replay
from headgate.testing.upstream import ScriptedUpstream
from tests.e2e.running import ACCESS_SECRET, CREDENTIAL, Running, serving
from tests.e2e.test_sockets import INPUT, OUTPUT, TEXT, Played, Provider, create, event
from tests.ports import kept_port

CREDIT_NANOS = 10**12
CHARGE = 10 * INPUT + 3 * OUTPUT
AUTH = {"authorization": f"Bearer {TEXT}"}


def refusing(status: int, **headers: str) -> Any:
    """How a provider answers every upgrade."""

    def answer(socket: ServerConnection, request: Request) -> Response:
        del request
        refusal = socket.respond(status, '{"error":{"message":"not now"}}')
        for name, value in headers.items():
            refusal.headers[name.replace("_", "-")] = value
        return refusal

    return answer


@dataclass
class Scene:
    gateway: Running
    providers: Sequence[Provider]

    def connect(self, path: str = "/v1/responses", **headers: str) -> Any:
        return websockets.connect(f"ws://127.0.0.1:{self.gateway.port}{path}", additional_headers=AUTH | headers)

    @property
    def asked(self) -> list[int]:
        """How many frames each provider was sent."""
        return [len(provider.frames) for provider in self.providers]

    async def books(self, count: int) -> list[Record]:
        """The records of turns, once there are so many; what they were charged is what the account has less."""
        records = await self.gateway.log.all(count)
        account = await self.gateway.log.account("team")
        assert account is not None
        assert account.held_nanos == 0
        assert sum(record.bill.charge_nanos or 0 for record in records) == CREDIT_NANOS - account.posted_nanos
        return records


@asynccontextmanager
async def scene_of(
    *ends: Any, scripts: Sequence[Played | None] = (), model: str = "gpt-4o-mini", one_tier: bool = False
) -> AsyncIterator[Scene]:
    """A gateway whose alias `smart` leads to these: None answers, "down" is not there, else so answers upgrades."""
    kind = registry.by_name("openai")
    async with AsyncExitStack() as stack:
        providers, deployments = [], []
        for n, end in enumerate(ends):
            provider = Provider(scripts[n] if scripts else None)
            port = kept_port()
            if end != "down":
                server: Server = await stack.enter_async_context(
                    serve(provider.connection, "127.0.0.1", 0, process_request=end)
                )
                port = server.sockets[0].getsockname()[1]
            root = kind.root(f"http://127.0.0.1:{port}")
            deployments.append(Deployment(f"openai-{n}", kind, root, Secret(CREDENTIAL)))
            providers.append(provider)
        targets = tuple(Target(deployment, model) for deployment in deployments)
        alias = Alias("smart", (Tier(targets),) if one_tier else tuple(Tier((target,)) for target in targets))
        gateway = await stack.enter_async_context(serving(tuple(deployments), more={"aliases": (alias,)}))
        await gateway.log.submit(OpenAccount("team", AccountKind.PREPAID, 0))
        await gateway.log.submit(Post("first", "team", EntryKind.TOP_UP, CREDIT_NANOS, 0))
        digest = digest_of(TEXT.encode(), ACCESS_SECRET.encode())
        await gateway.log.put_key(VirtualKey("key_1", "alice", "team", digest, hint_of(TEXT), 0))
        yield Scene(gateway, providers)


async def sdk_turns(scene: Scene, count: int) -> list[str]:
    """The ids of so many responses on one socket of the official SDK's."""
    found = []
    client = openai.AsyncOpenAI(base_url=scene.gateway.url + "/v1", api_key=TEXT)
    async with client, client.responses.connect() as connection:
        for _ in range(count):
            await connection.response.create(model="smart", input="hi", max_output_tokens=50)
            async for said in connection:
                if said.type == "response.completed":
                    found.append(said.response.id)
                    break
    return found


@pytest.mark.parametrize(
    ("first", "attempt"),
    [
        ("down", ("openai-0", None, "upstream_unreachable", Ending.NEVER_SENT)),
        (refusing(429), ("openai-0", 429, None, Ending.REFUSED)),
        (refusing(503), ("openai-0", 503, None, Ending.REFUSED)),
        (refusing(401), ("openai-0", 401, None, Ending.REFUSED)),
    ],
    ids=["not there", "429", "503", "401"],
)
async def test_the_sdk_is_served_by_the_next_target(first: Any, attempt: tuple[Any, ...]) -> None:
    async with scene_of(first, None) as scene:
        assert await sdk_turns(scene, 2) == ["resp_1", "resp_2"]
        one, two = await scene.books(2)
    assert scene.asked == [0, 2]
    assert [json.loads(frame)["model"] for frame in scene.providers[1].frames] == ["gpt-4o-mini"] * 2
    before, last = one.attempts
    assert (before.provider, before.status, before.error, before.ending) == attempt
    assert (before.hold_id, before.cost_nanos, before.charge_nanos) == (None, 0, None)
    assert (last.provider, last.model, last.hold_id, last.charge_nanos) == (
        "openai-1", "gpt-4o-mini", one.exchange_id, CHARGE,
    )  # fmt: skip
    assert [len(record.attempts) for record in (one, two)] == [2, 1]
    for record in (one, two):
        assert (record.model_asked, record.provider, record.ending) == ("smart", "openai-1", Ending.COMPLETE)
        assert (record.bill.charge_nanos, record.bill.settled) == (CHARGE, Settled.CAPTURED)


async def test_who_is_asked_for_by_the_address_is_found_before_the_client_is_accepted() -> None:
    async def script(socket: ServerConnection, said: dict[str, Any]) -> None:
        del said
        usage = {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}
        await socket.send(event("response.created", response={"id": "resp_1", "status": "in_progress"}))
        await socket.send(event("response.done", response={"id": "resp_1", "status": "completed", "usage": usage}))

    async with scene_of("down", refusing(500), None, scripts=(None, None, script), model="gpt-realtime") as scene:
        client = openai.AsyncOpenAI(base_url=scene.gateway.url + "/v1", api_key=TEXT)
        async with client, client.realtime.connect(model="smart") as connection:
            await connection.response.create()
            async for said in connection:
                if said.type == "response.done":
                    break
        (record,) = await scene.books(1)
    assert [(a.provider, a.status) for a in record.attempts] == [
        ("openai-0", None), ("openai-1", 500), ("openai-2", 200),
    ]  # fmt: skip
    assert (record.dialect, record.provider, record.ending) == ("openai.realtime", "openai-2", Ending.COMPLETE)


async def test_where_nobody_is_there_the_last_refusal_is_told_and_the_socket_stays_open() -> None:
    async with scene_of(refusing(429), "down") as scene:
        async with scene.connect() as socket:
            for _ in range(2):
                await socket.send(create(model="smart"))
                told = json.loads(await socket.recv())
                assert (told["type"], told["status"], told["error"]["code"]) == ("error", 429, "upstream_refused")
        records = await scene.books(2)
    for record in records:
        assert (record.ending, record.status, record.bill.cost_nanos) == (Ending.NEVER_SENT, 429, 0)
        assert {(attempt.provider, attempt.status) for attempt in record.attempts} == {
            ("openai-0", 429), ("openai-1", None),
        }  # fmt: skip


async def test_an_address_whose_targets_all_refuse_is_answered_with_the_last_refusal() -> None:
    async with scene_of("down", refusing(503, retry_after="7")) as scene:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await scene.connect("/v1/realtime?model=smart")
        (record,) = await scene.books(1)
    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["retry-after"] == "7"
    assert refused.value.response.body == b'{"error":{"message":"not now"}}'
    assert (record.ending, record.status) == (Ending.REFUSED, 503)
    assert [(attempt.provider, attempt.status) for attempt in record.attempts] == [
        ("openai-0", None),
        ("openai-1", 503),
    ]


async def test_what_is_wrong_with_the_request_is_wrong_everywhere() -> None:
    async with scene_of(refusing(400), None) as scene, scene.connect() as socket:
        await socket.send(create(model="smart"))
        assert json.loads(await socket.recv())["status"] == 400
        assert scene.asked == [0, 0]


async def test_a_target_that_keeps_failing_is_not_dialled_again() -> None:
    async with scene_of(refusing(429, retry_after="60"), None) as scene:
        for _ in range(3):
            assert await sdk_turns(scene, 1)
        records = await scene.books(3)
    assert [len(record.attempts) for record in records] == [2, 1, 1]


async def test_turns_that_fail_turn_the_next_sockets_away() -> None:
    async def script(socket: ServerConnection, said: dict[str, Any]) -> None:
        del said
        error = {"type": "server_error", "code": "server_error", "message": "broke"}
        await socket.send(event("error", status=500, error=error))

    async with scene_of(None, None, scripts=(script, None)) as scene:
        async with scene.connect() as socket:
            for _ in range(3):
                await socket.send(create(model="smart"))
                assert json.loads(await socket.recv())["status"] == 500
        await scene.books(3)
        assert await sdk_turns(scene, 1) == ["resp_1"]
        assert scene.asked == [3, 1]


async def test_who_goes_on_from_a_response_gets_who_has_it_or_an_error() -> None:
    async with scene_of("down", None) as scene:
        assert await sdk_turns(scene, 1) == ["resp_1"]
        async with scene.connect() as socket:
            await socket.send(create(model="smart", previous_response_id="resp_1"))
            assert json.loads(await socket.recv())["type"] == "response.created"
        assert scene.asked == [0, 2]


async def test_a_frame_that_asks_for_nothing_goes_to_who_serves_without_an_alias() -> None:
    async with scene_of(None, None) as scene:
        async with scene.connect() as socket:
            odd = '{ "type" : "response.processed" }'
            await socket.send(odd)
            await socket.send(create(model="smart"))
            for _ in range(4):
                await socket.recv()
        (record,) = await scene.books(1)
    assert scene.providers[0].frames[0] == odd
    assert (record.provider, scene.asked) == ("openai-0", [2, 0])


async def test_who_names_a_provider_gets_it_and_its_handshake() -> None:
    async with scene_of("down", None) as scene:
        async with scene.connect(**{"x-provider": "openai-1"}) as socket:
            assert len(scene.providers[1].handshakes) == 1
            await socket.send(create(model="smart"))
            await socket.recv()
        with pytest.raises(websockets.InvalidStatus) as refused:
            await scene.connect(**{"x-provider": "openai-0"})
        assert refused.value.response.status_code == 502


async def test_a_line_that_breaks_is_not_made_up_for_by_another_conversation() -> None:
    async def script(socket: ServerConnection, said: dict[str, Any]) -> None:
        await scene.providers[0].answer(socket, said)
        await socket.close(1001, "an hour is over")

    async with scene_of(None, None, scripts=(script, None)) as scene:
        async with scene.connect() as socket:
            await socket.send(create(model="smart"))
            for _ in range(4):
                await socket.recv()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "an hour is over")
        (record,) = await scene.books(1)
    assert (record.ending, scene.asked) == (Ending.COMPLETE, [1, 0])


async def test_a_provider_without_sockets_stands_in() -> None:
    recording = next(r for r in recordings() if r.dialect == "openai.responses" and r.stream)
    openai_kind, vllm_kind = registry.by_name("openai"), registry.by_name("vllm")
    async with ScriptedUpstream(replay(speed=1000)) as upstream:
        down = Deployment(
            "openai", openai_kind, openai_kind.root(f"http://127.0.0.1:{kept_port()}"), Secret(CREDENTIAL)
        )
        vllm = Deployment("vllm", vllm_kind, vllm_kind.root(upstream.url))
        alias = Alias("smart", (Tier((Target(down, "gpt-4o"),)), Tier((Target(vllm, recording.model or ""),))))
        async with serving((down, vllm), more={"aliases": (alias,)}) as gateway:
            async with websockets.connect(f"ws://127.0.0.1:{gateway.port}/v1/responses") as socket:
                await socket.send(create(model="smart"))
                while json.loads(await socket.recv())["type"] != "response.completed":
                    pass
            (record,) = await gateway.log.all(1)
    assert [(attempt.provider, attempt.status) for attempt in record.attempts] == [("openai", None), ("vllm", 200)]
    assert (record.ending, record.reading.usage.output_tokens) == (Ending.COMPLETE, recording.usage["output_tokens"])


async def test_a_bridge_leads_to_who_is_there_and_knocking_sends_nothing() -> None:
    recording = next(r for r in recordings() if r.dialect == "openai.responses" and r.stream)
    kind = registry.by_name("vllm")
    async with ScriptedUpstream(replay(speed=1000)) as upstream:
        down = Deployment("down", kind, kind.root(f"http://127.0.0.1:{kept_port()}"))
        there = Deployment("there", kind, kind.root(upstream.url))
        alias = Alias("smart", tuple(Tier((Target(each, recording.model or ""),)) for each in (down, there)))
        async with serving((down, there), more={"aliases": (alias,)}) as gateway:
            client = openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key="any")
            async with client, client.responses.connect() as connection:
                await connection.response.create(model="smart", input="hi")
                async for said in connection:
                    if said.type == "response.completed":
                        break
            (record,) = await gateway.log.all(1)
        assert len(upstream.requests) == 1
    assert [(attempt.provider, attempt.error) for attempt in record.attempts] == [
        ("down", "upstream_unreachable"), ("there", None),
    ]  # fmt: skip
    assert record.ending is Ending.COMPLETE


async def test_what_belongs_together_goes_to_one_target() -> None:
    async with scene_of(None, None, None, one_tier=True) as scene:
        for key in ("a", "b", "c"):
            before = scene.asked
            for _ in range(4):
                async with scene.connect() as socket:
                    await socket.send(create(model="smart", prompt_cache_key=key))
                    for _ in range(4):
                        await socket.recv()
            assert sorted(now - was for now, was in zip(scene.asked, before, strict=True)) == [0, 0, 4]
        before = scene.asked
        for _ in range(24):
            assert await sdk_turns(scene, 1)
        assert all(now > was for now, was in zip(scene.asked, before, strict=True))
