"""The gateway stops while someone looks: it is told, nothing is lost, and all goes on when it is back."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.stage import Gateway, serving, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")

GONE = ("net::ERR_CONNECTION_REFUSED", "net::ERR_EMPTY_RESPONSE", "net::ERR_INCOMPLETE_CHUNKED_ENCODING",
        "net::ERR_CONNECTION_RESET")  # fmt: skip
"""What a browser says of a gateway that is not there."""


async def test_the_live_view_says_so_and_goes_on(browser: Browser, tmp_path: Path) -> None:
    async with serving(tmp_path) as gateway, visiting(browser, gateway.url) as ada:
        page = await ada.open("/live")
        status = page.get_by_role("status")
        await expect(status.filter(has_text=re.compile("^live$"))).to_be_visible()
        before = await page.locator(".lead").inner_text()
        ada.watch.excuse(*GONE)
        await gateway.stop()
        await expect(status.filter(has_text="connection lost")).to_be_visible()
        await gateway.start()
        await expect(status.filter(has_text=re.compile("^live$"))).to_be_visible()
        await expect(page.locator(".lead")).not_to_have_text(before)


async def test_the_live_view_stays_where_it_is_and_says_why(browser: Browser, empty: Gateway) -> None:
    refusal = {"error": {"code": "unavailable", "message": "The database is away."}}
    async with visiting(browser, empty.url) as ada:
        page, status = ada.page, ada.page.get_by_role("status")
        ada.watch.excuse("503 GET /admin/v1/live/events", "401 GET /admin/v1/live/events", "net::ERR_FAILED")
        await page.route("**/live/events", lambda route: route.fulfill(status=503, json=refusal))
        await ada.page.goto(f"{ada.url}/live")
        await expect(status.filter(has_text="connection lost")).to_be_visible()
        await page.route("**/admin/v1/session", lambda route: route.abort())
        await expect(page.get_by_role("alert")).to_contain_text("The database is away.")
        await expect(page.get_by_role("heading", name="Live", level=1)).to_be_visible()
        await page.unroute("**/live/events")
        await expect(status.filter(has_text=re.compile("^live$"))).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_count(0)
        await page.route("**/live/events", lambda route: route.fulfill(status=401, json=refusal))
        await page.get_by_role("button", name="Pause").click()
        await page.get_by_role("button", name="Go on").click()
        await expect(status.filter(has_text="session has ended")).to_be_visible()


async def test_signing_out_is_not_said_to_be_done_when_nobody_heard(browser: Browser, empty: Gateway) -> None:
    async with visiting(browser, empty.url) as ada:
        page = await ada.open("/keys")
        ada.watch.excuse("net::ERR_FAILED")
        await page.route("**/admin/v1/session", lambda route: route.abort())
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("alert")).to_contain_text("You are still signed in.")
        await page.unroute("**/admin/v1/session")
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Admin key")).to_be_visible()


async def test_a_page_says_so_keeps_what_it_has_and_goes_on(browser: Browser, tmp_path: Path) -> None:
    async with serving(tmp_path) as gateway, visiting(browser, gateway.url) as ada:
        await ada.api("PUT", "/accounts/acme", {"kind": "prepaid"})
        page = await ada.open("/health")
        ada.watch.excuse(*GONE)
        await gateway.stop()
        await page.get_by_role("button", name="Refresh").first.click()
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("The gateway does not answer.")
        await expect(page.get_by_role("heading", name="Records are kept")).to_be_visible()
        await page.get_by_role("link", name="Accounts").click()
        await expect(alert).to_contain_text("The gateway does not answer.")
        await gateway.start()
        await alert.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("link", name="acme")).to_be_visible()
        await expect(alert).to_have_count(0)


async def test_who_comes_while_it_is_gone_sees_it_come_back(browser: Browser, tmp_path: Path) -> None:
    """The page itself may still be there, in the browser's memory, when what it asks for is not."""
    async with serving(tmp_path) as gateway, visiting(browser, gateway.url) as ada:
        page = ada.page
        asked = f"{gateway.url}/admin/v1/session"
        ada.watch.excuse("net::ERR_FAILED")
        await page.route(asked, lambda route: route.abort())
        await ada.open("/")
        await expect(page.get_by_role("alert")).to_contain_text("The gateway does not answer.")
        async with page.expect_request(asked):
            await page.get_by_role("button", name="Try again").click()
        await page.unroute(asked)  # it asks again by itself
        await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
