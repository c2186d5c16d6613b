from hypothesis import given
from hypothesis import strategies as st

from headgate.audit.spans import Span, merged, rewritten

some_spans = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 8)).map(lambda s: Span(s[0], s[0] + s[1], f"<{s[0]}>")), max_size=8
)


def test_spans_are_written_differently() -> None:
    spans = [Span(1, 3, "-"), Span(5, 6, "")]
    assert rewritten("abcdefgh", spans, 8) == "a-degh"
    assert rewritten("abcdefgh", spans, 4) == "a-d"
    assert rewritten("abcdefgh", spans, 2) == "a-", "one across the cut is whole"
    assert rewritten("abcdefgh", spans, 1) == "a"
    assert rewritten("abcdefgh", [], 3) == "abc"


def test_of_those_that_overlap_the_first_speaks() -> None:
    assert merged([Span(2, 5, "b"), Span(0, 3, "a"), Span(5, 6, "c")]) == [Span(0, 5, "a"), Span(5, 6, "c")]
    assert merged([Span(0, 2, "short"), Span(0, 9, "long")]) == [Span(0, 9, "long")]


@given(some_spans, st.integers(0, 30))
def test_no_character_under_a_span_stays(spans: list[Span], cut: int) -> None:
    text = "".join(chr(0x4E00 + n) for n in range(30))
    under = {n for span in spans for n in range(span.start, span.end)}
    left = rewritten(text, merged(spans), cut)
    assert [c for c in left if c in text] == [c for n, c in enumerate(text) if n not in under and n < cut]
