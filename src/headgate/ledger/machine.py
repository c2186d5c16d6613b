"""The rules of the ledger, without any store: Books applies commands, one after the other.

Two rules: a hold is resolved once, and a refused command changes nothing. The table says which verb leads where; every
command is a straight column of refusals in order of precedence, and then the change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from msgspec.structs import replace

from headgate.ledger.commands import (
    Capture,
    Checkpoint,
    CloseAccount,
    Command,
    Expire,
    OpenAccount,
    Place,
    Post,
    Resolution,
    Void,
)
from headgate.ledger.entries import (
    Account,
    AccountKind,
    Cap,
    Counter,
    Entry,
    EntryKind,
    Hold,
    HoldState,
    Measure,
    Outcome,
    Reserved,
    Result,
)

TRANSITIONS: Mapping[tuple[HoldState, type[Resolution]], HoldState] = MappingProxyType(
    {
        (HoldState.OPEN, Capture): HoldState.CAPTURED,
        (HoldState.OPEN, Void): HoldState.VOIDED,
        (HoldState.OPEN, Expire): HoldState.EXPIRED,
    }
)
"""Where a verb leads. A pair that is not here changes nothing: the hold has been resolved already."""

SAME: Mapping[type[Resolution], HoldState] = MappingProxyType({
    verb: state for (_, verb), state in TRANSITIONS.items()
})  # fmt: skip
"""The state that a repeat of the verb finds."""

_ENTRY: Mapping[type[Resolution], EntryKind] = MappingProxyType({
    Capture: EntryKind.CAPTURE, Void: EntryKind.VOID, Expire: EntryKind.EXPIRE,
})  # fmt: skip

LARGEST_NANOS = 2**62
"""Amounts, balances and counters stay in a 64-bit column with room to spare: four thousand million dollars."""

_PLACE, _RESOLVE, _OVERRUN = ":place", ":resolve", ":overrun"
"""What a hold's entries are called, after its id. Nobody may post under such a name, or the hold's own had no place."""


def entry_ids(hold_id: str) -> tuple[str, str, str]:
    """The ids that a hold's entries have, those that there are."""
    return hold_id + _PLACE, hold_id + _RESOLVE, hold_id + _OVERRUN


@dataclass(frozen=True, slots=True)
class Touched:
    """What a store has to load before some commands can be applied: ids, each in order."""

    accounts: tuple[str, ...]
    holds: tuple[str, ...]
    entries: tuple[str, ...]
    caps: tuple[str, ...]
    """Of the holds to be placed; those of holds to be resolved stand in the holds."""


def touched(commands: Iterable[Command]) -> Touched:
    """What these commands look at. Sorted, so that every writer locks in the same order."""
    accounts: set[str] = set()
    holds: set[str] = set()
    entries: set[str] = set()
    caps: set[str] = set()
    for command in commands:
        accounts.add(command.account_id)
        match command:
            case Place():
                holds.add(command.hold_id)
                caps.update(cap.cap_id for cap in command.caps)
            case Capture() | Void() | Expire() | Checkpoint():
                holds.add(command.hold_id)
            case Post():
                entries.add(command.entry_id)
    return Touched(*(tuple(sorted(ids)) for ids in (accounts, holds, entries, caps)))


