"""Bills of several attempts, added up."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.gateway.appraise import Appraisal
from headgate.gateway.hold import Held
from headgate.gateway.legs import Leg, added_up, billed
from headgate.records import Attempt, Bill, PriceLine, Settled

LINE = PriceLine("input_mtok", "8", "1", 1_000_000)
VOIDED = Bill("team", 900, 0, 0, Settled.VOIDED)
CAPTURED = Bill("team", 700, 12, 15, Settled.CAPTURED, "book", "v1", (LINE,), ("estimated",))
ATTEMPT = Attempt("a", 200, 0, 1, model="m", ending="complete")


def test_one_attempt_has_the_bill_as_it_is() -> None:
    assert added_up((), CAPTURED) == CAPTURED


def test_what_all_of_them_cost() -> None:
    bill = added_up((Leg((), CAPTURED), Leg((), VOIDED)), CAPTURED)
    assert (bill.account, bill.hold_nanos, bill.cost_nanos, bill.charge_nanos) == ("team", 700, 24, 30)
    assert (bill.settled, bill.price_source, bill.price_version) == (Settled.CAPTURED, "book", "v1")
    assert [line.leg for line in bill.lines] == ["attempt 1", None]
    assert bill.flags == ("estimated",)


def test_one_that_was_charged_makes_it_captured() -> None:
    assert added_up((Leg((), CAPTURED),), VOIDED).settled is Settled.CAPTURED
    assert added_up((Leg((), VOIDED),), VOIDED).settled is Settled.VOIDED


def test_what_is_not_known_of_one_is_not_known_of_all() -> None:
    unknown = Bill("team", 0, None, None, Settled.CAPTURED)
    bill = added_up((Leg((), unknown),), CAPTURED)
    assert (bill.cost_nanos, bill.charge_nanos) == (None, None)


def test_without_an_account_nobody_is_charged() -> None:
    bill = added_up((Leg((), Bill(cost_nanos=3)),), Bill(cost_nanos=4))
    assert (bill.cost_nanos, bill.charge_nanos, bill.account) == (7, None, None)


def test_the_last_hold_may_not_have_been_placed() -> None:
    bill = added_up((Leg((), CAPTURED),), Bill(cost_nanos=0))
    assert (bill.account, bill.charge_nanos, bill.hold_nanos) == ("team", 15, 700)


@given(st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**40)), min_size=1))
def test_sums_are_exact(amounts: list[tuple[int, int]]) -> None:
    bills = [Bill("team", 0, cost, charge, Settled.CAPTURED) for cost, charge in amounts]
    bill = added_up([Leg((), each) for each in bills[:-1]], bills[-1])
    assert bill.cost_nanos == sum(cost for cost, _ in amounts)
    assert bill.charge_nanos == sum(charge for _, charge in amounts)


def test_the_last_attempt_under_a_hold_bears_its_cost() -> None:
    held = Held("ex_1", "team", 900, sent=True)
    first, last = billed((ATTEMPT, ATTEMPT), Appraisal(CAPTURED, captures=True), held)
    assert (first.hold_id, first.cost_nanos, first.charge_nanos) == ("ex_1", 0, 0)
    assert (last.hold_id, last.cost_nanos, last.charge_nanos) == ("ex_1", 12, 15)
    assert billed((), None, held) == ()


def test_an_attempt_without_a_hold_is_charged_to_nobody() -> None:
    first, last = billed((ATTEMPT, ATTEMPT), Appraisal(Bill(cost_nanos=5), captures=False), None)
    assert (first.cost_nanos, first.charge_nanos, last.cost_nanos, last.charge_nanos) == (0, None, 5, None)
