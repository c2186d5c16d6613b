"""Streams are seen to arrive: tokens and money rise, and end as the record has them."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest
from playwright.async_api import Browser, Locator, expect

from headgate.testing.upstream import ScriptedUpstream
from tests.browser.figures import dollars, exact
from tests.browser.provider import MODEL, Provider
from tests.browser.stage import NOT_SIGNED_IN, Visitor, serving, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_stream_is_seen_to_arrive(browser: Browser, tmp_path: Path) -> None:
    provider = Provider()
    async with (
        ScriptedUpstream(provider) as upstream,
        serving(tmp_path, upstream.url) as gateway,
        visiting(browser, gateway.url) as ada,
    ):
        key = await a_key(ada)
        page = await ada.open("/live")
        await expect(page.get_by_role("status").filter(has_text=re.compile("^live$"))).to_be_visible()
        await expect(page.get_by_role("heading", name="Nothing is under way")).to_be_visible()
        asking = asyncio.create_task(stream(gateway.url, key))
        row = page.get_by_role("table", name="Exchanges under way").locator("tbody tr")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text(MODEL)
        await expect(row).to_contain_text("acme-web")
        spent: list[int] = []
        held = None
        for words in (1, 3, 8):
            provider.say(words)
            await expect(row).to_contain_text("streaming")
            await expect(row.get_by_title(re.compile("of text$"))).to_have_text(f"≈ {10 * words}")
            spent.append(await nanos_in(row, -2))
            held = await nanos_in(row, -1)
            assert await bar_of(row) == pytest.approx(spent[-1] / held, abs=0.03)
        assert spent == sorted(set(spent)), "it rises"
        provider.end()
        assert await asking == 8
        await expect(row).to_have_count(0)
        await ended_as_recorded(ada, provider, held)


async def ended_as_recorded(ada: Visitor, provider: Provider, held: int | None) -> None:
    """The row moves to those that have just ended, with the figures of its record and of its hold."""
    page = ada.page
    row = page.get_by_role("table", name=re.compile("^Exchanges that have just ended")).locator("tbody tr")
    await expect(row).to_have_count(1)
    (record,) = (await ada.api("GET", "/records"))["data"]
    hold = await ada.api("GET", f"/holds/{record['exchange_id']}")
    assert (record["cost_nanos"], hold["amount_nanos"]) == (provider.price_nanos, held)
    await expect(row.get_by_role("cell", name="77")).to_be_visible()
    await expect(row.get_by_title(exact(provider.price_nanos))).to_have_text(dollars(provider.price_nanos, 6))
    await row.get_by_role("link").click()
    assert page.url == f"{ada.url}/exchanges/{record['exchange_id']}"
    await expect(page.get_by_text("the charge, to the nano-dollar")).to_be_visible()


async def test_a_pause_holds_still_and_going_on_catches_up(browser: Browser, tmp_path: Path) -> None:
    provider = Provider()
    async with (
        ScriptedUpstream(provider) as upstream,
        serving(tmp_path, upstream.url) as gateway,
        visiting(browser, gateway.url) as ada,
    ):
        page = await ada.open("/live")
        await expect(page.get_by_role("heading", name="Nothing is under way")).to_be_visible()
        await page.get_by_role("button", name="Pause").click()
        await expect(page.get_by_role("status").filter(has_text="paused")).to_be_visible()
        asking = asyncio.create_task(stream(gateway.url, "anyone"))
        await upstream.until(lambda: upstream.playing == 1)
        await expect(page.get_by_role("heading", name="Nothing is under way")).to_be_visible()
        await page.get_by_role("button", name="Go on").click()
        row = page.get_by_role("table", name="Exchanges under way").locator("tbody tr")
        await expect(row).to_contain_text("no hold")
        provider.end()
        await asking
        await expect(row).to_have_count(0)


async def test_the_demo_can_be_watched(browser: Browser) -> None:
    async with demo() as (address, key), visiting(browser, address, signed_in=False) as ada:
        ada.watch.excuse(NOT_SIGNED_IN)
        page = await ada.open("/live")
        await page.get_by_label("Admin key").fill(key)
        await page.get_by_role("button", name="Sign in").click()
        running = page.get_by_role("table", name="Exchanges under way").locator("tbody tr")
        await expect(running.filter(has_text="streaming").first).to_be_visible()
        await expect(running.nth(1)).to_be_visible()
        ended = page.get_by_role("table", name=re.compile("^Exchanges that have just ended"))
        await expect(ended.locator("tbody tr").filter(has_text="complete").first).to_be_visible()
        shown = {await link.get_attribute("href") for link in await ended.get_by_role("link").all()}
        asked = {"authorization": f"Bearer {key}"}
        answer = await page.context.request.get(f"{address}/admin/v1/records", headers=asked)
        recorded = {f"/dashboard/exchanges/{one['exchange_id']}" for one in (await answer.json())["data"]}
        assert shown <= recorded


async def a_key(ada: Visitor) -> str:
    """One with ten dollars behind it."""
    await ada.api("PUT", "/accounts/acme", {"kind": "prepaid"})
    await ada.api("POST", "/accounts/acme/top-ups", {"amount_usd": "10"})
    return str((await ada.api("POST", "/keys", {"name": "acme-web", "account": "acme"}))["key"])


async def stream(url: str, key: str) -> int:
    """How many pieces of text came."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        told = await client.chat.completions.create(
            model=MODEL, max_tokens=500, stream=True, messages=[{"role": "user", "content": "Talk at some length."}]
        )
        pieces = [piece.choices[0].delta.content async for piece in told if piece.choices]
    return len([piece for piece in pieces if piece])


async def nanos_in(row: Locator, at: int) -> int:
    """The exact amount in a cell, in nano-dollars; counted from the last."""
    cell = row.get_by_role("cell").nth(await row.get_by_role("cell").count() + at)
    title = await cell.locator(".number").get_attribute("title")
    assert title is not None
    whole, _, decimals = title.removeprefix("$").partition(".")
    return int(whole) * 10**9 + int(decimals.ljust(9, "0"))


async def bar_of(row: Locator) -> float:
    """How full the bar is, as it is drawn."""
    drawn: float = await row.locator(".bar i").first.evaluate(
        "(bar) => bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width"
    )
    return drawn


@asynccontextmanager
async def demo() -> AsyncIterator[tuple[str, str]]:
    """`headgate demo` as a newcomer starts it, but slower: its address and admin key, as it prints them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headgate", "demo", "--port", "0", "--speed", "0.3",
        env=os.environ | {"PYTHONUNBUFFERED": "1"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        while line := (await process.stdout.readline()).decode():
            if found := re.match(r"Dashboard: (http://[\w.:]+)/dashboard +sign in with: (\S+)", line):
                break
        assert found is not None
        yield found[1], found[2]
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()
