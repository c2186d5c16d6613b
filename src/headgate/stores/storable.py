"""What a database can keep: texts that UTF-8 can spell, without NUL (PostgreSQL has none), and integers of 64 bits.

Said before a command is queued, to whoever brings it: in the middle of a batch it would hold up everyone else's.
"""

import re
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import astuple, replace

from headgate.ledger.commands import Capture, Command, Expire, Place, Post, Void

_UNSPEAKABLE = re.compile("[\0\ud800-\udfff]")
_LARGEST = 2**63 - 1
T = TypeVar("T")


def require_storable(value: T) -> T:
    """The value: a text, a number, or a Struct, dataclass or tuple of such. Raises ValueError if it cannot be kept."""
    if isinstance(value, str):
        if _unspeakable(value):
            raise ValueError(f"{value!r:.200} cannot be kept: it has a NUL or half a character in it")
    elif isinstance(value, int):
        if not -_LARGEST <= value <= _LARGEST:
            raise ValueError(f"{value!r:.200} cannot be kept: it has more than 64 bits")
    elif isinstance(value, tuple):
        for part in value:
            require_storable(part)
    elif isinstance(value, Struct):
        _require_struct(value)
    else:
        for field in getattr(value, "__slots__", ()):
            require_storable(getattr(value, field))
    return value


def _require_struct(value: Struct) -> None:
    """Every hold passes here twice: nearly all that it has are plain texts and numbers."""
    for part in astuple(value):
        kind = type(part)
        if kind is str and part.isascii() and "\0" not in part:
            continue
        if kind is int and -_LARGEST <= part <= _LARGEST:
            continue
        if part is not None:
            require_storable(part)


def storable(command: Command) -> Command:
    """The command, its free texts made such that they can be kept. Raises ValueError where an id or a number is not."""
    match command:
        case Place(about=text) if _unspeakable(text):
            command = replace(command, about=storable_text(text))
        case Post(note=text) | Capture(note=text) | Void(note=text) | Expire(note=text) if _unspeakable(text):
            command = replace(command, note=storable_text(text))
    return require_storable(command)


def _unspeakable(text: str) -> bool:
    """Nearly every text is plain, which is found out fast."""
    return (not text.isascii() or "\0" in text) and _UNSPEAKABLE.search(text) is not None


def storable_text(text: str) -> str:
    """The text with U+FFFD for what cannot be kept."""
    return _UNSPEAKABLE.sub("\ufffd", text)
