"""The rules, one operation a line. The stores are held to them by tests/stores/ledger_conformance.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
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
    Reserved,
    Result,
)
from headgate.ledger.machine import LARGEST_NANOS, SAME, TRANSITIONS, Books, Touched, entry_ids, touched

PREPAID, POSTPAID = AccountKind.PREPAID, AccountKind.POSTPAID
TOP_UP, CORRECTION = EntryKind.TOP_UP, EntryKind.CORRECTION
R = Result


def acme(posted: int = 100, held: int = 0, *, closed: bool = False) -> Account:
    return Account("acme", PREPAID, None, posted, held, closed)


def state_of(books: Books) -> object:
    return (
        dict(books.accounts), dict(books.holds), dict(books.counters), list(books.new_entries),
        set(books.changed_accounts), set(books.changed_holds), set(books.changed_counters),
    )  # fmt: skip


def an_open_hold(amount: int = 70, account_id: str = "acme", *parts: Reserved) -> Hold:
    return Hold("h", account_id, amount, 1, "n", sent=False, minimum_nanos=0, reserved=parts)


CAPPED = Cap("c", Measure.MONEY, 100, 60)


@pytest.mark.parametrize(
    ("command", "result", "posted", "held"),
    [
        # Each on an account with 100, nothing held, no hold but "h" of 70 where the line needs one.
        (OpenAccount("acme", PREPAID, 1), R.EXISTS, 100, 0),
        (OpenAccount("acme", PREPAID, 1, 50), R.EXISTS, 100, 0),  # a limit means nothing for a prepaid account
        (OpenAccount("acme", POSTPAID, 1, 50), R.DONE, 100, 0),
        (OpenAccount("acme", POSTPAID, 1, -1), R.BAD_AMOUNT, 100, 0),
        (OpenAccount("acme", POSTPAID, 1, LARGEST_NANOS + 1), R.BAD_AMOUNT, 100, 0),
        (CloseAccount("acme", 1), R.DONE, 100, 0),
        (CloseAccount("nobody", 1), R.NO_SUCH_ACCOUNT, 100, 0),
        (Post("e", "acme", TOP_UP, 5, 1), R.DONE, 105, 0),
        (Post("e", "acme", TOP_UP, -5, 1), R.BAD_AMOUNT, 100, 0),
        (Post("e", "acme", TOP_UP, 0, 1), R.BAD_AMOUNT, 100, 0),
        (Post("e", "acme", CORRECTION, -500, 1), R.DONE, -400, 0),
        (Post("e", "acme", CORRECTION, 0, 1), R.BAD_AMOUNT, 100, 0),
        (Post("e", "acme", EntryKind.CAPTURE, 5, 1), R.BAD_AMOUNT, 100, 0),
        (Post("e", "acme", TOP_UP, LARGEST_NANOS, 1), R.BAD_AMOUNT, 100, 0),
        (Post("e", "acme", TOP_UP, LARGEST_NANOS - 100, 1), R.DONE, LARGEST_NANOS, 0),
        (Post("e", "acme", CORRECTION, -LARGEST_NANOS - 100, 1), R.BAD_AMOUNT, 100, 0),
        (Post("e", "nobody", TOP_UP, 5, 1), R.NO_SUCH_ACCOUNT, 100, 0),
        (Post("h:place", "acme", TOP_UP, 5, 1), R.BAD_ID, 100, 0),
        (Post("h:resolve", "acme", TOP_UP, 5, 1), R.BAD_ID, 100, 0),
        (Post("h:overrun", "acme", TOP_UP, 5, 1), R.BAD_ID, 100, 0),
        (Place("h", "acme", 100, 1, "n"), R.DONE, 100, 100),
        (Place("h", "acme", 0, 1, "n"), R.DONE, 100, 0),
        (Place("h", "acme", 101, 1, "n"), R.INSUFFICIENT_CREDIT, 100, 0),
        (Place("h", "acme", -1, 1, "n"), R.BAD_AMOUNT, 100, 0),
        (Place("h", "acme", LARGEST_NANOS + 1, 1, "n"), R.BAD_AMOUNT, 100, 0),
        (Place("h", "nobody", 1, 1, "n"), R.NO_SUCH_ACCOUNT, 100, 0),
        (Place("h", "acme", 60, 1, "n", caps=(CAPPED,)), R.DONE, 100, 60),
        (Place("h", "acme", 60, 1, "n", caps=(replace(CAPPED, amount=101),)), R.OVER_CAP, 100, 0),
        (Place("h", "acme", 60, 1, "n", caps=(replace(CAPPED, amount=-1),)), R.BAD_AMOUNT, 100, 0),
        (Place("h", "acme", 101, 1, "n", caps=(replace(CAPPED, amount=101),)), R.OVER_CAP, 100, 0),
        (Capture("h", "acme", 5, 1), R.NO_SUCH_HOLD, 100, 0),
        (Void("h", "acme", 1), R.NO_SUCH_HOLD, 100, 0),
        (Expire("h", "nobody", 1), R.NO_SUCH_ACCOUNT, 100, 0),
        (Checkpoint("h", "acme", 5), R.NO_SUCH_HOLD, 100, 0),
    ],
)
def test_on_an_account_with_a_hundred(command: Command, result: Result, posted: int, held: int) -> None:
    books = Books([acme()])
    before = state_of(books)
    outcome = books.apply(command)
    assert outcome.result is result
    account = books.accounts["acme"]
    assert (account.posted_nanos, account.held_nanos) == (posted, held)
    assert outcome.stands or state_of(books) == before, "a refusal changes nothing"


@pytest.mark.parametrize(
    ("command", "result", "balances", "state", "entries"),
    [
        # Each on an account with 100, of which "h" holds 70.
        (Capture("h", "acme", 70, 2), R.DONE, (30, 0), HoldState.CAPTURED, ["h:resolve"]),
        (Capture("h", "acme", 20, 2), R.DONE, (80, 0), HoldState.CAPTURED, ["h:resolve"]),
        (Capture("h", "acme", 0, 2), R.DONE, (100, 0), HoldState.CAPTURED, ["h:resolve"]),
        (Capture("h", "acme", 71, 2), R.DONE, (29, 0), HoldState.CAPTURED, ["h:resolve", "h:overrun"]),
        (Capture("h", "acme", 500, 2), R.DONE, (-400, 0), HoldState.CAPTURED, ["h:resolve", "h:overrun"]),
        (Capture("h", "acme", -1, 2), R.BAD_AMOUNT, (100, 70), HoldState.OPEN, []),
        (Capture("h", "acme", LARGEST_NANOS + 1, 2), R.BAD_AMOUNT, (100, 70), HoldState.OPEN, []),
        (Void("h", "acme", 2), R.DONE, (100, 0), HoldState.VOIDED, ["h:resolve"]),
        (Expire("h", "acme", 2), R.DONE, (100, 0), HoldState.EXPIRED, ["h:resolve"]),
        (Capture("h", "other", 5, 2), R.NO_SUCH_HOLD, (100, 70), HoldState.OPEN, []),
        (Checkpoint("h", "other", 5), R.NO_SUCH_HOLD, (100, 70), HoldState.OPEN, []),
        (Checkpoint("h", "acme", 5), R.DONE, (100, 70), HoldState.OPEN, []),
        (Place("h", "acme", 70, 2, "other"), R.EXISTS, (100, 70), HoldState.OPEN, []),
        (Place("h", "acme", 71, 2, "n"), R.EXISTS_WITH_DIFFERENT_AMOUNT, (100, 70), HoldState.OPEN, []),
        (Place("h", "other", 70, 2, "n"), R.EXISTS_WITH_DIFFERENT_AMOUNT, (100, 70), HoldState.OPEN, []),
        (Place("h2", "acme", 30, 2, "n"), R.DONE, (100, 100), HoldState.OPEN, ["h2:place"]),
        (Place("h2", "acme", 31, 2, "n"), R.INSUFFICIENT_CREDIT, (100, 70), HoldState.OPEN, []),
        (Place("h2", "acme", LARGEST_NANOS - 69, 2, "n"), R.BAD_AMOUNT, (100, 70), HoldState.OPEN, []),
    ],
)
def test_on_a_hold_of_seventy(
    command: Command, result: Result, balances: tuple[int, int], state: HoldState, entries: list[str]
) -> None:
    books = Books([acme(held=70), Account("other", PREPAID)], [an_open_hold()])
    outcome = books.apply(command)
    assert outcome.result is result
    account = books.accounts["acme"]
    assert (account.posted_nanos, account.held_nanos) == balances
    assert books.holds["h"].state is state
    assert [entry.entry_id for entry in outcome.entries] == entries
    assert list(outcome.entries) == books.new_entries


RESOLVED = {Capture: 70, Void: None, Expire: None}
VERBS: dict[type[Resolution], Resolution] = {
    Capture: Capture("h", "acme", 70, 2),
    Void: Void("h", "acme", 2),
    Expire: Expire("h", "acme", 2),
}


@pytest.mark.parametrize("first", VERBS)
@pytest.mark.parametrize("then", VERBS)
def test_a_hold_is_resolved_once(first: type[Resolution], then: type[Resolution]) -> None:
    books = Books([acme(held=70)], [an_open_hold()])
    assert books.apply(VERBS[first]).result is Result.DONE
    assert books.holds["h"].state is SAME[first]
    assert books.holds["h"].resolved_nanos == RESOLVED[first]
    before = state_of(books)
    again = books.apply(VERBS[then])
    assert again.result is (Result.EXISTS if first is then else Result.EXISTS_WITH_DIFFERENT_AMOUNT)
    assert again.entries == ()
    assert state_of(books) == before


def test_every_pair_of_the_table_starts_open() -> None:
    assert {state for state, _ in TRANSITIONS} == {HoldState.OPEN}
    assert set(TRANSITIONS.values()) == set(HoldState) - {HoldState.OPEN}


def test_a_capture_of_another_amount_is_told() -> None:
    books = Books([acme(held=70)], [an_open_hold()])
    books.apply(Capture("h", "acme", 50, 2))
    assert books.apply(Capture("h", "acme", 51, 2)).result is Result.EXISTS_WITH_DIFFERENT_AMOUNT
    assert books.accounts["acme"].posted_nanos == 50


def test_a_resolved_hold_is_not_placed_again() -> None:
    books = Books([acme(held=70)], [an_open_hold()])
    books.apply(Void("h", "acme", 2))
    assert books.apply(Place("h", "acme", 70, 3, "n")).result is Result.EXISTS
    assert books.accounts["acme"].held_nanos == 0


def test_a_charge_that_no_balance_could_show_is_refused() -> None:
    deep = Account("acme", POSTPAID, None, -LARGEST_NANOS + 5, 70)
    books = Books([deep], [an_open_hold()])
    assert books.apply(Capture("h", "acme", 6, 2)).result is Result.BAD_AMOUNT
    assert books.apply(Capture("h", "acme", 5, 2)).result is Result.DONE


def test_a_closed_account_takes_no_hold_and_resolves_those_it_has() -> None:
    books = Books([acme(held=70, closed=True)], [an_open_hold()])
    assert books.apply(Place("h2", "acme", 1, 2, "n")).result is Result.ACCOUNT_CLOSED
    assert books.apply(CloseAccount("acme", 2)).result is Result.EXISTS
    assert books.apply(Post("e", "acme", TOP_UP, 5, 2)).result is Result.DONE
    assert books.apply(Capture("h", "acme", 70, 2)).result is Result.DONE
    assert books.apply(OpenAccount("acme", PREPAID, 3)).result is Result.DONE
    assert books.apply(Place("h2", "acme", 35, 4, "n")).result is Result.DONE


@pytest.mark.parametrize(
    ("known", "result"),
    [
        (Entry("e", "acme", TOP_UP, 5, 0, 9), R.EXISTS),
        (Entry("e", "acme", TOP_UP, 6, 0, 9), R.EXISTS_WITH_DIFFERENT_AMOUNT),
        (Entry("e", "acme", CORRECTION, 5, 0, 9), R.EXISTS_WITH_DIFFERENT_AMOUNT),
        (Entry("e", "other", TOP_UP, 5, 0, 9), R.EXISTS_WITH_DIFFERENT_AMOUNT),
    ],
)
def test_a_post_of_a_known_id(known: Entry, result: Result) -> None:
    books = Books([acme()], entries=[known])
    assert books.apply(Post("e", "acme", TOP_UP, 5, 1)).result is result
    assert books.accounts["acme"] == acme()


@pytest.mark.parametrize(
    ("measure", "verb", "used"),
    [
        (Measure.MONEY, Capture("h", "acme", 50, 2, quantity=8), 50),
        (Measure.MONEY, Capture("h", "acme", 90, 2, quantity=8), 90),
        (Measure.MONEY, Void("h", "acme", 2), 0),
        (Measure.MONEY, Expire("h", "acme", 2), 0),
        (Measure.QUANTITY, Capture("h", "acme", 50, 2, quantity=8), 8),
        (Measure.QUANTITY, Capture("h", "acme", 50, 2, quantity=-8), 0),
        (Measure.QUANTITY, Void("h", "acme", 2), 0),
        (Measure.TIMES, Capture("h", "acme", 50, 2, quantity=8), 3),
        (Measure.TIMES, Void("h", "acme", 2), 3),
        (Measure.PRESENCE, Capture("h", "acme", 50, 2, quantity=8), 0),
        (Measure.PRESENCE, Expire("h", "acme", 2), 0),
    ],
)
def test_what_a_resolved_hold_has_used_of_its_caps(measure: Measure, verb: Resolution, used: int) -> None:
    hold = an_open_hold(70, "acme", Reserved("c", measure, 3))
    books = Books([acme(held=70)], [hold], [Counter("c", used=10, held=5)])
    assert books.apply(verb).result is Result.DONE
    assert books.counters["c"] == Counter("c", used=10 + used, held=2)


def test_a_counter_never_leaves_its_column() -> None:
    hold = an_open_hold(70, "acme", Reserved("c", Measure.QUANTITY, 0))
    books = Books([acme(held=70)], [hold], [Counter("c", used=LARGEST_NANOS - 1)])
    books.apply(Capture("h", "acme", 0, 2, quantity=50))
    assert books.counters["c"].used == LARGEST_NANOS


@pytest.mark.parametrize(
    ("counter", "amount", "result"),
    [
        (None, 100, R.DONE),
        (None, 101, R.OVER_CAP),
        (Counter("c", 40, 0), 60, R.DONE),
        (Counter("c", 40, 0), 61, R.OVER_CAP),
        (Counter("c", 0, 40), 60, R.DONE),
        (Counter("c", 20, 20), 61, R.OVER_CAP),
        (Counter("c", 500, 0), 0, R.OVER_CAP),
    ],
)
def test_a_cap_of_a_hundred(counter: Counter | None, amount: int, result: Result) -> None:
    books = Books([acme()], counters=[] if counter is None else [counter])
    cap = Cap("c", Measure.MONEY, 100, amount, ends_at_ns=9)
    outcome = books.apply(Place("h", "acme", 1, 1, "n", caps=(cap,)))
    assert outcome.result is result
    if outcome.stands:
        assert outcome.counters == (books.counters["c"],)
        assert books.counters["c"].held == amount + (counter.held if counter else 0)
    else:
        assert outcome.cap == cap
        assert books.counters.get("c") == counter


def test_checkpoints() -> None:
    books = Books([acme(held=70)], [an_open_hold()])
    assert books.apply(Checkpoint("h", "acme")).result is Result.DONE
    assert (books.holds["h"].sent, books.holds["h"].checkpoint_nanos) == (True, None)
    books.apply(Checkpoint("h", "acme", 5, 6))
    books.apply(Checkpoint("h", "acme"))
    assert (books.holds["h"].checkpoint_nanos, books.holds["h"].checkpoint_quantity) == (5, 6)
    books.apply(Capture("h", "acme", 7, 2))
    before = state_of(books)
    assert books.apply(Checkpoint("h", "acme", 9, 9)).result is Result.UNCHANGED
    assert state_of(books) == before
    assert books.new_entries[-1].posted_nanos == -7


def test_what_commands_touch() -> None:
    commands: list[Command] = [
        Place("h2", "b", 1, 1, "n", caps=(replace(CAPPED, cap_id="z"), CAPPED)),
        Capture("h1", "a", 1, 1), Void("h3", "a", 1), Expire("h4", "a", 1), Checkpoint("h5", "c"),
        Post("e", "d", TOP_UP, 1, 1), OpenAccount("x", PREPAID, 1), CloseAccount("y", 1),
    ]  # fmt: skip
    assert touched(commands) == Touched(
        ("a", "b", "c", "d", "x", "y"), ("h1", "h2", "h3", "h4", "h5"), ("e",), ("c", "z")
    )


def test_the_ids_of_a_holds_entries() -> None:
    books = Books([acme()])
    books.apply(Place("h", "acme", 70, 1, "n"))
    books.apply(Capture("h", "acme", 71, 2))
    assert tuple(entry.entry_id for entry in books.new_entries) == entry_ids("h")


amounts = st.integers(0, LARGEST_NANOS)


@given(amounts, amounts, st.integers(-LARGEST_NANOS, LARGEST_NANOS))
def test_a_capture_moves_just_its_amount(held: int, charged: int, posted: int) -> None:
    account = Account("acme", POSTPAID, None, posted, held)
    books = Books([account], [an_open_hold(held)])
    outcome = books.apply(Capture("h", "acme", charged, 2))
    if posted - charged < -LARGEST_NANOS:
        assert outcome.result is Result.BAD_AMOUNT
        return
    assert sum(entry.posted_nanos for entry in outcome.entries) == -charged
    assert sum(entry.held_nanos for entry in outcome.entries) == -held
    assert -outcome.entries[0].posted_nanos <= held
    assert books.accounts["acme"] == replace(account, posted_nanos=posted - charged, held_nanos=0)
