"""The spine: conversations in, exactly one record out."""

import asyncio
import dataclasses
import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from headgate.errors import UpstreamCut, UpstreamUnreachable
from headgate.gateway.forward import Bounds
from headgate.gateway.headers import CREDENTIALS
from headgate.gateway.relay import Patience
from headgate.gateway.request import Request
from headgate.gateway.upstream import Head, UpstreamRequest
from headgate.ledger.commands import Checkpoint, Command
from headgate.ledger.entries import AccountKind, EntryKind, Outcome
from headgate.providers import registry
from headgate.providers.base import Deployment, OnClientGone, Secret
from headgate.records import Bill, Ending, Record, Settled
from headgate.settlement import OnUpstreamFailure
from headgate.stores.memory import MemoryStore
from headgate.usage import Basis

from .fakes import (
    BEARER,
    CHAT,
    CREDIT,
    DONE,
    FINISH,
    FIRST,
    HANG,
    JSON,
    MESSAGES,
    SSE,
    USAGE,
    FakeCall,
    FakeClient,
    deployment,
    ok,
    post,
    stage,
)


async def test_a_stream_passes_and_is_recorded() -> None:
    scene, client = stage(ok(FIRST, FINISH, USAGE, DONE)), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert client.body == FIRST + FINISH + DONE, "the usage frame that only headgate asked for is taken out"
    assert client.ended
    assert (record.ending, record.status, record.provider) == (Ending.COMPLETE, 200, "openai")
    assert (record.dialect, record.operation, record.model_asked) == ("openai.chat", "create", "gpt-4o-mini")
    assert (record.reading.basis, record.reading.usage.input_tokens) == (Basis.REPORTED, 8)
    assert record.reading.served_model == "gpt-4o-mini-2024"
    assert record.bytes_in == len(FIRST + FINISH + USAGE + DONE)
    assert record.bytes_out == len(client.body)
    assert record.counted
    assert record.first_byte_ns is not None
    assert 0 < record.first_byte_ns < record.total_ns
    assert dict(client.headers)[b"x-headgate-exchange-id"] == record.exchange_id.encode()


async def test_what_goes_upstream() -> None:
    scene = stage(ok(DONE))
    headers = [(b"authorization", b"Bearer theirs"), (b"x-custom", b"kept"), (b"cookie", b"no")]
    await scene.play(post("/v1/chat/completions", CHAT, *headers), FakeClient())
    sent = scene.upstream.requests[0]
    assert (sent.method, sent.target, sent.host) == (b"POST", b"/v1/chat/completions", b"api.openai.com")
    assert dict(sent.headers)[b"authorization"] == b"Bearer sk-openai-credential"
    assert dict(sent.headers)[b"x-custom"] == b"kept"
    assert b"cookie" not in dict(sent.headers)
    assert json.loads(sent.body)["stream_options"] == {"include_usage": True}
    assert sent.body.endswith(CHAT[1:]), "the edit is spliced in front of the client's own text"


async def test_a_prefix_chooses_and_is_removed() -> None:
    scene = stage(ok(DONE), deployments=[deployment("openai"), deployment("groq")])
    body = b'{ "model" : "groq/llama-3.3-70b-versatile" , "messages" : [ ] }'
    record = await scene.play(post("/v1/chat/completions", body), FakeClient())
    assert scene.upstream.requests[0].body == b'{ "model" : "llama-3.3-70b-versatile" , "messages" : [ ] }'
    assert (record.provider, record.model_asked) == ("groq", "groq/llama-3.3-70b-versatile")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"{", 400, "invalid_request"), (CHAT.replace(b"gpt-4o-mini", b"nobodys-model"), 404, "model_not_found")],
)
async def test_a_refusal_speaks_the_dialect_and_is_recorded(body: bytes, status: int, code: str) -> None:
    scene, client = stage(), FakeClient()
    record = await scene.play(post("/v1/chat/completions", body), client)
    assert client.status == record.status == status
    assert set(json.loads(client.body)["error"]) >= {"message", "type", "code"}
    assert record.ending is Ending.NEVER_SENT
    assert record.error is not None
    assert record.error.startswith(code)
    assert not scene.upstream.requests


async def test_anthropic_errors_look_like_anthropics() -> None:
    client = FakeClient()
    await stage().play(post("/v1/messages", b"[]"), client)
    assert json.loads(client.body)["type"] == "error"


