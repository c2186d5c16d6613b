"""Nothing that a client or a provider says makes the gateway call an address of their choosing (SSRF).

Each attempt names a trap in one more field, over raw sockets. The trap is never called, and no connection is ever made
to, nor a name resolved of, anything but the address that the operator gave.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from headgate.errors import UpstreamUnreachable
from headgate.net import connection_dial, websocket_client
from headgate.providers import registry, vertex
from headgate.providers.base import Deployment, Origin, Secret
from headgate.testing.upstream import Received, Script, ScriptedUpstream, response
from tests.e2e.running import CREDENTIAL, Running, serving
from tests.e2e.test_time_limits import deployments

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER = b'{"id": "resp_1", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}'


class Stage(NamedTuple):
    upstream: ScriptedUpstream
    trap: ScriptedUpstream
    gateway: Running
    dialled: list[Origin]

    def only_the_operators(self) -> None:
        """Whatever was dialled since the last look was the provider's own address."""
        assert {(origin.host, origin.port) for origin in self.dialled} <= {("127.0.0.1", self.upstream.port)}
        assert self.trap.connections == []

    async def say(self, data: bytes) -> bytes:
        """Send bytes; what comes back within a moment, or until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.port)
        writer.write(data)
        got = b""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(5):
                while not _whole(got) and (more := await reader.read(65536)):
                    got += more
        writer.close()
        return got


def _whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length: ")), None)
    return len(body) >= int(length[16:]) if length else body.endswith(b"0\r\n\r\n") or b" 101 " in head


@pytest.fixture(scope="module")
def dialled() -> Iterator[list[Origin]]:
    """Every address that a connection is asked for, of HTTP and of WebSockets. Only loopback is really called."""
    found: list[Origin] = []
    really = connection_dial.dial_as

    async def watched(make: Any, origin: Origin, limit: float, tls: Any) -> Any:
        found.append(origin)
        if origin.host != "127.0.0.1":
            raise UpstreamUnreachable("Not in a test.")
        return await really(make, origin, limit, tls)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection_dial, "dial_as", watched)
        patch.setattr(websocket_client, "dial_as", watched)
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole_stage(dialled: list[Origin]) -> AsyncIterator[Stage]:
    async with (
        ScriptedUpstream(lambda _: response([ANSWER])) as upstream,
        ScriptedUpstream(lambda _: response([b"trapped"])) as trap,
        serving(deployments(upstream.url, None)) as gateway,
    ):
        yield Stage(upstream, trap, gateway, dialled)


@pytest.fixture
def stage(whole_stage: Stage) -> Iterator[Stage]:
    whole_stage.dialled.clear()
    whole_stage.upstream.requests.clear()
    whole_stage.upstream.handler = lambda _: response([ANSWER])
    yield whole_stage
    whole_stage.only_the_operators()


def request(
    target: str = "/v1/chat/completions",
    *headers: str,
    body: dict[str, Any] | None = None,
    method: str = "POST",
    host: str = "x",
) -> bytes:
    data = json.dumps({"model": "gpt-4o-mini", "messages": []} | (body or {})).encode()
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", f"content-length: {len(data)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


def upgrade(target: str, *headers: str) -> bytes:
    lines = [
        f"GET {target} HTTP/1.1", "host: x", "connection: upgrade", "upgrade: websocket",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 13",
    ]  # fmt: skip
    return "\r\n".join([*lines, *headers, "", ""]).encode()


URLS = ["http://{trap}/", "http://{trap}/v1/models", "//{trap}/x", "{trap}", "user:pw@{trap}", "x@{trap}", "x#@{trap}/"]
"""Ways to write the trap's address."""
NAMED = ["{trap}", "openai@{trap}", "openai.{trap}", "http:%2f%2f{trap}", "openai%00{trap}", "openai\\@{trap}"]
"""As a name."""


def _targets(url: str) -> Iterator[bytes]:
    """In the request line."""
    yield request(url)
    yield request(f"/{url}")
    yield request(f"/p/{url}")
    yield request(f"/p/openai/{url}")
    yield request(f"/p/openai{url}")
    yield request(f"/v1/{url}", "x-provider: openai")
    yield request(f"/v1/chat/completions?base_url={url}&api_base={url}&url={url}&key={url}&alt={url}")
    yield request(f"/v1/responses/{url}", "x-provider: openai", method="GET")
    yield request(f"/v1beta/models/{url}:generateContent")
    yield request(f"/model/{url}/converse")
    yield request(f"/openai/deployments/{url}/chat/completions")
    yield request(f"/v1/projects/p/locations/{url}/publishers/google/models/gemini-3:generateContent")
    yield request(url, method="CONNECT")
    yield request(url, method="OPTIONS")


