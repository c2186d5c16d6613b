"""The admin API of a real gateway: a team gets credit and a key, spends, is looked at, and is shut out."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headgate.testing.upstream import ScriptedUpstream
from tests.e2e.books import MODEL, GatewayProcess, Witness, price
from tests.postgres_server import PostgresDatabase

ADMIN_KEY = "an admin key, long enough"
CHUNKS = 4


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "books.db")
    postgres: PostgresDatabase = request.getfixturevalue("postgres")
    return postgres.dsn()


def _add_to_config(folder: Path, more: str) -> None:
    (config,) = folder.glob("*.toml")
    config.write_text(config.read_text() + more)


@asynccontextmanager
async def gateway(folder: Path, upstream: str, database: str, more: str = "") -> AsyncIterator[str]:
    """The address of `headgate serve`, with more lines in its config."""
    process = GatewayProcess(folder, upstream, database)
    _add_to_config(folder, more)
    await process.start()
    try:
        yield f"http://127.0.0.1:{process.port}"
    finally:
        await process.stop()


class Client:
    """Speaks to one gateway, as its operator and as a user."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self._url = http, url
        self._asked = 0

    async def admin(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        async with self._http.request(method, f"{self._url}/admin/v1{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def found(self, path: str) -> Any:
        status, body = await self.admin("GET", path)
        assert status == 200, body
        return body

    async def chat(self, key: str) -> tuple[int, str]:
        """A stream to its end; the status, and the id of the exchange."""
        self._asked += 1
        body = {"model": MODEL, "stream": True, "max_tokens": 40, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {key}", "x-number": str(8 * self._asked)}
        async with self._http.post(f"{self._url}/v1/chat/completions", json=body, headers=headers) as answer:
            await answer.read()
            return answer.status, answer.headers.get("x-headgate-exchange-id", "")


async def test_a_team_with_credit_from_the_first_request_to_the_last(database: str, tmp_path: Path) -> None:
    async with (
        ScriptedUpstream(Witness(chunks=CHUNKS).handle) as upstream,
        gateway(tmp_path, upstream.url, database, f'[admin.keys]\nops = "{ADMIN_KEY}"\n') as url,
        aiohttp.ClientSession() as http,
    ):
        client = Client(http, url)
        assert (await client.admin("PUT", "/accounts/acme", {"kind": "prepaid"}))[0] == 201
        assert (await client.admin("POST", "/accounts/acme/top-ups", {"amount_usd": "1"}))[0] == 201
        status, made = await client.admin("POST", "/keys", {"name": "web", "account": "acme"})
        assert status == 201
        told = [await client.chat(made["key"]) for _ in range(3)]
        assert [status for status, _ in told] == [200] * 3
        await _settled(client, 3)
        await _adds_up(client, database)
        await _reads_back(client, made["key_id"], [exchange_id for _, exchange_id in told])
        assert (await client.admin("POST", f"/keys/{made['key_id']}/revoke"))[0] == 200
        assert (await client.chat(made["key"]))[0] == 401


async def _settled(client: Client, exchanges: int) -> None:
    """Wait for the settlements: they follow the ends of the answers."""
    async with asyncio.timeout(30):
        while len((await client.found("/records?key=web"))["data"]) < exchanges:
            await asyncio.sleep(0.01)


async def _adds_up(client: Client, database: str) -> None:
    """The gateway says so itself, and where it keeps its books."""
    assert [finding["verdict"] for finding in (await client.found("/check"))["data"]] == ["right"]
    health = await client.found("/health")
    assert health["database"]["kind"] == ("postgres" if database.startswith("postgres") else "sqlite")
    assert (health["books"]["balanced"], health["books"]["accounts"], health["open_holds"]) == (True, 1, 0)
    assert (health["since_start"]["exchanges"], health["since_start"]["disputed"]) == (3, 0)
    assert health["running"] == 0


async def _reads_back(client: Client, key_id: str, exchange_ids: list[str]) -> None:
    """The records, their sums and the ledger's entries tell of the same money."""
    each, all_of_it = price(CHUNKS), 3 * price(CHUNKS)
    by_id = await client.found(f"/records?key={key_id}&account=acme&model={MODEL}&provider=openai&limit=2")
    rest = await client.found(f"/records?key={key_id}&limit=2&cursor={by_id['next_cursor']}")
    assert [r["exchange_id"] for r in by_id["data"] + rest["data"]] == exchange_ids[::-1]
    record = await client.found(f"/records/{exchange_ids[0]}")
    assert record == rest["data"][0]
    assert (record["account"], record["cost_nanos"], record["charge_nanos"]) == ("acme", each, each)
    (row,) = (await client.found("/usage?by=account"))["rows"]
    assert (row["account"], row["exchanges"], row["cost_nanos"], row["unpriced"]) == ("acme", 3, all_of_it, 0)
    entries = (await client.found("/accounts/acme/entries"))["data"]
    assert [entry["kind"] for entry in entries].count("capture") == 3
    assert sum(entry["posted_nanos"] for entry in entries) == 10**9 - all_of_it
    account = await client.found("/accounts/acme")
    assert (account["posted_nanos"], account["held_nanos"]) == (10**9 - all_of_it, 0)
    (price_of,) = (await client.found(f"/prices?model={MODEL}"))["data"]
    assert {rate["unit"]: rate["usd"] for rate in price_of["rates"]} == {"input_mtok": "1", "output_mtok": "2"}


async def test_without_an_admin_key_in_the_config_there_is_no_api(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, "http://127.0.0.1:9", str(tmp_path / "books.db")) as url,
        aiohttp.ClientSession() as http,
    ):
        for path in ("/accounts", "/openapi.json", "/usage"):
            status, body = await Client(http, url).admin("GET", path)
            assert (status, body["error"]["code"]) == (404, "not_found"), json.dumps(body)
