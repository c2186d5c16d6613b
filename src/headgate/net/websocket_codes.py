"""Close codes and reasons as they can be sent (RFC 6455 section 7.4)."""

from websockets.frames import EXTERNAL_CLOSE_CODES, CloseCode

_LONGEST_REASON = 123
"""Bytes: a control frame holds 125, and the code takes two (RFC 6455 section 5.5)."""


def sendable(code: int) -> int:
    """The code itself where a close frame may carry it; else the one that makes clients act alike.

    1005 says that a close frame came without a code, and 1006 that none came. Clients take both for a reason to connect
    again, as they do 1001 and 1011 (facts/wire.md 3); 1000 and 1002 would end the matter.
    """
    if code in EXTERNAL_CLOSE_CODES or 3000 <= code <= 4999:
        return code
    return CloseCode.GOING_AWAY if code == CloseCode.NO_STATUS_RCVD else CloseCode.INTERNAL_ERROR


def fitting(reason: str) -> str:
    """As much of the reason as fits, in whole characters."""
    return reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