async def test_keys_are_asked_for() -> None:
    scene, client = stage(ok(DONE), keys={"team-a": "a-key-of-some-length"}), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert (client.status, record.key, record.ending) == (401, None, Ending.NEVER_SENT)
    bearer = (b"authorization", b"Bearer a-key-of-some-length")
    assert (await scene.play(post("/v1/chat/completions", CHAT, bearer), FakeClient())).key == "team-a"


async def test_no_connection() -> None:
    scene, client = stage(FakeCall(UpstreamUnreachable("No connection could be made."), sent=False)), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert (client.status, record.ending) == (502, Ending.NEVER_SENT)
    assert record.attempts[0].error == "upstream_unreachable"
    assert record.attempts[0].status is None


async def test_a_providers_refusal_passes_unchanged() -> None:
    body = b'{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limited"}}'
    scene, client = stage(FakeCall(Head(429, [*JSON, (b"retry-after", b"7")]), [body])), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert (client.status, client.body) == (429, body)
    assert (b"retry-after", b"7") in client.headers
    assert (record.ending, record.reading.basis, record.counted) == (Ending.REFUSED, Basis.NONE, False)


@pytest.mark.parametrize(
    ("steps", "body_tail", "inband"),
    [((FIRST,), b"", True), ((FIRST, FINISH[:20]), FINISH[:20], False)],
    ids=["between-frames", "in-a-frame"],
)
async def test_an_upstream_that_breaks_off(steps: tuple[bytes, ...], body_tail: bytes, inband: bool) -> None:
    scene, client = stage(ok(*steps, UpstreamCut("The connection to the provider was lost."))), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert record.ending is Ending.UPSTREAM_CUT
    assert (record.reading.basis, record.counted) == (Basis.ESTIMATED, True)
    assert client.ended is inband
    assert client.aborted is not inband
    told = client.body.removeprefix(FIRST)
    if inband:
        assert json.loads(told.removeprefix(b"data: "))["error"]["code"] == "upstream_connection_lost"
    else:
        assert told == body_tail


async def test_an_error_told_in_the_stream() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    scene, client = stage(ok(error)), FakeClient()
    record = await scene.play(post("/v1/messages", MESSAGES), client)
    assert client.body == error
    assert (record.ending, record.status) == (Ending.UPSTREAM_ERROR, 200)
    assert record.reading.in_stream_error is not None
    assert "overloaded_error" in record.reading.in_stream_error


async def test_a_compressed_stream_passes_as_it_is_8_17() -> None:
    squeezed = gzip.compress(FIRST + FINISH + USAGE + DONE, mtime=0)
    headers = [*SSE, (b"content-encoding", b"gzip"), (b"content-length", str(len(squeezed)).encode())]
    scene, client = stage(ok(squeezed[:50], squeezed[50:], headers=headers)), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert client.body == squeezed, "no frame can be taken out of it"
    assert set(headers) <= set(client.headers)
    assert (record.ending, record.reading.usage.output_tokens) == (Ending.COMPLETE, 2)


async def test_no_evidence_of_the_end() -> None:
    record = await stage(ok(FIRST)).play(post("/v1/chat/completions", CHAT), FakeClient())
    assert (record.ending, record.reading.basis) == (Ending.INCOMPLETE, Basis.ESTIMATED)


