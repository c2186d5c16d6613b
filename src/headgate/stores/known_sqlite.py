"""What this connection knows of the ledger's rows without reading them: those it wrote or read last.

They are as the file has them for as long as no other connection has committed anything, which SQLite tells exactly
(`PRAGMA data_version`), inside the transaction that is open. After another's commit everything is read anew.
"""

import sqlite3

from headgate.ledger.entries import Account, Counter, Hold, HoldState
from headgate.ledger.machine import Books

_MOST = 20_000
"""Accounts and counters that are remembered: those of the present minute, mostly. Open holds are as many as requests
under way."""


class Known:
    """Accounts, counters and open holds by their ids. What is not in it may be in the file."""

    def __init__(self) -> None:
        self._version: int | None = None
        self.accounts: dict[str, Account] = {}
        self.holds: dict[str, Hold] = {}
        self.counters: dict[str, Counter] = {}

    def begin(self, db: sqlite3.Connection) -> None:
        """A transaction has begun that will write: forget all if another connection has changed something since."""
        ((version,),) = db.execute("PRAGMA data_version").fetchall()
        if version != self._version or len(self.accounts) + len(self.counters) > _MOST:
            self.accounts.clear()
            self.holds.clear()
            self.counters.clear()
            self._version = version

    def take(self, books: Books) -> None:
        """These rows have been written as they stand in the books."""
        self.accounts.update(books.accounts)
        self.counters.update(books.counters)
        for hold in books.holds.values():
            if hold.state is HoldState.OPEN:
                self.holds[hold.hold_id] = hold
            else:
                self.holds.pop(hold.hold_id, None)
