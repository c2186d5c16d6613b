"""What entries add up to, without adding up all of them each time.

Entries are numbered and never change, so the sum of an account's first ones is kept, with the number that it goes up
to; the question adds those beyond it. Within an account, entries are committed in the order of their numbers, also in
PostgreSQL, because whoever writes one holds the account's row: what lies below a number that can be seen is all there.

Generators for both databases, like the questions in rollups.py.
"""

from headgate.ledger.store import Sums, Trial
from headgate.stores.ledger_rows import ACCOUNT, account_of
from headgate.stores.rollups import Asking

# ruff: noqa: S608 - the names are our own; values are always parameters

AT_ONCE = 5_000
"""Serial numbers from the next entry on that go into one transaction, where others wait for it."""

# One look-up for each account: the entries themselves say whose they are, whatever the other tables tell.
_NAMES = """
    names (name) AS (
        SELECT min(account_id) FROM entries
        UNION ALL
        SELECT (SELECT min(account_id) FROM entries WHERE account_id > name) FROM names WHERE name IS NOT NULL
    )
"""


# Where an account's sum stands.
_KEPT = """
    kept (name, serial_kept, posted_kept, held_kept) AS (
        SELECT name, coalesce(serial, 0), coalesce(posted_nanos, 0), coalesce(held_nanos, 0)
        FROM names LEFT JOIN entry_sums ON account_id = name WHERE name IS NOT NULL
    )
"""
# All in one statement, so as of one moment: an entry that is committed late, with a lower number, comes with the next.
_KEEP = f"""
    WITH RECURSIVE {_NAMES}, {_KEPT},
    next (first, newest) AS (
        SELECT min((SELECT min(serial) FROM entries WHERE account_id = name AND serial > serial_kept)),
            (SELECT max(serial) FROM entries)
        FROM kept
    )
    SELECT account_id, max(entries.serial), CAST(sum(entries.posted_nanos) AS BIGINT),
        CAST(sum(entries.held_nanos) AS BIGINT), count(*), (SELECT newest - first FROM next)
    FROM entries LEFT JOIN entry_sums USING (account_id)
    WHERE entries.serial >= (SELECT first FROM next) AND entries.serial < (SELECT first FROM next) + ?1
        AND entries.serial > coalesce(entry_sums.serial, 0)
    GROUP BY account_id
"""
_ADD = """
    INSERT INTO entry_sums (account_id, serial, posted_nanos, held_nanos) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (account_id) DO UPDATE SET serial = excluded.serial,
        posted_nanos = entry_sums.posted_nanos + excluded.posted_nanos,
        held_nanos = entry_sums.held_nanos + excluded.held_nanos
"""


def _total(column: str) -> str:
    """An account's sum with what is beyond it: a look-up for each account, never a join over all entries."""
    beyond = f"SELECT sum({column}) FROM entries WHERE account_id = name AND serial > serial_kept"
    return f"{column.removesuffix('_nanos')}_kept + CAST(coalesce(({beyond}), 0) AS BIGINT)"


_OPEN = "SELECT account_id, CAST(sum(amount_nanos) AS BIGINT) FROM holds WHERE state = 'open' GROUP BY account_id"
_ACCOUNTS = f"SELECT {', '.join(ACCOUNT)} FROM accounts ORDER BY account_id"


def trial(*, every: bool = False) -> Asking[Trial]:
    """See Ledger."""
    entries = yield from all_sums() if every else sums()
    open_holds = yield _OPEN, ()
    accounts = yield _ACCOUNTS, ()
    return Trial([account_of(row) for row in accounts], entries, {row[0]: row[1] for row in open_holds})


def sums() -> Asking[dict[str, Sums]]:
    """What each account's entries add up to."""
    totals = ", ".join(_total(column) for column in ("posted_nanos", "held_nanos"))
    rows = yield f"WITH RECURSIVE {_NAMES}, {_KEPT} SELECT name, {totals} FROM kept", ()
    return {name: Sums(posted, held) for name, posted, held in rows}


def all_sums() -> Asking[dict[str, Sums]]:
    """The same, from every single entry."""
    query = (
        "SELECT account_id, CAST(sum(posted_nanos) AS BIGINT), CAST(sum(held_nanos) AS BIGINT) FROM entries "
        "GROUP BY account_id"
    )
    rows = yield query, ()
    return {name: Sums(posted, held) for name, posted, held in rows}


def keep(at_once: int = AT_ONCE) -> Asking[int]:
    """Add the next entries to their accounts' sums; returns how many, or `at_once` if there are more."""
    rows = yield _KEEP, (at_once,)
    for row in rows:
        yield (_ADD, row[:4])
    if rows and rows[0][5] >= at_once:
        return at_once
    return sum(row[4] for row in rows)
