"""One Record per exchange, always: refused, failed, cancelled, cut and unmetered ones too.

The record is what everything else shows. It is made once, when the exchange is over, and handed to a RecordLog, which
keeps it without making the client wait.
"""

from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from headgate.usage import Basis, Reading


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


class Attempt(Struct, frozen=True):
    """One try at one deployment. Times are nanoseconds since the exchange began."""

    provider: str
    status: int | None
    started_ns: int
    ended_ns: int
    error: str | None = None
    model: str | None = None
    """As it was sent."""
    ending: str | None = None
    """An Ending; None in records of before there were several attempts."""
    hold_id: str | None = None
    """Its hold, where it had one."""
    cost_nanos: int | None = None
    """Nano-dollars; None is unknown."""
    charge_nanos: int | None = None


def hold_id_of(exchange_id: str, number: int) -> str:
    """The id of the hold of an exchange's attempt, which are numbered from 1."""
    return exchange_id if number == 1 else f"{exchange_id}.{number}"


def exchange_of(hold_id: str) -> str:
    """The id of the exchange that a hold is for. No exchange's own id has a dot in it."""
    return hold_id.partition(".")[0]


class Settled(StrEnum):
    """What became of an exchange's hold."""

    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"
    """The gateway died before it had sent anything."""
    DISPUTED = "disputed"
    """The hold had been resolved already, with another amount: someone has to look at it."""


class PriceLine(Struct, frozen=True):
    """One part of a cost: quantity x dollars / per."""

    unit: str
    """The price book's name of it, e.g. "cache_read_mtok"."""
    quantity: str
    """A decimal number."""
    dollars: str
    """A decimal number of US dollars for `per` of them."""
    per: int
    leg: str | None = None
    """The billed part that it belongs to, where that is not the answer itself."""


UNPRICED = "unpriced:"
"""What flags begin with that name a part of a usage whose price is not known."""


class Bill(Struct, frozen=True):
    """What an exchange cost, and what became of its hold. Amounts in nano-dollars; None is unknown, never 0."""

    account: str | None = None
    """Who pays; None for exchanges without an account."""
    hold_nanos: int | None = None
    cost_nanos: int | None = None
    """What the provider asks for it: the sum of the lines, rounded half up, once."""
    charge_nanos: int | None = None
    """What the account pays: the cost with its mark-up, or 0 where the policy gives it for nothing."""
    settled: Settled | None = None
    price_source: str | None = None
    """Where the price comes from: the "book", the "operator", or "reported" by the provider itself."""
    price_version: str | None = None
    """The hash of the price book."""
    lines: tuple[PriceLine, ...] = ()
    flags: tuple[str, ...] = ()
    """What is inexact about it, by name, e.g. "estimated", "unpriced:web_search"."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values under the field names of this class."""
        own: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__}
        own["settled"] = str(self.settled) if self.settled is not None else None
        own["lines"] = [{name: getattr(line, name) for name in line.__struct_fields__} for line in self.lines]
        own["flags"] = list(self.flags)
        return own


class Record(Struct, frozen=True):
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
    """The name of the gateway key or virtual key; None where the gateway is open, or it was refused before its key."""
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
    key_id: str | None = None
    """The virtual key's id; None for the operator's own keys, which have only names."""
    bill: Bill = Bill()

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values under the field names of this class, the reading's merged in."""
        own: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__}
        del own["reading"], own["bill"]
        own["ending"] = str(self.ending)
        own["attempts"] = [{name: getattr(a, name) for name in a.__struct_fields__} for a in self.attempts]
        return own | self.bill.as_json() | self.reading.as_json()


def stood_in_for(record: Record) -> tuple[str, ...]:
    """The providers that were asked before the one that is on record, in order, each once."""
    return tuple(dict.fromkeys(a.provider for a in record.attempts[:-1] if a.provider != record.provider))


def disputed(record: Record) -> Record:
    """The record of an exchange whose hold had been resolved already, with another amount."""
    return replace(record, bill=replace(record.bill, settled=Settled.DISPUTED))


class Trail(Struct, frozen=True):
    """What the log knows of a provider's response id: who served it, and whether its usage has been counted."""

    provider: str
    counted: bool


