"""What the ledger is made of. Amounts are integer nano-dollars unless a field says otherwise; times since the epoch.

Money moves in two steps, as in TigerBeetle's two-phase transfers: a hold sets money aside before it can be spent, and
is resolved exactly once. Entries are immutable and never removed: the balances are their sums.
"""

from enum import StrEnum

from msgspec import Struct


class AccountKind(StrEnum):
    """Who bears the risk."""

    PREPAID = "prepaid"
    """Spends what was paid in: holds never take it below zero."""
    POSTPAID = "postpaid"
    """Spends first and is invoiced; down to its limit, if it has one."""


class Account(Struct, frozen=True):
    """An owner of money."""

    account_id: str
    kind: AccountKind
    limit_nanos: int | None = None
    """How far holds may take a postpaid account below zero; None for no bound. Means nothing for a prepaid one."""
    posted_nanos: int = 0
    """The sum of its entries' `posted_nanos`; negative where more was spent than paid in."""
    held_nanos: int = 0
    """The sum of its open holds."""
    closed: bool = False
    """Takes no new holds; the open ones are resolved as ever."""

    @property
    def available_nanos(self) -> int:
        """What is not held of what is posted."""
        return self.posted_nanos - self.held_nanos

    def room_for(self, amount_nanos: int) -> bool:
        """Whether a hold of that amount may be placed."""
        if self.kind is AccountKind.PREPAID:
            return self.available_nanos >= amount_nanos
        return self.limit_nanos is None or self.available_nanos + self.limit_nanos >= amount_nanos


class Measure(StrEnum):
    """What a cap counts, and so what of it remains used once the hold is resolved."""

    MONEY = "money"
    """Nano-dollars: what is captured."""
    QUANTITY = "quantity"
    """Whatever the caller counts, such as tokens: the quantity that a capture names."""
    TIMES = "times"
    """One for each hold, captured or not."""
    PRESENCE = "presence"
    """One for as long as the hold is open."""


class Cap(Struct, frozen=True):
    """A bound on a counter, as a hold is placed under it. A window has its own counter, so none is ever reset."""

    cap_id: str
    """Names the counter: what it bounds, and the window, e.g. "budget:team-a:month@2026-11"."""
    measure: Measure
    limit: int
    amount: int
    """Set aside now."""
    ends_at_ns: int | None = None
    """The window's end, after which the counter may be forgotten; None where there is no window."""


class Reserved(Struct, frozen=True):
    """A hold's part of a counter."""

    cap_id: str
    measure: Measure
    amount: int


class Counter(Struct, frozen=True):
    """Where a cap stands."""

    cap_id: str
    used: int = 0
    held: int = 0
    ends_at_ns: int | None = None


class HoldState(StrEnum):
    """A hold's life; the table in `machine.py` has its transitions."""

    OPEN = "open"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"


class Hold(Struct, frozen=True):
    """Money set aside before a request is sent."""

    hold_id: str
    account_id: str
    amount_nanos: int
    placed_at_ns: int
    node: str
    """The gateway process that will resolve it."""
    sent: bool
    """Whether anything may have been sent upstream: then the sweep captures, and else it expires the hold."""
    minimum_nanos: int
    """What the sweep captures where no checkpoint says more: the price of the prompt alone."""
    about: str = ""
    """The caller's own text, for the record that the sweep writes."""
    reserved: tuple[Reserved, ...] = ()
    state: HoldState = HoldState.OPEN
    checkpoint_nanos: int | None = None
    """The charge as it stood at the last checkpoint."""
    checkpoint_quantity: int = 0
    resolved_nanos: int | None = None
    """What was captured, overrun included; None unless captured."""


class EntryKind(StrEnum):
    """Why money moved."""

    TOP_UP = "top_up"
    CORRECTION = "correction"
    PLACE = "place"
    CAPTURE = "capture"
    OVERRUN = "overrun"
    """The part of a charge above its hold."""
    VOID = "void"
    EXPIRE = "expire"


class Entry(Struct, frozen=True):
    """One immutable row: what it adds to an account's two sums."""

    entry_id: str
    """Chosen by the caller, or made of the hold's id: so a repeat is the same entry."""
    account_id: str
    kind: EntryKind
    posted_nanos: int
    held_nanos: int
    at_ns: int
    hold_id: str | None = None
    note: str = ""


class Result(StrEnum):
    """What became of a command. The first three mean that the books say what was asked for."""

    DONE = "done"
    EXISTS = "exists"
    """It had been done before, with the same amount: a repeat changes nothing."""
    UNCHANGED = "unchanged"
    """There was nothing to do: a checkpoint of a hold that has been resolved."""
    EXISTS_WITH_DIFFERENT_AMOUNT = "exists_with_different_amount"
    """That id, or that hold's resolution, is in the books already, and says something else."""
    BAD_AMOUNT = "bad_amount"
    BAD_ID = "bad_id"
    """An entry's id that only a hold's own entries may have."""
    NO_SUCH_ACCOUNT = "no_such_account"
    ACCOUNT_CLOSED = "account_closed"
    NO_SUCH_HOLD = "no_such_hold"
    OVER_CAP = "over_cap"
    INSUFFICIENT_CREDIT = "insufficient_credit"


class Outcome(Struct, frozen=True):
    """What became of a command, and where that leaves things."""

    result: Result
    account: Account | None = None
    hold: Hold | None = None
    entries: tuple[Entry, ...] = ()
    """What was written; empty for a repeat or a refusal."""
    cap: Cap | None = None
    """The cap that refused."""
    counters: tuple[Counter, ...] = ()
    """Where a placed hold's caps stand, in the order in which they were given; the refusing one's alone if refused."""

    @property
    def stands(self) -> bool:
        """True if the books say what was asked for."""
        return self.result in _STANDS


_STANDS = frozenset({Result.DONE, Result.EXISTS, Result.UNCHANGED})
