"""What is charged beyond cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

_LARGEST = Decimal(10)
"""A mark-up of more is a slip of the pen: "20" was meant to be "20%"."""


@dataclass(frozen=True, slots=True)
class Markup:
    """An exact factor on cost: 6/5 is 20 % more."""

    numerator: int = 1
    denominator: int = 1

    @classmethod
    def parse(cls, value: Any) -> "Markup":
        """Read "20%" (on top) or "1.2" (times). Raises ValueError; a float is refused, as it is no exact number."""
        text = str(value) if type(value) is int or isinstance(value, Decimal) else value
        if not isinstance(text, str):
            raise ValueError(f'expected a mark-up as text, "20%" or "1.2", not {value!r}')  # noqa: TRY004 - bad data
        percent = text.strip().endswith("%")
        digits = text.strip().rstrip("%").strip()
        if not digits.lstrip("-").replace(".", "", 1).isdecimal() or len(digits) > 20:
            raise ValueError(f'expected a mark-up such as "20%" or "1.2", not {text!r}')
        factor = 1 + Decimal(digits) / 100 if percent else Decimal(digits)
        if not 0 <= factor <= _LARGEST:
            raise ValueError(f"a mark-up of {text} is {factor} times the cost; expected 0 to {_LARGEST} times")
        return cls(*factor.as_integer_ratio())


@dataclass(frozen=True, slots=True)
class Markups:
    """The mark-up of each exchange: the most particular one that is set."""

    overall: Markup = Markup()
    particular: Mapping[tuple[str, str | None], Markup] = field(default_factory=dict)
    """By (provider, model) or, for all its models, (provider, None)."""

    def of(self, provider: str, model: str | None) -> Markup:
        """The mark-up for a provider's model."""
        if not self.particular:
            return self.overall
        keys = ((provider, model and model.lower()), ("*", model and model.lower()), (provider, None))
        return next((self.particular[key] for key in keys if key in self.particular), self.overall)
