import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from msgspec.structs import replace

from headgate.errors import Busy, HeadgateError, UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from headgate.gateway.upstream import Call, CallAborted, Head
from headgate.net.client_call import HttpCall
from headgate.net.connection import HIGH_WATER, Connection
from headgate.providers.base import Origin

from .wire import (
    MIB,
    OK,
    Wire,
    ask,
    black_hole,
    calling,
    fetch,
    forever,
    idle,
    on_each_loop,
    read_all,
    serve,
    server_tls,
    silent,
)

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def fails(error: type[HeadgateError], awaiting: Awaitable[object]) -> HeadgateError:
    with pytest.raises(error) as caught:
        await awaiting
    assert "127.0.0.1" not in str(caught.value)
    assert "Errno" not in str(caught.value)
    return caught.value


def test_it_fulfils_the_protocol() -> None:
    call: type[Call] = HttpCall
    assert call


@on_each_loop
async def test_a_pooled_connection_costs_no_task() -> None:
    async with serve(forever(OK)) as server, calling() as upstream:
        await fetch(upstream.open(ask(server.origin)))
        before = asyncio.all_tasks()
        call = upstream.open(ask(server.origin))
        assert asyncio.all_tasks() == before
        assert call.sent
        await fetch(call)


@on_each_loop
async def test_sent_tells_when_it_may_cost() -> None:
    async with serve(forever(OK)) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        assert not call.sent
        await fetch(call)
        assert call.sent


@on_each_loop
async def test_each_piece_is_handed_on_when_it_comes() -> None:
    taken = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED)
        for piece in (b"1\r\na\r\n", b"1\r\nb\r\n1\r\nc\r\n", b"2\r\nd", b"e\r\n"):
            taken.clear()
            await wire.send(piece)
            await taken.wait()
        await wire.send(b"0\r\n\r\n")

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        for expected in (b"a", b"bc", b"d", b"e"):
            assert await call.read() == expected
            taken.set()
        assert await call.read() == b""


@on_each_loop
async def test_bodies_that_end_with_the_connection() -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(b"HTTP/1.1 200 OK\r\n\r\n", b"hel", b"lo")
        wire.close()

    async with serve(script) as server, calling() as upstream:
        head, body = await fetch(upstream.open(ask(server.origin)))
        assert (head.status, body) == (200, b"hello")
        assert idle(upstream, server.origin) == 0


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
    ],
)
@on_each_loop
async def test_answers_without_a_body(method: bytes, answer: bytes) -> None:
    async with serve(forever(answer)) as server, calling() as upstream:
        for _ in range(2):
            _, body = await fetch(upstream.open(ask(server.origin, method, b"")))
            assert body == b""


@on_each_loop
async def test_interim_answers_are_passed_over() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    async with serve(forever(*interim, OK)) as server, calling() as upstream:
        for _ in range(2):
            assert await fetch(upstream.open(ask(server.origin))) == (Head(200, [(b"content-length", b"2")]), b"ok")
        assert server.accepted == 1


async def closes_on_the_second_request(wire: Wire) -> None:
    await wire.answer(OK)
    await wire.request()
    wire.close()


@on_each_loop
async def test_a_post_into_a_closing_connection_is_not_sent_twice() -> None:
    async with serve(closes_on_the_second_request, forever(OK)) as server, calling() as upstream:
        await fetch(upstream.open(ask(server.origin)))
        error = await fails(UpstreamCut, upstream.open(ask(server.origin)).head())
        assert not error.retry_safe
        assert str(error) == "The provider closed the connection without an answer."
        assert server.accepted == 1


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
@on_each_loop
async def test_a_get_into_a_closing_connection_is_sent_once_more(method: bytes) -> None:
    async def slam(wire: Wire) -> None:
        await wire.request()
        wire.reset()

    request = ask(Origin(tls=False, host="", port=0), method, b"")
    async with serve(closes_on_the_second_request, forever(OK)) as server, calling() as upstream:
        await fetch(upstream.open(ask(server.origin)))
        head, _ = await fetch(upstream.open(replace(request, origin=server.origin)))
        assert head.status == 200
        assert server.accepted == 2
    async with serve(closes_on_the_second_request, slam, forever(OK)) as server, calling() as upstream:
        await fetch(upstream.open(ask(server.origin)))
        await fails(UpstreamCut, upstream.open(replace(request, origin=server.origin)).head())
        assert server.accepted == 2


