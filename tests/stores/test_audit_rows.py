import pytest

from headgate.audit.deeds import DeedsWanted
from headgate.audit.transcripts import TranscriptsWanted
from headgate.stores.audit_rows import (
    DEED,
    HEADING,
    TRANSCRIPT,
    deed_of,
    deed_row,
    storable_deed,
    storable_search,
    storable_transcript,
    storable_wanted,
    transcript_of,
    transcript_row,
)
from tests.stores.audit_conformance import FULL, SAID, a_deed


def test_rows_and_back() -> None:
    assert len(deed_row(FULL)) == len(DEED)
    assert deed_of((7, *deed_row(FULL))) == (7, FULL)
    assert len(transcript_row(SAID)) == len(TRANSCRIPT)
    assert transcript_of(transcript_row(SAID)) == SAID
    assert transcript_of(transcript_row(SAID)[: len(HEADING)]) == SAID.without_texts()


def test_what_can_be_kept_stays_as_it_is() -> None:
    assert storable_deed(FULL) == FULL
    assert storable_transcript(SAID) == SAID
    for wanted in (DeedsWanted(), DeedsWanted(1, 2, "a", "b", "c", "d")):
        assert storable_wanted(wanted) == wanted
    assert storable_search(TranscriptsWanted(1, 2, "a", "b")) == TranscriptsWanted(1, 2, "a", "b")


def test_ids_and_numbers_are_refused_rather_than_changed() -> None:
    for deed in (a_deed(2**63), a_deed(1, deed_id="a\0")):
        with pytest.raises(ValueError, match="cannot be kept"):
            storable_deed(deed)
