"""The way back: what the client is told, and by which name the outcome is known."""

import json
from typing import Any

import pytest

from headgate.access.limits import Limits
from headgate.dialects.base import Ask
from headgate.errors import Busy, UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from headgate.gateway.answering import ending_of, unreported
from headgate.gateway.receipt import COST, INPUT, OUTPUT, Trailers
from headgate.gateway.relay import Relayed
from headgate.gateway.upstream import Head
from headgate.records import Ending, Settled
from headgate.usage import Basis, Estimate, Reading, Usage

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
    SSE,
    USAGE,
    FakeCall,
    FakeClient,
    deployment,
    ok,
    post,
    stage,
)

ENDED, CUT, LEFT, STOPPED = {"ended": True}, {"error": UpstreamCut("lost")}, {"left": True}, dict[str, Any]()
DONE_SEEN, NO_END, TOLD = {"terminal_evidence": "[DONE]"}, dict[str, Any](), {"in_stream_error": "overloaded"}


@pytest.mark.parametrize(
    ("relayed", "status", "reading", "metered", "ending"),
    [
        (ENDED, 200, DONE_SEEN, True, Ending.COMPLETE),
        (ENDED, 200, NO_END, False, Ending.COMPLETE),
        (CUT, 200, DONE_SEEN, True, Ending.COMPLETE),
        (ENDED, 200, NO_END, True, Ending.INCOMPLETE),
        (LEFT, 200, NO_END, True, Ending.CLIENT_LEFT),
        (LEFT, 200, DONE_SEEN, True, Ending.COMPLETE),
        (LEFT | ENDED, 200, DONE_SEEN, True, Ending.CLIENT_LEFT),
        (CUT, 200, NO_END, True, Ending.UPSTREAM_CUT),
        (STOPPED, 200, NO_END, True, Ending.GATEWAY_FAILED),
        (ENDED, 200, DONE_SEEN | TOLD, True, Ending.UPSTREAM_ERROR),
        (LEFT, 200, TOLD, True, Ending.UPSTREAM_ERROR),
        (CUT, 200, TOLD, True, Ending.UPSTREAM_ERROR),
        (ENDED, 429, NO_END, True, Ending.REFUSED),
        (CUT, 500, TOLD, True, Ending.REFUSED),
    ],
)  # fmt: skip
def test_every_outcome_has_one_name(
    relayed: dict[str, Any], status: int, reading: dict[str, Any], metered: bool, ending: Ending
) -> None:
    went = Relayed(bytes_in=9, bytes_out=9, first_byte_ns=1, **relayed)
    assert ending_of(went, status, Reading(**reading), metered=metered) is ending


def test_a_prompt_that_was_read_is_estimated_where_nothing_was_reported() -> None:
    assert unreported(Reading(), Ask(input_bytes=9)).estimate == Estimate(3, 0)
    reported = Reading(Usage(input_tokens=1), Basis.PARTIAL)
    assert unreported(reported, Ask(input_bytes=9)) is reported


UNARY = CHAT.replace(b'"stream":true,', b"")
MESSAGE = b'"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]'
DOCUMENT = b'{"id":"c1","model":"gpt-4o-mini",' + MESSAGE + b',"usage":{"prompt_tokens":8,"completion_tokens":2}}'
PRICE = 8 * IN + 2 * OUT


def receipt_of(client: FakeClient) -> dict[bytes, bytes]:
    return {name: value for name, value in client.headers if name in {COST, INPUT, OUTPUT}}


RECEIVED = {COST: b"0.000012", INPUT: b"8", OUTPUT: b"2"}


async def test_a_documents_head_tells_its_cost() -> None:
    length = (b"content-length", str(len(DOCUMENT)).encode())
    scene = await stage(ok(DOCUMENT[:20], DOCUMENT[20:], headers=[*JSON, length])).with_key()
    client = FakeClient()
    record = await scene.play(post("/v1/chat/completions", UNARY, BEARER), client)
    assert (client.status, client.body, client.ended) == (200, DOCUMENT, True)
    assert receipt_of(client) == RECEIVED
    assert length in client.headers
    assert record.bill.charge_nanos == PRICE


