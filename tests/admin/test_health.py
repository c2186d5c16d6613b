"""Health, as an operator reads it."""

from msgspec.structs import replace

from headgate.admin.health import DatabaseKind, price_book_view
from headgate.config import price_data
from headgate.errors import Busy
from headgate.pricing.book import PriceBook
from headgate.records import Bill, Settled
from headgate.stores.memory import MemoryStore
from tests.admin.serving import Clock, a_sight
from tests.stores.examples import a_record


async def test_a_gateway_that_has_just_started() -> None:
    view = await a_sight(MemoryStore(), Clock()).health.view()
    assert (view.uptime_seconds, view.running, view.onlookers, view.open_holds) == (90, 0, 0, 0)
    assert (view.database.kind, view.database.accepting, view.database.backlog) == (DatabaseKind.MEMORY, True, 0)
    assert (view.books.checked_at, view.books.balanced, view.books.wrong) == (None, None, [])
    assert (view.since_start.exchanges, view.since_start.flags) == (0, {})


async def test_after_a_check_and_some_trouble() -> None:
    sight = a_sight(MemoryStore(), Clock())
    await sight.books.check()
    sight.health.since.saw(replace(a_record("x"), bill=Bill(settled=Settled.DISPUTED, flags=("overrun",))))
    view = await sight.health.view()
    assert (view.books.balanced, view.books.accounts) == (True, 0)
    assert (view.since_start.disputed, view.since_start.flags) == (1, {"overrun": 1})


async def test_it_is_told_also_while_the_database_cannot_be_asked() -> None:
    class Away(MemoryStore):
        accepting = False

        async def count_open_holds(self) -> int:
            raise Busy("it is away")

    view = await a_sight(Away(), Clock()).health.view()
    assert (view.open_holds, view.database.accepting) == (None, False)


def test_where_prices_come_from() -> None:
    book = PriceBook.from_json(price_data())
    view = price_book_view(book)
    assert (view.version, view.source, view.overrides) == (book.version, "genai-prices", 0)
    own = price_book_view(book.with_overrides({("openai", "mine"): {"input_mtok": "1"}}))
    assert (own.source, own.overrides) == ("genai-prices", 1)
    assert own.version != view.version
    assert price_book_view(PriceBook.from_json({"format": 1, "providers": {}})).source is None
