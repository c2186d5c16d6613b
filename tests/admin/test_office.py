"""What an operator does, over a store in memory."""

import asyncio
import dataclasses

import pytest
from msgspec.structs import replace

from headgate.access.budgets import Scope, Window
from headgate.access.limits import Limits
from headgate.access.virtual import digest_of
from headgate.admin.office import Conflict, Office
from headgate.admin.terms import KeyTerms
from headgate.errors import BadRequest, Busy, NotFound
from headgate.ledger.commands import Capture, Command, Place
from headgate.ledger.entries import AccountKind, Measure, Outcome
from headgate.stores.memory import MemoryStore
from tests.admin.serving import NOON_NS, SECRET, Clock, an_office

DAY_NS = 86_400 * 1_000_000_000


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def office(store: MemoryStore, clock: Clock) -> Office:
    opened = an_office(store, clock)
    await opened.open_account("acme")
    return opened


async def test_an_account_is_prepaid_unless_told_otherwise(office: Office) -> None:
    account, new = await office.open_account("b")
    assert (account.kind, account.limit_nanos, new) == (AccountKind.PREPAID, None, True)
    account, new = await office.open_account("c", AccountKind.POSTPAID, 5)
    assert (account.kind, account.limit_nanos, new) == (AccountKind.POSTPAID, 5, True)
    assert [account.account_id for account in await office.accounts()] == ["acme", "b", "c"]


async def test_opening_again_without_a_kind_keeps_what_there_is(office: Office) -> None:
    await office.open_account("c", AccountKind.POSTPAID, 5)
    assert (await office.close_account("c")).closed
    account, new = await office.open_account("c")
    assert (account.kind, account.limit_nanos, account.closed, new) == (AccountKind.POSTPAID, 5, False, False)
    assert (await office.open_account("c", limit_nanos=6))[0].limit_nanos == 6
    assert (await office.open_account("c", AccountKind.POSTPAID))[0].limit_nanos is None


@pytest.mark.parametrize(("kind", "limit"), [(None, 5), (AccountKind.PREPAID, 5), (AccountKind.POSTPAID, -1)])
async def test_limits_that_mean_nothing_are_refused(office: Office, kind: AccountKind | None, limit: int) -> None:
    with pytest.raises(BadRequest, match="limit_usd"):
        await office.open_account("b", kind, limit)
    with pytest.raises(NotFound):
        await office.account("b")


async def test_a_payment_with_an_id_is_made_once(office: Office) -> None:
    first = await office.top_up("acme", 100, "inv-1", "invoice")
    again = await office.top_up("acme", 100, "inv-1", "another note")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.account.posted_nanos == 100
    with pytest.raises(Conflict, match="inv-1"):
        await office.top_up("acme", 101, "inv-1")
    with pytest.raises(Conflict, match="inv-1"):
        await office.correct("acme", 100, "inv-1", "as a correction")
    await office.open_account("b")
    with pytest.raises(Conflict, match="inv-1"):
        await office.top_up("b", 100, "inv-1")
    assert (await office.account("acme")).posted_nanos == 100


async def test_payments_without_an_id_are_all_made(office: Office) -> None:
    ids = {(await office.top_up("acme", 1)).entry_id for _ in range(5)}
    assert len(ids) == 5
    assert (await office.account("acme")).posted_nanos == 5


@pytest.mark.parametrize("amount", [0, -1, 2**62 + 1])
async def test_amounts_that_are_none(office: Office, amount: int) -> None:
    with pytest.raises(BadRequest, match="amount_usd"):
        await office.top_up("acme", amount)


async def test_a_correction_goes_either_way_and_says_why(office: Office) -> None:
    await office.correct("acme", -5, note="double")
    assert (await office.correct("acme", 7, note="back")).account.posted_nanos == 2
    for note in ("", "   "):
        with pytest.raises(BadRequest, match="note"):
            await office.correct("acme", 1, note=note)
    with pytest.raises(BadRequest, match="amount_usd"):
        await office.correct("acme", 0, note="nothing")


