"""The parts put together: a whole gateway over sockets is in e2e/; here is that they fit."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate import wiring_edition
from headgate.admin.deeds import Deeds
from headgate.audit.deeds import Deed
from headgate.config import load
from headgate.net import client, connection_dial, websocket_client
from headgate.net.asgi import Application
from headgate.stores.memory import MemoryStore
from headgate.stores.sqlite import SqliteStore
from headgate.wiring import build
from tests.stores.examples import a_record


async def test_the_settings_choose_the_store(tmp_path: Path) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text(f'database = "{tmp_path}/records.db"\n[providers.openai]\napi_key = "k"\nmodels = ["my-tuned"]\n')
    assembly = build(load(path, {}))
    assert isinstance(assembly.store, SqliteStore)
    assert ("my-tuned", "openai") in assembly.application.editions.now.gateway.models.list_models()
    await assembly.application.stop()
    assert (tmp_path / "records.db").exists()


async def test_a_store_of_the_callers_own() -> None:
    store = MemoryStore()
    assembly = build(load(None, {"OPENAI_API_KEY": "k"}), store)
    assert assembly.store is store
    await assembly.application.stop()


async def test_without_a_rule_no_exchange_meets_a_scribe(tmp_path: Path) -> None:
    for text, there in (("", False), ('[[audit.bodies]]\ntags = ["audited"]\n', True)):
        path = tmp_path / "headgate.toml"
        path.write_text(f'database = "{tmp_path}/records.db"\n[providers.openai]\napi_key = "k"\n{text}')
        application = build(load(path, {})).application
        assert (application.editions.now.gateway.scribe is not None) is there
        await application.stop()


async def test_how_the_last_deeds_ended_is_kept_before_the_store_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign-in is noted without anyone waiting, and the database is slow."""
    config = tmp_path / "headgate.toml"
    config.write_text('[admin.keys]\nops = "an admin key of theirs"\n')
    told: list[str] = []

    class Store(MemoryStore):
        async def keep_deed(self, deed: Deed) -> None:
            told.append("asked for")
            await asyncio.sleep(0.05)
            told.append(deed.action)

        async def aclose(self) -> None:
            told.append("closed")

    made: list[Deeds] = []

    def deeds(*args: Any) -> Deeds:
        made.append(Deeds(*args))
        return made[-1]

    monkeypatch.setattr(wiring_edition, "Deeds", deeds)
    application = build(load(config, {}), Store()).application
    async with running(application):
        made[0].note("ops", "sign_in", "session", {}, 200)
        await asyncio.sleep(0)
    assert told == ["asked for", "sign_in", "closed"]


async def test_a_gateway_has_one_redactor_and_one_tls_context(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def count(make: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            made.append(make.__name__)
            return make(*args)

        return counted

    monkeypatch.setattr(wiring_edition, "make_redactor", count(wiring_edition.make_redactor))
    tls_context = count(connection_dial.tls_context)
    for module in (wiring_edition, client, websocket_client):
        monkeypatch.setattr(module, "tls_context", tls_context)
    await build(load(None, {"OPENAI_API_KEY": "k"}), MemoryStore()).application.stop()
    assert sorted(made) == ["make_redactor", "tls_context"]


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
