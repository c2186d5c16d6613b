import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.access.budgets import Budget
from headgate.access.virtual import VirtualKey
from headgate.stores.directory_rows import BUDGET, KEY, budget_of, budget_row, key_of, key_row

budgets = st.lists(st.builds(Budget), max_size=3, unique_by=lambda budget: budget.budget_id)


@given(st.builds(VirtualKey), budgets)
def test_a_key_comes_back_with_the_budgets_that_stand_behind_its_row(key: VirtualKey, binding: list[Budget]) -> None:
    row = key_row(key)
    assert len(row) == len(KEY)
    found = key_of((*row, json.dumps([budget_row(budget) for budget in binding])))
    ordered = tuple(sorted(binding, key=lambda budget: budget.budget_id))
    assert found == VirtualKey(
        **{name: getattr(key, name) for name in VirtualKey.__struct_fields__} | {"budgets": ordered}
    )


@given(st.builds(Budget))
def test_a_budget_comes_back(budget: Budget) -> None:
    assert budget_of(budget_row(budget)) == budget
    assert len(budget_row(budget)) == len(BUDGET)


def test_what_is_remembered_is_not_changed_by_whoever_has_it() -> None:
    key = VirtualKey("key_1", "a", "acme", b"1", "hg-1", 1, tags=("t",))
    found = key_of((*key_row(key), "[]"))
    assert found is key_of((*key_row(key), "[]"))
    with pytest.raises(AttributeError):
        found.name = "b"  # type: ignore[misc]
