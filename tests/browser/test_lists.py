"""A list shows what was asked for or says that it could not be had, and never passes its beginning off as the whole."""

import json
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.stage import Gateway, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")

ACCOUNT = {
    "kind": "prepaid", "limit_usd": None, "closed": False,
    "posted_usd": "1", "held_usd": "0", "available_usd": "1",
}  # fmt: skip


async def test_what_could_not_be_had_is_not_the_list_before(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/exchanges?range=30d")
        rows = page.get_by_role("table", name="Exchanges").get_by_role("rowheader")
        await expect(rows).to_have_count(100)
        await page.get_by_role("button", name="Cost").click()
        ada.watch.excuse("net::ERR_FAILED")
        await page.route("**/records?*", lambda route: route.abort())
        await page.get_by_label("Mark").select_option(label="cancelled")
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("The gateway does not answer.")
        await expect(rows).to_have_count(0)
        await expect(page.get_by_role("button", name="Show more")).to_have_count(0)
        await page.unroute("**/records?*")
        await alert.get_by_role("button", name="Try again").click()
        await expect(rows.first).to_be_visible()
        ordered = page.get_by_role("columnheader", name="Cost")
        await expect(ordered).to_have_attribute("aria-sort", "descending")


async def test_where_there_is_more_to_ask_for_it_does_not_say_that_there_is_nothing(
    browser: Browser, empty: Gateway
) -> None:
    async with visiting(browser, empty.url) as ada:
        await answers(ada.page, "**/records?*", lambda cursor: page_of([], None if cursor else "further"))
        page = await ada.open("/exchanges")
        nothing = page.get_by_role("heading", name="No exchanges")
        await expect(page.get_by_text("Nothing found so far")).to_be_visible()
        await expect(nothing).to_have_count(0)
        await page.get_by_role("button", name="Look further back").click()
        await expect(nothing).to_be_visible()


async def test_a_list_that_is_cut_says_so(browser: Browser, empty: Gateway) -> None:
    def some(cursor: str) -> Any:
        start = int(cursor or 0)
        return page_of([ACCOUNT | {"account": f"a{n}"} for n in range(start, start + 500)], str(start + 500))

    async with visiting(browser, empty.url) as ada:
        await answers(ada.page, "**/accounts?*", some)
        page = await ada.open("/accounts")
        await expect(page.get_by_text("50 of 5,000: the first, there are more that are not loaded")).to_be_visible()


async def test_what_was_not_looked_at_is_told(browser: Browser, history: Gateway) -> None:
    empty = [ACCOUNT | {"account": f"a{n}", "available_usd": "0"} for n in range(500)]
    async with visiting(browser, history.url) as ada:
        await answers(ada.page, "**/accounts?*", lambda _: page_of(empty, "further"))
        page = await ada.open("/")
        attention = page.get_by_role("region", name="Worth a look")
        await expect(attention.get_by_text("has nothing left to spend")).to_have_count(3)
        await expect(attention.get_by_role("link", name="497 more accounts")).to_be_visible()
        await expect(attention).to_contain_text("Only the first 500 accounts were looked at")


async def test_what_has_no_price_costs_a_dash_and_not_nothing(browser: Browser, empty: Gateway) -> None:
    usage = {"exchanges": 3, "errors": 0, "cancelled": 0, "estimated": 0, "unmetered": 0, "unpriced": 2}
    async with visiting(browser, empty.url) as ada:
        for cost in (None, "0"):
            rows = [usage | {"provider": "ollama", "cost_usd": cost}]
            await answers(ada.page, "**/usage?*", lambda _, told=rows: {"rows": told})
            page = await ada.open("/")
            spend = page.get_by_role("list", name="Sums of this stretch of time").get_by_role("listitem").first
            await expect(spend).to_contain_text("it has no price")
            top = page.get_by_role("region", name="Top providers").locator(".amount")
            await expect(top).to_contain_text("it has no price")


def page_of(rows: list[Any], next_cursor: str | None) -> Any:
    return {"data": rows, "next_cursor": next_cursor}


async def answers(page: Page, pattern: str, answer: Any) -> None:
    """Answer in the gateway's place: `answer` gets the cursor that was asked with, empty without one."""

    async def fulfil(route: Route) -> None:
        cursor = dict(part.split("=") for part in route.request.url.partition("?")[2].split("&")).get("cursor", "")
        await route.fulfill(content_type="application/json", body=json.dumps(answer(cursor)))

    await page.route(pattern, fulfil)
