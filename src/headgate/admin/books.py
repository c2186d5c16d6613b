"""Do the books add up? Balances are kept beside the entries; here they are held against each other.

A gateway may be writing meanwhile, so all of it is read as it stood at one moment: there is no maybe.
"""

from dataclasses import dataclass
from enum import StrEnum

from headgate.ledger.entries import Account
from headgate.ledger.store import Ledger, Sums


class Verdict(StrEnum):
    """What came of a check."""

    RIGHT = "right"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One account's balances, and what they ought to be. Nano-dollars."""

    account_id: str
    verdict: Verdict
    balances: Sums
    """As kept."""
    entries: Sums
    """The sums of the entries."""
    open_holds_nanos: int


async def check_books(ledger: Ledger, *, every: bool = False) -> list[Finding]:
    """Every account, by id: the sums of its entries and of its open holds against its balances.

    Entries that were added up before are trusted to be as they were, unless `every` single one is to be read.
    """
    trial = await ledger.trial(every=every)
    accounts = {account.account_id: account for account in trial.accounts}
    names = sorted({*accounts, *trial.entries, *trial.open_holds})
    return [
        _finding(name, accounts.get(name), trial.entries.get(name, Sums(0, 0)), trial.open_holds.get(name, 0))
        for name in names
    ]


def _finding(account_id: str, account: Account | None, entries: Sums, open_nanos: int) -> Finding:
    balances = Sums(0, 0) if account is None else Sums(account.posted_nanos, account.held_nanos)
    right = account is not None and balances == entries and balances.held_nanos == open_nanos
    return Finding(account_id, Verdict.RIGHT if right else Verdict.WRONG, balances, entries, open_nanos)
