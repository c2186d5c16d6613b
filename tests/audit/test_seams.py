import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.audit.seams import over_seams
from headgate.audit.shapes import shapes
from headgate.audit.spans import Span, merged, rewritten
from tests.audit.planted import SECRETS

SECRET = SECRETS["openai"]


def find(text: str) -> Iterator[Span]:
    yield from shapes(text)


def without(text: str) -> str:
    return rewritten(text, merged([*find(text), *over_seams(text, find)]), len(text))


def spoken(text: str, key: str) -> str:
    """The text that stands under a name in the events."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    return "".join(_under(json.loads(line), key) for line in lines)


def _under(value: object, key: str) -> str:
    if isinstance(value, dict):
        return "".join(v if k == key and isinstance(v, str) else _under(v, key) for k, v in value.items())
    return "".join(_under(v, key) for v in value) if isinstance(value, list) else ""


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, *(cut % (len(text) + 1) for cut in cuts), len(text)})
    return [text[a:b] for a, b in pairwise(places)]


def event(dialect: str, number: int, piece: str) -> dict[str, object]:
    match dialect:
        case "openai":
            return {"id": "c", "choices": [{"index": 0, "delta": {"content": piece}}]}
        case "anthropic":
            return {"type": "content_block_delta", "index": 1, "delta": {"text": piece}}
        case "responses":
            return {"type": "response.output_text.delta", "sequence_number": number, "delta": piece}
        case _:
            return {"candidates": [{"content": {"parts": [{"text": piece}], "role": "model"}}]}


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "responses", "google"])
@given(st.lists(st.integers(0, 80), max_size=12))
def test_a_secret_that_is_streamed_in_any_pieces_is_found(dialect: str, cuts: list[int]) -> None:
    said = f"Your key is\n{SECRET}, keep it."
    events = [event(dialect, n, piece) for n, piece in enumerate(pieces(said, cuts))]
    for lines in ("data: {}\n\n", "{}\n"):
        text = "".join(lines.replace("{}", json.dumps(event)) for event in events)
        left = without(text)
        name = next(key for key in ("content", "text", "delta") if spoken(text, key))
        assert spoken(left, name) == "Your key is\n[redacted], keep it.", "and all else is as it was"


def test_two_answers_at_once_are_two_texts() -> None:
    half = len(SECRET) // 2
    events = [
        {"choices": [{"index": index, "delta": {"content": piece}}]}
        for index, piece in ((0, SECRET[:half]), (1, "some words"), (0, SECRET[half:]), (1, " and more"))
    ]
    left = without("\n".join(map(json.dumps, events)))
    assert spoken(left, "content") == "[redacted]some words and more"


def test_names_that_repeat_are_no_text() -> None:
    text = "\n".join('{"object": "sk-abcdefgh", "n": "a"}' for _ in range(4))
    assert without(text) == text
