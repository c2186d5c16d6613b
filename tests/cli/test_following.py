import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.cli.following import LOOKED_BACK_AT, MOST_MISSED, PATIENCE_SECONDS, Arrived, Following
from tests.stores.examples import a_record


def numbered(*numbers: int) -> list[Arrived]:
    return [(number, a_record(f"ex_{number}")) for number in numbers]


def names(following: Following, *numbers: int, now: float = 0.0) -> list[str]:
    return [record.exchange_id for record in following.take(numbered(*numbers), now)]


def test_what_was_there_before_is_not_new() -> None:
    following = Following([7, 6, 5], 0.0)
    assert following.after == 7
    assert names(following, 8, 9) == ["ex_8", "ex_9"]


def test_what_was_not_there_yet_when_it_began_is_new_however_low_its_number() -> None:
    following = Following([LOOKED_BACK_AT + 5, 3], 0.0)
    assert following.missing == list(range(6, LOOKED_BACK_AT + 5))
    assert names(following, 6, 4) == ["ex_6"]


def test_an_empty_store_is_followed_from_the_beginning() -> None:
    following = Following([], 0.0)
    assert names(following, 1) == ["ex_1"]


def test_a_number_that_was_missed_is_shown_when_it_comes() -> None:
    following = Following([1, 3], 0.0)
    assert following.missing == [2]
    assert names(following, 6) == ["ex_6"]
    assert following.missing == [2, 4, 5]
    assert names(following, 2, 4, now=1.0) == ["ex_2", "ex_4"]
    assert names(following, 2, 4, 6, now=2.0) == []
    assert following.missing == [5]


def test_a_number_that_nobody_can_hold_any_more_is_let_go() -> None:
    following = Following([1, 3], 0.0)
    names(following, 5, now=1.0)
    names(following, now=PATIENCE_SECONDS)
    assert following.missing == [4]
    names(following, now=PATIENCE_SECONDS + 1)
    assert following.missing == []


@pytest.mark.parametrize("far", [10**6, 2**62])
def test_a_leap_is_no_trouble(far: int) -> None:
    following = Following([1, 2], 0.0)
    assert names(following, far) == [f"ex_{far}"]
    assert following.missing == list(range(far - MOST_MISSED, far))
    names(following, far + 3)
    assert len(following.missing) == MOST_MISSED


@given(st.data())
def test_with_many_writers_each_record_is_shown_once_whenever_it_commits(data: st.DataObject) -> None:
    """A database of which each poll sees some more of what was numbered: committed in any order, or never."""
    known = data.draw(st.integers(0, 5))
    invisible = set(data.draw(st.sets(st.integers(1, known)))) if known else set()
    visible = set(range(1, known + 1)) - invisible
    following = Following(visible, 0.0)
    before = set(visible)
    numbered_so_far = known
    shown: list[str] = []
    for poll in range(data.draw(st.integers(1, 6))):
        fresh = data.draw(st.integers(0, 4))
        invisible |= set(range(numbered_so_far + 1, numbered_so_far + fresh + 1))
        numbered_so_far += fresh
        commits = data.draw(st.sets(st.sampled_from(sorted(invisible)))) if invisible else set()
        visible |= commits
        invisible -= commits
        limit = data.draw(st.integers(1, 5))
        above = sorted(number for number in visible if number > following.after)[:limit]
        below = sorted(visible & set(following.missing))
        shown += names(following, *below, *above, now=float(poll))
    while above := sorted(number for number in visible if number > following.after or number in following.missing):
        shown += names(following, *above, now=9.0)
    assert sorted(shown) == sorted(f"ex_{number}" for number in visible - before)
