import json
from dataclasses import replace

import pytest

from headgate.dialects.base import Ask
from headgate.errors import HeadgateError, UpstreamTimeout
from headgate.framing.eventstream import encode
from headgate.gateway.admit import Admission
from headgate.gateway.answering import Forwarded
from headgate.gateway.forward import Farewell, Forwarder, prepare
from headgate.gateway.holder import NOBODY
from headgate.gateway.live import Running
from headgate.gateway.locate import locate
from headgate.gateway.request import Opening, Request
from headgate.gateway.upstream import Head
from headgate.providers.base import OnClientGone, Secret, TimeLimits
from headgate.records import Ending
from headgate.routing.models import Route

from .fakes import CHAT, DONE, FIRST, HANG, JSON, FakeCall, FakeClient, FakeUpstream, deployment, ok, post, stage


def admission(request: Request) -> Admission:
    place = locate(request)
    ask = place.dialect.read_ask(request.body, request.headers) if place.dialect else Ask()
    return Admission(request, place, ask, NOBODY)


def route(name: str, model: str | None = "gpt-4o-mini") -> Route:
    return Route(deployment(name), model)


async def unconcluded(forwarded: Forwarded) -> Forwarded:
    return forwarded


async def forward(call: FakeCall, asked: Admission, to: Route, client: FakeClient) -> Forwarded:
    running = Running(Opening("ex_1", 0, 0, lambda: 5), asked, to, None, stage().gateway.appraiser)
    return await Forwarder(FakeUpstream([call])).forward(running, client, unconcluded)


async def run(call: FakeCall, client: FakeClient, request: Request | None = None) -> Forwarded:
    asked = admission(request or post("/v1/chat/completions", CHAT))
    return await forward(call, asked, route("openai"), client)


def test_usage_is_asked_for_only_where_it_must_be() -> None:
    asked = admission(post("/v1/chat/completions", CHAT))
    on_request, unasked = (prepare(asked, route(name), TimeLimits(), 0) for name in ("openai", "mistral"))
    assert json.loads(on_request.request.body)["stream_options"] == {"include_usage": True}
    assert on_request.strip is not None
    assert (unasked.request.body, unasked.strip) == (CHAT, None)


def test_a_client_that_asks_itself_keeps_the_frame() -> None:
    body = CHAT[:-1] + b',"stream_options":{"include_usage":true}}'
    outgoing = prepare(admission(post("/v1/chat/completions", body)), route("openai"), TimeLimits(), 0)
    assert (outgoing.request.body, outgoing.strip) == (body, None)


def test_the_query_passes() -> None:
    request = Request("POST", "/v1/messages", b"beta=true", [], b'{"model":"claude-haiku-4-5","messages":[]}')
    outgoing = prepare(admission(request), route("anthropic", "claude-haiku-4-5"), TimeLimits(), 0)
    assert outgoing.request.target == b"/v1/messages?beta=true"


def test_a_path_may_lead_to_an_address_of_its_own() -> None:
    path = "/v1/projects/p-1/locations/europe-west4/publishers/google/models/vertex%2Fgemini-3:generateContent"
    outgoing = prepare(admission(post(path, b"{}")), route("vertex", "gemini-3"), TimeLimits(), 0)
    assert outgoing.request.origin.host == "europe-west4-aiplatform.googleapis.com"
    assert outgoing.request.host == b"europe-west4-aiplatform.googleapis.com"
    assert outgoing.request.target.endswith(b"/models/gemini-3:generateContent")


def test_the_model_is_edited_in_place() -> None:
    body = b'{"messages":[], "model" : "openai/gpt-4o-mini"}'
    outgoing = prepare(admission(post("/v1/chat/completions", body)), route("openai"), TimeLimits(), 0)
    assert outgoing.request.body == b'{"messages":[], "model" : "gpt-4o-mini"}'


async def test_the_attempt_is_on_record() -> None:
    forwarded = await run(ok(DONE), FakeClient())
    attempt = forwarded.attempts[0]
    assert (attempt.provider, attempt.status, attempt.error) == ("openai", 200, None)


async def test_no_answer_in_time() -> None:
    client = FakeClient()
    forwarded = await run(FakeCall(UpstreamTimeout("The provider did not answer in time.")), client)
    assert (client.status, forwarded.ending) == (504, Ending.UPSTREAM_CUT)
    assert forwarded.attempts[0].status is None


async def test_a_document_that_breaks_off_is_a_whole_error() -> None:
    client = FakeClient()
    body = CHAT.replace(b'"stream":true,', b"")
    call = ok(b'{"id":"c1",', UpstreamTimeout("silent"), headers=[*JSON, (b"content-length", b"900")])
    forwarded = await run(call, client, post("/v1/chat/completions", body))
    assert (client.aborted, client.ended, forwarded.ending) == (False, True, Ending.UPSTREAM_CUT)
    assert (client.status, forwarded.status, forwarded.upstream_status) == (504, 504, 200)
    assert json.loads(client.body)["error"]["code"] == "upstream_timeout"
    assert forwarded.bytes_out == len(client.body)


