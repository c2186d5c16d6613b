from typing import Any, cast

import msgspec
from hypothesis import given
from msgspec.structs import replace
from openapi_schema_validator import OAS31Validator

from headgate.admin.records import RecordView, record_view, with_dollars
from headgate.records import Attempt, Bill, PriceLine, Record, Settled
from headgate.usage import Leg, Reading, Usage
from tests.stores.examples import PLAIN, any_record

(REFERENCE,), COMPONENTS = msgspec.json.schema_components([RecordView], ref_template="#/components/schemas/{name}")
VALIDATOR = OAS31Validator(REFERENCE | {"components": {"schemas": COMPONENTS}})

BILL = Bill(
    account="acme",
    hold_nanos=5,
    cost_nanos=2_500_000_000,
    charge_nanos=3_000_000_000,
    settled=Settled.CAPTURED,
    price_source="book",
    price_version="sha256:0123",
    lines=(PriceLine("input_mtok", "100", "2.5", 1_000_000),),
    flags=("estimated",),
)


@given(any_record)
def test_every_record_is_of_the_documented_shape(record: Record) -> None:
    _conforms(record)


def test_a_record_with_everything() -> None:
    leg = Leg("compaction", "claude", Usage(input_tokens=1, cache_read_audio_tokens=1, reported_cost_nanos=7))
    reading = Reading(
        usage=Usage(input_tokens=5, cache_read_image_tokens=2, tool_calls={"web_search": 1}, legs=(leg,)),
        terms={"speed": "fast"},
    )
    record = replace(
        PLAIN, bill=BILL, reading=reading, attempts=(Attempt("a", None, 1, 2, "x", cost_nanos=7),), key_id="key_1"
    )
    view = _conforms(record)
    assert (view["cost_usd"], view["charge_usd"], view["hold_usd"]) == ("2.50", "3.00", "0.000000005")
    assert (view["attempts"][0]["cost_usd"], view["attempts"][0]["charge_usd"]) == ("0.000000007", None)
    assert view["usage"]["legs"][0]["usage"]["reported_cost_usd"] == "0.000000007"
    assert view["usage"]["reported_cost_usd"] is None


def _conforms(record: Record) -> dict[str, Any]:
    view = msgspec.json.decode(msgspec.json.encode(record_view(record)))
    errors = [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(view)]
    assert not errors
    assert set(view) <= set(RecordView.__struct_fields__), "nothing that the document does not name"
    assert set(RecordView.__struct_fields__) - set(view) <= {"terms"}
    return cast("dict[str, Any]", view)


def test_dollars_stand_beside_nanos_and_unknown_stays_unknown() -> None:
    assert with_dollars({"a": 1, "cost_nanos": 5, "tax_nanos": None}) == {
        "a": 1, "cost_nanos": 5, "cost_usd": "0.000000005", "tax_nanos": None, "tax_usd": None,
    }  # fmt: skip
