"""What exchanges add up to: held against what `headgate usage` makes of the same records."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from msgspec import structs
from msgspec.structs import replace

from headgate.records import Attempt, Bill, Ending, Record, Settled
from headgate.stores.summary import GroupBy, UsageRow, summarise, total
from headgate.telemetry.names import Names
from headgate.telemetry.sums import SECONDS, Sum, Sums, marks
from headgate.usage import Basis, Estimate, Leg, Usage
from tests.stores.examples import a_record, some_records

NS = 1_000_000_000


def sums_of(*seen: Record) -> Sums:
    sums = Sums(Names(frozenset()))
    for record in seen:
        sums.saw(record)
    return sums


def by(of: Sum, place: int) -> dict[str, int]:
    found: Counter[str] = Counter()
    for labels, amount in of.items():
        found[labels[place]] += amount
    return dict(found)


def test_a_plain_exchange() -> None:
    sums = sums_of(a_record(bill=Bill(cost_nanos=750_000, charge_nanos=800_000, hold_nanos=900_000)))
    one = ("openai", "gpt-4o-2024-08-06")
    assert sums.exchanges == {("openai", "openai.chat", "gpt-4o-2024-08-06", "complete"): 1}
    assert sums.attempts == {("openai", "200"): 1}
    assert sums.tokens == {(*one, "input"): 100, (*one, "output"): 50}
    assert sums.token_parts == {(*one, "cache_read"): 20, (*one, "reasoning"): 10}, "what is unknown is not 0"
    assert (sums.cost_nanos, sums.charge_nanos) == ({one: 750_000}, {one: 800_000})
    assert (sums.marked, sums.overrun_nanos, sums.estimated_tokens) == ({}, {}, {})
    assert (sums.duration[one][-1], sums.first_byte[one][-1]) == (NS, NS // 4)


def test_what_never_got_anywhere() -> None:
    refused = a_record(
        provider=None, dialect=None, model_asked=None, served_model=None, ending=Ending.NEVER_SENT, status=404,
        first_byte_ns=None, attempts=(), counted=False,
    )  # fmt: skip
    sums = sums_of(refused)
    assert sums.exchanges == {("none", "none", "none", "never_sent"): 1}
    assert sums.marked == {("none", "failed"): 1}
    assert not sums.duration
    assert not sums.first_byte
    assert not sums.tokens


def test_legs_are_under_their_own_models() -> None:
    inner = Leg("iteration", None, Usage(input_tokens=5))
    legs = (
        Leg("advisor", "small", Usage(input_tokens=7, legs=(inner,))),
        Leg("compaction", None, Usage(output_tokens=3)),
    )
    sums = sums_of(a_record(usage=Usage(input_tokens=100, legs=legs)))
    assert sums.tokens == {
        ("openai", "gpt-4o-2024-08-06", "input"): 100,
        ("openai", "small", "input"): 12,
        ("openai", "gpt-4o-2024-08-06", "output"): 3,
    }


def test_estimates_stand_apart_and_repeats_do_not_count() -> None:
    estimated = a_record(usage=Usage(), basis=Basis.ESTIMATED, estimate=Estimate(30, 4))
    sums = sums_of(estimated, replace(estimated, counted=False))
    one = ("openai", "gpt-4o-2024-08-06")
    assert sums.estimated_tokens == {(*one, "input"): 30, (*one, "output"): 4}
    assert not sums.tokens


@pytest.mark.parametrize(("estimated", "missing"), [(9, 6), (3, 0), (2, 0)])
def test_of_an_estimate_counts_what_is_above_the_report(estimated: int, missing: int) -> None:
    cut = a_record(
        ending=Ending.UPSTREAM_CUT, basis=Basis.PARTIAL, usage=Usage(input_tokens=1, output_tokens=3),
        estimate=Estimate(None, estimated),
    )  # fmt: skip
    sums, one = sums_of(cut), ("openai", "gpt-4o-2024-08-06")
    assert sums.tokens == {(*one, "input"): 1, (*one, "output"): 3}
    assert sums.estimated_tokens == {(*one, "output"): missing}


def test_every_attempt_counts() -> None:
    attempts = (Attempt("openai", 400, 0, 1, "x"), Attempt("openai", None, 1, 2), Attempt("openai", 200, 2, 3))
    assert sums_of(a_record(attempts=attempts)).attempts == {
        ("openai", "400"): 1, ("openai", "none"): 1, ("openai", "200"): 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ns", "bucket"),
    [(0, 0), (10_000_000, 0), (10_000_001, 1), (20_000_000, 1), (SECONDS[-1], 15), (SECONDS[-1] + 1, 16), (10**15, 16)],
)
def test_buckets_hold_what_is_not_above_their_bounds(ns: int, bucket: int) -> None:
    (cells,) = sums_of(a_record(total_ns=ns)).duration.values()
    assert [n for n, count in enumerate(cells[:-1]) if count] == [bucket]
    assert cells[-1] == ns


UNKNOWN = Bill()
PAID = Bill(cost_nanos=5)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"bill": PAID}, []),
        ({"bill": UNKNOWN}, ["unpriced"]),
        ({"bill": UNKNOWN, "billable": False, "counted": False}, []),
        ({"bill": replace(PAID, flags=("unpriced:web_search",))}, ["unpriced"]),
        ({"bill": replace(PAID, settled=Settled.DISPUTED)}, ["disputed"]),
        ({"bill": replace(PAID, hold_nanos=4, charge_nanos=5)}, ["overrun"]),
        ({"bill": replace(PAID, hold_nanos=5, charge_nanos=5)}, []),
        ({"bill": PAID, "basis": Basis.PARTIAL, "ending": Ending.CLIENT_LEFT}, ["cancelled", "estimated"]),
        ({"bill": PAID, "basis": Basis.NONE, "counted": False}, ["unmetered"]),
        ({"bill": PAID, "ending": Ending.NEVER_SENT, "status": 499}, ["cancelled"]),
        ({"bill": PAID, "ending": Ending.REFUSED, "status": 429}, ["failed"]),
        ({"bill": PAID, "ending": Ending.UPSTREAM_CUT}, ["failed"]),
    ],
)
def test_marks(changes: dict[str, Any], found: list[str]) -> None:
    assert list(marks(a_record(**changes))) == found


@given(some_records)
def test_the_sums_are_those_of_the_usage(seen: list[Record]) -> None:
    sums, usage = sums_of(*seen), total(summarise(seen, GroupBy.MODEL))
    tokens, parts, estimated = by(sums.tokens, 2), by(sums.token_parts, 2), by(sums.estimated_tokens, 2)
    marked = by(sums.marked, 1)
    told = UsageRow(
        None,
        exchanges=sum(sums.exchanges.values()),
        errors=marked.get("failed", 0),
        cancelled=marked.get("cancelled", 0),
        estimated=marked.get("estimated", 0),
        unmetered=marked.get("unmetered", 0),
        unpriced=marked.get("unpriced", 0),
        input_tokens=tokens.get("input"),
        output_tokens=tokens.get("output"),
        cache_read_tokens=parts.get("cache_read"),
        cache_write_tokens=parts.get("cache_write"),
        reasoning_tokens=parts.get("reasoning"),
        estimated_input_tokens=estimated.get("input"),
        estimated_output_tokens=estimated.get("output"),
        cost_nanos=sum(sums.cost_nanos.values()) if sums.cost_nanos else None,
        charge_nanos=sum(sums.charge_nanos.values()) if sums.charge_nanos else None,
    )
    untold = {
        name: getattr(usage, name)
        for name in UsageRow.__struct_fields__
        if name.endswith(("audio_tokens", "image_tokens"))
    }
    assert structs.replace(told, **untold, reported_cost_nanos=usage.reported_cost_nanos) == usage
