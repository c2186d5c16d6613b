"""What an answer is on the wire, on a connection that notes each write; test_wire_protocol.py does it over sockets."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import FlowControl

from headgate.gateway.request import ClientGone
from headgate.net.wire_client import WireClient

Headers = Sequence[tuple[bytes, bytes]]
TEXT = (b"content-type", b"text/plain")
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"


class Connection:
    """A connection's end: its transport and the protocol's part in one."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.did: list[str] = []
        self.transport = cast("asyncio.Transport", self)
        self.flow = FlowControl(self.transport)
        self.loop = asyncio.get_running_loop()
        self.leaving = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.did.append("close")

    def linger(self) -> None:
        self.did.append("linger")

    def on_response_complete(self) -> None:
        self.did.append("next")

    def client(self, *, sending: bool = False, **more: Any) -> WireClient:
        client = WireClient(self, **{"keep_alive": True, **more})
        client.more_body = sending
        return client


async def answer(client: WireClient, *chunks: bytes, status: int = 200, headers: Headers = (TEXT,)) -> None:
    await client.start(status, headers)
    for chunk in chunks:
        await client.write(chunk)
    await client.end()


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


async def test_a_document_is_one_write() -> None:
    line = Connection()
    await answer(line.client(), b"hello", headers=[TEXT, length(5)])
    assert line.writes == [b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"]
    assert line.did == ["next"]


async def test_a_chunk_is_one_write_and_the_first_comes_with_the_head() -> None:
    line = Connection()
    await answer(line.client(), b"data: 1\n\n", b"x" * 17)
    assert line.writes == [CHUNKED + b"9\r\ndata: 1\n\n\r\n", b"11\r\n" + b"x" * 17 + b"\r\n", b"0\r\n\r\n"]


async def test_a_head_waits_for_nothing_but_the_next_turn() -> None:
    line = Connection()
    client = line.client()
    await client.start(200, [TEXT])
    assert not line.writes
    await asyncio.sleep(0)
    assert line.writes == [CHUNKED]
    assert client.put(b"a")
    assert line.writes == [CHUNKED, b"1\r\na\r\n"]


async def test_a_large_body_is_not_copied_behind_its_head() -> None:
    line, body = Connection(), bytes(1_000_000)
    await answer(line.client(), body, headers=[length(len(body))])
    assert line.writes[1] is body
    await asyncio.sleep(0)
    assert len(line.writes) == 2


@pytest.mark.parametrize(
    ("status", "headers", "more", "expected", "then"),
    [
        (200, [length(5)], {"head_only": True}, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", ["next"]),
        (200, [], {"head_only": True}, b"HTTP/1.1 200 OK\r\n\r\n", ["next"]),
        (204, [], {}, b"HTTP/1.1 204 No Content\r\n\r\n", ["next"]),
        (304, [length(9)], {}, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", ["next"]),
        (799, [length(5)], {}, b"HTTP/1.1 799 \r\ncontent-length: 5\r\n\r\nhello", ["next"]),
        (
            200, [], {"old": True, "keep_alive": False},
            b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello", ["close", "next"],
        ),
        (
            200, [length(5)], {"keep_alive": False},
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello", ["close", "next"],
        ),
        (
            408, [length(5)], {"sending": True},
            b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
            ["next", "linger"],
        ),
    ],
)  # fmt: skip
async def test_how_an_answer_ends(
    status: int, headers: Headers, more: dict[str, Any], expected: bytes, then: list[str]
) -> None:
    line = Connection()
    await answer(line.client(**more), b"hello", b"", status=status, headers=headers)
    assert b"".join(line.writes) == expected
    assert line.did == then


async def test_who_leaves_the_port_to_others_says_so() -> None:
    line = Connection()
    line.leaving = True
    await answer(line.client(), headers=[length(0)])
    assert line.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"]
    assert line.did == ["close", "next"]


@pytest.mark.parametrize(
    ("more", "announced", "end"),
    [
        ({}, True, b"0\r\nx-a: 1\r\nx-b: 2\r\n\r\n"),
        ({}, False, b"0\r\n\r\n"),
        ({"old": True, "keep_alive": False}, True, b"a"),
    ],
)
async def test_trailers(more: dict[str, Any], announced: bool, end: bytes) -> None:
    line = Connection()
    client = line.client(**more)
    await client.start(200, [TEXT], trailers=announced)
    await client.write(b"a")
    await client.end([(b"x-a", b"1"), (b"x-b", b"2")])
    assert line.writes[-1].endswith(end)


@pytest.mark.parametrize(("status", "head_only"), [(200, True), (204, False), (304, False)])
async def test_answers_without_a_body_have_no_trailers(status: int, head_only: bool) -> None:
    """RFC 9110 section 6.4.1; a byte too much would be taken for the next answer's beginning."""
    line = Connection()
    client = line.client(head_only=head_only)
    await client.start(status, [], trailers=True)
    await client.end([(b"x-a", b"1")])
    assert b"chunked" not in line.writes[0]
    assert line.writes[0].endswith(b"\r\n\r\n")
    assert len(line.writes) == 1


@pytest.mark.parametrize("body", [b"four", b"sixsix"])
async def test_an_answer_of_another_length_than_its_head_says_is_a_fault(body: bytes) -> None:
    """The next answer would begin in the middle of this one, or this one with the next."""
    line = Connection()
    with pytest.raises(ValueError, match="than its head says"):
        await answer(line.client(), body, headers=[length(5)])
    assert not line.did


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_no_header_becomes_two(name: bytes, value: bytes) -> None:
    async def sent() -> list[bytes]:
        line = Connection()
        client = line.client()
        try:
            await client.start(200, [(name, value), length(0)])
        except ValueError:
            assert not client.started
            return []
        await client.end()
        return line.writes

    writes = asyncio.run(sent())
    bad = {*range(9), *range(10, 32), 127} & {*name, *value}
    assert bool(writes) != bool(bad)
    if writes:
        assert writes == [b"HTTP/1.1 200 OK\r\n%b: %b\r\ncontent-length: 0\r\n\r\n" % (name, value)]


async def test_a_head_that_is_refused_leaves_nothing_behind() -> None:
    line = Connection()
    client = line.client()
    with pytest.raises(ValueError, match="header"):
        await client.start(204, [length(9), (b"x", b"a\r\nb: c")])
    await answer(client, b"hello", status=500)
    assert b"".join(line.writes).endswith(b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


def waits(step: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(step)


async def test_who_reads_slowly_is_waited_for() -> None:
    line = Connection()
    client = line.client()
    assert not client.put(b"before the head")
    await client.start(200, [TEXT])
    assert client.put(b"a")
    line.flow.pause_writing()
    assert not client.put(b"b")
    writing = waits(client.write(b"b"))
    await asyncio.sleep(0.01)
    assert len(line.writes) == 1
    line.flow.resume_writing()
    await writing
    line.flow.pause_writing()
    ending = waits(client.end())
    await asyncio.sleep(0.01)
    assert line.writes[1:] == [b"1\r\nb\r\n"]
    assert not line.did
    line.flow.resume_writing()
    await ending
    assert line.writes[2:] == [b"0\r\n\r\n"]
    assert line.did == ["next"]


async def test_who_leaves_is_told_of_once_and_is_sent_no_more() -> None:
    line, told = Connection(), list[str]()
    client = line.client()
    client.on_gone(lambda: told.append("gone"))
    await client.start(200, [TEXT])
    line.flow.pause_writing()
    writing = waits(client.write(b"a"))
    await asyncio.sleep(0)
    line.writes.clear()
    client.leave()
    client.leave()
    line.flow.resume_writing()
    with pytest.raises(ClientGone):
        await writing
    for step in (client.start(200, []), client.write(b"a"), client.end()):
        with pytest.raises(ClientGone):
            await step
    with pytest.raises(ClientGone):
        client.put(b"a")
    client.on_gone(lambda: told.append("again"))
    assert told == ["gone", "again"]
    assert not line.writes
    assert client.gone


async def test_a_connection_that_ends_after_the_answer_is_nobody_leaving() -> None:
    line, told = Connection(), list[str]()
    client = line.client()
    client.on_gone(lambda: told.append("gone"))
    await client.start(200, [TEXT])
    assert client.put(b"a")
    line.flow.pause_writing()
    ending = waits(client.end())
    await asyncio.sleep(0)
    client.leave()
    line.flow.resume_writing()
    await ending
    assert len(line.writes) == 1, "there is no connection to write to"
    assert not told
    assert not client.gone


async def test_what_is_broken_off_has_its_head_and_no_end() -> None:
    line = Connection()
    client = line.client()
    await client.start(200, [TEXT])
    client.abort()
    client.leave()
    await asyncio.sleep(0)
    assert line.writes == [CHUNKED]
    assert line.did == ["close"]
    assert not client.response_complete