async def test_an_id_of_a_holds_own_entry_cannot_be_taken(office: Office) -> None:
    with pytest.raises(BadRequest, match="id"):
        await office.top_up("acme", 1, "ex_1:place")


async def test_entries_and_holds(office: Office, store: MemoryStore) -> None:
    await office.top_up("acme", 100)
    await store.submit(Place("ex_1", "acme", 10, NOON_NS, "node"))
    await store.submit(Place("ex_2", "acme", 20, NOON_NS, "node"))
    await store.submit(Capture("ex_1", "acme", 12, NOON_NS))
    assert [str(e.kind) for _, e in await office.entries(hold_id="ex_1")] == ["overrun", "capture", "place"]
    assert len(await office.entries(account_id="acme")) == 5
    assert [hold.hold_id for hold in await office.open_holds()] == ["ex_2"]
    assert await office.open_holds("b") == []
    for missing in (office.entries(account_id="b"), office.entries(hold_id="ex_3"), office.hold("ex_3")):
        with pytest.raises(NotFound):
            await missing


async def test_a_key_is_told_once_and_kept_as_a_digest(office: Office, store: MemoryStore) -> None:
    terms = KeyTerms("k", "acme", "Ada", ("red",), ("gpt-*",), ("openai",), NOON_NS + 1, Limits(concurrent=3))
    key, text = await office.create_key(terms)
    assert await store.by_digest(digest_of(text.encode(), SECRET)) == key
    assert text.startswith(key.hint)
    assert text not in repr(key)
    assert (key.owner, key.tags, key.limits.concurrent, key.created_at_ns) == ("Ada", ("red",), 3, NOON_NS)


async def test_a_key_needs_an_account_and_a_name_of_its_own(office: Office, clock: Clock) -> None:
    with pytest.raises(NotFound, match="no account 'nobody'"):
        await office.create_key(KeyTerms("k", "nobody"))
    first, _ = await office.create_key(KeyTerms("k", "acme", expires_at_ns=NOON_NS + 5))
    with pytest.raises(Conflict, match=first.key_id):
        await office.create_key(KeyTerms("k", "acme"))
    clock.now_ns += 5
    second, _ = await office.create_key(KeyTerms("k", "acme"))
    await office.revoke_key(second.key_id)
    third, _ = await office.create_key(KeyTerms("k", "acme"))
    assert await office.find_key("k") == third
    assert await office.find_key(first.key_id) == first
    await office.revoke_key(third.key_id)
    with pytest.raises(Conflict, match=second.key_id):
        await office.find_key("k")
    with pytest.raises(NotFound):
        await office.find_key("other")


async def test_a_key_that_would_be_expired_is_not_made(office: Office) -> None:
    with pytest.raises(Conflict, match="expires_at"):
        await office.create_key(KeyTerms("k", "acme", expires_at_ns=NOON_NS))
    assert await office.keys() == []


async def test_a_key_can_be_changed_but_not_once_it_is_revoked(office: Office, clock: Clock) -> None:
    key, _ = await office.create_key(KeyTerms("k", "acme", tags=("red",)))
    changed = await office.change_key(key.key_id, lambda terms: dataclasses.replace(terms, tags=("blue",)))
    assert changed == replace(key, tags=("blue",))
    with pytest.raises(NotFound, match="account"):
        await office.change_key(key.key_id, lambda terms: dataclasses.replace(terms, account_id="nobody"))
    clock.now_ns += 1
    revoked = await office.revoke_key(key.key_id)
    assert revoked == replace(changed, revoked_at_ns=NOON_NS + 1)
    clock.now_ns += 1
    assert await office.revoke_key(key.key_id) == revoked, "the first time is the one that counts"
    with pytest.raises(Conflict, match="revoked"):
        await office.change_key(key.key_id, lambda terms: terms)
    with pytest.raises(NotFound):
        await office.revoke_key("key_x")


