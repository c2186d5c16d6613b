"""Virtual keys and budgets as rows, and back: the same columns in every database."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from msgspec.structs import asdict

from headgate.access.budgets import Budget, Scope, Window
from headgate.access.limits import Limits
from headgate.access.virtual import VirtualKey

KEY = (
    "key_id", "name", "account_id", "digest", "hint", "created_at_ns", "owner", "tags", "models", "providers",
    "expires_at_ns", "revoked_at_ns", "limits",
)  # fmt: skip
BUDGET = ("budget_id", "scope", "subject", '"window"', "limit_nanos")
"""WINDOW is a word of PostgreSQL's own."""


@lru_cache(maxsize=10_000)
def key_of(row: tuple[Any, ...]) -> VirtualKey:
    """The key of a row, with a JSON array of its budgets' rows at the end. Remembered by the whole of it."""
    *own, binding = row
    column: dict[str, Any] = dict(zip(KEY, own, strict=True))
    changed = {name: tuple(json.loads(column[name])) for name in ("tags", "models", "providers")}
    limits = Limits(**json.loads(column["limits"]))
    budgets = sorted(map(budget_of, json.loads(binding)), key=lambda budget: budget.budget_id)
    return VirtualKey(**column | changed | {"limits": limits, "budgets": tuple(budgets)})


def key_row(key: VirtualKey) -> tuple[Any, ...]:
    """The key in the order of KEY."""
    return (
        key.key_id, key.name, key.account_id, key.digest, key.hint, key.created_at_ns, key.owner, json.dumps(key.tags),
        json.dumps(key.models), json.dumps(key.providers), key.expires_at_ns, key.revoked_at_ns,
        json.dumps(asdict(key.limits)),
    )  # fmt: skip


def budget_of(row: Sequence[Any]) -> Budget:
    """The budget of a row."""
    budget_id, scope, subject, window, limit_nanos = row
    return Budget(budget_id, Scope(scope), subject, Window(window), limit_nanos)


def budget_row(budget: Budget) -> tuple[Any, ...]:
    """The budget in the order of BUDGET."""
    return budget.budget_id, budget.scope, budget.subject, budget.window, budget.limit_nanos
