"""Several attempts of one exchange: what the client sees, what each costs, and what the books say."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.access.limits import Limits
from headgate.errors import UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from headgate.gateway.upstream import Head
from headgate.ledger.commands import Checkpoint, Command, Place
from headgate.ledger.entries import AccountKind, Outcome
from headgate.providers.base import Deployment
from headgate.records import Ending, Settled
from headgate.routing.aliases import Alias, Lack, Target, Tier
from headgate.settlement import OnUpstreamFailure
from headgate.stores.memory import MemoryStore

from .fakes import (
    BEARER,
    CHAT,
    DONE,
    FINISH,
    FIRST,
    HANG,
    IN,
    JSON,
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

A, B, C = (dataclasses.replace(deployment("openai"), name=name) for name in "abc")
ASK = CHAT.replace(b"gpt-4o-mini", b"smart")
BUSY = b'{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limited"}}'


def alias(*deployments: Deployment, **more: Any) -> Alias:
    """Deployments in this order: each is a tier."""
    tiers = tuple(Tier((Target(each, "gpt-4o-mini"),)) for each in deployments or (A, B))
    return Alias("smart", tiers, **({"max_wait_seconds": 0.0} | more))


def scene(*calls: FakeCall, deployments: Sequence[Deployment] = (A, B), by: Any = None, **more: Any) -> Stage:
    return stage(*calls, deployments=deployments, aliases=[alias(*deployments, **(by or {}))], **more)


def refused(status: int = 429, body: bytes = BUSY, *headers: tuple[bytes, bytes]) -> FakeCall:
    return FakeCall(Head(status, [*JSON, *headers]), [body])


def good() -> FakeCall:
    return ok(FIRST, FINISH, USAGE, DONE)


def unreachable() -> FakeCall:
    return FakeCall(UpstreamUnreachable("No connection."), sent=False)


async def test_one_attempt_by_an_alias() -> None:
    there, client = scene(good()), FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK), client)
    assert client.body == FIRST + FINISH + DONE
    assert (record.model_asked, record.provider, record.ending) == ("smart", "a", Ending.COMPLETE)
    assert [(a.provider, a.model, a.ending) for a in record.attempts] == [("a", "gpt-4o-mini", "complete")]
    assert json.loads(there.upstream.requests[0].body)["model"] == "gpt-4o-mini"


FAILURES = {
    "429": refused(429),
    "500": refused(500),
    "529": refused(529, b'{"type":"error","error":{"type":"overloaded_error"}}'),
    "401": refused(401),
    "unreachable": unreachable(),
    "silent": FakeCall(UpstreamTimeout("Nothing came.")),
    "cut": FakeCall(UpstreamCut("It broke off.")),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("policy", OnUpstreamFailure)
async def test_the_next_target_answers(failure: str, policy: OnUpstreamFailure) -> None:
    first = FAILURES[failure]
    there = await scene(dataclasses.replace(first), good(), policy=policy).with_key()
    client = FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), client)
    assert (client.status, client.body, client.ended) == (200, FIRST + FINISH + DONE, True)
    assert (record.status, record.provider, record.ending) == (200, "b", Ending.COMPLETE)
    assert [attempt.provider for attempt in record.attempts] == ["a", "b"]
    assert [attempt.hold_id for attempt in record.attempts] == [record.exchange_id, f"{record.exchange_id}.2"]
    failed, answered = record.attempts
    assert (answered.cost_nanos, answered.charge_nanos) == (8 * IN + 2 * OUT, 8 * IN + 2 * OUT)
    charged = policy is OnUpstreamFailure.ALWAYS and failure in {"silent", "cut"}
    assert bool(failed.charge_nanos) is charged
    assert bool(failed.cost_nanos) is (failure in {"silent", "cut"}), "a request that was sent may have cost something"
    assert record.bill.charge_nanos == sum(attempt.charge_nanos or 0 for attempt in record.attempts)
    assert record.bill.settled is Settled.CAPTURED
    assert (await there.account()).held_nanos == 0


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_what_is_wrong_with_the_request_is_wrong_everywhere(status: int) -> None:
    there, client = scene(refused(status), good()), FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK), client)
    assert (client.status, client.body, len(record.attempts)) == (status, BUSY, 1)


async def test_a_clients_own_credential_is_its_own_matter() -> None:
    own = dataclasses.replace(deployment("openai", client_keys=True), name="a")
    there, client = scene(refused(401), good(), deployments=(own, B)), FakeClient()
    await there.play(post("/v1/chat/completions", ASK), client)
    assert client.status == 401


async def test_without_an_alias_nothing_is_tried_again() -> None:
    there, client = stage(refused(429), good()), FakeClient()
    record = await there.play(post("/v1/chat/completions", CHAT), client)
    assert (client.status, client.body, len(record.attempts)) == (429, BUSY, 1)


async def test_nothing_is_tried_again_once_a_byte_has_gone_out() -> None:
    there, client = scene(ok(FIRST, UpstreamCut("It broke off.")), good()), FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK), client)
    assert client.body.startswith(FIRST)
    assert b"upstream_connection_lost" in client.body
    assert (record.ending, len(record.attempts)) == (Ending.UPSTREAM_CUT, 1)


async def test_all_fail_and_the_last_answer_is_told() -> None:
    last = b'{"error":{"message":"mine","type":"server_error"}}'
    there = await scene(refused(429), refused(503, last, (b"retry-after", b"9"))).with_key()
    client = FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), client)
    assert (client.status, client.body) == (503, last)
    assert (b"retry-after", b"9") in client.headers
    assert (record.provider, record.ending, record.status) == ("b", Ending.REFUSED, 503)
    assert [attempt.status for attempt in record.attempts] == [429, 503]
    assert (record.bill.charge_nanos, record.bill.settled) == (0, Settled.VOIDED)


@pytest.mark.parametrize("last", [unreachable(), FakeCall(UpstreamCut("It broke off."))], ids=["unreachable", "cut"])
async def test_a_providers_word_is_told_rather_than_ours(last: FakeCall) -> None:
    there = await scene(refused(429, BUSY, (b"retry-after", b"7")), dataclasses.replace(last)).with_key()
    client = FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), client)
    assert (client.status, client.body) == (429, BUSY)
    assert (b"retry-after", b"7") in client.headers
    assert (record.provider, record.status, record.ending) == ("a", 429, Ending.REFUSED)
    assert [attempt.provider for attempt in record.attempts] == ["a", "b"]


async def test_all_fail_without_a_word() -> None:
    there, client = scene(unreachable(), unreachable()), FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK), client)
    assert (client.status, record.ending) == (502, Ending.NEVER_SENT)
    assert json.loads(client.body)["error"]["code"] == "upstream_unreachable"


async def test_attempts_are_bounded() -> None:
    there, client = (
        scene(refused(500), refused(500), good(), deployments=(A, B, C), by={"attempts": 2}),
        FakeClient(),
    )
    record = await there.play(post("/v1/chat/completions", ASK), client)
    assert (client.status, len(record.attempts), len(there.upstream.requests)) == (500, 2, 2)


async def test_a_target_is_waited_for_that_says_when() -> None:
    first = refused(429, BUSY, (b"retry-after-ms", b"30"))
    there, client = scene(first, good(), deployments=(A,), by={"max_wait_seconds": 1.0}), FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK), client)
    assert client.status == 200
    assert [attempt.provider for attempt in record.attempts] == ["a", "a"]


async def test_a_client_that_leaves_while_a_target_is_waited_for() -> None:
    client = FakeClient()
    first = refused(429, BUSY, (b"retry-after", b"5"))
    there = await scene(first, deployments=(A,), by={"max_wait_seconds": 30.0}).with_key()
    playing = asyncio.create_task(there.play(post("/v1/chat/completions", ASK, BEARER), client))
    while client._callback is None or not there.upstream.requests:
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    client.leave()
    record = await playing
    assert (record.status, record.ending, record.bill.charge_nanos) == (499, Ending.NEVER_SENT, 0)
    assert record.bill.settled is Settled.VOIDED


async def test_a_client_that_leaves_during_an_attempt_ends_it() -> None:
    client = FakeClient()
    there = await scene(FakeCall(HANG), good()).with_key()
    playing = asyncio.create_task(there.play(post("/v1/chat/completions", ASK, BEARER), client))
    while not there.upstream.requests:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    client.leave()
    record = await playing
    assert (record.ending, len(there.upstream.requests)) == (Ending.CLIENT_LEFT, 1)


async def test_a_hold_that_cannot_be_placed_ends_it() -> None:
    """What the first attempt was charged leaves too few tokens in the minute for what the second has to set aside."""
    first = FakeCall(UpstreamCut("It broke off."))
    limits = Limits(tokens_per_minute=-(-len(ASK) // 4) + 32_768 + 5)
    there = scene(first, good(), policy=OnUpstreamFailure.ALWAYS)
    await there.with_key(limits=limits)
    client = FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), client)
    assert (client.status, record.ending, len(there.upstream.requests)) == (429, Ending.NEVER_SENT, 1)
    assert record.bill.charge_nanos == record.attempts[0].charge_nanos
    assert record.bill.charge_nanos


async def test_requests_are_counted_once() -> None:
    there = await scene(refused(500), good(), good()).with_key(limits=Limits(requests_per_minute=2, concurrent=1))
    first, second, third = FakeClient(), FakeClient(), FakeClient()
    await there.play(post("/v1/chat/completions", ASK, BEARER), first)
    assert dict(first.headers)[b"x-ratelimit-remaining-requests"] == b"1"
    await there.play(post("/v1/chat/completions", ASK, BEARER), second)
    await there.play(post("/v1/chat/completions", ASK, BEARER), third)
    assert [first.status, second.status, third.status] == [200, 200, 429]


class Watched(MemoryStore):
    """Counts the open holds whenever it is told something."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self.noted: list[Checkpoint] = []
        self.placed: list[Place] = []

    async def submit(self, command: Command) -> Outcome:
        outcome = await super().submit(command)
        self.most = max(self.most, len(await self.open_holds()))
        if isinstance(command, Place):
            self.placed.append(command)
        return outcome

    def note(self, checkpoint: Checkpoint) -> None:
        self.noted.append(checkpoint)
        super().note(checkpoint)


