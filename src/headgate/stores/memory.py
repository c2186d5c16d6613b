"""Everything in memory: for tests, and for mounting headgate in an application that keeps no file."""

import threading
import time
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from headgate.access.budgets import Budget
from headgate.access.virtual import VirtualKey
from headgate.ledger.commands import Checkpoint, Command, Resolution
from headgate.ledger.entries import Account, Counter, Entry, Hold, HoldState, Outcome
from headgate.ledger.machine import Books
from headgate.ledger.store import LedgerUnavailable, Sums, Trial
from headgate.records import Record, Trail, Wanted, disputed
from headgate.stores.audit_memory import MemoryAudit
from headgate.stores.memory_sums import Sums as RecordSums
from headgate.stores.rolling import PRUNED_AT_ONCE
from headgate.stores.searching import Found
from headgate.stores.series import Series, SeriesOf
from headgate.stores.storable import require_storable, storable
from headgate.stores.summary import GroupBy, UsageRow

KEPT = 100_000
"""How many records are kept before the oldest are forgotten: some 200 MB."""


class MemoryRecords:
    """A RecordLog that forgets when the process ends. Thread-safe."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._numbers: dict[str, int] = {}
        self._written = 0
        self._by_response: dict[str, list[Record]] = {}
        self._sums = RecordSums()

    def append(self, record: Record) -> None:
        """Keep a record; one whose exchange id is there already is passed over."""
        with self._lock:
            if record.exchange_id in self._records:
                return
            self._records[record.exchange_id] = record
            self._written += 1
            self._numbers[record.exchange_id] = self._written
            if record.reading.response_id is not None:
                self._by_response.setdefault(record.reading.response_id, []).append(record)
            if len(self._records) > self._kept:
                self._forget(next(iter(self._records)))

    @property
    def accepting(self) -> bool:
        """Always."""
        return True

    @property
    def backlog(self) -> int:
        """Nothing ever waits."""
        return 0

    async def trail(self, response_id: str) -> Trail | None:
        """The provider of the newest exchange of that response id, and whether any of them was counted."""
        with self._lock:
            own = _newest_first(self._by_response.get(response_id, ()))
        counted = any(record.counted for record in own)
        return next((Trail(record.provider, counted) for record in own if record.provider is not None), None)

    async def find(self, exchange_id: str) -> Record | None:
        """The record of an exchange."""
        with self._lock:
            return self._records.get(exchange_id)

    @property
    def kept(self) -> list[Record]:
        """All that is kept, newest first; for whoever cannot wait."""
        return _newest_first(self._since(None))

    async def records(self, since_ns: int | None = None, limit: int = 100) -> list[Record]:
        """The newest records, newest first; `since_ns`, since the Unix epoch, leaves out what began before it."""
        return _newest_first(self._since(since_ns))[:limit]

    async def search(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> list[Record]:
        """At most `limit` records in descending order of (started_at_ns, exchange_id), below `before`."""
        found = {(r.started_at_ns, r.exchange_id): r for r in self._since(wanted.since_ns) if wanted.fits(r)}
        return [found[place] for place in sorted(found, reverse=True) if before is None or place < before][:limit]

    async def page(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> Found:
        """The same; and that there is nothing beyond them."""
        return Found(await self.search(wanted, limit, before))

    async def arrived(self, after: int, limit: int, missing: Sequence[int] = ()) -> list[tuple[int, Record]]:
        """At most `limit` records written after a number, each with its number, and those of missed numbers."""
        with self._lock:
            numbered = [(number, self._records[name]) for name, number in self._numbers.items()]
        fresh = [one for one in numbered if one[0] > after][:limit]
        return [one for one in numbered if one[0] <= after and one[0] in missing] + fresh

    async def last_arrivals(self, limit: int) -> list[int]:
        """The numbers of the records that were written last."""
        with self._lock:
            return sorted(self._numbers.values(), reverse=True)[:limit]

    async def older_than(self, before_ns: int) -> tuple[int, int | None]:
        """How many records began before then, and when the first of them did; nanoseconds since the epoch."""
        starts = [record.started_at_ns for record in self._since(None) if record.started_at_ns < before_ns]
        return len(starts), min(starts, default=None)

    async def usage(self, since_ns: int | None, by: GroupBy, until_ns: int | None = None) -> list[UsageRow]:
        """The sums over the records that began in a span, one row for each group."""
        return self._sums.usage(self._since(None), since_ns, until_ns, by)

    async def series(self, of: SeriesOf) -> Series:
        """The sums step by step, in all or by group."""
        return self._sums.series(self._since(None), of)

    async def roll(self, now_ns: int, limit: int = 0) -> int:
        """There is nothing to do: sums are made of the records themselves, until they are removed."""
        del now_ns, limit
        return 0

    async def prune(self, before_ns: int, limit: int = PRUNED_AT_ONCE) -> int:
        """Remove at most `limit` of the oldest records that began before then; returns how many. Sums stay."""
        old = _newest_first(record for record in self._since(None) if record.started_at_ns < before_ns)[::-1][:limit]
        self._sums.roll(old)
        with self._lock:
            for record in old:
                self._forget(record.exchange_id)
        return len(old)

    def _since(self, since_ns: int | None) -> list[Record]:
        with self._lock:
            return [record for record in self._records.values() if record.started_at_ns >= (since_ns or 0)]

    def _forget(self, exchange_id: str) -> None:
        del self._numbers[exchange_id]
        response_id = self._records.pop(exchange_id).reading.response_id
        if response_id is not None:
            own = self._by_response[response_id]
            own[:] = [record for record in own if record.exchange_id != exchange_id]
            if not self._by_response[response_id]:
                del self._by_response[response_id]


class MemoryLedger:
    """A Ledger that is one Books."""

    def __init__(self) -> None:
        self._books = Books()
        self._leases: dict[str, float] = {}
        self._closed = False

    async def submit(self, command: Command) -> Outcome:
        """Apply a command. Raises LedgerUnavailable once it is closed, ValueError for what no database could keep."""
        if self._closed:
            raise LedgerUnavailable
        return self._books.apply(storable(command))

    def note(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint."""
        self._books.apply(checkpoint)

    async def account(self, account_id: str) -> Account | None:
        """An account as it stands."""
        return self._books.accounts.get(account_id)

    async def accounts(self) -> list[Account]:
        """All accounts, by id."""
        return [account for _, account in sorted(self._books.accounts.items())]

    async def hold(self, hold_id: str) -> Hold | None:
        """A hold as it stands."""
        return self._books.holds.get(hold_id)

    async def open_holds(self) -> list[Hold]:
        """The holds that are not resolved, oldest first."""
        open_holds = (hold for hold in self._books.holds.values() if hold.state is HoldState.OPEN)
        return sorted(open_holds, key=lambda hold: (hold.placed_at_ns, hold.hold_id))

    async def count_open_holds(self) -> int:
        """How many there are."""
        return len(await self.open_holds())

    async def entries(
        self, account_id: str | None = None, hold_id: str | None = None, limit: int = 100, before: int | None = None
    ) -> list[tuple[int, Entry]]:
        """Entries with their serial numbers, newest first; of an account or a hold; below a serial number."""
        found = [
            (serial, entry)
            for serial, entry in enumerate(self._books.new_entries, start=1)
            if account_id in {None, entry.account_id} and hold_id in {None, entry.hold_id}
            if before is None or serial < before
        ]
        return found[::-1][:limit]

    async def counters(self, cap_ids: tuple[str, ...]) -> list[Counter]:
        """Where caps stand, by id; those never used are left out."""
        known = self._books.counters
        return [known[cap_id] for cap_id in sorted(set(cap_ids)) if cap_id in known]

    async def trial(self, *, every: bool = False) -> Trial:
        """Everything added up, as it stands: nothing here waits, so nothing moves meanwhile."""
        del every  # all of them, always
        sums: dict[str, Sums] = {}
        for entry in self._books.new_entries:
            known = sums.get(entry.account_id, Sums(0, 0))
            sums[entry.account_id] = Sums(known.posted_nanos + entry.posted_nanos, known.held_nanos + entry.held_nanos)
        held: dict[str, int] = {}
        for hold in await self.open_holds():
            held[hold.account_id] = held.get(hold.account_id, 0) + hold.amount_nanos
        return Trial(await self.accounts(), sums, held)

    async def beat(self, node: str, lease_ns: int) -> None:
        """Tell that a gateway process lives, and will tell so again within the lease."""
        self._leases[node] = time.monotonic() + lease_ns / 1_000_000_000

    async def leave(self, node: str) -> None:
        """Tell that a gateway process ends in good order: its lease is over now."""
        self._leases.pop(node, None)

    async def orphans(self, limit: int = 100) -> list[Hold]:
        """Open holds of processes whose lease has run out, oldest first."""
        living = {node for node, until in self._leases.items() if until > time.monotonic()}
        return [hold for hold in await self.open_holds() if hold.node not in living][:limit]

    async def forget_counters(self, ended_before_ns: int) -> int:
        """Remove the counters of windows that ended before then and hold nothing; returns how many."""
        counters = self._books.counters
        over = [
            cap_id
            for cap_id, counter in counters.items()
            if counter.ends_at_ns is not None and counter.ends_at_ns < ended_before_ns and not counter.held
        ]
        for cap_id in over:
            del counters[cap_id]
        return len(over)


