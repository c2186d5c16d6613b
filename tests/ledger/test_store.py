"""The protocol is held to in tests/stores/ledger_conformance.py; here is that it says what the stores do."""

import inspect

import pytest

from headgate.ledger.store import Ledger
from headgate.stores.memory import MemoryStore
from headgate.stores.sqlite import SqliteStore

METHODS = [name for name, value in vars(Ledger).items() if inspect.isfunction(value) and not name.startswith("_")]


@pytest.mark.parametrize("store", [MemoryStore, SqliteStore])
@pytest.mark.parametrize("method", METHODS)
def test_a_store_has_the_protocols_parameters(store: type, method: str) -> None:
    def shape(owner: type) -> list[tuple[str, object]]:
        return [(p.name, p.default) for p in inspect.signature(getattr(owner, method)).parameters.values()]

    assert shape(store) == shape(Ledger)
    promised = getattr(Ledger, method)
    assert inspect.iscoroutinefunction(getattr(store, method)) is inspect.iscoroutinefunction(promised)
