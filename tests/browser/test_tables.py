"""Tables are sorted, filtered, paged to their last row without a repeat, and saved as what they show."""

import csv
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from headgate.records import Record
from tests.browser.stage import Gateway, Visitor, records, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")

RARE = "claude-haiku-4-5"
ADDRESS = f"/exchanges?range=30d&model={RARE}"


async def kept(history: Gateway) -> list[Record]:
    """The records of RARE, newest first: all of them are of the last thirty days."""
    return [own for own in await records(history) if (own.reading.served_model or own.model_asked) == RARE]


async def test_show_more_leads_to_the_last_row_without_a_repeat(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open(ADDRESS)
        await all_of_it(page)
        wanted = [record.exchange_id for record in await kept(history)]
        assert len(wanted) > 100, "more than a page"
        assert await shown_ids(page) == wanted
        await expect(page.get_by_text(f"{len(wanted)} rows")).to_be_visible()


async def test_sorting_by_cost_both_ways_has_the_unknown_last(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/exchanges?range=30d&key=ci")
        costs = await column(page, "Cost")
        known = [text for text in costs if text.startswith("$")]
        unknown = len(costs) - len(known)
        assert 0 < unknown < len(costs)
        for order, descending in (("descending", True), ("ascending", False)):
            await page.get_by_role("button", name="Cost").click()
            header = page.get_by_role("columnheader", name="Cost")
            await expect(header).to_have_attribute("aria-sort", order)
            ordered = await column(page, "Cost")
            assert ordered[: len(known)] == sorted(known, key=amount, reverse=descending)
            assert not [text for text in ordered[len(known) :] if text.startswith("$")]


async def test_a_filter_of_the_loaded_rows_and_those_of_the_address(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/exchanges?range=30d")
        await page.get_by_role("searchbox", name="Filter the loaded rows").fill("globex-app")
        await expect(page.get_by_text(re.compile(r"filtered from 100$"))).to_be_visible()
        assert set(await column(page, "Key")) == {"globex-app"}
        await page.get_by_label("Mark").select_option(label="cancelled")
        await expect(page.get_by_role("heading", name=re.compile("^Those that are cancelled"))).to_be_visible()
        await ada.settled()
        assert {text[: len("client left")] for text in await column(page, "Ending")} == {"client left"}
        await page.get_by_role("button", name="Clear").click()
        await expect(page).to_have_url(f"{ada.url}/exchanges?range=30d")
        await page.get_by_label("Model").fill("no such model")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="No exchanges")).to_be_visible()
        await page.get_by_role("button", name="Take the filters away").click()
        await page.get_by_role("searchbox", name="Filter the loaded rows").fill("")
        await expect(page.get_by_role("table", name="Exchanges").get_by_role("rowheader")).to_have_count(100)


async def test_the_rows_shown_as_csv(browser: Browser, history: Gateway, tmp_path: Path) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open(ADDRESS)
        await all_of_it(page)
        rows = await saved(page, "button", "These rows as CSV", tmp_path)
        wanted = await kept(history)
        assert [row["Exchange"] for row in rows] == [record.exchange_id for record in wanted]
        costs = [None if row["Cost (USD)"] == "" else int(Decimal(row["Cost (USD)"]).scaleb(9)) for row in rows]
        assert costs == [record.bill.cost_nanos for record in wanted]
        assert [row["Ending"].split()[0] for row in rows] == [str(record.ending) for record in wanted]


async def test_all_of_it_as_csv_and_as_json_lines_is_what_the_api_has(
    browser: Browser, history: Gateway, tmp_path: Path
) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open(ADDRESS)
        told = await every(ada, f"/records?model={RARE}&limit=500")
        wanted = {record.exchange_id for record in await kept(history)}
        api = [one for one in told if one["exchange_id"] in wanted]
        rows = await saved(page, "link", "All as CSV", tmp_path)
        assert [(row["exchange_id"], row["cost_usd"], row["status"]) for row in rows] == [
            (one["exchange_id"], one["cost_usd"] or "", str(one["status"])) for one in api
        ]
        lines = await saved(page, "link", "All as JSON lines", tmp_path)
        assert [(one["exchange_id"], one["cost_nanos"]) for one in lines] == [
            (one["exchange_id"], one["cost_nanos"]) for one in api
        ]


async def all_of_it(page: Page) -> None:
    """Press "Show more" until there is no more."""
    more, rows = page.get_by_role("button", name="Show more"), page.locator("tbody tr")
    while await more.count():
        before = await rows.count()
        await more.click()
        await expect(rows).not_to_have_count(before)


async def shown_ids(page: Page) -> list[str]:
    links = page.get_by_role("table", name="Exchanges").get_by_role("rowheader").get_by_role("link")
    hrefs: list[str] = await links.evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    return [href.rpartition("/")[2] for href in hrefs]


async def column(page: Page, title: str) -> list[str]:
    """The texts of a column, from top to bottom."""
    cells: list[str] = await page.get_by_role("table", name="Exchanges").evaluate(
        """(table, title) => {
          const at = [...table.querySelectorAll("thead th")].findIndex((cell) => cell.textContent.startsWith(title));
          return [...table.tBodies[0].rows].map((row) => row.cells[at].textContent);
        }""",
        title,
    )
    return cells


async def saved(page: Page, role: Any, name: str, folder: Path) -> list[dict[str, Any]]:
    """Press it, and read what the browser saves."""
    async with page.expect_download() as downloading:
        await page.get_by_role(role, name=name).click()
    download = await downloading.value
    path = folder / download.suggested_filename
    await download.save_as(path)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    return [json.loads(line) for line in text.splitlines()]


async def every(visitor: Visitor, path: str) -> list[dict[str, Any]]:
    """All pages of a list of the admin API."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await visitor.api("GET", path + (f"&cursor={cursor}" if cursor else ""))
        found += page["data"]
        cursor = page["next_cursor"]
    return found


def amount(text: str) -> float:
    return float(text.removeprefix("$").replace(",", ""))
