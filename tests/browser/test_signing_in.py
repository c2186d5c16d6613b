"""At the door: who has no key learns what to do, who has one comes to the page that was asked for, and stays."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.stage import ADMIN, ADMIN_KEY, NOT_SIGNED_IN, Gateway, Visitor, serving, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_wrong_key_is_told_and_the_right_one_leads_to_the_page_asked_for(
    browser: Browser, history: Gateway
) -> None:
    async with visiting(browser, history.url, signed_in=False) as ada:
        ada.watch.excuse(NOT_SIGNED_IN, "401 POST /admin/v1/session")
        page = await ada.open("/exchanges?range=24h&model=gpt-5-mini")
        await give(ada, "a key that opens nothing")
        await expect(page.get_by_role("alert")).to_contain_text("key")
        await give(ada, ADMIN_KEY)
        await expect(page.get_by_role("heading", name="Exchanges", level=1)).to_be_visible()
        assert page.url == f"{ada.url}/exchanges?range=24h&model=gpt-5-mini"
        await expect(page.get_by_text(f"Signed in as {ADMIN}")).to_be_visible()


async def test_a_reload_stays_signed_in_and_no_script_can_read_what_for(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url, signed_in=False) as ada:
        ada.watch.excuse(NOT_SIGNED_IN)
        page = await ada.open("/")
        await give(ada, ADMIN_KEY)
        await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        await page.reload()
        await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        (cookie,) = await page.context.cookies(f"{history.url}/admin/v1/session")
        assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("headgate_session", True, "Strict")
        assert ADMIN_KEY not in cookie["value"]
        kept = await page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
        assert kept == '["",{},{}]'


async def test_signing_out_ends_it(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/keys")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Admin key")).to_be_focused()
        ada.watch.excuse(NOT_SIGNED_IN)
        await page.reload()
        await expect(page.get_by_label("Admin key")).to_be_visible()


async def test_a_session_that_has_ended_is_told_and_goes_on_where_it_was(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/exchanges")
        await page.context.clear_cookies()
        ada.watch.excuse("401 GET /admin/v1/accounts")
        await page.get_by_role("link", name="Accounts").click()
        await expect(page.get_by_role("status")).to_contain_text("session has ended")
        await give(ada, ADMIN_KEY)
        await expect(page.get_by_role("heading", name="Accounts", level=1)).to_be_visible()
        await expect(page.get_by_role("link", name="globex")).to_be_visible()


async def test_without_an_admin_key_the_page_says_what_to_put_where(browser: Browser, tmp_path: Path) -> None:
    async with (
        serving(tmp_path, admin=False) as gateway,
        visiting(browser, gateway.url, signed_in=False) as ada,
    ):
        ada.watch.excuse("404 GET /admin/v1/session")
        page = await ada.open("/")
        await expect(page.get_by_role("heading", name="The admin API is off")).to_be_visible()
        told = page.get_by_label("what to put into headgate.toml", exact=True)
        await expect(told).to_contain_text("[admin.keys]")


async def give(visitor: Visitor, key: str) -> None:
    await visitor.page.get_by_label("Admin key").fill(key)
    await visitor.page.get_by_role("button", name="Sign in").click()
