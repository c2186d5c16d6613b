from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.dialects.base import Ask
from headgate.dialects.bound import Bound
from headgate.gateway.tariff import Tariff, asked_terms, lines_of, served_terms
from headgate.pricing.book import PriceBook
from headgate.pricing.markup import Markup, Markups
from headgate.records import PriceLine
from headgate.routing.models import Route
from headgate.usage import Basis, Leg, Reading, Usage

from .fakes import BOOK, IN, NOW_NS, OUT, PLAIN, deployment, priced

FLEX = {"input_mtok": "0.5", "output_mtok": "1"}
PRIORITY = {"input_mtok": "3", "output_mtok": "6"}
OWN_BOOK = PriceBook.from_json({"format": 1, "source": {"name": "tests"}, "providers": {
    "openai": {"models": [
        priced(PLAIN, id="gpt-5", variants=[
            {"when": {"service_tier": "flex"}, "rates": FLEX},
            {"when": {"service_tier": "priority"}, "rates": PRIORITY},
        ]),
        priced({"input_mtok": "10", "output_mtok": "20"}, id="gpt-5-pro"),
        priced({"input_mtok": "0.0001", "output_mtok": "0.0001"}, id="gpt-tiny"),
        priced(PLAIN, id="gpt-small", context=1_000),
    ]},
}})  # fmt: skip
TARIFF = Tariff(OWN_BOOK)
GPT_5 = Route(deployment("openai"), "gpt-5")
TINY, UNKNOWN, NAMELESS = (Route(deployment("openai"), name) for name in ("gpt-tiny", "gpt-9", None))
USED = Usage(input_tokens=100, output_tokens=10)


def marked_up(text: str, **particular: str) -> Tariff:
    own: dict[tuple[str, str | None], Markup] = {
        ("openai", name): Markup.parse(value) for name, value in particular.items()
    }
    return Tariff(OWN_BOOK, Markups(Markup.parse(text), own))


def read(served: str | None = None, tier: str | None = None, terms: Mapping[str, str] | None = None) -> Reading:
    return Reading(USED, Basis.REPORTED, served_model=served, service_tier=tier, terms=terms or {})


@pytest.mark.parametrize(
    ("ask", "route", "counted", "expected"),
    [
        # no cap: as much as is held where nobody says, within the window where one is known
        (Ask(input_bytes=100), GPT_5, None, (1_124, 32_768)),
        (Ask(input_bytes=100), UNKNOWN, None, (1_124, 32_768)),
        (Ask(input_bytes=100), NAMELESS, None, (1_124, 32_768)),
        (Ask(input_bytes=100), Route(deployment("openai"), "gpt-small"), None, (1_000, 1_000)),
        (Ask(input_bytes=10), Route(deployment("openai"), "gpt-small"), None, (1_000, 1_000)),
        (Ask(input_bytes=100, output_cap=7), GPT_5, None, (1_124, 7)),
        (Ask(input_bytes=100, output_cap=0), GPT_5, None, (1_124, 0)),
        (Ask(input_bytes=100, output_cap=7, choices=3), GPT_5, None, (1_124, 21)),
        # counted
        (Ask(input_bytes=100, output_cap=7), GPT_5, 30, (1_054, 7)),
        (Ask(input_bytes=100, output_cap=7), GPT_5, 300, (1_124, 7)),
    ],
)
def test_how_many_tokens_an_exchange_may_use(
    ask: Ask, route: Route, counted: int | None, expected: tuple[int, int]
) -> None:
    bound = TARIFF.bound(ask, route, NOW_NS, counted)
    assert (bound.input_tokens, bound.output_tokens) == expected


def test_the_operator_says_how_much_output_is_held_for() -> None:
    tariff = Tariff(OWN_BOOK, default_output=50)
    assert tariff.bound(Ask(), GPT_5, NOW_NS, None).output_tokens == 50
    assert tariff.bound(Ask(output_cap=60), GPT_5, NOW_NS, None).output_tokens == 60
    assert Tariff(BOOK).bound(Ask(), Route(deployment("openai"), "gpt-4o-mini"), NOW_NS, None).output_tokens == 32_768


