"""Health: the table walked, and what holds whatever happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.routing.health import FIRST_NS, IN_A_ROW, LONGEST_NS, TRANSITIONS, Event, Health, Phase, State

KEY = ("eu", "m")
S = 1_000_000_000


@pytest.mark.parametrize(("pair", "leads_to"), TRANSITIONS.items())
def test_the_table(pair: tuple[Phase, Event], leads_to: Phase) -> None:
    phase, event = pair
    assert State(phase, until_ns=5).after(event, 10, 3).phase is leads_to


@pytest.mark.parametrize(
    "pair", [(phase, event) for phase in Phase for event in Event if (phase, event) not in TRANSITIONS]
)
def test_every_other_pair_leads_nowhere(pair: tuple[Phase, Event]) -> None:
    phase, event = pair
    assert State(phase, until_ns=10**15).after(event, 10).phase is phase


def test_failures_in_a_row_make_a_cool_down() -> None:
    health = Health()
    for n in range(IN_A_ROW):
        assert health.of(KEY).is_free(0), n
        health.tried(KEY, 0)
        health.failed(KEY, 0)
        health.over(KEY, 0)
    assert health.cooling(0) == {KEY: FIRST_NS}
    assert not health.of(KEY).is_free(FIRST_NS - 1)
    assert health.of(KEY).is_free(FIRST_NS)


def test_a_whole_answer_in_between_begins_anew() -> None:
    health = Health()
    for _ in range(5):
        health.failed(KEY, 0)
        health.answered(KEY, 0, 1)
        health.over(KEY, 0, well=True)
    assert health.of(KEY).phase is Phase.WELL


def test_answers_that_all_break_off_are_failures_in_a_row() -> None:
    health = Health()
    for _ in range(IN_A_ROW):
        health.answered(KEY, 0, 1)
        health.failed(KEY, 0)
        health.over(KEY, 0)
    assert health.of(KEY).phase is Phase.COOLING


def test_one_probe_at_a_time_finds_out() -> None:
    health, at = Health(), FIRST_NS
    for _ in range(IN_A_ROW):
        health.failed(KEY, 0)
    health.tried(KEY, at)
    assert not health.of(KEY).is_free(at), "the probe is under way"
    health.failed(KEY, at)
    health.over(KEY, at)
    assert health.cooling(at) == {KEY: 2 * FIRST_NS}
    health.tried(KEY, at + 2 * FIRST_NS)
    health.answered(KEY, at + 2 * FIRST_NS, 1)
    assert health.of(KEY).is_free(at + 2 * FIRST_NS)


def test_a_probe_whose_client_leaves_makes_room_for_the_next() -> None:
    health = Health()
    health.limited(KEY, 0, S)
    health.tried(KEY, S)
    health.over(KEY, S)
    assert health.of(KEY).is_free(S)
    assert health.of(KEY).phase is Phase.COOLING


def test_cool_downs_grow_to_a_bound() -> None:
    health, now, lengths = Health(), 0, []
    for _ in range(IN_A_ROW - 1):
        health.failed(KEY, now)
    for _ in range(12):
        health.tried(KEY, now)
        health.failed(KEY, now)
        length = health.cooling(now)[KEY]
        lengths.append(length)
        now += length
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[1], lengths[-1]) == (FIRST_NS, 2 * FIRST_NS, LONGEST_NS)


def test_who_says_when_to_come_again_is_left_alone_so_long() -> None:
    health = Health()
    health.limited(KEY, 0, 7 * S)
    assert health.cooling(0) == {KEY: 7 * S}
    health.limited(KEY, 0, 2 * S)
    assert health.cooling(0) == {KEY: 7 * S}, "the longer one stands"
    health.limited(KEY, 0, 10**18)
    assert health.cooling(0) == {KEY: LONGEST_NS}


def test_times_are_averaged() -> None:
    health = Health()
    assert health.of(KEY).first_byte_ns is None
    health.answered(KEY, 0, 100)
    assert health.of(KEY).first_byte_ns == 100
    health.answered(KEY, 0, 200)
    assert health.of(KEY).first_byte_ns == 120


CALLS = st.lists(
    st.tuples(st.sampled_from(["tried", "answered", "failed", "limited", "well", "over"]), st.integers(0, 400 * S))
)


@given(CALLS)
def test_whatever_happens_it_becomes_free_again(calls: list[tuple[str, int]]) -> None:
    health, now = Health(), 0
    for name, number in calls:
        now += number // 7
        match name:
            case "tried":
                health.tried(KEY, now)
            case "answered":
                health.answered(KEY, now, number)
            case "failed":
                health.failed(KEY, now)
            case "limited":
                health.limited(KEY, now, number)
            case _:
                health.over(KEY, now, well=name == "well")
        state = health.of(KEY)
        assert state.under_way >= 0
        assert state.is_free(now + LONGEST_NS), "no target is given up for good"
        assert all(0 < wait <= LONGEST_NS for wait in health.cooling(now).values())
        assert (state.phase is Phase.WELL) <= state.is_free(now)
