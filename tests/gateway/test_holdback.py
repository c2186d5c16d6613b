"""The beginning of a stream, held back for a moment."""

import asyncio

import pytest

from headgate.gateway.holdback import LARGEST, HoldBack
from headgate.gateway.request import ClientGone

from .fakes import SSE, FakeClient


def held(client: FakeClient, seconds: float = 60.0, *, failed: bool = False) -> HoldBack:
    return HoldBack(client, seconds, lambda: failed, lambda: 7)


async def test_nothing_goes_out_until_it_is_opened() -> None:
    client = FakeClient()
    back = held(client)
    await back.start(200, SSE, trailers=True)
    await back.write(b"a")
    await back.write(b"b")
    assert (client.status, client.body, back.sealed, back.started) == (None, b"", True, False)
    await back.open()
    await back.open()
    await back.write(b"c")
    await back.end([(b"x", b"y")])
    assert (client.status, client.headers, client.announced) == (200, SSE, True)
    assert (client.body, client.ended, client.trailers) == (b"abc", True, [(b"x", b"y")])
    assert (back.sealed, back.started, back.opened_ns) == (False, True, 7)
    back.rest()


async def test_it_opens_in_time() -> None:
    client = FakeClient()
    back = held(client, 0.01)
    await back.start(200, SSE)
    await back.write(b"a")
    async with asyncio.timeout(5):
        while back.sealed:
            await asyncio.sleep(0.002)
    assert client.body == b"a"


async def test_it_opens_where_too_much_comes() -> None:
    client = FakeClient()
    back = held(client)
    await back.start(200, SSE)
    await back.write(b"x" * LARGEST)
    assert back.sealed
    await back.write(b"y")
    assert client.body == b"x" * LARGEST + b"y"
    back.rest()


async def test_what_failed_is_not_opened_by_itself() -> None:
    client = FakeClient()
    back = held(client, 0.001, failed=True)
    await back.start(200, SSE)
    await back.write(b"x" * LARGEST + b"y")
    await asyncio.sleep(0.02)
    assert (back.sealed, client.status) == (True, None)


async def test_at_rest_it_stays_closed() -> None:
    client = FakeClient()
    back = held(client, 0.001)
    await back.start(200, SSE)
    back.rest()
    await asyncio.sleep(0.02)
    assert back.sealed


async def test_a_client_that_has_left_is_noticed_by_who_writes() -> None:
    client = FakeClient()
    back = held(client, 0.001)
    await back.start(200, SSE)
    client.leave()
    await asyncio.sleep(0.02)
    assert back.gone
    assert not back.sealed
    with pytest.raises(ClientGone):
        await back.write(b"a")


async def test_the_rest_is_the_clients() -> None:
    client, left = FakeClient(), []
    back = held(client)
    back.on_gone(lambda: left.append(True))
    client.leave()
    back.abort()
    back.rest()
    assert (left, client.aborted) == ([True], True)


async def test_nothing_is_put_before_what_was_kept() -> None:
    """Neither while it is sealed nor while what was kept is still on its way."""
    client, go = Slow(), asyncio.Event()
    client.go = go
    back = held(client)
    await back.start(200, SSE)
    assert not back.put(b"a")
    await back.write(b"a")
    opening = asyncio.create_task(back.open())
    await asyncio.sleep(0)
    assert not back.sealed
    assert not back.put(b"b")
    go.set()
    await opening
    assert back.put(b"b")
    assert client.body == b"ab"
    client.leave()
    with pytest.raises(ClientGone):
        back.put(b"c")
    back.rest()


class Slow(FakeClient):
    """Writes wait until it is let go."""

    go: asyncio.Event

    async def write(self, chunk: bytes) -> None:
        await self.go.wait()
        await super().write(chunk)
