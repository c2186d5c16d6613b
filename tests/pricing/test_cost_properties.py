"""What holds of every cost: its lines add up, it is within its bound, and more never costs less."""

from fractions import Fraction
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from headgate.money import Rate, half_up
from headgate.pricing.cost import amount, cost, normalised, prompt_cost, worst_case
from headgate.pricing.price import Plan
from headgate.pricing.units import TOKENS, Quantity, counts_of, unit_of
from headgate.usage import Usage
from tests.pricing.books import AT, BOOK, bill
from tests.pricing.oracle import packaged

MODELS = ("plain", "cached", "writer", "long", "heard", "tiers", "answers", "minutes", "nights")
COUNTS = st.none() | st.integers(0, 2_000_000)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_tokens=COUNTS,
    input_audio_tokens=COUNTS,
    input_image_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    output_audio_tokens=COUNTS,
    cache_read_audio_tokens=COUNTS,
    cache_write_tokens_by_ttl=st.none() | st.dictionaries(st.sampled_from(["5m", "30m", "1h"]), st.integers(0, 10**6)),
    tool_calls=st.none() | st.dictionaries(st.sampled_from(["web_search", "x_search", "mcp"]), st.integers(0, 9)),
    billed_units=st.none()
    | st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "seconds", "search_units"]),
        st.integers(0, 10**6) | st.decimals(0, 10**6, places=3),
    ),
)
SPECIAL = st.sampled_from(
    [{}, {"processing": "batch"}, {"service_tier": "flex"}, {"speed": "fast", "inference_geo": "us"}]
)


@given(st.sampled_from(MODELS), USAGES, SPECIAL)
def test_lines_add_up_and_nothing_is_negative(model: str, usage: Usage, terms: dict[str, str]) -> None:
    told = bill(model, usage, terms)
    exact = sum((Fraction(*amount(line)) for line in told.lines), Fraction())
    assert Fraction(told.numerator, told.denominator) == exact
    assert all(line.quantity > 0 for line in told.lines)
    if told.nanos is None:
        assert told.lines == ()
        assert told.unpriced
    else:
        assert told.nanos == half_up(exact.numerator, exact.denominator) >= 0


def by_the_whole_plan(usage: Usage, plan: Plan) -> tuple[list[tuple[str, Quantity, Rate]], list[str]]:
    """The lines of a usage and what has no price, unit by unit of the whole plan: no form of it is made."""
    counts, left = counts_of(usage), list[Quantity]()
    lines, missed = list[tuple[str, Quantity, Rate]](), list[str]()
    sold_apart = {"rerank_searches_kcount", "input_audio_hours", "audio_hours", "input_document_kpages", "input_mchars"}
    for leaf in plan.at(counts.get("input_mtok", 0)):
        count = 1 if leaf.unit == "requests_kcount" else counts.get(leaf.unit, 0)
        count -= sum(left[part] for part in leaf.parts)
        missed += [f"odd:{leaf.unit}"] if count < 0 else []
        left.append(max(count, 0))
        if count > 0 and leaf.rate is not None:
            lines.append((leaf.unit, max(count, leaf.least), leaf.rate))
        elif count > 0 and not plan.units & sold_apart & counts.keys():
            missed.append(leaf.unit)
    missed += [
        {"service_tier": "tier", "inference_geo": "geo"}.get(key, key) + ":" + value for key, value in plan.unmet
    ]
    kinds = [unit.kinds for unit in map(unit_of, plan.units) if unit is not None]
    for name in counts.keys() - plan.units - TOKENS:
        unit = unit_of(name)
        covered = unit is not None and any(own <= unit.kinds or unit.kinds <= own for own in kinds)
        missed += [name] if counts[name] and not covered else []
    totals = [total for total in ("input_mtok", "output_mtok") if total not in counts and plan.sells(total)]
    return lines, [*missed, *(f"unknown:{total}" for total in totals)]


BY_HAND = [("acme", model) for model in MODELS]
PACKAGED = [(model.provider, model.id) for model in packaged().models()]


@given(
    st.sampled_from(BY_HAND) | st.sampled_from(PACKAGED),
    st.lists(USAGES, min_size=1, max_size=4),
    SPECIAL,
)
def test_a_usage_is_priced_by_its_form_as_by_the_whole_plan(
    of: tuple[str, str], usages: list[Usage], terms: dict[str, str]
) -> None:
    book = BOOK if of[0] == "acme" else packaged()
    price = book.find(*of, AT)
    for usage in usages:
        told = bill(of[1], usage, terms, provider=of[0], book=book)
        if price is None or not counts_of(usage):
            assert told.nanos is None
            continue
        lines, unpriced = by_the_whole_plan(usage, price.plan(normalised(terms)))
        assert [(line.unit, line.quantity, line.rate) for line in told.lines] == lines
        assert sorted(told.unpriced) == sorted(unpriced)


