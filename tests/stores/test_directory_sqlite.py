import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from headgate.stores import directory_sqlite
from headgate.stores.schema import migrate
from tests.stores.directory_conformance import FULL, OTHERS, OWN, PLAIN


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, Path("keys.db"))
    yield connection
    connection.close()


def test_a_row_that_stays_is_decoded_once(db: sqlite3.Connection) -> None:
    directory_sqlite.put_key(db, FULL)
    directory_sqlite.put_budget(db, OWN)
    found = directory_sqlite.by_digest(db, FULL.digest)
    assert found == replace(FULL, budgets=(OWN,))
    assert directory_sqlite.by_digest(db, FULL.digest) is found
    directory_sqlite.put_budget(db, replace(OWN, limit_nanos=11))
    changed = directory_sqlite.by_digest(db, FULL.digest)
    assert changed == replace(FULL, budgets=(replace(OWN, limit_nanos=11),))


def test_budgets_are_put_on_any_subject(db: sqlite3.Connection) -> None:
    for budget in OTHERS:
        directory_sqlite.put_budget(db, budget)
    assert directory_sqlite.budgets(db) == list(OTHERS)
    assert directory_sqlite.empty(db)
    directory_sqlite.put_key(db, PLAIN)
    assert not directory_sqlite.empty(db)


def test_a_key_is_found_by_its_digest_without_looking_at_the_others(db: sqlite3.Connection) -> None:
    query = f"EXPLAIN QUERY PLAN {directory_sqlite._KEY} WHERE k.digest = ?"
    plan = [step for *_, step in db.execute(query, (b"",))]
    assert any(step.startswith("SEARCH k") for step in plan)
    assert not any("SCAN k" in step for step in plan)
    assert not any("SCAN budgets" in step for step in plan)
