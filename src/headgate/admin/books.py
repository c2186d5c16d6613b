"""Do the books add up? Balances are kept beside the entries; here they are held against each other.

A gateway may be writing meanwhile, and balances, entries and holds are three questions. So an account is right if they
agree once, and wrong only if they disagree although the balance stood still around the looking.
"""

from dataclasses import dataclass
from enum import StrEnum

from headgate.ledger.entries import Account
from headgate.ledger.store import Ledger, Sums

_LOOKS = 5


class Verdict(StrEnum):
    """What came of a check."""

    RIGHT = "right"
    WRONG = "wrong"
    MOVING = "moving"
    """Money moved at every look: nothing can be said. Ask again when there is less traffic."""


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


async def check_books(ledger: Ledger) -> list[Finding]:
    """Every account, by id: the sums of its entries and of its open holds against its balances."""
    found: dict[str, Finding] = {}
    for _ in range(_LOOKS):
        for finding in await _look(ledger):
            known = found.get(finding.account_id)
            if known is None or known.verdict is Verdict.MOVING or finding.verdict is Verdict.RIGHT:
                found[finding.account_id] = finding
        if all(finding.verdict is Verdict.RIGHT for finding in found.values()):
            break
    return [found[account_id] for account_id in sorted(found)]


async def _look(ledger: Ledger) -> list[Finding]:
    before = {account.account_id: account for account in await ledger.accounts()}
    sums = await ledger.sums()
    holds: dict[str, int] = {}
    for hold in await ledger.open_holds():
        holds[hold.account_id] = holds.get(hold.account_id, 0) + hold.amount_nanos
    after = {account.account_id: account for account in await ledger.accounts()}
    return [
        _finding(account_id, before.get(account_id), after.get(account_id), sums.get(account_id), holds)
        for account_id in sorted({*before, *after, *sums, *holds})
    ]


def _finding(
    account_id: str, before: Account | None, after: Account | None, sums: Sums | None, holds: dict[str, int]
) -> Finding:
    balances = Sums(0, 0) if after is None else Sums(after.posted_nanos, after.held_nanos)
    entries = sums or Sums(0, 0)
    open_nanos = holds.get(account_id, 0)
    if after is not None and balances == entries and balances.held_nanos == open_nanos:
        verdict = Verdict.RIGHT
    else:
        verdict = Verdict.WRONG if before == after else Verdict.MOVING
    return Finding(account_id, verdict, balances, entries, open_nanos)
