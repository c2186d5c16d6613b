from typing import Any

import pytest

from headgate.audit.transcripts import Body, Transcript, TranscriptsWanted

SAID = Transcript(
    "ex_1", 1_000, "team a", "key_1", "openai.chat", "create", "/v1/chat/completions",
    Body('{"a": "Hello"}', 14, 14), Body("there", 5, 5),
)  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "fits"),
    [
        ({}, True),
        ({"since_ns": 1_000}, True),
        ({"since_ns": 1_001}, False),
        ({"until_ns": 1_001}, True),
        ({"until_ns": 1_000}, False),
        ({"key": "team a"}, True),
        ({"key": "key_1"}, True),
        ({"key": "team"}, False),
        ({"text": "hELLO"}, True),
        ({"text": "THERE"}, True),
        ({"text": "hello there"}, False),
    ],
)
def test_what_is_wanted(wish: dict[str, Any], fits: bool) -> None:
    wanted = TranscriptsWanted(**wish)
    assert (wanted.covers(SAID) and wanted.holds(SAID)) is fits


def test_a_list_is_without_the_texts_and_with_all_else() -> None:
    listed = SAID.without_texts()
    assert (listed.request, listed.response) == (Body("", 14, 14), Body("", 5, 5))
    assert (listed.exchange_id, listed.at_ns, listed.key) == (SAID.exchange_id, SAID.at_ns, SAID.key)