@given(st.sampled_from(BY_HAND) | st.sampled_from(PACKAGED), st.integers(0, 10**7), SPECIAL)
def test_a_prompts_cost_is_that_of_its_usage(of: tuple[str, str], tokens: int, terms: dict[str, str]) -> None:
    book = BOOK if of[0] == "acme" else packaged()
    usage = Usage(input_tokens=tokens, output_tokens=0)
    assert prompt_cost(tokens, *of, book, AT, terms) == cost(usage, *of, book, AT, terms)


@given(st.sampled_from(PACKAGED), st.integers(0, 10**6), st.integers(0, 10**6), SPECIAL)
def test_the_worst_case_is_every_token_at_its_dearest(
    of: tuple[str, str], given_: int, made: int, terms: dict[str, str]
) -> None:
    price = packaged().find(*of, AT)
    counts = {"input": given_, "output": made, "requests": 1}
    bounds: list[int] = []
    for plan in () if price is None else (price.plan(), price.plan(normalised(terms))):
        for start, leaves in zip((-1, *plan.starts), plan.leaves, strict=True):
            dearest: dict[str, Fraction] = {}
            for leaf in leaves:
                unit, rate = unit_of(leaf.unit), leaf.rate
                if unit is None or rate is None or not unit.kinds & {"tokens", "requests"}:
                    continue
                for side in counts:
                    if side in unit.kinds:
                        each = Fraction(rate.numerator, rate.denominator)
                        dearest[side] = max(each, dearest.get(side, each))
            if start < given_ and dearest:
                bounds.append(ceil(sum(each * counts[side] for side, each in dearest.items())))
    assert worst_case(*of, packaged(), AT, given_, made, terms) == max(bounds, default=None)


@st.composite
def consistent(draw: st.DrawFn) -> Usage:
    """A usage whose parts are within their totals."""
    given_, made = draw(st.integers(0, 1_000_000)), draw(st.integers(0, 200_000))
    read = draw(st.integers(0, given_))
    written = draw(st.integers(0, given_ - read))
    hour = draw(st.integers(0, written))
    audio = draw(st.integers(0, given_ - read - written))
    return Usage(
        input_tokens=given_,
        cache_read_tokens=read,
        cache_write_tokens=written,
        input_audio_tokens=audio,
        cache_read_audio_tokens=0,
        cache_write_tokens_by_ttl={"1h": hour, "5m": written - hour},
        output_tokens=made,
        reasoning_tokens=draw(st.integers(0, made)),
        output_audio_tokens=draw(st.integers(0, made)),
    )


@given(st.sampled_from(MODELS[:7]), consistent(), SPECIAL, st.integers(0, 10**5), st.integers(0, 10**5))
def test_no_cost_is_above_the_worst_case(
    model: str, usage: Usage, terms: dict[str, str], more_input: int, more_output: int
) -> None:
    told = bill(model, usage, terms)
    assert told.nanos is not None
    bound = worst_case(
        "acme", model, BOOK, AT, (usage.input_tokens or 0) + more_input, (usage.output_tokens or 0) + more_output, terms
    )
    assert bound is not None
    assert told.nanos <= bound


@given(st.sampled_from(MODELS[:7]), consistent(), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_tokens_never_cost_less(model: str, usage: Usage, more_input: int, more_output: int) -> None:
    larger = Usage(
        **{
            name: getattr(usage, name)
            for name in Usage.__struct_fields__
            if name not in {"input_tokens", "output_tokens"}
        },
        input_tokens=(usage.input_tokens or 0) + more_input,
        output_tokens=(usage.output_tokens or 0) + more_output,
    )
    before, after = bill(model, usage).nanos, bill(model, larger).nanos
    assert before is not None
    assert after is not None
    assert before <= after


@given(consistent())
def test_the_packaged_book_keeps_to_its_bounds(usage: Usage) -> None:
    for provider, model in (("openai", "gpt-5.6-sol"), ("anthropic", "claude-haiku-5-5"), ("google", "gemini-2.5-pro")):
        told = bill(model, usage, provider=provider, book=packaged())
        bound = worst_case(provider, model, packaged(), AT, usage.input_tokens or 0, usage.output_tokens or 0, {})
        assert told.nanos is not None
        assert bound is not None
        assert told.nanos <= bound
