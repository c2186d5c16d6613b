"""What is asked of the ledger in PostgreSQL, and the leases of gateway processes.

A hold that was resolved stays: its row tells a repeat from a new one. Were there ever too many, those whose exchanges
are older than any client's patience could go, by `placed_at_ns` and state; the entries, which are the books, stay.
"""

from collections.abc import Awaitable

from headgate.ledger.entries import Account, Counter, Entry, Hold
from headgate.ledger.store import Trial
from headgate.stores import entry_sums
from headgate.stores.ledger_rows import ACCOUNT, COUNTER, ENTRY, HOLD, account_of, counter_of, entry_of, hold_of
from headgate.stores.postgres_books import select
from headgate.stores.postgres_link import Connection, Questions
from headgate.stores.postgres_records import answered

_TRIAL_SECONDS = 600.0
"""What it may take to add up every entry that there is."""
_BEAT = """
INSERT INTO nodes VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (node) DO UPDATE SET alive_until = excluded.alive_until
"""
_ORPHANED = """
WHERE state = 'open' AND node NOT IN (SELECT node FROM nodes WHERE alive_until > clock_timestamp())
ORDER BY placed_at_ns, hold_id LIMIT $1
"""
# In the order in which commands lock counters.
_FORGET = """
DELETE FROM counters WHERE cap_id IN
    (SELECT cap_id FROM counters WHERE ends_at_ns < $1 AND held = 0 ORDER BY cap_id FOR UPDATE)
RETURNING used IS NOT NULL
"""


class PostgresLedger:
    """All of a Ledger but `submit` and `note`. Every method raises Busy where the server does not answer."""

    _questions: Questions

    async def account(self, account_id: str) -> Account | None:
        """An account as it stands."""
        rows = await self._questions.rows(select(ACCOUNT, "accounts", "WHERE account_id = $1"), account_id)
        return next(map(account_of, rows), None)

    async def accounts(self) -> list[Account]:
        """All accounts, by id."""
        rows = await self._questions.rows(select(ACCOUNT, "accounts", "ORDER BY account_id"))
        return [account_of(row) for row in rows]

    async def hold(self, hold_id: str) -> Hold | None:
        """A hold as it stands."""
        rows = await self._questions.rows(select(HOLD, "holds", "WHERE hold_id = $1"), hold_id)
        return next(map(hold_of, rows), None)

    async def open_holds(self) -> list[Hold]:
        """The holds that are not resolved, oldest first."""
        rest = "WHERE state = 'open' ORDER BY placed_at_ns, hold_id"
        return [hold_of(row) for row in await self._questions.rows(select(HOLD, "holds", rest))]

    async def count_open_holds(self) -> int:
        """How many there are."""
        ((number,),) = await self._questions.rows("SELECT count(*) FROM holds WHERE state = 'open'")
        return int(number)

    async def entries(
        self, account_id: str | None = None, hold_id: str | None = None, limit: int = 100, before: int | None = None
    ) -> list[tuple[int, Entry]]:
        """Entries with their serial numbers, newest first; of an account or a hold; below a serial number."""
        asked = {"account_id =": account_id, "hold_id =": hold_id, "serial <": before}
        given = {condition: value for condition, value in asked.items() if value is not None}
        where = " AND ".join(("TRUE", *(f"{condition} ${n}" for n, condition in enumerate(given, start=2))))
        rest = f"WHERE {where} ORDER BY serial DESC LIMIT $1"
        rows = await self._questions.rows(select(("serial", *ENTRY), "entries", rest), limit, *given.values())
        return [(serial, entry_of(row)) for serial, *row in rows]

    async def counters(self, cap_ids: tuple[str, ...]) -> list[Counter]:
        """Where caps stand, by id; those never used are left out."""
        rest = "WHERE cap_id = ANY($1::text[]) AND used IS NOT NULL ORDER BY cap_id"
        rows = await self._questions.rows(select(COUNTER, "counters", rest), list(cap_ids))
        return [counter_of(row) for row in rows]

    async def trial(self, *, every: bool = False) -> Trial:
        """Everything added up, as it stood at one moment, however much moves meanwhile."""

        def asking(db: Connection) -> Awaitable[Trial]:  # anew each time: a question that broke off cannot go on
            return answered(db, entry_sums.trial(every=every), _TRIAL_SECONDS)

        return await self._questions.at_once(asking, _TRIAL_SECONDS)

    async def beat(self, node: str, lease_ns: int) -> None:
        """Tell that a gateway process lives, and will tell so again within the lease."""
        await self._questions.rows(_BEAT, node, lease_ns / 1_000_000_000)

    async def leave(self, node: str) -> None:
        """Tell that a gateway process ends in good order: its lease is over now."""
        await self._questions.rows("DELETE FROM nodes WHERE node = $1", node)

    async def orphans(self, limit: int = 100) -> list[Hold]:
        """Open holds of processes whose lease has run out by the database's own clock, oldest first."""
        return [hold_of(row) for row in await self._questions.rows(select(HOLD, "holds", _ORPHANED), limit)]

    async def forget_counters(self, ended_before_ns: int) -> int:
        """Remove the counters of windows that ended before then and hold nothing; returns how many had been used."""
        return sum(used for (used,) in await self._questions.rows(_FORGET, ended_before_ns))