@on_each_loop
async def test_a_get_that_got_a_byte_is_not_sent_again() -> None:
    async def begins(wire: Wire) -> None:
        await wire.answer(OK)
        await wire.answer(b"HTTP/1.1 ")
        wire.close()

    async with serve(begins, forever(OK)) as server, calling() as upstream:
        await fetch(upstream.open(ask(server.origin)))
        await fails(UpstreamCut, upstream.open(ask(server.origin, b"GET", b"")).head())
        assert server.accepted == 1


@on_each_loop
async def test_bodies_of_any_size_arrive() -> None:
    bodies = [bytes(n % 251 for n in range(size)) for size in (0, 1, 64 * 1024, 64 * 1024 + 1, 3 * MIB + 7)]
    async with serve(forever(OK)) as server, calling() as upstream:
        for body in bodies:
            await fetch(upstream.open(ask(server.origin, body=body)))
        assert server.accepted == 1
        assert [request.partition(b"\r\n\r\n")[2] for request in server.requests] == bodies


@pytest.mark.parametrize("how", ["close", "reset", "stay"])
@pytest.mark.parametrize("tls", [False, True])
@on_each_loop
async def test_an_answer_that_comes_before_the_request_is_written_is_not_lost(how: str, tls: bool) -> None:
    async def script(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        await wire.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        if how == "stay":
            while await wire.reader.read(MIB):
                pass
        elif how == "reset":
            wire.reset()

    async with serve(script, tls=server_tls() if tls else None) as server, calling() as upstream:
        head, body = await fetch(upstream.open(ask(server.origin, body=bytes(100 * MIB))))
        assert (head.status, body) == (413, b"no")
        assert idle(upstream, server.origin) == 0


@on_each_loop
async def test_an_answer_may_stream_while_the_request_is_still_written() -> None:
    size = 20 * MIB

    async def script(wire: Wire) -> None:
        got = len(await wire.reader.readuntil(b"\r\n\r\n")) * 0
        await wire.send(CHUNKED, b"5\r\nearly\r\n")
        while got < size:
            got += len(await wire.reader.read(MIB))
        await wire.send(b"4\r\nlate\r\n0\r\n\r\n")
        assert await wire.ended()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, body=bytes(size)))
        await call.head()
        assert await call.read() == b"early"
        assert await read_all(call) == b"late"
        assert idle(upstream, server.origin) == 1


@on_each_loop
async def test_connecting_takes_too_long() -> None:
    async with black_hole() as hole, calling() as upstream:
        error = await fails(UpstreamUnreachable, upstream.open(ask(hole, connect=0.02)).head())
        assert str(error) == "Connecting to the provider took too long."


@on_each_loop
async def test_refused_again_and_again() -> None:
    async with serve(silent) as server:
        origin = server.origin
    async with calling() as upstream:
        call = upstream.open(ask(origin))
        for awaiting in (call.head, call.head, call.read):
            error = await fails(UpstreamUnreachable, awaiting())
            assert isinstance(error.__cause__, ConnectionRefusedError)
        assert not call.sent


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
@on_each_loop
async def test_the_head_takes_too_long(says: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(says)
        assert await wire.ended()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, first_byte=0.05))
        error = await fails(UpstreamTimeout, call.head())
        assert str(error) == "The provider did not begin to answer in time."
        await fails(UpstreamTimeout, call.read())


@on_each_loop
async def test_the_head_takes_too_long_while_nobody_looks() -> None:
    async with serve(silent) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, first_byte=0.02))
        while call._failure is None:
            await asyncio.sleep(0.01)
        await fails(UpstreamTimeout, call.head())


