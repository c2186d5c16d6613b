"""Spans: the parts of a text that are to be written differently, and the text with all of them so."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """From `start` up to `end` there will stand `instead`."""

    start: int
    end: int
    instead: str


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, and none over another: of those that overlap the first speaks for all."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if out and span.start < out[-1].end:
            last = out[-1]
            out[-1] = Span(last.start, max(last.end, span.end), last.instead)
        else:
            out.append(span)
    return out


def rewritten(text: str, spans: Sequence[Span], cut: int) -> str:
    """The first `cut` characters with the spans, which `merged` gave, so written; one across the cut still counts."""
    parts: list[str] = []
    at = 0
    for span in spans:
        if span.start >= cut:
            break
        parts += (text[at : span.start], span.instead)
        at = span.end
    if at < cut:
        parts.append(text[at:cut])
    return "".join(parts)
