"""What an exchange's attempts cost, together and each by itself. Pure."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from headgate.gateway.appraise import Appraisal
from headgate.gateway.hold import Held
from headgate.records import Attempt, Bill, PriceLine, Settled


class Leg(Struct, frozen=True):
    """An attempt that is over while its exchange goes on."""

    attempts: tuple[Attempt, ...]
    """More than one where the same target was asked again without an edit of ours."""
    bill: Bill


def billed(attempts: Sequence[Attempt], appraisal: Appraisal | None, held: Held | None) -> tuple[Attempt, ...]:
    """The attempts under one hold with what the last of them cost; one that was turned down before it cost nothing."""
    hold_id = None if held is None else held.hold_id
    nothing = None if held is None else 0
    told = [replace(attempt, hold_id=hold_id, cost_nanos=0, charge_nanos=nothing) for attempt in attempts[:-1]]
    if attempts:
        bill = Bill() if appraisal is None else appraisal.bill
        told.append(replace(attempts[-1], hold_id=hold_id, cost_nanos=bill.cost_nanos, charge_nanos=bill.charge_nanos))
    return tuple(told)


def added_up(legs: Sequence[Leg], last: Bill) -> Bill:
    """The bill of an exchange: what its attempts cost and were charged, summed; unknown where one of them is.

    Each attempt's cost is rounded once, by itself, so that every hold's entries say what the record says of it. A line
    of an earlier attempt says which it belongs to.
    """
    if not legs:
        return last
    bills = [*(leg.bill for leg in legs), last]
    captured = any(bill.settled is Settled.CAPTURED for bill in bills)
    priced = [bill for bill in reversed(bills) if bill.price_source is not None]
    return Bill(
        account=next((bill.account for bill in reversed(bills) if bill.account is not None), None),
        hold_nanos=next((bill.hold_nanos for bill in reversed(bills) if bill.hold_nanos is not None), None),
        cost_nanos=_sum([bill.cost_nanos for bill in bills]),
        charge_nanos=_sum([bill.charge_nanos for bill in bills if bill.account is not None]),
        settled=Settled.CAPTURED if captured else next((b.settled for b in reversed(bills) if b.settled), None),
        price_source=priced[0].price_source if priced else None,
        price_version=priced[0].price_version if priced else None,
        lines=(*_lines(legs), *last.lines),
        flags=tuple(dict.fromkeys(flag for bill in bills for flag in bill.flags)),
    )


def _lines(legs: Sequence[Leg]) -> list[PriceLine]:
    return [
        replace(line, leg=f"attempt {number}" if line.leg is None else f"attempt {number}: {line.leg}")
        for number, leg in enumerate(legs, start=1)
        for line in leg.bill.lines
    ]


def _sum(amounts: Sequence[int | None]) -> int | None:
    """None if there is nothing to add, or one of them is unknown."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None
