"""Money is set aside before anything is sent: how much, for whom, and what is answered where it cannot be."""

import asyncio
import dataclasses
import json
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from headgate.access.budgets import Budget, Scope, Window
from headgate.access.limits import Limits
from headgate.errors import Busy, Forbidden, HeadgateError, PaymentRequired, RateLimited
from headgate.gateway.deadline import Deadline
from headgate.gateway.hold import Held, Holds, _as_ever, refusal
from headgate.gateway.tariff import Tariff
from headgate.ledger.commands import CloseAccount, Command, Expire, OpenAccount, Place
from headgate.ledger.entries import (
    Account,
    AccountKind,
    Cap,
    Counter,
    EntryKind,
    HoldState,
    Measure,
    Outcome,
    Result,
)
from headgate.ledger.store import LedgerUnavailable
from headgate.records import Ending, Record, Settled
from headgate.stores.memory import MemoryStore

from .fakes import (
    ACCOUNT,
    BEARER,
    BOOK,
    CHAT,
    CREDIT,
    DONE,
    FINISH,
    FIRST,
    HANG,
    IN,
    JSON,
    KEY_ID,
    MESSAGES,
    NODE,
    NOW_NS,
    OUT,
    USAGE,
    FakeCall,
    FakeClient,
    Stage,
    deployment,
    ok,
    post,
    stage,
)

SECOND = 10**9
TEMPLATE = 1_024
"""What a provider may add to a prompt (dialects/bound.py)."""
WORST_CHAT = (len(CHAT) + TEMPLATE) * IN + 32_768 * OUT
"""No cap on its output: then as much as is held where nobody says how much there may be."""
WORST_MESSAGES = (len(MESSAGES) + TEMPLATE) * IN + 9 * OUT
SPENT = 8 * IN + 2 * OUT
PREPAID, POSTPAID = AccountKind.PREPAID, AccountKind.POSTPAID
NAMES_NO_PRICE = CHAT.replace(b"gpt-4o-mini", b"gpt-9")


def answered() -> FakeCall:
    return ok(FIRST, FINISH, USAGE, DONE)


def chat(body: bytes = CHAT, *headers: tuple[bytes, bytes]) -> Any:
    return post("/v1/chat/completions", body, BEARER, *headers)


def told(client: FakeClient) -> dict[str, Any]:
    """The error that a client was answered with."""
    error: dict[str, Any] = json.loads(client.body)["error"]
    return error


async def refused(scene: Stage, request: Any) -> tuple[FakeClient, Record]:
    """A request that is refused before anything is sent, and for which nothing is set aside."""
    before, client = await scene.account(), FakeClient()
    record = await scene.play(request, client)
    assert (record.ending, record.bill.account) == (Ending.NEVER_SENT, None)
    assert scene.upstream.requests == []
    assert await scene.account() == before
    return client, record


@pytest.mark.parametrize(
    ("path", "body", "worst"),
    [("/v1/chat/completions", CHAT, WORST_CHAT), ("/v1/messages", MESSAGES, WORST_MESSAGES)],
)
async def test_the_worst_case_is_set_aside_before_anything_is_sent(path: str, body: bytes, worst: int) -> None:
    held: list[int] = []
    store = MemoryStore()
    scene = await stage(ok(lambda: held.append(store._books.accounts[ACCOUNT].held_nanos)), store=store).with_key()
    record = await scene.play(post(path, body, BEARER), FakeClient())
    assert held == [worst]
    assert record.bill.hold_nanos == worst


async def test_a_cap_on_output_is_what_is_set_aside_for_it() -> None:
    body = CHAT.replace(b'"stream"', b'"max_tokens":5,"n":2,"stream"')
    scene = await stage(answered()).with_key()
    record = await scene.play(chat(body), FakeClient())
    assert record.bill.hold_nanos == (len(body) + TEMPLATE) * IN + 5 * 2 * OUT