async def test_where_nobody_pays_the_providers_price_is_told() -> None:
    client = FakeClient()
    await stage(ok(DOCUMENT, headers=JSON)).play(post("/v1/chat/completions", UNARY), client)
    assert receipt_of(client) == RECEIVED


@pytest.mark.parametrize("length", [str(len(DOCUMENT)).encode(), b"900", None])
async def test_a_document_that_is_whole_though_its_connection_breaks_is_passed_on(length: bytes | None) -> None:
    headers = [*JSON] if length is None else [*JSON, (b"content-length", length)]
    call = ok(DOCUMENT, UpstreamCut("lost"), headers=headers)
    scene, client = await stage(call).with_key(), FakeClient()
    record = await scene.play(post("/v1/chat/completions", UNARY, BEARER), client)
    assert (client.status, client.body, client.ended, client.aborted) == (200, DOCUMENT, True, False)
    assert b"content-length" not in dict(client.headers), "the one that was announced may not be the true one"
    assert (record.ending, record.bill.charge_nanos, record.error) == (Ending.COMPLETE, PRICE, None)
    assert receipt_of(client) == RECEIVED


async def test_a_document_that_breaks_off_is_a_whole_error_and_free() -> None:
    headers = [*JSON, (b"content-length", b"900")]
    scene, client = await stage(ok(DOCUMENT[:-9], UpstreamCut("lost"), headers=headers)).with_key(), FakeClient()
    record = await scene.play(post("/v1/chat/completions", UNARY, BEARER), client)
    assert (client.status, client.ended, client.aborted) == (502, True, False)
    assert json.loads(client.body)["error"]["code"] == "upstream_connection_lost"
    assert dict(client.headers)[b"content-length"] == str(len(client.body)).encode()
    assert (record.status, record.ending, record.bytes_out) == (502, Ending.UPSTREAM_CUT, len(client.body))
    assert (record.bill.settled, record.bill.charge_nanos) == (Settled.VOIDED, 0)
    assert record.bill.cost_nanos, "the provider may ask for it all the same"
    assert receipt_of(client) == {}


async def test_a_client_that_leaves_a_held_back_document_is_sent_nothing_and_pays() -> None:
    client = FakeClient()
    scene = await stage(ok(DOCUMENT[:9], client.leave, HANG, headers=JSON)).with_key()
    record = await scene.play(post("/v1/chat/completions", UNARY, BEARER), client)
    assert (client.status, record.status, record.bytes_out, record.ending) == (None, 499, 0, Ending.CLIENT_LEFT)
    assert record.bill.charge_nanos == -(-len(UNARY) // 4) * IN + 3 * OUT, "the prompt, and nine bytes of an answer"


async def test_an_error_that_the_provider_answers_is_not_held_back() -> None:
    client = FakeClient()
    call = FakeCall(Head(404, JSON), [b'{"error":', lambda: seen.append(client.body), b'"no"}'])
    seen: list[bytes] = []
    await stage(call).play(post("/v1/chat/completions", UNARY), client)
    assert seen == [b'{"error":']


@pytest.mark.parametrize(
    ("cause", "sent", "status", "ending"),
    [
        (UpstreamUnreachable("no"), False, 502, Ending.NEVER_SENT),
        (UpstreamTimeout("silent"), True, 504, Ending.UPSTREAM_CUT),
        (UpstreamCut("lost"), True, 502, Ending.UPSTREAM_CUT),
        (Busy("the ledger is slow"), False, 503, Ending.NEVER_SENT),
    ],
)
async def test_no_head(cause: Exception, sent: bool, status: int, ending: Ending) -> None:
    scene, client = await stage(FakeCall(cause, sent=sent)).with_key(), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), client)
    assert (client.status, record.status, record.ending) == (status, status, ending)
    assert (record.bill.settled, record.bill.charge_nanos) == (Settled.VOIDED, 0)


