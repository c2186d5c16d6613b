"""Pages and what becomes of a request's values; the rest of the handlers is in test_api.py, over HTTP."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from headgate.admin import handlers
from headgate.admin.handlers import Answer, Call
from headgate.admin.queries import Paging, RecordQuery
from headgate.admin.routes import OPERATIONS
from headgate.stores.memory import MemoryStore
from tests.admin.serving import a_desk
from tests.stores.examples import a_record

PLACES = st.lists(st.tuples(st.integers(0, 5), st.text("ab.", min_size=1, max_size=3)), unique=True, max_size=12)


@given(PLACES, st.integers(1, 5))
def test_pages_hold_everything_once_and_in_order(places: list[tuple[int, str]], limit: int) -> None:
    seen: list[tuple[int, str]] = []
    cursor: Any = UNSET
    while True:
        page: Answer = handlers._page(
            places, lambda place: place, lambda place: place, Paging(limit=limit, cursor=cursor)
        )
        assert len(page.value["data"]) <= limit
        seen += page.value["data"]
        cursor = page.value["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(places)


def test_a_page_goes_on_although_the_item_at_its_cursor_is_gone() -> None:
    names = ["a", "b", "c", "d"]

    def page(cursor: Any) -> Any:
        return handlers._page(names, lambda name: (0, name), str, Paging(limit=2, cursor=cursor)).value

    cursor = page(UNSET)["next_cursor"]
    names.remove("b")
    assert page(cursor) == {"data": ["c", "d"], "next_cursor": None}


async def test_a_cursor_beyond_every_number_is_no_fault() -> None:
    store = MemoryStore()
    store.append(a_record("ex_1"))
    desk = a_desk(store)
    query = RecordQuery(cursor="9999999999999999999.x")
    assert len((await handlers.list_records(desk, Call({}, query, None, None))).value["data"]) == 1


def test_each_handler_says_what_it_does_in_one_line() -> None:
    for operation in OPERATIONS:
        assert operation.summary.endswith(".")
        assert len(operation.summary) < 100
