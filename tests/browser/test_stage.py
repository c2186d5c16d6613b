"""The watch over a visitor's browser: whatever goes wrong in it fails the test, unless it was announced."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser.stage import Gateway, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")

WRONG = {
    "console error: it hurts": "() => console.error('it hurts')",
    "console warning: it itches": "() => console.warn('it itches')",
    "error on the page: lost": "() => { setTimeout(() => { throw new Error('lost'); }); }",
    "Content Security Policy directive 'style-src": "() => document.body.setAttribute('style', 'color: red')",
    "'http://127.0.0.2:9/x'": "() => void (new Image().src = 'http://127.0.0.2:9/x')",
    "asked elsewhere: http://127.0.0.2:9/": "() => void open('http://127.0.0.2:9/')",
    "404 GET /admin/v1/nothing": "() => fetch('/admin/v1/nothing')",
}


@pytest.mark.parametrize("told", WRONG)
async def test_what_goes_wrong_is_seen(browser: Browser, empty: Gateway, told: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(told)):
        await goes_wrong(browser, empty, WRONG[told])


async def test_what_was_announced_is_not_held_against_anyone(browser: Browser, empty: Gateway) -> None:
    async with visiting(browser, empty.url) as ada:
        ada.watch.excuse("404 GET /admin/v1/nothing")
        await ada.open("/")
        await ada.page.evaluate(WRONG["404 GET /admin/v1/nothing"])
        await expect(ada.page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


async def goes_wrong(browser: Browser, empty: Gateway, script: str) -> None:
    """Do it, and wait until the watch has heard of it; what is never heard of ends by the test's time limit."""
    async with visiting(browser, empty.url) as ada:
        page = await ada.open("/")
        await page.evaluate(script)
        while not ada.watch.faults:
            await page.evaluate("() => new Promise(requestAnimationFrame)")
