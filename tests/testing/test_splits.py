from random import Random

from hypothesis import given
from hypothesis import strategies as st

from headgate.testing.splits import SHORT_BYTES, every_split, random_split, split_at


@given(st.binary(max_size=40))
def test_every_split_joins_to_the_data_and_has_no_empty_chunk(data: bytes) -> None:
    for chunks in every_split(data):
        assert b"".join(chunks) == data
        assert all(chunks)


def test_short_data_is_split_whole_byte_by_byte_and_in_two_at_every_place() -> None:
    assert list(every_split(b"abc")) == [[b"abc"], [b"a", b"b", b"c"], [b"a", b"bc"], [b"ab", b"c"]]
    assert list(every_split(b"ab")) == [[b"ab"], [b"a", b"b"]]
    assert list(every_split(b"a")) == [[b"a"]]
    assert list(every_split(b"")) == [[]]


def test_long_data_is_split_in_two_about_as_often_as_the_longest_short_data() -> None:
    data = bytes(100 * SHORT_BYTES)
    twos = [chunks for chunks in every_split(data) if len(chunks) == 2]
    assert SHORT_BYTES // 2 <= len(twos) <= 2 * SHORT_BYTES


@given(st.binary(max_size=40), st.lists(st.integers(-5, 45)))
def test_cuts_are_taken_in_any_order_and_outside_the_data_not_at_all(data: bytes, cuts: list[int]) -> None:
    chunks = split_at(data, cuts)
    assert b"".join(chunks) == data
    assert all(chunks)
    ends = [len(b"".join(chunks[:n])) for n in range(1, len(chunks))]
    assert ends == sorted({cut for cut in cuts if 0 < cut < len(data)})


def test_a_random_split_is_the_same_for_the_same_seed() -> None:
    data = bytes(range(200))
    assert random_split(data, Random(5)) == random_split(data, Random(5))
    assert b"".join(random_split(data, Random(6))) == data
    assert len({len(random_split(data, Random(seed))) for seed in range(50)}) > 5
