"""Pictures of every page in light, in dark and on a phone, for docs/screenshots: `make screenshots`.

History, clock, zone and chance are fixed, so that the same sources give the same contents.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from playwright.async_api import Browser, async_playwright

from headgate.config import price_data
from headgate.pricing.book import PriceBook
from headgate.stores.sqlite import SqliteStore
from headgate.testing.upstream import LAST_CHUNK, Received, Script, ScriptedUpstream, WaitFor, chunk, head
from tests.browser.history import CALLERS, SECOND, History, fill
from tests.browser.pages import PAGES, name_of
from tests.browser.png import smaller
from tests.browser.stage import NOT_SIGNED_IN, Gateway, Visitor, chromium, visiting

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
NOW = datetime(2026, 11, 18, 15, 20, tzinfo=UTC)
LOOKED_AT = NOW + timedelta(minutes=3)
DESK = {"viewport": {"width": 1280, "height": 900}}
LOOKS: dict[str, dict[str, Any]] = {
    "light": DESK | {"color_scheme": "light"},
    "dark": DESK | {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": "light"},
}
TALLEST = {"light": 1500, "dark": 1500, "phone": 2400}
"""Pixels; what is below is left out."""
ENDED = 5
ASKED = ("gpt-5-mini", "gpt-5", "gpt-5-mini", "gpt-5-mini", "gpt-5", "gpt-5-mini")


class Talkers:
    """Streams that have come some way, each further than the one before, and wait there."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self._asked = 0

    def __call__(self, request: Received) -> Script:
        """The upstream's handler."""
        model = json.loads(request.body)["model"]
        self._asked += 1
        said = 9 * (self._asked - 1)
        yield head(content_type="text/event-stream")
        for _ in range(said % 100):
            yield self._frame(model, [{"index": 0, "delta": {"content": "some words of an answer "}}])
        if self._asked <= len(ASKED):
            yield WaitFor(self.end)
        yield self._frame(model, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        yield self._frame(model, [], {"prompt_tokens": 500 + said, "completion_tokens": 40 + said})
        yield chunk(b"data: [DONE]\n\n")
        yield LAST_CHUNK

    @staticmethod
    def _frame(model: str, choices: list[Any], usage: dict[str, int] | None = None) -> Any:
        told = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices}
        return chunk(b"data: " + json.dumps(told | {"usage": usage}).encode() + b"\n\n")


async def main() -> None:
    """Take them all."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="headgate-screenshots-") as folder:
        await write_history(Path(folder) / "headgate.db")
        talkers = Talkers()
        async with ScriptedUpstream(talkers) as upstream, standing_still(Path(folder), upstream.url) as gateway:
            asking = [asyncio.create_task(ask(gateway.url, n, model)) for n, model in enumerate(ASKED)]
            await upstream.until(lambda: upstream.playing == len(ASKED))
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=chromium(), chromium_sandbox=False)
                await deeds(browser, gateway)
                for look in LOOKS:
                    await take(browser, gateway, look)
                await browser.close()
            talkers.end.set()
            await asyncio.gather(*asking)


async def write_history(path: Path) -> None:
    store = SqliteStore(path)
    await fill(store, History(int(NOW.timestamp()) * SECOND, PriceBook.from_json(price_data())))
    await store.aclose()


@asynccontextmanager
async def standing_still(folder: Path, upstream: str) -> AsyncIterator[Gateway]:
    """A gateway at NOW, in front of every provider of the history."""
    command = ("tests.browser.at_a_time", str(int(NOW.timestamp())))
    gateway = Gateway(folder, upstream, command=command)
    more = "".join(f'[providers.{name}]\napi_key = "sk-{name}"\n' for name in ("anthropic", "google", "groq"))
    with (folder / "headgate.toml").open("a") as config:
        config.write(more + '[providers.ollama]\nbase_url = "http://127.0.0.1:11434/v1"\n')
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.stop()


async def ask(url: str, n: int, model: str) -> None:
    """Ask for a stream, and read it to its end."""
    caller = CALLERS[n % 4]
    body = {"model": f"openai/{model}", "stream": True, "max_tokens": 900,
            "messages": [{"role": "user", "content": "Tell me of the canals of old. " * (20 + 60 * n)}]}  # fmt: skip
    headers = {"authorization": f"Bearer {caller.text}"}
    where = f"{url}/v1/chat/completions"
    async with aiohttp.ClientSession() as http, http.post(where, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()


async def deeds(browser: Browser, gateway: Gateway) -> None:
    """Something for the audit log; and wait for the first check of the books."""
    async with visiting(browser, gateway.url) as ada:
        await ada.api("PUT", "/accounts/umbrella", {"kind": "postpaid", "limit_usd": "250"})
        key = await ada.api("POST", "/keys", {"name": "umbrella-chat", "account": "umbrella", "tags": ["web"]})
        await ada.api("PUT", f"/budgets/key/{key['key_id']}/month", {"limit_usd": "40"})
        await ada.api("PATCH", f"/keys/{key['key_id']}", {"models": ["gpt-*"]})
        await ada.api("POST", "/accounts/acme/top-ups", {"amount_usd": "120", "note": "invoice 2071"})
        while (await ada.api("GET", "/health"))["books"]["checked_at"] is None:
            await asyncio.sleep(0.5)


async def take(browser: Browser, gateway: Gateway, look: str) -> None:
    """All pages in one look."""
    async with visiting(browser, gateway.url, **LOOKS[look], timezone_id="UTC", reduced_motion="reduce") as ada:
        await ada.page.clock.set_fixed_time(LOOKED_AT)
        for path in PAGES:
            await ada.open(path)
            if path == "/live":
                await ending(ada)
            await shoot(ada, name_of(path), look)
        await ada.page.context.clear_cookies()
        ada.watch.excuse(NOT_SIGNED_IN)
        await ada.open("/")
        await shoot(ada, "sign-in", look)


async def ending(ada: Visitor) -> None:
    """Let some exchanges end while someone looks on."""
    ended = ada.page.get_by_role("table", name="Exchanges that have just ended").locator("tbody tr")
    for n in range(ENDED):
        await ask(ada.origin, n, ASKED[n])
        await ended.nth(n).wait_for()


async def shoot(ada: Visitor, name: str, look: str) -> None:
    page = ada.page
    await page.evaluate("document.fonts.ready")
    await page.wait_for_function("document.getAnimations().every((one) => one.playState !== 'running')")
    height = min(TALLEST[look], await page.evaluate("document.documentElement.scrollHeight"))
    width = LOOKS[look]["viewport"]["width"]
    await page.set_viewport_size({"width": width, "height": max(height, 400)})
    png = await page.screenshot(clip={"x": 0, "y": 0, "width": width, "height": height})
    await page.set_viewport_size(LOOKS[look]["viewport"])
    (FOLDER / f"{name}-{look}.png").write_bytes(smaller(png))
    sys.stderr.write(f"{name}-{look}\n")


if __name__ == "__main__":
    asyncio.run(main())
