from hypothesis import given
from hypothesis import strategies as st

from headgate.stores.spans import COARSEST_FIRST, END_NS, Kept, Part, Step, cover

HOUR, DAY, MINUTE = Step.HOUR.ns, Step.DAY.ns, Step.MINUTE.ns
moments = st.integers(0, 400 * MINUTE) | st.integers(0, 9 * DAY) | st.integers(0, END_NS)


def test_the_coarsest_in_the_middle_and_finer_ones_at_the_ends() -> None:
    assert cover(DAY - 2 * HOUR - MINUTE - 1, 3 * DAY + MINUTE, 0) == (
        Part(None, DAY - 2 * HOUR - MINUTE - 1, DAY - 2 * HOUR - MINUTE),
        Part(Step.MINUTE, DAY - 2 * HOUR - MINUTE, DAY - 2 * HOUR),
        Part(Step.HOUR, DAY - 2 * HOUR, DAY),
        Part(Step.DAY, DAY, 3 * DAY),
        Part(Step.MINUTE, 3 * DAY, 3 * DAY + MINUTE),
    )


def test_where_minutes_are_gone_records_tell() -> None:
    assert cover(HOUR + MINUTE, 2 * HOUR, 3 * HOUR) == (Part(None, HOUR + MINUTE, 2 * HOUR),)
    assert cover(HOUR + MINUTE, 2 * HOUR, HOUR + 3 * MINUTE) == (
        Part(None, HOUR + MINUTE, HOUR + 3 * MINUTE),
        Part(Step.MINUTE, HOUR + 3 * MINUTE, 2 * HOUR),
    )


@given(moments, moments, st.integers(0, 9 * DAY // MINUTE), st.sampled_from([COARSEST_FIRST, COARSEST_FIRST[1:], ()]))
def test_the_parts_make_up_the_span(since: int, until: int, minutes_from: int, steps: tuple[Step, ...]) -> None:
    parts = cover(since, until, minutes_from * MINUTE, steps)
    ends = [since, *(part.until_ns for part in parts)] if since < until else [since]
    assert [part.since_ns for part in parts] == ends[:-1]
    assert not parts or ends[-1] == until
    for part in parts:
        assert part.since_ns < part.until_ns
        if part.step is not None:
            assert part.step in steps
            assert part.since_ns % part.step.ns == part.until_ns % part.step.ns == 0
        if part.step is Step.MINUTE:
            assert part.since_ns >= minutes_from * MINUTE


def test_bounds_among_removed_records_are_those_of_their_minute_or_hour() -> None:
    kept = Kept(minutes_from_ns=2 * HOUR, pruned_until_ns=4 * HOUR)
    assert kept.knowable(HOUR + MINUTE + 1) == HOUR
    assert kept.knowable(3 * HOUR + MINUTE + 1) == 3 * HOUR + MINUTE
    assert kept.knowable(4 * HOUR + 1) == 4 * HOUR + 1
    assert Kept().knowable(7) == 7
    within = Kept(minutes_from_ns=2 * HOUR + 30 * MINUTE, pruned_until_ns=4 * HOUR)
    assert within.knowable(2 * HOUR + 40 * MINUTE) == 2 * HOUR
    assert within.knowable(3 * HOUR + MINUTE + 1) == 3 * HOUR + MINUTE


@given(moments)
def test_a_moment_lies_between_the_ends_of_its_step(at: int) -> None:
    for step in Step:
        assert step.floor(at) <= at <= step.ceil(at) < at + step.ns
        assert step.floor(at) % step.ns == step.ceil(at) % step.ns == 0