async def test_the_hold_itself_says_all_that_the_sweep_needs() -> None:
    scene = await stage(answered()).with_key()
    record = await scene.play(chat(), FakeClient())
    hold = await scene.store.hold(record.exchange_id)
    assert hold is not None
    assert (hold.account_id, hold.amount_nanos, hold.node, hold.sent) == (ACCOUNT, WORST_CHAT, NODE, True)
    assert hold.placed_at_ns == NOW_NS
    assert hold.minimum_nanos == -(-len(CHAT) // 4) * IN, "the prompt alone, by a middling guess"
    assert json.loads(hold.about) == {
        "started_at_ns": NOW_NS,
        "method": "POST",
        "path": "/v1/chat/completions",
        "dialect": "openai.chat",
        "operation": "create",
        "provider": "openai",
        "key": "alice",
        "key_id": KEY_ID,
        "model_asked": "gpt-4o-mini",
        "streamed": True,
    }


async def test_what_a_client_makes_long_is_said_and_not_remembered() -> None:
    name = "gpt-9" + "x" * 1_000
    scene = await stage(answered()).with_key(POSTPAID, credit=0)
    before = _as_ever.cache_info().currsize
    record = await scene.play(chat(CHAT.replace(b"gpt-4o-mini", name.encode())), FakeClient())
    hold = await scene.store.hold(record.exchange_id)
    assert hold is not None
    assert json.loads(hold.about)["model_asked"] == name
    assert _as_ever.cache_info().currsize == before


@pytest.mark.parametrize("ready", [True, False])
async def test_the_hold_says_sent_only_where_the_request_goes_out_at_once(ready: bool) -> None:
    seen: list[bool] = []
    scene = stage(answered(), ready=ready)
    placing = scene.store.submit

    async def watched(command: Command) -> Outcome:
        if isinstance(command, Place):
            seen.append(command.sent)
        return await placing(command)

    scene.store.submit = watched  # type: ignore[method-assign]
    await scene.with_key()
    record = await scene.play(chat(), FakeClient())
    assert seen == [ready]
    assert (scene.upstream.clearances == [None]) is ready, "the books are told before the first byte"
    hold = await scene.store.hold(record.exchange_id)
    assert hold is not None
    assert hold.sent


class Words:
    """Counts as it is told."""

    def __init__(self, tokens: int | None) -> None:
        self.tokens, self.counted = tokens, list[bytes]()

    def count(self, body: bytes) -> int | None:
        self.counted.append(body)
        return self.tokens


LONG = b'{"model":"gpt-4o-mini","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"%s"}]}' % (
    b"word " * 4_000
)


@pytest.mark.parametrize(
    ("body", "tokens", "counted", "prompt"),
    [
        (LONG, 4_100, True, 4_100 + TEMPLATE),
        (LONG, None, True, len(LONG) + TEMPLATE),
        (LONG, 10**6, True, len(LONG) + TEMPLATE),  # a token is at least a byte
        (CHAT, 1, False, None),
    ],
)
async def test_a_long_prompt_is_counted_and_a_short_ones_bytes_are_bound_enough(
    body: bytes, tokens: int | None, counted: bool, prompt: int | None
) -> None:
    tokenizer = Words(tokens)
    scene = await stage(answered(), tokenizer=tokenizer).with_key()
    record = await scene.play(chat(body), FakeClient())
    assert tokenizer.counted == ([body] if counted else [])
    assert record.bill.hold_nanos == (WORST_CHAT if prompt is None else prompt * IN + 9 * OUT)


EVERY_DIALECT = [
    ("openai", "/v1/chat/completions", CHAT),
    ("anthropic", "/v1/messages", MESSAGES),
    ("google", "/v1beta/models/gemini-3-flash:generateContent", b'{"contents":[{"parts":[{"text":"hi"}]}]}'),
    ("bedrock", "/model/amazon.nova-lite-v1%3A0/converse", b'{"messages":[{"role":"user","content":[{"text":"hi"}]}]}'),
    ("cohere", "/v2/chat", b'{"model":"command-a","messages":[{"role":"user","content":"hi"}]}'),
    ("ollama", "/api/chat", b'{"model":"llama3","messages":[{"role":"user","content":"hi"}]}'),
]


def spelled(provider: str, message: str, status: int) -> Any:
    """An error in the shape of a provider's API; but for the exchange's id, which stands for ID."""
    openai = {402: "insufficient_quota", 403: "invalid_request_error", 429: "rate_limit_exceeded"}
    codes = {402: "insufficient_credit", 403: "not_allowed", 429: "rate_limited"}
    anthropic = {402: "billing_error", 403: "permission_error", 429: "rate_limit_error"}
    google = {402: "RESOURCE_EXHAUSTED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED"}
    aws = {402: "ServiceQuotaExceededException", 403: "AccessDeniedException", 429: "ThrottlingException"}
    return {
        "openai": {"error": {"message": message, "type": openai[status], "param": None, "code": codes[status]}},
        "anthropic": {"type": "error", "error": {"type": anthropic[status], "message": message}, "request_id": "ex_1"},
        "google": {"error": {"code": status, "message": message, "status": google[status]}},
        "bedrock": {"message": message, "__type": aws[status], "exchangeId": "ex_1"},
        "cohere": {"id": "ex_1", "message": message},
        "ollama": {"error": message},
    }[provider]


async def the_error(provider: str, path: str, body: bytes, scene: Stage, status: int) -> tuple[str, FakeClient]:
    """A refusal in the client's own dialect; returns its message."""
    client, record = await refused(scene, post(path, body, BEARER, (b"x-provider", provider.encode())))
    assert (client.status, record.status) == (status, status)
    assert record.error is not None
    message = record.error.partition(": ")[2]
    assert json.loads(client.body) == spelled(provider, message, status)
    return message, client


@pytest.mark.parametrize(("provider", "path", "body"), EVERY_DIALECT)
async def test_without_credit_it_is_402_in_every_dialects_shape(provider: str, path: str, body: bytes) -> None:
    scene = await stage(deployments=[deployment(provider)]).with_key(credit=1_500)
    message, client = await the_error(provider, path, body, scene, 402)
    assert "the account 'team' has $0.0000015 available" in message
    assert "may cost up to $0.0" in message
    assert (b"x-should-retry", b"false") in client.headers


@pytest.mark.parametrize(("provider", "path", "body"), EVERY_DIALECT)
async def test_what_a_key_may_not_use_is_403_in_every_dialects_shape(provider: str, path: str, body: bytes) -> None:
    scene = await stage(deployments=[deployment(provider)]).with_key(models=("something-else",))
    message, _ = await the_error(provider, path, body, scene, 403)
    assert "it may use something-else" in message


@pytest.mark.parametrize(("provider", "path", "body"), EVERY_DIALECT)
async def test_a_limit_is_429_in_every_dialects_shape(provider: str, path: str, body: bytes) -> None:
    scene = await stage(deployments=[deployment(provider)]).with_key(limits=Limits(requests_per_minute=0))
    message, client = await the_error(provider, path, body, scene, 429)
    assert message == "The key's limit of 0 requests is reached."
    assert (b"retry-after", b"60") in client.headers
    assert (b"x-should-retry", b"false") not in client.headers


async def test_a_refusal_tells_what_was_needed_and_what_is_there() -> None:
    scene = await stage().with_key(credit=WORST_CHAT - 1)
    client, _ = await refused(scene, chat())
    assert told(client)["message"] == (
        "This request may cost up to $0.066641, and the account 'team' has $0.066640999 available. "
        "Add credit, or ask for less output."
    )
    assert WORST_CHAT == 66_641_000, "as the message has it"


async def test_exactly_enough_is_enough() -> None:
    scene = await stage(answered()).with_key(credit=WORST_CHAT)
    record = await scene.play(chat(), FakeClient())
    assert (record.status, record.bill.charge_nanos) == (200, SPENT)
    assert (await scene.account()).available_nanos == WORST_CHAT - SPENT


async def test_one_request_twice_at_once_is_two_holds_and_neither_is_left() -> None:
    """facts/stream_cases.md 10.12: a client's own idempotency key means nothing here, so no loser can be forgotten."""
    scene = await stage(answered(), answered()).with_key()
    request = chat(CHAT, (b"idempotency-key", b"the same"))
    await asyncio.gather(*(scene.gateway.exchange(request, FakeClient()) for _ in range(2)))
    for record in scene.records():
        await scene.agrees(record)
    assert [record.bill.charge_nanos for record in scene.records()] == [SPENT, SPENT]
    account = await scene.account()
    assert (account.posted_nanos, account.held_nanos) == (CREDIT - 2 * SPENT, 0)


@pytest.mark.parametrize(("limit", "passes"), [(None, True), (WORST_CHAT, True), (WORST_CHAT - 1, False)])
async def test_a_postpaid_account_goes_down_to_its_limit(limit: int | None, passes: bool) -> None:
    scene = await stage(answered()).with_key(POSTPAID, credit=0)
    await scene.store.submit(OpenAccount(ACCOUNT, POSTPAID, 0, limit))
    client = FakeClient()
    record = await scene.play(chat(), client)
    assert client.status == (200 if passes else 402)
    assert record.bill.charge_nanos == (SPENT if passes else None)


async def test_a_closed_account_may_do_nothing() -> None:
    scene = await stage().with_key()
    await scene.store.submit(CloseAccount(ACCOUNT, 0))
    client, _ = await refused(scene, chat())
    assert (client.status, told(client)["message"]) == (403, "The account 'team' of this key is closed.")


# What nobody can price beforehand


BATCH = b'{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"}'
BACKGROUND = b'{"model":"gpt-5","input":"hi","background":true}'
UNPRICED = ("/v1/chat/completions", NAMES_NO_PRICE, "not_priced")
UNKNOWABLE = [
    pytest.param(*UNPRICED, id="unpriced"),
    pytest.param("/v1/batches", BATCH, "not_allowed", id="batch"),
    pytest.param("/v1/responses", BACKGROUND, "not_allowed", id="background"),
    pytest.param("/p/openai/v1/fine_tuning/jobs", b"{}", "not_allowed", id="opaque"),
]
BUDGET = Budget("b", Scope.KEY, KEY_ID, Window.TOTAL, 10**15)


@pytest.mark.parametrize(("path", "body", "code"), UNKNOWABLE)
async def test_what_cannot_be_priced_cannot_be_prepaid(path: str, body: bytes, code: str) -> None:
    scene = await stage().with_key(credit=10**15)
    client, _ = await refused(scene, post(path, body, BEARER, (b"x-provider", b"openai")))
    assert (client.status, json.loads(client.body)["error"]["code"]) == (403, code)


@pytest.mark.parametrize(("path", "body", "code"), UNKNOWABLE)
async def test_nor_bounded_by_a_budget_however_large(path: str, body: bytes, code: str) -> None:
    scene = await stage().with_key(POSTPAID)
    await scene.store.put_budget(BUDGET)
    client, _ = await refused(scene, post(path, body, BEARER, (b"x-provider", b"openai")))
    assert (client.status, json.loads(client.body)["error"]["code"]) == (403, code)


@pytest.mark.parametrize(("path", "body", "code"), UNKNOWABLE)
async def test_a_postpaid_account_may_and_its_hold_is_of_nothing(path: str, body: bytes, code: str) -> None:
    del code
    scene = await stage(ok(b"{}", headers=JSON)).with_key(POSTPAID, credit=0)
    record = await scene.play(post(path, body, BEARER, (b"x-provider", b"openai")), FakeClient())
    assert len(scene.upstream.requests) == 1
    assert (record.bill.hold_nanos, record.bill.account) == (0, ACCOUNT)
    assert [entry.posted_nanos for entry in await scene.entries(record)] == [0, 0]


async def test_what_a_postpaid_account_used_without_a_price_is_flagged_and_not_called_free() -> None:
    scene = await stage(answered()).with_key(POSTPAID, credit=0)
    record = await scene.play(chat(NAMES_NO_PRICE), FakeClient())
    assert record.ending is Ending.COMPLETE
    # FIRST says that gpt-4o-mini served, which has a price: the model that served is what bills
    assert (record.bill.charge_nanos, record.bill.hold_nanos) == (SPENT, 0)
    assert "overrun" in record.bill.flags

    silent = [chunk.replace(b'"model":"gpt-4o-mini-2024",', b"") for chunk in (FIRST, FINISH, USAGE, DONE)]
    scene = await stage(ok(*silent)).with_key(POSTPAID, credit=0)
    record = await scene.play(chat(NAMES_NO_PRICE), FakeClient())
    assert (record.bill.cost_nanos, record.bill.charge_nanos) == (None, None)
    assert "unpriced:model" in record.bill.flags
    assert (await scene.account()).posted_nanos == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/messages/count_tokens"), ("GET", "/v1/models/gpt-4o-mini"), ("GET", "/p/openai/v1/evals")],
)
async def test_what_is_free_needs_no_hold(method: str, path: str) -> None:
    name = b"anthropic" if "messages" in path else b"openai"
    scene = await stage(ok(b"{}", headers=JSON)).with_key(credit=0)
    request = replace(
        post(path, b'{"model":"claude-haiku-4-5","messages":[]}', BEARER, (b"x-provider", name)), method=method
    )
    record = await scene.play(request, FakeClient())
    assert (record.status, record.key, record.bill.account) == (200, "alice", None)
    assert await scene.store.open_holds() == []
    assert await scene.store.entries(ACCOUNT) == []