@pytest.mark.parametrize("first_byte", [600.0, 0.04])
@on_each_loop
async def test_silence_in_the_body(first_byte: float) -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED, b"1\r\na\r\n")
        assert await wire.ended()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, first_byte=first_byte, idle=0.05))
        await call.head()
        assert await call.read() == b"a"
        error = await fails(UpstreamTimeout, call.read())
        assert str(error) == "The provider fell silent in the middle of its answer."


@on_each_loop
async def test_a_long_stream_of_short_silences_is_none() -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED)
        for _ in range(8):
            await asyncio.sleep(0.2)
            await wire.send(b"1\r\na\r\n")
        await wire.send(b"0\r\n\r\n")

    async with serve(script) as server, calling() as upstream:
        _, body = await fetch(upstream.open(ask(server.origin, first_byte=1.2, idle=1.2)))
        assert body == b"a" * 8


@on_each_loop
async def test_a_stream_of_short_silences_has_an_end_all_the_same() -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED)
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(0.02)
                await wire.send(b"1\r\na\r\n")

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, first_byte=5.0, idle=5.0, total=0.3))
        await call.head()
        error = await fails(UpstreamTimeout, read_all(call))
        assert str(error) == "The provider did not finish its answer in time."


@pytest.mark.parametrize("says", [(), (CHUNKED, b"1\r\na\r\n")], ids=["before the head", "in the body"])
@on_each_loop
async def test_all_of_it_has_a_limit_while_nobody_looks(says: tuple[bytes, ...]) -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(*says)
        assert await wire.ended()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, first_byte=0.1, idle=0.02, total=0.05))
        if says:
            await call.head()
            assert await call.read() == b"a"
        while call._failure is None:
            await asyncio.sleep(0.01)
        await fails(UpstreamTimeout, call.read())


@on_each_loop
async def test_an_answer_that_has_come_whole_may_be_read_at_leisure() -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED, b"1\r\na\r\n0\r\n\r\n")
        assert await wire.ended()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, total=0.1))
        await call.head()
        await asyncio.sleep(0.2)
        assert await read_all(call) == b"a"


@on_each_loop
async def test_connecting_is_a_part_of_it() -> None:
    async with black_hole() as hole, calling() as upstream:
        error = await fails(UpstreamUnreachable, upstream.open(ask(hole, connect=60.0, total=0.02)).head())
        assert str(error) == "Connecting to the provider took too long."


@on_each_loop
async def test_a_client_that_drains_slowly_is_not_an_upstream_that_is_silent() -> None:
    resume = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED, b"1\r\na\r\n")
        await resume.wait()
        await wire.send(b"1\r\nb\r\n0\r\n\r\n")

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, first_byte=0.4, idle=0.4))
        await call.head()
        assert await call.read() == b"a"
        await asyncio.sleep(0.6)
        asyncio.get_running_loop().call_later(0.01, resume.set)
        assert await read_all(call) == b"b"


