"""The parts put together: a whole gateway over sockets is in e2e/; here is that they fit."""

import asyncio
from pathlib import Path
from typing import Any

from headgate.config import load
from headgate.stores.memory import MemoryStore
from headgate.stores.sqlite import SqliteStore
from headgate.wiring import build, new_exchange_id


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
