r"""What secrets look like: credentials of the usual providers, by the forms that these give them.

A text here is mostly JSON as it was sent, so a secret may stand behind an escape, `\nsk-...`, or in a URL, `%3Dsk-...`,
and a slash of its own may be written `\/` or `%2F`. Too much is blotted out rather than too little.
"""

import re
from collections.abc import Iterator

from headgate.audit.spans import Span

REDACTED = "[redacted]"

_ALONE = re.compile(r"""(?:^|[^A-Za-z0-9]|\\[bfnrt]|\\u[0-9a-fA-F]{4}|%[0-9A-Fa-f]{2})\Z""")
"""What may stand before a key: anything but a letter or digit, or one that belongs to an escape."""

_KEYS = tuple(
    (re.compile(begins), re.compile(goes_on))
    for begins, goes_on in (
        (r"sk-", r"[A-Za-z0-9_-]{16,}+"),  # OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-), DeepSeek, Moonshot
        (r"hg-", r"[A-Za-z0-9_-]{16,}+"),  # headgate's virtual keys; the hint of one is shorter
        (r"gsk_|xai-|pplx-|nvapi-|hf_|fw_|csk-|tgp_v1_|r8_|dapi|npm_|pypi-|glpat-|gh[oprsu]_", r"[A-Za-z0-9_-]{16,}+"),
        (r"github_pat_|rk_live_|rk_test_|sk_live_|sk_test_|whsec_", r"[A-Za-z0-9_]{10,}+"),
        (r"xox[abeoprs]-", r"[A-Za-z0-9-]{10,}+"),  # Slack
        (r"AIza", r"[A-Za-z0-9_-]{30,}+"),  # Google
        (r"AQ\.", r"[A-Za-z0-9_-]{20,}+"),
        (r"ya29\.", r"[A-Za-z0-9._-]{10,}+"),
        (r"AKIA|ASIA|ABIA|ACCA", r"[A-Z0-9]{16}"),  # AWS: the id of an access key
    )
)
"""How a key begins, and how it goes on. What goes on is read only where a key may begin, and once: a text of nothing
but beginnings would be read to its end from each of them."""

_TOKEN_BEGINS = re.compile(r"eyJ")
_TOKEN_HEAD = re.compile(r"eyJ[A-Za-z0-9_-]{8,}+")
_TOKEN_GOES_ON = re.compile(r"\.[A-Za-z0-9_-]{4,}+(?:\.[A-Za-z0-9_-]*+)?")
_SHORTEST_HEAD = 8
"""A JSON web token; its head is this much longer than its beginning."""

_PLACES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"bearer(?:\s|%20|\\u0020|\+)+([A-Za-z0-9._~+/=-]{16,})",
        r"basic(?:\s|%20|\\u0020)+([A-Za-z0-9+/=_-]{16,})",
        r"[?&](?:key|token|sig|signature|x-amz-signature|x-amz-security-token)=([^&\s\"'\\]{8,})",
        r"://[^\s/:@\"']{1,200}:([^\s/@\"']{1,200})@",
    )
)
"""Whatever stands in such a place: the group."""
_NAMES = tuple(
    (re.compile(word, re.IGNORECASE), re.compile(rf"(?:{before})[_-]?\Z", re.IGNORECASE) if before else None)
    for word, before in (
        ("key", "api|access|secret|private|subscription"),
        ("token", "auth|access|session|refresh|security"),
        ("secret", "client"),
        ("password", ""),
        ("passwd", ""),
        ("authorization", ""),
    )
)
"""Names that end so and begin so. One pattern each: one that is plain text is looked for ten times as fast."""
_LONGEST_BEFORE = 16
_EQUALS = re.compile(r"[\"'\\]*+\s*+(?:[:=]|%3D)\s*+[\"'\\]*+", re.IGNORECASE)
_VALUE = re.compile(r"(?:[^\s\"'\\,;&<>(){}\[\]]|\\/|\\u[0-9a-f]{4}){8,}+", re.IGNORECASE)
"""What stands under such a name."""

_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----END)[A-Za-z0-9+/=\s\\:,.-])*+(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?"
)
_AWS_RUN = re.compile(r"((?:[A-Za-z0-9+/]|\\/|%2[BbFf]){40,}+)(=?)")
"""With the sign that it is Base64 of something else: were that a condition, a run would be read from each of its
characters to its end."""
_AWS_LENGTH = 40
_MARKED = re.compile(r"\\/|%2[BbFf]")
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_\\-]{256,}={0,2}")


def shapes(text: str) -> Iterator[Span]:
    """Whatever looks like a secret, or is a long run of Base64."""
    yield from _keys(text)
    yield from _tokens(text)
    yield from _placed(text)
    yield from _named(text)
    yield from _aws_secrets(text)
    for found in _PEM.finditer(text):
        yield Span(found.start(), found.end(), REDACTED)
    for found in _LONG_RUN.finditer(text):
        if _is_base64(found[0]):
            yield Span(found.start(), found.end(), f"[base64, {len(found[0])} characters]")