class MemoryDirectory:
    """A Directory that is two dictionaries."""

    def __init__(self) -> None:
        self._keys: dict[str, VirtualKey] = {}
        self._budgets: dict[str, Budget] = {}

    async def by_digest(self, digest: bytes) -> VirtualKey | None:
        """The key of a digest, revoked and expired ones too, with all the budgets that bind it."""
        return next((self._bound(key) for key in self._keys.values() if key.digest == digest), None)

    async def put_key(self, key: VirtualKey) -> None:
        """Keep a key, new or changed, by its id; see Directory. Raises ValueError if another key has its digest."""
        require_storable(key)
        if any(other.digest == key.digest for other in self._keys.values() if other.key_id != key.key_id):
            raise ValueError("Another key has this digest.")
        known = self._keys.get(key.key_id)
        if known is not None and known.revoked_at_ns is not None:
            key = replace(key, revoked_at_ns=known.revoked_at_ns)
        self._keys[key.key_id] = key

    async def key(self, key_id: str) -> VirtualKey | None:
        """A key by its id."""
        key = self._keys.get(key_id)
        return None if key is None else self._bound(key)

    async def keys(self) -> list[VirtualKey]:
        """All keys, revoked and expired ones too, the newest first."""
        newest_first = sorted(self._keys.values(), key=lambda key: (-key.created_at_ns, key.key_id))
        return [self._bound(key) for key in newest_first]

    async def empty(self) -> bool:
        """Whether no key was ever made."""
        return not self._keys

    async def put_budget(self, budget: Budget) -> None:
        """Keep a budget, new or changed, by its id."""
        self._budgets[budget.budget_id] = require_storable(budget)

    async def remove_budget(self, budget_id: str) -> bool:
        """Remove a budget; False if there is none of that id."""
        return self._budgets.pop(budget_id, None) is not None

    async def budgets(self) -> list[Budget]:
        """All budgets, by id."""
        return [budget for _, budget in sorted(self._budgets.items())]

    def _bound(self, key: VirtualKey) -> VirtualKey:
        budgets = tuple(budget for _, budget in sorted(self._budgets.items()) if key.bound_by(budget))
        return replace(key, budgets=budgets)


class MemoryStore(MemoryRecords, MemoryLedger, MemoryDirectory, MemoryAudit):
    """RecordLog, Ledger, Directory and AuditLog in one. Nothing of it outlives the process."""

    def __init__(self, kept: int = KEPT) -> None:
        MemoryRecords.__init__(self, kept)
        MemoryLedger.__init__(self)
        MemoryDirectory.__init__(self)
        MemoryAudit.__init__(self)

    async def settle(self, resolution: Resolution, record: Record) -> Outcome:
        """Resolve a hold and keep its exchange's record, as `disputed` where the resolution does not stand."""
        outcome = await self.submit(resolution)
        self.append(record if outcome.stands else disputed(record))
        return outcome

    async def aclose(self) -> None:
        """Take no more commands; nothing is left to write."""
        self._closed = True


def _newest_first(arrived: Iterable[Record]) -> list[Record]:
    return sorted(arrived, key=lambda record: record.started_at_ns)[::-1]
