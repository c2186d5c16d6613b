"""What is kept of what was said: real sockets, the official SDK, a real SQLite file whose every byte is searched."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from websockets.asyncio.server import serve

from headgate.config import Settings
from headgate.net.server import bind, make_server
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.sections import AccessSection, AuditSection, BodiesRule, LimitsSection
from headgate.stores.sqlite import SqliteStore
from headgate.testing.upstream import Received, Script, ScriptedUpstream, response
from headgate.wiring import build
from tests.audit.planted import PEM, SECRETS
from tests.e2e.running import ACCESS_SECRET, CREDENTIAL
from tests.e2e.test_sockets import Provider

ADMIN_KEY = "an admin key, long enough"
PLAIN_SECRET = "plainly+hidden/with=marks"
"""It looks like nothing; the operator's expression finds it."""
ALL = AuditSection(bodies=(BodiesRule(routes=("/",)),), redact=(r"plainly\S+?marks",))
TAGGED = AuditSection(bodies=(BodiesRule(tags=("audited",)),))
MODEL = "gpt-4o-mini"


@dataclass
class Scene:
    """A gateway on a SQLite file, and a virtual key made through its admin API."""

    port: int
    folder: Path
    store: SqliteStore
    http: aiohttp.ClientSession
    key: str = ""
    key_id: str = ""
    ids: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def admin(self, method: str, path: str, body: Any = None, key: str = ADMIN_KEY) -> Any:
        headers = {"authorization": f"Bearer {key}"}
        async with self.http.request(method, f"{self.url}/admin/v1{path}", json=body, headers=headers) as got:
            return await got.json(content_type=None)

    async def chat(self, body: Any, path: str = "/v1/chat/completions", **headers: str) -> bytes:
        """Ask with the virtual key; the answer's bytes, decompressed by nobody."""
        headers = {"authorization": f"Bearer {self.key}", "accept-encoding": "identity"} | headers
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(self.url + path, data=data, headers=headers) as got:
            self.ids.append(got.headers["x-headgate-exchange-id"])
            return await got.read()

    async def said(self, exchange_id: str) -> Any:
        """The transcript of an exchange, once it is there."""
        async with asyncio.timeout(20):
            while "request" not in (found := await self.admin("GET", f"/records/{exchange_id}/transcript")):
                await asyncio.sleep(0.01)
        return found

    async def kept(self) -> list[str]:
        """The ids of all exchanges with transcripts, newest first."""
        return [row["exchange_id"] for row in (await self.admin("GET", "/transcripts"))["data"]]

    def bytes_on_disk(self) -> bytes:
        return b"\n".join(path.read_bytes() for path in self.folder.iterdir() if path.is_file())


@asynccontextmanager
async def scene_at(
    folder: Path,
    upstream: str,
    audit: AuditSection,
    tags: Sequence[str] = (),
    *,
    after: Callable[[Scene], None] = lambda _: None,
) -> AsyncIterator[Scene]:
    """`after` looks at the scene when the gateway has stopped."""
    kind = registry.by_name("openai")
    deployment = Deployment("openai", kind, kind.root(upstream), Secret(CREDENTIAL))
    taken, database = bind("127.0.0.1", 0), folder / "headgate.db"
    settings = Settings(
        "127.0.0.1",
        taken.getsockname()[1],
        database,
        (deployment,),
        access=AccessSection(secret=ACCESS_SECRET),
        admin_keys={"ops": ADMIN_KEY},
        audit=audit,
    )
    store, started = SqliteStore(database), asyncio.Event()
    server = make_server(build(settings, store).application, LimitsSection().stop_seconds, started.set)
    serving = asyncio.create_task(server.serve(sockets=[taken]))
    await started.wait()
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        scene = Scene(settings.port, folder, store, http)
        try:
            await scene.admin("PUT", "/accounts/team", {"kind": "postpaid"})
            made = await scene.admin("POST", "/keys", {"name": "alice", "account": "team", "tags": list(tags)})
            scene.key, scene.key_id = made["key"], made["key_id"]
            yield scene
        finally:
            server.should_exit = True
            await serving
    after(scene)


def delta(piece: str) -> bytes:
    event = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
             "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}  # fmt: skip
    return b"data: " + json.dumps(event).encode() + b"\n\n"


END = (
    b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini","choices":[],'
    b'"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}\n\n'
    b"data: [DONE]\n\n"
)


def streams(*pieces: bytes) -> Callable[[Received], Script]:
    def handler(_: Received) -> Script:
        return response(pieces, content_type="text/event-stream")

    return handler


