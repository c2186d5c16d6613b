"""The ledger in SQLite: what commands touch, as Books, and what is asked about it.

A hold that was resolved stays: its row tells a repeat from a new one. Were there ever too many, those whose exchanges
are older than any client's patience could go, by `placed_at_ns` and state; the entries, which are the books, stay.
"""

import json
import sqlite3
from collections.abc import Container, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import chain
from typing import TypeVar

from headgate.ledger.commands import Command, Place
from headgate.ledger.entries import Account, Counter, Entry, Hold, Outcome
from headgate.ledger.machine import Books, entry_ids, touched
from headgate.stores.known_sqlite import Known
from headgate.stores.ledger_rows import (
    ACCOUNT,
    COUNTER,
    ENTRY,
    HOLD,
    account_of,
    account_row,
    counter_of,
    counter_row,
    entry_of,
    entry_row,
    hold_of,
    hold_row,
)
from headgate.stores.statements import together

T = TypeVar("T")
_ACCOUNT = f"SELECT {', '.join(ACCOUNT)} FROM accounts"  # noqa: S608 - ours
_HOLD = f"SELECT {', '.join(HOLD)} FROM holds"  # noqa: S608 - ours
_ENTRY = f"SELECT {', '.join(ENTRY)} FROM entries"  # noqa: S608 - ours
_COUNTER = f"SELECT {', '.join(COUNTER)} FROM counters"  # noqa: S608 - ours
_AMONG = "IN (SELECT value FROM json_each(?))"

_KEEP_ACCOUNT = """ON CONFLICT (account_id) DO UPDATE SET
    kind = excluded.kind, limit_nanos = excluded.limit_nanos, posted_nanos = excluded.posted_nanos,
    held_nanos = excluded.held_nanos, closed = excluded.closed"""
_KEEP_HOLD = """ON CONFLICT (hold_id) DO UPDATE SET
    sent = excluded.sent, state = excluded.state, checkpoint_nanos = excluded.checkpoint_nanos,
    checkpoint_quantity = excluded.checkpoint_quantity, resolved_nanos = excluded.resolved_nanos"""
_KEEP_COUNTER = "ON CONFLICT (cap_id) DO UPDATE SET used = excluded.used, held = excluded.held"
_NOW_MS = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

_json_text = json.JSONEncoder(separators=(",", ":")).encode


def apply(db: sqlite3.Connection, commands: Sequence[Command], known: Known | None = None) -> list[Outcome]:
    """Apply commands, one after the other, inside the transaction that is open.

    With what is known of the rows only the others are read, and a hold that is to be placed is taken for a new one as
    long as nothing is refused: raises sqlite3.IntegrityError if it is none, as after a commit whose success could not
    be seen.
    """
    placing = {command.hold_id for command in commands if isinstance(command, Place)} if known is not None else ()
    books, there = _books(db, commands, known or Known(), placing)
    outcomes = [books.apply(command) for command in commands]
    if placing and not all(outcome.stands for outcome in outcomes):  # it may be because such a hold is there already
        books, there = _books(db, commands, known or Known(), ())
        outcomes = [books.apply(command) for command in commands]
    new = sorted(books.changed_holds - there)
    changed = sorted(books.changed_holds & there)
    _keep(db, "accounts", ACCOUNT, [account_row(books.accounts[n]) for n in books.changed_accounts], _KEEP_ACCOUNT)
    _keep(db, "holds", HOLD, [hold_row(books.holds[name]) for name in new])
    _keep(db, "holds", HOLD, [hold_row(books.holds[name]) for name in changed], _KEEP_HOLD)
    _keep(db, "counters", COUNTER, [counter_row(books.counters[n]) for n in books.changed_counters], _KEEP_COUNTER)
    _keep(db, "entries", ENTRY, [entry_row(entry) for entry in books.new_entries])
    if known is not None:
        known.take(books)
    return outcomes


def _keep(
    db: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[object]], conflict: str = ""
) -> None:
    for part in together(rows):
        db.execute(_insert(table, columns, len(part), conflict), [*chain.from_iterable(part)])


@cache
def _insert(table: str, columns: tuple[str, ...], rows: int, conflict: str) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)} {conflict}"  # noqa: S608 - ours


