"""The browser and the gateway with a history, as the stories of tests/browser have them."""

from tests.browser.conftest import browser, history

__all__ = ["browser", "history"]
