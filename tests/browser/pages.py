"""Every page of the dashboard, by its address with the history behind it."""

from tests.browser.history import OPUS

PAGES = (
    "/",
    "/live",
    "/exchanges",
    "/exchanges/{exchange}",
    "/keys",
    "/keys/key_acmeweb",
    "/accounts",
    "/accounts/acme",
    "/budgets",
    "/providers",
    "/health",
    "/audit",
)
"""Where `{exchange}` stands, the id of one belongs; `Visitor.open` puts it there."""
NAMES = {
    "/": "overview",
    "/exchanges/{exchange}": "exchange",
    "/keys/key_acmeweb": "key",
    "/accounts/acme": "account",
}
"""What they are called where their addresses do not say."""
SHOWN = f"/records?model={OPUS.name}&limit=1"
"""Which exchange stands for all."""


def name_of(path: str) -> str:
    """A page's name, for files and tests."""
    return NAMES.get(path, path.removeprefix("/"))