async def test_keys_of_the_operators_own_have_no_account_and_no_hold() -> None:
    scene = stage(answered(), keys={"own": "a-key-of-some-length"})
    request = post("/v1/chat/completions", CHAT, (b"authorization", b"Bearer a-key-of-some-length"))
    record = await scene.play(request, FakeClient())
    assert (record.status, record.key, record.bill.account) == (200, "own", None)
    assert record.bill.cost_nanos == SPENT, "what it costs is known all the same"
    assert await scene.store.accounts() == []


# Budgets and limits


@pytest.mark.parametrize(
    ("budget", "passes"),
    [
        (Budget("b", Scope.KEY, KEY_ID, Window.DAY, WORST_CHAT), True),
        (Budget("b", Scope.KEY, KEY_ID, Window.DAY, WORST_CHAT - 1), False),
        (Budget("b", Scope.ACCOUNT, ACCOUNT, Window.MONTH, WORST_CHAT - 1), False),
        (Budget("b", Scope.TAG, "red", Window.TOTAL, WORST_CHAT - 1), False),
        (Budget("b", Scope.TAG, "blue", Window.TOTAL, 0), True),
        (Budget("b", Scope.KEY, "another", Window.TOTAL, 0), True),
    ],
)
async def test_a_budget_bounds_the_worst_case(budget: Budget, passes: bool) -> None:
    scene = await stage(answered()).with_key(tags=("red",))
    await scene.store.put_budget(budget)
    client = FakeClient()
    record = await scene.play(chat(), client)
    assert client.status == (200 if passes else 402)
    assert record.bill.settled == (Settled.CAPTURED if passes else None)


