"""The official SDK over a WebSocket, through the gateway: every response is settled by itself."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
import websockets
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Origin

from headgate.access.virtual import VirtualKey, digest_of, hint_of, key_text
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.records import Ending, Settled
from headgate.testing.replay import recordings, replay
from headgate.testing.upstream import Close, Hang, Received, Script, ScriptedUpstream, chunk, head
from headgate.usage import Basis
from tests.e2e.books import GatewayProcess, audited, fill, opened
from tests.e2e.books import key_text as books_key
from tests.e2e.running import ACCESS_SECRET, CREDENTIAL, Running, serving

TEXT = key_text(bytes(range(24)))
CREDIT_NANOS = 10**9
INPUT, OUTPUT = 150, 600
"""Nano-dollars a token of gpt-4o-mini."""

Played = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]


def event(kind: str, **more: Any) -> str:
    return json.dumps({"type": kind, **more})


def terminal(n: int, kind: str = "completed", *, tokens: tuple[int, int] = (10, 3), **more: Any) -> str:
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
    response = {
        "id": f"resp_{n}",
        "object": "response",
        "status": kind,
        "model": "gpt-4o-mini",
        "usage": usage,
        "output": [],
    }
    return event(f"response.{kind}", response=response, **more)


@dataclass
class Provider:
    """A provider's socket, played from a script: one coroutine for each frame that asks."""

    script: Played | None
    """None: a whole response for each."""
    frames: list[str] = field(default_factory=list)
    handshakes: list[dict[str, str]] = field(default_factory=list)
    made: int = 0
    port: int = 0

    async def connection(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.handshakes.append({name.lower(): value for name, value in socket.request.headers.raw_items()})
        async for frame in socket:
            assert isinstance(frame, str)
            self.frames.append(frame)
            said = json.loads(frame)
            if said.get("type") == "response.create":
                await (self.script or self.answer)(socket, said)

    async def answer(self, socket: ServerConnection, said: dict[str, Any]) -> None:
        """A whole response."""
        self.made += 1
        lane = {"stream_id": said["stream_id"]} if "stream_id" in said else {}
        await socket.send(
            event("response.created", response={"id": f"resp_{self.made}", "model": "gpt-4o-mini"}, **lane)
        )
        for word in ("Hello", " there"):
            await socket.send(event("response.output_text.delta", delta=word, item_id="i", **lane))
        await socket.send(terminal(self.made, **lane))


@dataclass
class Scene:
    gateway: Running
    provider: Provider

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway.port}/v1/responses"

    def connect(self) -> Any:
        return websockets.connect(self.url, additional_headers={"authorization": f"Bearer {TEXT}"}, max_size=None)

    async def spent(self) -> int:
        account = await self.gateway.log.account("team")
        assert account is not None
        assert account.held_nanos == 0
        return CREDIT_NANOS - account.posted_nanos


@asynccontextmanager
async def scene_of(
    script: Played | None = None, *, credit: int = CREDIT_NANOS, websocket: bool = True
) -> AsyncIterator[Scene]:
    provider = Provider(script)

    async def headers(_: ServerConnection, __: Any, response: Any) -> None:
        response.headers["x-codex-turn-state"] = "kept"

    async with serve(provider.connection, "127.0.0.1", 0, process_response=headers) as server:
        provider.port = server.sockets[0].getsockname()[1]
        kind = registry.by_name("openai")
        root = kind.root(f"http://127.0.0.1:{provider.port}")
        deployment = Deployment("openai", kind, root, Secret(CREDENTIAL), websocket=websocket)
        async with serving((deployment,)) as gateway:
            store = gateway.log
            await store.submit(OpenAccount("team", AccountKind.PREPAID, 0))
            await store.submit(Post("first", "team", EntryKind.TOP_UP, credit, 0))
            digest = digest_of(TEXT.encode(), ACCESS_SECRET.encode())
            await store.put_key(VirtualKey("key_1", "alice", "team", digest, hint_of(TEXT), 0))
            yield Scene(gateway, provider)


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_of() as found:
        yield found


def create(**more: Any) -> str:
    asked = {"type": "response.create", "model": "gpt-4o-mini", "max_output_tokens": 50, "input": "hi"}
    return json.dumps(asked | more)


