"""What an exchange cost and what its account is charged, told by conversations; each also checks its books."""

import json
from typing import Any

import pytest

from headgate.errors import UpstreamCut
from headgate.gateway.request import Request
from headgate.gateway.upstream import Head
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.pricing.book import PriceBook
from headgate.pricing.markup import Markup, Markups
from headgate.records import Bill, Ending, PriceLine, Settled
from headgate.settlement import OnUpstreamFailure
from headgate.usage import Basis

from .fakes import (
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
    MESSAGES,
    OUT,
    PLAIN,
    USAGE,
    FakeCall,
    FakeClient,
    Stage,
    deployment,
    ok,
    post,
    priced,
    stage,
)

WHOLE = (FIRST, FINISH, USAGE, DONE)
PROMPT = -(-len(CHAT) // 4) * IN
POSTPAID = AccountKind.POSTPAID


async def bill_of(scene: Stage, request: Request | None = None) -> Bill:
    record = await scene.play(request or post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    return record.bill


def completion(model: str = "gpt-4o-mini", **usage: Any) -> FakeCall:
    body: dict[str, Any] = {"id": "c1", "model": model, "usage": {"prompt_tokens": 8, "completion_tokens": 2} | usage}
    body["choices"] = [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]
    return ok(json.dumps(body).encode(), headers=JSON)


def asking(model: str = "gpt-4o-mini", **more: Any) -> Request:
    return post("/v1/chat/completions", json.dumps({"model": model, "messages": []} | more).encode(), BEARER)


async def test_what_was_reported_is_charged_and_how_is_on_record() -> None:
    bill = await bill_of(await stage(ok(*WHOLE)).with_key())
    assert (bill.account, bill.settled, bill.flags) == ("team", Settled.CAPTURED, ())
    assert bill.cost_nanos == bill.charge_nanos == 8 * IN + 2 * OUT
    assert bill.lines == (
        PriceLine("input_mtok", "8", "1", 1_000_000),
        PriceLine("output_mtok", "2", "2", 1_000_000),
    )
    assert (bill.price_source, bill.price_version) == ("book", BOOK.version)


async def test_a_mark_up_is_the_accounts_and_not_the_providers() -> None:
    markups = Markups(Markup(3, 1), {("openai", "gpt-4o-mini"): Markup.parse("12.5%")})
    bill = await bill_of(await stage(ok(*WHOLE), markups=markups).with_key())
    assert (bill.cost_nanos, bill.charge_nanos) == (12_000, 13_500)
    assert bill.hold_nanos is not None
    plain = await bill_of(await stage(ok(*WHOLE)).with_key())
    assert plain.hold_nanos is not None
    assert bill.hold_nanos == plain.hold_nanos * 9 // 8, "the hold is for the charge"


async def test_a_mark_up_is_rounded_once() -> None:
    """Two tokens at 0.75 nano-dollars are 1.5: 2 at cost; with a third more they are 2, not 2.67 of the rounded 2."""
    book = PriceBook.from_json({"format": 1, "providers": {"openai": {"models": [
        priced({"input_mtok": "0.00075", "output_mtok": "0"}, id="gpt-4o-mini"),
    ]}}})  # fmt: skip
    scene = await stage(completion(prompt_tokens=2), book=book, markups=Markups(Markup(4, 3))).with_key()
    bill = await bill_of(scene, asking())
    assert (bill.cost_nanos, bill.charge_nanos) == (2, 2)


async def test_a_cost_that_the_provider_reports_wins() -> None:
    scene = await stage(
        completion("openai/gpt-4o-mini", cost=0.000123456), deployments=[deployment("openrouter")]
    ).with_key()
    bill = await bill_of(scene, asking("openrouter/openai/gpt-4o-mini"))
    assert (bill.cost_nanos, bill.charge_nanos, bill.price_source) == (123_456, 123_456, "reported")
    assert [line.unit for line in bill.lines] == ["reported_nanos"]


async def test_the_operators_own_price_wins_over_that() -> None:
    book = BOOK.with_overrides({("openrouter", "openai/gpt-4o-mini"): {"input_mtok": "5", "output_mtok": "0"}})
    scene = await stage(
        completion("openai/gpt-4o-mini", cost=0.000123456), deployments=[deployment("openrouter")], book=book
    ).with_key()
    bill = await bill_of(scene, asking("openrouter/openai/gpt-4o-mini"))
    assert (bill.cost_nanos, bill.price_source) == (40_000, "operator")


TWO_MODELS = PriceBook.from_json({"format": 1, "providers": {"openai": {"models": [
    priced(PLAIN, id="gpt-4o-mini"),
    priced({"input_mtok": "10", "output_mtok": "20"}, id="gpt-4o"),
]}}})  # fmt: skip


@pytest.mark.parametrize(
    ("served", "cost", "flags"),
    [("gpt-4o", 10 * 12_000, ()), ("gpt-4o-mini", 12_000, ()), ("nobodys-model", 12_000, ("priced_as:gpt-4o-mini",))],
)
async def test_the_model_that_served_is_paid(served: str, cost: int, flags: tuple[str, ...]) -> None:
    bill = await bill_of(await stage(completion(served), book=TWO_MODELS).with_key(), asking())
    assert (bill.cost_nanos, bill.charge_nanos, bill.flags) == (cost, cost, flags)


async def test_a_charge_above_its_hold_is_taken_whole_and_flagged() -> None:
    scene = await stage(completion(completion_tokens=50)).with_key()
    record = await scene.play(asking(max_tokens=1), FakeClient())
    bill = record.bill
    assert bill.charge_nanos == 8 * IN + 50 * OUT
    dearer = await stage(completion(prompt_tokens=9_000)).with_key()
    record = await dearer.play(asking(max_tokens=1), FakeClient())
    bill = record.bill
    assert (bill.charge_nanos, bill.flags) == (9_000 * IN + 2 * OUT, ("overrun",))
    kinds = [entry.kind for entry in await dearer.entries(record)]
    assert kinds == [EntryKind.PLACE, EntryKind.CAPTURE, EntryKind.OVERRUN]


async def test_a_model_without_a_price_is_charged_for_nothing_and_flagged() -> None:
    scene = await stage(completion("gpt-9")).with_key(POSTPAID)
    bill = await bill_of(scene, asking("openai/gpt-9"))
    assert (bill.cost_nanos, bill.charge_nanos, bill.settled) == (None, None, Settled.CAPTURED)
    assert (bill.flags, bill.price_source) == (("unpriced:model",), "none")
    assert (await scene.account()).posted_nanos == CREDIT


async def test_an_amount_that_no_books_could_keep_is_taken_for_unknown() -> None:
    usage = b'{"prompt_tokens":1099511627775,"completion_tokens":1099511627775}'
    lines = (b'{"response":{"body":{"model":"m0","usage":%b}}}\n' % usage for _ in range(5_000))
    answers = (b'{"id":"batch_1","object":"batch"}', b'{"id":"batch_1","object":"batch","output_file_id":"file-7"}')
    book = BOOK.with_overrides({("*", "m0"): PLAIN})
    results = ok(*lines, headers=[(b"content-type", b"application/octet-stream")])
    scene = await stage(*(ok(answer, headers=JSON) for answer in answers), results, book=book).with_key(POSTPAID)
    asked = post("/v1/batches", b'{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}', BEARER)
    await bill_of(scene, asked)
    await bill_of(scene, Request("GET", "/v1/batches/batch_1", b"", [BEARER], b""))
    bill = await bill_of(scene, Request("GET", "/v1/files/file-7/content", b"", [BEARER], b""))
    assert (bill.cost_nanos, bill.charge_nanos, bill.settled) == (None, None, Settled.CAPTURED)
    assert "absurd" in bill.flags
    assert await scene.store.open_holds() == []


BROKEN = [
    (Ending.UPSTREAM_CUT, (FIRST, UpstreamCut("lost")), True),
    (Ending.UPSTREAM_CUT, (UpstreamCut("lost"),), False),
    (Ending.UPSTREAM_ERROR, (FIRST, b'data: {"error":{"message":"no","type":"server_error"}}\n\n', DONE), True),
    (Ending.UPSTREAM_ERROR, (b'data: {"error":{"message":"no","type":"server_error"}}\n\n', DONE), False),
]


@pytest.mark.parametrize("policy", OnUpstreamFailure)
@pytest.mark.parametrize(("ending", "steps", "delivered"), BROKEN)
async def test_who_pays_for_what_a_provider_breaks_off(
    ending: Ending, steps: tuple[bytes | Exception, ...], delivered: bool, policy: OnUpstreamFailure
) -> None:
    scene = await stage(ok(*steps), policy=policy).with_key()
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    bill = record.bill
    cost = PROMPT + (2 * OUT if delivered else 0)
    charged = policy is OnUpstreamFailure.ALWAYS or (delivered and policy is OnUpstreamFailure.DELIVERED)
    assert (record.ending, bill.cost_nanos) == (ending, cost)
    assert bill.charge_nanos == (cost if charged else 0)
    assert bill.settled is (Settled.CAPTURED if charged else Settled.VOIDED)
    assert str(ending) in bill.flags


@pytest.mark.parametrize(
    ("steps", "basis", "cost", "flags"),
    [
        ((FIRST, HANG), Basis.ESTIMATED, PROMPT + 2 * OUT, ("estimated",)),
        ((FIRST, FINISH, USAGE, HANG), Basis.REPORTED, 8 * IN + 2 * OUT, ()),
    ],
)
async def test_a_client_that_leaves_pays_for_what_there_was(
    steps: tuple[bytes | str, ...], basis: Basis, cost: int, flags: tuple[str, ...]
) -> None:
    client = FakeClient()
    scene = await stage(ok(*steps[:-1], client.leave, HANG)).with_key()
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), client)
    assert (record.ending, record.reading.basis) == (Ending.CLIENT_LEFT, basis)
    assert (record.bill.charge_nanos, record.bill.flags) == (cost, flags)