@on_each_loop
async def test_waiting_costs_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED, *[b"1\r\na\r\n"] * 50, b"0\r\n\r\n")

    async with serve(script) as server, calling() as upstream:
        armed = []
        call = upstream.open(ask(server.origin))
        limit = HttpCall._limit

        def watched(self: HttpCall, seconds: float) -> None:
            limit(self, seconds)
            armed.append(self._timer)

        monkeypatch.setattr(HttpCall, "_limit", watched)
        await fetch(call)
        assert len(armed) > 10
        assert len(set(map(id, armed))) == 1
        assert armed[0] is not None
        assert armed[0].cancelled()


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (b"", "The provider closed the connection without an answer."),
        (b"HTTP/1.1 200", "The provider's connection broke off in the middle of its answer."),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "The provider's connection broke off in the middle of its answer."),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
            "The provider's connection broke off in the middle of its answer.",
        ),
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
@on_each_loop
async def test_cut_before_or_in_the_head(says: bytes, told: str, how: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(says)
        await asyncio.sleep(0.01)  # a RST may overtake what was sent just before it
        wire.close() if how == "close" else wire.reset()

    async with serve(script) as server, calling() as upstream:
        error = await fails(UpstreamCut, upstream.open(ask(server.origin)).head())
        assert str(error) == told
        assert isinstance(error.__cause__, ConnectionResetError) == (how == "reset")


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
        CHUNKED + b"9\r\n",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
@on_each_loop
async def test_cut_in_the_body_after_what_was_said(start: bytes, how: str) -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(start, b"hello")
        await asyncio.sleep(0.01)
        wire.close() if how == "close" else wire.reset()

    if start.endswith(b"close\r\n\r\n") and how == "close":
        return  # that is its end

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        await asyncio.sleep(0.05)  # so that the cut is known before anything is read
        said = await call.read()
        while len(said) < 5:
            said += await call.read()
        assert said == b"hello"
        for _ in range(2):
            await fails(UpstreamCut, call.read())
        assert idle(upstream, server.origin) == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: 1\r\n 2\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx: \0\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n" + b"x: 1\r\n" * 50_000,
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 300_000,
        b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"<html>",
    ],
)
@on_each_loop
async def test_what_is_not_quite_http_is_cut_and_never_reused(answer: bytes) -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(answer)
        assert await wire.ended()

    async with serve(script, forever(OK)) as server, calling() as upstream:
        await fails(UpstreamCut, upstream.open(ask(server.origin)).head())
        _, body = await fetch(upstream.open(ask(server.origin)))
        assert body == b"ok"
        assert server.accepted == 2


@on_each_loop
async def test_a_bad_chunk_size_in_the_middle_of_a_stream() -> None:
    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED, b"1\r\na\r\n", b"-1\r\nb\r\n0\r\n\r\n")
        assert await wire.ended()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        assert await call.read() == b"a"
        await fails(UpstreamCut, call.read())


async def gives_up(call: HttpCall, awaiting: Awaitable[object]) -> None:
    """Abort while something awaits; it learns at once, and so does whoever asks later."""
    pending = asyncio.ensure_future(awaiting)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not pending.done()
    call.abort()
    call.abort()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert pending.done(), "at once"
    for late in (pending, call.head(), call.read()):
        with pytest.raises(CallAborted):
            await late


@on_each_loop
async def test_abort_while_tcp_connects() -> None:
    async with black_hole() as hole, calling() as upstream:
        call = upstream.open(ask(hole))
        await gives_up(call, call.head())
        assert not call.sent


@on_each_loop
async def test_abort_while_tls_is_agreed_on() -> None:
    async with serve(lambda wire: wire.reader.read()) as server, calling() as upstream:
        call = upstream.open(ask(Origin(tls=True, host="127.0.0.1", port=server.origin.port)))
        while not server.accepted:
            await asyncio.sleep(0.001)
        await gives_up(call, call.head())
        assert not call.sent


@on_each_loop
async def test_abort_before_anything_has_happened() -> None:
    async with serve(silent) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        call.abort()
        with pytest.raises(CallAborted):
            await call.head()


@on_each_loop
async def test_abort_in_the_moment_after_the_connection_is_made() -> None:
    async with serve(lambda wire: wire.ended()) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        dialling = call._dialling
        assert dialling is not None
        dialling.remove_done_callback(call._dialled)
        connection = await dialling
        call.abort()
        call._dialled(dialling)
        assert not connection.alive
        assert not call.sent


@pytest.mark.parametrize("reused", [False, True])
@on_each_loop
async def test_abort_while_the_provider_thinks(reused: bool) -> None:
    closed = asyncio.Event()

    async def script(wire: Wire) -> None:
        if reused:
            await wire.answer(OK)
        await wire.request()
        assert await wire.ended()
        closed.set()

    async with serve(script) as server, calling() as upstream:
        if reused:
            await fetch(upstream.open(ask(server.origin)))
        call = upstream.open(ask(server.origin))
        while not call.sent:
            await asyncio.sleep(0.001)
        await gives_up(call, call.head())
        await closed.wait()


