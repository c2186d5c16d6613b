"""Ledger: the protocol that keeps accounts, holds and entries durably. `stores/` fulfils it."""

from dataclasses import dataclass
from typing import Protocol

from headgate.ledger.commands import Checkpoint, Command
from headgate.ledger.entries import Account, Counter, Entry, Hold, Outcome


class LedgerUnavailable(Exception):
    """The ledger was closed before a command could be written. What was to be resolved has been spilled."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What an account's entries add up to, for checking them against its balances."""

    posted_nanos: int
    held_nanos: int


@dataclass(frozen=True, slots=True)
class Trial:
    """The whole ledger at one moment, for checking it: what is kept beside what it ought to add up to."""

    accounts: list[Account]
    """By id."""
    entries: dict[str, Sums]
    """What each account's entries add up to; those without any are left out."""
    open_holds: dict[str, int]
    """What each account's open holds add up to, in nano-dollars; likewise."""


class Ledger(Protocol):
    """Keeps the books. Commands of one process are applied in the order in which they were submitted."""

    async def submit(self, command: Command) -> Outcome:
        """Apply a command; it is on disk when this returns.

        Waits as long as the database cannot be written: who cannot wait cancels the waiting, not the command. Raises
        LedgerUnavailable if the ledger is closed meanwhile.
        """

    def note(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint for the next commit: never waits, never raises. A newer one of its hold replaces it."""

    async def account(self, account_id: str) -> Account | None:
        """An account as it stands."""

    async def accounts(self) -> list[Account]:
        """All accounts, by id."""

    async def hold(self, hold_id: str) -> Hold | None:
        """A hold as it stands."""

    async def open_holds(self) -> list[Hold]:
        """The holds that are not resolved, oldest first."""

    async def count_open_holds(self) -> int:
        """How many there are."""

    async def entries(
        self, account_id: str | None = None, hold_id: str | None = None, limit: int = 100, before: int | None = None
    ) -> list[tuple[int, Entry]]:
        """Entries with their serial numbers, newest first; of an account or a hold; below a serial number."""

    async def counters(self, cap_ids: tuple[str, ...]) -> list[Counter]:
        """Where caps stand; those never used are left out."""

    async def trial(self, *, every: bool = False) -> Trial:
        """Everything added up, as it stood at one moment, however much moves meanwhile.

        Entries that were added up before are trusted to be as they were, unless `every` single one is to be read.
        """

    async def beat(self, node: str, lease_ns: int) -> None:
        """Tell that a gateway process lives, and will tell so again within the lease."""

    async def leave(self, node: str) -> None:
        """Tell that a gateway process ends in good order: its lease is over now."""

    async def orphans(self, limit: int = 100) -> list[Hold]:
        """Open holds of processes whose lease has run out by the database's own clock, oldest first."""

    async def forget_counters(self, ended_before_ns: int) -> int:
        """Remove the counters of windows that ended before then and hold nothing; returns how many."""
