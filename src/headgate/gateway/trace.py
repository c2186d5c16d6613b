"""The trace that an exchange belongs to, as it comes in and goes on in headers (W3C Trace Context, level 2).

The exchange is one span of it: the client's span is its parent, and it is the parent of whatever the upstream does.
"""

import re
from typing import Protocol

from msgspec import Struct

from headgate.dialects.base import Ask
from headgate.gateway.upstream import Headers
from headgate.records import Record

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_PARENT_NAME, _STATE_NAME = b"traceparent", b"tracestate"

SAMPLED, RANDOM = 1, 2
"""Flags: the caller may have recorded it; the trace id's last seven bytes are random."""


class Trace(Struct, frozen=True):
    """A span's place in its trace."""

    trace_id: int
    """128 bits, not 0."""
    span_id: int
    """64 bits, not 0."""
    parent_id: int | None = None
    """The span that it is a child of; None for a trace's first."""
    flags: int = SAMPLED
    state: bytes = b""
    """What other systems on the way pass along."""

    @property
    def sampled(self) -> bool:
        """Whether its spans are recorded."""
        return bool(self.flags & SAMPLED)

    def carried(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The headers with this span as the parent of what they ask for."""
        passed = [pair for pair in headers if pair[0] not in {_PARENT_NAME, _STATE_NAME}]
        passed.append((_PARENT_NAME, b"00-%032x-%016x-%02x" % (self.trace_id, self.span_id, self.flags)))
        if self.state:
            passed.append((_STATE_NAME, self.state))
        return passed


class Tracing(Protocol):
    """Makes spans of exchanges."""

    def begin(self, headers: Headers) -> Trace | None:
        """The span of an exchange that begins with these headers; None where they are to pass on as they are."""

    def end(self, trace: Trace, record: Record, ask: Ask | None) -> None:
        """Its exchange is over. On the event loop: must not wait, nor take long."""


def parent_of(headers: Headers) -> Trace | None:
    """The client's own span; None where it names none, or not as the specification has it."""
    given = [value for name, value in headers if name == _PARENT_NAME]
    found = _PARENT.fullmatch(given[0].strip(b" \t")) if len(given) == 1 else None
    if found is None:
        return None
    version, trace_id, span_id = found.group(1), int(found.group(2), 16), int(found.group(3), 16)
    if version == b"ff" or (version == b"00" and found.group(5) is not None) or not trace_id or not span_id:
        return None
    state = b",".join(value for name, value in headers if name == _STATE_NAME)
    return Trace(trace_id, span_id, flags=int(found.group(4), 16) & (SAMPLED | RANDOM), state=state)
