import asyncio
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.errors import BadRequest, Busy, UpstreamCut
from headgate.gateway.upstream import CallAborted, Head, Upstream
from headgate.net.client import HttpUpstream
from headgate.providers.base import Origin

from .wire import (
    LOOPS,
    MIB,
    OK,
    LoopFactory,
    Wire,
    ask,
    black_hole,
    calling,
    fetch,
    forever,
    idle,
    leaves_nothing,
    on_each_loop,
    read_all,
    serve,
    server_tls,
    silent,
)


def test_it_fulfils_the_protocol() -> None:
    upstream: Upstream = HttpUpstream()
    assert upstream


@pytest.mark.parametrize("tls", [False, True])
@on_each_loop
async def test_requests_one_after_the_other_share_a_connection(tls: bool) -> None:
    script = forever(b"HTTP/1.1 201 Created\r\nX-B: 2\r\ncontent-length: 2\r\n\r\n", b"ok")
    async with serve(script, tls=server_tls() if tls else None) as server, calling() as upstream:
        for _ in range(3):
            call = upstream.open(ask(server.origin))
            assert await call.head() == Head(201, [(b"x-b", b"2"), (b"content-length", b"2")])
            assert idle(upstream, server.origin) == 0
            assert await read_all(call) == b"ok"
            assert idle(upstream, server.origin) == 1
            call.abort()
            assert await call.read() == b"", "the end stays the end"
            assert idle(upstream, server.origin) == 1
        assert server.accepted == 1
        assert (
            server.requests == [b"POST /v1/x HTTP/1.1\r\nhost: api.test\r\nx-a: 1\r\ncontent-length: 2\r\n\r\n{}"] * 3
        )


@on_each_loop
async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    async with serve(forever(OK)) as server, calling() as upstream:
        calls = [upstream.open(ask(server.origin)) for _ in range(20)]
        assert [body for _, body in await asyncio.gather(*map(fetch, calls))] == [b"ok"] * 20
        assert server.accepted == 20
        assert idle(upstream, server.origin) == 20


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    ],
)
@on_each_loop
async def test_not_reused_after(answer: bytes) -> None:
    async with serve(forever(answer)) as server, calling() as upstream:
        for _ in range(2):
            _, body = await fetch(upstream.open(ask(server.origin)))
            assert body == b"ok"
        assert server.accepted == 2


@on_each_loop
async def test_a_request_would_go_out_at_once_where_a_connection_waits() -> None:
    async with serve(forever(OK)) as server, serve(forever(OK)) as other, calling() as upstream:
        assert not upstream.ready(server.origin)
        await fetch(upstream.open(ask(server.origin)))
        assert (upstream.ready(server.origin), upstream.ready(other.origin)) == (True, False)
        call = upstream.open(ask(server.origin))
        assert not upstream.ready(server.origin), "it is in use"
        await fetch(call)
        assert upstream.ready(server.origin)


@on_each_loop
async def test_not_reused_when_the_body_was_not_read_to_its_end() -> None:
    async with serve(forever(OK)) as server, calling() as upstream:
        for _ in range(2):
            call = upstream.open(ask(server.origin))
            assert await call.head()
            assert await call.read() == b"ok"
            call.abort()
        assert server.accepted == 2


@on_each_loop
async def test_a_connection_read_with_backpressure_is_reused_unpaused() -> None:
    size = 4 * MIB
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"a" * size
    async with serve(forever(answer)) as server, calling() as upstream:
        for _ in range(3):
            call = upstream.open(ask(server.origin))
            await call.head()
            while call._connection is None or not call._connection._reading_paused:
                await asyncio.sleep(0.001)
            assert len(await read_all(call)) == size
        assert server.accepted == 1


@on_each_loop
async def test_a_connection_closed_while_idle_is_not_used_for_a_post() -> None:
    close = asyncio.Event()

    async def closing(wire: Wire) -> None:
        await wire.answer(OK)
        await close.wait()
        wire.close()

    async with serve(closing, forever(OK)) as server, calling() as upstream:
        await fetch(upstream.open(ask(server.origin)))
        assert idle(upstream, server.origin) == 1
        close.set()
        while upstream._pool._idle[server.origin][0].connection.alive:
            await asyncio.sleep(0.001)
        _, body = await fetch(upstream.open(ask(server.origin)))
        assert body == b"ok"
        assert server.accepted == 2


