"""The scripted upstream, over real sockets."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httptools
import pytest

from headgate.testing.upstream import (
    LAST_CHUNK,
    Close,
    Coding,
    HalfClose,
    Hang,
    Pause,
    Progress,
    Received,
    Reset,
    Script,
    ScriptedUpstream,
    Send,
    WaitFor,
    chunk,
    head,
    response,
)

GET = b"GET /v1/models?a=1 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b'POST /v1/messages HTTP/1.1\r\nHost: x\r\nX-Twice: 1\r\nx-twice: 2\r\nContent-Length: 7\r\n\r\n{"a":1}'


class Answer:
    """Collects one answer with an HTTP parser that is not the upstream's own."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.complete = False
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)

    def on_message_complete(self) -> None:
        self.complete = True


@asynccontextmanager
async def dial(upstream: ScriptedUpstream) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ask(upstream: ScriptedUpstream, request: bytes = GET) -> Answer:
    answer = Answer()
    async with dial(upstream) as (reader, writer):
        writer.write(request)
        while not answer.complete:
            data = await reader.read(65536)
            if not data:
                break
            answer.parser.feed_data(data)
    return answer


PIECES = [b"da", b"ta: 1\n", b"\n\xff\x00", b"x" * 70_000]


@pytest.mark.parametrize("coding", list(Coding))
async def test_a_response_arrives_whole_in_each_coding(coding: Coding) -> None:
    async with ScriptedUpstream(lambda _: response(PIECES, coding=coding)) as upstream, dial(upstream) as streams:
        reader, writer = streams
        writer.write(GET)
        top = await reader.readuntil(b"\r\n\r\n")
        assert top.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        whole = b"".join(PIECES)
        match coding:
            case Coding.CHUNKED:
                for piece in PIECES:
                    assert await reader.readexactly(len(b"%x\r\n" % len(piece))) == b"%x\r\n" % len(piece)
                    assert await reader.readexactly(len(piece) + 2) == piece + b"\r\n"
                assert await reader.readexactly(5) == b"0\r\n\r\n"
            case Coding.LENGTH:
                assert b"content-length: %d\r\n" % len(whole) in top
                assert await reader.readexactly(len(whole)) == whole
            case Coding.CLOSE:
                assert await reader.read() == whole


async def test_it_keeps_every_request() -> None:
    async with ScriptedUpstream(lambda _: response([b"{}"], coding=Coding.LENGTH)) as upstream:
        await ask(upstream)
        await ask(upstream, POST)
        first, second = upstream.requests
        assert (first.method, first.target, first.path, first.body) == ("GET", b"/v1/models?a=1", "/v1/models", b"")
        assert (second.method, second.path, second.body) == ("POST", "/v1/messages", b'{"a":1}')
        assert second.headers == [(b"host", b"x"), (b"x-twice", b"1"), (b"x-twice", b"2"), (b"content-length", b"7")]
        assert second.header(b"x-twice") == b"1"
        assert second.header(b"absent") is None
        assert (first.connection, second.connection) == (0, 1)
        assert (first.progress, second.progress) == (Progress.PLAYED, Progress.PLAYED)


async def test_pipelined_requests_are_answered_in_order_on_one_connection() -> None:
    def handler(request: Received) -> Script:
        return response([request.method.encode()], coding=Coding.LENGTH)

    async with ScriptedUpstream(handler) as upstream, dial(upstream) as (reader, writer):
        writer.write(POST + GET)
        assert (await reader.readuntil(b"\r\n\r\nPOST")).startswith(b"HTTP/1.1 200")
        await reader.readuntil(b"\r\n\r\nGET")
        assert [request.connection for request in upstream.requests] == [0, 0]
        assert upstream.open_connections == 1
        assert upstream.playing == 0


async def test_a_script_may_act_between_two_steps() -> None:
    sent, go_on = asyncio.Event(), asyncio.Event()

    def handler(_: Received) -> Iterator[Send | WaitFor | Pause]:
        yield head(content_type="text/event-stream")
        yield chunk(b"first")
        sent.set()
        yield WaitFor(go_on)
        yield Pause(0)
        yield chunk(b"second")
        yield LAST_CHUNK

    async with ScriptedUpstream(handler) as upstream:
        asking = asyncio.create_task(ask(upstream))
        await sent.wait()
        assert upstream.playing == 1
        go_on.set()
        assert (await asking).chunks == [b"first", b"second"]
        assert upstream.playing == 0