@pytest.mark.parametrize(
    ("route", "ask", "worst"),
    [
        (GPT_5, Ask(), 100 * IN + 10 * OUT),
        # a tier asked for that is dearer; one that is cheaper may be served as the standard one
        (GPT_5, Ask(service_tier="priority"), 3 * (100 * IN + 10 * OUT)),
        (GPT_5, Ask(service_tier="flex"), 100 * IN + 10 * OUT),
        (UNKNOWN, Ask(), None),
        (NAMELESS, Ask(), None),
        (Route(deployment("anthropic"), "gpt-5"), Ask(), None),
    ],
)
def test_the_most_that_so_many_tokens_are_charged(route: Route, ask: Ask, worst: int | None) -> None:
    assert TARIFF.worst_nanos(Bound(100, 10), ask, route, NOW_NS) == worst
    doubled = marked_up("100%").worst_nanos(Bound(100, 10), ask, route, NOW_NS)
    assert doubled == (None if worst is None else 2 * worst)


def test_a_markup_of_the_model_goes_before_that_of_all() -> None:
    tariff = marked_up("100%", **{"gpt-5": "10%"})
    assert tariff.worst_nanos(Bound(100, 10), Ask(), GPT_5, NOW_NS) == 110 * IN + 11 * OUT
    assert tariff.worst_nanos(Bound(10_000, 0), Ask(), TINY, NOW_NS) == 2 * 1_000


@pytest.mark.parametrize(("tokens", "held", "charged"), [(10, 2, 1), (15, 3, 2), (100, 11, 11)])
def test_a_hold_is_rounded_up_and_a_charge_to_the_nearest(tokens: int, held: int, charged: int) -> None:
    """A tenth of a nano-dollar a token, and a tenth on top."""
    tariff = marked_up("10%")
    assert tariff.worst_nanos(Bound(tokens, 0), Ask(), TINY, NOW_NS) == held
    assert tariff.prompt_nanos(Ask(), TINY, NOW_NS, tokens) == charged


@given(
    tokens=st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)),
    used=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    priced_at=st.tuples(st.just("gpt-5"), st.integers(-50, 300)) | st.just(("gpt-tiny", 0)),
)
def test_what_stays_within_the_bound_is_charged_no_more_than_its_hold(
    tokens: tuple[int, int], used: tuple[float, float], priced_at: tuple[str, int]
) -> None:
    model, percent = priced_at
    tariff, route = marked_up(f"{percent}%"), Route(deployment("openai"), model)
    held = tariff.worst_nanos(Bound(*tokens), Ask(), route, NOW_NS)
    usage = Usage(input_tokens=int(tokens[0] * used[0]), output_tokens=int(tokens[1] * used[1]))
    cost, _ = tariff.cost(usage, Reading(usage, Basis.REPORTED), Ask(), route, NOW_NS)
    charge = tariff.charge(cost, route)
    assert held is not None
    assert charge is not None
    assert charge <= held


@pytest.mark.parametrize(
    ("route", "tokens", "nanos"), [(GPT_5, 100, 100 * IN), (GPT_5, 0, 0), (UNKNOWN, 100, 0), (NAMELESS, 100, 0)]
)
def test_what_the_prompt_alone_is_charged(route: Route, tokens: int, nanos: int) -> None:
    assert TARIFF.prompt_nanos(Ask(), route, NOW_NS, tokens) == nanos


def test_the_prompts_price_is_that_of_the_tier_asked_for() -> None:
    assert TARIFF.prompt_nanos(Ask(service_tier="priority"), GPT_5, NOW_NS, 100) == 300 * IN


