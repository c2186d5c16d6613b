"""What every store must do as a Directory. A store's test file subclasses `DirectoryConformance`."""

import pytest
from msgspec.structs import fields, replace

from headgate.access.budgets import Budget, Scope, Window
from headgate.access.limits import Limits
from headgate.access.virtual import VirtualKey
from tests.stores.factory import StoreFactory

PLAIN = VirtualKey("key_1", "team a", "acme", b"\x01" * 32, "hg-abcdefgh", 1_000)
FULL = VirtualKey(
    key_id="key_2",
    name="élan",
    account_id="acme",
    digest=bytes(range(32)),
    hint="hg-ijklmnop",
    created_at_ns=2_000,
    owner="ops@example.com",
    tags=("red", 'bl"ue', "red-hot"),
    models=("gpt-*", "claude-*"),
    providers=("openai",),
    expires_at_ns=2**62,
    revoked_at_ns=3_000,
    limits=Limits(1, 2, 3, 4, 5),
)
OWN = Budget("b-own", Scope.KEY, "key_2", Window.DAY, 10)
ACCOUNTS = Budget("b-account", Scope.ACCOUNT, "acme", Window.TOTAL, 2**62)
TAGS = Budget("b-tag", Scope.TAG, 'bl"ue', Window.MONTH, 0)
OTHERS = (
    Budget("b-1", Scope.KEY, "acme", Window.DAY, 10),
    Budget("b-2", Scope.ACCOUNT, "key_2", Window.DAY, 10),
    Budget("b-3", Scope.TAG, "RED", Window.DAY, 10),
    Budget("b-4", Scope.TAG, "key_2", Window.DAY, 10),
    Budget("b-5", Scope.TAG, "hot", Window.WEEK, 10),
)


class DirectoryConformance:
    """Tests of a store; a subclass's module has the fixture `store_factory`."""

    async def test_a_key_reads_back_as_it_was_put(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            assert await store.empty()
            await store.put_key(PLAIN)
            await store.put_key(FULL)
            assert not await store.empty()
            for key in (PLAIN, FULL):
                assert await store.key(key.key_id) == key
                assert await store.by_digest(key.digest) == key
            assert await store.key("key_3") is None
            assert await store.by_digest(b"\x02" * 32) is None
            assert await store.keys() == [FULL, PLAIN], "the newest first"

    @pytest.mark.parametrize("field", [f.name for f in fields(VirtualKey) if f.name not in {"key_id", "revoked_at_ns"}])
    async def test_what_changes_counts_at_once(self, store_factory: StoreFactory, field: str) -> None:
        other = replace(FULL, key_id=PLAIN.key_id, name="b", account_id="zeta", hint="hg-x", digest=b"\x03" * 32)
        changed = replace(PLAIN, **{field: getattr(other, field)})
        async with store_factory.open_store() as store:
            await store.put_key(PLAIN)
            assert await store.by_digest(PLAIN.digest) == PLAIN
            await store.put_key(changed)
            assert await store.by_digest(changed.digest) == changed
            await store.put_key(PLAIN)
            assert await store.by_digest(PLAIN.digest) == PLAIN

    async def test_a_revoked_key_stays_revoked(self, store_factory: StoreFactory) -> None:
        """Who changes a key may have read it before it was revoked."""
        async with store_factory.open_store() as store:
            await store.put_key(PLAIN)
            revoked = replace(PLAIN, revoked_at_ns=0)
            await store.put_key(revoked)
            for late in (replace(PLAIN, owner="ops"), replace(PLAIN, owner="ops", revoked_at_ns=9)):
                await store.put_key(late)
                assert await store.by_digest(PLAIN.digest) == replace(revoked, owner="ops")
                assert await store.key(PLAIN.key_id) == replace(revoked, owner="ops")
            await store.put_key(FULL)
            assert await store.key(FULL.key_id) == FULL, "another key's is its own"

    async def test_a_digest_is_one_keys(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.put_key(PLAIN)
            await store.put_key(FULL)
            with pytest.raises(ValueError, match="digest"):
                await store.put_key(replace(FULL, digest=PLAIN.digest))
            with pytest.raises(ValueError, match="digest"):
                await store.put_key(replace(PLAIN, key_id="key_3"))
            assert await store.keys() == [FULL, PLAIN]

    async def test_a_key_comes_with_all_the_budgets_that_bind_it(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.put_key(PLAIN)
            await store.put_key(FULL)
            for budget in (OWN, *OTHERS, TAGS, ACCOUNTS):
                await store.put_budget(budget)
            binding = (ACCOUNTS, OWN, TAGS)
            assert await store.by_digest(FULL.digest) == replace(FULL, budgets=binding)
            assert await store.key("key_2") == replace(FULL, budgets=binding)
            assert await store.keys() == [replace(FULL, budgets=binding), replace(PLAIN, budgets=(ACCOUNTS,))]

    async def test_a_budget_that_changes_counts_at_once(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.put_key(replace(FULL, budgets=(OWN,)))
            assert await store.budgets() == [], "a key's budgets are not kept with it"
            await store.put_budget(OWN)
            await store.put_budget(TAGS)
            raised = replace(OWN, limit_nanos=20, window=Window.WEEK)
            await store.put_budget(raised)
            assert await store.budgets() == [raised, TAGS]
            found = await store.by_digest(FULL.digest)
            assert found is not None
            assert found.budgets == (raised, TAGS)
            assert await store.remove_budget(OWN.budget_id)
            assert not await store.remove_budget(OWN.budget_id)
            assert await store.budgets() == [TAGS]
            found = await store.by_digest(FULL.digest)
            assert found is not None
            assert found.budgets == (TAGS,)

    async def test_what_no_database_can_keep_is_refused(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            for change in ({"name": "\ud800"}, {"tags": ("a\0",)}, {"expires_at_ns": 2**63}, {"limits": Limits(2**63)}):
                with pytest.raises(ValueError, match="cannot be kept"):
                    await store.put_key(replace(PLAIN, **change))
            with pytest.raises(ValueError, match="cannot be kept"):
                await store.put_budget(replace(OWN, limit_nanos=2**63))
            await store.put_key(PLAIN)
            assert await store.keys() == [PLAIN]


class DurableDirectoryConformance(DirectoryConformance):
    """The same for a store whose database outlives it."""

    async def test_all_is_there_when_the_database_is_opened_again(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as store:
            await store.put_key(FULL)
            await store.put_budget(OWN)
        async with store_factory.open_store() as store:
            assert await store.keys() == [replace(FULL, budgets=(OWN,))]
            assert await store.budgets() == [OWN]

    async def test_another_processs_changes_count_at_once(self, store_factory: StoreFactory) -> None:
        async with store_factory.open_store() as one, store_factory.open_store() as other:
            await one.put_key(PLAIN)
            assert await other.by_digest(PLAIN.digest) == PLAIN
            revoked = replace(PLAIN, revoked_at_ns=5)
            await other.put_key(revoked)
            assert await one.by_digest(PLAIN.digest) == revoked
            await one.put_budget(ACCOUNTS)
            found = await other.by_digest(PLAIN.digest)
            assert found is not None
            assert found.budgets == (ACCOUNTS,)
