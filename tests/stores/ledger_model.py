"""A stateful model of the ledger: whatever is submitted, repeated, reopened or crashed, the books are right.

Every outcome must be that of one Books that holds the whole ledger, and after every step what is kept must add up.
"""

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from headgate.ledger.commands import (
    Capture,
    Checkpoint,
    CloseAccount,
    Command,
    Expire,
    OpenAccount,
    Place,
    Post,
    Void,
)
from headgate.ledger.entries import (
    AccountKind,
    Cap,
    Entry,
    EntryKind,
    Hold,
    HoldState,
    Measure,
    Outcome,
    Reserved,
    Result,
)
from headgate.ledger.machine import Books
from headgate.ledger.store import Sums
from tests.stores.factory import Store, StoreFactory

ACCOUNTS = ("a", "b")
HOLDS = tuple(f"h{n}" for n in range(6))
CAPS = {
    "money@1": (Measure.MONEY, 400, 1_000),
    "tokens@1": (Measure.QUANTITY, 200, 1_000),
    "times@1": (Measure.TIMES, 120, None),
    "together": (Measure.PRESENCE, 80, None),
}

accounts = st.sampled_from(ACCOUNTS)
holds = st.sampled_from(HOLDS)
amounts = st.integers(-1, 80)
times = st.integers(0, 9)
caps = st.sampled_from(sorted(CAPS)).flatmap(
    lambda name: st.integers(0, 40).map(lambda amount: Cap(name, *_bound(name), amount, CAPS[name][2]))
)
under = st.lists(caps, max_size=3, unique_by=lambda cap: cap.cap_id).map(tuple)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(OpenAccount, accounts, st.sampled_from(AccountKind), times, st.none() | st.integers(-1, 100)),
    st.builds(CloseAccount, accounts, times),
    st.builds(
        Post, st.sampled_from(["e0", "e1", "e2", "e3"]), accounts,
        st.sampled_from([EntryKind.TOP_UP, EntryKind.CORRECTION]), st.integers(-50, 200), times,
    ),
    st.builds(Place, holds, accounts, amounts, times, st.just("n"), st.booleans(), caps=under),
    st.builds(Capture, holds, accounts, amounts, times, st.integers(0, 30)),
    st.builds(Void, holds, accounts, times),
    st.builds(Expire, holds, accounts, times),
    st.builds(Checkpoint, holds, accounts, st.none() | amounts, st.integers(0, 30)),
)  # fmt: skip
"""Any command at all; most are refused."""
placements = st.tuples(accounts, st.integers(0, 40), under)
Verb = Callable[[Hold], Command]
verbs: st.SearchStrategy[Verb] = st.one_of(
    st.builds(lambda amount, n: lambda h: Capture(h.hold_id, h.account_id, amount, 5, n), amounts, st.integers(0, 30)),
    st.just(lambda h: Void(h.hold_id, h.account_id, 5)),
    st.just(lambda h: Expire(h.hold_id, h.account_id, 5)),
    st.builds(lambda amount, n: lambda h: Checkpoint(h.hold_id, h.account_id, amount, n), amounts, st.integers(0, 30)),
)
"""What can be done to a hold that is there."""


def _bound(name: str) -> tuple[Measure, int]:
    measure, limit, _ = CAPS[name]
    return measure, limit


