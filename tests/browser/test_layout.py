"""Pages hold on phones, with nothing to show, and with whatever others put into names."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from headgate.access.virtual import VirtualKey
from headgate.ledger.commands import OpenAccount, Post
from headgate.ledger.entries import AccountKind, EntryKind
from headgate.records import Bill, Ending, Record
from headgate.stores.sqlite import SqliteStore
from headgate.usage import Basis, Reading, Usage
from tests.browser.history import SECOND
from tests.browser.pages import PAGES
from tests.browser.stage import NOW_NS, Gateway, serving, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDER_THAN_THE_WINDOW = """() => {
  const width = document.documentElement.clientWidth;
  const inside = (own) => own !== document.body
    && (getComputedStyle(own).overflowX !== "visible" || inside(own.parentElement));
  const out = [...document.querySelectorAll("main *, header *")].filter((own) =>
    own.getBoundingClientRect().right > width + 1 && !inside(own.parentElement) && !own.closest(".skip"));
  return [document.documentElement.scrollWidth - width, out.slice(0, 3).map((own) => own.outerHTML.slice(0, 120))];
}"""
"""How far it scrolls to the side, and what sticks out of boxes that neither scroll nor cut off."""


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_is_wider_than_a_phone(browser: Browser, history: Gateway, path: str) -> None:
    async with visiting(browser, history.url, **PHONE) as ada:
        page = await ada.open(path)
        await fits(page)


async def test_every_page_is_reached_on_a_phone(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url, **PHONE) as ada:
        page = await ada.open("/")
        links = page.get_by_role("navigation", name="Pages").get_by_role("link")
        await expect(links.first).not_to_be_visible()
        await page.get_by_role("button", name="Menu").tap()
        names = await links.all_inner_texts()
        assert len(names) == 9
        for name in names:
            if not await links.first.is_visible():
                await page.get_by_role("button", name="Menu").tap()
            await links.filter(has_text=name.strip()).tap()
            await expect(page.get_by_role("heading", level=1, name=name.strip())).to_be_visible()
            await expect(links.first).not_to_be_visible()
            await ada.settled()


EMPTY = {
    "/": "Send one, with a key",
    "/live": "Requests show up here",
    "/exchanges": "send a request",
    "/keys": "Open an account first",
    "/accounts": "An account owns money",
    "/budgets": "budget",
    "/providers": "Set the variable of one",
    "/health": "No hold is open",
    "/audit": "sign in",
    "/exchanges/ex_none": "There is no record of this exchange",
    "/nowhere": "There is no such page",
}


@pytest.mark.parametrize("path", EMPTY)
async def test_where_there_is_nothing_it_says_what_to_do(browser: Browser, empty: Gateway, path: str) -> None:
    async with visiting(browser, empty.url) as ada:
        ada.watch.excuse("404 GET /admin/v1/records/ex_none")
        page = await ada.open(path)
        await expect(page.locator("main")).to_contain_text(EMPTY[path])


HOSTILE = [
    "<script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"'>&quot;</td></table>",
    "\u202eright to left\u202c שלום",
    "x" * 190,
    "🦊🦊 model 🧨",
    '=HYPERLINK("http://example.com","press")',
    "{{7*7}} ${7*7}",
]


SHOWING_NAMES = ("/", "/exchanges", "/exchanges/ex_hostile0", "/exchanges/ex_hostile1", "/exchanges/ex_hostile4",
                 "/keys", "/keys/key_4", "/accounts", "/accounts/plain", "/health")  # fmt: skip


async def test_names_of_others_are_text_and_nothing_else(browser: Browser, tmp_path: Path) -> None:
    await write_hostile(tmp_path / "headgate.db")
    async with serving(tmp_path) as gateway, visiting(browser, gateway.url) as ada:
        for viewport in ({"width": 1280, "height": 900}, {"width": 390, "height": 844}):
            await ada.page.set_viewport_size(viewport)  # type: ignore[arg-type]
            for path in SHOWING_NAMES:
                page = await ada.open(path)
                await fits(page)
                assert re.fullmatch(r".+ · headgate", await page.title())
                assert await page.locator("main img, main script").count() == 0
        page = await ada.open("/exchanges")
        for text in HOSTILE:
            row = page.get_by_role("table", name="Exchanges").get_by_role("row").filter(has_text=text)
            await expect(row).to_have_count(1)


async def write_hostile(path: Path) -> None:
    """Records whose every name was chosen by someone who means harm."""
    store = SqliteStore(path)
    await store.submit(OpenAccount("plain", AccountKind.PREPAID, NOW_NS))
    for n, text in enumerate(HOSTILE):
        await store.submit(Post(f"note-{n}", "plain", EntryKind.TOP_UP, SECOND, NOW_NS, text))
        await store.submit(OpenAccount(text[:64], AccountKind.PREPAID, NOW_NS))
        await store.put_key(
            VirtualKey(f"key_{n}", text, "plain", f"digest {n}".encode(), "hg-", NOW_NS, owner=text, tags=(text,))
        )
        store.append(hostile(n, text))
    await store.aclose()


def hostile(n: int, text: str) -> Record:
    usage = Usage(input_tokens=10, output_tokens=5)
    return Record(
        exchange_id=f"ex_hostile{n}", started_at_ns=NOW_NS - n * SECOND, method="POST", path=f"/v1/{text}",
        dialect="openai.chat", operation="create", provider="openai", key=text, model_asked=text, streamed=True,
        status=200, ending=Ending.COMPLETE, billable=True, counted=True, first_byte_ns=1_000_000, total_ns=2_000_000,
        bytes_in=1, bytes_out=1, error=text, key_id=f"key_{n}",
        reading=Reading(usage=usage, basis=Basis.REPORTED, served_model=text, response_id=text, finish_reason=text),
        bill=Bill(flags=(f"unpriced:{text}",)),
    )  # fmt: skip


async def fits(page: Page) -> None:
    """Nothing sticks out at the side, but for what scrolls by itself."""
    beyond, out = await page.evaluate(WIDER_THAN_THE_WINDOW)
    assert (beyond <= 0, out) == (True, []), page.url