async def test_the_sdk_talks_over_a_socket_and_each_response_is_settled(scene: Scene) -> None:
    client = openai.AsyncOpenAI(base_url=scene.gateway.url + "/v1", api_key=TEXT)
    async with client, client.responses.connect() as connection:
        for _ in range(2):
            await connection.response.create(model="gpt-4o-mini", input="hi", max_output_tokens=50)
            async for said in connection:
                if said.type == "response.completed":
                    assert said.response.usage is not None
                    assert said.response.usage.input_tokens == 10
                    break
    first, second = await scene.gateway.log.all(2)
    for record in (first, second):
        assert (record.ending, record.reading.basis, record.bill.settled) == (
            Ending.COMPLETE, Basis.REPORTED, Settled.CAPTURED,
        )  # fmt: skip
        assert record.bill.charge_nanos == 10 * INPUT + 3 * OUTPUT
    assert {first.reading.response_id, second.reading.response_id} == {"resp_1", "resp_2"}
    assert await scene.spent() == 2 * (10 * INPUT + 3 * OUTPUT)


async def test_frames_pass_byte_for_byte_and_handshake_headers_both_ways(scene: Scene) -> None:
    odd = '{ "type" : "response.processed" , "x" : "\\u00e9" }'
    async with scene.connect() as socket:
        assert socket.response.headers["x-codex-turn-state"] == "kept"
        await socket.send(odd)
        asked = create(metadata={"a": 1})
        await socket.send(asked)
        got = [await socket.recv() for _ in range(4)]
    assert scene.provider.frames == [odd, asked]
    assert json.loads(got[-1])["type"] == "response.completed"
    (handshake,) = scene.provider.handshakes
    assert handshake["authorization"] == f"Bearer {CREDENTIAL}"


async def test_a_prefix_is_taken_off_the_model(scene: Scene) -> None:
    async with scene.connect() as socket:
        await socket.send('{"type":"response.create",  "model":"openai/gpt-4o-mini","max_output_tokens":5,"input":"é"}')
        for _ in range(4):
            await socket.recv()
    assert scene.provider.frames == [
        '{"type":"response.create",  "model":"gpt-4o-mini","max_output_tokens":5,"input":"é"}'
    ]


async def test_without_credit_the_socket_stays_open() -> None:
    async with scene_of(credit=400_000) as scene, scene.connect() as socket:
        await socket.send(create(max_output_tokens=100_000))
        told = json.loads(await socket.recv())
        assert (told["type"], told["status"], told["error"]["code"]) == ("error", 402, "insufficient_credit")
        await socket.send(create(max_output_tokens=5, input="x", model="gpt-4o-mini"))
        assert json.loads(await socket.recv())["type"] == "response.created"
        assert len(scene.provider.frames) == 1


async def test_two_lanes_at_once() -> None:
    async def script(socket: ServerConnection, said: dict[str, Any]) -> None:
        held.append(said["stream_id"])
        if len(held) == 2:
            for n, lane in enumerate(held):
                await socket.send(event("response.created", response={"id": f"resp_{n}"}, stream_id=lane))
            for n, lane in reversed(list(enumerate(held))):
                await socket.send(terminal(n, tokens=(10 + n, 3), stream_id=lane))

    held: list[str] = []
    async with scene_of(script) as scene, scene.connect() as socket:
        await socket.send(create(stream_id="a"))
        await socket.send(create(stream_id="b"))
        for _ in range(4):
            await socket.recv()
        records = await scene.gateway.log.all(2)
        assert {r.reading.response_id: r.reading.usage.input_tokens for r in records} == {"resp_0": 10, "resp_1": 11}


@pytest.mark.parametrize("who", ["client", "provider"])
async def test_a_socket_that_dies_settles_what_is_open(who: str) -> None:
    async def script(socket: ServerConnection, said: dict[str, Any]) -> None:
        del said
        await socket.send(event("response.created", response={"id": "resp_1"}))
        await socket.send(event("response.output_text.delta", delta="word " * 20, item_id="i"))
        if who == "provider":
            socket.transport.abort()

    async with scene_of(script) as scene:
        async with scene.connect() as socket:
            await socket.send(create())
            await socket.recv()
            await socket.recv()
            if who == "client":
                socket.transport.abort()
            else:
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1011
        (record,) = await scene.gateway.log.all(1)
        assert record.ending is (Ending.CLIENT_LEFT if who == "client" else Ending.UPSTREAM_CUT)
        assert record.reading.basis is Basis.ESTIMATED
        assert record.bill.charge_nanos == await scene.spent() > 0


