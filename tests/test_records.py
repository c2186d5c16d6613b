import json

import pytest
from msgspec.structs import fields, replace

from headgate.records import (
    Attempt,
    Bill,
    Ending,
    Mark,
    PriceLine,
    Record,
    Settled,
    Wanted,
    bears,
    disputed,
    exchange_of,
    hold_id_of,
    stood_in_for,
)
from headgate.usage import Basis, Reading, Usage
from tests.stores.examples import NOON, a_record

RECORD = Record(
    exchange_id="x1",
    started_at_ns=1,
    method="POST",
    path="/v1/chat/completions",
    dialect="openai.chat",
    operation="create",
    provider="openai",
    key="team",
    model_asked="gpt",
    streamed=True,
    status=200,
    ending=Ending.COMPLETE,
    reading=Reading(usage=Usage(input_tokens=7), basis=Basis.REPORTED, served_model="gpt-1"),
    billable=True,
    counted=True,
    first_byte_ns=2,
    total_ns=3,
    bytes_in=4,
    bytes_out=4,
)


TERMS = {"terms"}
"""Told only where there are any."""
PARTS = (Record, Bill, Reading)


def test_a_record_as_json_is_its_fields_the_bills_and_the_readings() -> None:
    said = json.loads(json.dumps(RECORD.as_json()))
    names = {field.name for part in PARTS for field in fields(part)}
    assert set(said) == names - {"reading", "bill"} - TERMS
    assert said["ending"] == "complete"
    assert said["usage"]["input_tokens"] == 7
    assert (said["served_model"], said["basis"], said["model_asked"]) == ("gpt-1", "reported", "gpt")


def test_no_field_of_a_part_hides_one_of_another() -> None:
    names = [field.name for part in PARTS for field in fields(part)]
    assert len(names) == len(set(names))


BILL = Bill(
    account="acme",
    hold_nanos=9_000,
    cost_nanos=5_000,
    charge_nanos=6_000,
    settled=Settled.CAPTURED,
    price_source="book",
    price_version="abc",
    lines=(PriceLine("input_mtok", "5", "1.00", 1_000_000), PriceLine("output_mtok", "0.5", "2", 1_000_000, "leg")),
    flags=("estimated", "overrun"),
)


def test_a_bill_as_json() -> None:
    said = json.loads(json.dumps(replace(RECORD, bill=BILL).as_json()))
    assert {name: said[name] for name in Bill.__struct_fields__} == {
        "account": "acme",
        "hold_nanos": 9_000,
        "cost_nanos": 5_000,
        "charge_nanos": 6_000,
        "settled": "captured",
        "price_source": "book",
        "price_version": "abc",
        "lines": [
            {"unit": "input_mtok", "quantity": "5", "dollars": "1.00", "per": 1_000_000, "leg": None},
            {"unit": "output_mtok", "quantity": "0.5", "dollars": "2", "per": 1_000_000, "leg": "leg"},
        ],
        "flags": ["estimated", "overrun"],
    }


def test_what_is_not_known_of_a_bill_is_null_and_not_0() -> None:
    said = RECORD.as_json()
    amounts = ("account", "hold_nanos", "cost_nanos", "charge_nanos", "settled", "price_source", "price_version")
    assert [said[name] for name in amounts] == [None] * len(amounts)
    assert (said["lines"], said["flags"]) == ([], [])


def test_a_disputed_record_differs_in_that_alone() -> None:
    record = replace(RECORD, bill=BILL)
    assert disputed(record) == replace(record, bill=replace(BILL, settled=Settled.DISPUTED))
    assert disputed(record).as_json()["settled"] == "disputed"


def test_what_becomes_of_a_hold() -> None:
    assert {str(settled) for settled in Settled} == {"captured", "voided", "expired", "disputed"}


def test_attempts_are_told_in_order() -> None:
    answered = Attempt("b", 200, 5, 9, None, "m", "complete", "ex_1.2", 7, 8)
    attempts = (Attempt("a", None, 0, 5, "upstream_unreachable: no"), answered)
    said = json.loads(json.dumps(replace(RECORD, attempts=attempts).as_json()))
    assert said["attempts"] == [
        {
            "provider": "a", "status": None, "started_ns": 0, "ended_ns": 5, "error": "upstream_unreachable: no",
            "model": None, "ending": None, "hold_id": None, "cost_nanos": None, "charge_nanos": None,
        },
        {
            "provider": "b", "status": 200, "started_ns": 5, "ended_ns": 9, "error": None, "model": "m",
            "ending": "complete", "hold_id": "ex_1.2", "cost_nanos": 7, "charge_nanos": 8,
        },
    ]  # fmt: skip


def test_the_endings() -> None:
    assert {str(ending) for ending in Ending} == {
        "never_sent", "refused", "complete", "incomplete", "client_left", "upstream_cut", "upstream_error",
        "gateway_failed", "gateway_died",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(), True),
        (Wanted(since_ns=NOON), True),
        (Wanted(since_ns=NOON + 1), False),
        (Wanted(key="team-a"), True),
        (Wanted(key="key_1"), True),
        (Wanted(key="acme"), False),
        (Wanted(account="acme"), True),
        (Wanted(account="b"), False),
        (Wanted(model="gpt-4o-2024-08-06"), True),
        (Wanted(model="gpt-4o"), False),
        (Wanted(provider="openai"), True),
        (Wanted(provider="groq"), False),
        (Wanted(until_ns=NOON + 1), True),
        (Wanted(until_ns=NOON), False),
        (Wanted(ending=Ending.COMPLETE), True),
        (Wanted(ending=Ending.REFUSED), False),
        (Wanted(mark=Mark.UNPRICED), BILL.cost_nanos is None),
        (Wanted(mark=Mark.FAILED), False),
        (Wanted(NOON, NOON + 1, "key_1", "acme", "gpt-4o-2024-08-06", "openai"), True),
        (Wanted(NOON, NOON + 1, "key_1", "acme", "gpt-4o-2024-08-06", "groq"), False),
    ],
)
def test_which_records_are_wanted(wanted: Wanted, fits: bool) -> None:
    assert wanted.fits(a_record(key="team-a", key_id="key_1", bill=BILL)) is fits


def test_a_model_is_the_one_asked_for_where_none_served() -> None:
    assert Wanted(model="gpt-4o").fits(a_record(served_model=None))
    assert not Wanted(account="acme").fits(a_record())


def test_a_refused_turn_of_a_socket_has_failed_though_its_socket_was_taken() -> None:
    assert bears(a_record(status=200, ending=Ending.REFUSED), Mark.FAILED)
    assert not bears(a_record(status=200, ending=Ending.COMPLETE), Mark.FAILED)


@pytest.mark.parametrize(("number", "hold_id"), [(1, "ex_1"), (2, "ex_1.2"), (11, "ex_1.11")])
def test_holds_are_named_after_their_exchange(number: int, hold_id: str) -> None:
    assert hold_id_of("ex_1", number) == hold_id
    assert exchange_of(hold_id) == "ex_1"


def test_who_was_asked_before() -> None:
    attempts = tuple(Attempt(name, None, 0, 1) for name in "abacc")
    assert stood_in_for(replace(RECORD, provider="c", attempts=attempts)) == ("a", "b")
    assert stood_in_for(replace(RECORD, provider="a", attempts=attempts[:3])) == ("b",)
    assert stood_in_for(RECORD) == ()
