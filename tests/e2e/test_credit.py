"""Two hundred streams at once on one account that has credit for N of them: N are served, and the sum is exact."""

import asyncio
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from headgate.access.limits import Limits
from headgate.ledger.commands import Post
from headgate.ledger.entries import EntryKind, Result
from headgate.testing.upstream import ScriptedUpstream
from tests.e2e.books import ACCOUNT, Answer, GatewayProcess, Witness, ask, audited, fill, opened, price
from tests.postgres_server import PostgresDatabase

AT_ONCE = 200
SERVED = 37
CHUNKS = 20


@pytest.fixture(params=["sqlite", "postgres", "postgres, two gateways"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, int]:
    """The database, and how many gateways there are on it."""
    if request.param == "sqlite":
        return str(tmp_path / "books.db"), 1
    postgres: PostgresDatabase = request.getfixturevalue("postgres")
    return postgres.dsn(), 2 if "two" in request.param else 1


async def test_exactly_so_many_are_admitted_as_there_is_credit_for(setting: tuple[str, int], tmp_path: Path) -> None:
    database, gateways = setting
    witness = Witness(chunks=CHUNKS, pause=0.05)
    streams = [n * 8 for n in range(1, AT_ONCE + 1)]  # each to its end
    async with opened(database) as store:
        await fill(store, credit_nanos=10**12, keys=["shared"])
    async with ScriptedUpstream(witness.handle) as upstream:
        processes = [GatewayProcess(tmp_path, upstream.url, database) for _ in range(gateways)]
        for process in processes:
            await process.start()
        assert (await ask(processes[0].port, 0, key="shared")).whole
        credit = SERVED * await _hold_of_the_first(database) + price(CHUNKS)
        await _leave(database, credit)
        witness.gate = asyncio.Event()  # all at once: nothing comes free before the last has asked
        asking = [
            asyncio.create_task(ask(processes[i % gateways].port, n, key="shared")) for i, n in enumerate(streams)
        ]
        async with asyncio.timeout(60):
            while len(witness.asked) - 1 + sum(task.done() for task in asking) < AT_ONCE:
                await asyncio.sleep(0.02)
        witness.gate.set()
        answers = await asyncio.gather(*asking)
        for process in processes:
            await process.stop()
    refused = [answer for answer in answers if answer.status == 402]
    assert len([answer for answer in answers if answer.whole]) == SERVED, [a.status for a in answers]
    assert len(refused) == AT_ONCE - SERVED
    assert len(witness.asked) == 1 + SERVED
    for answer in refused:
        _tells_what_is_missing(answer)
    async with opened(database) as store:
        await audited(store)
        account = await store.account(ACCOUNT)
        assert account is not None
        assert account.posted_nanos == credit - SERVED * price(CHUNKS)


async def _hold_of_the_first(database: str) -> int:
    async with opened(database) as store:
        entries = [entry for _, entry in await store.entries(ACCOUNT)]
    return next(entry.held_nanos for entry in entries if entry.kind is EntryKind.PLACE)


async def _leave(database: str, nanos: int) -> None:
    """Correct the account so that exactly so much is available, while the gateways run."""
    async with opened(database) as store:
        while await store.open_holds():  # a settlement gathers for a moment after its client has the answer
            await asyncio.sleep(0.01)
        account = await store.account(ACCOUNT)
        assert account is not None
        amount = nanos - account.available_nanos
        assert (await store.submit(Post("leave", ACCOUNT, EntryKind.CORRECTION, amount, 0))).result is Result.DONE


def _tells_what_is_missing(answer: Answer) -> None:
    head, _, body = answer.body.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert b"x-should-retry: false" in head
    assert error["code"] == "insufficient_credit"
    assert error["message"].count("$") == 2, "what was needed, and what was there"


async def test_two_gateways_keep_one_limit(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """A key's limits hold in all processes together, and its revocation counts in all of them at once."""
    database, witness = postgres.dsn(), Witness(chunks=4)
    async with opened(database) as store:
        await fill(store, credit_nanos=10**12, keys=["shared"], limits=Limits(concurrent=5))
    async with ScriptedUpstream(witness.handle) as upstream:
        processes = [GatewayProcess(tmp_path, upstream.url, database) for _ in range(2)]
        for process in processes:
            await process.start()
        witness.pause = 0.3
        witness.gate = asyncio.Event()
        asking = [asyncio.create_task(ask(processes[n % 2].port, n * 8, key="shared")) for n in range(20)]
        async with asyncio.timeout(60):
            while len(witness.asked) + sum(task.done() for task in asking) < len(asking):
                await asyncio.sleep(0.02)
        witness.gate.set()
        answers = await asyncio.gather(*asking)
        assert sorted(answer.status for answer in answers) == [200] * 5 + [429] * 15
        async with opened(database) as store:
            key = await store.key("key_shared")
            assert key is not None
            await store.put_key(replace(key, revoked_at_ns=1))
            refused = await asyncio.gather(*(ask(process.port, 800, key="shared") for process in processes))
        assert [answer.status for answer in refused] == [401, 401]
        for process in processes:
            await process.stop()
    async with opened(database) as store:
        await audited(store)
