"""cost(): what a usage costs at its provider, as exact lines; worst_case(): the most it may cost, before it is known.

A cost is rounded once, half a nano-dollar up, from the exact sum of its lines. What could not be priced is named in
`unpriced` and never taken for 0:

    input_mtok, billed:images    counted, and without a rate
    tier:priority, geo:us        terms without rates of their own: the standard ones were taken
    unknown:output_mtok          sold, and not reported
    odd:input_mtok               its parts are more than the whole
    leg:advisor_message          a part at another model's price, which has none
    model, usage                 no price at all; nothing reported at all
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from headgate.money import Rate, add_ratios, half_up
from headgate.pricing.book import PriceBook
from headgate.pricing.markup import Markup
from headgate.pricing.price import Price, Terms
from headgate.pricing.units import Quantity, counts_of
from headgate.usage import Leg, Usage

_NANO = Rate(Decimal(1), 10**9)
_OWN_MODEL = frozenset({"image_generation", "transcription"})
"""Kinds of legs that the model which served never makes itself: without a name they have no price."""


class Line(Struct, frozen=True):
    """So much of a unit at a rate; `leg` is the kind of the part that it belongs to, None for the exchange itself."""

    unit: str
    quantity: Quantity
    rate: Rate
    leg: str | None = None


class Cost(Struct, frozen=True):
    """What a usage costs. `nanos` is None where it is not known, and then the exact amount means nothing."""

    nanos: int | None
    lines: tuple[Line, ...]
    source: Literal["book", "operator", "reported", "none"]
    version: str
    """Of the book that was used."""
    unpriced: tuple[str, ...]
    numerator: int
    """The exact cost in nano-dollars, over `denominator`."""
    denominator: int


def cost(  # noqa: PLR0917 - each is of another type
    usage: Usage, provider: str, model: str | None, book: PriceBook, at_ns: int, terms: Mapping[str, str]
) -> Cost:
    """The cost of a usage of the model that served, in nano-dollars.

    `at_ns` is the moment of the request since the Unix epoch; `terms` are those that it was served on: `service_tier`,
    `speed`, `processing` and `inference_geo`. A cost that the provider reported wins, unless the operator set a price.
    """
    price = book.find(provider, model, at_ns) if model is not None else None
    bill = _Bill(provider, model, book, at_ns)
    if usage.reported_cost_nanos is not None and (price is None or price.source == "book"):
        bill.lines.append(Line("reported_nanos", usage.reported_cost_nanos, _NANO))
        return bill.cost("reported")
    counts = counts_of(usage)
    if counts and price is None:
        bill.unpriced.append("model")
        return bill.cost("none")
    if counts and price is not None:
        bill.add(counts, price, normalised(terms))
    if usage.legs:
        bill.add_legs(usage.legs, terms)
    if not counts and not bill.priced_legs:
        bill.unpriced.append("usage")
        return bill.cost("none")
    return bill.cost(price.source if price is not None else bill.leg_source)


def prompt_cost(  # noqa: PLR0917 - in the order of cost()
    tokens: int, provider: str, model: str, book: PriceBook, at_ns: int, terms: Mapping[str, str]
) -> Cost:
    """The cost of a prompt of so many tokens to which nothing was answered."""
    price = book.find(provider, model, at_ns)
    bill = _Bill(provider, model, book, at_ns)
    if price is None:
        bill.unpriced.append("model")
        return bill.cost("none")
    bill.add({"input_mtok": tokens, "output_mtok": 0}, price, normalised(terms))
    return bill.cost(price.source)


class _Bill:
    """A cost in the making."""

    __slots__ = (
        "_at_ns", "_book", "_complete", "_model", "_provider", "leg_source", "lines", "priced_legs", "unpriced",
    )  # fmt: skip

    def __init__(self, provider: str, model: str | None, book: PriceBook, at_ns: int) -> None:
        self.lines: list[Line] = []
        self.unpriced: list[str] = []
        self.priced_legs = 0
        self._complete = True
        self.leg_source: Literal["book", "operator", "reported"] = "book"
        self._provider, self._model, self._book, self._at_ns = provider, model, book, at_ns

    def add(self, counts: Mapping[str, Quantity], price: Price, terms: Terms, leg: str | None = None) -> None:
        """Price what was counted."""
        plan = price.plan(terms)
        form = plan.form(counts.get("input_mtok", 0), tuple(counts))
        left: list[Quantity] = []
        for unit, rate, parts, least in form.leaves:
            count: Quantity = 1 if unit == "requests_kcount" and leg is None else counts.get(unit, 0)
            for part in parts:
                count -= left[part]
            if count < 0:
                self.unpriced.append(f"odd:{unit}")
                count = 0
            left.append(count)
            if not count:
                continue
            if rate is not None:
                self.lines.append(Line(unit, max(count, least), rate, leg))
            elif not form.sold_apart:
                self._missed(unit)
        self.unpriced += form.unmet
        for name in form.unsold + form.unknown:
            if counts.get(name, 1):
                self._missed(name)
        if leg == "batch" and "requests_kcount" in plan.units:
            self._missed("requests_kcount")

    def add_legs(self, legs: tuple[Leg, ...], terms: Mapping[str, str]) -> None:
        """Price the parts that the totals leave out, each at its own model's price."""
        for leg in legs:
            model = leg.model or (None if leg.kind in _OWN_MODEL else self._model)
            price = self._book.find(self._provider, model, self._at_ns) if model is not None else None
            reported = leg.usage.reported_cost_nanos
            if reported is not None and (price is None or price.source == "book"):
                self.lines.append(Line("reported_nanos", reported, _NANO, leg.kind))
                self.priced_legs, self.leg_source = self.priced_legs + 1, "reported"
                continue
            counts = counts_of(leg.usage)
            if counts and price is not None:
                own = {**terms, "processing": "batch"} if leg.kind == "batch" else terms
                self.add(counts, price, normalised(own), leg.kind)
                self.priced_legs, self.leg_source = self.priced_legs + 1, price.source
            elif counts:
                self._missed(f"leg:{leg.kind}")
            self.add_legs(leg.usage.legs, terms)

    def _missed(self, what: str) -> None:
        self.unpriced.append(what)
        self._complete = False

    def cost(self, source: Literal["book", "operator", "reported", "none"]) -> Cost:
        """The sum of the lines; not known where something was used and nothing of it could be priced."""
        known = source != "none" and (self._complete or bool(self.lines))
        over, under = 0, 1
        for line in self.lines:
            top, bottom = amount(line)
            if bottom == under:
                over += top
            else:
                over, under = add_ratios((over, under), (top, bottom))
        return Cost(
            nanos=half_up(over, under) if known else None,
            lines=tuple(self.lines),
            source=source if known else "none",
            version=self._book.version,
            unpriced=tuple(dict.fromkeys(self.unpriced)) if self.unpriced else (),
            numerator=over,
            denominator=under,
        )