async def test_a_revoked_key_is_not_served_what_the_provider_begins_by_itself() -> None:
    revoked = asyncio.Event()

    async def script(socket: ServerConnection, said: dict[str, Any]) -> None:
        del said
        await socket.send(terminal(1))
        await revoked.wait()
        await socket.send(event("response.created", response={"id": "resp_2"}))
        await socket.send(event("response.output_text.delta", delta="secret", item_id="i"))

    async with scene_of(script) as scene, scene.connect() as socket:
        await socket.send(create())
        assert json.loads(await socket.recv())["response"]["id"] == "resp_1"
        key = await scene.gateway.log.by_digest(digest_of(TEXT.encode(), ACCESS_SECRET.encode()))
        assert key is not None
        await scene.gateway.log.put_key(replace(key, revoked_at_ns=1))
        revoked.set()
        told = json.loads(await socket.recv())
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        first, second = await scene.gateway.log.all(2)
    assert (told["type"], told["status"]) == ("error", 401)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert (first.ending, second.ending, second.bill.charge_nanos) == (Ending.COMPLETE, Ending.UPSTREAM_CUT, None)
    assert await scene.spent() == 10 * INPUT + 3 * OUTPUT


async def test_where_it_is_switched_off_the_upgrade_is_answered_426() -> None:
    async with scene_of(websocket=False) as scene:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await scene.connect().__aenter__()
        assert refused.value.response.status_code == 426
        (record,) = await scene.gateway.log.all(1)
        assert record.status == 426


async def test_without_a_key_nobody_connects(scene: Scene) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(scene.url)
    assert refused.value.response.status_code == 401
    assert scene.provider.handshakes == []


async def test_a_page_may_not_connect(scene: Scene) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(
            scene.url, origin=Origin("https://evil.example"), additional_headers={"authorization": f"Bearer {TEXT}"}
        )
    assert refused.value.response.status_code == 403


async def test_a_binary_frame_ends_it(scene: Scene) -> None:
    async with scene.connect() as socket:
        await socket.send(b"\\x00")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003


async def test_a_provider_without_sockets_is_reached_all_the_same() -> None:
    """The SDK's socket in front of a recorded HTTP stream: parsed by the SDK, metered as over HTTP."""
    recording = next(r for r in recordings() if r.dialect == "openai.responses" and r.stream)
    async with ScriptedUpstream(replay(speed=1000)) as upstream:
        kind = registry.by_name("vllm")
        async with serving((Deployment("vllm", kind, kind.root(upstream.url)),)) as gateway:
            client = openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key="any")
            async with client, client.responses.connect() as connection:
                await connection.response.create(model=recording.model, input="hi")
                async for said in connection:
                    if said.type == "response.completed":
                        break
            (record,) = await gateway.log.all(1)
    assert record.ending is Ending.COMPLETE
    assert record.reading.basis is Basis.REPORTED
    assert record.reading.usage.output_tokens == recording.usage["output_tokens"]


async def test_over_a_bridge_a_create_that_waits_for_its_lane_was_never_sent() -> None:
    def hangs(request: Received) -> Script:
        del request
        yield head(content_type="text/event-stream")
        yield chunk(b'data: {"type":"response.created","response":{"id":"resp_1"}}\n\n')
        yield Hang()

    async with ScriptedUpstream(hangs) as upstream:
        kind = registry.by_name("vllm")
        async with serving((Deployment("vllm", kind, kind.root(upstream.url)),)) as gateway:
            async with websockets.connect(f"ws://127.0.0.1:{gateway.port}/v1/responses") as socket:
                for _ in range(2):
                    await socket.send(create(model="vllm/some"))
                await socket.recv()
                await socket.send('{"type":"x"}')
            first, second = sorted(await gateway.log.all(2), key=lambda record: record.started_at_ns)
        assert len(upstream.requests) == 1
    assert (first.ending, second.ending, second.status) == (Ending.CLIENT_LEFT, Ending.NEVER_SENT, 499)


async def test_over_a_bridge_a_provider_that_hangs_up_may_have_cost_something() -> None:
    def closes(request: Received) -> Script:
        del request
        yield Close()

    async with ScriptedUpstream(closes) as upstream:
        kind = registry.by_name("vllm")
        async with (
            serving((Deployment("vllm", kind, kind.root(upstream.url)),)) as gateway,
            websockets.connect(f"ws://127.0.0.1:{gateway.port}/v1/responses") as socket,
        ):
            await socket.send(create(model="vllm/some"))
            assert json.loads(await socket.recv())["type"] == "response.failed"
            (record,) = await gateway.log.all(1)
    assert (record.ending, record.bill.cost_nanos) == (Ending.UPSTREAM_ERROR, None)


