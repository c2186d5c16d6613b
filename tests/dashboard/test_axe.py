"""axe-core (MPL-2.0, from npm, only for this test) finds nothing serious on any page, in light and in dark."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.browser.pages import PAGES
from tests.browser.stage import NOT_SIGNED_IN, Gateway, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")

AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
FINDS = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.filter((one) => one.impact === "serious" || one.impact === "critical")
    .map((one) => [one.id, one.help, ...one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160))]);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_keeps_anyone_out(browser: Browser, history: Gateway, scheme: str) -> None:
    async with visiting(browser, history.url, color_scheme=scheme, reduced_motion="reduce") as ada:
        found = {}
        for path in PAGES:
            found[path] = await violations(await ada.open(path))
        await ada.open("/keys")
        await ada.page.get_by_role("button", name="Create a key").click()
        found["a dialog"] = await violations(ada.page)
        await ada.page.context.clear_cookies()
        ada.watch.excuse(NOT_SIGNED_IN)
        found["the door"] = await violations(await ada.open("/"))
    assert {path: what for path, what in found.items() if what} == {}


async def violations(page: Page) -> list[list[str]]:
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[list[str]] = await page.evaluate(FINDS)
    return found
