"""The ledger's transaction in PostgreSQL: lock what commands touch, let Books apply them, write what changed.

Every process locks the same things in the same order: accounts by id, then holds, then counters. So no two can wait for
each other, and a hold that is resolved by two of them is resolved once: the second finds it resolved.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.ledger.commands import Command, Place
from headgate.ledger.entries import Outcome
from headgate.ledger.machine import Books, touched
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
from headgate.stores.postgres_link import Conflict, Connection

# ruff: noqa: S608 - the names are our own; values are always parameters


def select(columns: Sequence[str], table: str, rest: str) -> str:
    """A question for some columns of a table."""
    return f"SELECT {', '.join(columns)} FROM {table} {rest}"


def _lock(columns: Sequence[str], table: str) -> str:
    return select(columns, table, f"WHERE {columns[0]} = ANY($1::text[]) ORDER BY {columns[0]} FOR UPDATE")


_ACCOUNTS, _HOLDS, _COUNTERS = _lock(ACCOUNT, "accounts"), _lock(HOLD, "holds"), _lock(COUNTER, "counters")
_ENTRIES = select(ENTRY, "entries", "WHERE entry_id = ANY($1::text[])")
_MAKE_COUNTERS = """
INSERT INTO counters (cap_id, ends_at_ns) SELECT * FROM unnest($1::text[], $2::bigint[]) AS new (cap_id, ends_at_ns)
ORDER BY cap_id ON CONFLICT DO NOTHING
"""
_NOT_TEXT = {"sent": "boolean", "closed": "boolean"} | dict.fromkeys(
    (
        "limit_nanos", "posted_nanos", "held_nanos", "amount_nanos", "placed_at_ns", "minimum_nanos",
        "checkpoint_nanos", "checkpoint_quantity", "resolved_nanos", "at_ns", "used", "held", "ends_at_ns",
    ),
    "bigint",
)  # fmt: skip
_KNOWN_COUNTERS = 50_000
"""How many counters' names are remembered: those of the present minute, mostly."""


@dataclass(frozen=True, slots=True)
class _Write:
    """Some rows for a table: new ones, or where columns are named, new values for these."""

    table: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    set: Sequence[str] = ()

    def statement(self, first: int) -> str:
        """The SQL, its parameters counted from `first`: one array for each column."""
        arrays = (f"${first + n}::{_NOT_TEXT.get(name, 'text')}[]" for n, name in enumerate(self.columns))
        names = ", ".join(self.columns)
        source = f"unnest({', '.join(arrays)}) AS new ({names})"
        if not self.set:
            return f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {source}"
        values = ", ".join(f"{name} = new.{name}" for name in self.set)
        key = self.columns[0]
        return f"UPDATE {self.table} SET {values} FROM {source} WHERE {self.table}.{key} = new.{key}"


class Transactions:
    """Applies commands. Remembers which counters there are, so as not to make them again for every request."""

    def __init__(self) -> None:
        self._made: set[str] = set()

    async def make_counters(self, db: Connection, commands: Iterable[Command]) -> None:
        """Make the counters of new windows, before the transaction that locks them."""
        caps = (cap for command in commands if isinstance(command, Place) for cap in command.caps)
        missing = {cap.cap_id: cap.ends_at_ns for cap in caps if cap.cap_id not in self._made}
        if missing:
            await db.execute(_MAKE_COUNTERS, list(missing), list(missing.values()))
            if len(self._made) > _KNOWN_COUNTERS:
                self._made.clear()
            self._made.update(missing)

    async def apply(self, db: Connection, commands: Sequence[Command]) -> list[Outcome]:
        """Apply commands, one after the other, inside the transaction that is open.

        Raises Conflict if a counter has been forgotten since it was made.
        """
        books = await self._load(db, commands)
        known_accounts, known_holds = set(books.accounts), set(books.holds)
        outcomes = [books.apply(command) for command in commands]
        await _write(db, _changes(books, known_accounts, known_holds))
        return outcomes

    async def _load(self, db: Connection, commands: Sequence[Command]) -> Books:
        ids = touched(commands)
        accounts = await _among(db, _ACCOUNTS, ids.accounts)
        holds = [hold_of(row) for row in await _among(db, _HOLDS, ids.holds)]
        caps = {*ids.caps, *(part.cap_id for hold in holds for part in hold.reserved)}
        counters = await _among(db, _COUNTERS, caps)
        forgotten = set(ids.caps).difference(row[0] for row in counters)
        if forgotten:
            self._made -= forgotten
            raise Conflict("A counter was forgotten meanwhile.")
        entries = await _among(db, _ENTRIES, ids.entries)
        used = (counter_of(row) for row in counters if row[1] is not None)
        return Books(map(account_of, accounts), holds, used, map(entry_of, entries))


async def _among(db: Connection, query: str, ids: Iterable[str]) -> list[Sequence[Any]]:
    wanted = list(ids)
    return list(await db.fetch(query, wanted)) if wanted else []


def _changes(books: Books, known_accounts: set[str], known_holds: set[str]) -> list[_Write]:
    accounts, holds = books.changed_accounts, books.changed_holds
    return [
        write
        for write in (
            _Write("accounts", ACCOUNT, _rows(account_row, books.accounts, accounts - known_accounts)),
            _Write("accounts", ACCOUNT, _rows(account_row, books.accounts, accounts & known_accounts), ACCOUNT[1:]),
            _Write("holds", HOLD, _rows(hold_row, books.holds, holds - known_holds)),
            _Write("holds", HOLD, _rows(hold_row, books.holds, holds & known_holds), _CHANGING),
            _Write("counters", COUNTER, _rows(counter_row, books.counters, books.changed_counters), COUNTER[1:]),
            _Write("entries", ENTRY, [entry_row(entry) for entry in books.new_entries]),
        )
        if write.rows
    ]


_CHANGING = ("sent", "state", "checkpoint_nanos", "checkpoint_quantity", "resolved_nanos")
"""What changes of a hold."""


def _rows(row: Callable[[Any], Sequence[Any]], kept: Mapping[str, Any], ids: set[str]) -> list[Sequence[Any]]:
    return [row(kept[name]) for name in sorted(ids)]


async def _write(db: Connection, writes: Sequence[_Write]) -> None:
    """All of it in one statement: a commit is waited for by many, and every statement is a way there and back."""
    parts: list[str] = []
    values: list[list[Any]] = []
    for number, write in enumerate(writes):
        parts.append(f"w{number} AS ({write.statement(len(values) + 1)})")
        values.extend(list(column) for column in zip(*write.rows, strict=True))
    if parts:
        await db.execute(f"WITH {', '.join(parts)} SELECT", *values)