async def test_a_budget_is_spent_by_what_was_charged_and_not_by_what_was_held() -> None:
    scene = await stage(answered(), answered()).with_key()
    await scene.store.put_budget(Budget("b", Scope.KEY, KEY_ID, Window.TOTAL, WORST_CHAT + SPENT))
    for _ in range(2):
        assert (await scene.play(chat(), FakeClient())).status == 200
    client = FakeClient()
    await scene.play(chat(), client)
    assert client.status == 402
    assert (b"x-should-retry", b"false") in client.headers
    assert told(client)["message"] == (
        "This request may cost up to $0.066641, and the budget 'b@total' has $0.066629 left of $0.066653."
    )
    (counter,) = await scene.store.counters(("budget:b@total",))
    assert (counter.used, counter.held) == (2 * SPENT, 0)


def limited(client: FakeClient) -> dict[bytes, bytes]:
    """What a 429 says in its headers."""
    assert client.status == 429
    return {name: value for name, value in client.headers if name.startswith(b"x-ratelimit-") or name == b"retry-after"}


@pytest.mark.parametrize(
    ("limits", "message", "kind", "standing"),
    [
        (Limits(requests_per_minute=1), "The key's limit of 1 requests is reached.", "requests", (1, 0, 60)),
        # it is 8 o'clock in the morning
        (Limits(requests_per_day=1), "The key's limit of 1 requests is reached.", "requests", (1, 0, 57_600)),
        # a prompt of 21, by a guess, and all the output that is held for; the first used 8 and 2
        (
            Limits(tokens_per_minute=32_798),
            "The key's limit of 32798 tokens leaves 32788; this request may use 32789.",
            "tokens", (32_798, 32_788, 60),
        ),
        (
            Limits(tokens_per_day=32_798),
            "The key's limit of 32798 tokens leaves 32788; this request may use 32789.",
            "tokens", (32_798, 32_788, 57_600),
        ),
    ],
)  # fmt: skip
async def test_the_second_of_two_is_one_too_many(
    limits: Limits, message: str, kind: str, standing: tuple[int, int, int]
) -> None:
    limit, left, seconds = standing
    scene = await stage(answered()).with_key(limits=limits)
    assert (await scene.play(chat(), FakeClient())).status == 200
    client = FakeClient()
    await scene.play(chat(), client)
    assert told(client)["message"] == message
    assert limited(client) == {
        f"x-ratelimit-limit-{kind}".encode(): str(limit).encode(),
        f"x-ratelimit-remaining-{kind}".encode(): str(left).encode(),
        f"x-ratelimit-reset-{kind}".encode(): f"{seconds}s".encode(),
        b"retry-after": str(seconds).encode(),
    }