async def test_there_is_never_more_than_one_open_hold() -> None:
    store = Watched()
    calls = (FakeCall(UpstreamCut("It broke off.")), unreachable(), good())
    there = scene(*calls, deployments=(A, B, C), store=store, policy=OnUpstreamFailure.ALWAYS)
    await there.with_key()
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), FakeClient())
    assert store.most == 1
    assert [note.amount_nanos for note in store.noted] == [record.attempts[0].charge_nanos, 0], "if it died now"
    about = json.loads(store.placed[2].about)
    assert about["charge_nanos"] == record.attempts[0].charge_nanos
    assert [attempt["provider"] for attempt in about["attempts"]] == ["a", "b"]


ERROR = b'data: {"error":{"message":"overloaded","type":"server_error","code":503}}\n\n'


@pytest.mark.parametrize(
    "steps", [(ERROR,), (FIRST, ERROR, DONE), (FIRST, UpstreamCut("It broke off.")), (), (ERROR, HANG)],
    ids=["error", "error-after-a-frame", "cut", "nothing", "error-and-silence"],
)  # fmt: skip
async def test_a_beginning_that_is_held_back_can_be_tried_again(steps: Any) -> None:
    there = await scene(ok(*steps), good(), by={"hold_back_seconds": 5.0}).with_key()
    client = FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), client)
    assert (client.status, client.body) == (200, FIRST + FINISH + DONE)
    assert [attempt.provider for attempt in record.attempts] == ["a", "b"]
    assert record.bill.charge_nanos == 8 * IN + 2 * OUT, "nothing of the first was delivered"