@on_each_loop
async def test_what_could_smuggle_a_second_request_is_refused_before_anything_is_sent() -> None:
    async with serve(silent) as server, calling() as upstream:
        for hostile in (
            ask(server.origin, target=b"/a HTTP/1.1\r\n\r\nGET /b"),
            replace(ask(server.origin), headers=[(b"x", b"1\r\n\r\nGET /b HTTP/1.1")]),
            replace(ask(server.origin), headers=[(b"content-length", b"0")]),
        ):
            with pytest.raises(BadRequest):
                upstream.open(hostile)
        assert not upstream._calls
        assert server.accepted == 0


@on_each_loop
async def test_closing_the_client_aborts_its_calls() -> None:
    async with black_hole() as hole, serve(forever(OK), silent) as server, calling() as upstream:
        await fetch(upstream.open(ask(server.origin)))
        calls = [upstream.open(ask(hole)), *[upstream.open(ask(server.origin)) for _ in range(3)]]
        waiting = [asyncio.ensure_future(read_all(call)) for call in calls]
        await asyncio.sleep(0.02)
        await upstream.aclose()
        await asyncio.sleep(0)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if outcome != b"ok"] == [CallAborted] * 3
        with pytest.raises(Busy):
            upstream.open(ask(server.origin))


async def moody(wire: Wire) -> None:
    """Echo each request's body in one of many ways, and now and then do something rude."""
    mood = Random(1)
    while True:
        request = await wire.request()
        name = request.partition(b"\r\n\r\n")[2]
        whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(name), name)
        chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(name), name)
        match mood.randrange(10):
            case 0:
                await wire.send(whole[:-1])
                return wire.reset()
            case 1:
                await wire.send(whole)
                return wire.close()
            case 2:
                await wire.send(whole + whole)
            case 3:
                await wire.send(chunked, b"x")
            case 4 | 5 | 6:
                await wire.send(chunked, b"0\r\n\r\n")
            case _:
                await wire.send(whole[:-1], whole[-1:])


@on_each_loop
async def test_whatever_happens_to_other_calls_an_answer_is_the_answer_to_its_own_request() -> None:
    chance, answered = Random(2), 0

    async def call_again_and_again(upstream: HttpUpstream, origin: Origin, caller: int) -> None:
        nonlocal answered
        for number in range(60):
            name = b"%d/%d " % (caller, number) * chance.choice([1, 10, 10_000])
            call = upstream.open(ask(origin, body=name))
            if chance.random() < 0.3:
                asyncio.get_running_loop().call_later(chance.random() * 0.002, call.abort)
            try:
                _, body = await fetch(call)
            except (UpstreamCut, CallAborted):
                continue
            finally:
                call.abort()
            assert body == name
            answered += 1

    async with serve(moody) as server, calling() as upstream:
        await asyncio.gather(*[call_again_and_again(upstream, server.origin, caller) for caller in range(8)])
        assert not upstream._calls
        assert answered > 100
        assert server.accepted < 480