def amount(line: Line) -> tuple[int, int]:
    """A line's exact amount in nano-dollars: numerator and denominator."""
    rate, quantity = line.rate, line.quantity
    if isinstance(quantity, int):
        return quantity * rate.numerator, rate.denominator
    over, under = quantity.as_integer_ratio()
    return over * rate.numerator, under * rate.denominator


_STANDARD = {
    "service_tier": frozenset({"", "standard", "default", "on_demand", "auto", "traffic_type_unspecified"}),
    "speed": frozenset({"", "standard"}),
    "processing": frozenset({"", "standard", "realtime"}),
    "inference_geo": frozenset({"", "global", "not_available"}),
    "traffic_type": frozenset({"", "on_demand", "traffic_type_unspecified"}),
}
"""Words for the standard terms (recordings; facts/stream_cases.md 2.10 to 2.13)."""
_UNSAID = frozenset({""})


def normalised(terms: Mapping[str, str]) -> Terms:
    """The terms that differ from the standard ones, sorted.

    Vertex says ON_DEMAND_FLEX for flex (recordings), and Anthropic's service tier "batch" is a way of processing.
    """
    if not terms:
        return ()
    found: dict[str, str] = {}
    for key, value in terms.items():
        word = value.strip().lower()
        if word in _STANDARD.get(key, _UNSAID):
            continue
        if key == "service_tier":
            word = word.removeprefix("on_demand_")
            if word == "batch":
                key = "processing"  # noqa: PLW2901 - the same term under its other name
        found[key] = word
    return tuple(sorted(found.items()))


def worst_case(  # noqa: PLR0917 - in the order of cost()
    provider: str,
    model: str,
    book: PriceBook,
    at_ns: int,
    input_tokens: int,
    output_tokens: int,
    terms: Mapping[str, str],
) -> int | None:
    """The most nano-dollars that a request of up to so many tokens may cost; None if the model has no such price.

    Every token at the dearest rate that a token of its side may have, on the terms asked for or the standard ones, for
    a request of any size up to this. Tools' fees and legs are beyond it: nobody knows how many there will be.
    """
    price = book.find(provider, model, at_ns)
    if price is None:
        return None
    standard, asked = price.plan(), price.plan(normalised(terms))
    worst = standard.worst(input_tokens, output_tokens)
    if asked is standard:
        return worst
    bounds = (worst, asked.worst(input_tokens, output_tokens))
    return max((bound for bound in bounds if bound is not None), default=None)


def charge(cost: Cost, markup: Markup) -> int | None:
    """What the client pays: the exact cost with its mark-up, rounded once, in nano-dollars; None if it is not known."""
    if cost.nanos is None:
        return None
    return half_up(cost.numerator * markup.numerator, cost.denominator * markup.denominator)
