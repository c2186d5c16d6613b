"""Hypothesis strategies that several test files share."""

from hypothesis import strategies as st

from headgate.testing.splits import split_at


def splits(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """The data in chunks, cut anywhere."""
    return st.lists(st.integers(1, max(1, len(data) - 1)), max_size=12).map(lambda cuts: split_at(data, cuts))


def mixtures(*parts: bytes, most: int = 30) -> st.SearchStrategy[bytes]:
    """Byte strings put together from the parts, and now and then from any bytes."""
    part = st.one_of(st.sampled_from(parts), st.sampled_from(parts), st.binary(max_size=3))
    return st.lists(part, max_size=most).map(b"".join)
