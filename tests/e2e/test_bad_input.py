"""What clients may send that is no good, over raw sockets: each is refused in the client's dialect, or told plainly.

What is not even HTTP is in tests/net/test_http_protocol.py.
"""

import asyncio
import itertools
import json
import zlib
from collections.abc import AsyncIterator, Iterator
from gzip import compress
from pathlib import Path
from typing import Any, NamedTuple

import brotli
import pytest
import pytest_asyncio

from headgate.dialects import registry
from headgate.dialects.base import Dialect
from headgate.errors import BadRequest, HeadgateError, RequestTimeout, TooLarge, UnsupportedEncoding
from headgate.records import Ending
from headgate.sections import LimitsSection
from headgate.testing.upstream import ScriptedUpstream, Step, chunk, head, response
from tests.e2e.raw import Headers, RawClient, post
from tests.e2e.running import Running, running_gateway
from tests.e2e.streams import STREAMS

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    gateway: Running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    limits = LimitsSection(max_body_mib=1, client_body_seconds=0.4)
    answer = response([b'{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}'])
    async with ScriptedUpstream(lambda _: answer) as upstream, running_gateway(upstream.url, limits=limits) as gateway:
        yield Stage(upstream, gateway)


@pytest.fixture(autouse=True)
def _from_here(stage: Stage) -> None:
    stage.upstream.requests.clear()


class Door(NamedTuple):
    """A way in, and the dialect that is spoken there."""

    path: str
    provider: str
    dialect: Dialect


DOORS = {name: Door(stream.path, stream.provider, stream.dialect) for name, stream in STREAMS.items()} | {
    name: Door(path, provider, registry.by_name(name))
    for name, path, provider in (
        ("openai.embeddings", "/v1/embeddings", "openai"),
        ("openai.images", "/v1/images/generations", "openai"),
        ("openai.audio", "/v1/audio/speech", "openai"),
        ("rerank", "/v1/rerank", "cohere"),
        ("vertex.messages", "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict", "vertex"),
        ("azure.deployments", "/openai/deployments/m/chat/completions", "azure"),
        ("google.interactions", "/v1beta/interactions", "google"),
    )
}
each_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


async def refused(
    stage: Stage, answer: RawClient, error: type[HeadgateError], dialect: Dialect | None
) -> dict[str, Any]:
    """The refusal's body, which has its dialect's shape; nothing went upstream, and there is a record."""
    assert answer.complete
    assert answer.status == error.status
    assert answer.headers["content-type"] == "application/json"
    record = await stage.gateway.log.of(answer.headers["x-headgate-exchange-id"])
    assert (record.ending, record.status) == (Ending.NEVER_SENT, error.status)
    told: dict[str, Any] = json.loads(answer.body)
    if dialect is not None:
        like = json.loads(dialect.error_body(error("m"), record.exchange_id))
        assert shape(told) == shape(like)
    assert stage.upstream.requests == []
    return told


def shape(value: Any) -> Any:
    return {key: shape(part) for key, part in value.items()} if isinstance(value, dict) else None


NO_REQUEST = {
    "a part": b'{"model": ',
    "more than one": b'{"model": "m"} {"model": "m"}',
    "an array": b'[{"model": "m"}]',
    "a string": b'"model"',
    "null": b"null",
    "a form": b"model=m&stream=true",
    "not UTF-8": b'{"model": "\xff\xfe"}',
    "UTF-16": '{"model": "m"}'.encode("utf-16"),
    "NULs": bytes(64),
    "a NUL in a string": b'{"model": "a\0b"}',
    "arrays without end": b"[" * 200_000,
    "objects without end": b'{"a":' * 100_000,
    "deep below a member": b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep and closed": b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
}


@each_door
async def test_what_is_no_json_object_is_refused_in_the_dialect(stage: Stage, door: Door) -> None:
    for name, body in NO_REQUEST.items():
        answer = await post(stage.gateway.port, door.path, body, [("x-provider", door.provider)])
        told = await refused(stage, answer, BadRequest, door.dialect)
        assert "request body" in json.dumps(told), (name, told)


