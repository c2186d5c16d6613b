"""The history that the dashboard is looked at with: deterministic, and with books that add up."""

from collections import Counter
from decimal import Decimal

from headgate.admin.books import Verdict, check_books
from headgate.config import price_data
from headgate.money import NANOS_PER_DOLLAR
from headgate.pricing.book import PriceBook
from headgate.records import Ending
from headgate.stores.memory import MemoryStore
from headgate.usage import Basis
from tests.browser.history import BUDGETS, CALLERS, DAY, OPUS, RETIRED, History, fill

NOW = 20_778 * DAY + 17 * DAY // 24
BOOK = PriceBook.from_json(price_data())
HISTORY = History(NOW, BOOK, exchanges=600)


def test_the_same_seed_and_time_give_the_same_history() -> None:
    assert HISTORY.records() == History(NOW, BOOK, exchanges=600).records()
    assert HISTORY.records() != History(NOW, BOOK, exchanges=600, seed=2).records()


def test_it_has_some_of_everything_that_a_dashboard_has_to_show() -> None:
    records = HISTORY.records()
    endings = Counter(record.ending for record in records)
    assert {Ending.COMPLETE, Ending.REFUSED, Ending.CLIENT_LEFT, Ending.NEVER_SENT} <= endings.keys()
    flags = {flag for record in records for flag in record.bill.flags}
    assert {"estimated", "unpriced:model"} <= flags
    assert all(NOW - 30 * DAY <= record.started_at_ns < NOW for record in records)
    both = [(own.usage, own.estimate) for own in (record.reading for record in records) if own.basis is Basis.PARTIAL]
    above = [guess is not None and (guess.output_tokens or 0) > (usage.output_tokens or 0) for usage, guess in both]
    assert set(above) == {True, False}, "estimates above what was reported, and below it"


def test_another_moment_only_moves_it() -> None:
    """So that what stories find in it does not depend on when they are told."""
    later = History(NOW + 3 * DAY + 7 * DAY // 24, BOOK, exchanges=600).records()
    told = [[(x.model_asked, x.key, x.ending, x.bill.charge_nanos) for x in all_ if x.model_asked != OPUS.name]
            for all_ in (HISTORY.records(), later)]  # fmt: skip
    assert told[0][:590] == told[1][:590]


async def test_its_books_add_up() -> None:
    store = MemoryStore()
    count = await fill(store, HISTORY)
    assert len(store.kept) == count
    assert {finding.verdict for finding in await check_books(store)} == {Verdict.RIGHT}
    assert await store.open_holds() == []
    for record in store.kept:
        lines = sum(Decimal(x.quantity) * Decimal(x.dollars) / x.per for x in record.bill.lines)
        assert round(lines * NANOS_PER_DOLLAR) == (record.bill.cost_nanos or 0), record
        entries = [entry for _, entry in await store.entries(hold_id=record.exchange_id)]
        assert -sum(entry.posted_nanos for entry in entries) == (record.bill.charge_nanos or 0), record


async def test_it_has_keys_and_budgets() -> None:
    store = MemoryStore()
    await fill(store, HISTORY)
    assert len(await store.keys()) == len([c for c in (*CALLERS, RETIRED) if c.account])
    assert len(await store.budgets()) == len(BUDGETS)