def _books(
    db: sqlite3.Connection, commands: Sequence[Command], known: Known, new: Container[str]
) -> tuple[Books, AbstractSet[str]]:
    """What the commands touch but for new holds, and the holds of it that are in the table."""
    ids = touched(commands)
    accounts, missing = _found(known.accounts, ids.accounts)
    accounts += map(account_of, _among(db, f"{_ACCOUNT} WHERE account_id {_AMONG}", missing))
    holds, missing = _found(known.holds, ids.holds)
    unread = [name for name in missing if name not in new]
    holds += map(hold_of, _among(db, f"{_HOLD} WHERE hold_id {_AMONG}", unread))
    caps = {*ids.caps, *(part.cap_id for hold in holds for part in hold.reserved)}
    counters, missing = _found(known.counters, sorted(caps))
    counters += map(counter_of, _among(db, f"{_COUNTER} WHERE cap_id {_AMONG}", missing))
    entries = _among(db, f"{_ENTRY} WHERE entry_id {_AMONG}", ids.entries)
    return Books(accounts, holds, counters, map(entry_of, entries)), {hold.hold_id for hold in holds}


def _found(known: Mapping[str, T], ids: Iterable[str]) -> tuple[list[T], list[str]]:
    """Those of the ids that are known, and the ids of the others."""
    found: list[T] = []
    missing: list[str] = []
    for name in ids:
        value = known.get(name)
        if value is None:
            missing.append(name)
        else:
            found.append(value)
    return found, missing


def _among(db: sqlite3.Connection, query: str, ids: Sequence[str]) -> Iterable[tuple[object, ...]]:
    return db.execute(query, (_json_text(ids),)) if ids else ()


def account(db: sqlite3.Connection, account_id: str) -> Account | None:
    """See Ledger."""
    return next(map(account_of, db.execute(f"{_ACCOUNT} WHERE account_id = ?", (account_id,))), None)


def accounts(db: sqlite3.Connection) -> list[Account]:
    """See Ledger."""
    return [account_of(row) for row in db.execute(f"{_ACCOUNT} ORDER BY account_id")]


def hold(db: sqlite3.Connection, hold_id: str) -> Hold | None:
    """See Ledger."""
    return next(map(hold_of, db.execute(f"{_HOLD} WHERE hold_id = ?", (hold_id,))), None)


def open_holds(db: sqlite3.Connection) -> list[Hold]:
    """See Ledger."""
    return [hold_of(row) for row in db.execute(f"{_HOLD} WHERE state = 'open' ORDER BY placed_at_ns, hold_id")]


def count_open_holds(db: sqlite3.Connection) -> int:
    """See Ledger."""
    ((number,),) = db.execute("SELECT count(*) FROM holds WHERE state = 'open'")
    return int(number)


def entries(
    db: sqlite3.Connection, account_id: str | None, hold_id: str | None, limit: int, before: int | None
) -> list[tuple[int, Entry]]:
    """See Ledger."""
    own = None if hold_id is None else _json_text(entry_ids(hold_id))
    asked = {"account_id = ?": account_id, f"entry_id {_AMONG}": own, "serial < ?": before}
    given = {condition: value for condition, value in asked.items() if value is not None}
    where = " WHERE " + " AND ".join(given) if given else ""
    query = f"SELECT serial, {', '.join(ENTRY)} FROM entries{where} ORDER BY serial DESC LIMIT ?"  # noqa: S608 - ours
    found = db.execute(query, (*given.values(), limit))
    return [(serial, entry_of(row)) for serial, *row in found]


def counters(db: sqlite3.Connection, cap_ids: Sequence[str]) -> list[Counter]:
    """See Ledger."""
    return [counter_of(row) for row in _among(db, f"{_COUNTER} WHERE cap_id {_AMONG} ORDER BY cap_id", cap_ids)]


def beat(db: sqlite3.Connection, node: str, lease_ns: int) -> None:
    """See Ledger."""
    keep = "ON CONFLICT (node) DO UPDATE SET alive_until_ms = excluded.alive_until_ms"
    milliseconds = lease_ns // 1_000_000
    db.execute(f"INSERT INTO nodes VALUES (?, {_NOW_MS} + ?) {keep}", (node, milliseconds))  # noqa: S608 - ours


def leave(db: sqlite3.Connection, node: str) -> None:
    """See Ledger."""
    db.execute("DELETE FROM nodes WHERE node = ?", (node,))


def orphans(db: sqlite3.Connection, limit: int) -> list[Hold]:
    """See Ledger."""
    living = f"SELECT node FROM nodes WHERE alive_until_ms > {_NOW_MS}"  # noqa: S608 - ours
    where = f"WHERE state = 'open' AND node NOT IN ({living}) ORDER BY placed_at_ns, hold_id LIMIT ?"
    return [hold_of(row) for row in db.execute(f"{_HOLD} {where}", (limit,))]


def forget_counters(db: sqlite3.Connection, ended_before_ns: int) -> int:
    """See Ledger."""
    return db.execute("DELETE FROM counters WHERE ends_at_ns < ? AND held = 0", (ended_before_ns,)).rowcount
