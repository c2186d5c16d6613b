"""Directory: the protocol that keeps virtual keys and budgets. `stores/` fulfils it."""

from typing import Protocol

from headgate.access.budgets import Budget
from headgate.access.virtual import VirtualKey, VirtualKeys


class Directory(VirtualKeys, Protocol):
    """Keeps keys and budgets. What a method changed counts for the next request, in every process."""

    async def put_key(self, key: VirtualKey) -> None:
        """Keep a key, new or changed, by its id. Its `budgets` are not kept with it: they are the directory's own.

        One that is revoked stays so, as of when it was: who changes a key may have read it before.

        Raises ValueError if another key has its digest.
        """

    async def key(self, key_id: str) -> VirtualKey | None:
        """A key by its id."""

    async def keys(self) -> list[VirtualKey]:
        """All keys, revoked and expired ones too, the newest first."""

    async def empty(self) -> bool:
        """Whether no key was ever made."""

    async def put_budget(self, budget: Budget) -> None:
        """Keep a budget, new or changed, by its id."""

    async def remove_budget(self, budget_id: str) -> bool:
        """Remove a budget; False if there is none of that id."""

    async def budgets(self) -> list[Budget]:
        """All budgets, by id."""
