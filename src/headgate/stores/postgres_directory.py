"""Virtual keys and budgets in PostgreSQL, read from the database every time: a revocation counts at once everywhere."""

from headgate.access.budgets import Budget
from headgate.access.virtual import VirtualKey
from headgate.stores.directory_rows import BUDGET, KEY, budget_of, budget_row, key_of, key_row
from headgate.stores.postgres_books import select
from headgate.stores.postgres_link import Questions, Unwritable
from headgate.stores.storable import require_storable

_BINDING = """
(SELECT coalesce(json_agg(json_build_array(budget_id, scope, subject, "window", limit_nanos)), '[]')::text
FROM budgets WHERE
    scope = 'key' AND subject = k.key_id OR scope = 'account' AND subject = k.account_id
    OR scope = 'tag' AND subject IN (SELECT json_array_elements_text(k.tags::json)))
"""
_KEY = (*KEY, _BINDING)


def _keep(table: str, columns: tuple[str, ...]) -> str:
    values = ", ".join(f"${n}" for n, _ in enumerate(columns, start=1))
    # A key that is revoked stays so, whoever had read it before.
    kept = {"revoked_at_ns": f"coalesce({table}.revoked_at_ns, excluded.revoked_at_ns)"}
    changes = ", ".join(f"{name} = {kept.get(name, f'excluded.{name}')}" for name in columns[1:])
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values}) "  # noqa: S608 - ours
        f"ON CONFLICT ({columns[0]}) DO UPDATE SET {changes}"
    )


class PostgresDirectory:
    """A Directory. Every method raises Busy where the server does not answer."""

    _questions: Questions

    async def by_digest(self, digest: bytes) -> VirtualKey | None:
        """The key of a digest, revoked and expired ones too, with all the budgets that bind it."""
        rows = await self._questions.rows(select(_KEY, "virtual_keys k", "WHERE digest = $1"), digest)
        return next((key_of(tuple(row)) for row in rows), None)

    async def put_key(self, key: VirtualKey) -> None:
        """Keep a key, new or changed, by its id; see Directory. Raises ValueError if another key has its digest."""
        require_storable(key)
        try:
            await self._questions.rows(_keep("virtual_keys", KEY), *key_row(key))
        except Unwritable as error:
            raise ValueError("Another key has this digest.") from error

    async def key(self, key_id: str) -> VirtualKey | None:
        """A key by its id."""
        rows = await self._questions.rows(select(_KEY, "virtual_keys k", "WHERE key_id = $1"), key_id)
        return next((key_of(tuple(row)) for row in rows), None)

    async def keys(self) -> list[VirtualKey]:
        """All keys, revoked and expired ones too, the newest first."""
        rows = await self._questions.rows(select(_KEY, "virtual_keys k", "ORDER BY created_at_ns DESC, key_id"))
        return [key_of(tuple(row)) for row in rows]

    async def empty(self) -> bool:
        """Whether no key was ever made."""
        return not await self._questions.rows("SELECT FROM virtual_keys LIMIT 1")

    async def put_budget(self, budget: Budget) -> None:
        """Keep a budget, new or changed, by its id."""
        await self._questions.rows(_keep("budgets", BUDGET), *budget_row(require_storable(budget)))

    async def remove_budget(self, budget_id: str) -> bool:
        """Remove a budget; False if there is none of that id."""
        removed = "DELETE FROM budgets WHERE budget_id = $1 RETURNING TRUE"
        return bool(await self._questions.rows(removed, budget_id))

    async def budgets(self) -> list[Budget]:
        """All budgets, by id."""
        rows = await self._questions.rows(select(BUDGET, "budgets", "ORDER BY budget_id"))
        return [budget_of(row) for row in rows]