async def test_a_client_that_leaves_pays_for_what_was_counted_so_far() -> None:
    start = {"type": "message_start", "message": {"id": "m", "model": "claude-haiku-4-5", "usage": {"input_tokens": 7}}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
    frames = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in (start, delta)]
    client = FakeClient()
    scene = await stage(ok(*frames, client.leave, HANG)).with_key()
    record = await scene.play(post("/v1/messages", MESSAGES, BEARER), client)
    assert record.reading.basis is Basis.PARTIAL
    assert (record.bill.charge_nanos, record.bill.flags) == (7 * IN + 2 * OUT, ("partial",))


async def test_a_client_that_leaves_before_the_head_pays_for_its_prompt_if_it_was_sent() -> None:
    for sent, charge in ((True, PROMPT), (False, 0)):
        client = FakeClient(gone=True)
        scene = await stage(FakeCall(HANG, sent=sent)).with_key()
        record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), client)
        assert (record.bill.charge_nanos, record.bill.cost_nanos) == (charge, charge)
        assert record.bill.settled is (Settled.CAPTURED if sent else Settled.VOIDED)


@pytest.mark.parametrize("status", [400, 429, 500, 529])
async def test_what_a_provider_refuses_costs_nothing_and_that_is_known(status: int) -> None:
    scene = await stage(FakeCall(Head(status, JSON), [b'{"error":{"message":"no"}}'])).with_key()
    bill = await bill_of(scene)
    assert (bill.cost_nanos, bill.charge_nanos, bill.settled, bill.flags) == (0, 0, Settled.VOIDED, ())


