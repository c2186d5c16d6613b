"""What can be asked of the ledger. Each command names every account it touches, so that a store can lock them first.

Ids are the caller's: a command that is sent twice, because nobody knows whether it arrived, is done once.
"""

from msgspec import Struct

from headgate.ledger.entries import AccountKind, Cap, EntryKind


class OpenAccount(Struct, frozen=True):
    """Open an account, or change an open one's kind and limit; reopens a closed one."""

    account_id: str
    kind: AccountKind
    at_ns: int
    limit_nanos: int | None = None


class CloseAccount(Struct, frozen=True):
    """Let an account place no more holds."""

    account_id: str
    at_ns: int


class Post(Struct, frozen=True):
    """Pay in, or correct. A top-up is positive; a correction is either, and never zero."""

    entry_id: str
    account_id: str
    kind: EntryKind
    """TOP_UP or CORRECTION."""
    amount_nanos: int
    at_ns: int
    note: str = ""


class Place(Struct, frozen=True):
    """Set money aside, under all of the caps or not at all."""

    hold_id: str
    account_id: str
    amount_nanos: int
    at_ns: int
    node: str
    sent: bool = False
    minimum_nanos: int = 0
    about: str = ""
    caps: tuple[Cap, ...] = ()


class Capture(Struct, frozen=True):
    """Charge. What goes beyond the hold is an overrun, an entry of its own."""

    hold_id: str
    account_id: str
    amount_nanos: int
    at_ns: int
    quantity: int = 0
    """For the caps that measure a quantity."""
    note: str = ""


class Void(Struct, frozen=True):
    """Give the hold back: nothing is owed."""

    hold_id: str
    account_id: str
    at_ns: int
    note: str = ""


class Expire(Struct, frozen=True):
    """Give back the hold of a gateway that died before it sent anything. The sweep's void."""

    hold_id: str
    account_id: str
    at_ns: int
    note: str = ""


class Checkpoint(Struct, frozen=True):
    """Note how far an open hold's exchange has come. No entry: no money moves."""

    hold_id: str
    account_id: str
    amount_nanos: int | None = None
    """The charge so far; None where only `sent` is to be noted."""
    quantity: int = 0


Resolution = Capture | Void | Expire
Command = OpenAccount | CloseAccount | Post | Place | Capture | Void | Expire | Checkpoint