async def test_a_stream_of_the_sdks_is_kept_as_it_was_sent(tmp_path: Path) -> None:
    words = ["The ", "Elbe ", "is long."]
    async with (
        ScriptedUpstream(streams(*map(delta, words), END)) as upstream,
        scene_at(tmp_path, upstream.url, ALL) as scene,
        openai.AsyncOpenAI(base_url=scene.url + "/v1", api_key=scene.key) as client,
    ):
        asked: Any = [{"role": "user", "content": "Which river, über?"}]
        stream = await client.chat.completions.create(model=MODEL, messages=asked, stream=True)
        exchange_id = stream.response.headers["x-headgate-exchange-id"]
        heard = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(heard) == "".join(words)
        said = await scene.said(exchange_id)
        record = await scene.admin("GET", f"/records/{exchange_id}")
    assert json.loads(said["request"]["text"])["messages"] == asked
    told = said["response"]["text"]
    assert told.encode().startswith(b"".join(map(delta, words)))
    assert 'usage":{' not in told, "the frame that only headgate asked for was not sent, so it was not said"
    assert (said["response"]["bytes"], said["response"]["truncated"]) == (record["bytes_out"], False)
    assert (said["key"], said["key_id"]) == ("alice", scene.key_id)
    assert (said["dialect"], said["operation"]) == ("openai.chat", "create")


async def test_a_tag_switches_it_on_and_off_while_it_runs(tmp_path: Path) -> None:
    async with (
        ScriptedUpstream(streams(delta("Hello"), END)) as upstream,
        scene_at(tmp_path, upstream.url, TAGGED) as scene,
    ):
        body = {"model": MODEL, "stream": True, "messages": []}
        for tags in ([], ["other", "audited"], ["audited"], []):
            await scene.admin("PATCH", f"/keys/{scene.key_id}", {"tags": tags})
            await scene.chat(body)
        for exchange_id in scene.ids[1:3]:
            await scene.said(exchange_id)
        assert await scene.kept() == scene.ids[2:0:-1]
        deeds = (await scene.admin("GET", "/audit?action=change_key"))["data"]
        assert [deed["detail"]["tags"] for deed in deeds][::-1] == [[], ["other", "audited"], ["audited"], []]


async def test_without_a_rule_nothing_is_kept(tmp_path: Path) -> None:
    def look(scene: Scene) -> None:
        assert b"a word to be found" not in scene.bytes_on_disk()

    async with (
        ScriptedUpstream(streams(delta("a word to be found"), END)) as upstream,
        scene_at(tmp_path, upstream.url, AuditSection(), after=look) as scene,
    ):
        await scene.chat(
            {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "a word to be found"}]}
        )
        async with asyncio.timeout(20):
            while "exchange_id" not in await scene.admin("GET", f"/records/{scene.ids[0]}"):
                await asyncio.sleep(0.01)
        assert await scene.kept() == []


SECRET_TEXTS = [*SECRETS.values(), PEM, PLAIN_SECRET, CREDENTIAL, ADMIN_KEY]


def planted(theirs: str) -> str:
    return "\n".join(f"Keep {secret} for me." for secret in (*SECRET_TEXTS, theirs))


def written(secret: str) -> set[bytes]:
    """How a secret may stand in a file."""
    plain = json.dumps(secret)[1:-1]
    return {secret.encode(), plain.encode(), plain.replace("/", "\\/").encode(), json.dumps(plain)[1:-1].encode()}


def play(piece: bytes | None, theirs: str) -> Script:
    """An answer that is full of secrets."""
    echo = json.dumps({"error": {"message": planted(theirs), "type": "x"}})
    match piece:
        case b"error":
            return response([echo.encode()], 401)
        case b"gzip":
            body = gzip.compress(echo.encode())
            cuts = [body[n : n + 7] for n in range(0, len(body), 7)]
            return response(cuts, 400, headers=[(b"content-encoding", b"gzip")])
        case b"in-stream":  # it stands in the record too, as all errors do
            return response([delta("well"), b"data: " + echo.encode() + b"\n\n"], content_type="text/event-stream")
        case b"deltas":
            text = planted(theirs)
            events = [delta(text[n : n + 3]) for n in range(0, len(text), 3)]
            return response([*events, END], content_type="text/event-stream")
        case _:
            whole = delta(planted(theirs)) + END
            return response([whole[n : n + 5] for n in range(0, len(whole), 5)], content_type="text/event-stream")


