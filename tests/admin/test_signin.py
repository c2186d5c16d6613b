"""The door: who is let in, how late a refusal comes, and what the log says of it."""

import asyncio
import logging

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from headgate.admin.api import error_response
from headgate.admin.passes import Passes
from headgate.admin.signin import VISIT, AdminKeys, Door
from tests.admin.serving import SECRET, Clock, served

KEYS = ("the first admin key", "the second admin key é")


async def status(door: Door, *authorization: bytes) -> int:
    """What a request with these headers is answered."""
    return (await answer(door, *authorization))[0]


async def answer(door: Door, *authorization: bytes, cookie: str = "") -> tuple[int, bytes]:
    """Status and body."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", value) for value in authorization]
    headers += [(b"cookie", cookie.encode())] if cookie else []
    scope: Scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "client": ("192.0.2.7", 1)}
    await door(scope, receive, send)
    return int(sent[0]["status"]), sent[1]["body"]


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells who came in."""
    await PlainTextResponse(scope[VISIT].name)(scope, receive, send)


def a_door(*keys: str, waits: list[str] | None = None) -> Door:
    async def wait() -> None:
        if waits is not None:
            waits.append("waited")

    named = {f"key {n}": key for n, key in enumerate(keys)}
    return Door(inside, AdminKeys(named, wait), Passes(SECRET, named, Clock()), error_response)


@pytest.mark.parametrize(
    ("authorization", "let_in"),
    [
        ([b"Bearer the first admin key"], True),
        ([b"bearer  the first admin key "], True),
        ([b"Bearer " + KEYS[1].encode()], True),
        ([b"Bearer"], False),
        ([b"Bearer "], False),
        ([b"Bearer the first admin ke"], False),
        ([b"Basic x", b"Bearer the first admin key"], False),
        ([b"Bearer the first admin key", b"Bearer the first admin key"], False),
    ],
)
async def test_who_is_let_in(authorization: list[bytes], let_in: bool) -> None:
    waits: list[str] = []
    assert await status(a_door(*KEYS, waits=waits), *authorization) == (200 if let_in else 401)
    assert waits == ([] if let_in else ["waited"]), "only a refusal is slow"


@pytest.mark.parametrize("authorization", [[], [b""], [b"Basic the first admin key"], [b"the first admin key"]])
async def test_who_brings_no_key_has_not_guessed(authorization: list[bytes]) -> None:
    waits: list[str] = []
    assert await status(a_door(*KEYS, waits=waits), *authorization) == 401
    assert waits == []


@pytest.mark.parametrize(
    "proxys", [b"Basic b3BzOnBhc3N3b3Jk", b"Bearer a token of the proxy's", b"Negotiate YIIZ", b""]
)
async def test_what_a_proxy_has_a_browser_send_does_not_put_out_its_pass(proxys: bytes) -> None:
    waits: list[str] = []
    door = a_door(*KEYS, waits=waits)
    _, text = Passes(SECRET, {"key 1": KEYS[1]}, Clock()).make("key 1")
    assert await answer(door, proxys, cookie=f"headgate_session={text}") == (200, b"key 1")
    assert waits == [], "it is no guess"
    assert await answer(door, b"Bearer " + KEYS[0].encode(), cookie=f"headgate_session={text}") == (200, b"key 0")
    assert (await answer(door, proxys, cookie="headgate_session=1.2.3.4"))[0] == 401


async def test_a_flood_of_guesses_does_not_pile_up_and_keeps_nobody_out() -> None:
    let_go = asyncio.Event()

    async def wait() -> None:
        await let_go.wait()

    keys = AdminKeys({"ada": KEYS[0]}, wait)
    door = Door(inside, keys, Passes(SECRET, {}, Clock()), error_response)
    guesses = [asyncio.create_task(status(door, b"Bearer a wrong key")) for _ in range(150)]
    await asyncio.sleep(0)
    done, waiting = await asyncio.wait(guesses, timeout=0.1)
    assert [task.result() for task in done] == [429] * 50
    assert await status(door, b"Bearer " + KEYS[0].encode()) == 200
    let_go.set()
    assert await asyncio.gather(*waiting) == [401] * 100
    assert await status(door, b"Bearer a wrong key") == 401, "and then the next ones wait"


async def test_who_came_in_is_told_by_the_name_of_his_key() -> None:
    door = a_door(*KEYS)
    assert await answer(door, b"Bearer " + KEYS[1].encode()) == (200, b"key 1")
    assert await answer(door, b"Bearer " + KEYS[0].encode()) == (200, b"key 0")


async def test_without_keys_there_is_nothing_here() -> None:
    for authorization in ([], [b"Bearer "], [b"Bearer x"]):
        assert await status(a_door(), *authorization) == 404


def test_no_key_is_too_short_to_be_one() -> None:
    for key in ("", "x" * 15):
        with pytest.raises(ValueError, match="16 characters"):
            a_door(KEYS[0], key)


async def test_a_refusal_is_logged_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await status(a_door(*KEYS), b"Bearer the wrong admin key")
    assert "192.0.2.7" in caplog.text
    assert "wrong" not in caplog.text


async def test_who_guesses_waits_and_nobody_else() -> None:
    let_go = asyncio.Event()

    async def wait() -> None:
        await let_go.wait()

    async with served(wait=wait) as api:
        guess = asyncio.create_task(api.raw("GET", "/accounts", key="a guess at the key"))
        for _ in range(3):
            assert (await api("GET", "/accounts")).status == 200
        assert not guess.done()
        let_go.set()
        assert (await guess).status == 401
