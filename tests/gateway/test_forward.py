import json

import pytest

from headgate.dialects.base import Ask
from headgate.errors import UpstreamTimeout
from headgate.gateway.admit import Admission
from headgate.gateway.forward import Farewell, Forwarded, Forwarder, prepare
from headgate.gateway.locate import locate
from headgate.gateway.request import Opening, Request
from headgate.gateway.upstream import Head, TimeLimits
from headgate.providers.base import OnClientGone
from headgate.records import Ending
from headgate.routing.models import Route

from .fakes import CHAT, DONE, FIRST, HANG, JSON, FakeCall, FakeClient, FakeUpstream, deployment, ok, post


def admission(request: Request) -> Admission:
    place = locate(request)
    ask = place.dialect.read_ask(request.body, request.headers) if place.dialect else Ask()
    return Admission(request, place, ask, None)


def route(name: str, model: str | None = "gpt-4o-mini") -> Route:
    return Route(deployment(name), model)


async def run(call: FakeCall, client: FakeClient, request: Request | None = None) -> Forwarded:
    asked = admission(request or post("/v1/chat/completions", CHAT))
    opening = Opening("ex_1", 0, 0, lambda: 5)
    return await Forwarder(FakeUpstream([call])).forward(asked, route("openai"), client, opening)


def test_usage_is_asked_for_only_where_it_must_be() -> None:
    asked = admission(post("/v1/chat/completions", CHAT))
    on_request, unasked = (prepare(asked, route(name), TimeLimits()) for name in ("openai", "mistral"))
    assert json.loads(on_request.request.body)["stream_options"] == {"include_usage": True}
    assert on_request.strip is not None
    assert (unasked.request.body, unasked.strip) == (CHAT, None)


def test_a_client_that_asks_itself_keeps_the_frame() -> None:
    body = CHAT[:-1] + b',"stream_options":{"include_usage":true}}'
    outgoing = prepare(admission(post("/v1/chat/completions", body)), route("openai"), TimeLimits())
    assert (outgoing.request.body, outgoing.strip) == (body, None)


def test_the_query_passes() -> None:
    request = Request("POST", "/v1/messages", b"beta=true", [], b'{"model":"claude-haiku-4-5","messages":[]}')
    outgoing = prepare(admission(request), route("anthropic", "claude-haiku-4-5"), TimeLimits())
    assert outgoing.request.target == b"/v1/messages?beta=true"


def test_the_model_is_edited_in_place() -> None:
    body = b'{"messages":[], "model" : "openai/gpt-4o-mini"}'
    outgoing = prepare(admission(post("/v1/chat/completions", body)), route("openai"), TimeLimits())
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


async def test_a_document_that_breaks_off_breaks_the_connection() -> None:
    client = FakeClient()
    body = CHAT.replace(b'"stream":true,', b"")
    call = ok(b'{"id":"c1",', UpstreamTimeout("silent"), headers=[*JSON, (b"content-length", b"900")])
    forwarded = await run(call, client, post("/v1/chat/completions", body))
    assert (client.aborted, client.ended, forwarded.ending) == (True, False, Ending.UPSTREAM_CUT)
    assert client.body == b'{"id":"c1",'


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
