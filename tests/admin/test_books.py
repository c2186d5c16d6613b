"""The check of the books, against a ledger that is right and one that was tampered with."""

from collections.abc import Callable

from msgspec.structs import replace

from headgate.admin.books import Finding, Verdict, check_books
from headgate.ledger.commands import Capture, OpenAccount, Place, Post
from headgate.ledger.entries import Account, AccountKind, EntryKind
from headgate.ledger.store import Sums
from headgate.stores.memory import MemoryStore


class Watched(MemoryStore):
    """A store that tells other balances than it has."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Callable[[Account], Account] = lambda account: account

    async def accounts(self) -> list[Account]:
        return [self.told(account) for account in await super().accounts()]


async def filled() -> Watched:
    """An account with money in it, one of whose two holds is captured with an overrun."""
    store = Watched()
    await store.submit(OpenAccount("acme", AccountKind.PREPAID, 1))
    await store.submit(OpenAccount("empty", AccountKind.PREPAID, 1))
    await store.submit(Post("p", "acme", EntryKind.TOP_UP, 100, 2))
    await store.submit(Place("h1", "acme", 30, 3, "node"))
    await store.submit(Place("h2", "acme", 20, 3, "node"))
    await store.submit(Capture("h1", "acme", 35, 4))
    return store


async def test_books_that_are_right() -> None:
    assert await check_books(await filled()) == [
        Finding("acme", Verdict.RIGHT, Sums(65, 20), Sums(65, 20), 20),
        Finding("empty", Verdict.RIGHT, Sums(0, 0), Sums(0, 0), 0),
    ]


async def test_a_balance_that_is_not_the_sum_is_wrong() -> None:
    for tampered in ({"posted_nanos": 66}, {"held_nanos": 19}, {"posted_nanos": -65}):
        store = await filled()
        store.told = lambda account, changes=tampered: (  # type: ignore[misc]
            replace(account, **changes) if account.account_id == "acme" else account
        )
        verdicts = {finding.account_id: finding.verdict for finding in await check_books(store)}
        assert verdicts == {"acme": Verdict.WRONG, "empty": Verdict.RIGHT}


async def test_an_account_that_is_gone_is_wrong() -> None:
    store = await filled()
    listed = store.accounts

    async def without_acme() -> list[Account]:
        return [account for account in await listed() if account.account_id != "acme"]

    store.accounts = without_acme  # type: ignore[method-assign]
    assert [(f.account_id, f.verdict) for f in await check_books(store)] == [
        ("acme", Verdict.WRONG),
        ("empty", Verdict.RIGHT),
    ]
