"""An operator pays in, hands out a key, sees it used and run dry, and takes it back: by the pages alone."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from headgate.testing.upstream import ScriptedUpstream
from tests.browser.figures import exact, nine
from tests.browser.provider import MODEL, Provider
from tests.browser.stage import Gateway, Visitor, serving, visiting

pytestmark = pytest.mark.asyncio(loop_scope="package")


@dataclass(frozen=True)
class Scene:
    """An operator at a gateway in front of a provider."""

    ada: Visitor
    gateway: Gateway
    provider: Provider

    def client(self, key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.gateway.url}/v1", api_key=key, max_retries=0)


@pytest_asyncio.fixture(loop_scope="package")
async def scene(browser: Browser, tmp_path: Path) -> AsyncIterator[Scene]:
    provider = Provider()
    async with (
        ScriptedUpstream(provider) as upstream,
        serving(tmp_path, upstream.url) as gateway,
        visiting(browser, gateway.url, permissions=["clipboard-read", "clipboard-write"]) as ada,
    ):
        yield Scene(ada, gateway, provider)


async def test_a_key_is_made_used_run_dry_and_revoked(scene: Scene) -> None:
    ada, page, price = scene.ada, scene.ada.page, scene.provider.price_nanos
    await opens_an_account(ada, "acme")
    await pays_in(page, "acme", "0.003", "invoice 7")
    key = await creates_a_key(ada, "acme-web", "acme")
    async with scene.client(key) as client:
        assert await ask(client) == 77
        await shows_the_exchange(ada, price)
        await shows_the_balance(ada, "acme", 3_000_000 - price)
        answered, refused = await ask_until_refused(client)
        assert refused.status_code == 402
        await shows_the_refusal(ada)
        await shows_the_balance(ada, "acme", 3_000_000 - (1 + answered) * price)
        await pays_in(page, "acme", "1", "invoice 8")
        assert await ask(client) == 77
        await revokes(ada, "acme-web")
        with pytest.raises(openai.AuthenticationError):
            await ask(client)


async def test_a_budget_is_set_and_filled(scene: Scene) -> None:
    ada, page = scene.ada, scene.ada.page
    await opens_an_account(ada, "acme")
    await pays_in(page, "acme", "10", "invoice 7")
    key = await creates_a_key(ada, "acme-web", "acme")
    await ada.open("/budgets")
    await page.get_by_role("button", name="Set a budget").first.click()
    dialog = page.get_by_role("dialog", name="Set a budget")
    await dialog.get_by_role("combobox", name="Of", exact=True).select_option(label="a key")
    await dialog.get_by_role("combobox", name="Key").select_option(label="acme-web")
    await dialog.get_by_label("Dollars at most").fill("0.003")
    await dialog.get_by_role("combobox", name="In", exact=True).select_option(label="for good")
    await dialog.get_by_role("button", name="Set the budget").click()
    await expect(dialog).to_have_count(0)
    row = page.get_by_role("table", name="Budgets").get_by_role("row").filter(has_text="acme-web")
    await expect(row).to_contain_text("0.0 %")
    async with scene.client(key) as client:
        answered, refused = await ask_until_refused(client)
        assert "budget" in refused.message
    spent = answered * scene.provider.price_nanos
    assert 1_000_000 < spent <= 3_000_000
    await ada.open("/budgets")
    await expect(row).to_contain_text(f"{spent / 30_000:.0f} %")
    await expect(row.get_by_title(exact(spent))).to_be_visible()
    filled = await row.locator(".bar i").first.evaluate(
        "(bar) => bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width"
    )
    assert filled == pytest.approx(spent / 3_000_000, abs=0.03)


async def ask(client: openai.AsyncOpenAI) -> int:
    """The output tokens of an answer."""
    told = await client.chat.completions.create(
        model=MODEL, max_tokens=80, messages=[{"role": "user", "content": "Say something."}]
    )
    assert told.usage is not None
    return told.usage.completion_tokens


async def ask_until_refused(client: openai.AsyncOpenAI) -> tuple[int, openai.APIStatusError]:
    """How many answers came before."""
    for answered in range(20):
        try:
            await ask(client)
        except openai.APIStatusError as refused:
            return answered, refused
    raise AssertionError("nothing was refused")


async def opens_an_account(ada: Visitor, name: str) -> None:
    page = await ada.open("/accounts")
    await page.get_by_role("button", name="Open an account").first.click()
    dialog = page.get_by_role("dialog", name="Open an account")
    await dialog.get_by_label("Name").fill(name)
    await expect(dialog.get_by_label("prepaid")).to_be_checked()
    await dialog.get_by_role("button", name="Save").click()
    await expect(account_row(page, name)).to_contain_text("empty")


async def pays_in(page: Page, name: str, dollars: str, note: str) -> None:
    await page.get_by_role("link", name="Accounts").click()
    await page.get_by_role("button", name=f"Top up {name}").click()
    dialog = page.get_by_role("dialog", name=f"Top up {name}")
    await dialog.get_by_label("Dollars").fill(dollars)
    await dialog.get_by_label("Note").fill(note)
    await dialog.get_by_role("button", name="Pay in").click()
    await expect(dialog).to_have_count(0)
    await expect(account_row(page, name)).to_contain_text("open")


def account_row(page: Page, name: str) -> Locator:
    return page.get_by_role("table", name="Accounts").get_by_role("row").filter(has=page.get_by_role("link", name=name))


async def creates_a_key(ada: Visitor, name: str, account: str) -> str:
    """Its text, as it was copied from the page."""
    page = await ada.open("/keys")
    await page.get_by_role("button", name="Create a key").first.click()
    dialog = page.get_by_role("dialog", name="Create a key")
    await dialog.get_by_label("Name").fill(name)
    await expect(dialog.get_by_label("Account that pays")).to_have_value(account)
    await dialog.get_by_role("button", name="Create the key").click()
    created = page.get_by_role("dialog", name=f"The key {name}")
    shown = await created.get_by_label("the new key", exact=True).inner_text()
    await created.get_by_role("button", name="Copy: the new key").click()
    await expect(created.get_by_text("Copied")).to_be_attached()
    assert await page.evaluate("navigator.clipboard.readText()") == shown
    await created.get_by_role("button", name="I have it").click()
    await expect(page.get_by_role("link", name=name)).to_be_visible()
    assert shown not in await page.content(), "it is shown once"
    return shown


async def shows_the_exchange(ada: Visitor, price: int) -> None:
    page = await ada.open("/exchanges")
    row = page.get_by_role("table", name="Exchanges").locator("tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("complete")
    await expect(row.get_by_title(exact(price)).first).to_be_visible()
    await row.get_by_role("link").first.click()
    await expect(page.get_by_role("table", name="Price lines").locator("tfoot")).to_contain_text(nine(price))
    await expect(page.get_by_text("the charge, to the nano-dollar")).to_be_visible()


async def shows_the_balance(ada: Visitor, name: str, nanos: int) -> None:
    page = await ada.open(f"/accounts/{name}")
    await expect(page.get_by_title(exact(nanos)).first).to_be_visible()
    entries = page.get_by_role("table", name="Entries of the ledger")
    await expect(entries.get_by_role("row").filter(has_text="invoice 7")).to_contain_text("+$0.003000000")


async def shows_the_refusal(ada: Visitor) -> None:
    """That it ran dry: among what failed, with the reason."""
    page = await ada.open("/exchanges?mark=failed")
    row = page.get_by_role("table", name="Exchanges").locator("tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("never sent")
    await expect(row).to_contain_text("402")
    await row.get_by_role("link").first.click()
    await expect(page.get_by_role("region", name="What happened")).to_contain_text("insufficient_credit")


async def revokes(ada: Visitor, name: str) -> None:
    page = await ada.open("/keys")
    await page.get_by_role("button", name=f"Revoke {name}").click()
    await page.get_by_role("dialog", name=f"Revoke {name}?").get_by_role("button", name="Revoke it for good").click()
    row = page.get_by_role("table", name="Keys").get_by_role("row").filter(has_text=name)
    await expect(row).to_contain_text("revoked")
