"""The log of a real process: a line for each exchange, no secrets, and nobody waits for whoever reads it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headgate.testing.upstream import ScriptedUpstream
from tests.e2e.books import MODEL, Witness, opened

CREDENTIAL = "the-providers-own-key"
KEY = "a gateway key, long enough"


@asynccontextmanager
async def gateway(folder: Path, upstream: str, log: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The address of a `headgate serve`, and its process, whose standard error is a pipe."""
    config = folder / "headgate.toml"
    config.write_text(
        f'listen = "127.0.0.1:0"\ndatabase = "{folder}/books.db"\n[keys]\nteam = "{KEY}"\n[log]\n{log}\n'
        f'[providers.openai]\nbase_url = "{upstream}/v1"\napi_key = "{CREDENTIAL}"\n'
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headgate", "serve", "--config", str(config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"], **_path()},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).split()[2].decode(), process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def _path() -> dict[str, str]:
    return {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}


async def ask(http: aiohttp.ClientSession, url: str, n: int, key: str = KEY, model: str = MODEL) -> int:
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "a secret of the user's"}]}
    headers = {"authorization": f"Bearer {key}", "x-number": str(8 * n)}
    async with http.post(f"{url}/v1/chat/completions?api-version=query-secret", json=body, headers=headers) as answer:
        await answer.read()
        return answer.status


async def lines_of(process: asyncio.subprocess.Process) -> list[str]:
    """All that it wrote, once it has stopped."""
    process.send_signal(signal.SIGTERM)
    _, said = await process.communicate()
    return said.decode().splitlines()


async def test_each_exchange_is_a_line_that_says_what_its_record_says(tmp_path: Path) -> None:
    async with (
        ScriptedUpstream(Witness(chunks=2).handle) as upstream,
        gateway(tmp_path, upstream.url, 'format = "json"') as (url, process),
        aiohttp.ClientSession() as http,
    ):
        assert [await ask(http, url, n) for n in range(1, 4)] == [200, 200, 200]
        assert await ask(http, url, 4, key="not one of the keys") == 401
        assert await ask(http, url, 5, model="\x1b[2J\n{forged}") == 404
        said = await lines_of(process)
    found: list[dict[str, Any]] = [json.loads(line) for line in said]
    exchanges = {line["exchange_id"]: line for line in found if line["logger"] == "headgate.exchange"}
    async with opened(f"{tmp_path}/books.db") as store:
        for exchange_id, line in exchanges.items():
            record = await store.find(exchange_id)
            assert record is not None
            own = record.as_json()
            usage = own["usage"]
            for name in ("key", "provider", "dialect", "model_asked", "status", "ending", "cost_nanos", "bytes_out"):
                assert line.get(name) == own[name], name
            assert (line.get("input_tokens"), line.get("output_tokens")) == (
                usage["input_tokens"], usage["output_tokens"],
            )  # fmt: skip
    assert sorted(line["status"] for line in exchanges.values()) == [200, 200, 200, 401, 404]
    text = "\n".join(said)
    for secret in (CREDENTIAL, KEY, "not one of the keys", "a secret of the user's", "query-secret", "\x1b"):
        assert secret not in text


@pytest.mark.parametrize("level", ["warning", "error"])
async def test_a_higher_level_leaves_out_what_went_well(tmp_path: Path, level: str) -> None:
    async with (
        ScriptedUpstream(Witness(chunks=2).handle) as upstream,
        gateway(tmp_path, upstream.url, f'level = "{level}"') as (url, process),
        aiohttp.ClientSession() as http,
    ):
        assert await ask(http, url, 1) == 200
        assert await lines_of(process) == []


async def test_a_log_that_nobody_reads_stops_nobody(tmp_path: Path) -> None:
    """A pipe holds 64 KiB: about eighty of these lines. All are there for who reads on."""
    exchanges = 150
    async with (
        ScriptedUpstream(Witness(chunks=2).handle) as upstream,
        gateway(tmp_path, upstream.url, 'format = "json"') as (url, process),
        aiohttp.ClientSession() as http,
    ):
        assert process.stderr is not None
        transport: Any = process.stderr._transport  # type: ignore[attr-defined]
        transport.pause_reading()
        for n in range(exchanges):
            assert await ask(http, url, n + 1) == 200
        transport.resume_reading()
        said = await lines_of(process)
    assert sum(json.loads(line)["logger"] == "headgate.exchange" for line in said) == exchanges