STREAM = (FIRST, FINISH, USAGE, DONE)
TE = (b"te", b"gzip;q=0.5, Trailers")
RECEIPT = (b"x-headgate-receipt", b"Comment")
COMMENT = b": headgate cost-usd=0.000012 input-tokens=8 output-tokens=2\n\n"


@pytest.mark.parametrize(
    ("setting", "headers", "announced"),
    [("asked", [TE], True), ("asked", [], False), ("always", [], True), ("never", [TE], False)],
)
async def test_to_whom_trailers_are_sent(setting: str, headers: list[tuple[bytes, bytes]], announced: bool) -> None:
    client = FakeClient()
    await stage(ok(*STREAM), trailers=Trailers(setting)).play(post("/v1/chat/completions", CHAT, *headers), client)
    assert client.announced is announced
    assert dict(client.trailers) == (RECEIVED if announced else {})
    assert (
        (b"trailer", b"x-headgate-cost-usd, x-headgate-input-tokens, x-headgate-output-tokens") in client.headers
    ) is announced
    assert client.body == FIRST + FINISH + DONE


async def test_a_comment_comes_only_when_it_is_asked_for() -> None:
    bodies = []
    for headers in ([], [RECEIPT]):
        client = FakeClient()
        length = (b"content-length", str(len(b"".join(STREAM))).encode())
        scene = await stage(ok(*STREAM, headers=[*SSE, length])).with_key()
        await scene.play(post("/v1/chat/completions", CHAT, BEARER, *headers), client)
        bodies.append(client.body)
        assert b"content-length" not in dict(client.headers)
    assert bodies == [FIRST + FINISH + DONE, FIRST + FINISH + DONE + COMMENT]


@pytest.mark.parametrize(
    "steps",
    [(FIRST, FINISH, USAGE, DONE[:-1]), (FIRST, UpstreamCut("lost")), (FIRST, FINISH[:20], UpstreamCut("lost"))],
    ids=["in-an-unfinished-frame", "told-as-failed", "broken"],
)
async def test_no_comment_but_between_the_frames_of_a_stream_that_is_whole(
    steps: tuple[bytes | Exception, ...],
) -> None:
    client = FakeClient()
    await stage(ok(*steps)).play(post("/v1/chat/completions", CHAT, RECEIPT), client)
    assert b": headgate" not in client.body


@pytest.mark.parametrize(
    ("path", "body"), [("/api/chat", b'{"model":"llama3","messages":[]}'), ("/v1/chat/completions", UNARY)]
)
async def test_no_comment_in_what_is_no_event_stream(path: str, body: bytes) -> None:
    line = b'{"model":"llama3","message":{"content":"Hi"},"done":true,"prompt_eval_count":1,"eval_count":1}\n'
    ndjson = [(b"content-type", b"application/x-ndjson")]
    call = ok(line, headers=ndjson) if path == "/api/chat" else ok(DOCUMENT, headers=JSON)
    scene, client = stage(call, deployments=[deployment("openai"), deployment("ollama")]), FakeClient()
    await scene.play(post(path, body, RECEIPT), client)
    assert client.body in {line, DOCUMENT}
    assert client.ended


LIMITS = Limits(requests_per_minute=10)
THEIRS = [(b"x-ratelimit-remaining-requests", b"9999"), (b"anthropic-ratelimit-tokens-limit", b"5")]


@pytest.mark.parametrize("limits", [Limits(), Limits(concurrent=3), LIMITS])
async def test_the_providers_limits_are_told_but_to_keys_with_their_own(limits: Limits) -> None:
    scene, client = await stage(ok(*STREAM, headers=[*SSE, *THEIRS])).with_key(limits=limits), FakeClient()
    await scene.play(post("/v1/chat/completions", CHAT, BEARER), client)
    told = [pair for pair in client.headers if b"ratelimit" in pair[0]]
    if limits is LIMITS:
        assert told[:2] == [(b"x-ratelimit-limit-requests", b"10"), (b"x-ratelimit-remaining-requests", b"9")]
        assert told[2][0] == b"x-ratelimit-reset-requests"
    else:
        assert told == THEIRS
