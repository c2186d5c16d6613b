"""Failover on real sockets: what clients and SDKs see when providers fail, and what the books say of it."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from headgate.access.virtual import VirtualKey, digest_of, hint_of, key_text
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.records import Ending, Record, Settled, exchange_of, hold_id_of
from headgate.routing.aliases import Alias, Choose, Target, Tier
from headgate.sections import LimitsSection
from headgate.testing.upstream import (
    LAST_CHUNK,
    Close,
    Hang,
    Pause,
    Received,
    Reset,
    Script,
    ScriptedUpstream,
    WaitFor,
    chunk,
    head,
    response,
)
from tests.e2e.books import ACCOUNT, MODEL, GatewayProcess, Witness, ask, audited, fill, opened, price
from tests.e2e.books import key_text as books_key
from tests.e2e.raw import RawClient, post
from tests.e2e.running import ACCESS_SECRET, CREDENTIAL, Running, WatchedLog, serving
from tests.ports import kept_port
from tests.postgres_server import PostgresDatabase

CREDIT_NANOS = 10**10
TEXT = key_text(bytes(range(24)))
AUTH = [("authorization", f"Bearer {TEXT}")]
GPT, CLAUDE = "gpt-4o-mini", "claude-sonnet-4-6"
COSTS = {GPT: 8 * 150 + 2 * 600, CLAUDE: 8 * 3_000 + 2 * 15_000}
"""Of 8 tokens in and 2 out, in nano-dollars, worked by hand: $0.15 and $0.60, $3 and $15 a million."""

ASK = {"model": "smart", "stream": True, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 50}
USAGE = {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}


def _data(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


FIRST = _data({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": GPT,
               "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}}]})  # fmt: skip
LAST = _data({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": GPT,
              "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})  # fmt: skip
SPENT = _data(
    {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": GPT, "choices": [], "usage": USAGE}
)
DONE = b"data: [DONE]\n\n"
ERROR = _data({"error": {"message": "The server is overloaded.", "type": "server_error", "code": 503}})
REFUSAL = b'{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limited"}}'
DOCUMENT = json.dumps({
    "id": "c1", "object": "chat.completion", "created": 1, "model": GPT, "usage": USAGE,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}).encode()  # fmt: skip


def good(request: Received) -> Script:
    """A whole answer to whatever was asked."""
    asked = json.loads(request.body)
    if request.path.endswith("/messages"):
        yield from _message(streamed=asked.get("stream", False))
    elif request.path.endswith("/responses"):
        yield from response([_response()])
    elif asked.get("stream"):
        yield from response([FIRST, LAST, SPENT, DONE], content_type="text/event-stream")
    else:
        yield from response([DOCUMENT])


def _response() -> bytes:
    usage = {"input_tokens": 8, "output_tokens": 2, "total_tokens": 10, "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    part = {"type": "output_text", "text": "Hello", "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    return json.dumps({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": GPT, "output": [message],
        "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }).encode()  # fmt: skip


def _message(*, streamed: bool) -> Script:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "stop_sequence": None,
    }
    if not streamed:
        body = message | {"stop_reason": "end_turn", "content": [{"type": "text", "text": "Hello"}],
                          "usage": {"input_tokens": 8, "output_tokens": 2}}  # fmt: skip
        yield from response([json.dumps(body).encode()])
        return
    begun = message | {"stop_reason": None, "content": [], "usage": {"input_tokens": 8, "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    frames = [f"event: {event['type']}\n".encode() + _data(event) for event in events]
    yield from response(frames, content_type="text/event-stream")


def refuses(status: int, *headers: tuple[bytes, bytes]) -> Any:
    return lambda _: response([REFUSAL], status, headers=headers)


def resets(request: Received) -> Script:
    del request
    yield Reset()


def closes(request: Received) -> Script:
    del request
    yield Close()


def stalls(request: Received) -> Script:
    del request
    yield Hang()


def errs_at_once(request: Received) -> Script:
    del request
    yield from response([ERROR], content_type="text/event-stream")


def errs_after_a_frame(request: Received) -> Script:
    del request
    yield head(content_type="text/event-stream")
    yield chunk(FIRST)
    yield chunk(ERROR)
    yield Hang()


def breaks_after_a_frame(request: Received) -> Script:
    del request
    yield head(content_type="text/event-stream")
    yield chunk(FIRST)
    yield Reset()


def breaks_in_a_document(request: Received) -> Script:
    del request
    yield head()
    yield chunk(DOCUMENT[:40])
    yield Close()


@dataclass
class Scene:
    """A gateway, and what stands behind it."""

    gateway: Running
    upstreams: Sequence[ScriptedUpstream]

    async def spent(self) -> int:
        account = await self.gateway.log.account("team")
        assert account is not None
        assert account.held_nanos == 0
        return CREDIT_NANOS - account.posted_nanos

    async def record(self) -> Record:
        """The one record, whose attempts, bill and ledger entries have to say the same."""
        (record,) = await self.gateway.log.all(1)
        log, bill, took = self.gateway.log, record.bill, 0
        assert await log.open_holds() == []
        for number in range(1, 9):
            entries = [entry for _, entry in await log.entries(hold_id=hold_id_of(record.exchange_id, number))]
            own = [a for a in record.attempts if a.hold_id == hold_id_of(record.exchange_id, number)]
            assert bool(entries) == bool(own), number
            if entries:
                assert len([e for e in entries if e.kind in {EntryKind.CAPTURE, EntryKind.VOID}]) == 1
                assert sum(e.held_nanos for e in entries) == 0
                assert -sum(e.posted_nanos for e in entries) == sum(a.charge_nanos or 0 for a in own)
                took -= sum(e.posted_nanos for e in entries)
        assert took == bill.charge_nanos == await self.spent()
        assert bill.cost_nanos == sum(attempt.cost_nanos or 0 for attempt in record.attempts)
        return record


@asynccontextmanager
async def scene(*handlers: Any, kind: str = "openai", model: str = GPT, log: WatchedLog | None = None,
                weighted: bool = False, choose: Choose = Choose.WEIGHTED,
    **settings: Any) -> AsyncIterator[Scene]:  # fmt: skip
    """A deployment for each handler, in this order; None is one that nobody listens at."""
    provider, deployments, upstreams = registry.by_name(kind), [], []
    async with AsyncExitStack() as stack:
        for number, handler in enumerate(handlers):
            if handler is None:
                url = f"http://127.0.0.1:{kept_port()}"
            else:
                upstreams.append(await stack.enter_async_context(ScriptedUpstream(handler)))
                url = upstreams[-1].url
            name = "abcdef"[number]
            deployments.append(
                Deployment(name, provider, provider.root(url), Secret(CREDENTIAL), provider.on_client_gone)
            )
        targets = [Target(deployment, model) for deployment in deployments]
        tiers = (Tier(tuple(targets), choose),) if weighted else tuple(Tier((target,)) for target in targets)
        alias = Alias("smart", tiers, **settings)
        limits = LimitsSection(first_byte_seconds=1.0)
        new = log is None
        log = log or WatchedLog()
        if new:
            await log.submit(OpenAccount("team", AccountKind.PREPAID, 0))
            await log.submit(Post("first", "team", EntryKind.TOP_UP, CREDIT_NANOS, 0))
            digest = digest_of(TEXT.encode(), ACCESS_SECRET.encode())
            await log.put_key(VirtualKey("key_1", "alice", "team", digest, hint_of(TEXT), 0))
        more = {"aliases": (alias,)}
        running = await stack.enter_async_context(serving(tuple(deployments), limits=limits, more=more, log=log))
        yield Scene(running, upstreams)


FAILURES = {
    "429": (refuses(429, (b"retry-after", b"20")), "refused", 429),
    "500": (refuses(500), "refused", 500),
    "529": (refuses(529), "refused", 529),
    "401": (refuses(401), "refused", 401),
    "reset": (resets, "upstream_cut", None),
    "closed": (closes, "upstream_cut", None),
    "nobody-listens": (None, "never_sent", None),
    "stalled": (stalls, "upstream_cut", None),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "document"])
async def test_the_second_deployment_answers(failure: str, streamed: bool) -> None:
    handler, ending, status = FAILURES[failure]
    async with scene(handler, good) as there:
        client = await post(there.gateway.port, "/v1/chat/completions", ASK | {"stream": streamed}, AUTH)
        assert (client.status, client.complete) == (200, True)
        assert client.body == (FIRST + LAST + DONE if streamed else DOCUMENT), "byte for byte"
        record = await there.record()
        assert (record.provider, record.ending, record.status) == ("b", Ending.COMPLETE, 200)
        failed, answered = record.attempts
        assert (failed.provider, failed.ending, failed.status, failed.charge_nanos) == ("a", ending, status, 0)
        assert (answered.provider, answered.model, answered.charge_nanos) == ("b", GPT, COSTS[GPT])
        assert record.bill.charge_nanos == COSTS[GPT]
        assert client.headers["x-headgate-exchange-id"] == record.exchange_id


@pytest.mark.parametrize("handler", [errs_at_once, errs_after_a_frame, breaks_after_a_frame])
async def test_a_stream_that_fails_at_its_start_is_made_up_for(handler: Any) -> None:
    async with scene(handler, good, hold_back_seconds=5.0) as there:
        client = await post(there.gateway.port, "/v1/chat/completions", ASK, AUTH)
        assert (client.status, client.body, client.complete) == (200, FIRST + LAST + DONE, True)
        record = await there.record()
        assert [attempt.provider for attempt in record.attempts] == ["a", "b"]
        assert record.bill.charge_nanos == COSTS[GPT], "nothing of the first reached anyone"


async def test_a_document_that_breaks_off_is_made_up_for() -> None:
    async with scene(breaks_in_a_document, good) as there:
        client = await post(there.gateway.port, "/v1/chat/completions", ASK | {"stream": False}, AUTH)
        assert (client.status, client.body) == (200, DOCUMENT)
        assert (await there.record()).bill.charge_nanos == COSTS[GPT]


@pytest.mark.parametrize("handler", [errs_after_a_frame, breaks_after_a_frame])
async def test_after_a_byte_it_is_told_in_band(handler: Any) -> None:
    async with scene(handler, good) as there, RawClient(there.gateway.port) as client:
        client.send("/v1/chat/completions", json.dumps(ASK).encode(), headers=AUTH)
        await client.read_until(lambda: b"error" in client.body)
        assert client.body.startswith(FIRST)
        if handler is breaks_after_a_frame:
            await client.read_all()
            assert b"upstream_connection_lost" in client.body
            assert client.complete
        else:
            client.reset()
        record = await there.record()
        assert (len(record.attempts), len(there.upstreams[1].requests)) == (1, 0)


async def test_a_beginning_is_passed_on_when_its_time_is_over() -> None:
    """A provider that thinks after its first frame is not held back for longer than that."""
    thinking = asyncio.Event()

    def thinks(request: Received) -> Script:
        del request
        yield head(content_type="text/event-stream")
        yield chunk(FIRST)
        yield WaitFor(thinking)
        yield chunk(LAST)
        yield chunk(SPENT)
        yield chunk(DONE)
        yield LAST_CHUNK

    async with scene(thinks, good, hold_back_seconds=0.05) as there, RawClient(there.gateway.port) as client:
        client.send("/v1/chat/completions", json.dumps(ASK).encode(), headers=AUTH)
        await client.read_until(lambda: client.body == FIRST)
        thinking.set()
        await client.read_all()
        assert (client.body, client.complete) == (FIRST + LAST + DONE, True)
        assert (await there.record()).bill.charge_nanos == COSTS[GPT]


async def test_all_fail_and_a_providers_own_answer_is_told() -> None:
    async with scene(refuses(429, (b"retry-after", b"20")), None, resets) as there:
        client = await post(there.gateway.port, "/v1/chat/completions", ASK, AUTH)
        assert (client.status, client.body, client.headers["retry-after"]) == (429, REFUSAL, "20")
        record = await there.record()
        assert (record.status, record.provider, record.bill.charge_nanos) == (429, "a", 0)
        assert [attempt.ending for attempt in record.attempts] == ["refused", "never_sent", "upstream_cut"]
        assert record.bill.settled is Settled.VOIDED


async def test_who_cools_down_is_not_asked_again_at_once() -> None:
    async with scene(refuses(429, (b"retry-after", b"20")), good) as there:
        for _ in range(4):
            client = await post(there.gateway.port, "/v1/chat/completions", ASK, AUTH)
            assert client.status == 200
        assert [len(upstream.requests) for upstream in there.upstreams] == [1, 4]


async def test_one_that_says_when_is_waited_for() -> None:
    def once(request: Received) -> Script:
        yield from refuses(429, (b"retry-after-ms", b"50"))(request) if len(upstream.requests) == 1 else good(request)

    async with scene(once) as there:
        upstream = there.upstreams[0]
        client = await post(there.gateway.port, "/v1/chat/completions", ASK, AUTH)
        assert (client.status, client.body) == (200, FIRST + LAST + DONE)
        assert [attempt.status for attempt in (await there.record()).attempts] == [429, 200]


@pytest.mark.parametrize("failure", ["429", "reset", "nobody-listens"])
async def test_openais_sdk_sees_the_good_answer_only(failure: str) -> None:
    handler, *_ = FAILURES[failure]
    messages: Any = [{"role": "user", "content": "hi"}]
    async with scene(handler, good) as there:
        async with openai.AsyncOpenAI(base_url=there.gateway.url + "/v1", api_key=TEXT, max_retries=0) as sdk:
            stream = await sdk.chat.completions.create(model="smart", messages=messages, stream=True)
            text = "".join([part.choices[0].delta.content or "" async for part in stream])
            whole = await sdk.chat.completions.create(model="smart", messages=messages)
            answer = await sdk.responses.create(model="smart", input="hi", max_output_tokens=50)
        assert (text, whole.choices[0].message.content, answer.output_text) == ("Hello", "Hello", "Hello")
        await there.gateway.log.all(3)
        assert await there.spent() == 3 * COSTS[GPT]


@pytest.mark.parametrize("failure", ["529", "reset", "nobody-listens"])
async def test_anthropics_sdk_sees_the_good_answer_only(failure: str) -> None:
    handler, *_ = FAILURES[failure]
    messages: Any = [{"role": "user", "content": "hi"}]
    async with scene(handler, good, kind="anthropic", model=CLAUDE) as there:
        async with anthropic.AsyncAnthropic(base_url=there.gateway.url, api_key=TEXT, max_retries=0) as sdk:
            async with sdk.messages.stream(model="smart", max_tokens=50, messages=messages) as stream:
                text = await stream.get_final_text()
            whole: Any = await sdk.messages.create(model="smart", max_tokens=50, messages=messages)
        assert (text, whole.content[0].text) == ("Hello", "Hello")
        await there.gateway.log.all(2)
        assert await there.spent() == 2 * COSTS[CLAUDE]


async def test_anthropics_sdk_is_told_the_last_answer_as_it_is() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_7"}'

    def overloaded(request: Received) -> Script:
        del request
        yield from response([body], 529, headers=[(b"request-id", b"req_7")])

    async with scene(resets, overloaded, kind="anthropic", model=CLAUDE) as there:
        async with anthropic.AsyncAnthropic(base_url=there.gateway.url, api_key=TEXT, max_retries=0) as sdk:
            with pytest.raises(anthropic.APIStatusError) as told:
                await sdk.messages.create(model="smart", max_tokens=50, messages=[{"role": "user", "content": "hi"}])
        assert (told.value.status_code, told.value.request_id) == (529, "req_7")
        assert told.value.response.content == body
        assert (await there.record()).bill.charge_nanos == 0


async def test_a_conversation_stays_where_it_is_also_after_a_restart() -> None:
    served: dict[str, str] = {}
    log = None
    for _ in range(2):
        async with scene(good, good, good, weighted=True, log=log) as there:
            for n in [*range(24), *range(24)]:
                key = f"thread-{n}"
                await post(there.gateway.port, "/v1/chat/completions", ASK | {"prompt_cache_key": key}, AUTH)
                count = len(there.gateway.log.kept)
                records = await there.gateway.log.all(count)
                provider = records[-1].provider
                assert provider is not None
                assert served.setdefault(key, provider) == provider
            log = there.gateway.log
            assert set(served.values()) == {"a", "b", "c"}


async def test_whose_answers_begin_soonest_is_asked_most() -> None:
    def slow(request: Received) -> Script:
        yield Pause(0.1)
        yield from good(request)

    async with scene(slow, good, weighted=True, choose=Choose.LATENCY) as there:
        for _ in range(12):
            assert (await post(there.gateway.port, "/v1/chat/completions", ASK, AUTH)).status == 200
        slowly, quickly = (len(upstream.requests) for upstream in there.upstreams)
        assert 1 <= slowly < quickly


MODELS = """
[providers.other]
kind = "openai"
base_url = "{other}/v1"
api_key = "the-providers-own-key"
[models.smart]
targets = [{{ provider = "openai", model = "gpt-4o-mini" }}]
fallbacks = [{{ provider = "other", model = "gpt-4o-mini" }}]
"""


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "books.db")
    postgres: PostgresDatabase = request.getfixturevalue("postgres")
    return postgres.dsn()


async def test_a_gateway_killed_in_the_second_attempt_leaves_nothing_open(tmp_path: Path) -> None:
    database = str(tmp_path / "books.db")
    async with opened(database) as store:
        await fill(store, credit_nanos=10**12, keys=[1])
    async with ScriptedUpstream(refuses(500)) as first, ScriptedUpstream(stalls) as second:
        gateway = GatewayProcess(tmp_path, first.url, database)
        gateway._config.write_text(gateway._config.read_text() + MODELS.format(other=second.url))
        await gateway.start()
        asking = asyncio.create_task(
            post(gateway.port, "/v1/chat/completions", ASK, [("authorization", f"Bearer {books_key(1)}")])
        )
        await second.until(lambda: bool(second.requests))
        await gateway.kill()
        await asking
        await gateway.start()
        async with asyncio.timeout(60), opened(database) as store:
            while await store.open_holds():
                await asyncio.sleep(0.1)
        await gateway.stop()
    async with opened(database) as store:
        (record,) = [record for _, record in await store.arrived(0, 10)]
        assert (record.ending, record.provider) == (Ending.GATEWAY_DIED, "other")
        assert [(a.provider, a.status, a.charge_nanos) for a in record.attempts] == [("openai", 500, 0)]
        kinds = [
            [entry.kind for _, entry in await store.entries(hold_id=hold_id_of(record.exchange_id, n))] for n in (1, 2)
        ]
        assert kinds == [[EntryKind.VOID, EntryKind.PLACE], [EntryKind.CAPTURE, EntryKind.PLACE]]
        account = await store.account(ACCOUNT)
        assert account is not None
        assert (account.held_nanos, 10**12 - account.posted_nanos) == (0, record.bill.charge_nanos)


async def test_kills_under_load_leave_exact_books(database: str, tmp_path: Path) -> None:
    """Every request is refused once before it is answered, and the gateway dies in the middle of them, twice."""
    chance, witness = random.Random(7), Witness(chunks=8)
    async with opened(database) as store:
        await fill(store, credit_nanos=10**15, keys=range(90))
    async with ScriptedUpstream(refuses(500)) as first, ScriptedUpstream(witness.handle) as second:
        gateway = GatewayProcess(tmp_path, first.url, database)
        settings = MODELS.format(other=second.url).replace("models.smart", f'models."{MODEL}"')
        gateway._config.write_text(gateway._config.read_text() + settings)
        for kill in range(3):
            await gateway.start()
            numbers = range(kill * 30, (kill + 1) * 30)
            load = [asyncio.create_task(_later(gateway.port, n, chance.uniform(0, 0.5))) for n in numbers]
            if kill < 2:
                await asyncio.sleep(chance.uniform(0.2, 0.6))
                await gateway.kill()
            await asyncio.gather(*load)
        async with asyncio.timeout(60), opened(database) as store:
            while await store.open_holds():
                await asyncio.sleep(0.1)
        await gateway.stop()
    async with opened(database) as store:
        books = await audited(store)
        records = {record.exchange_id: record for _, record in await store.arrived(0, 1_000)}
    took: dict[str, int] = {}
    for book in (book for own in books.values() for book in own):
        exchange_id = exchange_of(book.hold.hold_id)
        took[exchange_id] = took.get(exchange_id, 0) + book.captured
    for exchange_id, nanos in took.items():
        record = records.get(exchange_id)
        assert nanos == (record.bill.charge_nanos if record is not None else 0), exchange_id
    endings = Counter(record.ending for record in records.values())
    assert endings[Ending.COMPLETE] >= 20, "the last load ran undisturbed"
    assert endings[Ending.GATEWAY_DIED] > 0, "no kill hit a running exchange"
    answered = [record for record in records.values() if record.ending is Ending.COMPLETE]
    assert {tuple(attempt.provider for attempt in record.attempts) for record in answered} <= {
        ("openai", "other"), ("other",),
    }  # fmt: skip
    assert {record.bill.charge_nanos for record in answered} == {price(witness.chunks)}
    assert len(took) - len(records.keys() & took.keys()) <= 1, "between two holds there is hardly a moment"


async def _later(port: int, n: int, delay: float) -> None:
    await asyncio.sleep(delay)
    await ask(port, n)
