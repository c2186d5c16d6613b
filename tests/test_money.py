from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.money import NANOS_PER_DOLLAR, Rate, add_ratios, dollars_text, nanos_from_dollars, nanos_from_ticks
from headgate.money import half_up as rounded_half_up

LARGEST_NANOS = 10**14
DOLLARS = st.one_of(
    st.decimals(min_value=0, max_value=10**5, allow_nan=False, allow_infinity=False),
    st.decimals(min_value=0, max_value=1, places=12),
    st.builds(lambda n, e: Decimal(n).scaleb(e), st.integers(0, 10**40), st.integers(-60, 0)),
    st.integers(0, 10**5),
)


def half_up(exact: Fraction) -> int:
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


@given(DOLLARS)
@example(Decimal("0.0000000005"))
@example(Decimal("0.00000000049999999999999999999999999999999999"))
def test_dollars_are_rounded_half_up_once_and_exactly(dollars: Decimal | int) -> None:
    exact = Fraction(dollars) * NANOS_PER_DOLLAR
    assert nanos_from_dollars(dollars) == (half_up(exact) if exact <= LARGEST_NANOS else None)


@given(st.integers(0, LARGEST_NANOS * 10))
def test_ticks_are_rounded_half_up(ticks: int) -> None:
    assert nanos_from_ticks(ticks) == half_up(Fraction(ticks, 10))


NOT_AMOUNTS = [
    "-0.01", "-1e-30", "NaN", "sNaN", "Infinity", "-Infinity", "1e999999", "-1e999999", "100000.000000001", "1e30",
]  # fmt: skip


@pytest.mark.parametrize("dollars", NOT_AMOUNTS)
def test_what_is_no_amount_is_none(dollars: str) -> None:
    assert nanos_from_dollars(Decimal(dollars)) is None


@pytest.mark.parametrize("ticks", [-1, -(10**30), LARGEST_NANOS * 10 + 1])
def test_ticks_that_are_no_amount_are_none(ticks: int) -> None:
    assert nanos_from_ticks(ticks) is None


AMOUNTS: list[tuple[str, int]] = [
    ("0", 0),
    ("-0.0", 0),
    ("1e-999999", 0),
    ("0.00000232856", 2329),  # hand-worked: 2328.56 nanos
    ("0.0000000004", 0),
    ("0.0000000005", 1),
    ("0.0000000014999", 1),
    ("1", 1_000_000_000),
    ("1E+5", LARGEST_NANOS),
]


@pytest.mark.parametrize(("dollars", "nanos"), AMOUNTS)
def test_dollars(dollars: str, nanos: int) -> None:
    assert nanos_from_dollars(Decimal(dollars)) == nanos


TICKS = [(0, 0), (4, 0), (5, 1), (14, 1), (15, 2), (37_756_000, 3_775_600)]


@pytest.mark.parametrize(("ticks", "nanos"), TICKS)
def test_ticks(ticks: int, nanos: int) -> None:
    assert nanos_from_ticks(ticks) == nanos


TEXTS = [
    (0, "$0.00"),
    (1, "$0.000000001"),
    (23_285_600, "$0.0232856"),
    (100_000_000, "$0.10"),
    (-1_500_000_000, "-$1.50"),
    (1_234_567_000_000_000, "$1234567.00"),
]


@pytest.mark.parametrize(("nanos", "text"), TEXTS)
def test_amounts_for_people(nanos: int, text: str) -> None:
    assert dollars_text(nanos) == text


@given(st.integers(-LARGEST_NANOS, LARGEST_NANOS))
def test_the_text_of_an_amount_says_it_exactly(nanos: int) -> None:
    text = dollars_text(nanos)
    assert Fraction(text.replace("$", "")) * NANOS_PER_DOLLAR == nanos
    assert len(text.partition(".")[2]) >= 2


RATES = st.builds(
    Rate,
    st.decimals(min_value=0, max_value=10**6, places=12),
    st.sampled_from([1, 1_000, 3_600, 1_000_000, 10**9]),
)


@given(RATES)
def test_a_rate_is_the_exact_price_of_one_unit(rate: Rate) -> None:
    exact = Fraction(rate.dollars) / rate.per * NANOS_PER_DOLLAR
    assert Fraction(rate.numerator, rate.denominator) == exact
    assert (rate.numerator, rate.denominator) == exact.as_integer_ratio()


@given(RATES, st.decimals(min_value=0, max_value=10, places=4))
def test_a_rate_times_is_exact(rate: Rate, by: Decimal) -> None:
    assert Fraction(rate.times(by).dollars) == Fraction(rate.dollars) * Fraction(by)


@pytest.mark.parametrize(
    ("dollars", "per"), [("-1", 1), ("NaN", 1), ("Infinity", 1), ("1", 0), ("1", -5), ("1e999999", 1), ("1e-999999", 1)]
)
def test_what_is_no_rate_is_refused(dollars: str, per: int) -> None:
    with pytest.raises(ValueError, match="no price"):
        Rate(Decimal(dollars), per)


RATE_TEXTS = [
    ("2.5", "$2.50 / 1000000"),
    ("10", "$10.00 / 1000000"),
    ("0.0375", "$0.0375 / 1000000"),
    ("1E+1", "$10.00 / 1000000"),
]


@pytest.mark.parametrize(("dollars", "text"), RATE_TEXTS)
def test_rates_for_people(dollars: str, text: str) -> None:
    assert str(Rate(Decimal(dollars), 1_000_000)) == text


RATIOS = st.tuples(st.integers(0, 10**30), st.integers(1, 10**12))


@given(RATIOS, RATIOS)
def test_sums_of_ratios_are_exact(left: tuple[int, int], right: tuple[int, int]) -> None:
    assert Fraction(*add_ratios(left, right)) == Fraction(*left) + Fraction(*right)


@given(RATIOS)
@example((1, 2))
@example((3, 2))
def test_half_up(ratio: tuple[int, int]) -> None:
    assert rounded_half_up(*ratio) == half_up(Fraction(*ratio))
