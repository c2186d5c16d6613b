"""The ledger's values as rows, and back: the same columns in every database."""

import json
from collections.abc import Sequence
from typing import Any

from headgate.ledger.entries import (
    Account,
    AccountKind,
    Counter,
    Entry,
    EntryKind,
    Hold,
    HoldState,
    Measure,
    Reserved,
)

ACCOUNT = ("account_id", "kind", "limit_nanos", "posted_nanos", "held_nanos", "closed")
HOLD = (
    "hold_id", "account_id", "amount_nanos", "placed_at_ns", "node", "sent", "minimum_nanos", "about", "reserved",
    "state", "checkpoint_nanos", "checkpoint_quantity", "resolved_nanos",
)  # fmt: skip
ENTRY = ("entry_id", "account_id", "kind", "posted_nanos", "held_nanos", "at_ns", "hold_id", "note")
COUNTER = ("cap_id", "used", "held", "ends_at_ns")

_json_text = json.JSONEncoder(separators=(",", ":")).encode


def account_of(row: Sequence[Any]) -> Account:
    """The account of a row."""
    name, kind, limit, posted, held, closed = row
    return Account(name, AccountKind(kind), limit, posted, held, bool(closed))


def account_row(account: Account) -> tuple[Any, ...]:
    """The account in the order of ACCOUNT."""
    return (
        account.account_id, account.kind, account.limit_nanos, account.posted_nanos, account.held_nanos, account.closed,
    )  # fmt: skip


def hold_of(row: Sequence[Any]) -> Hold:
    """The hold of a row."""
    column: dict[str, Any] = dict(zip(HOLD, row, strict=True))
    parts = json.loads(column["reserved"]) if column["reserved"] else ()
    changed = {
        "sent": bool(column["sent"]),
        "reserved": tuple(Reserved(cap_id, Measure(measure), amount) for cap_id, measure, amount in parts),
        "state": HoldState(column["state"]),
    }
    return Hold(**column | changed)


def hold_row(hold: Hold) -> tuple[Any, ...]:
    """The hold in the order of HOLD."""
    parts = [(part.cap_id, part.measure, part.amount) for part in hold.reserved]
    return (
        hold.hold_id, hold.account_id, hold.amount_nanos, hold.placed_at_ns, hold.node, hold.sent, hold.minimum_nanos,
        hold.about, _json_text(parts) if parts else None, hold.state, hold.checkpoint_nanos, hold.checkpoint_quantity,
        hold.resolved_nanos,
    )  # fmt: skip


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry of a row."""
    entry_id, account_id, kind, posted, held, at_ns, hold_id, note = row
    return Entry(entry_id, account_id, EntryKind(kind), posted, held, at_ns, hold_id, note)


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """The entry in the order of ENTRY."""
    return (
        entry.entry_id, entry.account_id, entry.kind, entry.posted_nanos, entry.held_nanos, entry.at_ns, entry.hold_id,
        entry.note,
    )  # fmt: skip


def counter_of(row: Sequence[Any]) -> Counter:
    """The counter of a row."""
    return Counter(*row)


def counter_row(counter: Counter) -> tuple[Any, ...]:
    """The counter in the order of COUNTER."""
    return counter.cap_id, counter.used, counter.held, counter.ends_at_ns