@on_each_loop
async def test_abort_in_the_middle_of_the_body() -> None:
    closed = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED, b"1\r\na\r\n")
        assert await wire.ended()
        closed.set()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        assert await call.read() == b"a"
        await gives_up(call, call.read())
        await closed.wait()


@on_each_loop
async def test_abort_with_chunks_at_hand() -> None:
    async with serve(forever(OK)) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        call.abort()
        with pytest.raises(CallAborted):
            await call.read()


@on_each_loop
async def test_abort_while_a_large_body_is_written() -> None:
    async def script(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        while await wire.reader.read(MIB):
            pass

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, body=bytes(100 * MIB)))
        while not call.sent:
            await asyncio.sleep(0.001)
        await gives_up(call, call.head())


@on_each_loop
async def test_abort_while_reading_is_paused() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        wire.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n" + b"a" * (20 * MIB))
        with pytest.raises(ConnectionError):
            await wire.writer.drain()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        while call._response.buffered <= HIGH_WATER:
            await asyncio.sleep(0.001)
        call.abort()
        with pytest.raises(CallAborted):
            await call.read()


@on_each_loop
async def test_abort_after_a_failure() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        wire.close()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await fails(UpstreamCut, call.head())
        call.abort()
        with pytest.raises(CallAborted):
            await call.head()


@on_each_loop
async def test_a_cancelled_reader_can_still_abort() -> None:
    async with serve(silent) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        reader = asyncio.ensure_future(call.head())
        while not call.sent:
            await asyncio.sleep(0.001)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        call.abort()
        assert not upstream._calls


class Gate:
    """A clearance that takes its time, or refuses."""

    def __init__(self, refusal: Exception | None = None, *, is_open: bool = False) -> None:
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.refusal = refusal
        self.given_up = False
        if is_open:
            self.open.set()

    async def __call__(self) -> None:
        self.asked.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.given_up = True
            raise
        if self.refusal is not None:
            raise self.refusal


async def told_nothing(wire: Wire) -> None:
    """A provider that is connected to, and left without a byte."""
    assert await wire.ended()


@on_each_loop
async def test_no_byte_goes_out_before_the_clearance_and_all_of_them_after() -> None:
    seen: list[bool] = []

    async def script(wire: Wire) -> None:
        reading = asyncio.ensure_future(wire.request())
        await gate.asked.wait()
        for _ in range(20):
            await asyncio.sleep(0.001)
        seen.extend((reading.done(), call.sent))
        gate.open.set()
        await reading
        await wire.send(OK)

    gate = Gate()
    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin), gate)
        head, body = await fetch(call)
    assert (head.status, body, call.sent) == (200, b"ok", True)
    assert seen == [False, False]


@on_each_loop
async def test_a_clearance_takes_a_new_connection_which_is_kept_afterwards() -> None:
    async with serve(forever(OK)) as server, calling() as upstream:
        assert not upstream.ready(server.origin)
        await fetch(upstream.open(ask(server.origin), Gate(is_open=True)))
        assert upstream.ready(server.origin)
        await fetch(upstream.open(ask(server.origin), Gate(is_open=True)))
        assert (server.accepted, idle(upstream, server.origin)) == (2, 2)
        await fetch(upstream.open(ask(server.origin)))
        assert server.accepted == 2


@on_each_loop
async def test_a_clearance_that_is_refused_sends_nothing() -> None:
    refusal = Busy("The ledger is slow.")
    async with serve(told_nothing) as server, calling() as upstream:
        call = upstream.open(ask(server.origin), Gate(refusal, is_open=True))
        with pytest.raises(Busy) as caught:
            await call.head()
        assert caught.value is refusal
        assert (call.sent, server.requests, idle(upstream, server.origin)) == (False, [], 0)
        call.abort()


@on_each_loop
async def test_no_clearance_is_asked_for_without_a_connection() -> None:
    gate = Gate()
    async with serve(told_nothing) as server:
        nobody = server.origin
    async with calling() as upstream:
        call = upstream.open(ask(nobody), gate)
        await fails(UpstreamUnreachable, call.head())
        assert (call.sent, gate.asked.is_set()) == (False, False)