async def test_a_client_that_leaves_is_cut() -> None:
    client = FakeClient()
    call = ok(FIRST, client.leave, FINISH, USAGE, DONE)
    record = await stage(call).play(post("/v1/chat/completions", CHAT), client)
    assert call.aborted
    assert (record.ending, record.reading.basis) == (Ending.CLIENT_LEFT, Basis.ESTIMATED)
    assert record.reading.estimate is not None
    assert record.reading.estimate.output_tokens == 2, "Hello: five bytes"
    assert record.reading.estimate.input_tokens == -(-len(CHAT) // 4)


async def test_a_client_that_leaves_is_drained() -> None:
    client = FakeClient()
    call = ok(FIRST, client.leave, FINISH, USAGE, DONE)
    scene = stage(call, deployments=[deployment("openai", policy=OnClientGone.DRAIN)])
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert call.ended
    assert (record.reading.basis, record.reading.usage.output_tokens) == (Basis.REPORTED, 2)
    assert record.bytes_out == len(FIRST)


async def test_draining_is_bounded_in_bytes() -> None:
    client = FakeClient()
    call = ok(FIRST, client.leave, FINISH, USAGE, DONE)
    bounds = Bounds(patience=Patience(drain_bytes=10))
    scene = stage(call, deployments=[deployment("openai", policy=OnClientGone.DRAIN)], bounds=bounds)
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert call.aborted
    assert record.ending is Ending.CLIENT_LEFT


async def test_draining_is_bounded_in_time() -> None:
    client = FakeClient()
    call = ok(FIRST, client.leave, FINISH, HANG)
    bounds = Bounds(drain_seconds=0.0)
    scene = stage(call, deployments=[deployment("openai", policy=OnClientGone.DRAIN)], bounds=bounds)
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert call.aborted
    assert record.ending is Ending.CLIENT_LEFT


@pytest.mark.parametrize(
    ("sent", "ending", "basis"),
    [(True, Ending.CLIENT_LEFT, Basis.ESTIMATED), (False, Ending.NEVER_SENT, Basis.NONE)],
)
async def test_a_client_that_leaves_before_the_head(sent: bool, ending: Ending, basis: Basis) -> None:
    client = FakeClient(gone=True)
    record = await stage(FakeCall(HANG, sent=sent)).play(post("/v1/chat/completions", CHAT), client)
    assert (record.status, record.ending, record.reading.basis) == (499, ending, basis)


async def test_a_client_that_leaves_a_whole_answer_is_cut_too_9_13() -> None:
    client = FakeClient()
    call = FakeCall(Head(200, JSON), [b'{"id":"c1",', client.leave, HANG])
    body = CHAT.replace(b'"stream":true,', b"")
    record = await stage(call).play(post("/v1/chat/completions", body), client)
    assert call.aborted
    assert (record.ending, record.streamed, record.reading.basis) == (Ending.CLIENT_LEFT, False, Basis.ESTIMATED)


async def test_a_client_that_leaves_after_the_end_has_had_it_all() -> None:
    client = FakeClient()
    call = ok(FIRST, FINISH, USAGE, DONE, client.leave, HANG)
    record = await stage(call).play(post("/v1/chat/completions", CHAT), client)
    assert (record.ending, record.reading.basis) == (Ending.COMPLETE, Basis.REPORTED)


async def test_a_fault_of_ours_is_answered_and_recorded(caplog: pytest.LogCaptureFixture) -> None:
    scene, client = stage(), FakeClient()  # no call to open: an IndexError in the middle of forwarding
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert (client.status, record.status, record.ending) == (500, 500, Ending.GATEWAY_FAILED)
    assert b"list index" not in client.body
    assert "ex_1" in caplog.text


async def test_a_poll_counts_once() -> None:
    queued = b'{"id":"resp_1","object":"response","status":"queued","model":"gpt-5","usage":null}'
    usage = b'{"input_tokens":5,"output_tokens":7,"total_tokens":12}'
    whole = b'{"id":"resp_1","object":"response","status":"completed","model":"gpt-5","usage":' + usage + b"}"
    scene = stage(*(FakeCall(Head(200, JSON), [body]) for body in (queued, queued, whole, whole)))
    create = post("/v1/responses", b'{"model":"gpt-5","input":"hi","background":true}')
    poll = Request("GET", "/v1/responses/resp_1", b"", [], b"")
    assert not (await scene.play(create, FakeClient())).counted
    assert not (await scene.play(poll, FakeClient())).counted
    assert (await scene.play(poll, FakeClient())).counted
    again = await scene.play(poll, FakeClient())
    assert (again.counted, again.reading.usage.output_tokens) == (False, 7)


async def test_an_opaque_path_is_passed_on_even_where_the_provider_is_not_known_to_speak_it() -> None:
    scene = stage(ok(DONE), deployments=[deployment("groq")])
    record = await scene.play(post("/p/groq/v1/messages", MESSAGES), FakeClient())
    assert scene.upstream.requests[0].target == b"/openai/v1/messages"
    assert (record.provider, record.dialect) == ("groq", "anthropic.messages")


async def test_an_upstream_that_stays_after_the_end_is_left() -> None:
    call, client = ok(FIRST, FINISH, USAGE, DONE, HANG), FakeClient()
    bounds = Bounds(patience=Patience(linger_seconds=0.0))
    record = await stage(call, bounds=bounds).play(post("/v1/chat/completions", CHAT), client)
    assert call.aborted
    assert client.ended
    assert client.body.endswith(DONE)
    assert (record.ending, record.error) == (Ending.COMPLETE, None)


UNKNOWN_OPTION = b'{"error":{"message":"Unknown parameter: \'stream_options\'.","type":"invalid_request_error"}}'


def refused(body: bytes = UNKNOWN_OPTION, status: int = 400) -> FakeCall:
    return FakeCall(Head(status, JSON), [body])


async def test_a_refused_usage_option_is_left_out_once_and_from_then_on_1_19() -> None:
    scene, client = stage(refused(), ok(FIRST, FINISH, DONE), ok(FIRST, FINISH, DONE)), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert (client.status, client.body) == (200, FIRST + FINISH + DONE)
    assert [request.body == CHAT for request in scene.upstream.requests] == [False, True]
    assert [(a.status, a.error) for a in record.attempts] == [(400, "stream_options_refused"), (200, None)]
    assert (record.ending, record.reading.basis) == (Ending.COMPLETE, Basis.ESTIMATED)
    again = await scene.play(post("/v1/chat/completions", CHAT), FakeClient())
    assert scene.upstream.requests[2].body == CHAT
    assert [a.status for a in again.attempts] == [200]


async def test_a_refusal_that_another_body_would_get_too_teaches_nothing() -> None:
    quoting = b'{"error":{"message":"messages: expected a list","input":{"stream_options":{}}}}'
    scene, client = stage(refused(quoting), refused(b"plain"), ok(FIRST, USAGE, DONE)), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert (client.status, client.body) == (400, b"plain"), "the answer to the client's own text"
    assert (record.ending, len(record.attempts)) == (Ending.REFUSED, 2)
    after = await scene.play(post("/v1/chat/completions", CHAT), FakeClient())
    assert (b"stream_options" in scene.upstream.requests[2].body, after.reading.basis) == (True, Basis.REPORTED)


@pytest.mark.parametrize(
    ("body", "answer", "status"),
    [
        (CHAT, b'{"error":{"message":"no such model"}}', 400),
        (CHAT, UNKNOWN_OPTION, 401),
        (CHAT[:-1] + b',"stream_options":{"include_usage":true}}', UNKNOWN_OPTION, 400),
    ],
    ids=["of-something-else", "for-another-reason", "of-the-clients-own-option"],
)
async def test_any_other_refusal_passes_byte_for_byte(body: bytes, answer: bytes, status: int) -> None:
    scene, client = stage(refused(answer, status)), FakeClient()
    record = await scene.play(post("/v1/chat/completions", body), client)
    assert (client.status, client.body) == (status, answer)
    assert (record.ending, len(record.attempts)) == (Ending.REFUSED, 1)


async def test_nothing_is_sent_again_for_a_client_that_has_left() -> None:
    client = FakeClient()
    scene = stage(FakeCall(Head(400, JSON), [UNKNOWN_OPTION, client.leave]))
    record = await scene.play(post("/v1/chat/completions", CHAT), client)
    assert (len(scene.upstream.requests), record.ending) == (1, Ending.REFUSED)


THEIRS = b"sk-the-clients-own"
GATEWAY_KEY = "a-key-of-some-length"
PRESENTED = [
    [(b"authorization", b"Bearer " + THEIRS), (b"x-api-key", GATEWAY_KEY.encode())],
    [(b"authorization", b"Bearer " + GATEWAY_KEY.encode()), (b"x-api-key", THEIRS)],
    [(b"x-api-key", GATEWAY_KEY.encode()), (b"api-key", THEIRS), (b"x-goog-api-key", THEIRS)],
]
ECHO = b'{"error":{"message":"Incorrect key: sk-the-clients-own, sk-openai-credential","type":"invalid_request_error"}}'


def everything(sent: UpstreamRequest) -> bytes:
    return b"|".join([sent.target, sent.body, *(name + b":" + value for name, value in sent.headers)])


@pytest.mark.parametrize("keys", [{}, {"team-a": GATEWAY_KEY}], ids=["open", "keys"])
@pytest.mark.parametrize("headers", PRESENTED, ids=["bearer", "x-api-key", "others"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/p/openai/v1/chat/completions", "/p/openai/v1/unknown"])
async def test_a_clients_credential_reaches_neither_provider_nor_record(
    path: str, headers: list[tuple[bytes, bytes]], keys: dict[str, str]
) -> None:
    scene = stage(FakeCall(Head(401, JSON), [ECHO]), deployments=[deployment("openai")], keys=keys)
    query = b"%6bey=" + THEIRS + b"&api-version=1&key=" + GATEWAY_KEY.encode()
    record = await scene.play(Request("POST", path, query, headers, CHAT), FakeClient())
    sent = scene.upstream.requests[0]
    assert THEIRS not in everything(sent)
    assert GATEWAY_KEY.encode() not in everything(sent)
    assert sent.target.endswith(b"?api-version=1")
    assert dict(sent.headers)[b"authorization"] == b"Bearer sk-openai-credential"
    written = json.dumps(record.as_json(), default=str)
    assert not [secret for secret in (THEIRS.decode(), GATEWAY_KEY, "sk-openai-credential") if secret in written]


@pytest.mark.parametrize("headers", PRESENTED, ids=["bearer", "x-api-key", "others"])
async def test_where_clients_bring_their_own_keys_these_go_on_and_the_gateways_does_not(
    headers: list[tuple[bytes, bytes]],
) -> None:
    deployments = [deployment("openai", client_keys=True), deployment("groq")]
    scene = stage(ok(DONE), ok(DONE), deployments=deployments, keys={"team-a": GATEWAY_KEY})
    await scene.play(post("/v1/chat/completions", CHAT, *headers), FakeClient())
    sent = scene.upstream.requests[0]
    own = [pair for pair in headers if THEIRS in pair[1]]
    assert [pair for pair in sent.headers if pair[0] in CREDENTIALS] == own
    assert GATEWAY_KEY.encode() not in everything(sent)
    await scene.play(post("/p/groq/v1/chat/completions", CHAT, *headers), FakeClient())
    assert THEIRS not in everything(scene.upstream.requests[1]), "for that provider only"


async def test_a_key_of_the_clients_own_in_the_query_goes_on_as_a_header() -> None:
    scene = stage(ok(DONE), deployments=[deployment("openai", client_keys=True)])
    request = Request("POST", "/v1/chat/completions", b"a=1&key=" + THEIRS, [], CHAT)
    await scene.play(request, FakeClient())
    sent = scene.upstream.requests[0]
    assert (sent.target, dict(sent.headers)[b"x-goog-api-key"]) == (b"/v1/chat/completions?a=1", THEIRS)


async def test_a_key_that_is_in_any_text_is_not_blotted_out() -> None:
    error = b'{"error":{"message":"no such x"}}'
    scene = stage(FakeCall(Head(404, JSON), [error]))
    record = await scene.play(post("/v1/chat/completions", CHAT, (b"authorization", b"Bearer x")), FakeClient())
    assert record.reading.in_stream_error is not None
    assert "no such x" in record.reading.in_stream_error


class Freshener:
    """Gives tokens, or fails to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails

    async def freshen(self, deployment: Deployment) -> Deployment:
        if self.fails:
            raise UpstreamUnreachable(f"No access token for {deployment.name} could be had.")
        return dataclasses.replace(deployment, secrets={"access_token": Secret("fresh")})


def entra() -> Deployment:
    options = {"tenant_id": "t", "client_id": "c"}
    provider = registry.by_name("azure")
    return Deployment(
        "azure", provider, "https://x.test/openai/v1", options=options, secrets={"client_secret": Secret("s")}
    )


async def test_a_short_lived_credential_is_freshened() -> None:
    scene = stage(ok(DONE), deployments=[entra()])
    gateway = replace(scene.gateway, forwarder=replace(scene.gateway.forwarder, credentials=Freshener()))
    await gateway.exchange(post("/v1/chat/completions", CHAT), FakeClient())
    assert dict(scene.upstream.requests[0].headers)[b"authorization"] == b"Bearer fresh"


async def test_a_credential_that_cannot_be_had() -> None:
    scene, client = stage(ok(DONE), deployments=[entra()]), FakeClient()
    gateway = replace(scene.gateway, forwarder=replace(scene.gateway.forwarder, credentials=Freshener(fails=True)))
    await gateway.exchange(post("/v1/chat/completions", CHAT), client)
    assert client.status == 502
    assert [record.ending for record in scene.records()] == [Ending.NEVER_SENT]
    assert not scene.upstream.requests


BATCH_LINE = b'{"response":{"body":{"model":"gpt-4o-mini","usage":{"prompt_tokens":8,"completion_tokens":2}}}}\n'


async def test_a_batchs_results_count_once() -> None:
    created = b'{"id":"batch_1","object":"batch","output_file_id":null}'
    done = b'{"id":"batch_1","object":"batch","output_file_id":"file-7"}'
    lines = [(b"content-type", b"application/octet-stream")]
    results = (FakeCall(Head(200, lines), [BATCH_LINE * 2]) for _ in range(2))
    scene = stage(*(FakeCall(Head(200, JSON), [body]) for body in (created, done)), *results)
    records = [
        await scene.play(request, FakeClient())
        for request in (
            post("/v1/batches", b'{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}'),
            Request("GET", "/v1/batches/batch_1", b"", [], b""),
            Request("GET", "/v1/files/file-7/content", b"", [], b""),
            Request("GET", "/v1/files/file-7/content", b"", [], b""),
        )
    ]
    assert [record.counted for record in records] == [False, False, True, False]
    assert [record.billable for record in records] == [False] * 4
    assert [record.reading.response_id for record in records] == ["batch_1", "file-7", "file-7", "file-7"]
    assert records[2].reading.usage.legs[0].usage.input_tokens == 16


async def test_results_of_a_batch_from_elsewhere_do_not_count() -> None:
    call = FakeCall(Head(200, [(b"content-type", b"application/x-jsonl")]), [BATCH_LINE])
    record = await stage(call).play(Request("GET", "/v1/files/file-9/content", b"", [], b""), FakeClient())
    assert (record.counted, record.reading.basis) == (False, Basis.REPORTED)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_failure_between_json_lines_is_told_as_a_line(whole: bool) -> None:
    line = b'{"model":"llama3","message":{"role":"assistant","content":"Hi"},"done":false}\n'
    cut = UpstreamCut("The connection to the provider was lost.")
    call = ok(line if whole else line[:-9], cut, headers=[(b"content-type", b"application/x-ndjson")])
    scene, client = stage(call, deployments=[deployment("ollama")]), FakeClient()
    record = await scene.play(post("/api/chat", b'{"model":"llama3","messages":[]}'), client)
    assert record.ending is Ending.UPSTREAM_CUT
    assert (client.ended, client.aborted) == (whole, not whole)
    if whole:
        assert "lost" in json.loads(client.body.removeprefix(line))["error"]


PROMPT = -(-len(CHAT) // 4) * 1_000
"""What the prompt is estimated to cost."""


async def test_an_exchange_with_an_account_is_held_served_and_settled() -> None:
    scene = await stage(ok(FIRST, FINISH, USAGE, DONE)).with_key()
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    assert [entry.kind for entry in await scene.entries(record)] == [EntryKind.PLACE, EntryKind.CAPTURE]
    assert (record.key, record.key_id, record.bill.account) == ("alice", "key_1", "team")
    account = await scene.account()
    assert (account.posted_nanos, account.held_nanos) == (CREDIT - 12_000, 0)
    assert scene.gateway.live.record(record.exchange_id) == record
    assert len(scene.gateway.live) == 0


async def test_a_refusal_before_the_hold_moves_no_money() -> None:
    scene, client = await stage().with_key(models=("claude-*",)), FakeClient()
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), client)
    assert (client.status, record.ending, record.bill) == (403, Ending.NEVER_SENT, Bill(cost_nanos=0))
    assert (await scene.account()).posted_nanos == CREDIT


@pytest.mark.parametrize(
    ("more", "path", "status"),
    [
        ({"models": ("claude-*",)}, "/v1/chat/completions", 403),
        ({"models": ("GPT-4o*",)}, "/v1/chat/completions", 200),
        ({"providers": ("anthropic",)}, "/p/openai/v1/chat/completions", 403),
        ({"providers": ("anthropic",)}, "/v1/chat/completions", 403),
        ({"models": ("gpt-*",)}, "/p/openai/v1/unknown", 403),
        ({"providers": ("openai",)}, "/v1/chat/completions", 200),
    ],
)
async def test_a_key_may_use_what_it_was_made_for(more: dict[str, Any], path: str, status: int) -> None:
    scene, client = await stage(ok(FIRST, FINISH, USAGE, DONE)).with_key(AccountKind.POSTPAID, **more), FakeClient()
    await scene.play(post(path, CHAT, BEARER), client)
    assert client.status == status
    assert len(scene.upstream.requests) == (status == 200)


class Faulty(FakeClient):
    """Fails as no client should, from its second chunk on."""

    async def write(self, chunk: bytes) -> None:
        if self.chunks:
            raise RuntimeError("a fault of ours")
        await super().write(chunk)

    def put(self, chunk: bytes) -> bool:
        if self.keeps_up:
            raise RuntimeError("a fault of ours")
        return super().put(chunk)


@pytest.mark.parametrize("keeps_up", [True, False])
@pytest.mark.parametrize(
    ("policy", "charge"),
    [
        (OnUpstreamFailure.DELIVERED, PROMPT + 4_000),
        (OnUpstreamFailure.NEVER, 0),
        (OnUpstreamFailure.ALWAYS, PROMPT + 4_000),
    ],
)
async def test_after_a_fault_of_ours_what_was_delivered_is_still_known(
    policy: OnUpstreamFailure, charge: int, keeps_up: bool, caplog: pytest.LogCaptureFixture
) -> None:
    scene = await stage(ok(FIRST, FINISH, USAGE, DONE), policy=policy).with_key()
    client = Faulty(keeps_up=keeps_up)
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), client)
    assert (record.ending, record.status, client.aborted) == (Ending.GATEWAY_FAILED, 499, True)
    assert (record.bill.charge_nanos, record.bill.cost_nanos) == (charge, PROMPT + 4_000)
    assert "a fault of ours" in caplog.text
    assert scene.upstream.calls[0].aborted


async def test_a_fault_before_anything_was_sent_is_paid_by_nobody() -> None:
    scene = await stage().with_key()  # no call to open
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    assert (record.ending, record.bill.settled, record.bill.charge_nanos) == (Ending.GATEWAY_FAILED, Settled.VOIDED, 0)


class Stuck(FakeClient):
    """Takes a head, and no byte more."""

    waits = False

    async def write(self, chunk: bytes) -> None:
        del chunk
        self.waits = True
        await asyncio.Event().wait()


async def test_an_exchange_that_is_cancelled_settles_and_is_recorded() -> None:
    """The gateway stops, and this client does not take what it is sent."""
    scene, client = await stage(ok(FIRST, HANG)).with_key(), Stuck(keeps_up=False)
    playing = asyncio.create_task(scene.play(post("/v1/chat/completions", CHAT, BEARER), client))
    while not client.waits:
        await asyncio.sleep(0)
    playing.cancel()
    record = await playing
    assert (record.ending, client.aborted, record.error) == (
        Ending.GATEWAY_FAILED, True, "gateway_unavailable: The gateway is stopping.",
    )  # fmt: skip
    assert record.bill.cost_nanos == PROMPT + 4_000


async def test_a_refused_usage_option_is_settled_once_with_both_attempts() -> None:
    scene = await stage(refused(), ok(FIRST, FINISH, USAGE, DONE), ready=False).with_key()
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    assert (len(record.attempts), record.bill.charge_nanos) == (2, 12_000)
    assert [entry.kind for entry in await scene.entries(record)] == [EntryKind.PLACE, EntryKind.CAPTURE]
    assert None not in scene.upstream.clearances, "each new connection is cleared"


async def test_the_books_know_before_a_new_connection_is_used_and_not_before() -> None:
    sent: list[bool] = []

    class Watched(FakeCall):
        async def head(self) -> Head:
            sent.extend([await self.says()])
            head = await super().head()
            sent.extend([await self.says()])
            return head

        async def says(self) -> bool:
            (hold,) = await scene.store.open_holds()
            return hold.sent

    for ready in (False, True):
        scene = await stage(Watched(ok().answer, [FIRST, FINISH, USAGE, DONE]), ready=ready).with_key()
        await scene.play(post("/v1/chat/completions", CHAT, BEARER), FakeClient())
    assert sent == [False, True, True, True]


class Unwilling(MemoryStore):
    """Takes holds, and nothing that says that they were sent."""

    async def submit(self, command: Command) -> Outcome:
        if isinstance(command, Checkpoint):
            await asyncio.Event().wait()
        return await super().submit(command)


async def test_what_cannot_be_cleared_is_not_sent_and_given_back() -> None:
    call, client = FakeCall(ok().answer, [FIRST]), FakeClient()
    scene = await stage(call, ready=False, store=Unwilling()).with_key()
    record = await scene.play(post("/v1/chat/completions", CHAT, BEARER), client)
    assert (client.status, call.sent, record.ending) == (503, False, Ending.NEVER_SENT)
    assert (record.bill.settled, record.bill.charge_nanos, record.bill.cost_nanos) == (Settled.VOIDED, 0, 0)


async def test_a_batch_and_its_results_are_one_charge() -> None:
    created, done = b'{"id":"batch_1","object":"batch"}', b'{"id":"batch_1","object":"batch","output_file_id":"file-7"}'
    lines = [(b"content-type", b"application/octet-stream")]
    results = (FakeCall(Head(200, lines), [BATCH_LINE * 2]) for _ in range(2))
    calls = (FakeCall(Head(200, JSON), [body]) for body in (created, done))
    scene = await stage(*calls, *results).with_key(AccountKind.POSTPAID)
    records = [
        await scene.play(Request(method, path, b"", [BEARER], body), FakeClient())
        for method, path, body in (
            ("POST", "/v1/batches", b'{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}'),
            ("GET", "/v1/batches/batch_1", b""),
            ("GET", "/v1/files/file-7/content", b""),
            ("GET", "/v1/files/file-7/content", b""),
        )
    ]
    assert [record.bill.charge_nanos for record in records] == [None, None, 2 * 12_000, None]
    assert (await scene.account()).posted_nanos == CREDIT - 24_000


class FailsAtTheEnd(FakeClient):
    """Takes everything but the end."""

    async def end(self, trailers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        del trailers
        raise RuntimeError("a fault of ours")


async def test_a_poll_that_counted_is_charged_though_its_answer_failed_in_the_end() -> None:
    queued = b'{"id":"resp_1","object":"response","status":"queued","model":"gpt-5","usage":null}'
    output = b'[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}]'
    usage = b'{"input_tokens":5,"output_tokens":7,"total_tokens":12}'
    whole = queued.replace(b'"queued"', b'"completed","output":' + output).replace(b"null", usage)
    scene = await stage(*(FakeCall(Head(200, JSON), [body]) for body in (queued, whole, whole))).with_key(
        AccountKind.POSTPAID
    )
    poll = Request("GET", "/v1/responses/resp_1", b"", [BEARER], b"")
    await scene.play(post("/v1/responses", b'{"model":"gpt-5","input":"hi","background":true}', BEARER), FakeClient())
    bills = [(await scene.play(poll, client)).bill for client in (FailsAtTheEnd(), FakeClient())]
    assert [bill.cost_nanos for bill in bills] == [5_000 + 14_000, None]
    assert (await scene.account()).posted_nanos == CREDIT - sum(bill.charge_nanos or 0 for bill in bills)
    assert bills[0].charge_nanos, "nobody else will be charged for it"


async def test_observers_are_told_of_every_exchange_and_cannot_harm_it() -> None:
    seen: list[str] = []
    troubles: list[Any] = []

    class Noting:
        def saw(self, record: Record) -> None:
            seen.append(record.exchange_id)

    class Failing:
        def saw(self, record: Record) -> None:
            raise RuntimeError(record.exchange_id)

    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context["exception"]))
    scene = stage(ok(FIRST, FINISH, USAGE, DONE))
    scene.gateway = replace(scene.gateway, observers=(Failing(), Noting()))
    served = await scene.play(post("/v1/chat/completions", CHAT), FakeClient())
    refused = await scene.play(post("/v1/nothing", b"{}"), FakeClient())
    await asyncio.sleep(0)
    assert seen == [served.exchange_id, refused.exchange_id]
    assert [str(trouble) for trouble in troubles] == seen
