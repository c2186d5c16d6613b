"""One Record per exchange, always: refused, failed, cancelled, cut and unmetered ones too.

The record is what everything else shows. It is made once, when the exchange is over, and handed to a RecordLog, which
keeps it without making the client wait.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from headgate.usage import Reading


class Ending(StrEnum):
    """How forwarding ended. The settlement table has a row for each."""

    NEVER_SENT = "never_sent"
    """Nothing reached an upstream: the gateway refused, no connection could be made, or the client left first."""
    REFUSED = "refused"
    """The upstream answered with an error status before any output."""
    COMPLETE = "complete"
    """The response ended as its dialect says a whole one ends."""
    INCOMPLETE = "incomplete"
    """The body ended cleanly, but without the evidence that its dialect owes."""
    CLIENT_LEFT = "client_left"
    """The client closed its connection before the end."""
    UPSTREAM_CUT = "upstream_cut"
    """The upstream's connection broke, or it fell silent, before the end."""
    UPSTREAM_ERROR = "upstream_error"
    """The upstream told an error inside a response that had begun."""
    GATEWAY_FAILED = "gateway_failed"
    """A fault of headgate's own."""
    GATEWAY_DIED = "gateway_died"
    """The process ended before the exchange did; written by the sweep."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one deployment. Times are nanoseconds since the exchange began."""

    provider: str
    status: int | None
    started_ns: int
    ended_ns: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of an exchange. Times: `started_at_ns` since the Unix epoch, the others since the start."""

    exchange_id: str
    started_at_ns: int
    method: str
    path: str
    """As asked, without the query (which may carry credentials)."""
    dialect: str | None
    operation: str | None
    provider: str | None
    """The deployment's name."""
    key: str | None
    """The name of the gateway key; None where the gateway is open, or the request was refused before its key."""
    model_asked: str | None
    streamed: bool
    status: int
    """The status sent to the client; 499 when it left before one was."""
    ending: Ending
    reading: Reading
    billable: bool
    """Such a request may cost money: not one that is free, nor one that reads what is stored."""
    counted: bool
    """False for a reading that repeats one already counted, such as a poll of a stored response."""
    first_byte_ns: int | None
    """From the request's end to the first body byte for the client."""
    total_ns: int
    bytes_in: int
    """Body bytes from the upstream."""
    bytes_out: int
    """Body bytes to the client."""
    attempts: tuple[Attempt, ...] = ()
    error: str | None = None
    """The gateway's own error, `code: message`."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values under the field names of this class, the reading's merged in."""
        own: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        del own["reading"]
        own["ending"] = str(self.ending)
        own["attempts"] = [{name: getattr(a, name) for name in a.__slots__} for a in self.attempts]
        return own | self.reading.as_json()


@dataclass(frozen=True, slots=True)
class Trail:
    """What the log knows of a provider's response id: who served it, and whether its usage has been counted."""

    provider: str
    counted: bool


class RecordLog(Protocol):
    """Keeps records. `append` never waits and never raises; what it took is on disk after `close`."""

    def append(self, record: Record) -> None:
        """Take a record for writing."""

    @property
    def accepting(self) -> bool:
        """False while records cannot be written and the backlog is at its bound: then new exchanges are refused."""

    def trail(self, response_id: str) -> Trail | None:
        """The newest exchange of that response id that this log has on disk, if any."""

    def close(self) -> None:
        """Write what is left and stop; blocks until done."""