class LedgerModel(RuleBasedStateMachine):
    """One database from its first day. Every step is a batch: its commands are under way together."""

    def __init__(self, factory: StoreFactory) -> None:
        super().__init__()
        self.factory = factory
        self.runner = asyncio.Runner()
        self.runner.run(factory.start_anew())
        self.opening: AbstractAsyncContextManager[Store] = factory.open_store()
        self.store = self.runner.run(_entered(self.opening))
        self.books = Books()
        self.done: list[Command] = []
        self.quantities: dict[str, int] = {}
        self.written: list[tuple[int, Entry]] = []
        self.submit([OpenAccount("a", AccountKind.PREPAID, 1), OpenAccount("b", AccountKind.POSTPAID, 1, 300)])

    def submit(self, batch: Sequence[Command]) -> list[Outcome]:
        expected = [self.books.apply(command) for command in batch]
        outcomes = self.runner.run(_all(self.store, batch))
        assert outcomes == expected
        for command, outcome in zip(batch, outcomes, strict=True):
            if outcome.result is Result.DONE:
                self.note_done(command, outcome)
        return outcomes

    def note_done(self, command: Command, outcome: Outcome) -> None:
        self.done.append(command)
        if isinstance(command, Place):
            assert outcome.account is not None
            if outcome.account.kind is AccountKind.PREPAID:
                assert outcome.account.available_nanos >= 0
        elif isinstance(command, Capture):
            assert command.hold_id not in self.quantities, "captured twice"
            self.quantities[command.hold_id] = command.quantity

    @rule(amount=st.integers(1, 300))
    def fund(self, amount: int) -> None:
        self.submit([Post(f"f{len(self.done)}", "a", EntryKind.TOP_UP, amount, 2)])

    @rule(placed=st.lists(placements, max_size=5), data=st.data())
    def carry_on(self, placed: list[tuple[str, int, tuple[Cap, ...]]], data: st.DataObject) -> None:
        """New holds, and what becomes of some of the open ones, all in one batch."""
        open_holds = [hold for hold in self.books.holds.values() if hold.state is HoldState.OPEN]
        batch: list[Command] = [
            Place(f"p{len(self.done)}_{n}", account_id, amount, n, "n", caps=under)
            for n, (account_id, amount, under) in enumerate(placed)
        ]
        if open_holds:
            chosen = data.draw(st.lists(st.tuples(st.sampled_from(open_holds), verbs), max_size=4))
            batch += [verb(hold) for hold, verb in chosen]
        self.submit(batch)

    @rule(batch=st.lists(commands, min_size=1, max_size=6))
    def apply(self, batch: list[Command]) -> None:
        self.submit(batch)

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        before = self.kept()
        again = [c for c in self.done if isinstance(c, Post | Place | Capture | Void | Expire)]
        if again:
            chosen = data.draw(st.lists(st.sampled_from(again), min_size=1, max_size=6))
            assert {outcome.result for outcome in self.submit(chosen)} == {Result.EXISTS}
        assert self.kept() == before

    @precondition(lambda self: self.factory.reopens)
    @rule()
    def reopen(self) -> None:
        self.leave()
        self.enter()

    @precondition(lambda self: self.factory.crashes)
    @rule(batch=st.lists(commands, max_size=4))
    def crash(self, batch: list[Command]) -> None:
        if batch:
            self.submit(batch)
        self.runner.run(self.factory.crash())
        self.leave()
        self.enter()

    @invariant()
    def what_is_kept_adds_up(self) -> None:
        self.runner.run(self.check())

    async def check(self) -> None:
        store = self.store
        rows, kept = await store.entries(limit=100_000), await store.accounts()
        assert rows[len(rows) - len(self.written) :] == self.written, "entries stay as they were"
        self.written = rows
        assert [entry for _, entry in reversed(rows)] == self.books.new_entries
        assert kept == sorted(self.books.accounts.values(), key=lambda account: account.account_id)
        trial = await store.trial()
        sums = trial.entries
        assert trial.accounts == kept
        open_holds = await store.open_holds()
        for account in kept:
            own = [entry for _, entry in rows if entry.account_id == account.account_id]
            posted, held = sum(entry.posted_nanos for entry in own), sum(entry.held_nanos for entry in own)
            assert (account.posted_nanos, account.held_nanos) == (posted, held)
            assert sums.get(account.account_id, Sums(0, 0)) == Sums(posted, held)
            assert held == trial.open_holds.get(account.account_id, 0)
            assert held == sum(hold.amount_nanos for hold in open_holds if hold.account_id == account.account_id)
        await self.check_holds(open_holds, rows)

    async def check_holds(self, open_holds: list[Hold], rows: list[tuple[int, Entry]]) -> None:
        known = [hold for hold_id in self.books.holds if (hold := await self.store.hold(hold_id)) is not None]
        assert all([await self.store.hold(hold_id) is None for hold_id in HOLDS if hold_id not in self.books.holds])
        assert {hold.hold_id: hold for hold in known} == self.books.holds
        assert {hold.hold_id for hold in open_holds} == {h.hold_id for h in known if h.state is HoldState.OPEN}
        resolving = {EntryKind.CAPTURE, EntryKind.VOID, EntryKind.EXPIRE}
        resolved = Tally(entry.hold_id for _, entry in rows if entry.kind in resolving)
        assert resolved == Tally(hold.hold_id for hold in known if hold.state is not HoldState.OPEN)
        used, held = Tally[str](), Tally[str]()
        for hold in known:
            for part in hold.reserved:
                if hold.state is HoldState.OPEN:
                    held[part.cap_id] += part.amount
                else:
                    used[part.cap_id] += self.used(hold, part)
        for counter in await self.store.counters(tuple(CAPS)):
            assert (counter.used, counter.held) == (used[counter.cap_id], held[counter.cap_id])
            assert counter == self.books.counters[counter.cap_id]

    def used(self, hold: Hold, part: Reserved) -> int:
        match part.measure:
            case Measure.MONEY:
                return hold.resolved_nanos or 0
            case Measure.QUANTITY:
                return self.quantities.get(hold.hold_id, 0)
            case Measure.TIMES:
                return part.amount
            case Measure.PRESENCE:
                return 0

    def kept(self) -> object:
        async def read() -> object:
            counters = await self.store.counters(tuple(CAPS))
            return await self.store.entries(limit=100_000), await self.store.accounts(), counters

        return self.runner.run(read())

    def enter(self) -> None:
        self.opening = self.factory.open_store()
        self.store = self.runner.run(_entered(self.opening))

    def leave(self) -> None:
        self.runner.run(_left(self.opening))

    def teardown(self) -> None:
        self.leave()
        self.runner.close()


def run_model(factory: StoreFactory) -> None:
    """Try it on fresh databases of the factory's."""

    class Model(LedgerModel):
        def __init__(self) -> None:
            super().__init__(factory)

    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


async def _entered(opening: AbstractAsyncContextManager[Store]) -> Store:
    return await opening.__aenter__()


async def _left(opening: AbstractAsyncContextManager[Store]) -> None:
    await opening.__aexit__(None, None, None)


async def _all(store: Store, batch: Sequence[Command]) -> list[Outcome]:
    return list(await asyncio.gather(*(store.submit(command) for command in batch)))
