"""Keys are handed out over plain http too, keep what nobody changed, and are told from others of their name."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser.stage import Gateway, Visitor, serving, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")

WITHOUT_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
"""What a page over plain http finds, but for one of the machine itself."""


async def test_without_a_clipboard_what_is_marked_is_copied(browser: Browser, empty: Gateway) -> None:
    async with visiting(browser, empty.url) as ada:
        await ada.page.add_init_script(WITHOUT_CLIPBOARD)
        page = await ada.open("/")
        told = await page.get_by_label("a first request", exact=True).inner_text()
        copy = page.get_by_role("button", name="Copy: a first request")
        await copy.click()
        await expect(copy).to_contain_text("Copied")
        await ada.open("/exchanges")
        await page.get_by_label("Model").focus()
        await page.keyboard.press("Control+V")
        pasted = await page.get_by_label("Model").input_value()
        assert pasted.split() == told.split()


async def test_what_cannot_be_copied_is_told(browser: Browser, empty: Gateway) -> None:
    async with visiting(browser, empty.url) as ada:
        await ada.page.add_init_script(WITHOUT_CLIPBOARD + "document.execCommand = () => false;")
        page = await ada.open("/")
        await page.get_by_role("button", name="Copy: a first request").click()
        await expect(page.get_by_text("Mark it and copy it by hand")).to_be_visible()


async def test_an_expiry_that_nobody_changed_stays_to_the_second(browser: Browser, tmp_path: Path) -> None:
    async with serving(tmp_path) as gateway, visiting(browser, gateway.url) as ada:
        key = await a_key(ada, expires_at="2100-01-01T00:00:59Z")
        page = await ada.open(f"/keys/{key['key_id']}")
        for owner, expires in (("grace", None), ("edith", "2100-02-01T12:30")):
            await page.get_by_role("button", name="Change").click()
            dialog = page.get_by_role("dialog", name="Change web")
            await dialog.get_by_label("Owner").fill(owner)
            if expires is not None:
                await dialog.get_by_label("Expires").fill(expires)
            await dialog.get_by_role("button", name="Save").click()
            await expect(page.get_by_text(owner, exact=True)).to_be_visible()
            kept = (await ada.api("GET", f"/keys/{key['key_id']}"))["expires_at"]
            assert kept == (key["expires_at"] if expires is None else "2100-02-01T11:30:00Z")


async def test_keys_of_one_name_are_told_apart(browser: Browser, tmp_path: Path) -> None:
    async with serving(tmp_path) as gateway, visiting(browser, gateway.url) as ada:
        old = await a_key(ada)
        await ada.api("POST", f"/keys/{old['key_id']}/revoke")
        page = await ada.open(f"/keys/{old['key_id']}")
        await expect(page.get_by_text("Other keys have had this name")).to_have_count(0)
        new = await a_key(ada)
        await ada.open(f"/keys/{new['key_id']}")
        note = page.get_by_role("note").filter(has_text="Other keys have had this name")
        await expect(note.get_by_role("link", name=old["key_id"])).to_be_visible()
        spend = page.get_by_role("region", name="Spend over time").locator("ul.legend")
        await expect(spend).to_contain_text("$0.00")  # nothing was asked, which is known
        await ada.open("/budgets")
        await page.get_by_role("button", name="Set a budget").first.click()
        await page.get_by_role("combobox", name="Of", exact=True).select_option(label="a key")
        choices = await page.get_by_role("combobox", name="Key").locator("option").all_inner_texts()
        assert sorted(choices) == sorted(f"web ({key['key_id']})" for key in (old, new))


async def a_key(ada: Visitor, **terms: str) -> Any:
    await ada.api("PUT", "/accounts/acme", {"kind": "prepaid"})
    return await ada.api("POST", "/keys", {"name": "web", "account": "acme", **terms})
