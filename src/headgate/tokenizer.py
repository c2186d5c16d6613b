"""Counts tokens without asking anyone: a tighter bound for holds than bytes. Needs the extra `tokenizer`.

The vocabulary, OpenAI's o200k_base, is part of this package: nothing is fetched (NOTICE names where it comes from).
"""

import gzip
import hashlib
import threading
from base64 import b64decode
from importlib.resources import files

import msgspec

try:
    import tiktoken
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True

SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
"""Of the vocabulary, unpacked: the one that tiktoken 0.14 expects of what it would fetch."""
MOST_BYTES = 4 * 1024 * 1024
"""Of a body that is counted; it takes some 50 ms a MiB."""
SLACK = 2
"""How many tokens of another vocabulary one of o200k_base may become, in ASCII text without digits."""

# From tiktoken 0.14, tiktoken_ext/openai_public.py: how o200k_base cuts a text before it is encoded.
_LETTERS = r"[^\r\n\p{L}\p{N}]?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_PATTERN = "|".join(
    (
        f"{_LETTERS}{_UPPER}*{_LOWER}+{_CONTRACTION}",
        f"{_LETTERS}{_UPPER}+{_LOWER}*{_CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_SLICE = 32 * 1024
"""Characters encoded at a time, so that no text makes the cutting of it recurse too deeply; a cut adds a token."""
_DIGITS = b"0123456789"
_PLAIN = bytes(sorted(set(range(128)) - set(_DIGITS)))


class Tokenizer:
    """Counts the tokens of request bodies. One for a process; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoding: tiktoken.Encoding | None = None

    def count(self, body: bytes) -> int | None:
        """More tokens than a JSON body's text has in any common vocabulary, and never more than its bytes.

        None without the extra, and for a body that is no JSON or has more than MOST_BYTES: then its bytes stand. The
        first call loads the vocabulary, a third of a second; later ones let go of the interpreter lock, so they belong
        in a thread. Raises ValueError if the vocabulary is damaged.

        What is counted is the whole JSON, punctuation and names included, more than any provider's template makes of
        it. Vocabularies differ most where they know least, so each digit and each byte outside ASCII counts as a token
        beside its own: many vocabularies have single digits only, and small ones spell other scripts byte by byte. For
        the rest the slack is 2. Recorded inputs of bodies over 3 KB, to models without a long prompt of their own, are
        at most 1.24 times the tokens of o200k_base, and Claude's later vocabulary makes up to 1.35 times as many as its
        earlier one (platform.claude.com, "What's new in Claude Opus 4.7"). Nothing proves it for a text made to be
        dear; what exceeds a hold is charged all the same.
        """
        if not INSTALLED or len(body) > MOST_BYTES:
            return None
        try:
            text = msgspec.json.encode(msgspec.json.decode(body))
        except (ValueError, RecursionError):
            return None
        encode = self._loaded().encode_ordinary
        whole = text.decode()
        tokens = sum(len(encode(whole[start : start + _SLICE])) for start in range(0, len(whole), _SLICE))
        return min(SLACK * tokens + len(text.translate(None, _PLAIN)), len(body))

    def _loaded(self) -> "tiktoken.Encoding":
        with self._lock:
            if self._encoding is None:
                self._encoding = tiktoken.Encoding(
                    "o200k_base", pat_str=_PATTERN, mergeable_ranks=_ranks(), special_tokens={}
                )
            return self._encoding


def _ranks() -> dict[bytes, int]:
    """The vocabulary: each token with its rank, `base64 rank` a line. Raises ValueError if it is another one."""
    packed = files("headgate").joinpath("data/o200k_base.tiktoken.gz").read_bytes()
    raw = gzip.decompress(packed)
    if hashlib.sha256(raw).hexdigest() != SHA256:
        raise ValueError("headgate/data/o200k_base.tiktoken.gz is damaged: install headgate anew")
    pairs = (line.split() for line in raw.splitlines())
    return {b64decode(token): int(rank) for token, rank in pairs}
