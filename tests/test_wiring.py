"""The parts put together: a whole gateway over sockets is in e2e/; here is that they fit."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headgate.access.keys import Keys
from headgate.access.virtual import VirtualKey
from headgate.config import Settings, load
from headgate.gateway.holder import Doorkeeper
from headgate.gateway.live import Live
from headgate.net.asgi import Application
from headgate.routing.catalogue import Catalogue
from headgate.stores.memory import MemoryStore
from headgate.stores.sqlite import SqliteStore
from headgate.telemetry.families import Standing
from headgate.wiring import Telemetry, _readers, _telemetry, build, new_exchange_id
from tests.stores.examples import a_record


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    ids = [new_exchange_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [i[:15] for i in ids] == sorted(i[:15] for i in ids)


async def test_the_settings_choose_the_store(tmp_path: Path) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text(f'database = "{tmp_path}/records.db"\n[providers.openai]\napi_key = "k"\nmodels = ["my-tuned"]\n')
    assembly = build(load(path, {}))
    assert isinstance(assembly.store, SqliteStore)
    assert ("my-tuned", "openai") in assembly.models.list_models()
    await assembly.application.stop()
    assert (tmp_path / "records.db").exists()


async def test_a_store_of_the_callers_own() -> None:
    store = MemoryStore()
    assembly = build(load(None, {"OPENAI_API_KEY": "k"}), store)
    assert assembly.store is store
    await assembly.application.stop()


async def test_between_start_and_stop_the_gateway_holds_a_lease() -> None:
    told: list[str] = []

    class Store(MemoryStore):
        async def beat(self, node: str, lease_ns: int) -> None:
            assert lease_ns == 10 * 10**9
            told.append(node)
            beaten.set()

        async def leave(self, node: str) -> None:
            assert node == told[0]
            told.append("left")

        async def aclose(self) -> None:
            told.append("closed")

    beaten = asyncio.Event()
    application = build(load(None, {"OPENAI_API_KEY": "k"}), Store()).application
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(message: Any) -> None:
        assert message["type"].endswith("complete")

    events.put_nowait({"type": "lifespan.startup"})
    serving = asyncio.create_task(application({"type": "lifespan"}, events.get, send))
    await beaten.wait()
    events.put_nowait({"type": "lifespan.shutdown"})
    await serving
    assert told[-2:] == ["left", "closed"]


METRICS_KEY, ADMIN_KEY, GATEWAY_KEY = (
    "a key that reads metrics",
    "an admin key, long enough",
    "a gateway key, long enough",
)
LOCAL, PUBLIC = 'listen = "127.0.0.1:8080"', 'listen = "0.0.0.0:8080"\nallow_unprotected = true'
OWN_LOCAL, OWN_PUBLIC = 'listen = "127.0.0.1:0"', 'listen = "0.0.0.0:0"'


@pytest.mark.parametrize(
    ("top", "section", "more", "readers"),
    [
        (LOCAL, "", "", {"nobody"}),
        (LOCAL, "", "[access]\nrequire_keys = true", set()),
        (LOCAL, "", f'[keys]\nweb = "{GATEWAY_KEY}"', set()),
        (LOCAL, "", f'[admin.keys]\nops = "{ADMIN_KEY}"', {ADMIN_KEY}),
        (LOCAL, f'key = "{METRICS_KEY}"', "", {METRICS_KEY}),
        (LOCAL, "open = true", f'[keys]\nweb = "{GATEWAY_KEY}"', {"nobody"}),
        (PUBLIC, "", "", set()),
        (PUBLIC, "open = true", "", {"nobody"}),
        (PUBLIC, f'key = "{METRICS_KEY}"', f'[admin.keys]\nops = "{ADMIN_KEY}"', {METRICS_KEY, ADMIN_KEY}),
        (PUBLIC, OWN_LOCAL, f'[admin.keys]\nops = "{ADMIN_KEY}"', {"nobody", ADMIN_KEY}),
        (PUBLIC, f'{OWN_LOCAL}\nkey = "{METRICS_KEY}"', "", {METRICS_KEY}),
        (PUBLIC, f'{OWN_PUBLIC}\nkey = "{METRICS_KEY}"', "", {METRICS_KEY}),
        (LOCAL, f"{OWN_PUBLIC}\nopen = true", "", {"nobody"}),
    ],
)
async def test_who_may_read_the_metrics(tmp_path: Path, top: str, section: str, more: str, readers: set[str]) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text(f"{top}\n[metrics]\n{section}\n{more}\n")
    store = MemoryStore()
    door = Doorkeeper(
        Keys(settings_of(path).keys), store, b"s", lambda: 0, closed=settings_of(path).access.require_keys
    )
    found = replace(_readers(settings_of(path), door), wait=at_once)
    for who in ("nobody", METRICS_KEY, ADMIN_KEY, GATEWAY_KEY):
        given = [] if who == "nobody" else [(b"authorization", f"Bearer {who}".encode())]
        assert await found.let_in(given) is (who in readers), who


async def test_a_virtual_key_closes_the_metrics_too() -> None:
    settings, store = load(None, {"OPENAI_API_KEY": "k"}), MemoryStore()
    door = Doorkeeper(Keys({}), store, b"s", lambda: 0)
    assert await _readers(settings, door).let_in([])
    await store.put_key(VirtualKey("key_1", "web", "acme", b"digest", "hg-...", 0))
    assert not await _readers(settings, door).let_in([])


def settings_of(path: Path) -> Settings:
    return load(path, {})


async def at_once() -> None:
    """For who guesses a key in a test."""


async def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text("[metrics]\nenabled = false\n")
    door = Doorkeeper(Keys({}), MemoryStore(), b"s", lambda: 0)
    standing = Standing(Live(), MemoryStore(), "1", "node")
    assert _telemetry(settings_of(path), door, Catalogue(), standing, None) == Telemetry()


@asynccontextmanager
async def running(application: Application) -> AsyncIterator[None]:
    """The time between an application's start and its stop."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    events.put_nowait({"type": "lifespan.startup"})
    serving = asyncio.create_task(application({"type": "lifespan"}, events.get, told.put))
    assert await told.get() == {"type": "lifespan.startup.complete"}
    yield
    events.put_nowait({"type": "lifespan.shutdown"})
    await serving


async def test_old_records_are_removed_only_where_the_settings_say_so(tmp_path: Path) -> None:
    async def left(more: str) -> list[str]:
        config = tmp_path / "headgate.toml"
        config.write_text(f'database = "{tmp_path}/headgate.db"\n{more}')
        store = MemoryStore()
        store.append(a_record("ex_old"))
        store.append(a_record("ex_new", started_at_ns=time.time_ns()))
        async with running(build(load(config, {}), store).application), asyncio.timeout(60):
            while more and len(store.kept) == 2:
                await asyncio.sleep(0.01)
        return [record.exchange_id for record in store.kept]

    assert await left("") == ["ex_new", "ex_old"]
    assert await left("[retention]\nrecords_days = 30\n") == ["ex_new"]