async def test_a_stopping_gateway_says_so() -> None:
    call, client = ok(FIRST), FakeClient()
    call.steps = [FIRST, call.abort, HANG]
    forwarded = await run(call, client)
    assert forwarded.ending is Ending.GATEWAY_FAILED
    assert b"stopping" in client.body
    silent, client = FakeCall(HANG), FakeClient()
    silent.abort()
    assert (await run(silent, client)).ending is Ending.GATEWAY_FAILED
    assert client.status == 503


async def test_a_call_is_always_let_go() -> None:
    call = ok(FIRST, HANG)

    class Broken(FakeClient):
        async def write(self, chunk: bytes) -> None:
            raise RuntimeError(chunk)

    with pytest.raises(RuntimeError):
        await run(call, Broken())
    assert call.aborted


async def test_farewell_cuts_at_once_or_in_time() -> None:
    cut = ok()
    Farewell(cut, OnClientGone.CUT, 60.0)()
    assert cut.aborted
    drained = ok()
    farewell = Farewell(drained, OnClientGone.DRAIN, 60.0)
    farewell()
    assert not drained.aborted
    farewell.over()
    assert drained.aborted


async def test_head_without_a_body() -> None:
    forwarded = await run(FakeCall(Head(204, [])), FakeClient())
    assert forwarded.ending is Ending.INCOMPLETE
    assert forwarded.first_byte_ns is None


CONVERSE = "/model/amazon.nova-lite-v1%3A0/converse-stream"
EVENTS = [(b"content-type", b"application/vnd.amazon.eventstream")]
EVENT = encode({":message-type": "event", ":event-type": "messageStart"}, b'{"role":"assistant"}')
LAST = encode({":message-type": "event", ":event-type": "metadata"}, b'{"usage":{"inputTokens":3,"outputTokens":4}}')


def test_a_signature_covers_what_is_sent() -> None:
    """The model's prefix is gone, our headers are signed, and nothing is left of the client's own signature."""
    theirs = [
        (b"authorization", b"AWS4-HMAC-SHA256 theirs"), (b"x-amz-date", b"20000101T000000Z"),
        (b"x-amz-security-token", b"theirs"), (b"x-amz-content-sha256", b"theirs"), (b"x-kept", b"1"),
    ]  # fmt: skip
    path = CONVERSE.replace("amazon", "bedrock%2Famazon")
    asked = admission(Request("POST", path, b"", theirs, b"{}"))
    secrets = {"access_key_id": Secret("AKID"), "secret_access_key": Secret("s"), "session_token": Secret("ours")}
    aws = replace(deployment("bedrock"), credential=None, options={"region": "us-east-1"}, secrets=secrets)
    sent = prepare(asked, Route(aws, "amazon.nova-lite-v1:0"), TimeLimits(), 1_795_183_629 * 10**9).request
    assert sent.target == b"/model/amazon.nova-lite-v1%3A0/converse-stream"
    assert [name for name, _ in sent.headers].count(b"authorization") == 1
    assert not any(b"theirs" in value for _, value in sent.headers)
    headers = dict(sent.headers)
    assert headers[b"x-kept"] == b"1"
    assert (headers[b"x-amz-date"], headers[b"x-amz-security-token"]) == (b"20261120T140709Z", b"ours")
    assert b"SignedHeaders=accept-encoding;host;x-amz-date;x-amz-security-token;x-kept," in headers[b"authorization"]


async def converse(*steps: bytes | HeadgateError) -> tuple[FakeClient, Forwarded]:
    client = FakeClient()
    asked = admission(post(CONVERSE, b"{}"))
    call = ok(*steps, headers=EVENTS)
    return client, await forward(call, asked, route("bedrock", None), client)


async def test_a_binary_stream_that_breaks_off_between_frames_is_told() -> None:
    client, forwarded = await converse(EVENT, UpstreamTimeout("silent"))
    told = client.body.removeprefix(EVENT)
    assert b"modelTimeoutException" in told
    assert b"silent" in told
    assert (client.ended, client.aborted, forwarded.ending) == (True, False, Ending.UPSTREAM_CUT)


@pytest.mark.parametrize("part", [EVENT[:30], EVENT[:-1] + b"?"])
async def test_a_binary_stream_that_breaks_off_elsewhere_is_broken(part: bytes) -> None:
    client, forwarded = await converse(EVENT, part, UpstreamTimeout("silent"))
    assert client.body == EVENT + part
    assert (client.ended, client.aborted, forwarded.ending) == (False, True, Ending.UPSTREAM_CUT)


async def test_a_binary_stream_that_breaks_after_its_own_end_is_whole() -> None:
    client, forwarded = await converse(EVENT, LAST, UpstreamTimeout("silent"))
    assert client.body == EVENT + LAST
    assert (client.ended, client.aborted, forwarded.ending) == (True, False, Ending.COMPLETE)
