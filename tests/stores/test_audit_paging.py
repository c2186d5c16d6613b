from hypothesis import given
from hypothesis import strategies as st

from headgate.audit.transcripts import SCANNED, Transcript, TranscriptsWanted
from headgate.stores.audit_paging import page, to_scan
from tests.stores.audit_conformance import a_transcript


def test_without_a_text_no_more_is_looked_at_than_is_shown() -> None:
    assert to_scan(TranscriptsWanted(key="a"), 10) == 11
    assert to_scan(TranscriptsWanted(text="a"), 10) == SCANNED + 1


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 5), st.integers(1, 10))
def test_page_by_page_all_is_found_once_and_in_order(fits: list[bool], limit: int, scanned: int) -> None:
    scanned = max(scanned, limit) + 1
    everything = [(a_transcript(n), fit) for n, fit in enumerate(fits)][::-1]
    found: list[Transcript] = []
    left, pages = everything, 0
    while True:
        shown = page(left[:scanned], limit, scanned)
        found += shown.found
        pages += 1
        if shown.more is None:
            break
        left = [
            (transcript, fit) for transcript, fit in left if (transcript.at_ns, transcript.exchange_id) < shown.more
        ]
        assert left, "what is said to be more is there"
    assert found == [transcript for transcript, fit in everything if fit]
    assert pages <= len(fits) + 1
