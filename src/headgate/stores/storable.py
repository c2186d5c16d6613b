"""What a database can keep: texts that UTF-8 can spell, without NUL (PostgreSQL has none), and integers of 64 bits.

Said before a command is queued, to whoever brings it: in the middle of a batch it would hold up everyone else's.
"""

import re
from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

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
    else:
        for field in _fields(value):
            require_storable(getattr(value, field))
    return value


def _fields(value: object) -> Iterable[str]:
    struct: tuple[str, ...] | None = getattr(value, "__struct_fields__", None)
    return getattr(value, "__slots__", ()) if struct is None else struct


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
