"""A socket whose TCP connection fails somewhere, on either side: one settlement for each response, and none lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from headgate.access.virtual import VirtualKey, digest_of, hint_of
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.providers import registry
from headgate.providers.base import Deployment, Secret
from headgate.records import Ending, Settled
from headgate.testing.faults import Cut, Faults, Reset, Script, Stall, Trickle
from headgate.testing.proxy import Direction, Proxy, proxying
from headgate.usage import Basis
from tests.e2e.running import ACCESS_SECRET, CREDENTIAL, Running, serving
from tests.e2e.test_sockets import CREDIT_NANOS, TEXT, Provider, create

CHARGE = 10 * 150 + 3 * 600


@asynccontextmanager
async def between(client_side: Proxy, provider_side: Proxy) -> AsyncIterator[tuple[Running, Provider]]:
    """client - proxy - gateway - proxy - provider."""

    async def script(socket: ServerConnection, said: dict[str, Any]) -> None:
        await provider.answer(socket, said)

    provider = Provider(script)
    async with (
        serve(provider.connection, "127.0.0.1", 0) as server,
        proxying(provider_side, server.sockets[0].getsockname()[1]),
    ):
        kind = registry.by_name("openai")
        root = kind.root(f"http://127.0.0.1:{provider_side.port}")
        async with serving((Deployment("openai", kind, root, Secret(CREDENTIAL)),)) as gateway:
            await gateway.log.submit(OpenAccount("team", AccountKind.PREPAID, 0))
            await gateway.log.submit(Post("first", "team", EntryKind.TOP_UP, CREDIT_NANOS, 0))
            digest = digest_of(TEXT.encode(), ACCESS_SECRET.encode())
            await gateway.log.put_key(VirtualKey("key_1", "alice", "team", digest, hint_of(TEXT), 0))
            async with proxying(client_side, gateway.port):
                yield gateway, provider


async def talk(port: int, turns: int) -> int:
    """Ask for responses one after another; returns how many came whole before the connection failed."""
    whole = 0
    try:
        async with websockets.connect(
            f"ws://127.0.0.1:{port}/v1/responses",
            additional_headers={"authorization": f"Bearer {TEXT}"},
            compression=None,
        ) as socket:
            for _ in range(turns):
                await socket.send(create())
                for _ in range(4):
                    await socket.recv()
                whole += 1
    except (websockets.WebSocketException, OSError, EOFError):
        pass
    return whole


async def settled(gateway: Running, provider: Provider, whole: int) -> list[Ending]:
    """What must hold of any failure, once the gateway is done with it."""
    async with asyncio.timeout(20):
        while (account := await gateway.log.account("team")) is None or account.held_nanos:
            await asyncio.sleep(0.01)
        while len([r for r in gateway.log.kept if r.bill.account is not None]) < len(provider.frames):
            await asyncio.sleep(0.01)
    turns = [record for record in gateway.log.kept if record.bill.account is not None]
    assert len({record.exchange_id for record in turns}) == len(turns)
    assert sum(record.bill.charge_nanos or 0 for record in turns) == CREDIT_NANOS - account.posted_nanos
    reported = [record for record in turns if record.reading.basis is Basis.REPORTED]
    assert len(reported) >= whole
    for record in reported:
        assert (record.bill.charge_nanos, record.bill.settled) == (CHARGE, Settled.CAPTURED)
    return [record.ending for record in turns]


def one_way(direction: Direction, script: Script) -> Faults:
    return Faults(up=script) if direction is Direction.UP else Faults(down=script)


POINTS = [0, 150, 300, 420, 500, 700, 900, 1300]
"""Bytes: in the handshake, in frames' heads, in frames, and between them; a turn is some 600 down and 100 up."""


@pytest.mark.parametrize("side", ["client", "provider"])
@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("fault", [Cut, Reset])
async def test_wherever_it_breaks_all_is_settled_once(
    side: str, direction: Direction, fault: type[Cut] | type[Reset]
) -> None:
    for after in POINTS:
        faulty = Proxy(one_way(direction, (fault(after),)))
        sides = (faulty, Proxy()) if side == "client" else (Proxy(), faulty)
        async with between(*sides) as (gateway, provider):
            whole = await talk(sides[0].port, 3)
            endings = await settled(gateway, provider, whole)
            lost = Ending.CLIENT_LEFT if side == "client" else Ending.UPSTREAM_CUT
            assert set(endings) <= {Ending.COMPLETE, lost}, (after, endings)
            assert endings.count(lost) <= 1


@pytest.mark.parametrize("piece", [1, 3, 100])
async def test_frames_in_pieces_are_whole_frames(piece: int) -> None:
    slowly = Faults((Trickle(0, piece),), (Trickle(0, piece),))
    client_side = Proxy(slowly)
    async with between(client_side, Proxy(slowly)) as (gateway, provider):
        assert await talk(client_side.port, 1) == 1
        assert await settled(gateway, provider, 1) == [Ending.COMPLETE]


@pytest.mark.parametrize("side", ["client", "provider"])
@pytest.mark.parametrize("direction", Direction)
async def test_a_stall_is_waited_for(side: str, direction: Direction) -> None:
    faulty = Proxy(one_way(direction, (Stall(700 if direction is Direction.DOWN else 420),)))
    sides = (faulty, Proxy()) if side == "client" else (Proxy(), faulty)
    async with between(*sides) as (gateway, provider):
        talking = asyncio.create_task(talk(sides[0].port, 3))
        await faulty.struck.wait()
        faulty.release()
        assert await talking == 3
        assert await settled(gateway, provider, 3) == [Ending.COMPLETE] * 3
