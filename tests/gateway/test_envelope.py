"""What is held back, what goes on at once, and what of it the client sees."""

import pytest

from headgate.errors import UpstreamCut
from headgate.gateway.envelope import LARGEST, Envelope
from headgate.gateway.receipt import COST
from headgate.gateway.request import ClientGone
from headgate.gateway.upstream import Head
from headgate.records import Ending

from .fakes import BEARER, CHAT, IN, JSON, OUT, FakeCall, FakeClient, Step, post, stage

WHOLE = CHAT.replace(b'"stream":true,', b"")
CHOICES = b'[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"%b"}}]'
TOLD = b',"usage":{"prompt_tokens":8,"completion_tokens":2}}'
COSTS = str(8 * IN + 2 * OUT).encode()


def document(content: bytes = b"Hi") -> bytes:
    return b'{"id":"c1","choices":' + CHOICES % content + TOLD


def sized(body: bytes) -> list[tuple[bytes, bytes]]:
    return [*JSON, (b"content-length", str(len(body)).encode())]


async def test_what_is_put_is_kept_unless_something_has_to_go_out_for_it() -> None:
    client = FakeClient()
    envelope = Envelope(client)
    await envelope.start(200, JSON)
    assert not envelope.put(b" \n"), "a blank line opens it"
    assert envelope.put(b'{"a"')
    assert envelope.put(b" ")
    assert envelope.put(b":1}")
    assert not envelope.put(b" " * LARGEST), "too much opens it"
    assert not client.started
    await envelope.open()
    assert envelope.put(b"\n")
    client.keeps_up = False
    assert not envelope.put(b"\n")
    assert client.chunks == [b'{"a" :1}', b"\n"]


async def test_nothing_goes_out_before_it_is_opened() -> None:
    client = FakeClient()
    envelope = Envelope(client)
    await envelope.start(200, JSON, trailers=True)
    for piece in (b'{"a"', b":1}"):
        await envelope.write(piece)
    assert (client.started, envelope.started, envelope.sealed) == (False, False, True)
    await envelope.open([(b"x-more", b"1")])
    assert (client.status, client.headers, client.chunks) == (200, [*JSON, (b"x-more", b"1")], [b'{"a":1}'])
    assert not client.announced, "what trailers would say stands in the head"
    assert (envelope.sealed, client.ended) == (False, False)
    await envelope.open([(b"x-late", b"1")])
    await envelope.write(b" ")
    await envelope.end([(b"x-trailer", b"1")])
    assert (len(client.headers), client.chunks, client.ended) == (2, [b'{"a":1}', b" "], True)


async def test_ending_opens() -> None:
    client = FakeClient()
    envelope = Envelope(client)
    await envelope.start(204, [])
    await envelope.end()
    assert (client.status, client.chunks, client.ended) == (204, [], True)


async def test_one_without_a_head_has_nothing_to_open() -> None:
    client = FakeClient()
    await Envelope(client).open()
    assert not client.started


@pytest.mark.parametrize(("size", "sealed"), [(LARGEST, True), (LARGEST + 1, False)])
async def test_so_much_is_held_and_no_more(size: int, sealed: bool) -> None:
    client = FakeClient()
    envelope = Envelope(client)
    await envelope.start(200, JSON)
    await envelope.write(b"[" + bytes(size - 2))
    assert envelope.sealed
    await envelope.write(b"]")
    assert envelope.sealed is sealed
    assert len(client.body) == (0 if sealed else size)


@pytest.mark.parametrize("blank", [b"\n", b" ", b"\r\n\t"])
async def test_a_provider_that_keeps_the_connection_alive_is_passed_on_at_once_7_14(blank: bytes) -> None:
    client = FakeClient()
    envelope = Envelope(client)
    await envelope.start(200, JSON)
    for n in (1, 2, 3):
        await envelope.write(blank)
        assert client.chunks == [blank] * n
    await envelope.write(b"{")
    assert client.chunks[-1] == b"{"


async def test_a_blank_line_within_a_document_is_no_such_sign() -> None:
    client = FakeClient()
    envelope = Envelope(client)
    await envelope.start(200, JSON)
    await envelope.write(b"{")
    await envelope.write(b"\n")
    assert not client.started


async def test_a_length_that_is_not_kept_is_not_told() -> None:
    client = FakeClient()
    envelope = Envelope(client)
    await envelope.start(200, sized(document()))
    await envelope.write(document()[:-1])
    await envelope.open(resized=True)
    assert client.headers == JSON


async def test_who_has_left_is_told_nothing() -> None:
    client = FakeClient()
    envelope, called = Envelope(client), list[str]()
    envelope.on_gone(lambda: called.append("gone"))
    await envelope.start(200, JSON)
    client.leave()
    assert (envelope.gone, called) == (True, ["gone"])
    await envelope.write(b"{")
    with pytest.raises(ClientGone):
        await envelope.end()
    assert not client.started
    envelope.abort()
    assert client.aborted


async def test_a_large_document_passes_as_it_comes_and_is_paid_all_the_same() -> None:
    body, client = document(b"x" * (LARGEST + 9)), FakeClient()
    cut, seen = LARGEST + 1, list[int]()
    steps: list[Step | str] = [body[:cut], lambda: seen.append(len(client.body)), body[cut:]]
    scene = await stage(FakeCall(Head(200, sized(body)), steps)).with_key()
    record = await scene.play(post("/v1/chat/completions", WHOLE, BEARER), client)
    assert (seen, client.body == body, client.ended) == ([cut], True, True)
    assert COST not in dict(client.headers)
    assert (record.ending, str(record.bill.charge_nanos).encode()) == (Ending.COMPLETE, COSTS)


async def test_a_large_document_that_breaks_off_breaks_the_connection() -> None:
    body = document(b"x" * (LARGEST + 9))
    steps: list[Step | str] = [body[: LARGEST + 1], UpstreamCut("lost")]
    scene, client = await stage(FakeCall(Head(200, sized(body)), steps)).with_key(), FakeClient()
    record = await scene.play(post("/v1/chat/completions", WHOLE, BEARER), client)
    assert (client.ended, client.aborted, record.status) == (False, True, 200)
    assert record.ending is Ending.UPSTREAM_CUT


async def test_blank_lines_before_a_document_reach_the_client_while_it_waits() -> None:
    seen: list[bytes] = []
    client = FakeClient()
    steps: list[Step | str] = [b"\n", b"\n", lambda: seen.append(client.body), document()]
    scene = await stage(FakeCall(Head(200, JSON), steps)).with_key()
    record = await scene.play(post("/v1/chat/completions", WHOLE, BEARER), client)
    assert (seen, client.body, client.ended) == ([b"\n\n"], b"\n\n" + document(), True)
    assert str(record.bill.charge_nanos).encode() == COSTS
