"""The JSON of a price: what a model costs now, by unit."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from headgate.pricing.book import PriceBook
from headgate.pricing.price import Price, Steps


class RateView(Struct, frozen=True, kw_only=True):
    """So many dollars for `per` of a unit; above so many input tokens of a request, where that is not null."""

    unit: str
    usd: str
    per: int
    above_input_tokens: int | None
    when: dict[str, str]
    """The terms that it holds for; empty for the standard ones."""


class MultipleView(Struct, frozen=True, kw_only=True):
    """All rates of tokens are multiplied under these terms."""

    when: dict[str, str]
    by: str


class PriceView(Struct, frozen=True, kw_only=True):
    """What a provider's model costs at this moment. `version` is the hash of the price book, as records have it."""

    provider: str
    model: str
    source: str
    version: str
    context_window: int | None
    rates: list[RateView]
    multiples: list[MultipleView]


PriceFinder = Callable[[str], Sequence[PriceView]]
"""The prices of a model name, one for each provider that has one; none at all where it is unpriced."""


def prices_from(book: PriceBook, providers: Sequence[str], clock_ns: Callable[[], int]) -> PriceFinder:
    """The prices that these providers, by their own names, have in a book at the moment of asking."""

    def find(model: str) -> list[PriceView]:
        now_ns = clock_ns()
        found = ((provider, book.find(provider, model, now_ns)) for provider in providers)
        return [price_view(provider, price, book.version) for provider, price in found if price is not None]

    return find


def price_of_from(book: PriceBook, clock_ns: Callable[[], int]) -> Callable[[str, str], PriceView | None]:
    """The price that one provider, by its own name, has for a model at the moment of asking."""

    def find(provider: str, model: str) -> PriceView | None:
        price = book.find(provider, model, clock_ns())
        return None if price is None else price_view(provider, price, book.version)

    return find


def price_view(provider: str, price: Price, version: str) -> PriceView:
    """A price for the wire, under the provider that was asked for."""
    rates = [rate for unit, steps in price.rates.items() for rate in _rates(unit, steps, {})]
    for variant in price.variants:
        rates += [rate for unit, steps in variant.rates.items() for rate in _rates(unit, steps, dict(variant.when))]
    return PriceView(
        provider=provider,
        model=price.model,
        source=price.source,
        version=version,
        context_window=price.context_window,
        rates=rates,
        multiples=[MultipleView(when=dict(multiple.when), by=str(multiple.by)) for multiple in price.multiples],
    )


def _rates(unit: str, steps: Steps, when: dict[str, str]) -> list[RateView]:
    stairs = [(None, steps.base), *steps.above]
    return [
        RateView(unit=unit, usd=f"{rate.dollars:f}", per=rate.per, above_input_tokens=above, when=when)
        for above, rate in stairs
    ]