def _headers(url: str) -> Iterator[bytes]:
    """In a header."""
    yield request(host=url)
    for name in (
        "x-provider", "x-forwarded-host", "x-forwarded-for", "x-forwarded-server", "x-host", "x-original-url",
        "x-rewrite-url", "x-base-url", "x-api-base", "x-portkey-custom-host", "x-litellm-api-base",
        "helicone-target-url", "forwarded", "via", "origin", "referer", "location", "destination", "proxy",
        "http-proxy", "traceparent",
        "tracestate", "baggage", "openai-organization", "anthropic-beta", "x-goog-api-key", "authorization",
        "connection", "upgrade", "sec-websocket-protocol", "alt-svc", "x-amz-security-token", "x-amz-date",
    ):  # fmt: skip
        yield request("/v1/chat/completions", f"{name}: {url}")
    yield request("/v1/chat/completions", f"forwarded: host={url};proto=http")
    yield request("/v1/chat/completions", f"connection: x-a, {url}", "proxy-connection: keep-alive")


def _bodies(url: str) -> Iterator[bytes]:
    """In a body: what a provider may fetch is passed on, and never fetched here."""
    image = {"type": "image_url", "image_url": {"url": url}}
    file = {"type": "input_file", "file_url": url}
    source = {"type": "image", "source": {"type": "url", "url": url}}
    yield request(body={"model": url})
    yield request(body={"model": f"openai/{url}"})
    yield request(body={"model": f"{url}/gpt-4o-mini"})
    yield request(body={"messages": [{"role": "user", "content": [image]}]})
    yield request(body={"base_url": url, "api_base": url, "endpoint": url, "custom_host": url, "webhook_url": url})
    yield request(
        "/v1/responses",
        body={"input": [{"role": "user", "content": [file, {"type": "input_image", "image_url": url}]}]},
    )
    yield request(
        "/v1/responses", body={"input": "x", "tools": [{"type": "mcp", "server_url": url, "server_label": "x"}]}
    )
    yield request("/v1/responses", body={"input": "x", "previous_response_id": url, "prompt": {"id": url}})
    yield request(
        "/v1/messages",
        body={"max_tokens": 9, "messages": [{"role": "user", "content": [source]}], "model": "claude-haiku-4-5"},
    )
    yield request(
        "/v1/messages",
        body={"max_tokens": 9, "mcp_servers": [{"type": "url", "url": url}], "model": "claude-haiku-4-5"},
    )
    yield request(
        "/v1beta/models/gemini-3:generateContent", body={"contents": [{"parts": [{"fileData": {"fileUri": url}}]}]}
    )
    yield request("/v1/batches", body={"input_file_id": url, "endpoint": url})
    yield request("/v1/embeddings", body={"input": url})
    yield request("/v1/images/generations", body={"prompt": "x", "image": url})
    yield request("/", body={"model": url})


def _upgrades(url: str) -> Iterator[bytes]:
    """Over a WebSocket."""
    yield upgrade(url)
    yield upgrade(f"/v1/responses?model={url}&url={url}")
    yield upgrade(f"/v1/realtime?model={url}")
    yield upgrade("/v1/responses", f"x-provider: {url}")
    yield upgrade("/v1/responses", f"origin: {url}")
    yield upgrade("/v1/responses", f"sec-websocket-protocol: {url}, openai-insecure-api-key.{url}")
    yield upgrade(f"/p/{url}/v1/responses")
    yield upgrade(f"/v1/responses/{url}")


@pytest.mark.parametrize("fields", [_targets, _headers, _bodies, _upgrades], ids=lambda fields: fields.__name__[1:])
async def test_no_field_of_a_request_names_who_is_called(stage: Stage, fields: Any) -> None:
    trap = f"127.0.0.1:{stage.trap.port}"
    said = [data for url in (*URLS, *NAMED) for data in fields(url.format(trap=trap))]
    answers = await asyncio.gather(*map(stage.say, said))
    assert len(said) == len(answers) > 90
    assert all(answer.startswith(b"HTTP/1.1 ") for answer in answers)
    hosts = {request.header(b"host") for request in stage.upstream.requests}
    assert hosts <= {f"127.0.0.1:{stage.upstream.port}".encode()}