async def test_close_lets_everything_through_first() -> None:
    async with ScriptedUpstream(lambda _: [Send(b"x" * 3_000_000), Close()]) as upstream, dial(upstream) as streams:
        streams[1].write(GET)
        assert len(await streams[0].read()) == 3_000_000
        await upstream.until(lambda: upstream.open_connections == 0)
        assert upstream.connections[0].closed_by_peer is False


async def test_reset_breaks_the_connection() -> None:
    async with ScriptedUpstream(lambda _: [head(), Pause(0.05), Reset()]) as upstream, dial(upstream) as streams:
        streams[1].write(GET)
        await streams[0].readuntil(b"\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await streams[0].read()


async def test_half_close_still_reads() -> None:
    async with (
        ScriptedUpstream(lambda _: [Send(b"HTTP/1.1 "), HalfClose(), Hang()]) as upstream,
        dial(upstream) as (reader, writer),
    ):
        writer.write(GET)
        assert await reader.read() == b"HTTP/1.1 "
        writer.write(GET)
        await upstream.until(lambda: len(upstream.requests) == 2)
        assert upstream.open_connections == 1


@pytest.mark.parametrize("linger", [None, 0], ids=["fin", "rst"])
async def test_it_sees_the_peer_leave(linger: int | None) -> None:
    async with ScriptedUpstream(lambda _: [head(), Hang()]) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        if linger is not None:
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, linger))
        writer.close()
        await upstream.until(lambda: upstream.open_connections == 0)
        assert upstream.connections[0].closed_by_peer
        assert upstream.connections[0].reset_by_peer is (linger == 0)
        await upstream.until(lambda: upstream.playing == 0)
        assert upstream.requests[0].progress is Progress.ABANDONED


async def test_a_slow_reader_holds_the_script_back() -> None:
    async with (
        ScriptedUpstream(lambda _: response([b"x" * 1_000_000] * 40)) as upstream,
        dial(upstream) as (reader, writer),
    ):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        assert upstream.playing == 1  # 40 MB fit in no socket buffer
        size = 0
        while upstream.playing:
            size += len(await reader.read(1 << 20))
        assert upstream.requests[0].progress is Progress.PLAYED


async def test_leaving_breaks_what_is_open_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with ScriptedUpstream(lambda _: [head(), Hang()]) as upstream, dial(upstream) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        await upstream.__aexit__(None, None, None)
        assert await reader.read() == b""
        assert upstream.open_connections == 0
    assert asyncio.all_tasks() == before


async def test_bytes_that_are_no_request_end_the_connection() -> None:
    async with ScriptedUpstream(lambda _: []) as upstream, dial(upstream) as (reader, writer):
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert await reader.read() == b""
        assert upstream.requests == []


async def test_a_faulty_script_is_told_where_it_is_waited_for() -> None:
    def handler(_: Received) -> Script:
        raise KeyError("no such script")

    upstream = await ScriptedUpstream(handler).__aenter__()
    assert (await ask(upstream)).complete is False
    with pytest.raises(KeyError, match="no such script"):
        await upstream.until(lambda: False)
    with pytest.raises(KeyError, match="no such script"):
        await upstream.__aexit__(None, None, None)


async def test_an_error_of_the_test_itself_is_not_covered_up() -> None:
    async def play() -> None:
        async with ScriptedUpstream(lambda _: [chunk(b"")]) as upstream:
            await ask(upstream)
            raise RuntimeError("the test's own")

    with pytest.raises(RuntimeError, match="the test's own"):
        await play()


def test_an_empty_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="LAST_CHUNK"):
        chunk(b"")


def test_a_status_that_only_a_provider_knows_has_a_head_too() -> None:
    assert head(529).data.startswith(b"HTTP/1.1 529 Unknown\r\n")
