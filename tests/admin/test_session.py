"""Signing in with a browser, over real sockets: the cookie, whose it is, and what it is good for."""

import asyncio

import pytest

from headgate.admin.passes import LIFETIME_SECONDS
from tests.admin.serving import KEY, KEYS, Api, Got, served

NS = 1_000_000_000
OWN = {"sec-fetch-site": "same-origin"}
BODY = {"kind": "prepaid"}


async def signed_in(api: Api, key: str = KEY, **headers: str) -> Got:
    return await api("POST", "/session", {"key": key}, key=None, headers=headers)


def cookie(got: Got) -> dict[str, str]:
    return {"cookie": got.headers["set-cookie"].partition(";")[0]}


async def test_a_cookie_stands_for_the_key() -> None:
    async with served() as api:
        entered = await signed_in(api)
        assert entered.status == 200
        assert entered.body == {"name": "ada", "expires_at": "2025-11-02T00:26:40Z"}
        told = entered.headers["set-cookie"]
        assert told.endswith(f"; Path=/admin/v1; Max-Age={LIFETIME_SECONDS}; HttpOnly; SameSite=Strict")
        assert KEY not in told
        mine = cookie(entered)
        assert (await api("GET", "/session", key=None, headers=mine)).body == entered.body
        assert (await api("GET", "/accounts", key=None, headers=mine)).status == 200
        assert (await api("PUT", "/accounts/acme", BODY, key=None, headers=mine | OWN)).status == 201


async def test_a_key_itself_has_no_end() -> None:
    async with served() as api:
        assert (await api("GET", "/session")).body == {"name": "ada", "expires_at": None}


async def test_without_a_sign_in_nobody_is_here() -> None:
    async with served() as api:
        assert (await api("GET", "/session", key=None)).status == 401
        got = await api("GET", "/session", key=None, headers={"cookie": "headgate_session=1.99999999999.YWRh.AAAA"})
        assert got.status == 401


async def test_where_no_key_is_configured_there_is_no_way_in() -> None:
    async with served(keys={}) as api:
        for method in ("GET", "POST", "DELETE"):
            assert (await api.raw(method, "/session", key=None, json={"key": ""})).status == 404


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
                                     {"origin": "http://evil.example"}])  # fmt: skip
async def test_other_pages_change_nothing_with_it(headers: dict[str, str]) -> None:
    async with served() as api:
        mine = cookie(await signed_in(api))
        refused = await api("PUT", "/accounts/acme", BODY, key=None, headers=mine | headers)
        assert (refused.status, refused.error["code"]) == (403, "not_allowed")
        assert (await api("GET", "/accounts")).body["data"] == []


async def test_other_pages_cannot_sign_anybody_in_or_out() -> None:
    async with served() as api:
        assert (await signed_in(api, **{"sec-fetch-site": "cross-site"})).status == 403
        assert (await api("DELETE", "/session", key=None, headers={"origin": "http://evil.example"})).status == 403


async def test_an_origin_that_is_the_host_will_do() -> None:
    async with served() as api:
        mine = cookie(await signed_in(api))
        origin = {"origin": api.root.removesuffix("/admin/v1")}
        assert (await api("PUT", "/accounts/acme", BODY, key=None, headers=mine | origin)).status == 201


async def test_a_sign_in_ends() -> None:
    async with served() as api:
        mine = cookie(await signed_in(api))
        api.clock.now_ns += LIFETIME_SECONDS * NS
        assert (await api("GET", "/session", key=None, headers=mine)).status == 401


async def test_a_sign_in_ends_with_its_key() -> None:
    keys = KEYS | {"bob": "the admin key of bob"}
    async with served(keys=keys) as api:
        mine = cookie(await signed_in(api, keys["bob"]))
        assert (await api("GET", "/session", key=None, headers=mine)).body["name"] == "bob"
    async with served() as api:
        assert (await api("GET", "/session", key=None, headers=mine)).status == 401


async def test_signing_out() -> None:
    async with served() as api:
        mine = cookie(await signed_in(api))
        gone = await api("DELETE", "/session", key=None, headers=mine | OWN)
        assert gone.status == 204
        assert gone.headers["set-cookie"] == ("headgate_session=; Path=/admin/v1; Max-Age=0; HttpOnly; SameSite=Strict")
        assert (await api("DELETE", "/session", key=None)).status == 204, "also who has none, or an old one"


async def test_behind_https_the_cookie_stays_there() -> None:
    async with served() as api:
        assert (await signed_in(api, **{"x-forwarded-proto": "https"})).headers["set-cookie"].endswith("; Secure")


async def test_a_wrong_key_is_told_late_and_leaves_nothing() -> None:
    let_go = asyncio.Event()

    async def wait() -> None:
        await let_go.wait()

    async with served(wait=wait) as api:
        guess = asyncio.create_task(signed_in(api, "a guess at the key"))
        assert (await signed_in(api)).status == 200
        assert not guess.done()
        let_go.set()
        refused = await guess
        assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")
        assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("body", [{}, {"key": ""}, {"key": 1}, {"key": "x" * 1_001}, {"key": KEY, "name": "ada"}])
async def test_a_sign_in_is_a_key_and_nothing_else(body: dict[str, object]) -> None:
    async with served() as api:
        assert (await api("POST", "/session", body, key=None)).status == 400