TWICE = {
    "openai.chat": ["model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "service_tier"],
    "openai.completions": ["model", "stream", "stream_options", "max_tokens", "n", "best_of"],
    "openai.responses": ["model", "stream", "max_output_tokens", "service_tier"],
    "anthropic.messages": ["model", "stream", "max_tokens", "service_tier", "speed"],
    "google.generate_content": ["generationConfig", "generation_config"],
    "cohere": ["model", "stream", "max_tokens"],
    "ollama": ["model", "stream", "options"],
    "bedrock.converse": ["inferenceConfig", "additionalModelRequestFields"],
    "bedrock.invoke": ["max_tokens", "max_gen_len", "textGenerationConfig"],
}


@pytest.mark.parametrize("dialect", TWICE)
async def test_what_decides_the_bill_is_named_once(stage: Stage, dialect: str) -> None:
    """Whichever of two the provider takes, it was not the one that was held for. Some parsers do not heed case."""
    door = DOORS[dialect]
    for name in TWICE[dialect]:
        for other in (name, name[0].swapcase() + name[1:], f"\\u{ord(name[0]):04x}{name[1:]}"):
            body = f'{{"model":"m","{name}":null,"messages":[],"{other}":null}}'.encode()
            answer = await post(stage.gateway.port, door.path, body, [("x-provider", door.provider)])
            told = await refused(stage, answer, BadRequest, door.dialect)
            assert "more than once" in json.dumps(told), (name, other)


@each_door
async def test_a_body_over_the_bound_is_refused_in_the_dialect(stage: Stage, door: Door) -> None:
    answer = await post(stage.gateway.port, door.path, bytes(MIB + 1), [("x-provider", door.provider)])
    await refused(stage, answer, TooLarge, door.dialect)


async def test_a_body_whose_length_is_not_told_has_the_same_bound(stage: Stage) -> None:
    async with RawClient(stage.gateway.port) as client:
        client._writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(200):
            client._writer.write(b"4000\r\n" + bytes(0x4000) + b"\r\n")
        await client.read_all()
        await refused(stage, client, TooLarge, DOORS["anthropic.messages"].dialect)
        assert not await client.read_until(lambda: False), "the connection ends"


@each_door
async def test_a_body_that_does_not_come_is_refused_in_the_dialect(stage: Stage, door: Door) -> None:
    async with RawClient(stage.gateway.port) as client:
        line = f"POST {door.path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
        client._writer.write(line.encode() + b'{"model"')
        trickle = asyncio.create_task(_trickle(client._writer))
        await client.read_all()
        trickle.cancel()
        await refused(stage, client, RequestTimeout, door.dialect)


async def _trickle(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(0.05)
        writer.write(b" ")


def zeros(encoding: str, size: int) -> bytes:
    """So many zeros, in few bytes."""
    match encoding:
        case "gzip":
            return compress(bytes(size))
        case "deflate":
            return zlib.compress(bytes(size))
        case "br":
            return bytes(brotli.compress(bytes(size), quality=3))
        case _:
            return compress(compress(bytes(size)))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
async def test_a_bomb_is_refused_in_the_dialect(stage: Stage, encoding: str) -> None:
    door, bomb = DOORS["anthropic.messages"], zeros(encoding, 64 * MIB)
    assert len(bomb) < MIB
    answer = await post(stage.gateway.port, door.path, bomb, [("content-encoding", encoding)])
    error = TooLarge if encoding in {"gzip", "deflate", "br"} else None
    assert answer.status in {TooLarge.status, UnsupportedEncoding.status}
    await refused(stage, answer, error or TYPES[answer.status], door.dialect)


TYPES: dict[int, type[HeadgateError]] = {TooLarge.status: TooLarge, UnsupportedEncoding.status: UnsupportedEncoding}


@pytest.mark.parametrize(("encoding", "body", "error"), [
    ("gzip", b"no gzip", BadRequest),
    ("gzip", compress(b'{"model": "m"}', mtime=0)[:-3], BadRequest),
    ("br", b"\xff\xff\xff", BadRequest),
    ("compress", b"x", UnsupportedEncoding),
    ("gzip;q=1", b"x", UnsupportedEncoding),
])  # fmt: skip
async def test_what_cannot_be_undone_is_refused_in_the_dialect(
    stage: Stage, encoding: str, body: bytes, error: type[HeadgateError]
) -> None:
    door = DOORS["openai.responses"]
    answer = await post(stage.gateway.port, door.path, body, [("content-encoding", encoding)])
    await refused(stage, answer, error, door.dialect)


@pytest.mark.parametrize(("encoding", "size"), [("gzip", 100), ("deflate", 24), ("br", 24)])
@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
async def test_a_bomb_in_an_answer_passes_and_takes_little_memory(encoding: str, kind: str, size: int) -> None:
    """The bytes are the client's; the meter looks into them no further than a frame may be long."""
    bomb = zeros(encoding, size * MIB)
    body = json.dumps({"model": "m", "stream": kind != "application/json", "messages": []}).encode()
    script = response([bomb], content_type=kind, headers=[(b"content-encoding", encoding.encode())])
    async with ScriptedUpstream(lambda _: script) as upstream, running_gateway(upstream.url) as gateway:
        before = _peak()
        answer = await post(gateway.port, "/v1/chat/completions", body, [("x-provider", "openai")])
        record = await gateway.log.of(answer.headers["x-headgate-exchange-id"])
        assert _peak() - before < 150 * MIB
    assert (answer.complete, answer.body == bomb) == (True, True)
    assert record.reading.anomalies


def _peak() -> int:
    """The most memory that this process has ever had resident, in bytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


CLIMBING = [
    "/p/openai/../x", "/p/openai/v1/../../x", "/p/openai/%2e%2e/x", "/p/openai/%2E./x", "/p/openai/.%2e/x",
    "/p/openai/..%2fx", "/p/openai/..%2Fx", "/p/openai/x%2f..%2fy", "/p/openai/..%5cx", "/p/openai/..\\x",
    "/p/openai/%252e%252e/x", "/p/openai/%252e%252e%252fx", "/p/openai/%25252e%25252e/x", "/p/openai/./x",
    "/v1/responses/..", "/v1/responses/%2e%2e", "/v1/responses/..%2f..%2fadmin", "/v1/responses/../../admin",
    "/v1/../admin", "/v1/../../admin", "/..", "/.", "/v1/./chat/completions",
    "/v1beta/models/..%2f..%2fx:generateContent", "/model/..%2f..%2fx/converse",
    "/openai/deployments/../x/chat/completions", "/v1/projects/p/locations/l/publishers/google/models/..:predict/..",
]  # fmt: skip


@pytest.mark.parametrize("path", CLIMBING)
async def test_a_path_that_climbs_is_refused(stage: Stage, path: str) -> None:
    named: Headers = [("x-provider", "openai")]
    for method, headers in itertools.product(("GET", "POST"), (named, [])):
        async with RawClient(stage.gateway.port) as client:
            client.send(path, b"{}", method=method, headers=headers)
            await client.read_all()
        told = await refused(stage, client, BadRequest, None)
        assert "segments" in told["error"]["message"]


ODD = {
    "//v1/chat/completions": 404,
    "//evil.example/v1/chat/completions": 404,
    "/v1//chat/completions": 404,
    "/v1/chat/completions/": 404,
    "/V1/chat/completions": 404,
    "/v1/chat%2fcompletions": 404,
    "/v1/chat/completions%00": 404,
    "/v1/chat/completions;x": 404,
    "/p/openai": 404,
    "/p//v1/models": 404,
    "/p/nobody/v1/models": 404,
    "/p/open%61i/v1/models": 404,
    "/%61dmin/v1/keys": 404,
    "*": 404,
}


@pytest.mark.parametrize(("path", "status"), ODD.items())
async def test_a_path_is_what_it_is_written_as(stage: Stage, path: str, status: int) -> None:
    answer = await post(stage.gateway.port, path, b"{}")
    assert (answer.complete, answer.status) == (True, status)
    assert json.loads(answer.body)["error"]["code"] == "not_found"
    assert stage.upstream.requests == []


async def test_a_path_that_only_looks_odd_passes(stage: Stage) -> None:
    """Names with dots, and what is encoded in a model's name, are not climbing."""
    paths = ["/p/openai/v1/a..b", "/p/openai/v1/...", "/p/openai/v1/.well-known", "/p/openai/v1/a%2fb%20c"]
    for path in paths:
        assert (await post(stage.gateway.port, path, b"{}")).status == 200
    assert [request.path for request in stage.upstream.requests] == [path.removeprefix("/p/openai") for path in paths]


async def test_a_client_that_takes_nothing_is_left_and_its_provider_with_it() -> None:
    def flood() -> Iterator[Step]:
        yield head(content_type="text/event-stream")
        while True:
            yield chunk(b": " + bytes(60_000) + b"\n\n")

    limits = LimitsSection(client_idle_seconds=0.3)
    body = b'{"model": "gpt-4o-mini", "stream": true, "messages": []}'
    async with (
        ScriptedUpstream(lambda _: flood()) as upstream,
        running_gateway(upstream.url, limits=limits) as gateway,
        RawClient(gateway.port) as client,
        asyncio.timeout(20),
    ):
        client.send("/v1/chat/completions", body, headers=[("x-provider", "openai")])
        await client.read_until(lambda: client.head_came)
        record = await gateway.log.of(client.headers["x-headgate-exchange-id"])
        await upstream.until(lambda: upstream.playing == 0)
    assert record.ending is Ending.CLIENT_LEFT
