"""A listener beside the gateway's own."""

import asyncio
from typing import Any

import aiohttp
import pytest

from headgate.errors import ConfigError
from headgate.net.listener import Listener
from headgate.net.server import bind


async def hello(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http", "there is no lifespan"
    del receive
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_it_serves_until_it_is_closed() -> None:
    listener = Listener(hello, "127.0.0.1", 0)
    assert listener.port == 0
    await listener.open()
    url = f"http://127.0.0.1:{listener.port}/"
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            async with http.get(url) as answer:
                assert (answer.status, await answer.read()) == (200, b"hello")
        await listener.aclose()
        with pytest.raises(aiohttp.ClientError):
            await http.get(url)


async def test_closing_does_not_wait_for_what_never_ends() -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def forever(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await end.wait()
        await hello(scope, receive, send)

    listener = Listener(forever, "127.0.0.1", 0, last_seconds=0.01)
    await listener.open()
    async with aiohttp.ClientSession() as http:
        asking = asyncio.ensure_future(http.get(f"http://127.0.0.1:{listener.port}/"))
        await begun.wait()
        await listener.aclose()
        with pytest.raises(aiohttp.ClientError):
            await asking
        end.set()


async def test_what_is_being_answered_has_a_moment_to_end() -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await end.wait()
        await hello(scope, receive, send)

    listener = Listener(slow, "127.0.0.1", 0, last_seconds=30)
    await listener.open()
    async with aiohttp.ClientSession() as http:
        asking = asyncio.ensure_future(http.get(f"http://127.0.0.1:{listener.port}/"))
        await begun.wait()
        closing = asyncio.create_task(listener.aclose())
        await asyncio.sleep(0)
        end.set()
        assert await (await asking).read() == b"hello"
        await closing


async def test_an_address_that_is_taken() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match="cannot listen on 127"):
            await Listener(hello, "127.0.0.1", taken.getsockname()[1]).open()


async def test_what_never_listened_can_be_closed() -> None:
    await Listener(hello, "127.0.0.1", 0).aclose()