async def test_no_secret_is_in_the_database_wherever_it_was_said(tmp_path: Path) -> None:
    """In headers, query and body, in answers cut anywhere, compressed, in errors, in deeds, at the sign-in."""
    seen: list[str] = []

    def handler(request: Received) -> Script:
        return play(request.header(b"x-play"), seen[0])

    def look(scene: Scene) -> None:
        disk = scene.bytes_on_disk()
        assert disk.count(b"[redacted]") > 50, "it was kept, and without them"
        assert b"[credential]" in disk
        for secret in (*SECRET_TEXTS, scene.key, "a wrong admin key entirely"):
            for form in written(secret):
                assert form not in disk, form

    async with ScriptedUpstream(handler) as upstream, scene_at(tmp_path, upstream.url, ALL, after=look) as scene:
        seen.append(scene.key)
        body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": planted(scene.key)}]}
        for piece in ("error", "gzip", "in-stream", "deltas", "chunks"):
            got = await scene.chat(body, **{"x-play": piece})
            assert SECRETS["openai"].encode() in (gzip.decompress(got) if piece == "gzip" else got) or piece == "deltas"
        await scene.chat(body, f"/v1/chat/completions?key={scene.key}", **{"x-play": "chunks"})
        await scene.chat(b'{"model": broken ' + planted(scene.key).encode())
        for exchange_id in scene.ids[:-1]:
            said = await scene.said(exchange_id)
            assert said["request"]["text"].count("Keep ") == len(SECRET_TEXTS) + 1
        for n, secret in enumerate((*SECRETS.values(), scene.key, ADMIN_KEY)):
            note = {"amount_usd": "1", "note": f"by {secret}"}
            await scene.admin("POST", "/accounts/nobody/top-ups", note)
            await scene.admin("POST", f"/accounts/team{n}/top-ups", {"amount_usd": secret})
        await scene.admin("POST", "/session", {"key": ADMIN_KEY})
        await scene.admin("POST", "/session", {"key": "a wrong admin key entirely"})
        await scene.admin("GET", "/accounts", key="a wrong admin key entirely")
        async with scene.http.post(f"{scene.url}/v1/chat/completions?key={scene.key}", json=body) as answer:
            await answer.read()


async def test_a_large_body_is_cut_and_its_size_told(tmp_path: Path) -> None:
    picture = "iVBOR0kG" * 20_000
    async with (
        ScriptedUpstream(streams(*(delta(f"word {n} ") for n in range(1_000)), END)) as upstream,
        scene_at(tmp_path, upstream.url, AuditSection(ALL.bodies, max_bytes=5_000)) as scene,
    ):
        content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
                   {"type": "text", "text": "What is this?"}]  # fmt: skip
        body = json.dumps({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": content}]}).encode()
        got = await scene.chat(body)
        said = await scene.said(scene.ids[0])
    assert (said["request"]["bytes"], said["request"]["truncated"]) == (len(body), False)
    assert "base64,[160000 characters]" in said["request"]["text"]
    assert "What is this?" in said["request"]["text"]
    told = said["response"]
    assert (told["bytes"], told["kept_bytes"], told["truncated"]) == (len(got), 5_000, True)
    assert got.decode().startswith(told["text"])


async def test_a_response_on_a_socket_is_kept_by_itself(tmp_path: Path) -> None:
    provider = Provider(None)
    async with serve(provider.connection, "127.0.0.1", 0) as server:
        root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with (
            scene_at(tmp_path, root, TAGGED, ["audited"]) as scene,
            openai.AsyncOpenAI(base_url=scene.url + "/v1", api_key=scene.key) as client,
            client.responses.connect() as connection,
        ):
            for text in ("first", "second"):
                await connection.response.create(model=MODEL, input=f"{text} {SECRETS['github']}")
                async for event in connection:
                    if event.type == "response.completed":
                        break
            async with asyncio.timeout(20):
                while len(ids := await scene.kept()) < 2:
                    await asyncio.sleep(0.01)
            said = [await scene.said(exchange_id) for exchange_id in reversed(ids)]
    assert [json.loads(one["request"]["text"])["input"] for one in said] == ["first [redacted]", "second [redacted]"]
    kinds = [[json.loads(line)["type"] for line in one["response"]["text"].splitlines()] for one in said]
    assert kinds == [["response.created", *["response.output_text.delta"] * 2, "response.completed"]] * 2
    assert {one["dialect"] for one in said} == {"openai.responses"}


@pytest.mark.parametrize("audit", [ALL, AuditSection()])
async def test_no_byte_is_changed(tmp_path: Path, audit: AuditSection) -> None:
    whole = b"".join(delta(piece) for piece in planted("x").split(" ")) + END
    async with (
        ScriptedUpstream(streams(*(whole[n : n + 11] for n in range(0, len(whole), 11)))) as upstream,
        scene_at(tmp_path, upstream.url, audit) as scene,
    ):
        body = {"model": MODEL, "stream": True, "stream_options": {"include_usage": True}, "messages": []}
        assert await scene.chat(body) == whole