def _keys(text: str) -> Iterator[Span]:
    for begins, goes_on in _KEYS:
        end = 0
        for begin in begins.finditer(text):
            if begin.start() >= end and _is_alone(text, begin.start()):
                rest = goes_on.match(text, begin.end())
                if rest is not None:
                    end = rest.end()
                    yield Span(begin.start(), end, REDACTED)


def _tokens(text: str) -> Iterator[Span]:
    """JSON web tokens. All that may begin in one run of characters ends alike, so each run is read once."""
    for head in _TOKEN_HEAD.finditer(text):
        rest = _TOKEN_GOES_ON.match(text, head.end())
        if rest is not None:
            begins = _TOKEN_BEGINS.finditer(text, head.start(), head.end() - _SHORTEST_HEAD)
            start = next((begin.start() for begin in begins if _is_alone(text, begin.start())), None)
            if start is not None:
                yield Span(start, rest.end(), REDACTED)


def _is_alone(text: str, start: int) -> bool:
    return _ALONE.search(text, max(0, start - 6), start) is not None


def _placed(text: str) -> Iterator[Span]:
    for pattern in _PLACES:
        for found in pattern.finditer(text):
            yield Span(found.start(1), found.end(1), REDACTED)


def _named(text: str) -> Iterator[Span]:
    """Values under telling names. One may stand in the value of a name that tells nothing, or in another such value."""
    for name, before in _NAMES:
        end = 0
        for found in name.finditer(text):
            start = found.start()
            if before is not None and not before.search(text, max(0, start - _LONGEST_BEFORE), start):
                continue
            equals = _EQUALS.match(text, found.end())
            if equals is not None and equals.end() >= end:  # else its value is the rest of the one before
                value = _VALUE.match(text, equals.end())
                if value is not None:
                    end = value.end()
                    yield Span(value.start(), end, REDACTED)


def _aws_secrets(text: str) -> Iterator[Span]:
    """Runs of exactly 40 characters of Base64, capital and small ones: an AWS secret access key has no other mark."""
    for found in _AWS_RUN.finditer(text):
        if found[2]:
            continue
        run, start = found[1], found.start()
        before = text[max(0, start - 1) : start]
        escape = 0 if before not in {"\\", "%"} else 2 if before == "%" else 5 if run.startswith("u") else 1
        run, start = run[escape:], start + escape
        plain = _MARKED.sub("/", run)
        if len(plain) == _AWS_LENGTH and plain.lower() != plain != plain.upper():
            yield Span(start, found.end(), REDACTED)


def _is_base64(run: str) -> bool:
    """Text in words, or one letter many times, is none."""
    head = run[:256]
    return any(c.isupper() for c in head) and any(c.islower() for c in head) and any(c.isdigit() for c in head)


def attachments(text: str) -> Iterator[Span]:
    """Data URLs, and texts in quotes that are nothing but a long run of Base64."""
    for found in _DATA_URL.finditer(text):
        yield Span(found.start(1), found.end(1), f"[{len(found[1])} characters]")
    for found in _QUOTED_RUN.finditer(text):
        if _is_base64(found[1]):
            yield Span(found.start(1), found.end(1), f"[base64, {len(found[1])} characters]")


_DATA_URL = re.compile(r";base64,([A-Za-z0-9+/_\\=-]{16,})", re.IGNORECASE)
_QUOTED_RUN = re.compile(r'"([A-Za-z0-9+/_\\-]{512,}={0,2})(?:"|\Z)')


_LETTERS = {"\n": "n", "\r": "r", "\t": "t"}
"""What stands behind the backslash in their place."""


def exactly(secret: str) -> re.Pattern[str]:
    r"""A pattern for a secret that is known, however its marks are escaped: `+` as `\u002b`, `/` as `\/` or `%2F`."""
    return re.compile("".join(re.escape(c) if c.isalnum() and c.isascii() else _escapable(c) for c in secret))


def _escapable(character: str) -> str:
    forms = {re.escape(character), re.escape("\\" + _LETTERS.get(character, character))}
    units = character.encode("utf-16-be", "surrogatepass")
    codes = (units[at : at + 2].hex() for at in range(0, len(units), 2))
    forms.add("".join(f"\\\\u{_any_case(code)}" for code in codes))
    forms.add("".join(f"%{_any_case(f'{byte:02x}')}" for byte in character.encode("utf-8", "surrogatepass")))
    if character == " ":
        forms.add(r"\+")
    return f"(?:{'|'.join(sorted(forms, key=len, reverse=True))})"


def _any_case(code: str) -> str:
    return "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in code)
