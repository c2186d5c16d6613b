"""What the overview says is what the records add up to, summed here one by one; what is not known is a dash."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from headgate.records import Ending, Record
from headgate.usage import Basis
from tests.browser.figures import UNKNOWN, exact, percent, whole
from tests.browser.history import DAY, SECOND
from tests.browser.stage import NOW_NS, Gateway, asked, records, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")

FAILED = set(Ending) - {Ending.COMPLETE, Ending.INCOMPLETE, Ending.CLIENT_LEFT}
OWN = f"since={datetime.fromtimestamp((NOW_NS // DAY - 9) * DAY // SECOND, UTC):%Y-%m-%dT07:00:00Z}"
OWN += f"&until={datetime.fromtimestamp((NOW_NS // DAY - 4) * DAY // SECOND, UTC):%Y-%m-%dT19:00:00Z}"
"""A stretch of one's own: some days, from 7 to 19."""
RANGES = ["range=24h", "range=7d", "range=30d", OWN]
GROUPS: dict[str, Callable[[Record], str | None]] = {
    "model": lambda record: record.reading.served_model or record.model_asked,
    "key": lambda record: record.key,
    "provider": lambda record: record.provider,
    "account": lambda record: record.bill.account,
}


@dataclass
class Totals:
    """Sums over some records, by the words of the documentation."""

    records: list[Record]

    @property
    def cost(self) -> int:
        return sum(record.bill.cost_nanos or 0 for record in self.records)

    @property
    def charge(self) -> int:
        return sum(record.bill.charge_nanos or 0 for record in self.records)

    @property
    def tokens(self) -> int:
        """Each side's reported and estimated ones: the larger, as an estimate covers what a report covers."""
        sides = [
            (getattr(own.usage, side) or 0, getattr(own.estimate, side, None) or 0)
            for own in (record.reading for record in self.records if record.counted)
            for side in ("input_tokens", "output_tokens")
        ]
        return sum(max(side) for side in sides)

    @property
    def errors(self) -> int:
        return sum(record.ending in FAILED for record in self.records)

    @property
    def cancelled(self) -> int:
        return sum(record.ending is Ending.CLIENT_LEFT for record in self.records)

    @property
    def unmetered(self) -> int:
        """Billable, sent, answered, and nobody knows what it used."""
        return sum(
            record.reading.basis is Basis.NONE and record.counted and record.ending is not Ending.REFUSED
            for record in self.records
        )

    @property
    def unpriced(self) -> int:
        return sum(any(flag.startswith("unpriced:") for flag in record.bill.flags) for record in self.records)


@pytest.mark.parametrize("stretch", RANGES, ids=["24h", "7d", "30d", "own"])
async def test_the_sums_of_a_stretch_are_those_of_its_records(browser: Browser, history: Gateway, stretch: str) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open(f"/?{stretch}")
        totals = Totals(await of_the_stretch(page, history))
        assert min(totals.cost, totals.tokens) > 0, "something to be wrong about"
        assert stretch != "range=30d" or min(totals.errors, totals.cancelled, totals.unmetered, totals.unpriced) > 0
        figure = partial(figure_of, page)
        count = len(totals.records)
        spend = figure("Spend")
        await expect(spend.locator(".value .number")).to_have_attribute("title", exact(totals.cost))
        await expect(spend.locator(".note .number")).to_have_attribute("title", exact(totals.charge))
        assert await counted(figure("Tokens").locator(".value .number")) == whole(totals.tokens)
        requests = figure("Requests")
        assert await counted(requests.locator(".value .number")) == whole(count)
        assert await counted(requests.locator(".note .number")) == whole(totals.cancelled)
        for name, part in (("Errors", totals.errors), ("Unmetered", totals.unmetered)):
            await expect(figure(name).locator(".value")).to_have_text(percent(part, count))
            assert await counted(figure(name).locator(".note .number")) == whole(part)
        trust = page.get_by_role("region", name="Can these numbers be trusted?")
        await expect(trust.get_by_role("link", name="without a price")).to_contain_text(percent(totals.unpriced, count))


