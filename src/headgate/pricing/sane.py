"""Rates that cannot be right, such as a price for a token that was entered as one for a million.

The bounds lie well outside of all that genai-prices 0.2.3 lists (tokens: 0.0011 to 600 dollars a million), and so that
a price a token, of which the largest is 0.0006, is below the lower one (facts/stream_cases.md 10.24).
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from headgate.pricing.price import Steps
from headgate.pricing.units import unit_of

_TOKENS = (Decimal("0.001"), Decimal(2000))
_OTHER = (Decimal("0.001"), Decimal(1000))


def oddities(rates: Mapping[str, Steps]) -> Iterator[str]:
    """What is odd about rates, in words. A rate of 0 is not: what is free is priced at 0."""
    for name, steps in rates.items():
        unit = unit_of(name)
        least, most = _TOKENS if unit is not None and "tokens" in unit.kinds else _OTHER
        for rate in (steps.base, *(rate for _, rate in steps.above)):
            if rate.dollars and not least <= rate.dollars <= most:
                yield f"{name} at {rate} is outside ${least} to ${most}: is that a price for another number of units?"
