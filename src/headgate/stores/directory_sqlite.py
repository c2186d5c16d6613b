"""Virtual keys and budgets in SQLite.

A key is read from the file in every turn of the event loop that it is asked for in, so that a revocation counts at once
in every process; only the decoding of a row is remembered, by its whole text.
"""

import sqlite3

from headgate.access.budgets import Budget
from headgate.access.virtual import VirtualKey
from headgate.stores.directory_rows import BUDGET, KEY, budget_of, budget_row, key_of, key_row

_BINDING = """
(SELECT json_group_array(json_array(budget_id, scope, subject, window, limit_nanos)) FROM (
    SELECT * FROM budgets WHERE scope = 'key' AND subject = k.key_id
    UNION ALL SELECT * FROM budgets WHERE scope = 'account' AND subject = k.account_id
    UNION ALL SELECT * FROM budgets WHERE scope = 'tag' AND subject IN (SELECT value FROM json_each(k.tags))
))
"""
"""Each by its index: with an OR, SQLite looks at all of them where they are few."""
_KEY = f"SELECT {', '.join(KEY)}, {_BINDING} FROM virtual_keys k"  # noqa: S608 - ours
_BUDGETS = f"SELECT {', '.join(BUDGET)} FROM budgets ORDER BY budget_id"  # noqa: S608 - ours

_KEEP_KEY = """
INSERT INTO virtual_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key_id) DO UPDATE SET
    name = excluded.name, account_id = excluded.account_id, digest = excluded.digest, hint = excluded.hint,
    created_at_ns = excluded.created_at_ns, owner = excluded.owner, tags = excluded.tags, models = excluded.models,
    providers = excluded.providers, expires_at_ns = excluded.expires_at_ns, limits = excluded.limits,
    revoked_at_ns = coalesce(virtual_keys.revoked_at_ns, excluded.revoked_at_ns)
"""
_KEEP_BUDGET = """
INSERT INTO budgets VALUES (?, ?, ?, ?, ?) ON CONFLICT (budget_id) DO UPDATE SET
    scope = excluded.scope, subject = excluded.subject, window = excluded.window, limit_nanos = excluded.limit_nanos
"""


def by_digest(db: sqlite3.Connection, digest: bytes) -> VirtualKey | None:
    """See VirtualKeys."""
    return next((key_of(row) for row in db.execute(f"{_KEY} WHERE k.digest = ?", (digest,))), None)


def key(db: sqlite3.Connection, key_id: str) -> VirtualKey | None:
    """See Directory."""
    return next((key_of(row) for row in db.execute(f"{_KEY} WHERE k.key_id = ?", (key_id,))), None)


def keys(db: sqlite3.Connection) -> list[VirtualKey]:
    """See Directory."""
    return [key_of(row) for row in db.execute(f"{_KEY} ORDER BY k.created_at_ns DESC, k.key_id")]


def empty(db: sqlite3.Connection) -> bool:
    """See Directory."""
    return not db.execute("SELECT 1 FROM virtual_keys LIMIT 1").fetchall()


def put_key(db: sqlite3.Connection, key: VirtualKey) -> None:
    """See Directory. A revoked key stays so. Raises ValueError if another key has its digest."""
    taken = "SELECT 1 FROM virtual_keys WHERE digest = ? AND key_id <> ?"
    if db.execute(taken, (key.digest, key.key_id)).fetchall():
        raise ValueError("Another key has this digest.")
    db.execute(_KEEP_KEY, key_row(key))


def put_budget(db: sqlite3.Connection, budget: Budget) -> None:
    """See Directory."""
    db.execute(_KEEP_BUDGET, budget_row(budget))


def remove_budget(db: sqlite3.Connection, budget_id: str) -> bool:
    """See Directory."""
    return db.execute("DELETE FROM budgets WHERE budget_id = ?", (budget_id,)).rowcount > 0


def budgets(db: sqlite3.Connection) -> list[Budget]:
    """See Directory."""
    return [budget_of(row) for row in db.execute(_BUDGETS)]
