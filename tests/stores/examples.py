"""Records to test with: one plain example to vary, and any record at all."""

import time
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.records import Attempt, Bill, Ending, Mark, PriceLine, Record, Settled, Wanted
from headgate.usage import Basis, Estimate, Leg, Reading, Usage

DAY_NS = 86_400 * 1_000_000_000
NOON = 20_393 * DAY_NS + DAY_NS // 2
"""2025-11-01 12:00 UTC."""

PLAIN = Record(
    exchange_id="ex_1",
    started_at_ns=NOON,
    method="POST",
    path="/v1/chat/completions",
    dialect="openai.chat",
    operation="create",
    provider="openai",
    key=None,
    model_asked="gpt-4o",
    streamed=True,
    status=200,
    ending=Ending.COMPLETE,
    reading=Reading(
        usage=Usage(input_tokens=100, cache_read_tokens=20, output_tokens=50, reasoning_tokens=10),
        basis=Basis.REPORTED,
        served_model="gpt-4o-2024-08-06",
        response_id="resp_1",
        terminal_evidence="[DONE]",
    ),
    billable=True,
    counted=True,
    first_byte_ns=250_000_000,
    total_ns=1_000_000_000,
    bytes_in=4_000,
    bytes_out=4_000,
    attempts=(Attempt("openai", 200, 1_000, 999_000_000),),
)


def a_record(exchange_id: str = "ex_1", **changes: Any) -> Record:
    """PLAIN with changes; those to fields of Reading go to its reading."""
    own = {name: changes.pop(name) for name in list(changes) if name in Record.__struct_fields__}
    return replace(PLAIN, exchange_id=exchange_id, reading=replace(PLAIN.reading, **changes), **own)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


texts = st.text(max_size=20)
counts = st.integers(0, 2**40)
some_counts = st.none() | counts
tallies = st.dictionaries(texts, counts, max_size=3)
units = st.dictionaries(texts, counts | st.decimals(allow_nan=False, allow_infinity=False), max_size=3)
plain_usages = st.builds(
    Usage,
    **{name: some_counts for name in Usage.__struct_fields__ if name.endswith("_tokens")},
    reported_cost_nanos=some_counts,
    cache_write_tokens_by_ttl=st.none() | tallies,
    tool_calls=st.none() | tallies,
    billed_units=st.none() | units,
)
legs = st.builds(Leg, kind=texts, model=st.none() | texts, usage=plain_usages)
usages = st.builds(replace, plain_usages, legs=st.lists(legs, max_size=2).map(tuple))
estimates = st.none() | st.builds(Estimate, some_counts, counts) | st.builds(Estimate, counts, some_counts)
readings = st.builds(
    Reading,
    usage=usages,
    basis=st.sampled_from(Basis),
    estimate=estimates,
    served_model=st.none() | st.sampled_from(["", "gpt-4o", "claude"]) | texts,
    response_id=st.none() | st.sampled_from(["resp_1", "resp_2"]) | texts,
    service_tier=st.none() | texts,
    terms=st.dictionaries(texts, texts, max_size=2),
    finish_reason=st.none() | texts,
    terminal_evidence=st.none() | texts,
    in_stream_error=st.none() | texts,
    delivered_bytes=counts,
    anomalies=tallies,
)
attempts = st.builds(Attempt, texts, st.none() | st.integers(100, 599), counts, counts, st.none() | texts)
lines = st.builds(PriceLine, texts, texts, texts, counts, st.none() | texts)
FLAGS = ("unpriced:model", "estimated", "Unpriced:model", "priced_as:unpriced:x", 'x","unpriced:y', '["unpriced:"')
"""The first tells that something is unpriced; the others only look like it, or do not."""
bills = st.builds(
    Bill,
    account=st.none() | st.sampled_from(["acme", "umbrella"]) | texts,
    hold_nanos=some_counts,
    cost_nanos=some_counts,
    charge_nanos=some_counts,
    settled=st.none() | st.sampled_from(Settled),
    price_source=st.none() | texts,
    price_version=st.none() | texts,
    lines=st.lists(lines, max_size=2).map(tuple),
    flags=st.lists(st.sampled_from(FLAGS) | texts, max_size=2).map(tuple),
)
any_record = st.builds(
    Record,
    exchange_id=st.uuids().map(str),
    started_at_ns=st.integers(0, 2**63 - 1) | st.sampled_from([NOON, NOON + 1]) | st.integers(NOON, NOON + 3 * DAY_NS),
    method=st.sampled_from(["GET", "POST"]),
    path=texts,
    dialect=st.none() | texts,
    operation=st.none() | texts,
    billable=st.booleans(),
    provider=st.none() | st.sampled_from(["openai", "groq"]),
    key=st.none() | st.sampled_from(["team-a", "team-b"]),
    model_asked=st.none() | st.sampled_from(["", "gpt-4o"]) | texts,
    streamed=st.booleans(),
    status=st.sampled_from([200, 400, 499, 502]),
    ending=st.sampled_from(Ending),
    reading=readings,
    counted=st.booleans(),
    first_byte_ns=some_counts,
    total_ns=counts,
    bytes_in=counts,
    bytes_out=counts,
    attempts=st.lists(attempts, max_size=2).map(tuple),
    error=st.none() | texts,
    key_id=st.none() | st.sampled_from(["key_1", "team-a"]) | texts,
    bill=st.just(Bill()) | bills,
)
some_records = st.lists(any_record, max_size=6, unique_by=lambda record: record.exchange_id)
some_wanted = st.builds(
    Wanted,
    since_ns=st.none() | st.sampled_from([0, NOON, NOON + 1, NOON + DAY_NS]),
    key=st.none() | st.sampled_from(["team-a", "team-b", "key_1"]) | texts,
    account=st.none() | st.sampled_from(["acme", "umbrella"]) | texts,
    model=st.none() | st.sampled_from(["", "gpt-4o", "claude"]) | texts,
    provider=st.none() | st.sampled_from(["openai", "groq"]) | texts,
    until_ns=st.none() | st.sampled_from([NOON, NOON + 1, NOON + DAY_NS]),
    ending=st.none() | st.sampled_from(Ending),
    mark=st.none() | st.sampled_from(Mark),
)