async def test_so_many_at_once_and_another_when_one_has_ended() -> None:
    scene = await stage(FakeCall(HANG), answered()).with_key(limits=Limits(concurrent=1))
    first, second, third = FakeClient(), FakeClient(), FakeClient()
    running = asyncio.create_task(scene.gateway.exchange(chat(), first))
    while not scene.upstream.requests:
        await asyncio.sleep(0)
    await scene.play(chat(), second)
    assert limited(second) == {}, "nobody knows when it ends"
    assert told(second)["message"] == "The key has 1 requests under way, which is its limit."
    first.leave()
    await running
    assert (await scene.play(chat(), third)).status == 200


async def test_what_is_refused_by_one_cap_takes_nothing_of_the_others() -> None:
    scene = await stage().with_key(limits=Limits(requests_per_minute=9, requests_per_day=0))
    await refused(scene, chat())
    minute = NOW_NS // (60 * SECOND)
    assert await scene.store.counters((f"rpm:{KEY_ID}@{minute}",)) == []


# A ledger in trouble


class SlowStore(MemoryStore):
    """Takes commands in their order, but writes nothing while it is stuck."""

    def __init__(self) -> None:
        super().__init__()
        self.works = asyncio.Event()
        self.works.set()
        self.writing: list[asyncio.Task[Outcome]] = []

    async def submit(self, command: Command) -> Outcome:
        writing = asyncio.create_task(self._write(command))
        self.writing.append(writing)
        return await asyncio.shield(writing)

    async def _write(self, command: Command) -> Outcome:
        await self.works.wait()
        return await MemoryStore.submit(self, command)

    async def recovers(self) -> None:
        self.works.set()
        await asyncio.gather(*self.writing)