@pytest.mark.parametrize("ending", [Wire.close, Wire.reset])
@on_each_loop
async def test_a_connection_that_closes_before_anything_is_sent_is_none(ending: Callable[[Wire], None]) -> None:
    """It hung until the limit on the first byte: writing to a closed transport fails, or does nothing."""
    gate = Gate()

    async def script(wire: Wire) -> None:
        await gate.asked.wait()
        ending(wire)
        await asyncio.sleep(0.05)
        gate.open.set()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin), gate)
        await fails(UpstreamUnreachable, call.head())
        assert (call.sent, server.requests, idle(upstream, server.origin)) == (False, [], 0)


@on_each_loop
async def test_abort_while_the_clearance_is_waited_for() -> None:
    gate = Gate()
    async with serve(told_nothing) as server, calling() as upstream:
        call = upstream.open(ask(server.origin), gate)
        waiting = asyncio.ensure_future(call.head())
        await gate.asked.wait()
        call.abort()
        with pytest.raises(CallAborted):
            await waiting
        assert (call.sent, gate.given_up, server.requests) == (False, True, [])


@pytest.mark.parametrize("turns", range(12))
@on_each_loop
async def test_abort_at_any_turn_before_the_clearance_leaves_no_connection(turns: int) -> None:
    """Also in the turn in which the connection has just been made, and nobody has it yet."""
    async with serve(told_nothing) as server, calling() as upstream:
        call = upstream.open(ask(server.origin), Gate())
        for _ in range(turns):
            await asyncio.sleep(0)
        call.abort()
        with pytest.raises(CallAborted):
            await call.head()
        assert not call.sent


