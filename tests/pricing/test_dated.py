from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.money import Rate
from headgate.pricing.dated import Model, clock_of, rate_of, rates_of, second_of

DAYS = st.dates(date(1970, 1, 1), date(2400, 12, 31))


@given(DAYS)
def test_days_begin_when_the_calendar_says(day: date) -> None:
    assert second_of(day.isoformat()) == (day - date(1970, 1, 1)) // timedelta(seconds=1)


@pytest.mark.parametrize(
    "text", ["", "2026-13-01", "2026-00-01", "2026-01-32", "2026-04-31x", "1969-12-31", "26-01-01"]
)
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a date"):
        second_of(text)


def test_clocks() -> None:
    assert clock_of("16:30") == 59_400
    assert clock_of("23:59:59") == 86_399
    for text in ("24:00", "1:00", "16:60", "16:30Z", ""):
        with pytest.raises(ValueError, match="time of day"):
            clock_of(text)


def dollars(model: Model, moment: datetime) -> str | None:
    price = model.price_at(int(moment.timestamp()) * 10**9)
    return None if price is None else str(price.rates["input_mtok"].base.dollars)


def entry(*prices: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"id": "M", "prices": [{"rates": {"input_mtok": rate}} | when for rate, when in prices]}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_last_price_that_holds_is_taken_and_the_first_where_none_does() -> None:
    model = Model(
        "p", entry(("3", {"from": "2026-01-01"}), ("2", {"from": "2026-03-01"}), ("1", {"from": "2026-10-14"}))
    )
    assert dollars(model, at("2025-01-01")) == "3"
    assert dollars(model, at("2026-02-28T23:59:59")) == "3"
    assert dollars(model, at("2026-03-01")) == "2"
    assert dollars(model, at("2026-10-13T23:59:59")) == "2"
    assert dollars(model, at("2026-10-14")) == "1"
    assert model.dates == ("2026-01-01", "2026-03-01", "2026-10-14")


def test_times_of_day_also_over_midnight() -> None:
    model = Model("p", entry(("2", {}), ("1", {"between": ["16:30", "00:30"]})))
    for clock, wanted in (("16:29:59", "2"), ("16:30", "1"), ("23:59:59", "1"), ("00:00", "1"), ("00:30", "2")):
        assert dollars(model, at(f"2026-11-21T{clock}")) == wanted
    day = Model("p", entry(("2", {}), ("1", {"between": ["01:00", "04:00"]})))
    assert [dollars(day, at(f"2026-11-21T0{hour}:00")) for hour in (0, 1, 3, 4)] == ["2", "1", "1", "2"]


MOMENTS = st.integers(0, 2 * 366 * 86_400).map(lambda second: at("2025-01-01") + timedelta(seconds=second))


@given(MOMENTS, st.data())
def test_what_is_remembered_is_what_would_be_found_anew(moment: datetime, data: st.DataObject) -> None:
    """However moments are mixed: a model that has answered for many says what a fresh one says."""
    raw = entry(
        ("1", {}), ("2", {"from": "2025-06-01"}), ("3", {"between": ["22:00", "03:00"]}), ("4", {"from": "2026-06-01"})
    )
    used = Model("p", raw)
    for other in data.draw(st.lists(MOMENTS, max_size=5)):
        dollars(used, other)
    assert dollars(used, moment) == dollars(Model("p", raw), moment)


def test_variants_have_dates_of_their_own() -> None:
    raw = entry(("4", {})) | {
        "variants": [
            {"when": {"processing": "batch"}, "rates": {"input_mtok": "2"}, "from": "2026-10-14"},
            {"when": {"speed": "fast"}, "rates": {"input_mtok": "24"}},
        ]
    }
    model = Model("p", raw)
    before, after = (model.price_at(second_of(day) * 10**9) for day in ("2026-10-13", "2026-10-14"))
    assert before is not None
    assert after is not None
    assert [dict(variant.when) for variant in before.variants] == [{"speed": "fast"}]
    assert [dict(variant.when) for variant in after.variants] == [{"processing": "batch"}, {"speed": "fast"}]
    assert model.price_at(second_of("2026-10-15") * 10**9) is after
    borrowed = model.borrowed().price_at(second_of("2026-10-14") * 10**9)
    assert borrowed is not None
    assert borrowed.variants == ()


def test_a_model_without_rates_has_no_price() -> None:
    assert Model("p", {"id": "x", "prices": [{"rates": {}}]}).price_at(0) is None


def test_names_are_in_lower_case_and_each_once() -> None:
    assert Model("p", {"id": "Big-Model", "names": ["big-model", "bm"], "prices": []}).names == ("big-model", "bm")


def test_rates() -> None:
    assert rate_of("0.0375", 1_000_000) == Rate(Decimal("0.0375"), 1_000_000)
    assert rates_of({"audio_hours": "0.36"})["audio_hours"].base.per == 3600


BAD: list[tuple[dict[str, Any], str]] = [
    ({"input_mtok": 2.5}, "decimal text"),
    ({"input_mtok": 2}, "decimal text"),
    ({"input_mtok": "-1"}, "decimal text"),
    ({"input_mtok": "1e3"}, "decimal text"),
    ({"input_mtok": "NaN"}, "decimal text"),
    ({"input_mtok": "9" * 16}, "decimal text"),
    ({"input_mtok": True}, "decimal text"),
    ({"input_tokens": "1"}, "no such unit"),
    ({"input_mtok": ["1", ["200000", "2"]]}, "ascending"),
    ({"input_mtok": ["1", [200, "2"], [200, "3"]]}, "ascending"),
    ({"input_mtok": ["1", "2"]}, "ascending"),
]


@pytest.mark.parametrize(("table", "why"), BAD)
def test_what_is_no_rate_is_refused(table: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rates_of(table)
