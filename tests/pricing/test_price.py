from decimal import Decimal

import pytest

from headgate.money import Rate
from headgate.pricing.dated import rates_of
from headgate.pricing.price import Multiple, Price, Variant


def price(**rates: str) -> Price:
    return Price("acme", "m", rates_of(rates))


def leaves(plan_of: Price) -> dict[str, tuple[str | None, set[str]]]:
    """By unit, its dollars and the units counted apart from it."""
    plan = plan_of.plan().at(0)
    return {
        leaf.unit: (str(leaf.rate.dollars) if leaf.rate is not None else None, {plan[part].unit for part in leaf.parts})
        for leaf in plan
    }


def test_a_plan_counts_each_token_once() -> None:
    assert leaves(price(input_mtok="4", cache_write_mtok="5", cache_write_1h_mtok="8", output_mtok="20")) == {
        "cache_write_1h_mtok": ("8", set()),
        "cache_write_mtok": ("5", {"cache_write_1h_mtok"}),
        "input_mtok": ("4", {"cache_write_mtok", "cache_write_1h_mtok"}),
        "output_mtok": ("20", set()),
    }


def test_what_is_both_has_the_dearer_rate_where_it_has_none() -> None:
    told = leaves(price(input_mtok="4", cache_read_mtok="0.4", input_audio_mtok="32"))
    assert told["cache_audio_read_mtok"] == ("32", set())
    assert told["input_mtok"] == ("4", {"cache_audio_read_mtok", "cache_read_mtok", "input_audio_mtok"})
    named = leaves(price(input_mtok="4", cache_read_mtok="0.4", input_audio_mtok="32", cache_audio_read_mtok="1"))
    assert named["cache_audio_read_mtok"] == ("1", set())


def test_totals_without_a_rate_stand_in_the_plan_to_be_named() -> None:
    told = leaves(price(input_audio_mtok="3"))
    assert told["input_mtok"] == (None, {"input_audio_mtok"})
    assert told["output_mtok"] == (None, set())


@pytest.mark.parametrize(
    ("tokens", "dollars"), [(0, "1"), (200, "1"), (201, "2"), (400, "2"), (401, "3"), (10**9, "3")]
)
def test_steps_begin_above_their_start(tokens: int, dollars: str) -> None:
    rates = rates_of({"input_mtok": ["1", [200, "2"], [400, "3"]], "output_mtok": "9"})
    assert rates["input_mtok"].at(tokens) == Rate(Decimal(dollars), 1_000_000)
    by_unit = {leaf.unit: leaf.rate for leaf in Price("acme", "m", rates).plan().at(tokens)}
    assert by_unit["input_mtok"] == Rate(Decimal(dollars), 1_000_000)
    assert by_unit["output_mtok"] == Rate(Decimal(9), 1_000_000)


def test_the_first_variant_that_fits_decides_unit_by_unit() -> None:
    told = Price(
        "acme", "m", rates_of({"input_mtok": "4", "output_mtok": "8", "web_searches_kcount": "10"}),
        variants=(
            Variant({"processing": "batch", "service_tier": "flex"}, rates_of({"input_mtok": "1"})),
            Variant({"processing": "batch"}, rates_of({"input_mtok": "2", "output_mtok": "3"})),
        ),
        multiples=(Multiple({"inference_geo": "us"}, Decimal("1.1")),),
    )  # fmt: skip

    def dollars(*terms: tuple[str, str]) -> dict[str, str]:
        return {leaf.unit: str(leaf.rate.dollars) for leaf in told.plan(terms).at(0) if leaf.rate}

    assert dollars() == {"input_mtok": "4", "output_mtok": "8", "web_searches_kcount": "10"}
    batch, flex = ("processing", "batch"), ("service_tier", "flex")
    assert dollars(batch) == {"input_mtok": "2", "output_mtok": "3", "web_searches_kcount": "10"}
    assert dollars(batch, flex) == {"input_mtok": "1", "output_mtok": "3", "web_searches_kcount": "10"}
    assert dollars(("inference_geo", "us")) == {"input_mtok": "4.4", "output_mtok": "8.8", "web_searches_kcount": "10"}
    assert told.plan((flex,)).unmet == (flex,)
    assert told.plan((batch, flex)).unmet == ()
    assert told.plan() is told.plan()


def test_terms_of_any_number_do_not_fill_the_memory() -> None:
    told = price(input_mtok="1")
    for number in range(1000):
        told.plan((("service_tier", str(number)),))
    assert len(told._plans) <= 64


def test_a_form_has_what_is_told_and_what_that_is_part_of() -> None:
    plan = price(input_mtok="4", cache_write_mtok="5", cache_write_1h_mtok="8", input_audio_mtok="9").plan()
    form = plan.form(0, ("cache_write_1h_mtok", "output_mtok", "tool:maps"))
    parts = {leaf.unit: [form.leaves[part].unit for part in leaf.parts] for leaf in form.leaves}
    assert parts == {
        "cache_write_1h_mtok": [],
        "cache_write_mtok": ["cache_write_1h_mtok"],
        "input_mtok": ["cache_write_1h_mtok", "cache_write_mtok"],
        "output_mtok": [],
    }
    assert (form.unsold, form.unknown) == (("tool:maps",), ("unknown:input_mtok",))
    assert plan.form(0, ("cache_write_1h_mtok", "output_mtok", "tool:maps")) is form


def test_a_form_is_of_a_size() -> None:
    plan = Price("acme", "m", rates_of({"input_mtok": ["1", [200, "2"]]})).plan()
    rates = [plan.form(tokens, ("input_mtok",)).leaves[0].rate for tokens in (200, 201)]
    assert rates == [Rate(Decimal(dollars), 1_000_000) for dollars in (1, 2)]


def test_tools_of_any_name_do_not_fill_the_memory() -> None:
    plan = price(input_mtok="1").plan()
    for number in range(1000):
        plan.form(0, (f"tool:{number}",))
    assert len(plan._forms) <= 64


def test_free_units_are_priced_and_sell_nothing() -> None:
    plan = price(input_mtok="0", output_mtok="1").plan()
    assert plan.units == {"input_mtok", "output_mtok"}
    assert not plan.sells("input_mtok")
    assert plan.sells("output_mtok")
    assert not plan.sells("web_searches_kcount")