@pytest.mark.parametrize("by", GROUPS)
async def test_the_sums_of_each_group_are_those_of_its_records(browser: Browser, history: Gateway, by: str) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open(f"/?range=30d&by={by}")
        groups = grouped(await of_the_stretch(page, history), GROUPS[by])
        exactly = {name: None if own.cost == 0 and own.unpriced else exact(own.cost) for name, own in groups.items()}
        lines = page.get_by_role("region", name="Spend over time").locator("ul.legend").get_by_role("listitem")
        await expect(lines).to_have_count(len(groups))
        assert dict([await name_and_amount(line, "b", by) for line in await lines.all()]) == exactly
        lines = page.get_by_role("region", name=f"Top {by}s").locator("li:has(.amount)")
        await expect(lines).to_have_count(min(7, len(groups)))
        for line in await lines.all():
            name, amount = await name_and_amount(line, ".amount", by)
            assert amount == exactly[name]
            assert await counted(line.locator(".note .number").first) == whole(len(groups[name].records))


async def test_the_chart_as_a_table_adds_up_to_the_whole(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/?range=30d&by=provider")
        cost_of = {name: own.cost for name, own in grouped(await of_the_stretch(page, history), by_day).items()}
        await page.get_by_role("button", name="Spend over time as a table").click()
        more = page.get_by_role("button", name="Show more")
        await more.click()
        rows = page.get_by_role("table", name="Spend over time").locator("tbody tr")
        await expect(rows).to_have_count(31)
        told = {}
        for row in await rows.all():
            told[await row.get_by_role("rowheader").inner_text()] = await row.get_by_role("cell").last.inner_text()
        for name, cost in cost_of.items():
            assert name is not None
            assert told[name] == exact(cost)


async def test_what_is_not_known_is_a_dash_and_never_nothing(browser: Browser, history: Gateway) -> None:
    async with visiting(browser, history.url) as ada:
        page = await ada.open("/?range=30d")
        unpriced = page.get_by_role("region", name="Top providers").get_by_role("listitem").filter(has_text="ollama")
        await expect(unpriced.locator(".amount")).to_contain_text(UNKNOWN)
        await expect(unpriced.locator(".amount")).to_contain_text("it has no price")
        await ada.open("/exchanges?range=30d&mark=unmetered")
        rows = page.get_by_role("table", name="Exchanges").locator("tbody tr")
        assert await rows.count() > 0
        for side in ("Input", "Output"):
            at = await column(page, side)
            for row in await rows.all():
                await expect(row.locator("th, td").nth(at)).to_contain_text(UNKNOWN)
        await ada.open("/exchanges?range=30d&provider=ollama")
        at = await column(page, "Cost")
        complete = rows.filter(has_text="complete")
        assert await complete.count() > 0
        for row in await complete.all():
            await expect(row.locator("th, td").nth(at)).to_contain_text(UNKNOWN)


async def of_the_stretch(page: Page, history: Gateway) -> list[Record]:
    """The records that the page asked the sums of: the stretch stands in its requests."""
    query = await asked(page, "/usage?by=model")
    since, until = (None if text is None else moment(text) for text in (query.get("since"), query.get("until")))
    return await records(history, since, until)


def figure_of(page: Page, name: str) -> Locator:
    """One of the large figures."""
    figures = page.get_by_role("list", name="Sums of this stretch of time").get_by_role("listitem")
    return figures.filter(has=page.get_by_text(name, exact=True))


async def column(page: Page, title: str) -> int:
    titles = await page.get_by_role("table", name="Exchanges").locator("thead th").all_inner_texts()
    return titles.index(title)


async def counted(number: Locator) -> str | None:
    """A count to its last digit: in the title where it is shown short."""
    return await number.get_attribute("title") or await number.inner_text()


async def name_and_amount(line: Locator, amount: str, by: str) -> tuple[str | None, str | None]:
    """What a line is about, and its exact amount; None where there is none."""
    text = await line.locator("a, .label, span").first.inner_text()
    number = line.locator(f"{amount} .number")
    exactly = await number.get_attribute("title") if await number.count() else None
    return None if text == f"no {by}" else text, exactly


def grouped(kept: list[Record], of: Callable[[Record], Any]) -> dict[str | None, Totals]:
    groups: dict[str | None, list[Record]] = defaultdict(list)
    for record in kept:
        groups[of(record)].append(record)
    return {name: Totals(own) for name, own in groups.items()}


def by_day(record: Record) -> str:
    at = datetime.fromtimestamp(record.started_at_ns // SECOND, UTC)
    return f"{at:%a} {at.day} {at:%b}"


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND
