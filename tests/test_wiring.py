"""The parts put together: a whole gateway over sockets is in e2e/; here is that they fit."""

from pathlib import Path

from headgate.config import load
from headgate.stores.memory import MemoryRecordLog
from headgate.stores.sqlite import SqliteRecordLog
from headgate.wiring import build, new_exchange_id


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    ids = [new_exchange_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [i[:15] for i in ids] == sorted(i[:15] for i in ids)


async def test_the_settings_choose_the_store(tmp_path: Path) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text(f'database = "{tmp_path}/records.db"\n[providers.openai]\napi_key = "k"\nmodels = ["my-tuned"]\n')
    assembly = build(load(path, {}))
    assert isinstance(assembly.log, SqliteRecordLog)
    assert ("my-tuned", "openai") in assembly.models.list_models()
    await assembly.application.stop()
    assert (tmp_path / "records.db").exists()


async def test_a_log_of_the_callers_own() -> None:
    log = MemoryRecordLog()
    assembly = build(load(None, {"OPENAI_API_KEY": "k"}), log)
    assert assembly.log is log
    await assembly.application.stop()
