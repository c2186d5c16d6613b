"""Names that a book describes rather than lists.

A clause is genai-prices': {"starts_with": "gpt-4o-"}, "ends_with", "contains", "equals", "regex", or {"or": [...]} and
{"and": [...]}. Names are matched in lower case.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

_OTHER_TERMS = (
    "batch", "beta", "contributor", "exacto", "extended", "fast", "flex", "floor", "free", "high", "highspeed", "nitro",
    "online", "p", "prime", "priority", "thinking", "turbo", "ultrafast", "us",
)  # fmt: skip
_OTHER_MODELS = (
    "audio", "codex", "cyber", "embedding", "flash", "flashx", "image", "large", "lite", "live", "max", "medium",
    "micro", "mini", "nano", "plus", "pro", "realtime", "research", "search", "small", "tiny", "transcribe", "tts",
    "vl",
)  # fmt: skip
_ENDING = re.compile(
    rf"[-:@]({'|'.join(_OTHER_TERMS + _OTHER_MODELS)})(?:[-:@](?:v?[0-9][0-9.]*|latest|preview|exp))*$"
)
"""Endings under which genai-prices' data has a price of its own for some model."""

_COMPACT_DATE = re.compile(r"-(20[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?=[-:]|$)")


def with_dashed_dates(name: str) -> str:
    """`gpt-5.2-20251211` as `gpt-5.2-2025-12-11`: LiteLLM and OpenRouter write dates without dashes."""
    return _COMPACT_DATE.sub(r"-\1-\2-\3", name)


def other_terms(name: str) -> str | None:
    """The word with which a name ends that speaks of another price than the name without it: fast, batch, mini."""
    match = _ENDING.search(name)
    return match[1] if match else None


def fits(clause: Mapping[str, Any], name: str) -> bool:
    """True if the clause describes the name, its ending included: `-fast` fits only what speaks of fast.

    Otherwise a model of another price would pass for its sibling (facts/stream_cases.md 2.19).
    """
    return _fits(clause, name, other_terms(name))


def _fits(clause: Mapping[str, Any], name: str, word: str | None) -> bool:
    ((kind, wanted),) = clause.items()
    if kind == "or":
        return any(_fits(part, name, word) for part in wanted)
    if kind == "and":
        whole = all(_fits(part, name, None) for part in wanted)
        return whole and (word is None or any(_fits(part, name, word) for part in wanted))
    if kind == "equals":
        return bool(name == wanted.lower())
    return _TESTS[kind](name, wanted) and (word is None or word in wanted.lower())


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "starts_with": lambda name, wanted: name.startswith(wanted.lower()),
    "ends_with": lambda name, wanted: name.endswith(wanted.lower()),
    "contains": lambda name, wanted: wanted.lower() in name,
    "regex": lambda name, wanted: re.search(wanted, name) is not None,
}


def check_clause(clause: Any) -> None:
    """Raises ValueError if it is no clause."""
    if not isinstance(clause, dict) or len(clause) != 1:
        raise ValueError(f"expected a matching clause, not {clause!r}")
    ((kind, wanted),) = clause.items()
    if kind in {"or", "and"} and isinstance(wanted, list):
        for part in wanted:
            check_clause(part)
    elif (kind != "equals" and kind not in _TESTS) or not isinstance(wanted, str):
        raise ValueError(f"expected a matching clause, not {clause!r}")
    elif kind == "regex":
        try:
            re.compile(wanted)
        except re.error as error:
            raise ValueError(f"not a regular expression: {wanted!r}") from error