async def test_what_was_held_back_is_told_where_there_is_no_other() -> None:
    there, client = scene(ok(FIRST, ERROR, DONE), deployments=(A,), by={"hold_back_seconds": 5.0}), FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK), client)
    assert client.body == FIRST + ERROR + DONE
    assert (record.ending, record.bytes_out) == (Ending.UPSTREAM_ERROR, len(client.body))


async def test_a_beginning_is_held_back_for_a_time_only() -> None:
    there, client = scene(ok(FIRST, HANG), good(), by={"hold_back_seconds": 0.02}), FakeClient()
    playing = asyncio.create_task(there.play(post("/v1/chat/completions", ASK), client))
    async with asyncio.timeout(5):
        while client.body != FIRST:
            await asyncio.sleep(0.005)
    client.leave()
    assert (await playing).ending is Ending.CLIENT_LEFT


async def test_a_document_that_breaks_off_is_tried_again() -> None:
    body = b'{"id":"c1","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}'  # noqa: E501
    cut = ok(body[:50], UpstreamCut("It broke off."), headers=JSON)
    there = await scene(cut, ok(body, headers=JSON)).with_key()
    client = FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK.replace(b"true", b"false"), BEARER), client)
    assert (client.status, client.body) == (200, body)
    assert [attempt.ending for attempt in record.attempts] == ["upstream_cut", "complete"]
    assert record.bill.charge_nanos == 8 * IN + 2 * OUT


