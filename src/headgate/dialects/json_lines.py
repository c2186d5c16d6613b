"""How a body of JSON lines is told from one document, for the dialects that send either."""

from headgate.dialects.base import Answer, framing_of
from headgate.framing.base import Framing
from headgate.framing.ndjson import JsonLines

_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


def framing_of_lines(head: bytes, answer: Answer) -> Framing | None:
    """The framing of a body that may be JSON lines; None while `head` does not show it.

    What calls itself application/json, or nothing, is taken for a document; one that is lines after all is read line by
    line at its end, see `lines_of` (facts/stream_cases.md 7.13). Under any other name, an object that goes on right
    after its brace is a line: a compact document is one such line, and one laid out over lines has white space there.
    """
    if answer.content_type.partition(";")[0].strip().lower() in {"", "application/json"}:
        return framing_of(head)
    start = head.lstrip(_SPACE).removeprefix(_BOM).lstrip(_SPACE)
    if start == b"{":
        return None
    if start[:1] == b"{" and start[1:2] not in _SPACE:
        return JsonLines()
    return framing_of(head)


def lines_of(body: bytes) -> list[bytes]:
    """The lines of a body that is no one document; none if it is a single line."""
    lines = [line for line in body.split(b"\n") if line.strip(_SPACE)]
    return lines if len(lines) > 1 else []
