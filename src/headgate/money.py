"""Money is an integer number of nano-dollars. No float ever holds an amount.

Providers send costs as JSON decimals of a dollar or as integer ticks; both become nano-dollars here, by the one
rounding rule: half up, once. A price is a `Rate`: exact, so that nothing is rounded before the sum of an exchange is.
"""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from math import gcd, lcm

NANOS_PER_DOLLAR = 1_000_000_000
TICKS_PER_NANO = 10
"""xAI's `cost_in_usd_ticks`: 10^10 ticks are one dollar (recordings; facts/wire.md section 8)."""

_NANO = Decimal("1e-9")
_LARGEST_DOLLARS = 10**5
"""A reported cost above it is nonsense; and a 64-bit sum of nanos holds ninety thousand such."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The exact price of one unit: so many dollars for `per` of them.

    `numerator / denominator` is the price of one unit in nano-dollars, in lowest terms. Raises ValueError if the
    dollars are negative or not finite, or `per` is not positive.
    """

    dollars: Decimal
    per: int
    numerator: int = field(init=False, repr=False, compare=False)
    denominator: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.dollars.is_finite() or self.dollars < 0 or self.per <= 0:
            raise ValueError(f"no price: {self.dollars} per {self.per}")
        # Beyond these digits it is no price, and writing it out as an integer would be the caller's whole memory.
        if self.dollars and not -30 < self.dollars.adjusted() < 15:
            raise ValueError(f"no price: {self.dollars} per {self.per}")
        over, under = self.dollars.as_integer_ratio()
        over, under = over * NANOS_PER_DOLLAR, under * self.per
        common = gcd(over, under)
        object.__setattr__(self, "numerator", over // common)
        object.__setattr__(self, "denominator", under // common)

    def times(self, by: Decimal) -> "Rate":
        """The rate at `by` times its price."""
        with localcontext(prec=60):
            return Rate(self.dollars * by, self.per)

    def __str__(self) -> str:
        """For people: "$2.50 / 1000000"."""
        text = f"{self.dollars:f}"
        whole, _, decimals = text.partition(".")
        return f"${whole}.{decimals.rstrip('0').ljust(2, '0')} / {self.per}"


def add_ratios(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    """The exact sum of two fractions (numerator, denominator), not reduced."""
    (a, b), (c, d) = left, right
    if b == d:
        return a + c, b
    common = lcm(b, d)
    return a * (common // b) + c * (common // d), common


def half_up(numerator: int, denominator: int) -> int:
    """The one rounding rule, for a non-negative exact amount: the nearest integer, a half rounded up."""
    return (2 * numerator + denominator) // (2 * denominator)


def nanos_from_dollars(dollars: int | Decimal) -> int | None:
    """Nano-dollars of a non-negative dollar amount, half a nano rounded up; None if it is negative or not finite."""
    try:
        amount = Decimal(dollars)
        if not 0 <= amount <= _LARGEST_DOLLARS:
            return None
        # Rounded before it is scaled: a product would be rounded to the context's 28 digits first, and may overflow.
        return int(amount.quantize(_NANO, rounding=ROUND_HALF_UP).scaleb(9))
    except InvalidOperation:  # NaN compares by raising
        return None


def nanos_from_ticks(ticks: int) -> int | None:
    """Nano-dollars of xAI ticks, half a nano rounded up; None if negative."""
    if not 0 <= ticks <= _LARGEST_DOLLARS * NANOS_PER_DOLLAR * TICKS_PER_NANO:
        return None
    return (ticks + TICKS_PER_NANO // 2) // TICKS_PER_NANO


def dollars_text(nanos: int) -> str:
    """An amount for people: "$0.0232856", never in exponent form, at least two decimals."""
    whole, rest = divmod(abs(nanos), NANOS_PER_DOLLAR)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nanos < 0 else ''}${whole}.{decimals}"
