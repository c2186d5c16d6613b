"""From a spike in a chart to the exchanges behind it, to one of them, to its prices and entries, to the last digit."""

import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from headgate.ledger.entries import Entry
from headgate.records import Record
from headgate.stores.sqlite import SqliteStore
from tests.browser.figures import nine, whole
from tests.browser.history import DAY, HOUR, OPUS, SECOND
from tests.browser.stage import NOW_NS, Gateway, Visitor, asked, records, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")


SINCE = (NOW_NS // DAY - 1) * DAY + 13 * HOUR
UNTIL = SINCE + 2 * HOUR
"""When yesterday's spike began and ended, in nanoseconds since the epoch."""


async def test_from_the_spike_to_an_exchange_to_its_entries(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/?range=7d&by=model")
        chart = Drawing(page, await hours(ada))
        await chart.drag(SINCE, UNTIL)
        await expect(page.get_by_role("heading", name="Exchanges", level=1)).to_be_visible()
        shown = parse_qs(urlsplit(page.url).query)
        assert shown == {"since": [rfc(SINCE)], "until": [rfc(UNTIL)]}
        await ada.settled()
        kept = await records(history, SINCE, UNTIL)
        table = page.get_by_role("table", name="Exchanges")
        await expect(table.get_by_role("rowheader")).to_have_count(len(kept))
        assert len(kept) < 100, "one page"

        dearest = max(kept, key=lambda record: record.bill.cost_nanos or 0)
        assert dearest.model_asked == OPUS.name, "the spike is what it was made of"
        await table.get_by_role("button", name="Cost").click()
        await table.get_by_role("rowheader").first.get_by_role("link").click()
        await expect(page.get_by_role("heading", name="Exchange", level=1)).to_be_visible()
        assert urlsplit(page.url).path == f"/dashboard/exchanges/{dearest.exchange_id}"
        await ada.settled()
        await shows_its_bill(page, dearest)
        await shows_its_entries(page, dearest, await entries(history, dearest))


async def test_a_click_on_a_part_of_a_column_leads_to_that_part(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/?range=7d&by=key")
        chart = Drawing(page, await hours(ada))
        await chart.click(SINCE)
        await expect(page.get_by_role("heading", name="Exchanges", level=1)).to_be_visible()
        await ada.settled()
        shown = parse_qs(urlsplit(page.url).query)
        (key,) = shown.pop("key")
        assert shown == {"since": [rfc(SINCE)], "until": [rfc(SINCE + HOUR)]}
        kept = [record for record in await records(history, SINCE, SINCE + HOUR) if record.key == key]
        assert kept
        links = page.get_by_role("table", name="Exchanges").get_by_role("rowheader").get_by_role("link")
        assert await ids(links) == [record.exchange_id for record in kept]


async def test_a_figure_leads_to_what_it_counts(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open(f"/?since={rfc(SINCE - 6 * DAY)}&until={rfc(UNTIL)}")
        figures = page.get_by_role("list", name="Sums of this stretch of time")
        told = await figures.get_by_role("listitem").filter(has_text="Errors").locator(".note .number").inner_text()
        await figures.get_by_role("link", name=re.compile("^Errors")).click()
        await expect(page.get_by_role("heading", name=re.compile("^Those that are failed"))).to_be_visible()
        await ada.settled()
        rows = page.get_by_role("table", name="Exchanges").get_by_role("rowheader")
        assert int(told) > 0
        await expect(rows).to_have_count(int(told))


async def shows_its_bill(page: Page, record: Record) -> None:
    """Each price line, and that they add up: computed here from what the store has."""
    bill = page.get_by_role("table", name="Price lines")
    amounts = [Decimal(line.quantity) * Decimal(line.dollars) / line.per * 10**9 for line in record.bill.lines]
    assert sum(amounts, Decimal(0)).quantize(Decimal(1), ROUND_HALF_UP) == record.bill.cost_nanos
    rows = bill.locator("tbody").get_by_role("row")
    await expect(rows).to_have_count(len(amounts))
    for n, (line, amount) in enumerate(zip(record.bill.lines, amounts, strict=True)):
        cells = rows.nth(n).get_by_role("cell")
        await expect(cells.nth(0)).to_have_text(whole(int(line.quantity)))
        await expect(cells.nth(1)).to_contain_text(f"${line.dollars}")
        await expect(cells.nth(2)).to_have_text(nine(int(amount.quantize(Decimal(1), ROUND_HALF_UP))))
    last = bill.locator("tfoot").get_by_role("cell")
    await expect(last).to_contain_text(nine(record.bill.cost_nanos))
    await expect(last).to_contain_text("equals the cost")


async def shows_its_entries(page: Page, record: Record, kept: list[Entry]) -> None:
    """Each entry of its hold, their sums, and that they are the charge."""
    ledger = page.get_by_role("table", name="Entries of the hold")
    rows = ledger.locator("tbody").get_by_role("row")
    await expect(rows).to_have_count(len(kept))
    for n, entry in enumerate(kept):
        cells = rows.nth(n).get_by_role("cell")
        await expect(cells.nth(1)).to_have_text(signed(entry.posted_nanos))
        await expect(cells.nth(2)).to_have_text(signed(entry.held_nanos))
    charge = record.bill.charge_nanos
    assert charge is not None
    assert charge > (record.bill.cost_nanos or 0), "marked up"
    sums = ledger.locator("tfoot").get_by_role("cell")
    await expect(sums.nth(1)).to_have_text(signed(-charge))
    await expect(sums.nth(2)).to_have_text("0")
    await expect(page.get_by_text("the charge, to the nano-dollar")).to_be_visible()


def signed(nanos: int) -> str:
    return "0" if nanos == 0 else f"{'+' if nanos > 0 else ''}{nine(nanos)}"


async def hours(ada: Visitor) -> dict[str, list[str]]:
    """What the chart of spend is drawn of."""
    since = (await asked(ada.page, "/series?by="))["since"]
    told: dict[str, list[str]] = await ada.api("GET", f"/series?step=hour&since={since}")
    return told


class Drawing:
    """The chart of spend over time, and where on it a moment is."""

    def __init__(self, page: Page, series: dict[str, list[str]]) -> None:
        self._page = page
        starts = series["starts"]
        self._since = moment(starts[0])
        self._length = moment(starts[-1]) + HOUR - self._since

    async def _x(self, at_ns: int) -> tuple[float, float]:
        """Where a moment is, and the height at which the columns stand."""
        over = self._page.get_by_role("img", name=re.compile("^Spend over time")).locator(".u-over")
        await over.scroll_into_view_if_needed()
        box = await over.bounding_box()
        assert box is not None
        return box["x"] + box["width"] * (at_ns - self._since) / self._length, box["y"] + box["height"] - 3

    async def drag(self, since_ns: int, until_ns: int) -> None:
        """Over a stretch, but for a little at both ends."""
        (left, y), (right, _) = await self._x(since_ns + HOUR // 5), await self._x(until_ns - HOUR // 5)
        await self._page.mouse.move(left, y)
        await self._page.mouse.down()
        await self._page.mouse.move((left + right) / 2, y)
        await self._page.mouse.move(right, y)
        await self._page.mouse.up()

    async def click(self, at_ns: int) -> None:
        """On the lowest part of the hour's column."""
        x, y = await self._x(at_ns + HOUR // 2)
        await self._page.mouse.move(x - 1, y)
        await self._page.mouse.click(x, y)


async def ids(links: Locator) -> list[str]:
    return [(await link.get_attribute("href") or "").rpartition("/")[2] for link in await links.all()]


async def entries(gateway: Gateway, record: Record) -> list[Entry]:
    """Of its hold, oldest first."""
    store = SqliteStore(gateway.database)
    try:
        return [entry for _, entry in reversed(await store.entries(hold_id=record.exchange_id))]
    finally:
        await store.aclose()


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def rfc(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