async def test_realtime_is_metered_by_its_responses() -> None:
    async def script(socket: ServerConnection, said: dict[str, Any]) -> None:
        del said
        usage = {
            "total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
            "input_token_details": {"text_tokens": 5, "audio_tokens": 15, "cached_tokens": 0},
            "output_token_details": {"text_tokens": 2, "audio_tokens": 8},
        }  # fmt: skip
        await socket.send(event("response.created", response={"id": "resp_1", "status": "in_progress"}))
        await socket.send(event("response.done", response={"id": "resp_1", "status": "completed", "usage": usage}))

    async with scene_of(script, credit=10**12) as scene:
        url = f"ws://127.0.0.1:{scene.gateway.port}/v1/realtime?model=gpt-realtime"
        headers = {"authorization": f"Bearer {TEXT}"}
        async with websockets.connect(url, additional_headers=headers) as socket:
            await socket.send('{"type":"response.create"}')
            assert [json.loads(await socket.recv())["type"] for _ in range(2)] == ["response.created", "response.done"]
        (record,) = await scene.gateway.log.all(1)
    assert (record.dialect, record.ending, record.bill.settled) == (
        "openai.realtime",
        Ending.COMPLETE,
        Settled.CAPTURED,
    )
    usage = record.reading.usage
    assert (usage.input_tokens, usage.input_audio_tokens, usage.output_audio_tokens) == (20, 15, 8)
    assert record.bill.charge_nanos is not None
    assert record.bill.charge_nanos > 0


def _two_turns(url: str) -> list[int]:
    """The synchronous SDK: the input tokens of two responses on one socket."""
    seen: list[int] = []
    with openai.OpenAI(base_url=url + "/v1", api_key=TEXT) as client, client.responses.connect() as connection:
        for _ in range(2):
            connection.response.create(model="gpt-4o-mini", input="hi", max_output_tokens=50)
            for said in connection:
                if said.type == "response.completed":
                    assert said.response.usage is not None
                    seen.append(said.response.usage.input_tokens)
                    break
    return seen


@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")  # the SDK's own
async def test_the_synchronous_sdk_does_too(scene: Scene) -> None:
    assert await asyncio.to_thread(_two_turns, scene.gateway.url) == [10, 10]
    assert await scene.spent() == 2 * (10 * INPUT + 3 * OUTPUT)


async def test_kill_9_in_the_middle_of_turns(tmp_path: Path) -> None:
    """A real process dies with turns open on a socket; the next one settles them by their checkpoints."""

    async def script(socket: ServerConnection, said: dict[str, Any]) -> None:
        lane = said["stream_id"]
        await socket.send(event("response.created", response={"id": f"resp_{lane}"}, stream_id=lane))
        for _ in range(20):
            await socket.send(event("response.output_text.delta", delta="word " * 20, item_id="i", stream_id=lane))

    provider, database = Provider(script), str(tmp_path / "books.db")
    async with opened(database) as store:
        await fill(store, credit_nanos=10**12, keys=["one"])
    async with serve(provider.connection, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        gateway = GatewayProcess(tmp_path, f"http://127.0.0.1:{port}", database)
        await gateway.start()
        url = f"ws://127.0.0.1:{gateway.port}/v1/responses"
        headers = {"authorization": f"Bearer {books_key('one')}"}
        async with websockets.connect(url, additional_headers=headers) as socket:
            for lane in ("a", "b"):
                await socket.send(create(stream_id=lane, max_output_tokens=5_000))
            for _ in range(42):
                await socket.recv()
            await asyncio.sleep(1.5)  # a checkpoint is taken every second
            await gateway.kill()
        await gateway.start()
        async with asyncio.timeout(30), opened(database) as store:
            while await store.open_holds():
                await asyncio.sleep(0.1)
        await gateway.stop()
    async with opened(database) as store:
        (books,) = (await audited(store)).values()
    assert len(books) == 2
    for book in books:
        assert book.record is not None
        assert book.record.ending is Ending.GATEWAY_DIED
        assert book.hold.minimum_nanos < book.captured <= book.hold.amount_nanos
