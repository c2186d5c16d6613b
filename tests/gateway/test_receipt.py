"""What an exchange cost, told to its client."""

import pytest

from headgate.errors import UpstreamCut
from headgate.framing.sse import ServerSentEvents
from headgate.gateway.appraise import Appraisal
from headgate.gateway.receipt import (
    ANNOUNCED,
    COST,
    INPUT,
    OUTPUT,
    Trailers,
    comment,
    receipt,
    takes_comment,
    takes_trailers,
)
from headgate.gateway.upstream import Head
from headgate.records import Bill
from headgate.usage import Usage

from .fakes import (
    BEARER,
    CHAT,
    DONE,
    FINISH,
    FIRST,
    JSON,
    SSE,
    USAGE,
    FakeCall,
    FakeClient,
    deployment,
    ok,
    post,
    stage,
)

TE = (b"te", b"trailers")
ASKS = (b"x-headgate-receipt", b"comment")
STREAM = FIRST + FINISH + USAGE + DONE
SEEN = FIRST + FINISH + DONE
TOLD = [(COST, b"0.000012"), (INPUT, b"8"), (OUTPUT, b"2")]
COMMENT = b": headgate cost-usd=0.000012 input-tokens=8 output-tokens=2\n\n"


@pytest.mark.parametrize(
    ("te", "asked"),
    [
        (None, False),
        (b"", False),
        (b"trailers", True),
        (b"Trailers", True),
        (b"deflate;q=0.5, trailers", True),
        (b"trailers;q=1", True),
        (b"gzip", False),
        (b"x-trailers", False),
    ],
)
def test_who_takes_trailers(te: bytes | None, asked: bool) -> None:
    request = post("/", b"", *([] if te is None else [(b"te", te)]))
    assert takes_trailers(request, Trailers.ASKED) is asked
    assert takes_trailers(request, Trailers.ALWAYS)
    assert not takes_trailers(request, Trailers.NEVER)


@pytest.mark.parametrize(("value", "asked"), [(b"comment", True), (b" Comment ", True), (b"trailers", False)])
def test_who_takes_a_comment(value: bytes, asked: bool) -> None:
    assert takes_comment(post("/", b"", (b"x-headgate-receipt", value))) is asked
    assert not takes_comment(post("/", b""))


@pytest.mark.parametrize(
    ("bill", "usage", "told"),
    [
        (Bill("team", 9, 500_000_000, 600_000_000), Usage(input_tokens=3, output_tokens=4), ["0.60", "3", "4"]),
        (Bill(None, None, 500_000_000, None), Usage(input_tokens=3, output_tokens=4), ["0.50", "3", "4"]),
        (Bill("team", 9, 1, 0), Usage(), ["0.00"]),
        (Bill("team", 9, 1, 1), Usage(), ["0.000000001"]),
        (Bill("team", 9, 10**18 + 1, 10**18 + 1), Usage(), ["1000000000.000000001"]),
        (Bill("team", 9, None, None), Usage(output_tokens=4), ["4"]),
        (Bill(), Usage(), []),
    ],
)
def test_what_is_not_known_is_left_out_and_never_0(bill: Bill, usage: Usage, told: list[str]) -> None:
    assert [value.decode() for _, value in receipt(Appraisal(bill, captures=True, usage=usage))] == told


def test_a_comment_is_one_that_every_parser_passes_over() -> None:
    text = comment(Appraisal(Bill("team", 9, 12_000, 12_000), captures=True, usage=Usage(8, output_tokens=2)))
    assert text == COMMENT
    assert list(ServerSentEvents().feed(text)) == []
    assert comment(Appraisal(Bill(), captures=False)).endswith(b"\n\n")


async def test_a_stream_of_a_known_length_has_no_trailers() -> None:
    """HTTP frames it by its length then: there is no last chunk for trailers to follow."""
    body = CHAT[:-1] + b',"stream_options":{"include_usage":true}}'
    call = ok(STREAM, headers=[*SSE, (b"content-length", str(len(STREAM)).encode())])
    scene, client = await stage(call).with_key(), FakeClient()
    await scene.play(post("/v1/chat/completions", body, BEARER, TE), client)
    assert (client.announced, client.trailers, client.body) == (False, (), STREAM)
    assert ANNOUNCED not in client.headers


async def test_a_refusal_tells_no_cost() -> None:
    scene, client = (
        await stage(FakeCall(Head(429, JSON), [b'{"error":{"message":"slow down"}}'])).with_key(),
        FakeClient(),
    )
    await scene.play(post("/v1/chat/completions", CHAT, BEARER, TE, ASKS), client)
    assert (client.announced, client.trailers) == (False, ())
    assert not {COST, INPUT, OUTPUT} & {name for name, _ in client.headers}


async def test_no_comment_where_the_stream_is_not_made_of_events() -> None:
    lines = b'{"model":"llama3","message":{"role":"assistant","content":"Hi"},"done":false}\n'
    lines += b'{"model":"llama3","done":true,"prompt_eval_count":8,"eval_count":2}\n'
    call = ok(lines, headers=[(b"content-type", b"application/x-ndjson")])
    scene, client = await stage(call, deployments=[deployment("ollama")]).with_key(), FakeClient()
    await scene.play(post("/api/chat", b'{"model":"llama3","messages":[]}', BEARER, ASKS, TE), client)
    assert client.body == lines
    assert client.trailers == TOLD, "but trailers"


async def test_nothing_is_told_of_a_stream_that_broke_off_as_if_it_were_whole() -> None:
    scene, client = await stage(ok(FIRST, FINISH[:20], UpstreamCut("lost"))).with_key(), FakeClient()
    await scene.play(post("/v1/chat/completions", CHAT, BEARER, TE, ASKS), client)
    assert (client.aborted, client.ended, client.trailers) == (True, False, ())
    assert client.body == FIRST + FINISH[:20]
