"""The settlement table, written out a second time: every ending, basis and policy, and who pays."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.records import Ending
from headgate.settlement import TABLE, OnUpstreamFailure, Settlement, Verdict, settle, usage_of
from headgate.usage import Basis, Estimate, Reading, Usage

DELIVERED, NEVER, ALWAYS = OnUpstreamFailure.DELIVERED, OnUpstreamFailure.NEVER, OnUpstreamFailure.ALWAYS
PROMPT = 40

REPORTED = Reading(usage=Usage(input_tokens=10, output_tokens=20), basis=Basis.REPORTED, delivered_bytes=80)
PARTIAL = Reading(
    usage=Usage(input_tokens=10, output_tokens=1), basis=Basis.PARTIAL, estimate=Estimate(None, 5), delivered_bytes=20
)
ESTIMATED = Reading(basis=Basis.ESTIMATED, estimate=Estimate(11, 5), delivered_bytes=20)
NOTHING = Reading()
SILENT = Reading(usage=Usage(input_tokens=10), basis=Basis.PARTIAL)
"""The prompt was counted, and then no output came."""

USAGES = {
    "reported": (REPORTED, Usage(input_tokens=10, output_tokens=20), ()),
    "partial": (PARTIAL, Usage(input_tokens=10, output_tokens=5), ("partial",)),
    "estimated": (ESTIMATED, Usage(input_tokens=11, output_tokens=5), ("estimated",)),
    "nothing": (NOTHING, Usage(input_tokens=PROMPT), ("unmetered",)),
    "silent": (SILENT, Usage(input_tokens=10), ("partial",)),
}
"""Readings by name: what is priced, and the flag that says what that rests on."""

FREE = frozenset[tuple[str, OnUpstreamFailure]]()
EVERYONE = frozenset(product(USAGES, OnUpstreamFailure))
AS_THE_OPERATOR_SAYS = frozenset({
    *((name, ALWAYS) for name in USAGES),
    ("reported", DELIVERED), ("partial", DELIVERED), ("estimated", DELIVERED),
})  # fmt: skip
"""`delivered` is charged where output had reached the client, `never` not at all."""

WHO_PAYS: dict[Ending, frozenset[tuple[str, OnUpstreamFailure]]] = {
    Ending.NEVER_SENT: FREE,
    Ending.REFUSED: FREE,
    Ending.COMPLETE: EVERYONE,
    Ending.INCOMPLETE: EVERYONE,
    Ending.CLIENT_LEFT: EVERYONE,
    Ending.UPSTREAM_CUT: AS_THE_OPERATOR_SAYS,
    Ending.UPSTREAM_ERROR: AS_THE_OPERATOR_SAYS,
    Ending.GATEWAY_FAILED: AS_THE_OPERATOR_SAYS,
    Ending.GATEWAY_DIED: EVERYONE,
}


@pytest.mark.parametrize("policy", OnUpstreamFailure)
@pytest.mark.parametrize("name", USAGES)
@pytest.mark.parametrize("ending", Ending)
def test_who_pays(ending: Ending, name: str, policy: OnUpstreamFailure) -> None:
    reading, _, _ = USAGES[name]
    assert settle(ending, reading, policy, prompt_tokens=PROMPT).charged == ((name, policy) in WHO_PAYS[ending])


@pytest.mark.parametrize("policy", OnUpstreamFailure)
@pytest.mark.parametrize("name", USAGES)
@pytest.mark.parametrize("ending", Ending)
def test_what_for_and_flagged_with_what(ending: Ending, name: str, policy: OnUpstreamFailure) -> None:
    """The policy decides who pays, never how much was used: what the account is not charged is the operator's cost."""
    reading, usage, flags = USAGES[name]
    settlement = settle(ending, reading, policy, prompt_tokens=PROMPT)
    if WHO_PAYS[ending] == FREE:
        assert settlement == Settlement(charged=False, usage=reading.usage, flags=())
        return
    failed = (str(ending),) if WHO_PAYS[ending] is AS_THE_OPERATOR_SAYS else ()
    assert (settlement.usage, settlement.flags) == (usage, (*flags, *failed))


