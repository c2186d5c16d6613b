"""Without a mouse: in by the keyboard, to a page, to an exchange and back; focus is seen, and goes in reading order."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.pages import PAGES
from tests.browser.stage import ADMIN_KEY, NOT_SIGNED_IN, Gateway, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")

NAMELESS = re.compile(r"^ *- (?:button|link|textbox|searchbox|combobox|radio|dialog|img)(?: \[.*\])?:?$", re.MULTILINE)
"""What a screen reader could not tell from another of its kind."""
FOCUSED = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const box = at.getBoundingClientRect();
  return { seen: at.matches(":focus-visible") && (outlined || style.boxShadow !== "none") && box.width > 0,
           name: at.getAttribute("aria-label") || at.textContent.trim() || at.getAttribute("name") };
}"""
FOLLOWS = """() => {
  const before = window.lastFocused;
  window.lastFocused = document.activeElement;
  return before === undefined || before === document.activeElement
    || (before.compareDocumentPosition(document.activeElement) & Node.DOCUMENT_POSITION_FOLLOWING) > 0;
}"""


async def test_in_to_an_exchange_and_back(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url, signed_in=False) as ada:
        ada.watch.excuse(NOT_SIGNED_IN)
        page = await ada.open("/")
        await expect(page.get_by_label("Admin key")).to_be_focused()
        await page.keyboard.type(ADMIN_KEY)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        await tab_to(page, "Exchanges")
        await page.keyboard.press("Enter")
        heading = page.get_by_role("heading", name="Exchanges", level=1)
        await expect(heading).to_be_focused()
        await ada.settled()
        first = page.get_by_role("table", name="Exchanges").get_by_role("rowheader").first.get_by_role("link")
        await tab_to(page, await first.inner_text())
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Exchange", exact=True)).to_be_focused()
        await page.go_back()
        await expect(heading).to_be_focused()


async def test_the_first_stop_skips_to_the_content(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/keys")
        await page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        await expect(skip).to_be_focused()
        await expect(skip).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        inside = await page.evaluate("document.querySelector('main').contains(document.activeElement)")
        assert inside


async def test_focus_is_seen_and_goes_in_order(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/accounts")
        stops = 0
        await page.keyboard.press("Tab")
        while not await page.evaluate("document.activeElement === document.body"):
            focused = await page.evaluate(FOCUSED)
            assert focused["seen"], focused
            assert await page.evaluate(FOLLOWS), focused
            stops += 1
            await page.keyboard.press("Tab")
        assert stops > 25, "of the menu, of the table's headers and of each of its rows"
        assert await page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0


async def test_a_dialog_takes_the_focus_and_gives_it_back(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/keys")
        await tab_to(page, "Create a key")
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Create a key")
        await expect(dialog).to_be_visible()
        assert await page.evaluate("document.querySelector('dialog').contains(document.activeElement)")
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(page.get_by_role("button", name="Create a key")).to_be_focused()


async def test_a_table_is_sorted_by_the_keyboard(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/accounts")
        await tab_to(page, "Balance")
        for order in ("descending", "ascending"):
            await page.keyboard.press("Space")
            await expect(page.get_by_role("columnheader", name="Balance")).to_have_attribute("aria-sort", order)


@pytest.mark.parametrize("path", PAGES)
async def test_everything_has_a_name_and_the_page_its_parts(browser: Browser, history: Gateway, path: str) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open(path)
        told = await page.locator("body").aria_snapshot()
        assert NAMELESS.findall(told) == []
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        await expect(page.get_by_role("navigation", name="Pages")).to_have_count(1)
        await expect(page.locator("nav [aria-current=page]")).to_have_count(1)
        assert re.fullmatch(r".+ · headgate", await page.title())


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has the focus says so."""
    for _ in range(150):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(FOCUSED)
        if focused["name"] == name:
            assert focused["seen"], focused
            return
    raise AssertionError(f"no way to {name}")
