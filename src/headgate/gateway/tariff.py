"""What an exchange may cost, costs, and is charged: the price book with the operator's mark-ups, put to a reading."""

from collections.abc import Mapping

from msgspec import Struct, field

from headgate.dialects.base import Ask
from headgate.dialects.bound import DEFAULT_OUTPUT, Bound, ModelLimits, worst_case
from headgate.pricing import cost as pricing
from headgate.pricing.book import PriceBook
from headgate.pricing.cost import Cost
from headgate.pricing.markup import Markups
from headgate.records import PriceLine
from headgate.routing.models import Route
from headgate.usage import Reading, Usage


class Tariff(Struct, frozen=True):
    """The prices that this gateway goes by."""

    book: PriceBook
    markups: Markups = field(default_factory=Markups)
    default_output: int = DEFAULT_OUTPUT
    """Tokens of output that a hold covers where neither the request nor the model says how many there may be."""

    def bound(self, ask: Ask, route: Route, at_ns: int, prompt_tokens: int | None) -> Bound:
        """How many tokens the exchange may use; `prompt_tokens` is a counted bound, tighter than the bytes."""
        price = self.book.find(route.deployment.provider.name, route.model or "", at_ns)
        window = price.context_window if price is not None else None
        return worst_case(ask, ModelLimits(window), default_output=self.default_output, prompt_tokens=prompt_tokens)

    def worst_nanos(self, bound: Bound, ask: Ask, route: Route, at_ns: int) -> int | None:
        """The most that so many tokens are charged, in nano-dollars; None where there is no price."""
        provider = route.deployment.provider.name
        terms = asked_terms(ask)
        worst = pricing.worst_case(
            provider, route.model or "", self.book, at_ns, bound.input_tokens, bound.output_tokens, terms
        )
        if worst is None:
            return None
        markup = self.markups.of(provider, route.model)
        return -(-worst * markup.numerator // markup.denominator)

    def prompt_nanos(self, ask: Ask, route: Route, at_ns: int, tokens: int) -> int:
        """What the prompt alone is charged: the least that an exchange owes once it was sent; 0 without a price."""
        provider = route.deployment.provider.name
        cost = pricing.prompt_cost(tokens, provider, route.model or "", self.book, at_ns, asked_terms(ask))
        return self.charge(cost, route) or 0

    def cost(self, usage: Usage, reading: Reading, ask: Ask, route: Route, at_ns: int) -> tuple[Cost, tuple[str, ...]]:
        """The provider's price of a usage, and flags: by the model and the tier that served, if they have a price.

        The terms asked for stand where the answer does not name those that it was served on.

        A served name that the book does not know is priced as the model that was asked for, and flagged.
        """
        terms = asked_terms(ask) | served_terms(reading)
        asked = route.model or ""
        served = reading.served_model or asked
        cost = self._cost(usage, route, served, at_ns, terms)
        if cost.nanos is not None or served == asked:
            return cost, ()
        other = self._cost(usage, route, asked, at_ns, terms)
        return (cost, ()) if other.nanos is None else (other, (f"priced_as:{asked}",))

    def charge(self, cost: Cost, route: Route) -> int | None:
        """What the account is charged for a cost, rounded once; None where the cost is unknown."""
        return pricing.charge(cost, self.markups.of(route.deployment.provider.name, route.model))

    def _cost(self, usage: Usage, route: Route, model: str, at_ns: int, terms: Mapping[str, str]) -> Cost:
        return pricing.cost(usage, route.deployment.provider.name, model, self.book, at_ns, terms)


def asked_terms(ask: Ask) -> dict[str, str]:
    """The terms that a request asks for."""
    if ask.service_tier is None and ask.speed is None and ask.inference_geo is None:
        return {}
    terms = {"service_tier": ask.service_tier, "speed": ask.speed, "inference_geo": ask.inference_geo}
    return {name: value for name, value in terms.items() if value is not None}


def served_terms(reading: Reading) -> dict[str, str]:
    """The terms that an answer was served on."""
    tier = {} if reading.service_tier is None else {"service_tier": reading.service_tier}
    return tier | dict(reading.terms)


def lines_of(cost: Cost) -> tuple[PriceLine, ...]:
    """A cost's lines as a record keeps them."""
    return tuple(
        PriceLine(line.unit, str(line.quantity), str(line.rate.dollars), line.rate.per, line.leg) for line in cost.lines
    )
