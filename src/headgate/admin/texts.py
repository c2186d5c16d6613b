"""What operators' texts may look like, and amounts of money as text. No amount is ever a float.

The patterns stand in the OpenAPI document as well, so what it allows is what is taken.
"""

import re

from headgate.errors import BadRequest
from headgate.money import NANOS_PER_DOLLAR, dollars_text

_END = r"$(?!\n)"
"""Python's `$` matches before a last line feed too; JSON Schema knows no `\\Z`."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9._:=+-]{0,99}" + _END
"""Of accounts, keys and tags: what can stand in a path and in a shell without quotes."""
ENTRY_ID = r"^[A-Za-z0-9][A-Za-z0-9._=+/-]{0,199}" + _END
"""Chosen by the caller. No colon: the ledger makes the ids of a hold's own entries with one."""
NOTE = r"^[^\u0000-\u001f\u007f-\u009f]{0,500}" + _END
"""One line, without what could steer a terminal or what a database does not take."""
REASON = r"^[^\u0000-\u0020\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]{0,499}" + _END
"""A note that says something."""
PATTERN = r"^[^\u0000-\u0020\u007f-\u009f]{1,200}" + _END
"""A pattern of model names, or the name of a deployment."""
USD = r"^[0-9]{1,9}(\.[0-9]{1,9})?" + _END
"""Below a thousand million dollars, which a 64-bit column holds, and exact to the nano-dollar."""
POSITIVE_USD = r"^(?=[^1-9]*[1-9])[0-9]{1,9}(\.[0-9]{1,9})?" + _END
SIGNED_USD = r"^-?[0-9]{1,9}(\.[0-9]{1,9})?" + _END
NONZERO_USD = r"^(?=[^1-9]*[1-9])-?[0-9]{1,9}(\.[0-9]{1,9})?" + _END

_SURROGATE = re.compile("[\ud800-\udfff]")


def checked(text: str, pattern: str, param: str, wanted: str) -> str:
    """The text, if it is of the pattern. Raises BadRequest, with what was wanted."""
    if re.fullmatch(pattern, text) is None or _SURROGATE.search(text):
        raise BadRequest(f"`{param}`: expected {wanted}.", param=param)
    return text


def name(text: str, param: str) -> str:
    """A name. Raises BadRequest."""
    wanted = "1 to 100 letters, digits and any of . _ : = + -, beginning with a letter or digit"
    return checked(text, NAME, param, wanted)


def note(text: str, param: str) -> str:
    """A line of text. Raises BadRequest."""
    return checked(text, NOTE, param, "at most 500 characters on one line")


def nanos_from_usd(text: str, param: str) -> int:
    """Nano-dollars of decimal dollars such as "12.50" or "-0.000000001". Nothing is rounded. Raises BadRequest."""
    checked(text, SIGNED_USD, param, "dollars such as 12.50, with at most 9 digits before the point and 9 behind it")
    whole, _, decimals = text.removeprefix("-").partition(".")
    nanos = int(whole) * NANOS_PER_DOLLAR + int(decimals.ljust(9, "0"))
    return -nanos if text.startswith("-") else nanos


def usd_from_nanos(nanos: int) -> str:
    """Decimal dollars, exact: "12.50", "-0.000000001"."""
    return dollars_text(nanos).replace("$", "")
