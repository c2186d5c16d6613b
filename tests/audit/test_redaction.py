import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.audit.legible import legible
from headgate.audit.redaction import MARGIN, Redactor
from headgate.testing import corpus
from tests.audit.planted import PEM, SECRETS

OURS = "the-gateways-own/secret+key"
THEIRS = "a credential of the client's"


def test_known_secrets_are_found_whatever_they_look_like() -> None:
    redactor = Redactor([OURS, "short"])
    text = json.dumps({"error": f"bad key {OURS} or {THEIRS}, short"})
    redacted = redactor.redact(text, 1_000, [THEIRS, ""])
    assert redacted.text == '{"error": "bad key [credential] or [credential], short"}'
    assert redacted.whole


def test_the_operators_own_expressions() -> None:
    redactor = Redactor(expressions=[r"ACME-\d{6}", "(?i)project x"])
    assert redactor.redact("ACME-123456 for Project X", 100).text == "[redacted] for [redacted]"
    for wrong in ("(", "a*", "^"):
        with pytest.raises(ValueError, match="expected a regular expression"):
            Redactor(expressions=[wrong])


@pytest.mark.parametrize(
    ("text", "most", "kept"), [("abc", 3, "abc"), ("abcd", 3, "abc"), ("\u00e9\u00e9", 3, "\u00e9")]
)
def test_the_head_is_kept(text: str, most: int, kept: str) -> None:
    redacted = Redactor().redact(text, most)
    assert (redacted.text, redacted.whole) == (kept, text == kept)


def test_a_picture_does_not_push_out_the_text_behind_it() -> None:
    body = json.dumps({"image": "data:image/png;base64," + "iVBOR0kG" * 100_000, "text": "What is this?"})
    redacted = Redactor().redact(body, 1_000)
    assert redacted.text == '{"image": "data:image/png;base64,[800000 characters]", "text": "What is this?"}'
    assert redacted.whole


@settings(max_examples=300)
@given(
    st.sampled_from([*SECRETS.values(), PEM, OURS]),
    st.text(max_size=60),
    st.text(max_size=60),
    st.integers(0, 250),
)
def test_wherever_it_is_cut_nothing_of_a_secret_is_left(secret: str, before: str, after: str, most: int) -> None:
    text = json.dumps({"content": f"{before} {secret} {after}"}, ensure_ascii=False)
    left = Redactor([OURS]).redact(text, most).text
    written = json.dumps(secret)[1:-1]
    for start in range(len(written) - 12):
        part = written[start : start + 12]
        if part not in json.dumps({"content": before + after}, ensure_ascii=False):
            assert part not in left


def test_a_secret_that_begins_before_the_cut_and_ends_far_behind() -> None:
    long = "hg-" + "Ab1_" * 500
    left = Redactor().redact("x " + long, 20).text
    assert left == "x [redacted]"
    assert len(long) < MARGIN


MILLION = 1_000_000
PIECES = (
    "eyJ", "-eyJ", "-eyJhbGciOiJ.", "sk-", "xsk-", "AKIA", "%2F", "%3D", "\\/", "\\", '"', "key=", "api_key=", 'key"',
    "bearer ", "bearer+", "://a:", "-----BEGIN PRIVATE KEY-----", ";base64,", '"iVBOR0kG', '"a":"b",', "\n",
    '"index":1,"a":"b",', '{"index":1,"a":"sk-"}\n', "some words of text, and more. ",
)  # fmt: skip
BEGINS = ("key", "key=", "bearer", '"a"', '"a":"')


@pytest.mark.parametrize(
    "text",
    [
        "iVBOR0kG" * (MILLION // 8) + "==",
        *(piece * (MILLION // len(piece)) for piece in PIECES),
        *(begin + MILLION * filler for begin in BEGINS for filler in (" ", '"', "A")),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_no_text_is_read_again_and_again(text: str) -> None:
    """Each is read in a second or so; what reads the rest of a text from each of its places does not end before the
    limit that all tests have."""
    Redactor([OURS], [r"ACME-\d{6}"]).redact(text, len(text), [THEIRS])


def test_recorded_answers_stay_what_they_are() -> None:
    """Nobody's secrets are in them. Bedrock fills its events up with the alphabet."""
    odd = []
    for case in corpus.load(Path(__file__).parent.parent / "corpus.tar.xz"):
        text = Redactor().redact(legible(case.body, case.content_type), 65_536).text
        odd += re.findall(r'(?<!"p":")\[(?:redacted|credential)\]', text)
    assert len(odd) <= 2, "two ids of Google's happen to be 40 characters long"
