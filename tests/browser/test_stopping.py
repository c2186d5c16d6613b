"""The gateway stops while someone looks: it is told, nothing is lost, and all goes on when it is back."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.stage import serving, visiting

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


async def test_who_comes_while_it_is_gone_can_look_again(browser: Browser, tmp_path: Path) -> None:
    """The page itself may still be there, in the browser's memory, when what it asks for is not."""
    async with serving(tmp_path) as gateway, visiting(browser, gateway.url) as ada:
        page = ada.page
        asked = f"{gateway.url}/admin/v1/session"
        ada.watch.excuse("net::ERR_FAILED")
        await page.route(asked, lambda route: route.abort())
        await ada.open("/")
        await expect(page.get_by_role("alert")).to_contain_text("The gateway does not answer.")
        await page.unroute(asked)
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