async def test_a_target_without_a_price_ends_it_for_who_pays_beforehand() -> None:
    unpriced = Alias("smart", (Tier((Target(A, "gpt-4o-mini"),)), Tier((Target(B, "nobody-knows"),))))
    there = stage(refused(429), good(), deployments=(A, B), aliases=[unpriced])
    await there.with_key(AccountKind.PREPAID)
    client = FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), client)
    assert (client.status, client.body, record.provider) == (429, BUSY, "a"), "the one answer there was"
    assert record.bill.settled is Settled.VOIDED


class NoTokens:
    """A token service that is down."""

    async def freshen(self, deployment: Deployment) -> Deployment:
        raise UpstreamUnreachable(f"No token for {deployment.name}.")


@pytest.mark.parametrize("others", [1, 0])
async def test_a_credential_that_cannot_be_had_is_a_failure_like_others(others: int) -> None:
    short_lived = dataclasses.replace(A)
    short_lived.__dict__["short_lived"] = True  # a cached property: it would take a real grant
    there = scene(good(), deployments=(short_lived, *[B] * others))
    forwarder = replace(there.gateway.forwarder, credentials=NoTokens())
    there = dataclasses.replace(there, gateway=replace(there.gateway, forwarder=forwarder))
    await there.with_key()
    client = FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), client)
    assert client.status == (200 if others else 502)
    assert record.bill.charge_nanos == others * (8 * IN + 2 * OUT)


SCRIPTS: dict[str, Callable[[FakeClient], FakeCall]] = {
    "good": lambda _: good(),
    "429": lambda _: refused(429),
    "429 in a moment": lambda _: refused(429, BUSY, (b"retry-after-ms", b"1")),
    "400": lambda _: refused(400),
    "503": lambda _: refused(503),
    "cut refusal": lambda _: FakeCall(Head(500, JSON), [b"{", UpstreamCut("It broke off.")]),
    "unreachable": lambda _: unreachable(),
    "silent": lambda _: FakeCall(UpstreamTimeout("Nothing came.")),
    "cut": lambda _: FakeCall(UpstreamCut("It broke off.")),
    "cut after a frame": lambda _: ok(FIRST, UpstreamCut("It broke off.")),
    "error": lambda _: ok(ERROR),
    "error after a frame": lambda _: ok(FIRST, ERROR, DONE),
    "nothing": lambda _: ok(),
    "left": lambda client: ok(client.leave, FIRST, FINISH, DONE),
    "left after a frame": lambda client: ok(FIRST, client.leave, FINISH, DONE),
    "left in a refusal": lambda client: FakeCall(Head(500, JSON), [b"{", client.leave, b"}"]),
}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(SCRIPTS)), min_size=6, max_size=6),
    st.integers(1, 3),
    st.integers(1, 5),
    st.sampled_from([0.0, 5.0]),
    st.sampled_from(OnUpstreamFailure),
    st.sampled_from([0, 66_700_000, 10**9]),
    st.booleans(),
)
def test_whatever_happens_the_books_agree_with_the_record(  # noqa: PLR0917
    script: list[str], deployments: int, attempts: int, hold_back: float, policy: OnUpstreamFailure, credit: int,
    ready: bool,
) -> None:  # fmt: skip
    """`play` checks that there is one record, and that it says what each hold's entries say."""

    async def played() -> None:
        client, store = FakeClient(), Watched()
        more = {"attempts": attempts, "hold_back_seconds": hold_back, "max_wait_seconds": 0.01}
        calls = [SCRIPTS[name](client) for name in script]
        there = scene(*calls, deployments=(A, B, C)[:deployments], by=more, policy=policy, store=store, ready=ready)
        await there.with_key(credit=credit)
        record = await there.play(post("/v1/chat/completions", ASK, BEARER), client)
        assert store.most <= 1
        assert len(record.attempts) == len(there.upstream.requests) <= attempts
        assert all(attempt.ending is not None for attempt in record.attempts)
        account = await there.account()
        assert (account.held_nanos, credit - account.posted_nanos) == (0, record.bill.charge_nanos or 0)
        assert client.status is None or client.gone or client.ended or client.aborted
        if client.body and not client.gone:
            assert record.bytes_out == len(client.body) or record.error

    asyncio.run(played())


