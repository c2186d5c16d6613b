from typing import Any

import pytest

from headgate.access.keys import Keys
from headgate.errors import Unauthorized
from headgate.gateway.holder import NOBODY, Doorkeeper, Holder
from headgate.gateway.request import Request
from headgate.stores.memory import MemoryStore

from .fakes import BEARER, KEY_TEXT, NOW_NS, SECRET, post, virtual_key

CONFIGURED = b"a-key-of-some-length"
KEYS = Keys({"team-a": CONFIGURED.decode()})
NONE = Keys({})
ANOTHER = b"hg-another-key"

Header = tuple[bytes, bytes]


def asking(*headers: Header) -> Request:
    return post("/v1/messages", b"", *headers)


def door(keys: Keys = NONE, store: MemoryStore | None = None, *, closed: bool = False) -> Doorkeeper:
    return Doorkeeper(keys, store or MemoryStore(), SECRET, lambda: NOW_NS, closed=closed)


async def with_key(**more: Any) -> MemoryStore:
    store = MemoryStore()
    await store.put_key(virtual_key(**more))
    return store


@pytest.mark.parametrize("name", [b"x-api-key", b"api-key", b"x-goog-api-key", b"authorization"])
async def test_a_key_may_come_where_the_apis_put_theirs(name: bytes) -> None:
    at = door(KEYS, await with_key())
    for scheme in (b"", b"Bearer ") if name == b"authorization" else (b"",):
        assert (await at.holder(asking((name, scheme + CONFIGURED)))).name == "team-a"
        holder = await at.holder(asking((name, scheme + KEY_TEXT)))
        assert (holder.name, holder.key_id, holder.account_id) == ("alice", "key_1", "team")


@pytest.mark.parametrize("key", [CONFIGURED, KEY_TEXT])
async def test_a_key_may_come_in_the_query_as_googles_does(key: bytes) -> None:
    request = Request("POST", "/v1/x", b"alt=sse&key=" + key, [], b"")
    assert (await door(KEYS, await with_key()).holder(request)).name in {"team-a", "alice"}


async def test_an_operators_key_goes_before_a_virtual_one_and_has_no_account() -> None:
    request = asking(BEARER, (b"x-api-key", CONFIGURED))
    holder = await door(KEYS, await with_key()).holder(request)
    assert (holder.name, holder.key, holder.account_id) == ("team-a", None, None)


async def test_a_virtual_key_goes_before_a_providers() -> None:
    request = asking((b"authorization", b"Bearer sk-theirs"), (b"x-api-key", KEY_TEXT))
    assert (await door(store=await with_key()).holder(request)).name == "alice"


async def test_the_first_virtual_key_decides() -> None:
    at, bad = door(store=await with_key()), (b"x-api-key", ANOTHER)
    with pytest.raises(Unauthorized):
        await at.holder(asking(bad, BEARER))
    assert (await at.holder(asking(BEARER, bad))).name == "alice"


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"authorization", b"Bearer wrong"),),
        ((b"authorization", b"a-key"), (b"x-api-key", b"")),
        ((b"authorization", b"Bearer " + KEY_TEXT[:-1]),),
        ((b"authorization", b"Bearer HG" + KEY_TEXT[2:]),),
    ],
)
async def test_without_a_good_key(headers: tuple[Header, ...]) -> None:
    with pytest.raises(Unauthorized):
        await door(KEYS, await with_key()).holder(asking(*headers))


@pytest.mark.parametrize("headers", [(), ((b"authorization", b"Bearer sk-theirs"),)])
async def test_open_only_while_nobody_made_a_key(headers: tuple[Header, ...]) -> None:
    request = asking(*headers)
    assert await door().holder(request) == NOBODY
    for closed in (
        door(KEYS),
        door(closed=True),
        door(store=await with_key()),
        door(store=await with_key(revoked_at_ns=1)),
    ):
        with pytest.raises(Unauthorized, match="needs one of its own keys"):
            await closed.holder(request)


async def test_an_unknown_virtual_key_is_refused_even_where_the_gateway_is_open() -> None:
    with pytest.raises(Unauthorized, match="not one of this gateway's"):
        await door().holder(asking((b"authorization", b"Bearer " + ANOTHER)))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"revoked_at_ns": NOW_NS + 10**9}, "revoked"),
        ({"expires_at_ns": NOW_NS}, "expired"),
        ({"expires_at_ns": NOW_NS + 1}, None),
    ],
)
async def test_a_key_that_is_no_longer_good(more: dict[str, int], why: str | None) -> None:
    at = door(store=await with_key(**more))
    if why is None:
        assert (await at.holder(asking(BEARER))).name == "alice"
        return
    with pytest.raises(Unauthorized, match=why) as raised:
        await at.holder(asking(BEARER))
    assert KEY_TEXT.decode() not in raised.value.message


async def test_a_digest_under_another_secret_opens_nothing() -> None:
    store = await with_key()
    with pytest.raises(Unauthorized):
        await Doorkeeper(NONE, store, b"another secret", lambda: NOW_NS).holder(asking(BEARER))


def test_what_goes_on_to_a_provider_is_no_key_of_ours() -> None:
    theirs = (b"authorization", b"Bearer sk-theirs")
    request = asking(theirs, (b"x-api-key", CONFIGURED), (b"api-key", KEY_TEXT), (b"x-goog-api-key", ANOTHER))
    assert door(KEYS).others(request) == [theirs]


def test_holders_are_told_apart_by_key_not_by_name() -> None:
    own, changed = Holder("alice", virtual_key()), Holder("alice", virtual_key(expires_at_ns=5))
    assert own.is_same(changed)
    for other in (NOBODY, Holder("alice"), Holder("alice", virtual_key(key_id="key_2"))):
        assert not own.is_same(other)


async def test_a_key_that_the_settings_lose_is_good_for_nothing_and_one_that_they_gain_is_good() -> None:
    at, asked = door(KEYS), asking((b"x-api-key", CONFIGURED))
    assert (await at.holder(asked)).name == "team-a"
    at.change(Keys({"team-b": "another key of theirs"}), closed=True)
    with pytest.raises(Unauthorized):
        await at.holder(asked)
    assert (await at.holder(asking((b"x-api-key", b"another key of theirs")))).name == "team-b"
    at.change(NONE, closed=False)
    assert await at.is_open()
    at.change(NONE, closed=True)
    assert not await at.is_open()
