"""Money is an integer number of nano-dollars. No float ever holds an amount.

Providers send costs as JSON decimals of a dollar or as integer ticks; both become nano-dollars here, by the one
rounding rule: half up, once.
"""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

NANOS_PER_DOLLAR = 1_000_000_000
TICKS_PER_NANO = 10
"""xAI's `cost_in_usd_ticks`: 10^10 ticks are one dollar (recordings; facts/wire.md section 8)."""

_NANO = Decimal("1e-9")
_LARGEST_DOLLARS = 10**9
"""A reported cost above it is nonsense; ten times as much would not fit a 64-bit column of nanos either."""


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