async def test_a_revocation_is_not_undone_by_a_change_at_the_same_time(office: Office) -> None:
    key, _ = await office.create_key(KeyTerms("k", "acme"))
    await asyncio.gather(
        *(office.change_key(key.key_id, lambda terms: dataclasses.replace(terms, owner="b")) for _ in range(5)),
        office.revoke_key(key.key_id),
        *(office.change_key(key.key_id, lambda terms: dataclasses.replace(terms, owner="c")) for _ in range(5)),
        return_exceptions=True,
    )
    assert (await office.key(key.key_id)).revoked_at_ns is not None


async def test_budgets_and_how_full_they_are(office: Office, store: MemoryStore, clock: Clock) -> None:
    key, _ = await office.create_key(KeyTerms("k", "acme", tags=("red",)))
    await office.top_up("acme", 100)
    own = (await office.put_budget(Scope.KEY, key.key_id, Window.DAY, 50)).budget
    caps = (own.cap(NOON_NS, 10),)
    assert caps[0].measure is Measure.MONEY
    await store.submit(Place("ex_1", "acme", 10, NOON_NS, "node", caps=caps))
    await store.submit(Place("ex_2", "acme", 10, NOON_NS, "node", caps=caps))
    await store.submit(Capture("ex_1", "acme", 4, NOON_NS))
    [standing] = await office.budgets()
    assert (standing.used_nanos, standing.held_nanos) == (4, 10)
    assert standing.ends_at_ns is not None
    raised = await office.put_budget(Scope.KEY, key.key_id, Window.DAY, 60)
    assert (raised.used_nanos, raised.budget.limit_nanos) == (4, 60), "a new limit forgets nothing"
    clock.now_ns += DAY_NS
    [standing] = await office.budgets()
    assert (standing.used_nanos, standing.held_nanos) == (0, 0), "another day, another counter"


async def test_which_budgets_bind_a_key(office: Office) -> None:
    key, _ = await office.create_key(KeyTerms("k", "acme", tags=("red",)))
    for scope, subject in ((Scope.KEY, key.key_id), (Scope.ACCOUNT, "acme"), (Scope.TAG, "red"), (Scope.TAG, "blue")):
        await office.put_budget(scope, subject, Window.TOTAL, 5)
    assert [str(s.budget.scope) for s in await office.budgets_of(key)] == ["account", "key", "tag"]
    assert len(await office.budgets(Scope.TAG)) == 2
    assert len(await office.budgets(Scope.TAG, "blue")) == 1
    await office.remove_budget(Scope.TAG, "red", Window.TOTAL)
    assert len(await office.budgets_of(key)) == 2
    with pytest.raises(NotFound):
        await office.remove_budget(Scope.TAG, "red", Window.TOTAL)


@pytest.mark.parametrize(
    ("scope", "subject", "limit", "error"),
    [
        (Scope.KEY, "key_x", 5, NotFound),
        (Scope.ACCOUNT, "nobody", 5, NotFound),
        (Scope.TAG, "a b", 5, BadRequest),
        (Scope.TAG, "red", -1, BadRequest),
        (Scope.TAG, "red", 2**62 + 1, BadRequest),
    ],
)
async def test_budgets_of_nothing(
    office: Office, scope: Scope, subject: str, limit: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await office.put_budget(scope, subject, Window.DAY, limit)
    assert await office.budgets() == []


class Stuck(MemoryStore):
    """A store whose database does not answer."""

    async def submit(self, _: Command) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_database_that_does_not_answer_is_not_waited_for_without_end(store: MemoryStore) -> None:
    office = Office(Stuck(), store, SECRET, Clock(), bytes, patience_seconds=0.01)
    with pytest.raises(Busy, match="look before you repeat"):
        await office.open_account("acme")