QUEUED = b'{"id":"resp_1","object":"response","status":"queued","model":"gpt-5","usage":null}'
FINISHED = (
    b'{"id":"resp_1","object":"response","status":"completed","model":"gpt-5",'
    b'"usage":{"input_tokens":5,"output_tokens":7,"total_tokens":12}}'
)


async def test_a_background_response_is_charged_by_the_poll_that_brings_its_usage_and_by_no_other() -> None:
    polls = (QUEUED, QUEUED, FINISHED, FINISHED)
    scene = await stage(*(ok(body, headers=JSON) for body in polls)).with_key(POSTPAID)
    create = post("/v1/responses", b'{"model":"gpt-5","input":"hi","background":true}', BEARER)
    poll = Request("GET", "/v1/responses/resp_1", b"", [BEARER], b"")
    bills = [await bill_of(scene, request) for request in (create, poll, poll, poll)]
    assert [bill.charge_nanos for bill in bills] == [None, None, 5 * IN + 7 * OUT, None]
    assert [bill.cost_nanos for bill in bills] == [None, None, 5 * IN + 7 * OUT, None]
    assert [bill.settled for bill in bills] == [Settled.VOIDED, Settled.VOIDED, Settled.CAPTURED, Settled.VOIDED]
    assert (await scene.account()).posted_nanos == CREDIT - 5 * IN - 7 * OUT