def test_the_table_has_a_row_for_each_ending() -> None:
    assert set(TABLE) == set(Ending) == set(WHO_PAYS)
    assert set(TABLE.values()) == set(Verdict)


@pytest.mark.parametrize(
    ("reported", "basis", "estimate", "expected"),
    [
        # the provider's whole report stands, whatever an estimate says
        ((3, 4), Basis.REPORTED, (30, 40), (3, 4)),
        ((None, 4), Basis.REPORTED, (30, 40), (None, 4)),
        ((0, 0), Basis.REPORTED, None, (0, 0)),
        # of a part of a report and an estimate, the larger, each side for itself
        ((3, 4), Basis.PARTIAL, (1, 9), (3, 9)),
        ((3, 9), Basis.PARTIAL, (5, 4), (5, 9)),
        ((3, None), Basis.PARTIAL, (None, 4), (3, 4)),
        ((3, None), Basis.PARTIAL, None, (3, None)),
        ((None, 4), Basis.PARTIAL, None, (None, 4)),
        # nothing reported
        ((None, None), Basis.ESTIMATED, (7, 8), (7, 8)),
        ((None, None), Basis.ESTIMATED, (None, 8), (None, 8)),
        ((None, None), Basis.NONE, None, (PROMPT, None)),
    ],
)
def test_the_larger_of_report_and_estimate(
    reported: tuple[int | None, int | None],
    basis: Basis,
    estimate: tuple[int | None, int | None] | None,
    expected: tuple[int | None, int | None],
) -> None:
    said = Usage(input_tokens=reported[0], output_tokens=reported[1])
    usage = usage_of(Reading(usage=said, basis=basis, estimate=estimate and Estimate(*estimate)), PROMPT)
    assert (usage.input_tokens, usage.output_tokens) == expected


@pytest.mark.parametrize(
    ("basis", "estimate", "cost"),
    [
        (Basis.REPORTED, None, 77),
        (Basis.REPORTED, Estimate(99, 99), 77),
        (Basis.PARTIAL, Estimate(None, 20), 77),
        (Basis.PARTIAL, Estimate(None, 21), None),
        (Basis.PARTIAL, Estimate(11, None), None),
    ],
)
def test_a_providers_own_cost_does_not_outlive_an_estimate_above_its_counts(
    basis: Basis, estimate: Estimate | None, cost: int | None
) -> None:
    said = Usage(input_tokens=10, output_tokens=20, reported_cost_nanos=77)
    assert usage_of(Reading(usage=said, basis=basis, estimate=estimate), PROMPT).reported_cost_nanos == cost


def test_what_else_was_reported_stays() -> None:
    said = Usage(input_tokens=10, cache_read_tokens=4, tool_calls={"web_search": 2}, output_tokens=1)
    reading = Reading(usage=said, basis=Basis.PARTIAL, estimate=Estimate(None, 5))
    usage = usage_of(reading, PROMPT)
    assert (usage.cache_read_tokens, usage.tool_calls, usage.output_tokens) == (4, {"web_search": 2}, 5)


COUNTS = st.none() | st.integers(0, 1000)
READINGS = st.builds(
    Reading,
    usage=st.builds(Usage, input_tokens=COUNTS, output_tokens=COUNTS),
    basis=st.sampled_from(Basis),
    estimate=st.none() | st.builds(Estimate, COUNTS, COUNTS),
    delivered_bytes=st.integers(0, 100),
)


@given(ending=st.sampled_from(Ending), reading=READINGS)
def test_nothing_that_was_reported_is_ever_taken_back(ending: Ending, reading: Reading) -> None:
    for policy in OnUpstreamFailure:
        usage = settle(ending, reading, policy, prompt_tokens=PROMPT).usage
        for name in ("input_tokens", "output_tokens"):
            reported, priced = getattr(reading.usage, name), getattr(usage, name)
            assert reported is None or priced >= reported


@given(ending=st.sampled_from(Ending), reading=READINGS)
def test_never_charges_no_more_often_than_delivered_and_that_no_more_often_than_always(
    ending: Ending, reading: Reading
) -> None:
    charged = [settle(ending, reading, p, prompt_tokens=PROMPT).charged for p in (NEVER, DELIVERED, ALWAYS)]
    assert charged == sorted(charged)