async def given_back(scene: Stage) -> None:
    """What was set aside in the end was given back, and nothing was sent for it."""
    kinds = [entry.kind for _, entry in await scene.store.entries(ACCOUNT)][::-1]
    assert kinds == [EntryKind.TOP_UP, EntryKind.PLACE, EntryKind.VOID]
    account = await scene.account()
    assert (account.posted_nanos, account.held_nanos) == (CREDIT, 0)
    assert scene.upstream.requests == []


async def test_a_ledger_that_is_too_slow_is_503_and_the_late_hold_is_given_back() -> None:
    store = SlowStore()
    scene = await stage(store=store).with_key()
    store.works.clear()
    client = FakeClient()
    record = await scene.play(chat(), client)
    assert (client.status, told(client)["code"]) == (503, "gateway_unavailable")
    assert (record.ending, record.bill.account) == (Ending.NEVER_SENT, None)
    await store.recovers()
    await given_back(scene)


async def test_a_gateway_that_stops_while_it_waits_for_the_ledger_gives_the_late_hold_back() -> None:
    store = SlowStore()
    scene = await stage(store=store).with_key()
    scene = dataclasses.replace(
        scene,
        gateway=replace(scene.gateway, holds=replace(scene.gateway.holds, deadline=Deadline(60))),
    )
    store.works.clear()
    written = len(store.writing)
    running = asyncio.create_task(scene.gateway.exchange(chat(), FakeClient()))
    while len(store.writing) == written:
        await asyncio.sleep(0)
    running.cancel()
    await running
    await asyncio.sleep(0)
    await store.recovers()
    await given_back(scene)


class ClosedStore(MemoryStore):
    async def submit(self, command: Command) -> Outcome:
        if isinstance(command, Place):
            raise LedgerUnavailable
        return await super().submit(command)


async def test_a_ledger_that_was_closed_is_503() -> None:
    scene = await stage(store=ClosedStore()).with_key()
    client, _ = await refused(scene, chat())
    assert (client.status, told(client)["code"]) == (503, "gateway_unavailable")