def in_background(kind: str, **response: Any) -> bytes:
    told = {"type": f"response.{kind}", "response": {"id": "resp_1", "object": "response", "model": "gpt-5"} | response}
    return f"event: response.{kind}\ndata: {json.dumps(told)}\n\n".encode()


async def test_who_hangs_up_on_a_background_stream_pays_for_all_of_it_once_it_is_read() -> None:
    """It runs on without its client: an estimate of what was seen would make the rest free."""
    delta = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hello"}\n\n'
    client = FakeClient()
    cut = ok(in_background("created", status="in_progress", usage=None), delta, client.leave, HANG)
    scene = await stage(cut, ok(FINISHED, headers=JSON), ok(FINISHED, headers=JSON)).with_key(POSTPAID)
    create = post("/v1/responses", b'{"model":"gpt-5","input":"hi","background":true,"stream":true}', BEARER)
    first = await scene.play(create, client)
    assert (first.ending, first.counted, first.bill.settled) == (Ending.CLIENT_LEFT, False, Settled.VOIDED)
    poll = Request("GET", "/v1/responses/resp_1", b"", [BEARER], b"")
    assert [(await bill_of(scene, poll)).charge_nanos for _ in range(2)] == [5 * IN + 7 * OUT, None]


async def test_a_background_stream_that_is_read_to_its_end_is_charged_there() -> None:
    usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    stream = ok(in_background("created", usage=None), in_background("completed", status="completed", usage=usage))
    scene = await stage(stream, ok(FINISHED, headers=JSON)).with_key(POSTPAID)
    create = post("/v1/responses", b'{"model":"gpt-5","input":"hi","background":true,"stream":true}', BEARER)
    poll = Request("GET", "/v1/responses/resp_1", b"", [BEARER], b"")
    assert [(await bill_of(scene, request)).charge_nanos for request in (create, poll)] == [5 * IN + 7 * OUT, None]


async def test_what_nobody_pays_for_has_its_cost_all_the_same() -> None:
    bill = await bill_of(stage(ok(*WHOLE)), post("/v1/chat/completions", CHAT))
    assert (bill.cost_nanos, bill.charge_nanos, bill.account, bill.settled) == (12_000, None, None, None)


async def test_free_operations_have_no_bill() -> None:
    scene = await stage(ok(b'{"input_tokens":5}', headers=JSON)).with_key()
    assert await bill_of(scene, post("/v1/messages/count_tokens", MESSAGES, BEARER)) == Bill()
