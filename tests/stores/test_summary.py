"""The conformance suite holds the worked example; here are the parts."""

from typing import Any

import pytest

from headgate.records import Bill, Ending
from headgate.stores.rows import COUNTS
from headgate.stores.summary import SUMS, GroupBy, UsageRow, in_order, merged, summarise, total
from headgate.usage import Basis, Leg, Usage
from tests.stores.examples import a_record


def test_a_sum_of_unknowns_is_unknown_and_a_known_zero_is_zero() -> None:
    unknown, zero, five = UsageRow("a"), UsageRow("a", input_tokens=0), UsageRow("a", input_tokens=5)
    assert (unknown + unknown).input_tokens is None
    assert (unknown + zero).input_tokens == 0
    assert (zero + unknown).input_tokens == 0
    assert (zero + five).input_tokens == 5


def test_every_number_is_added() -> None:
    one = UsageRow("a", **dict.fromkeys(SUMS, 1))
    assert one + one == UsageRow("a", **dict.fromkeys(SUMS, 2))


def test_rows_of_one_group_are_merged_and_all_make_the_total() -> None:
    rows = [UsageRow("a", exchanges=1), UsageRow(None, exchanges=2), UsageRow("a", exchanges=4, input_tokens=3)]
    assert merged(rows) == [UsageRow("a", exchanges=5, input_tokens=3), UsageRow(None, exchanges=2)]
    assert total(rows) == UsageRow(None, exchanges=7, input_tokens=3)
    assert total([]) == UsageRow(None)


def test_the_busiest_group_comes_first_and_days_come_in_time() -> None:
    rows = [UsageRow(None, 2), UsageRow("b", 2), UsageRow("a", 2), UsageRow("c", 9)]
    assert [row.group for row in in_order(rows, GroupBy.MODEL)] == ["c", "a", "b", None]
    assert [row.group for row in in_order(rows[1:], GroupBy.DAY)] == ["a", "b", "c"]


def test_what_is_an_error_a_cancellation_and_unmetered() -> None:
    cases = [
        # ending, status, basis, (errors, cancelled, unmetered)
        (Ending.COMPLETE, 200, Basis.REPORTED, (0, 0, 0)),
        (Ending.COMPLETE, 200, Basis.NONE, (0, 0, 1)),
        (Ending.INCOMPLETE, 200, Basis.ESTIMATED, (0, 0, 0)),
        (Ending.REFUSED, 429, Basis.NONE, (1, 0, 0)),
        (Ending.REFUSED, 499, Basis.NONE, (1, 0, 0)),
        (Ending.NEVER_SENT, 404, Basis.NONE, (1, 0, 0)),
        (Ending.NEVER_SENT, 499, Basis.NONE, (0, 1, 0)),
        (Ending.NEVER_SENT, 200, Basis.NONE, (0, 0, 0)),
        (Ending.CLIENT_LEFT, 200, Basis.PARTIAL, (0, 1, 0)),
        (Ending.CLIENT_LEFT, 499, Basis.NONE, (0, 1, 1)),
        (Ending.UPSTREAM_CUT, 200, Basis.PARTIAL, (1, 0, 0)),
        (Ending.UPSTREAM_CUT, 504, Basis.NONE, (1, 0, 1)),
        (Ending.UPSTREAM_ERROR, 200, Basis.REPORTED, (1, 0, 0)),
        (Ending.GATEWAY_FAILED, 200, Basis.REPORTED, (1, 0, 0)),
        (Ending.GATEWAY_DIED, 200, Basis.REPORTED, (1, 0, 0)),
    ]
    for ending, status, basis, expected in cases:
        (row,) = summarise([a_record(ending=ending, status=status, basis=basis)], GroupBy.MODEL)
        assert (row.errors, row.cancelled, row.unmetered) == expected, (ending, status, basis)


def test_only_what_may_cost_money_can_be_unmetered() -> None:
    (row,) = summarise([a_record(billable=False, basis=Basis.NONE)], GroupBy.MODEL)
    assert row.unmetered == 0


@pytest.mark.parametrize(
    ("changes", "unpriced"),
    [
        ({}, 1),
        ({"bill": Bill(cost_nanos=0)}, 0),
        ({"bill": Bill(cost_nanos=5, flags=("estimated", "priced_as:unpriced:x"))}, 0),
        ({"bill": Bill(cost_nanos=5, flags=("estimated", "unpriced:web_search"))}, 1),
        ({"billable": False, "counted": False}, 0),
        ({"billable": False, "counted": True}, 1),
        ({"billable": True, "counted": False}, 1),
        ({"ending": Ending.REFUSED, "bill": Bill(flags=("unpriced:usage",))}, 0),
        ({"ending": Ending.GATEWAY_DIED, "bill": Bill(charge_nanos=5)}, 1),
    ],
)
def test_what_is_unpriced(changes: dict[str, Any], unpriced: int) -> None:
    assert total(summarise([a_record(**changes)], GroupBy.MODEL)).unpriced == unpriced


def test_costs_are_summed_whatever_is_counted_and_unknown_is_not_zero() -> None:
    """A request whose answer was lost is paid for, though nothing of it is counted."""
    lost = a_record(counted=False, bill=Bill(cost_nanos=7, charge_nanos=9))
    (row,) = summarise([lost, a_record(bill=Bill(cost_nanos=1)), a_record()], GroupBy.MODEL)
    assert (row.cost_nanos, row.charge_nanos) == (8, 9)
    assert total(summarise([a_record()], GroupBy.MODEL)).cost_nanos is None


def test_legs_of_legs_count_too() -> None:
    inner = Leg("image", "gpt-image", Usage(output_tokens=5))
    outer = Leg("advisor", "claude-opus", Usage(output_tokens=3, legs=(inner,)))
    rows = summarise([a_record(served_model="claude", usage=Usage(output_tokens=1, legs=(outer,)))], GroupBy.MODEL)
    assert {row.group: row.output_tokens for row in rows} == {"claude": 1, "claude-opus": 3, "gpt-image": 5}


def test_json_has_the_names_of_usage_and_the_group_under_what_it_is() -> None:
    named = UsageRow("2025-11-01", exchanges=1, input_tokens=0).as_json(GroupBy.DAY)
    assert named["day"] == "2025-11-01"
    assert (named["input_tokens"], named["output_tokens"]) == (0, None)
    assert set(COUNTS) <= set(Usage.__struct_fields__) & named.keys()
    assert "group" not in named
    assert "day" not in UsageRow("x").as_json()
