from typing import Any

import pytest

from headgate.pricing.matching import check_clause, fits, other_terms, with_dashed_dates

FITS: list[tuple[dict[str, Any], str, bool]] = [
    ({"starts_with": "gpt-5-"}, "gpt-5-2026-01-01", True),
    ({"starts_with": "GPT-5-"}, "gpt-5-2026-01-01", True),
    ({"ends_with": "/kimi"}, "us/kimi", True),
    ({"contains": "sonnet"}, "eu.claude-sonnet-9", True),
    ({"equals": "Gpt-5"}, "gpt-5", True),
    ({"regex": r"^gpt-6-\d{4}$"}, "gpt-6-2026", True),
    ({"or": [{"equals": "a"}, {"contains": "b"}]}, "abc", True),
    ({"and": [{"starts_with": "a"}, {"contains": "z"}]}, "abc", False),
    # a name that ends in other terms is only described by what speaks of them
    ({"starts_with": "claude-opus-4-6"}, "claude-opus-4-6-20260101", True),
    ({"starts_with": "claude-opus-4-6"}, "claude-opus-4-6-fast", False),
    ({"starts_with": "claude-opus-4-6"}, "claude-opus-4-6-fast-20260101", False),
    ({"starts_with": "claude-opus-4-6"}, "claude-opus-4-6-fast-v1:0", False),
    ({"starts_with": "gpt-5"}, "gpt-5:batch", False),
    ({"starts_with": "gpt-5"}, "gpt-5-priority", False),
    ({"starts_with": "gpt-5"}, "gpt-5-mini", False),
    ({"starts_with": "gemini-3-flash"}, "gemini-3-flash-image-preview", False),
    ({"contains": "m2.1-highspeed"}, "minimax/m2.1-highspeed", True),
    ({"or": [{"starts_with": "kimi-k2"}, {"starts_with": "kimi-k2-turbo"}]}, "kimi-k2-turbo", True),
    ({"and": [{"starts_with": "gemini-2.5-pro"}, {"regex": "^(?!.*tts)"}]}, "gemini-2.5-pro-preview-05-06", True),
    ({"and": [{"starts_with": "gemini-2.5-pro"}, {"regex": "^(?!.*tts)"}]}, "gemini-2.5-pro-image", False),
]


@pytest.mark.parametrize(("clause", "name", "fit"), FITS)
def test_fits(clause: dict[str, Any], name: str, fit: bool) -> None:
    check_clause(clause)
    assert fits(clause, name) is fit


ENDINGS = [
    ("gpt-5", None), ("gpt-5-fast", "fast"), ("gpt-5:free", "free"), ("gpt-5@flex", "flex"), ("fast-model", None),
    ("gpt-5-fast-latest", "fast"), ("gpt-5-thinking-2026-01-02", "thinking"), ("breakfast", None), ("o4-mini", "mini"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "word"), ENDINGS)
def test_other_terms(name: str, word: str | None) -> None:
    assert other_terms(name) == word


DATES = [
    ("gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
    ("gpt-5.2-20251211:batch", "gpt-5.2-2025-12-11:batch"),
    ("claude-20251301", "claude-20251301"),
    ("model-120251211", "model-120251211"),
]


@pytest.mark.parametrize(("name", "dashed"), DATES)
def test_dates_with_dashes(name: str, dashed: str) -> None:
    assert with_dashed_dates(name) == dashed


@pytest.mark.parametrize(
    "clause", [{}, {"starts_with": 1}, {"like": "x"}, {"or": "x"}, {"or": [{}]}, {"regex": "("}, "x"]
)
def test_what_is_no_clause_is_refused(clause: Any) -> None:
    with pytest.raises(ValueError, match=r"clause|expression"):
        check_clause(clause)
