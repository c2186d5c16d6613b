"""One model of a book: its names, and its rates by date and time of day.

The rates of a model are read from the book's JSON when the model is first asked for: a book has thousands of models,
and a gateway serves a few.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from headgate.money import Rate
from headgate.pricing.price import Multiple, Price, Source, Steps, Variant
from headgate.pricing.units import unit_of

_NS = 1_000_000_000
_DAY = 86_400
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_AMOUNT = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,30})?")
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def second_of(date: str) -> int:
    """The second since the Unix epoch at which a day "2026-10-14" begins in UTC. Raises ValueError."""
    match = _DATE.fullmatch(date)
    year, month, day = map(int, match.groups()) if match else (0, 0, 0)
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= _MONTH_DAYS[month - 1]):
        raise ValueError(f"expected a date such as 2026-10-14, not {date!r}")
    # Years that begin in March end with the leap day, so days before a month do not depend on the year.
    years, months = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * months + 2) // 5 + day - 1
    return (days - 719_468) * _DAY


def clock_of(text: str) -> int:
    """The second of the day at which it is "16:30" or "16:30:59". Raises ValueError."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a time of day such as 16:30, not {text!r}")
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0)


class Constraint:
    """When an entry holds: from a day on, or every day between two times (UTC); the second is no longer in it."""

    __slots__ = ("between", "start")

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.start = second_of(entry["from"]) if "from" in entry else None
        between = entry.get("between")
        self.between = (clock_of(between[0]), clock_of(between[1])) if between is not None else None

    def holds(self, second: int) -> bool:
        """True at that second since the epoch."""
        if self.start is not None and second < self.start:
            return False
        if self.between is None:
            return True
        (begin, end), now = self.between, second % _DAY
        return begin <= now < end if begin <= end else now >= begin or now < end


class Model:
    """A model as the book has it: what its JSON says under `models`."""

    __slots__ = ("_by_moment", "_clocks", "_holds", "_rates", "_starts", "entry", "provider", "source")

    def __init__(self, provider: str, entry: Mapping[str, Any], source: Source = "book") -> None:
        self.provider = provider
        self.source: Source = source
        self.entry = entry
        self._rates: list[tuple[Constraint, Mapping[str, Steps]]] | None = None
        self._holds: list[tuple[Constraint, Variant]] = []
        self._starts: list[int] = []
        self._clocks: list[int] = []
        self._by_moment: dict[tuple[int, int], Price | None] = {}

    @property
    def id(self) -> str:
        """The name that the book goes by."""
        return str(self.entry["id"])

    @property
    def names(self) -> tuple[str, ...]:
        """Its exact names in lower case, the id first."""
        return tuple(dict.fromkeys(name.lower() for name in (self.id, *self.entry.get("names", ()))))

    def borrowed(self) -> "Model":
        """The model as another provider sells it: for the same rates, but not on the same special terms."""
        own = {"variants", "times"}
        return Model(self.provider, {key: value for key, value in self.entry.items() if key not in own})

    @property
    def context_window(self) -> int | None:
        """Input tokens that the model takes at most, where that is known."""
        return self.entry.get("context")

    @property
    def dates(self) -> tuple[str, ...]:
        """The days on which its rates change, in order."""
        entries = (*self.entry["prices"], *self.entry.get("variants", ()))
        return tuple(sorted({entry["from"] for entry in entries if "from" in entry}))

    @property
    def clauses(self) -> Sequence[Mapping[str, Any]]:
        """What describes further names."""
        return tuple(self.entry.get("match", ()))

    def price_at(self, at_ns: int) -> Price | None:
        """The price at that moment; None if the book knows the model and has no rates for it."""
        if self._rates is None:
            self._read()
        second = at_ns // _NS
        moment = (bisect_right(self._starts, second), bisect_right(self._clocks, second % _DAY))
        try:
            return self._by_moment[moment]
        except KeyError:
            price = self._by_moment[moment] = self._price(second)
            return price

    def _read(self) -> None:
        rates: list[tuple[Constraint, Mapping[str, Steps]]] = [
            (Constraint(entry), rates_of(entry["rates"])) for entry in self.entry["prices"]
        ]
        self._holds = [
            (Constraint(entry), Variant(entry["when"], rates_of(entry["rates"])))
            for entry in self.entry.get("variants", ())
        ]
        constraints = [constraint for constraint, _ in (*rates, *self._holds)]
        self._starts = sorted({c.start for c in constraints if c.start is not None})
        self._clocks = sorted({clock for c in constraints if c.between is not None for clock in c.between})
        self._rates = rates

    def _price(self, second: int) -> Price | None:
        """The last rates that hold; the first ones where none do, which are the oldest known."""
        told = self._rates or []
        rates = next((rates for constraint, rates in reversed(told) if constraint.holds(second)), told[0][1])
        if not rates:
            return None
        return Price(
            provider=self.provider,
            model=self.id,
            rates=rates,
            variants=tuple(variant for constraint, variant in self._holds if constraint.holds(second)),
            multiples=tuple(Multiple(m["when"], Decimal(m["by"])) for m in self.entry.get("times", ())),
            least=self.entry.get("least", {}),
            context_window=self.context_window,
            source=self.source,
        )


def rates_of(table: Mapping[str, Any]) -> dict[str, Steps]:
    """Rates by unit: "2.50", or ["2.50", [200000, "5"]] where a larger request has another. Raises ValueError."""
    found: dict[str, Steps] = {}
    for name, value in table.items():
        unit = unit_of(name)
        if unit is None:
            raise ValueError(f"no such unit: {name!r}")
        base, *above = value if isinstance(value, list) else [value]
        found[name] = Steps(rate_of(base, unit.per), tuple(_steps(above, unit.per)))
    return found


def _steps(above: Iterable[Any], per: int) -> Iterable[tuple[int, Rate]]:
    last = -1
    for step in above:
        start, text = step if isinstance(step, list) and len(step) == 2 else (None, None)
        if type(start) is not int or start <= last:
            raise ValueError(f"expected [input tokens, rate], in ascending order, not {step!r}")
        last = start
        yield start, rate_of(text, per)


def rate_of(text: Any, per: int) -> Rate:
    """A rate as a decimal text of dollars for `per` units. Raises ValueError."""
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise ValueError(f'expected dollars as a decimal text such as "2.50", not {text!r}')
    return Rate(Decimal(text), per)
