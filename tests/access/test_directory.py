"""The protocol's own promises, as its simplest store keeps them; every store's are in tests/stores."""

from msgspec.structs import replace

from headgate.access.budgets import Budget, Scope, Window
from headgate.access.directory import Directory
from headgate.access.virtual import VirtualKey, VirtualKeys
from headgate.stores.memory import MemoryStore

KEY = VirtualKey("key_1", "alice", "team", b"\x01" * 32, "hg-alice", 1)
BUDGET = Budget("b", Scope.ACCOUNT, "team", Window.MONTH, 10)


async def life_of_a_key(directory: Directory) -> None:
    assert await directory.empty()
    await directory.put_key(KEY)
    await directory.put_budget(BUDGET)
    assert await directory.key("key_1") == replace(KEY, budgets=(BUDGET,))
    revoked = replace(KEY, revoked_at_ns=2)
    await directory.put_key(revoked)
    assert await directory.remove_budget("b")
    assert (await directory.keys(), await directory.budgets()) == ([revoked], [])
    assert not await directory.empty(), "a gateway that ever had a key does not fall open when the last is revoked"
    assert await reader(directory) == revoked


async def reader(keys: VirtualKeys) -> VirtualKey | None:
    """A directory is all that finding keys takes."""
    return await keys.by_digest(KEY.digest)


async def test_the_life_of_a_key() -> None:
    await life_of_a_key(MemoryStore())
