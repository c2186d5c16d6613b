"""Passes: what a browser gets at sign-in, so that it need not keep an admin key: signed, and kept nowhere.

A pass says whose it is and until when. Its signature is made with the gateway's secret and that admin key together: it
holds in every process that has both, also after a restart, and ends with the key (docs/decisions/0031).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

LIFETIME_SECONDS = 12 * 60 * 60
"""A working day, and then the key is asked for again."""

_NS = 1_000_000_000
_VERSION = "1"
_LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class Pass:
    """Who came in, by the name of his admin key, and until when, in nanoseconds since the epoch."""

    name: str
    expires_at_ns: int


class Passes:
    """Makes passes for the holders of admin keys, and reads them again."""

    def __init__(self, secret: bytes, keys: Mapping[str, str], clock_ns: Callable[[], int]) -> None:
        """`keys` are the admin keys by their names; `secret` is shared by all processes of one database."""
        self._signing = {name: _signing_key(secret, key) for name, key in keys.items()}
        self._clock_ns = clock_ns

    def make(self, name: str) -> tuple[Pass, str]:
        """A pass for the holder of a key, and its text. Raises KeyError if there is no such key."""
        seconds = self._clock_ns() // _NS + LIFETIME_SECONDS
        said = f"{_VERSION}.{seconds}.{_packed(name.encode())}"
        return Pass(name, seconds * _NS), f"{said}.{_packed(_signature(self._signing[name], said))}"

    def read(self, text: str) -> Pass | None:
        """The pass of a text; None if nobody here made it, if it has ended, or if its key is another one by now."""
        parts = text.split(".")
        if len(text) > _LONGEST or len(parts) != 4 or parts[0] != _VERSION or not _is_number(parts[1]):
            return None
        name = _unpacked(parts[2]).decode("utf-8", "replace")
        signing = self._signing.get(name)
        if signing is None:
            return None
        right = _packed(_signature(signing, ".".join(parts[:3])))
        if not hmac.compare_digest(right.encode(), parts[3].encode("utf-8", "surrogatepass")):
            return None
        found = Pass(name, int(parts[1]) * _NS)
        return found if found.expires_at_ns > self._clock_ns() else None


def _signing_key(secret: bytes, key: str) -> bytes:
    """Of the secret too: who had read the texts of passes could otherwise try keys against them at his leisure."""
    return hmac.digest(secret, b"headgate pass:" + hashlib.sha256(key.encode()).digest(), "sha256")


def _signature(signing: bytes, said: str) -> bytes:
    return hmac.digest(signing, said.encode("utf-8", "surrogatepass"), "sha256")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 11


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unpacked(text: str) -> bytes:
    """Empty, which is nobody's name, if it is none of ours."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""
