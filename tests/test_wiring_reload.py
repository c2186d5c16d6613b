"""Settings read anew: all of them or none, nothing dropped, nothing left behind."""

import asyncio
import gc
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headgate.audit.deeds import DeedsWanted
from headgate.config import Settings, load
from headgate.errors import ConfigError
from headgate.net.server import bind, make_server
from headgate.stores.memory import MemoryStore
from headgate.testing.upstream import LAST_CHUNK, Received, Script, ScriptedUpstream, WaitFor, chunk, head
from headgate.wiring import Assembly, build
from headgate.wiring_reload import SettingsRefused, as_far_as_possible, differing

BODY = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
PRICES = {"format": 1, "source": {"name": "tests"}, "providers": {"vllm": {"models": []}}}
ADMIN = "an admin key, long enough"
FIRST_KEY, SECOND_KEY = "the first gateway key", "the second gateway key"


class Provider:
    """Streams one frame with the credential that it was called with, waits, and ends."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    def __call__(self, request: Received) -> Script:
        credential = dict(request.headers)[b"authorization"].decode()
        yield head(content_type="text/event-stream")
        yield chunk(_frame({"id": "c", "choices": [{"index": 0, "delta": {"content": credential}}]}))
        yield WaitFor(self.go_on)
        yield chunk(_frame({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        yield chunk(_frame({"id": "c", "choices": [], "usage": usage}))
        yield chunk(b"data: [DONE]\n\n")
        yield LAST_CHUNK


def _frame(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@dataclass
class Served:
    """A gateway, the file of its settings, and its provider."""

    assembly: Assembly
    file: Path
    port: int
    provider: Provider
    upstream: ScriptedUpstream
    store: MemoryStore
    session: aiohttp.ClientSession

    def write(
        self, credential: str, *, key: str = FIRST_KEY, admin: str = ADMIN, rate: str = "1", more: str = ""
    ) -> None:
        self.file.write_text(f"""
            listen = "127.0.0.1:{self.port}"
            {more}
            [keys]
            team = "{key}"
            [admin.keys]
            ops = "{admin}"
            [prices]
            book = "{self.file.parent}/prices.json"
            [prices.override."vllm/m"]
            input_mtok = "{rate}"
            output_mtok = "{rate}"
            [providers.vllm]
            base_url = "{self.upstream.url}/v1"
            api_key = "{credential}"
        """)

    def read(self, at: str | None = None) -> Settings:
        return load(self.file, {}, listen=at)

    async def reload(self) -> None:
        await self.assembly.reloading.reload(self.read)

    @asynccontextmanager
    async def asked(self, key: str = FIRST_KEY) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        async with self.session.post(url, json=BODY, headers={"authorization": f"Bearer {key}"}) as answer:
            yield answer

    async def deeds(self) -> list[tuple[str, str, int | None]]:
        found = await self.store.deeds(DeedsWanted(action="reload"), 1000)
        return [(deed.actor, deed.subject, deed.status) for _, deed in found]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    provider, store = Provider(), MemoryStore()
    taken = bind("127.0.0.1", 0)
    async with ScriptedUpstream(provider) as upstream, aiohttp.ClientSession() as session:
        made: Any = Served(None, tmp_path / "headgate.toml", taken.getsockname()[1], provider, upstream, store, session)  # type: ignore[arg-type]
        (tmp_path / "prices.json").write_text(json.dumps(PRICES))
        made.write("old-credential")
        made.assembly = build(made.read(), store)
        started = asyncio.Event()
        server = make_server(made.assembly.application, 5, started.set)
        serving = asyncio.create_task(server.serve(sockets=[taken]))
        await started.wait()
        yield made
        provider.go_on.set()
        server.should_exit = True
        await serving


async def test_streams_end_as_they_began_and_whoever_comes_is_served_anew(served: Served) -> None:
    async with served.asked() as old:
        assert b"old-credential" in await old.content.readline()
        served.write("new-credential", key=SECOND_KEY, rate="3")
        await served.reload()
        assert len(served.assembly.application.editions) == 2
        async with served.asked(SECOND_KEY) as new:
            assert b"new-credential" in await new.content.readline()
            served.provider.go_on.set()
            assert (await new.read()).endswith(b"data: [DONE]\n\n")
        assert (await old.read()).endswith(b"data: [DONE]\n\n")
    while len(served.store.kept) < 2:
        await asyncio.sleep(0.01)
    costs = {record.key: record.bill.cost_nanos for record in served.store.kept}
    by_age = [record.bill.cost_nanos for record in sorted(served.store.kept, key=lambda r: r.started_at_ns)]
    assert by_age == [20 * 1_000, 20 * 3_000], costs
    async with served.asked(FIRST_KEY) as refused:
        assert refused.status == 401
    await asyncio.sleep(0.01)
    assert len(served.assembly.application.editions) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "keys = 3",
        'nonsense = "a-secret-of-the-new-file"',
        "[[[",
        '[limits]\nconnect_seconds = "a-secret-of-the-new-file"',
        '[providers.openai]\nkind = "openai"\napi_key = "a-secret-of-\\nthe-new-file"',
        '[providers.VLLM-2]\napi_key = "a-secret-of-the-new-file"',
        'listen = "0.0.0.0:1"',
    ],
)
async def test_what_is_not_good_changes_nothing(served: Served, wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    before = served.assembly.application.editions.now
    served.file.write_text(wrong)
    with pytest.raises(SettingsRefused):
        await served.reload()
    assert served.assembly.application.editions.now is before
    assert served.assembly.reloading.settings.keys == {"team": FIRST_KEY}
    assert "the settings stay as they were" in caplog.text
    assert str(served.file) in caplog.text
    assert "a-secret-of" not in caplog.text
    assert await served.deeds() == [("signal", "settings", 422)]
    served.provider.go_on.set()
    async with served.asked() as answer:
        assert (await answer.read()).endswith(b"data: [DONE]\n\n")


async def test_what_takes_a_restart_is_told_by_name(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    more = f'database = "{served.file.parent}/other.db"\n[log]\nlevel = "debug"\n[holds]\nlease_seconds = 5\n'
    served.write("new-credential", more=more)
    text = served.file.read_text().replace(f":{served.port}", ":1")
    served.file.write_text(text)
    await served.reload()
    assert "changed: providers" in caplog.text
    assert "what has changed in listen, database, holds.lease_seconds, log.level needs a restart" in caplog.text
    assert await served.deeds() == [("signal", "settings", 200)]


async def test_keys_are_needed_where_it_listens_and_not_where_it_would(served: Served) -> None:
    """It was public; a file that is good for loopback only would open it to the world."""
    now = served.assembly.reloading._parts
    served.assembly.reloading._parts = replace(now, settings=replace(now.settings, host="0.0.0.0"))
    served.file.write_text('listen = "127.0.0.1:1"')
    with pytest.raises(SettingsRefused, match="can be reached from outside"):
        await served.reload()


async def test_who_looks_on_with_a_key_that_is_gone_looks_on_no_more(served: Served) -> None:
    url = f"http://127.0.0.1:{served.port}/admin/v1/live/events"
    own = {"authorization": f"Bearer {ADMIN}"}
    async with served.session.get(url, headers=own) as looking:
        assert (await looking.content.readline()).startswith(b"retry")
        served.write("old-credential")
        await served.reload()
        assert not looking.content.at_eof()
        served.write("old-credential", admin="another admin key, as long")
        await served.reload()
        async with asyncio.timeout(5):
            await looking.content.read()
    async with served.session.get(url, headers=own) as refused:
        assert refused.status == 401


async def test_a_hundred_of_them_leave_nothing_behind(served: Served) -> None:
    served.provider.go_on.set()

    async def once(number: int) -> None:
        served.write(f"credential-{number}", rate=str(1 + number % 3))
        await served.reload()
        async with served.asked() as answer:
            assert f"credential-{number}".encode() in await answer.read()

    for number in range(3):
        await once(number)
    before = await _standing(served)
    for number in range(100):
        await once(number)
    after = await _standing(served)
    assert after == before
    assert len(await served.deeds()) == 103


async def _standing(served: Served) -> Counter[str]:
    """Objects, tasks and descriptors that there are."""
    while len(served.assembly.application.editions) > 1 or served.upstream.open_connections > 1:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    gc.collect()
    return _counted()


def _counted() -> Counter[str]:
    modules = ("headgate.net", "headgate.gateway", "headgate.routing", "headgate.pricing.book", "ssl")
    kinds = (type(each) for each in gc.get_objects())
    found = Counter(kind.__name__ for kind in kinds if str(kind.__module__).startswith(modules))
    found["tasks"] = len(asyncio.all_tasks())
    found["descriptors"] = len(list(Path("/proc/self/fd").iterdir()))
    return found


def test_what_stays_until_a_restart(tmp_path: Path) -> None:
    def settings(text: str) -> Settings:
        (tmp_path / "headgate.toml").write_text(text)
        return load(tmp_path / "headgate.toml", {})

    now = settings('[access]\nsecret = "of sixteen letters"\n[metrics]\nlisten = "127.0.0.1:1"\n')
    wanted = settings("""
        listen = "127.0.0.1:9"
        database = "postgresql://db/other"
        workers = 2
        [access]
        secret = "another of sixteen letters"
        require_keys = true
        [metrics]
        listen = "127.0.0.1:2"
        key = "that reads the metrics"
        [tracing]
        endpoint = "http://127.0.0.1:4318"
        [limits]
        stop_seconds = 1
        handover_seconds = 9
        idle_seconds = 2
        [providers.openai]
        api_key = "k"
    """)
    kept = as_far_as_possible(wanted, now)
    assert differing(kept, now) == ["providers", "limits.idle_seconds", "access.require_keys", "metrics.key"]
    assert differing(wanted, kept) == [
        "listen", "limits.stop_seconds", "limits.handover_seconds", "database", "access.secret", "metrics.listen",
        "metrics", "tracing", "workers",
    ]  # fmt: skip
    assert kept.book is now.book, "the same prices are there once"
    with pytest.raises(ConfigError):
        settings("nonsense")