@on_each_loop
async def test_abort_in_the_moment_between_the_connection_and_its_clearance(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    async with serve(told_nothing) as server, calling() as upstream:
        pool, dialled = upstream._pool, list[asyncio.Task[Connection]]()
        dial = pool.dial

        def watched(origin: Origin, limit: float) -> asyncio.Task[Connection]:
            dialled.append(dial(origin, limit))
            dialled[0].add_done_callback(lambda _: call.abort())
            return dialled[0]

        monkeypatch.setattr(pool, "dial", watched)
        call = upstream.open(ask(server.origin), gate)
        with pytest.raises(CallAborted):
            await call.head()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not dialled[0].cancelled()
        assert not dialled[0].result().alive
        assert not gate.asked.is_set()


class Taker:
    """A sink that takes what it is offered, until told otherwise, and knows at once what has come."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.takes = True
        self.changed = asyncio.Event()

    def __call__(self, chunk: bytes) -> bool:
        if self.takes:
            self.taken.append(chunk)
        self.changed.set()
        return self.takes

    async def next(self) -> None:
        await self.changed.wait()
        self.changed.clear()

    def reading(self, call: HttpCall) -> asyncio.Task[bytes]:
        """Somebody waits for the next bytes; the script may go on, if it waits for that."""
        task = asyncio.ensure_future(call.read(self))
        task.get_loop().call_soon(self.changed.set)
        return task


@on_each_loop
async def test_a_sink_is_given_what_comes_while_the_reader_waits() -> None:
    """And nobody is woken for it, until the end."""
    taker = Taker()

    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED)
        await taker.next()
        for piece in (b"1\r\na\r\n", b"1\r\nb\r\n1\r\nc\r\n", b"2\r\nd", b"e\r\n"):
            await wire.send(piece)
            await taker.next()
        await wire.send(b"1\r\nf\r\n0\r\n\r\n")

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        assert await taker.reading(call) == b""
        assert taker.taken == [b"a", b"bc", b"d", b"e", b"f"]
        assert idle(upstream, server.origin) == 1


@on_each_loop
async def test_what_the_sink_does_not_take_is_read_in_its_turn() -> None:
    taker = Taker()

    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED)
        for piece, takes in ((b"a", True), (b"b", False), (b"c", True)):
            await taker.next()
            taker.takes = takes
            await wire.send(b"1\r\n" + piece + b"\r\n")
            await taker.next()
            if takes:
                taker.changed.set()
        await wire.send(b"0\r\n\r\n")

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        assert await taker.reading(call) == b"b"
        assert await taker.reading(call) == b""
        assert taker.taken == [b"a", b"c"]


@on_each_loop
async def test_a_sink_is_offered_nothing_before_what_is_already_there() -> None:
    """Nor while nobody reads, and what it refuses stops the reading from the socket where it is too much."""
    taker = Taker()
    taker.takes = False
    size = 8 * MIB

    async def script(wire: Wire) -> None:
        await wire.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        await wire.send(bytes(size))

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        reading = asyncio.ensure_future(call.read(taker))
        while call._response.buffered <= HIGH_WATER:
            await asyncio.sleep(0.001)
        assert call._response.buffered < size
        taker.takes = True
        total = len(await reading)
        while chunk := await call.read(taker):
            total += len(chunk)
        assert total + sum(map(len, taker.taken)) == size


@on_each_loop
async def test_what_a_sink_takes_does_not_stop_the_reading() -> None:
    taker = Taker()
    size = 8 * MIB

    async def script(wire: Wire) -> None:
        await wire.answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        await wire.send(bytes(size))

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        first = len(call._response.chunks[0]) if call._response.chunks else 0
        rest = await call.read(taker) if first else b""
        assert await call.read(taker) == b""
        assert len(rest) + sum(map(len, taker.taken)) == size


class Fault(Exception):
    """A fault in whoever takes the chunks."""


class Faulty(Taker):
    """Fails."""

    def __call__(self, chunk: bytes) -> bool:
        raise Fault(chunk)


class Aborting(Taker):
    """Aborts the call whose chunks it is offered."""

    call: HttpCall

    def __call__(self, chunk: bytes) -> bool:
        self.call.abort()
        return super().__call__(chunk)


@on_each_loop
async def test_a_fault_in_the_sink_is_its_readers(caplog: pytest.LogCaptureFixture) -> None:
    taker = Faulty()

    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED)
        await taker.next()
        await wire.send(b"1\r\na\r\n")
        assert await wire.ended()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        with pytest.raises(Fault, match="a"):
            await taker.reading(call)
        call.abort()
    assert not caplog.records, "neither the loop nor the connection has seen it"


@pytest.mark.parametrize("takes", [True, False])
@on_each_loop
async def test_a_sink_may_abort_the_call(takes: bool) -> None:
    taker = Aborting()
    taker.takes = takes

    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED)
        await taker.next()
        await wire.send(b"1\r\na\r\n")
        assert await wire.ended()

    async with serve(script) as server, calling() as upstream:
        taker.call = call = upstream.open(ask(server.origin))
        await call.head()
        with pytest.raises(CallAborted):
            await taker.reading(call)
        assert (call._timer, call._sink) == (None, None)


@on_each_loop
async def test_what_a_sink_takes_ends_a_silence() -> None:
    taker = Taker()

    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED)
        for _ in range(6):
            await asyncio.sleep(0.2)
            await wire.send(b"1\r\na\r\n")
        assert await wire.ended()

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin, idle=1.1))
        await call.head()
        await fails(UpstreamTimeout, call.read(taker))
        assert taker.taken == [b"a"] * 6, "one after the other, longer than the limit in all"


@on_each_loop
async def test_what_came_before_a_break_is_taken_first() -> None:
    taker = Taker()

    async def script(wire: Wire) -> None:
        await wire.answer(CHUNKED)
        await taker.next()
        await wire.send(b"1\r\na\r\n")
        await taker.next()
        await wire.send(b"1\r\nb\r\nnonsense\r\n")

    async with serve(script) as server, calling() as upstream:
        call = upstream.open(ask(server.origin))
        await call.head()
        assert await taker.reading(call) == b"b"
        await fails(UpstreamCut, call.read(taker))
        assert taker.taken == [b"a"]