FAILED = frozenset({Ending.UPSTREAM_CUT, Ending.UPSTREAM_ERROR, Ending.GATEWAY_FAILED, Ending.GATEWAY_DIED})
"""Endings that are errors whatever status the client was sent."""
UNSERVED = FAILED | {Ending.REFUSED}
"""Those, and a refusal: a turn on a socket that its provider refused has no status of its own."""
UNSENT = frozenset({Ending.NEVER_SENT, Ending.REFUSED})
"""Endings without usage to speak of: no upstream took the request on."""
INFERRED = frozenset({Basis.ESTIMATED, Basis.PARTIAL})
"""Bases that leave something to an estimate."""


class Mark(StrEnum):
    """What may have to be known of an exchange to read its numbers right; a record bears any number of them."""

    FAILED = "failed"
    """On either side; a client that left is no failure."""
    CANCELLED = "cancelled"
    """The client left before the end."""
    ESTIMATED = "estimated"
    """Counted, and its usage is, in part or whole, an estimate."""
    UNMETERED = "unmetered"
    """Billable, taken on by an upstream, and used nobody knows how much: no report, nothing to estimate from."""
    UNPRICED = "unpriced"
    """Used and not, or not wholly, in the sum of costs: there is no price for it, or for a part of it."""


def bears(record: Record, mark: Mark) -> bool:
    """Whether a record bears a mark: the rule for sums and searches, which a store's SQL has to say."""
    ending, bill = record.ending, record.bill
    cancelled = ending is Ending.CLIENT_LEFT or (ending is Ending.NEVER_SENT and record.status == 499)
    match mark:
        case Mark.FAILED:
            return not cancelled and (record.status >= 400 or ending in UNSERVED)
        case Mark.CANCELLED:
            return cancelled
        case Mark.ESTIMATED:
            return record.counted and record.reading.basis in INFERRED
        case Mark.UNMETERED:
            return record.billable and record.reading.basis is Basis.NONE and ending not in UNSENT
        case Mark.UNPRICED:
            unpriced = bill.cost_nanos is None or any(flag.startswith(UNPRICED) for flag in bill.flags)
            return (record.billable or record.counted) and ending not in UNSENT and unpriced


class Wanted(Struct, frozen=True):
    """Which records; None is any."""

    since_ns: int | None = None
    """What began before it is left out; nanoseconds since the epoch."""
    until_ns: int | None = None
    """What began then or later is left out."""
    key: str | None = None
    """The name or the id of a key."""
    account: str | None = None
    model: str | None = None
    """The model that served or, where that is not known, the one asked for."""
    provider: str | None = None
    """The deployment's name."""
    ending: Ending | None = None
    mark: Mark | None = None

    def fits(self, record: Record) -> bool:
        """Whether a record is one of those: the rule that a store's SQL has to say."""
        served = record.reading.served_model or record.model_asked
        return (
            (self.since_ns is None or record.started_at_ns >= self.since_ns)
            and (self.until_ns is None or record.started_at_ns < self.until_ns)
            and (self.key is None or self.key in {record.key, record.key_id})
            and (self.account is None or self.account == record.bill.account)
            and (self.model is None or self.model == served)
            and (self.provider is None or self.provider == record.provider)
            and (self.ending is None or self.ending is record.ending)
            and (self.mark is None or bears(record, self.mark))
        )


class RecordLog(Protocol):
    """Keeps records. `append` never waits and never raises; what it took is on disk after `aclose`."""

    def append(self, record: Record) -> None:
        """Take a record for writing."""

    @property
    def accepting(self) -> bool:
        """False while records cannot be written and the backlog is at its bound: then new exchanges are refused."""

    @property
    def backlog(self) -> int:
        """How many items wait to be written, or are being written."""

    async def trail(self, response_id: str) -> Trail | None:
        """The newest exchange of that response id that this log has on disk, if any."""

    async def find(self, exchange_id: str) -> Record | None:
        """The record of an exchange, if it is on disk."""

    async def aclose(self) -> None:
        """Write what is left and stop."""
