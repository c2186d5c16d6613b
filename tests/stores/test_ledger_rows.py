"""Every value of the ledger comes back from its row as it went."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from headgate.ledger.entries import Account, Counter, Entry, Hold
from headgate.stores import ledger_rows as rows

TABLES: list[tuple[type[Any], tuple[str, ...], Any, Any]] = [
    (Account, rows.ACCOUNT, rows.account_row, rows.account_of),
    (Hold, rows.HOLD, rows.hold_row, rows.hold_of),
    (Entry, rows.ENTRY, rows.entry_row, rows.entry_of),
    (Counter, rows.COUNTER, rows.counter_row, rows.counter_of),
]


@pytest.mark.parametrize(("kind", "columns", "to_row", "of_row"), TABLES, ids=[kind.__name__ for kind, *_ in TABLES])
def test_there_and_back(kind: type[Any], columns: tuple[str, ...], to_row: Any, of_row: Any) -> None:
    @given(st.builds(kind))
    def holds(value: Any) -> None:
        row = to_row(value)
        assert of_row(row) == value
        assert of_row([int(part) if isinstance(part, bool) else part for part in row]) == value, "as SQLite has it"

    holds()
    assert columns == tuple(field.name for field in fields(kind))


@given(st.builds(Hold))
def test_a_row_has_nothing_that_a_database_does_not_know(hold: Hold) -> None:
    assert {type(part) for part in rows.hold_row(hold)} - {str, int, bool, type(None)} <= {type(hold.state)}