async def open_hold(store: MemoryStore) -> Held:
    await store.submit(OpenAccount(ACCOUNT, POSTPAID, 0))
    await store.submit(Place("h", ACCOUNT, 5, 0, NODE))
    return Held("h", ACCOUNT, 5, sent=False)


def holds(store: MemoryStore) -> Holds:
    return Holds(store, Tariff(BOOK), NODE, deadline=Deadline(0.05))


async def test_the_books_are_told_before_a_request_goes_out() -> None:
    store = MemoryStore()
    held = await open_hold(store)
    for _ in range(2):  # a request that goes once more, without an option, is told of twice
        await holds(store).mark_sent(held)
        hold = await store.hold("h")
        assert hold is not None
        assert (hold.sent, hold.checkpoint_nanos, hold.state) == (True, None, HoldState.OPEN)


async def test_while_the_books_cannot_be_told_nothing_goes_out() -> None:
    store = SlowStore()
    held = await open_hold(store)
    store.works.clear()
    with pytest.raises(Busy):
        await holds(store).mark_sent(held)
    await store.recovers()


async def test_nothing_goes_out_for_a_hold_that_another_gateway_took_for_an_orphan() -> None:
    store = MemoryStore()
    held = await open_hold(store)
    await store.submit(Expire("h", ACCOUNT, 0))
    with pytest.raises(Busy):
        await holds(store).mark_sent(held)


# Why a hold could not be placed


PLACE = Place("h", ACCOUNT, 2_500_000, NOW_NS, NODE)
PREPAID_WITH = partial(Account, ACCOUNT, PREPAID)


@pytest.mark.parametrize(
    ("outcome", "kind", "message"),
    [
        (
            Outcome(Result.INSUFFICIENT_CREDIT, PREPAID_WITH(posted_nanos=3_000_000, held_nanos=1_000_000)),
            PaymentRequired,
            r"may cost up to \$0\.0025, and the account 'team' has \$0\.002 available",
        ),
        (
            Outcome(Result.INSUFFICIENT_CREDIT, Account(ACCOUNT, POSTPAID, limit_nanos=10**9, posted_nanos=-(10**9))),
            PaymentRequired,
            r"has \$0\.00 available",
        ),
        (Outcome(Result.INSUFFICIENT_CREDIT, PREPAID_WITH(posted_nanos=-1)), PaymentRequired, r"has -\$0\.000000001"),
        (Outcome(Result.NO_SUCH_ACCOUNT), Forbidden, "account 'team' of this key is closed"),
        (Outcome(Result.ACCOUNT_CLOSED, PREPAID_WITH()), Forbidden, "account 'team' of this key is closed"),
        (Outcome(Result.BAD_AMOUNT, PREPAID_WITH()), HeadgateError, "bad_amount"),
        (Outcome(Result.EXISTS_WITH_DIFFERENT_AMOUNT), HeadgateError, "exists_with_different_amount"),
    ],
)
def test_why_a_hold_could_not_be_placed(outcome: Outcome, kind: type[HeadgateError], message: str) -> None:
    with pytest.raises(kind, match=message) as raised:
        raise refusal(outcome, PLACE)
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("ends_in_ns", "seconds"),
    [(60 * SECOND, 60), (60 * SECOND - 1, 60), (SECOND + 1, 2), (SECOND, 1), (1, 1), (0, 1), (-5 * SECOND, 1)],
)
def test_to_come_again_is_told_in_whole_seconds_and_never_at_once(ends_in_ns: int, seconds: int) -> None:
    cap = Cap("rpm:k@1", Measure.TIMES, 5, 1, NOW_NS + ends_in_ns)
    error = refusal(Outcome(Result.OVER_CAP, cap=cap, counters=(Counter(cap.cap_id, 4, 1),)), PLACE)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds
    assert (b"x-ratelimit-reset-requests", b"%ds" % seconds) in error.headers


def test_what_is_left_is_never_less_than_nothing() -> None:
    """A capture may go beyond what was set aside, and a limit may be lowered."""
    cap = Cap("tpm:k@1", Measure.QUANTITY, 5, 1, NOW_NS + SECOND)
    error = refusal(Outcome(Result.OVER_CAP, cap=cap, counters=(Counter(cap.cap_id, 40, 1),)), PLACE)
    assert (b"x-ratelimit-remaining-tokens", b"0") in error.headers
    assert "leaves 0;" in error.message
