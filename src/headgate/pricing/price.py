"""Price: the rates of one model at one moment, and the plan that they make for the terms that apply.

A plan holds the units that are priced, most particular first, each with the units that are part of it: a unit's own
count is what its parts leave of it, so every token is priced once (genai-prices decomposes in the same way). Usages of
a model nearly all tell the same few units; what is the same for all that do is worked out once, as a form of the plan.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import lcm
from typing import Literal, NamedTuple

from msgspec import Struct

from headgate.money import Rate
from headgate.pricing.units import BY_KINDS, TOKENS, Unit, unit_of

Source = Literal["book", "operator"]
Terms = tuple[tuple[str, str], ...]
"""Terms other than the standard ones, normalised and sorted: (("service_tier", "flex"),)."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A rate that depends on the size of the whole request: `above` holds (input tokens, rate), ascending.

    A request of exactly that many input tokens is still below the step (facts/stream_cases.md 2.9).
    """

    base: Rate
    above: tuple[tuple[int, Rate], ...] = ()

    def at(self, input_tokens: int) -> Rate:
        """The rate for a request of this size."""
        rate = self.base
        for start, higher in self.above:
            if input_tokens > start:
                rate = higher
        return rate

    def times(self, by: Decimal) -> "Steps":
        """The same at `by` times the price."""
        return Steps(self.base.times(by), tuple((start, rate.times(by)) for start, rate in self.above))


@dataclass(frozen=True, slots=True)
class Variant:
    """Rates that hold in place of the standard ones, unit by unit, where all of `when` is among the terms."""

    when: Mapping[str, str]
    rates: Mapping[str, Steps]


@dataclass(frozen=True, slots=True)
class Multiple:
    """All rates of tokens are multiplied where all of `when` is among the terms."""

    when: Mapping[str, str]
    by: Decimal


class Leaf(NamedTuple):
    """A unit in a plan. `parts` are the places in the plan of those that are counted apart from it."""

    unit: str
    rate: Rate | None
    parts: tuple[int, ...]
    least: int


class Dearest(NamedTuple):
    """The dearest exact rate of a token on each side, and of a request: nano-dollars over `denominator`."""

    input: int
    output: int
    request: int
    denominator: int

    def most(self, input_tokens: int, output_tokens: int) -> int:
        """All of each side at its dearest rate, in nano-dollars, rounded up."""
        return -(-(self.input * input_tokens + self.output * output_tokens + self.request) // self.denominator)


class Form(Struct, frozen=True):
    """What is the same for all requests of about a size whose usages tell the same units."""

    leaves: tuple[Leaf, ...]
    """Those that can come to anything: the ones that are told, and what they are parts of."""
    unmet: tuple[str, ...]
    """The terms without rates of their own, as a cost names them."""
    unsold: tuple[str, ...]
    """The units told that nothing in the plan prices or covers."""
    unknown: tuple[str, ...]
    """The totals that are sold and not told, likewise."""
    sold_apart: bool
    """What is sold is told in another unit, so tokens without a rate are no loss."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a request under certain terms is priced."""

    starts: tuple[int, ...]
    """Input tokens above which other rates hold, ascending."""
    leaves: tuple[tuple[Leaf, ...], ...]
    """The units for a request below the first start, above it, above the next and so on."""
    units: frozenset[str]
    """Those that have a rate."""
    unmet: tuple[tuple[str, str], ...]
    """The terms that this price has no rates for."""

    free: frozenset[str]
    """Those of them whose rates are all 0."""
    dearest: tuple[Dearest | None, ...]
    """By size as `leaves`; None where nothing is sold by the token or the request."""
    _forms: dict[tuple[int, tuple[str, ...]], Form] = field(default_factory=dict, init=False, repr=False, compare=False)

    def sells(self, unit: str) -> bool:
        """True if the unit costs anything."""
        return unit in self.units and unit not in self.free

    def at(self, input_tokens: int | Decimal) -> tuple[Leaf, ...]:
        """The units with their rates for a request of this size."""
        return self.leaves[bisect_left(self.starts, input_tokens)]

    def worst(self, input_tokens: int, output_tokens: int) -> int | None:
        """The most nano-dollars that up to so many tokens may cost at any size up to this; None if it has no bound."""
        sizes = self.dearest[: bisect_left(self.starts, input_tokens) + 1] if self.starts else self.dearest
        bounds = [dearest.most(input_tokens, output_tokens) for dearest in sizes if dearest is not None]
        return max(bounds, default=None)

    def form(self, input_tokens: int | Decimal, told: tuple[str, ...]) -> Form:
        """The form for a request of this size whose usage tells these units; made once."""
        size = bisect_left(self.starts, input_tokens) if self.starts else 0
        form = self._forms.get((size, told))
        if form is None:
            if len(self._forms) >= _MOST_FORMS:
                self._forms.clear()
            form = self._forms[size, told] = self._formed(self.leaves[size], told)
        return form

    def _formed(self, leaves: tuple[Leaf, ...], told: tuple[str, ...]) -> Form:
        unsold = tuple(name for name in told if name not in self.units | TOKENS and not self._covers(name))
        totals = ("input_mtok", "output_mtok")
        return Form(
            leaves=_told(leaves, {*told, "requests_kcount"}),
            unmet=tuple(f"{_TERM_NAMES.get(key, key)}:{value}" for key, value in self.unmet),
            unsold=unsold,
            unknown=tuple(f"unknown:{total}" for total in totals if total not in told and self.sells(total)),
            sold_apart=not self.units.isdisjoint(_SOLD_APART.intersection(told)),
        )

    def _covers(self, name: str) -> bool:
        """True if another unit of the plan covers what this one counts, as hours of audio cover those sent in."""
        unit = unit_of(name)
        others = _known(self.units)
        return unit is not None and any(other.kinds <= unit.kinds or unit.kinds <= other.kinds for other in others)


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs at a moment."""

    provider: str
    """Under which name the book has it, which may be that of a provider it falls back to."""
    model: str
    rates: Mapping[str, Steps]
    """By unit."""
    variants: tuple[Variant, ...] = ()
    """The first one that fits and names a unit decides its rate."""
    multiples: tuple[Multiple, ...] = ()
    least: Mapping[str, int] = field(default_factory=dict)
    """By unit, the least quantity that is billed where there is any."""
    context_window: int | None = None
    """Input tokens that the model takes at most."""
    source: Source = "book"
    _plans: dict[Terms, Plan] = field(default_factory=dict, init=False, repr=False, compare=False)

    def plan(self, terms: Terms = ()) -> Plan:
        """The plan for these terms; made once."""
        plan = self._plans.get(terms)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[terms] = self._planned(dict(terms))
        return plan

    def _planned(self, terms: Mapping[str, str]) -> Plan:
        rates: dict[str, Steps] = {}
        met: set[str] = set()
        for variant in self.variants:
            if variant.when.items() <= terms.items():
                met.update(variant.when)
                for unit, steps in variant.rates.items():
                    rates.setdefault(unit, steps)
        rates = dict(self.rates) | rates
        for multiple in self.multiples:
            if multiple.when.items() <= terms.items():
                met.update(multiple.when)
                rates = {unit: steps.times(multiple.by) if unit in TOKENS else steps for unit, steps in rates.items()}
        starts = sorted({start for steps in rates.values() for start, _ in steps.above})
        sizes = [0, *(start + 1 for start in starts)]
        leaves = tuple(_leaves({unit: steps.at(size) for unit, steps in rates.items()}, self.least) for size in sizes)
        return Plan(
            starts=tuple(starts),
            leaves=leaves,
            dearest=tuple(map(_dearest, leaves)),
            units=frozenset(rates),
            free=frozenset(unit for unit, steps in rates.items() if not steps.base.dollars and not steps.above),
            unmet=tuple(term for term in terms.items() if term[0] not in met),
        )


_MOST_PLANS = 64
"""Terms come from answers, so there may be any number of them."""
_MOST_FORMS = 64
"""Likewise names of tools."""

_TERM_NAMES = {"service_tier": "tier", "inference_geo": "geo"}
_SOLD_APART = frozenset(
    {"rerank_searches_kcount", "input_audio_hours", "audio_hours", "input_document_kpages", "input_mchars"}
)
"""Where these are sold, tokens without a rate are no loss: they are told and not sold."""


def _told(leaves: tuple[Leaf, ...], told: AbstractSet[str]) -> tuple[Leaf, ...]:
    """The leaves that are told or have parts that are: of the others there is nothing, whatever the numbers."""
    places: dict[int, int] = {}
    found: list[Leaf] = []
    for place, leaf in enumerate(leaves):
        parts = tuple(places[part] for part in leaf.parts if part in places)
        if parts or leaf.unit in told:
            places[place] = len(found)
            found.append(leaf._replace(parts=parts))
    return tuple(found)


def _leaves(rates: Mapping[str, Rate], least: Mapping[str, int]) -> tuple[Leaf, ...]:
    """The units of a plan, most particular first. All tokens are part of the input or the output, priced or not."""
    full: dict[str, Rate | None] = {"input_mtok": None, "output_mtok": None, **rates, **_joins(rates)}
    units = sorted(_known(full), key=lambda unit: -len(unit.kinds))
    return tuple(
        Leaf(
            unit.name,
            full[unit.name],
            tuple(place for place, part in enumerate(units) if part.kinds > unit.kinds),
            least.get(unit.name, 0),
        )
        for unit in units
    )


def _dearest(leaves: Iterable[Leaf]) -> Dearest | None:
    found: dict[str, Fraction] = {}
    for leaf in leaves:
        unit = unit_of(leaf.unit)
        if leaf.rate is None or unit is None or not {"tokens", "requests"} & unit.kinds:
            continue
        for side in {"input", "output", "requests"} & unit.kinds:
            found[side] = max(found.get(side, Fraction()), Fraction(leaf.rate.numerator, leaf.rate.denominator))
    if not found:
        return None
    common = lcm(*(rate.denominator for rate in found.values()))
    given, made, asked = (int(found.get(side, 0) * common) for side in ("input", "output", "requests"))
    return Dearest(given, made, asked, common)


def _joins(rates: Mapping[str, Rate]) -> dict[str, Rate]:
    """Where two units overlap and what is both has no rate of its own, the dearer of the two.

    Without it, cached audio would be taken off the rest twice. genai-prices' data names each such rate; what operators
    and LiteLLM name may be less.
    """
    found: dict[str, Rate] = {}
    for one, other in combinations(_known(rates), 2):
        if one.kinds <= other.kinds or other.kinds <= one.kinds:
            continue
        both = BY_KINDS.get(one.kinds | other.kinds)
        if both is not None and both.name not in rates:
            dearer = max(rates[one.name], rates[other.name], key=lambda rate: rate.dollars / rate.per)
            found[both.name] = dearer
    return found


def _known(names: Iterable[str]) -> list[Unit]:
    return [unit for unit in map(unit_of, names) if unit is not None]
