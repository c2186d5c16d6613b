"""Redactor: a text without secrets, and not too long.

Blotted out are the secrets that are known (of the gateway, of the exchange), what looks like one (`shapes.py`), and
what the operator's own expressions find; attachments in Base64 are shortened to their length. All of it is found in
more of the text than is kept, so that a secret that begins before the cut is known for one.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headgate.audit.seams import over_seams
from headgate.audit.shapes import REDACTED, attachments, exactly, shapes
from headgate.audit.spans import Span, merged, rewritten

CREDENTIAL = "[credential]"
MARGIN = 16 * 1024
"""Characters behind the cut that are looked at as well."""
SHORTEST = 8
"""Characters from which on a credential is taken for one: local servers are called with "x", which is in any text."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text as it may be kept."""

    text: str
    whole: bool
    """Nothing was cut off."""


class Redactor:
    """Knows the gateway's own secrets and the operator's expressions."""

    def __init__(self, secrets: Iterable[str] = (), expressions: Sequence[str] = ()) -> None:
        """Raises ValueError for what is no regular expression, or finds what is not there."""
        self._known = _patterns(secrets)
        self._expressions = tuple(map(expression, expressions))

    def redact(self, text: str, most_bytes: int, secrets: Iterable[str] = ()) -> Redacted:
        """The beginning of a text, of at most `most_bytes` in UTF-8 as it was, without the secrets.

        What is in the place of a secret may be a little longer than it.
        """
        known = (*self._known, *_patterns(secrets))
        short = [*attachments(text), *_found(known, text, CREDENTIAL)]
        if short:
            text = rewritten(text, merged(short), len(text))
        cut = _characters(text, most_bytes)
        window = text[: cut + MARGIN]

        def find(part: str) -> Iterator[Span]:
            yield from _found(known, part, CREDENTIAL)
            yield from _found(self._expressions, part, REDACTED)
            yield from shapes(part)

        spans = merged([*find(window), *over_seams(window, find)])
        return Redacted(rewritten(window, spans, cut), whole=cut == len(text))


def expression(pattern: str) -> re.Pattern[str]:
    """An operator's expression. Raises ValueError for what is none, or finds what is not there."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    if compiled.search("") is not None:
        raise ValueError("expected a regular expression that does not match nothing at all")
    return compiled


def _patterns(secrets: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(exactly(secret) for secret in dict.fromkeys(secrets) if len(secret) >= SHORTEST)


def _found(patterns: Sequence[re.Pattern[str]], text: str, instead: str) -> Iterator[Span]:
    for pattern in patterns:
        for found in pattern.finditer(text):
            if found.end() > found.start():
                yield Span(found.start(), found.end(), instead)


def _characters(text: str, most_bytes: int) -> int:
    """How many characters fit in so many bytes of UTF-8."""
    if len(text) * 4 <= most_bytes or len(text.encode("utf-8", "surrogatepass")) <= most_bytes:
        return len(text)
    return len(text[:most_bytes].encode("utf-8", "surrogatepass")[:most_bytes].decode("utf-8", "ignore"))