class Books:
    """The part of the ledger that some commands touch. Apply them; then write what changed, all of it or nothing."""

    def __init__(
        self,
        accounts: Iterable[Account] = (),
        holds: Iterable[Hold] = (),
        counters: Iterable[Counter] = (),
        entries: Iterable[Entry] = (),
    ) -> None:
        self.accounts = {account.account_id: account for account in accounts}
        self.holds = {hold.hold_id: hold for hold in holds}
        self.counters = {counter.cap_id: counter for counter in counters}
        self.known_entries = {entry.entry_id: entry for entry in entries}
        self.new_entries: list[Entry] = []
        self.changed_accounts: set[str] = set()
        self.changed_holds: set[str] = set()
        self.changed_counters: set[str] = set()

    def apply(self, command: Command) -> Outcome:
        """Do what a command asks, or refuse it and change nothing."""
        match command:
            case Place():
                return self._place(command)
            case Capture() | Void() | Expire():
                return self._resolve(command)
            case Checkpoint():
                return self._checkpoint(command)
            case Post():
                return self._post(command)
            case OpenAccount():
                return self._open(command)
            case CloseAccount():
                return self._close(command)

    def _open(self, command: OpenAccount) -> Outcome:
        known = self.accounts.get(command.account_id) or Account(command.account_id, command.kind)
        if command.limit_nanos is not None and not 0 <= command.limit_nanos <= LARGEST_NANOS:
            return Outcome(Result.BAD_AMOUNT, known)
        limit = command.limit_nanos if command.kind is AccountKind.POSTPAID else None
        account = replace(known, kind=command.kind, limit_nanos=limit, closed=False)
        if self.accounts.get(command.account_id) == account:
            return Outcome(Result.EXISTS, account)
        return Outcome(Result.DONE, self._keep_account(account))

    def _close(self, command: CloseAccount) -> Outcome:
        account = self.accounts.get(command.account_id)
        if account is None:
            return Outcome(Result.NO_SUCH_ACCOUNT)
        if account.closed:
            return Outcome(Result.EXISTS, account)
        return Outcome(Result.DONE, self._keep_account(replace(account, closed=True)))

    def _post(self, command: Post) -> Outcome:
        account = self.accounts.get(command.account_id)
        known = self.known_entries.get(command.entry_id)
        if command.entry_id.endswith((_PLACE, _RESOLVE, _OVERRUN)):
            return Outcome(Result.BAD_ID, account)
        if known is not None:
            same = (known.account_id, known.kind, known.posted_nanos) == (
                command.account_id, command.kind, command.amount_nanos,
            )  # fmt: skip
            return Outcome(Result.EXISTS if same else Result.EXISTS_WITH_DIFFERENT_AMOUNT, account)
        if account is None:
            return Outcome(Result.NO_SUCH_ACCOUNT)
        if not _may_post(command, account):
            return Outcome(Result.BAD_AMOUNT, account)
        entry = Entry(
            command.entry_id, command.account_id, command.kind, command.amount_nanos, 0, command.at_ns,
            note=command.note,
        )  # fmt: skip
        return Outcome(Result.DONE, self._enter(account, entry), entries=(entry,))

    def _place(self, command: Place) -> Outcome:
        account, known = self.accounts.get(command.account_id), self.holds.get(command.hold_id)
        if known is not None:
            same = (known.account_id, known.amount_nanos) == (command.account_id, command.amount_nanos)
            counters = tuple(self._counter(cap) for cap in command.caps)
            result = Result.EXISTS if same else Result.EXISTS_WITH_DIFFERENT_AMOUNT
            return Outcome(result, account, known, counters=counters)
        if account is None:
            return Outcome(Result.NO_SUCH_ACCOUNT)
        return self._refusal(account, command) or self._placed(account, command)

    def _refusal(self, account: Account, command: Place) -> Outcome | None:
        if account.closed:
            return Outcome(Result.ACCOUNT_CLOSED, account)
        if not 0 <= command.amount_nanos <= LARGEST_NANOS - account.held_nanos:
            return Outcome(Result.BAD_AMOUNT, account)
        if any(cap.amount < 0 for cap in command.caps):
            return Outcome(Result.BAD_AMOUNT, account)
        for cap in command.caps:
            counter = self._counter(cap)
            if counter.used + counter.held + cap.amount > cap.limit:
                return Outcome(Result.OVER_CAP, account, cap=cap, counters=(counter,))
        return None if account.room_for(command.amount_nanos) else Outcome(Result.INSUFFICIENT_CREDIT, account)

    def _placed(self, account: Account, command: Place) -> Outcome:
        counters: list[Counter] = []
        for cap in command.caps:
            counter = self._counter(cap)
            counters.append(self._keep_counter(replace(counter, held=counter.held + cap.amount)))
        hold = Hold(
            hold_id=command.hold_id,
            account_id=command.account_id,
            amount_nanos=command.amount_nanos,
            placed_at_ns=command.at_ns,
            node=command.node,
            sent=command.sent,
            minimum_nanos=command.minimum_nanos,
            about=command.about,
            reserved=tuple(Reserved(cap.cap_id, cap.measure, cap.amount) for cap in command.caps),
        )
        entry = Entry(
            f"{hold.hold_id}{_PLACE}", account.account_id, EntryKind.PLACE, 0, hold.amount_nanos, command.at_ns,
            hold_id=hold.hold_id,
        )  # fmt: skip
        account = self._enter(account, entry)
        return Outcome(Result.DONE, account, self._keep_hold(hold), (entry,), counters=tuple(counters))

    def _resolve(self, command: Resolution) -> Outcome:
        account, hold = self.accounts.get(command.account_id), self.holds.get(command.hold_id)
        amount = command.amount_nanos if isinstance(command, Capture) else None
        if account is None:
            return Outcome(Result.NO_SUCH_ACCOUNT)
        if hold is None or hold.account_id != command.account_id:
            return Outcome(Result.NO_SUCH_HOLD, account)
        state = TRANSITIONS.get((hold.state, type(command)))
        if state is None:
            same = hold.state is SAME[type(command)] and hold.resolved_nanos == amount
            return Outcome(Result.EXISTS if same else Result.EXISTS_WITH_DIFFERENT_AMOUNT, account, hold)
        if amount is not None and not 0 <= amount <= min(LARGEST_NANOS, LARGEST_NANOS + account.posted_nanos):
            return Outcome(Result.BAD_AMOUNT, account, hold)
        entries = _resolving_entries(hold, command, amount)
        for entry in entries:
            account = self._enter(account, entry)
        quantity = command.quantity if isinstance(command, Capture) else 0
        for part in hold.reserved:
            self._give_back(part, amount or 0, quantity)
        hold = self._keep_hold(replace(hold, state=state, resolved_nanos=amount))
        return Outcome(Result.DONE, account, hold, entries)

    def _give_back(self, part: Reserved, amount: int, quantity: int) -> None:
        """Turn what a hold had set aside of a counter into what it used."""
        counter = self.counters.get(part.cap_id)
        if counter is None:  # its window is over, and it has been forgotten
            return
        used = {
            Measure.MONEY: amount,
            Measure.QUANTITY: max(quantity, 0),
            Measure.TIMES: part.amount,
            Measure.PRESENCE: 0,
        }[part.measure]
        used = min(counter.used + used, LARGEST_NANOS)
        self._keep_counter(replace(counter, used=used, held=counter.held - part.amount))

    def _checkpoint(self, command: Checkpoint) -> Outcome:
        account, hold = self.accounts.get(command.account_id), self.holds.get(command.hold_id)
        if hold is None or hold.account_id != command.account_id:
            return Outcome(Result.NO_SUCH_HOLD, account)
        if hold.state is not HoldState.OPEN:
            return Outcome(Result.UNCHANGED, account, hold)
        hold = replace(hold, sent=True)
        if command.amount_nanos is not None:
            hold = replace(hold, checkpoint_nanos=command.amount_nanos, checkpoint_quantity=command.quantity)
        return Outcome(Result.DONE, account, self._keep_hold(hold))

    def _counter(self, cap: Cap) -> Counter:
        return self.counters.get(cap.cap_id) or Counter(cap.cap_id, ends_at_ns=cap.ends_at_ns)

    def _enter(self, account: Account, entry: Entry) -> Account:
        self.new_entries.append(entry)
        self.known_entries[entry.entry_id] = entry
        posted, held = account.posted_nanos + entry.posted_nanos, account.held_nanos + entry.held_nanos
        return self._keep_account(replace(account, posted_nanos=posted, held_nanos=held))

    def _keep_account(self, account: Account) -> Account:
        self.accounts[account.account_id] = account
        self.changed_accounts.add(account.account_id)
        return account

    def _keep_hold(self, hold: Hold) -> Hold:
        self.holds[hold.hold_id] = hold
        self.changed_holds.add(hold.hold_id)
        return hold

    def _keep_counter(self, counter: Counter) -> Counter:
        self.counters[counter.cap_id] = counter
        self.changed_counters.add(counter.cap_id)
        return counter


def _may_post(command: Post, account: Account) -> bool:
    if command.kind not in {EntryKind.TOP_UP, EntryKind.CORRECTION} or command.amount_nanos == 0:
        return False
    if command.kind is EntryKind.TOP_UP and command.amount_nanos < 0:
        return False
    return abs(account.posted_nanos + command.amount_nanos) <= LARGEST_NANOS >= abs(command.amount_nanos)


def _resolving_entries(hold: Hold, command: Resolution, amount: int | None) -> tuple[Entry, ...]:
    """The one entry that resolves a hold, and the overrun if the charge is above it."""
    within = min(amount or 0, hold.amount_nanos)
    resolving = Entry(
        f"{hold.hold_id}{_RESOLVE}", hold.account_id, _ENTRY[type(command)], -within, -hold.amount_nanos, command.at_ns,
        hold_id=hold.hold_id, note=command.note,
    )  # fmt: skip
    beyond = (amount or 0) - within
    if not beyond:
        return (resolving,)
    overrun = Entry(
        f"{hold.hold_id}{_OVERRUN}", hold.account_id, EntryKind.OVERRUN, -beyond, 0, command.at_ns,
        hold_id=hold.hold_id, note=command.note,
    )  # fmt: skip
    return (resolving, overrun)
