from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from headgate.access.limits import Limits
from headgate.admin import bodies, views
from headgate.errors import BadRequest


def test_limits_are_those_of_the_gateway() -> None:
    assert bodies.LimitTerms.__struct_fields__ == tuple(field.name for field in fields(Limits))
    assert bodies.LimitTerms(tokens_per_day=7).limits() == Limits(tokens_per_day=7)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_times_come_back(at: datetime) -> None:
    assert views.moment(bodies.nanoseconds(at, "since")) == at


def test_a_time_in_another_zone_is_the_same_moment() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    other = datetime.fromisoformat("2026-01-01T13:00:00+01:00")
    assert bodies.nanoseconds(other, "since") == bodies.nanoseconds(noon, "since")


@pytest.mark.parametrize("year", [1, 1970, 2200, 9999])
def test_a_time_that_no_column_holds_is_refused(year: int) -> None:
    with pytest.raises(BadRequest, match="`since`"):
        bodies.nanoseconds(datetime(year, 1, 1, tzinfo=UTC), "since")


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (bodies.TopUp, {"amount_usd": "0.00"}),
        (bodies.TopUp, {"amount_usd": "-1"}),
        (bodies.TopUp, {"amount_usd": 1}),
        (bodies.Correction, {"amount_usd": "-0", "note": "x"}),
        (bodies.Correction, {"amount_usd": "1"}),
        (bodies.Correction, {"amount_usd": "1", "note": " "}),
        (bodies.AccountTerms, {"kind": "prepaid", "limit_usd": "5"}),
        (bodies.BudgetTerms, {"limit_usd": "-1"}),
        (bodies.NewKey, {"name": "k", "account": "a", "expires_at": "2027-01-01T00:00:00"}),
        (bodies.NewKey, {"name": "k", "account": "a", "tags": ["x"] * 101}),
        (bodies.KeyChanges, {"name": None}),
    ],
)
def test_what_no_body_may_hold(shape: type[msgspec.Struct], text: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, shape)


def test_what_is_left_out_of_changes_is_told_from_null() -> None:
    assert msgspec.convert({}, bodies.KeyChanges).expires_at is msgspec.UNSET
    assert msgspec.convert({"expires_at": None}, bodies.KeyChanges).expires_at is None