async def test_a_fault_of_ours_in_the_middle_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    there = await scene(refused(500), good()).with_key()
    calls = 0
    place = type(there.gateway.holds).place

    async def fails(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("a fault")
        return await place(*args, **more)

    monkeypatch.setattr(type(there.gateway.holds), "place", fails)
    client = FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), client)
    assert (client.status, record.ending) == (500, Ending.GATEWAY_FAILED)
    assert record.bill.charge_nanos == 0


async def test_a_stop_while_a_target_is_waited_for_settles_what_there_was() -> None:
    first = FakeCall(UpstreamCut("It broke off."))
    then = refused(429, BUSY, (b"retry-after", b"5"))
    there = scene(first, then, deployments=(A, B), by={"max_wait_seconds": 30.0}, policy=OnUpstreamFailure.ALWAYS)
    await there.with_key()
    client = FakeClient()
    exchange = asyncio.create_task(there.gateway.exchange(post("/v1/chat/completions", ASK, BEARER), client))
    for _ in range(200):
        await asyncio.sleep(0)
    exchange.cancel()
    await exchange
    (record,) = there.records()
    await there.agrees(record)
    assert (record.ending, client.aborted) == (Ending.GATEWAY_FAILED, True)
    assert [attempt.ending for attempt in record.attempts] == ["upstream_cut", "refused"]
    assert record.bill.charge_nanos == record.attempts[0].charge_nanos
    assert record.bill.charge_nanos


async def test_a_fault_after_a_charged_attempt_keeps_its_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    there = await scene(FakeCall(UpstreamCut("It broke off.")), good(), policy=OnUpstreamFailure.ALWAYS).with_key()
    command = type(there.gateway.holds)._command
    calls = 0

    async def fails(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("a fault")
        return await command(*args, **more)

    monkeypatch.setattr(type(there.gateway.holds), "_command", fails)
    record = await there.play(post("/v1/chat/completions", ASK, BEARER), FakeClient())
    assert (record.ending, record.bill.settled) == (Ending.GATEWAY_FAILED, Settled.CAPTURED)
    assert record.bill.charge_nanos == record.attempts[0].charge_nanos


async def test_a_model_in_a_path_is_named_as_each_target_knows_it() -> None:
    google, vertex = (dataclasses.replace(deployment("google"), name=name) for name in ("one", "two"))
    tiers = (Tier((Target(google, "gemini-3-flash"),)), Tier((Target(vertex, "gemini-3-pro"),)))
    there = stage(refused(503), ok(b'{"candidates":[]}', headers=JSON), deployments=(google, vertex),
                  aliases=[Alias("smart", tiers)])  # fmt: skip
    record = await there.play(post("/v1beta/models/smart:generateContent", b'{"contents":[]}'), FakeClient())
    assert [request.target for request in there.upstream.requests] == [
        b"/v1beta/models/gemini-3-flash:generateContent", b"/v1beta/models/gemini-3-pro:generateContent",
    ]  # fmt: skip
    assert (record.provider, record.model_asked) == ("two", "smart")


async def test_what_no_target_can_serve_is_refused_with_the_reasons() -> None:
    small = Alias(
        "smart", (Tier((Target(A, "gpt-4o-mini", context=3), Target(B, "gpt-5", lacks=frozenset({Lack.STREAMS})))),)
    )
    there, client = stage(deployments=(A, B), aliases=[small]), FakeClient()
    record = await there.play(post("/v1/chat/completions", ASK), client)
    assert (client.status, record.ending) == (400, Ending.NEVER_SENT)
    assert "a/gpt-4o-mini has a context of 3 tokens" in json.loads(client.body)["error"]["message"]
    assert "b/gpt-5 does not stream" in json.loads(client.body)["error"]["message"]


class Slow(MemoryStore):
    """Others have their turn before it answers."""

    async def submit(self, command: Command) -> Outcome:
        await asyncio.sleep(0.001)
        return await super().submit(command)


async def test_of_many_at_once_one_is_the_probe() -> None:
    there = await scene(*(good() for _ in range(5)), store=Slow()).with_key()
    there.gateway.health.limited((A.name, "gpt-4o-mini"), 0, 1)
    asked = (there.gateway.exchange(post("/v1/chat/completions", ASK, BEARER), FakeClient()) for _ in range(5))
    await asyncio.gather(*asked)
    assert sorted(str(record.provider) for record in there.records()) == ["a", "b", "b", "b", "b"]
