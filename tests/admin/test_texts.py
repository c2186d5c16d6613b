import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.admin import texts
from headgate.errors import BadRequest

LARGEST = 10**18 - 1


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("12.50", 12_500_000_000),
        ("0.1", 100_000_000),
        ("0.000000001", 1),
        ("-0.000000001", -1),
        ("-3", -3_000_000_000),
        ("007", 7_000_000_000),
        ("999999999.999999999", LARGEST),
    ],
)
def test_dollars_are_read_exactly(text: str, nanos: int) -> None:
    assert texts.nanos_from_usd(text, "amount_usd") == nanos


@pytest.mark.parametrize(
    "text",
    ["", "-", ".5", "5.", "1e3", "1,000", "$5", "+5", " 5", "5 ", "5\n", "--5", "0.0000000001", "1000000000", "٣",
     "nan", "Infinity", "0x10", "1_000", "\ud800"],
)  # fmt: skip
def test_what_is_no_amount_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        texts.nanos_from_usd(text, "amount_usd")
    assert refused.value.param == "amount_usd"


@given(st.integers(-LARGEST, LARGEST))
def test_what_is_written_is_read_back(nanos: int) -> None:
    text = texts.usd_from_nanos(nanos)
    assert Decimal(text) * 10**9 == nanos
    assert texts.nanos_from_usd(text, "x") == nanos


@pytest.mark.parametrize("name", ["a", "team-a", "Acme_2.eu", "env=prod", "a:b", "x+y", "key_01", "a" * 100])
def test_names(name: str) -> None:
    assert texts.name(name, "account") == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-a", ".", "élan", "a" * 101, "a\n", "a\x00", "a@b", "\udc80"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(BadRequest, match="`account`"):
        texts.name(name, "account")


@pytest.mark.parametrize("note", ["", "Invoice 7, élan 🙂", "a" * 500])
def test_notes(note: str) -> None:
    assert texts.note(note, "note") == note


@pytest.mark.parametrize("note", ["a\nb", "a\n", "\x1b[31m", "\x00", "\x9b", "a" * 501, "\ud800"])
def test_a_note_is_one_line_that_steers_nothing(note: str) -> None:
    with pytest.raises(BadRequest, match="`note`"):
        texts.note(note, "note")


@pytest.mark.parametrize("pattern", [texts.NAME, texts.ENTRY_ID, texts.NOTE, texts.PATTERN, texts.USD, texts.REASON])
def test_a_pattern_says_the_same_searched_and_matched(pattern: str) -> None:
    """JSON Schema searches; a line feed at the end must not slip through there."""
    for text in ("a", "5", "a\n", "5\n", "\n", "a\nb"):
        assert bool(re.search(pattern, text)) == bool(re.fullmatch(pattern, text)), text


def test_no_entry_id_can_be_one_of_a_holds_own() -> None:
    assert not re.fullmatch(texts.ENTRY_ID, "ex_1:resolve")


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (texts.USD, ["0", "0.000000001", "12.50"], ["-1", "+1", ".5"]),
        (texts.POSITIVE_USD, ["0.000000001", "10", "100.00"], ["0", "0.00", "000", "-1", ""]),
        (texts.SIGNED_USD, ["0", "-0", "-1.5"], ["--1", "-"]),
        (texts.NONZERO_USD, ["-0.1", "20"], ["0", "-0", "-0.000", ""]),
        (texts.REASON, ["x", "a b", "é"], ["", " x", "\n", "a" * 501]),
        (texts.PATTERN, ["gpt-*", "a/b:c"], ["", "a b", "a" * 201]),
    ],
)
def test_patterns_of_bodies(pattern: str, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not re.search(pattern, text)] == []
    assert [text for text in bad if re.search(pattern, text)] == []
