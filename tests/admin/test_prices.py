from decimal import Decimal

from headgate.admin.prices import MultipleView, RateView, price_view, prices_from
from headgate.money import Rate
from headgate.pricing.book import PriceBook
from headgate.pricing.price import Multiple, Price, Steps, Variant

MILLION = 1_000_000


def a_rate(dollars: str) -> Rate:
    return Rate(Decimal(dollars), MILLION)


def test_a_price_with_steps_terms_and_multiples() -> None:
    price = Price(
        provider="anthropic",
        model="claude",
        rates={"input_mtok": Steps(a_rate("3"), ((200_000, a_rate("6.00")),)), "output_mtok": Steps(a_rate("1E+1"))},
        variants=(Variant({"service_tier": "flex"}, {"input_mtok": Steps(a_rate("1.5"))}),),
        multiples=(Multiple({"inference_geo": "us"}, Decimal("1.1")),),
        context_window=1_000_000,
    )
    view = price_view("bedrock", price, "sha256:0")
    assert (view.provider, view.model, view.source, view.version) == ("bedrock", "claude", "book", "sha256:0")

    def rate(unit: str, usd: str, above: int | None = None, when: dict[str, str] | None = None) -> RateView:
        return RateView(unit=unit, usd=usd, per=MILLION, above_input_tokens=above, when=when or {})

    assert view.rates == [
        rate("input_mtok", "3"),
        rate("input_mtok", "6.00", 200_000),
        rate("output_mtok", "10"),
        rate("input_mtok", "1.5", None, {"service_tier": "flex"}),
    ]
    assert view.multiples == [MultipleView(when={"inference_geo": "us"}, by="1.1")]


def test_the_prices_of_a_model_are_those_of_the_providers_that_have_one() -> None:
    model = {"id": "gpt-4o", "prices": [{"rates": {"input_mtok": "2.50"}}]}
    book = PriceBook.from_json({"format": 1, "providers": {"openai": {"models": [model]}, "azure": {"as": "openai"}}})
    find = prices_from(book, ("openai", "groq", "azure"), lambda: 0)
    assert [(price.provider, price.rates[0].usd) for price in find("gpt-4o")] == [("openai", "2.50"), ("azure", "2.50")]
    assert find("unheard-of") == []
    assert find("gpt-4o")[0].version == book.version
