from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from headgate.dialects.anthropic_usage import message_usage
from headgate.dialects.cohere import cohere_usage
from headgate.dialects.openai_wire import completion_usage, response_usage
from headgate.dialects.reading import Anomalies
from headgate.pricing.cost import amount, charge, normalised, worst_case
from headgate.pricing.markup import Markup
from headgate.pricing.overrides import overrides_from
from headgate.usage import Leg, Usage
from tests.pricing.books import AT, BOOK, bill

OPERATOR = BOOK.with_overrides(overrides_from({"acme/plain": {"input_mtok": "1", "output_mtok": "1"}}))


def chat(**raw: Any) -> Usage:
    return completion_usage(raw, Anomalies())


# The rows of facts/stream_cases.md section 2. Prices: tests/pricing/books.py; nanos of a token are 1000 x dollars per
# million.

XAI = chat(
    prompt_tokens=10_120,
    completion_tokens=1_499,
    total_tokens=14_428,
    completion_tokens_details={"reasoning_tokens": 2_809},
)
DEEPSEEK = chat(
    prompt_tokens=100, prompt_cache_hit_tokens=80, prompt_cache_miss_tokens=20, completion_tokens=10, total_tokens=110
)
WRITES = response_usage(
    {
        "input_tokens": 18_014,
        "output_tokens": 100,
        "total_tokens": 18_114,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 18_011},
    },
    {},
    None,
    Anomalies(),
)
CLAUDE = message_usage(
    {
        "input_tokens": 3,
        "cache_read_input_tokens": 1_000,
        "cache_creation_input_tokens": 600,
        "output_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 200},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    },
    Anomalies(),
)
COHERE = cohere_usage(
    {"billed_units": {"input_tokens": 5, "output_tokens": 10}, "tokens": {"input_tokens": 15, "output_tokens": 10}},
    Anomalies(),
)
SPOKEN = Usage(
    input_tokens=1_000,
    cache_read_tokens=600,
    input_audio_tokens=500,
    cache_read_audio_tokens=400,
    output_tokens=300,
    output_audio_tokens=200,
)

BY_HAND: list[tuple[str, str, Usage, dict[str, str], int]] = [
    # 2.1: output is 1499 + 2809 = 4308 by the total: 10120 x 2000 + 4308 x 10000
    ("reasoning beside the completion", "plain", XAI, {}, 20_240_000 + 43_080_000),
    # 2.5, 2.7: 80 x 200 + 20 x 2000 + 10 x 10000; the miss is no cache write
    ("cache hits told at the top", "cached", DEEPSEEK, {}, 16_000 + 40_000 + 100_000),
    # 2.6: the same without a rate for reads: 100 x 2000 + 10 x 10000
    ("cache reads without a rate are input", "plain", DEEPSEEK, {}, 200_000 + 100_000),
    # 2.8: 3 x 4000 + 18011 x 5000 + 100 x 20000
    ("cache writes in place of input", "writer", WRITES, {}, 12_000 + 90_055_000 + 2_000_000),
    # 2.8: without a rate for writes: 18014 x 2000 + 100 x 10000
    ("cache writes without a rate are input", "plain", WRITES, {}, 36_028_000 + 1_000_000),
    # Claude: 3 x 4000 + 1000 x 400 + 400 x 5000 + 200 x 8000 + 50 x 20000 + 2 searches x 10000000
    (
        "cache writes by time to live",
        "writer",
        CLAUDE,
        {},
        12_000 + 400_000 + 2_000_000 + 1_600_000 + 1_000_000 + 20_000_000,
    ),
    # 2.8: 30 minutes have no rate of their own: 10 x 4000 + 90 x 5000
    (
        "another time to live is a cache write",
        "writer",
        Usage(input_tokens=100, cache_write_tokens=90, cache_write_tokens_by_ttl={"30m": 90}, output_tokens=0),
        {},
        490_000,
    ),
    # 2.9: at 272000 all is below: 172000 x 2500 + 100000 x 250 + 10 x 15000
    (
        "the very boundary is below",
        "long",
        Usage(input_tokens=272_000, cache_read_tokens=100_000, output_tokens=10),
        {},
        430_000_000 + 25_000_000 + 150_000,
    ),
    # 2.9: one more reprices all: 172001 x 5000 + 100000 x 500 + 10 x 22500
    (
        "beyond it the whole request is dearer",
        "long",
        Usage(input_tokens=272_001, cache_read_tokens=100_000, output_tokens=10),
        {},
        860_005_000 + 50_000_000 + 225_000,
    ),
    # 2.10, 2.12: the tier that served: 1000 x 4000 + 100 x 16000; x 1000 and x 4000 for flex; x 2000 and x 8000 else
    ("priority served", "tiers", Usage(input_tokens=1_000, output_tokens=100), {"service_tier": "priority"}, 5_600_000),
    ("default served", "tiers", Usage(input_tokens=1_000, output_tokens=100), {"service_tier": "default"}, 2_800_000),
    (
        "flex in Vertex' words",
        "tiers",
        Usage(input_tokens=1_000, output_tokens=100),
        {"service_tier": "ON_DEMAND_FLEX"},
        1_400_000,
    ),
    # 2.13: fast has its own rates for fresh tokens, and reads keep theirs: 100 x 24000 + 900 x 400 + 10 x 120000
    (
        "fast served",
        "writer",
        Usage(input_tokens=1_000, cache_read_tokens=900, output_tokens=10),
        {"speed": "fast"},
        2_400_000 + 360_000 + 1_200_000,
    ),
    (
        "standard served though fast was asked",
        "writer",
        Usage(input_tokens=1_000, cache_read_tokens=900, output_tokens=10),
        {"speed": "standard"},
        400_000 + 360_000 + 200_000,
    ),
    # 2.13: in the US each class of tokens x 1.1, searches not: (400000 + 360000 + 200000) x 1.1 + 10000000
    (
        "in the US",
        "writer",
        Usage(input_tokens=1_000, cache_read_tokens=900, output_tokens=10, tool_calls={"web_search": 1}),
        {"inference_geo": "us", "speed": "standard"},
        1_056_000 + 10_000_000,
    ),
    # both: (2400000 + 360000 + 1200000) x 1.1
    (
        "fast in the US",
        "writer",
        Usage(input_tokens=1_000, cache_read_tokens=900, output_tokens=10),
        {"inference_geo": "us", "speed": "fast"},
        4_356_000,
    ),
    # Anthropic says batch as a tier; searches are at their standard price: 3 x 2000 + 1000 x 200 + 400 x 2500 +
    # 200 x 4000 + 50 x 10000 + 2 x 10000000
    (
        "a batch",
        "writer",
        CLAUDE,
        {"service_tier": "batch"},
        6_000 + 200_000 + 1_000_000 + 800_000 + 500_000 + 20_000_000,
    ),
    # 2.14: text fresh 300 x 4000, audio fresh 100 x 32000, text cached 200 x 400, audio cached 400 x 500,
    # text out 100 x 16000, audio out 200 x 64000
    (
        "audio and text, cached and fresh",
        "heard",
        SPOKEN,
        {},
        1_200_000 + 3_200_000 + 80_000 + 200_000 + 1_600_000 + 12_800_000,
    ),
    # 2.17: 5 x 2000 + 10 x 10000, and not 15
    ("billed units", "plain", COHERE, {}, 110_000),
    ("a search of a reranker", "ranks", Usage(input_tokens=700, billed_units={"search_units": 3}), {}, 6_000_000),
    # 0.36 an hour is 100000 nanos a second
    ("seconds of audio", "minutes", Usage(billed_units={"seconds": Decimal("12.5")}), {}, 1_250_000),
    ("the least that is billed", "minutes", Usage(billed_units={"seconds": 3}), {}, 1_000_000),
    # 2.4 without a reported cost: 100 x 1000 + 200 x 1000 + one request 12000000
    ("a fee for the request", "answers", Usage(input_tokens=100, output_tokens=200), {}, 12_300_000),
]


@pytest.mark.parametrize(
    ("model", "usage", "terms", "nanos"), [row[1:] for row in BY_HAND], ids=[r[0] for r in BY_HAND]
)
def test_by_hand(model: str, usage: Usage, terms: dict[str, str], nanos: int) -> None:
    told = bill(model, usage, terms)
    assert (told.nanos, told.unpriced, told.source) == (nanos, (), "book")
    assert told.version == BOOK.version


REPORTED: list[tuple[str, Usage, int]] = [
    # 2.2: 232856000 ticks of 10^-10 dollars are $0.0232856
    (
        "xAI's ticks",
        chat(prompt_tokens=9, completion_tokens=9, total_tokens=18, cost_in_usd_ticks=232_856_000),
        23_285_600,
    ),
    # 2.3: what the upstream asked is added only where the key is the operator's own
    (
        "OpenRouter",
        chat(cost=Decimal("0.0015"), cost_details={"upstream_inference_cost": Decimal("0.0015")}),
        1_500_000,
    ),
    (
        "OpenRouter with a key of one's own",
        chat(cost=Decimal("0.0001"), is_byok=True, cost_details={"upstream_inference_cost": Decimal("0.002")}),
        2_100_000,
    ),
    # 2.4: the total has the request's fee in it
    (
        "Perplexity",
        chat(
            cost={
                "input_tokens_cost": Decimal("0.00001"),
                "request_cost": Decimal("0.005"),
                "total_cost": Decimal("0.00501"),
            }
        ),
        5_010_000,
    ),
]


@pytest.mark.parametrize(("usage", "nanos"), [row[1:] for row in REPORTED], ids=[row[0] for row in REPORTED])
def test_a_reported_cost_wins_over_the_book_but_not_over_the_operator(usage: Usage, nanos: int) -> None:
    for model in ("plain", "not in the book", None):
        told = bill(model, usage)
        assert (told.nanos, told.source, told.unpriced) == (nanos, "reported", ())
        assert sum(Fraction(*amount(line)) for line in told.lines) == nanos
    asked = Usage(input_tokens=2, output_tokens=3, reported_cost_nanos=nanos)
    assert bill("plain", asked, book=OPERATOR).nanos == 2 * 1_000 + 3 * 1_000
    assert bill("plain", asked, book=OPERATOR).source == "operator"


def test_a_reported_cost_has_the_legs_in_it() -> None:
    leg = Leg("advisor_message", "plain", Usage(input_tokens=10, output_tokens=10))
    assert bill("plain", Usage(reported_cost_nanos=7, legs=(leg,))).nanos == 7


UNPRICED: list[tuple[str, str | None, Usage, dict[str, str], int | None, tuple[str, ...]]] = [
    # 2.19: a name that speaks of other terms is not its sibling
    ("a fast sibling", "cached-fast", Usage(input_tokens=1, output_tokens=1), {}, None, ("model",)),
    ("an unknown model", "nobody", Usage(input_tokens=1, output_tokens=1), {}, None, ("model",)),
    ("no model", None, Usage(input_tokens=1, output_tokens=1), {}, None, ("model",)),
    ("a model without rates", "unknown", Usage(input_tokens=1, output_tokens=1), {}, None, ("model",)),
    ("nothing reported", "plain", Usage(), {}, None, ("usage",)),
    ("output not reported", "plain", Usage(input_tokens=5), {}, 10_000, ("unknown:output_mtok",)),
    (
        "a search and no tokens reported",
        "writer",
        Usage(tool_calls={"web_search": 1}),
        {},
        10_000_000,
        ("unknown:input_mtok", "unknown:output_mtok"),
    ),
    (
        "no search and no tokens reported",
        "writer",
        Usage(tool_calls={"web_search": 0}),
        {},
        None,
        ("unknown:input_mtok", "unknown:output_mtok"),
    ),
    ("input not reported", "plain", Usage(output_tokens=5), {}, 50_000, ("unknown:input_mtok",)),
    # 2.10: a tier without rates of its own is at the standard price, and told
    (
        "a tier without rates",
        "plain",
        Usage(input_tokens=1, output_tokens=0),
        {"service_tier": "Priority"},
        2_000,
        ("tier:priority",),
    ),
    (
        "a region without rates",
        "plain",
        Usage(input_tokens=1, output_tokens=0),
        {"inference_geo": "eu"},
        2_000,
        ("geo:eu",),
    ),
    (
        "a batch without rates",
        "plain",
        Usage(input_tokens=1, output_tokens=0),
        {"service_tier": "batch"},
        2_000,
        ("processing:batch",),
    ),
    (
        "a reseller does not sell the tiers",
        "resale:tiers",
        Usage(input_tokens=1, output_tokens=0),
        {"service_tier": "flex"},
        2_000,
        ("tier:flex",),
    ),
    ("a branch does", "branch:tiers", Usage(input_tokens=1, output_tokens=0), {"service_tier": "flex"}, 1_000, ()),
    # 2.15: tools that are counted and have no rate
    (
        "a search without a rate",
        "plain",
        Usage(input_tokens=1, output_tokens=0, tool_calls={"web_search": 2, "mcp": 0}),
        {},
        2_000,
        ("web_searches_kcount",),
    ),
    (
        "a tool of its own kind",
        "plain",
        Usage(input_tokens=1, output_tokens=0, tool_calls={"google_maps": 1}),
        {},
        2_000,
        ("tool:google_maps",),
    ),
    (
        "a billing unit without a rate",
        "plain",
        Usage(billed_units={"classifications": 3}),
        {},
        None,
        ("billed:classifications", "unknown:input_mtok", "unknown:output_mtok"),
    ),
    (
        "seconds where tokens are sold",
        "plain",
        Usage(input_tokens=1, output_tokens=0, billed_units={"seconds": 3}),
        {},
        2_000,
        ("audio_hours", "input_audio_hours"),
    ),
    # 2.18: cache reads beyond the input are billed as told, and named; nothing is ever credited
    (
        "more cached than read",
        "cached",
        Usage(input_tokens=10, cache_read_tokens=50, output_tokens=0),
        {},
        10_000,
        ("odd:input_mtok",),
    ),
    ("tokens where none are sold", "ranks", Usage(input_tokens=10, output_tokens=0), {}, None, ("input_mtok",)),
]


@pytest.mark.parametrize(
    ("model", "usage", "terms", "nanos", "unpriced"), [row[1:] for row in UNPRICED], ids=[row[0] for row in UNPRICED]
)
def test_what_has_no_price_is_named_and_never_free(
    model: str | None, usage: Usage, terms: dict[str, str], nanos: int | None, unpriced: tuple[str, ...]
) -> None:
    provider, _, name = (model or "").rpartition(":")
    told = bill(name or model, usage, terms, provider=provider or "acme")
    assert told.nanos == nanos
    assert set(told.unpriced) == set(unpriced)
    assert (told.source == "none") == (nanos is None)


def test_legs_are_at_their_own_models_price() -> None:
    used = Usage(input_tokens=10, output_tokens=10)
    legs = (Leg("advisor_message", "long", used), Leg("compaction", None, used))
    told = bill("plain", Usage(input_tokens=1, output_tokens=1, legs=legs))
    # 2000 + 10000; the advisor 10 x 2500 + 10 x 15000; the compaction, by the model that served, 10 x 2000 + 10 x 10000
    assert told.nanos == 12_000 + 175_000 + 120_000
    assert {line.leg for line in told.lines} == {None, "advisor_message", "compaction"}


def test_a_leg_without_a_price_is_named() -> None:
    legs = (Leg("image_generation", None, Usage(output_tokens=5)), Leg("advisor_message", "x", Usage(output_tokens=5)))
    told = bill("plain", Usage(input_tokens=1, output_tokens=1, legs=legs))
    assert (told.nanos, told.unpriced) == (12_000, ("leg:image_generation", "leg:advisor_message"))


def test_a_batch_is_the_sum_of_its_legs_at_the_price_of_batches() -> None:
    used = Usage(input_tokens=100, output_tokens=10)
    told = bill(None, Usage(legs=(Leg("batch", "writer", used), Leg("batch", "plain", used))))
    # 100 x 2000 + 10 x 10000 at half price; plain has no such price
    assert (told.nanos, told.source) == (300_000 + 300_000, "book")
    assert told.unpriced == ("processing:batch",)
    assert bill(None, Usage(legs=(Leg("batch", "nobody", used),))).nanos is None


def test_amounts_are_rounded_once_and_half_up() -> None:
    book = BOOK.with_overrides({("acme", "tiny"): {"input_mtok": "0.0005", "output_mtok": "0.0005"}})
    # half a nano each: 0.5 -> 1; 0.5 + 0.5 -> 1 and not 2
    assert bill("tiny", Usage(input_tokens=1, output_tokens=0), book=book).nanos == 1
    assert bill("tiny", Usage(input_tokens=1, output_tokens=1), book=book).nanos == 1


TERMS: list[tuple[dict[str, str], tuple[tuple[str, str], ...]]] = [
    ({}, ()),
    ({"service_tier": "on_demand", "speed": "standard", "inference_geo": "not_available"}, ()),
    ({"service_tier": "ON_DEMAND_PRIORITY"}, (("service_tier", "priority"),)),
    ({"service_tier": "batch"}, (("processing", "batch"),)),
    ({"service_tier": "PROVISIONED_THROUGHPUT"}, (("service_tier", "provisioned_throughput"),)),
    ({"speed": "Fast", "inference_geo": "us"}, (("inference_geo", "us"), ("speed", "fast"))),
]


@pytest.mark.parametrize(("terms", "told"), TERMS)
def test_terms(terms: dict[str, str], told: tuple[tuple[str, str], ...]) -> None:
    assert normalised(terms) == told


WORST: list[tuple[str, int, int, dict[str, str], int | None]] = [
    # 1000 x 2000 + 10 x 10000
    ("plain", 1_000, 10, {}, 2_100_000),
    # all of it written for an hour: 1000 x 8000 + 10 x 20000
    ("writer", 1_000, 10, {}, 8_200_000),
    # a batch may yet be served on standard terms
    ("writer", 1_000, 10, {"processing": "batch"}, 8_200_000),
    # 1000 x 24000 + 10 x 120000
    ("writer", 1_000, 10, {"speed": "fast"}, 25_200_000),
    # at the boundary below it, one more above it
    ("long", 272_000, 0, {}, 680_000_000),
    ("long", 272_001, 0, {}, 1_360_005_000),
    ("heard", 1, 1, {}, 96_000),
    # with the fee
    ("answers", 1, 1, {}, 12_002_000),
    # what is not sold by the token has no bound in tokens
    ("minutes", 1, 1, {}, None),
    ("unknown", 1, 1, {}, None),
    ("nobody", 1, 1, {}, None),
]


@pytest.mark.parametrize(("model", "given_", "made", "terms", "nanos"), WORST)
def test_the_worst_case(model: str, given_: int, made: int, terms: dict[str, str], nanos: int | None) -> None:
    assert worst_case("acme", model, BOOK, AT, given_, made, terms) == nanos


def test_a_charge_is_the_exact_cost_with_its_mark_up_rounded_once() -> None:
    book = BOOK.with_overrides({("acme", "tiny"): {"input_mtok": "0.0005", "output_mtok": "0.0005"}})
    told = bill("tiny", Usage(input_tokens=1, output_tokens=0), book=book)
    # 0.5 nanos cost, shown as 1; times 2.8 they are 1.4, and so 1 and not 3
    assert charge(told, Markup.parse("2.8")) == 1
    assert charge(bill("plain", Usage(input_tokens=5, output_tokens=0)), Markup.parse("20%")) == 12_000
    assert charge(bill("nobody", Usage(input_tokens=5)), Markup()) is None
