"""What the stories play on: gateways in processes of their own, and visitors whose browsers may not complain.

A page that logs an error, breaks the content policy, asks another host, or gets a refusal that the story did not
announce fails its test, whatever else the test looks at.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, expect

from headgate.records import Record, Wanted
from headgate.stores.sqlite import SqliteStore
from tests.browser.history import SECRET
from tests.browser.pages import SHOWN
from tests.ports import kept_port

ROOT = Path(__file__).parents[2]
PATIENCE_MS = 20_000
"""How long a page may take for anything. No test waits for this; it only bounds what never comes."""
expect.set_options(timeout=PATIENCE_MS)

ADMIN = "ada"
ADMIN_KEY = "an admin key, long enough"
NOW_NS = time.time_ns()
"""Where the history ends, in nanoseconds since the epoch."""
NOT_SIGNED_IN = "401 GET /admin/v1/session"
"""How a page learns that nobody is signed in."""
NOWHERE = "http://127.0.0.1:9"
"""An upstream for gateways that are not to ask one."""
CHROMIUM = ["chromium", "chromium-browser"]


def chromium() -> str:
    """Debian's own browser. Without it these tests fail: they prove nothing where they do not run."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert found is not None, "there is no chromium: apt-get install chromium"
    return found


def config(port: int, upstream: str, *, admin: bool = True, provider: bool = True) -> str:
    """A headgate.toml, with round prices for one model."""
    keys = f'[admin.keys]\n{ADMIN} = "{ADMIN_KEY}"\n' if admin else ""
    openai = f'[providers.openai]\nbase_url = "{upstream}/v1"\napi_key = "the-providers-own-key"\n' if provider else ""
    return f"""
listen = "127.0.0.1:{port}"
database = "headgate.db"
[access]
secret = "{SECRET.decode()}"
[limits]
stop_seconds = 1
[prices.override."openai/gpt-4o-mini"]
input_mtok = "1"
output_mtok = "2"
{keys}{openai}"""


class Gateway:
    """`headgate serve` in a folder, which can be stopped and started again at the same address."""

    def __init__(
        self, folder: Path, upstream: str = NOWHERE, *, command: Sequence[str] = ("headgate",), **of: bool
    ) -> None:
        port = kept_port()
        self.url = f"http://127.0.0.1:{port}"
        self.database = folder / "headgate.db"
        self._command = (*command, "serve", "--config", "headgate.toml")
        self._folder = folder
        self._log = folder / "headgate.log"
        (folder / "headgate.toml").write_text(config(port, upstream, **of))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, and wait until it listens."""
        own = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        own["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), own.get("PYTHONPATH"))))
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *self._command, cwd=self._folder, env=own, stdout=log, stderr=log
            )  # fmt: skip
        async with aiohttp.ClientSession() as http:
            while not await _answers(http, f"{self.url}/health"):
                assert self._process.returncode is None, self._log.read_text()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """In good order."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


@asynccontextmanager
async def serving(
    folder: Path, upstream: str = NOWHERE, *, admin: bool = True, provider: bool = True
) -> AsyncIterator[Gateway]:
    """A gateway, for as long as it takes."""
    gateway = Gateway(folder, upstream, admin=admin, provider=provider)
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.stop()


async def asked(page: Page, operation: str) -> dict[str, str]:
    """The parameters that a page asked an operation with, such as the stretch of time that it took from its clock."""
    urls: list[str] = await page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    return dict(next(parse_qsl(urlsplit(url).query) for url in reversed(urls) if operation in url))


async def records(gateway: Gateway, since_ns: int | None = None, until_ns: int | None = None) -> list[Record]:
    """What the database has of a stretch of time, newest first."""
    store = SqliteStore(gateway.database)
    try:
        return await store.search(Wanted(since_ns=since_ns, until_ns=until_ns), 1_000_000)
    finally:
        await store.aclose()


@dataclass
class Watch:
    """What went wrong in a browser, but for what a story announced."""

    origin: str
    faults: list[str] = field(default_factory=list)
    excused: set[str] = field(default_factory=set)

    def over(self, context: BrowserContext) -> None:
        """Watch all pages of a context."""
        context.on("console", self._said)
        context.on("weberror", lambda error: self.faults.append(f"error on the page: {error.error}"))
        context.on("request", self._asked)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)

    def excuse(self, *what: str) -> None:
        """Announce what is to go wrong: "402 POST /path", or an error of the network."""
        self.excused.update(what)

    def _said(self, message: ConsoleMessage) -> None:
        told_elsewhere = message.text.startswith("Failed to load resource")
        if message.type in {"error", "warning"} and not told_elsewhere:
            self.faults.append(f"console {message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.faults.append(f"asked elsewhere: {request.url}")

    def _failed(self, request: Request) -> None:
        left = request.failure == "net::ERR_ABORTED"  # the page went on to something else
        if not left and request.failure not in self.excused:
            self.faults.append(f"{request.failure} {request.method} {request.url}")

    def _answered(self, response: Response) -> None:
        told = f"{response.status} {response.request.method} {urlsplit(response.url).path}"
        if response.status >= 400 and told not in self.excused:
            self.faults.append(told)


@dataclass(frozen=True)
class Visitor:
    """Someone with a browser at a gateway."""

    page: Page
    watch: Watch
    url: str

    @property
    def origin(self) -> str:
        return self.watch.origin

    async def open(self, path: str) -> Page:
        """Go to a page of the dashboard, and wait until it has loaded what it shows."""
        if "{exchange}" in path:
            (shown,) = (await self.api("GET", SHOWN))["data"]
            path = path.format(exchange=shown["exchange_id"])
        await self.page.goto(f"{self.url}{path}")
        await self.settled()
        return self.page

    async def settled(self) -> None:
        """Wait until nothing is on its way any more."""
        await expect(self.page.locator("main")).to_have_count(1)
        await expect(self.page.locator("main[aria-busy=true], main [aria-busy=true], .waiting")).to_have_count(0)

    async def api(self, method: str, path: str, body: Any = None) -> Any:
        """What the admin API answers to the visitor's own session."""
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        url = f"{self.origin}/admin/v1{path}"
        async with aiohttp.ClientSession() as http, http.request(method, url, json=body, headers=headers) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()


_TELLS_OF_THE_POLICY = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`the policy forbids ${event.blockedURI} (${event.violatedDirective})`));
"""


@asynccontextmanager
async def visiting(browser: Browser, origin: str, *, signed_in: bool = True, **options: Any) -> AsyncIterator[Visitor]:
    """A browser of one's own, without a past; fails at its end if anything went wrong in it."""
    options = {"timezone_id": "Europe/Berlin", "locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | options
    context = await browser.new_context(**options)
    try:
        context.set_default_timeout(PATIENCE_MS)
        await context.add_init_script(_TELLS_OF_THE_POLICY)
        if signed_in:
            await sign_in(context, origin)
        watch = Watch(origin)
        watch.over(context)
        yield Visitor(await context.new_page(), watch, f"{origin}/dashboard")
        assert not watch.faults, "\n".join(watch.faults)
    finally:
        await context.close()


async def sign_in(context: BrowserContext, origin: str) -> None:
    """Get the cookie without going through the page."""
    answer = await context.request.post(
        f"{origin}/admin/v1/session", data={"key": ADMIN_KEY}, headers={"origin": origin}
    )
    assert answer.status == 200, await answer.text()