async def test_what_a_provider_may_fetch_is_passed_on_as_it_is(stage: Stage) -> None:
    url = f"http://127.0.0.1:{stage.trap.port}/cat.png"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    data = request(body={"messages": [{"role": "user", "content": content}]})
    assert b" 200 " in await stage.say(data)
    (passed,) = stage.upstream.requests
    assert passed.body == data.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("status", [201, 300, 301, 302, 303, 305, 307, 308, 401, 407, 421, 503])
async def test_a_provider_sends_nobody_elsewhere(stage: Stage, status: int) -> None:
    """What it says of other addresses is the client's to follow, or not."""
    url = f"http://127.0.0.1:{stage.trap.port}/"
    sent = [
        (b"location", url.encode()), (b"content-location", url.encode()), (b"refresh", f"0; url={url}".encode()),
        (b"link", f"<{url}>; rel=preload".encode()), (b"alt-svc", f'h2="127.0.0.1:{stage.trap.port}"'.encode()),
        (b"retry-after", b"0"), (b"x-accel-redirect", url.encode()),
    ]  # fmt: skip

    def elsewhere(_: Received) -> Script:
        return response([ANSWER], status, headers=sent)

    stage.upstream.handler = elsewhere
    for data in (request(), request("/p/openai/v1/models", method="GET")):
        stage.upstream.requests.clear()
        answer = await stage.say(data)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert f"location: {url}".encode() in answer
        assert b"alt-svc" not in answer
        assert len(stage.upstream.requests) == 1


async def test_what_an_answer_says_of_other_addresses_is_not_followed(stage: Stage) -> None:
    url = f"http://127.0.0.1:{stage.trap.port}/"
    told = {"id": url, "output_file_id": url, "results_url": url, "next": url, "url": url, "model": url, "usage": {}}
    stage.upstream.handler = lambda _: response([json.dumps(told).encode()])
    for path in (
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/messages/batches",
        "/v1/batches",
        "/v1/images/generations",
    ):
        body = {"prompt": "x", "requests": [], "input_file_id": "f"}
        assert b"HTTP/1.1 " in await stage.say(request(path, "x-provider: openai", body=body))
    assert b"HTTP/1.1 " in await stage.say(request(f"/v1/responses/{url}", "x-provider: openai", method="GET"))


LOCATIONS = [
    "evil.example", "evil.example%2f", "evil.example%23", "x@evil.example", "evil-example.com.", "127.0.0.1", "-x",
    "a.b", "us%2eevil", "localhost", "a" * 60, "us-central1", "eu", "global", "US",
]  # fmt: skip


async def test_a_location_in_a_path_is_one_of_googles(stage: Stage) -> None:
    """The one address that a path has a say in: a region's own host, of the provider's."""
    google = Deployment("vertex", vertex.PROVIDER, vertex.PROVIDER.base_url, Secret(CREDENTIAL))
    async with serving((google,)) as gateway:
        aside = stage._replace(gateway=gateway)
        for location in LOCATIONS:
            path = f"/v1/projects/p/locations/{location}/publishers/google/models/gemini-3:generateContent"
            await aside.say(request(path, body={"contents": []}))
    assert {origin.host for origin in stage.dialled} == {
        "aiplatform.googleapis.com", "us-central1-aiplatform.googleapis.com", "aiplatform.eu.rep.googleapis.com",
        "localhost-aiplatform.googleapis.com",
    }  # fmt: skip
    assert all(origin.tls and origin.port == 443 for origin in stage.dialled)
    stage.dialled.clear()


async def test_the_environments_proxies_are_not_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would see the operator's credentials; an operator who wants one gives it as a base URL."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{stage.trap.port}")
    assert b" 200 " in await stage.say(request())


async def test_an_upgrade_is_sent_nowhere_else_either(stage: Stage) -> None:
    url = f"http://127.0.0.1:{stage.trap.port}/"
    asked = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 307 Temporary Redirect\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(elsewhere, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with serving(deployments(f"http://127.0.0.1:{port}", None)) as gateway:
            answer = await stage._replace(gateway=gateway).say(upgrade("/v1/responses", "x-provider: openai"))
    assert answer.startswith(b"HTTP/1.1 307 ")
    assert len(asked) == 1
    assert {origin.port for origin in stage.dialled} == {port}
    stage.dialled.clear()


async def test_only_one_provider_has_paths_choose_a_host() -> None:
    """The one that is looked at above."""
    assert [provider.name for provider in registry.all_providers() if provider.home is not None] == ["vertex"]