@dataclass(frozen=True)
class Plan:
    """An answer, how it is framed, and where its bytes are split."""

    status: int
    headers: list[tuple[bytes, bytes]]
    pieces: list[bytes]
    framing: str
    version: bytes
    connection: bytes
    interim: bool
    trailers: bool
    splits: list[float]

    @property
    def ends_by_closing(self) -> bool:
        return self.framing == "close" and self.status not in {204, 304}

    @property
    def stays(self) -> bool:
        return self.version == b"1.1" and self.connection != b"close" and not self.ends_by_closing

    def wire(self) -> bytes:
        """The bytes of it."""
        bodyless = self.status in {204, 304}
        pieces = [] if bodyless else self.pieces
        lines = [b"HTTP/%s %d Some Reason" % (self.version, self.status)]
        lines += [name + b":" + value for name, value in self.headers]
        if self.connection:
            lines.append(b"Connection: " + self.connection)
        body = b"".join(pieces)
        if self.framing == "chunked" and not bodyless:
            lines.append(b"Transfer-Encoding: chunked")
            body = b"".join(b"%X;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n"
            body += (b"x-trailer: 1\r\n" if self.trailers else b"") + b"\r\n"
        elif self.framing == "length" and not bodyless:
            lines.append(b"Content-Length: %d" % len(body))
        start = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" if self.interim else b""
        return start + b"\r\n".join(lines) + b"\r\n\r\n" + body

    def split(self) -> list[bytes]:
        """The bytes in the pieces that are written."""
        data = self.wire()
        cuts = sorted({0, len(data), *(int(part * len(data)) for part in self.splits)})
        return [data[start:end] for start, end in pairwise(cuts)]


header = st.tuples(
    st.sampled_from([b"X-A", b"x-a", b"Content-Type", b"Set-Cookie", b"X-Request-Id"]),
    st.sampled_from([b"", b" 1", b"\t two words \t", b" caf\xc3\xa9", b' a,b; c="d"', b" " + b"long" * 300]),
)
plans = st.builds(
    Plan,
    status=st.sampled_from([200, 201, 204, 304, 400, 429, 500, 529]),
    headers=st.lists(header, max_size=5),
    pieces=st.lists(st.binary(max_size=40) | st.sampled_from([b"data: {}\n\n", b"a" * 70_000]), max_size=6),
    framing=st.sampled_from(["length", "chunked", "close"]),
    version=st.sampled_from([b"1.1", b"1.1", b"1.0"]),
    connection=st.sampled_from([b"", b"", b"keep-alive", b"close"]),
    interim=st.booleans(),
    trailers=st.booleans(),
    splits=st.lists(st.floats(0, 1), max_size=12),
).filter(lambda plan: plan.version == b"1.1" or (plan.framing != "chunked" and not plan.interim))

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


async def by_us(origin: Origin, count: int) -> list[Answer]:
    answers = []
    async with calling() as upstream:
        for number in range(count):
            head, body = await fetch(upstream.open(ask(origin, target=b"/%d" % number)))
            answers.append((head.status, list(head.headers), body))
    return answers


async def by_aiohttp(origin: Origin, count: int) -> list[Answer]:
    answers = []
    async with aiohttp.ClientSession(f"http://{origin.host}:{origin.port}", auto_decompress=False) as session:
        for number in range(count):
            async with session.post(f"/{number}", data=b"{}") as response:
                headers = [(name.lower(), value) for name, value in response.raw_headers]
                answers.append((response.status, headers, await response.read()))
    return answers


async def compare(plans: list[Plan]) -> None:
    """The same server is asked by both clients: what they read is the same, and ours dials only when it must."""

    async def script(wire: Wire) -> None:
        plan = None
        while plan is None or not plan.ends_by_closing:
            request = await wire.request()
            plan = plans[int(request.split(b" ")[1][1:])]
            await wire.send(*plan.split())
        wire.close()

    async with serve(script) as server:
        ours = await by_us(server.origin, len(plans))
        dialled = server.accepted
        assert ours == await by_aiohttp(server.origin, len(plans))
    assert dialled == 1 + sum(not plan.stays for plan in plans[:-1])


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
def test_any_valid_answer_is_read_as_aiohttp_reads_it(new_loop: LoopFactory) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:

        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(plans, min_size=1, max_size=4))
        def same(answers: list[Plan]) -> None:
            runner.run(leaves_nothing(compare(answers)))

        same()


@on_each_loop
async def test_a_client_that_is_retired_ends_its_calls_in_good_order_and_keeps_no_connection() -> None:
    async with serve(forever(OK)) as server, calling() as upstream:
        assert (await fetch(upstream.open(ask(server.origin))))[1] == b"ok"
        call = upstream.open(ask(server.origin))
        upstream.retire()
        assert (await fetch(call))[1] == b"ok"
        assert idle(upstream, server.origin) == 0