@pytest.mark.parametrize(
    ("asked", "reading", "nanos", "flags"),
    [
        ("gpt-5", read(), 100 * IN + 10 * OUT, ()),
        ("gpt-5", read("gpt-5"), 100 * IN + 10 * OUT, ()),
        # the model that served is what bills
        ("gpt-5", read("gpt-5-pro"), 10 * (100 * IN + 10 * OUT), ()),
        ("gpt-9", read("gpt-5"), 100 * IN + 10 * OUT, ()),
        # a name that the book does not know: as the one that was asked for, and flagged
        ("gpt-5", read("gpt-5x-weird"), 100 * IN + 10 * OUT, ("priced_as:gpt-5",)),
        ("gpt-9", read("gpt-10"), None, ()),
        ("gpt-9", read(), None, ()),
        (None, read(), None, ()),
        (None, read("gpt-5"), 100 * IN + 10 * OUT, ()),
        # the tier that served, not the one asked for
        ("gpt-5", read(tier="flex"), 50 * IN + 5 * OUT, ()),
        ("gpt-5", read(tier="priority"), 300 * IN + 30 * OUT, ()),
        ("gpt-5", read(tier="default"), 100 * IN + 10 * OUT, ()),
        ("gpt-5", read("gpt-5x-weird", "flex"), 50 * IN + 5 * OUT, ("priced_as:gpt-5",)),
    ],
)
def test_what_served_is_what_it_costs(
    asked: str | None, reading: Reading, nanos: int | None, flags: tuple[str, ...]
) -> None:
    cost, flagged = TARIFF.cost(USED, reading, Ask(), Route(deployment("openai"), asked), NOW_NS)
    assert (cost.nanos, flagged) == (nanos, flags)
    assert cost.source == ("none" if nanos is None else "book")


def test_a_tier_without_a_price_is_named() -> None:
    cost, _ = TARIFF.cost(USED, read(tier="scale"), Ask(), GPT_5, NOW_NS)
    assert (cost.nanos, cost.unpriced) == (100 * IN + 10 * OUT, ("tier:scale",))


def test_what_the_provider_says_it_costs() -> None:
    said = Usage(input_tokens=100, output_tokens=10, reported_cost_nanos=77)
    cost, flags = TARIFF.cost(said, Reading(said, Basis.REPORTED), Ask(), UNKNOWN, NOW_NS)
    assert (cost.nanos, cost.source, flags) == (77, "reported", ())
    assert marked_up("100%").charge(cost, UNKNOWN) == 154


def test_what_is_not_known_is_not_charged_as_if_it_were() -> None:
    cost, _ = TARIFF.cost(USED, read(), Ask(), UNKNOWN, NOW_NS)
    assert marked_up("50%").charge(cost, UNKNOWN) is None


@pytest.mark.parametrize(
    ("ask", "terms"),
    [
        (Ask(), {}),
        (Ask(service_tier="flex"), {"service_tier": "flex"}),
        (Ask(speed="fast", inference_geo="us"), {"speed": "fast", "inference_geo": "us"}),
    ],
)
def test_the_terms_asked_for(ask: Ask, terms: dict[str, str]) -> None:
    assert asked_terms(ask) == terms


@pytest.mark.parametrize(
    ("reading", "terms"),
    [
        (read(), {}),
        (read(tier="flex"), {"service_tier": "flex"}),
        (read(tier="flex", terms={"speed": "fast"}), {"service_tier": "flex", "speed": "fast"}),
    ],
)
def test_the_terms_that_served(reading: Reading, terms: dict[str, str]) -> None:
    assert served_terms(reading) == terms


def test_lines_as_a_record_keeps_them() -> None:
    used = Usage(input_tokens=100, output_tokens=10, legs=(Leg("advisor_message", "gpt-5-pro", USED),))
    cost, _ = TARIFF.cost(used, Reading(used, Basis.REPORTED), Ask(), GPT_5, NOW_NS)
    assert lines_of(cost) == (
        PriceLine("input_mtok", "100", "1", 1_000_000),
        PriceLine("output_mtok", "10", "2", 1_000_000),
        PriceLine("input_mtok", "100", "10", 1_000_000, "advisor_message"),
        PriceLine("output_mtok", "10", "20", 1_000_000, "advisor_message"),
    )


@pytest.mark.parametrize(
    ("asked", "served", "expected"), [("priority", None, "priority"), ("priority", "default", None), (None, None, None)]
)
def test_the_tier_asked_for_stands_where_the_answer_names_none(
    asked: str | None, served: str | None, expected: str | None
) -> None:
    """facts/stream_cases.md 2.10: the tier that served wins, if the answer says which."""
    cost, _ = TARIFF.cost(USED, read(tier=served), Ask(service_tier=asked), GPT_5, NOW_NS)
    reference, _ = TARIFF.cost(USED, read(tier=expected), Ask(), GPT_5, NOW_NS)
    standard, _ = TARIFF.cost(USED, read(), Ask(), GPT_5, NOW_NS)
    assert cost.nanos == reference.nanos
    assert (cost.nanos != standard.nanos) is (expected is not None)
