"""RecordReader: what the API asks of a record log, and the JSON of records.

The shape of a record is that of `Record.as_json`, made from the dataclasses themselves, so that it cannot fall behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args, get_type_hints

import msgspec
from msgspec.structs import fields

from headgate.admin.texts import usd_from_nanos
from headgate.records import Attempt, Bill, Record, Wanted
from headgate.usage import Reading, Usage


@dataclass(frozen=True, slots=True)
class SeriesWanted:
    """Which sums, step by step. Times in nanoseconds since the epoch, at the beginnings of steps."""

    step: str
    """minute, hour or day."""
    since_ns: int
    until_ns: int
    by: str | None = None
    """model, provider, key or account; None for all exchanges together."""
    top: int = 8
    """How many groups stand by themselves, those that cost most; the others are one."""
    name: str | None = None
    """The only group wanted."""
    sums: frozenset[str] | None = None
    """Names of those that are wanted, beside the number of exchanges; None for all."""


@dataclass(frozen=True, slots=True)
class Line:
    """The rows of one group, one for each step; None where nothing happened."""

    name: str | None
    others: bool
    rows: Iterable[Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class SeriesFound:
    """Lines of the sums that were wanted."""

    sums: Sequence[str]
    """The names of all that there are."""
    lines: Sequence[Line]


class RecordReader(Protocol):
    """Answers questions about records; also about those that other processes wrote."""

    async def find(self, exchange_id: str) -> Record | None:
        """The record of an exchange."""

    async def page(
        self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None
    ) -> tuple[Sequence[Record], tuple[int, str] | None]:
        """At most `limit` records in descending order of (started_at_ns, exchange_id), below `before`.

        Fewer where they are hard to find, and the place below which to go on; None where only the limit ends them.
        """

    async def summed(self, by: str, since_ns: int | None, until_ns: int | None = None) -> Sequence[Mapping[str, Any]]:
        """One row for each model, provider, key, account or day, whatever `by` is, under that name, with its sums.

        Raises ValueError if it cannot sum by that.
        """

    async def series(self, wanted: SeriesWanted) -> SeriesFound:
        """The sums step by step. Raises ValueError if there are none by that."""


def with_dollars(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, with decimal dollars beside each amount of nano-dollars."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        out[name] = value
        if name.endswith("_nanos"):
            out[name.removesuffix("_nanos") + "_usd"] = None if value is None else usd_from_nanos(value)
    return out


def record_view(record: Record) -> dict[str, Any]:
    """A record for the wire."""
    values = record.as_json()
    attempts = [with_dollars(attempt) for attempt in values["attempts"]]
    return with_dollars(values) | {"usage": _usage_view(values["usage"]), "attempts": attempts}


def _usage_view(values: Mapping[str, Any]) -> dict[str, Any]:
    legs = [leg | {"usage": _usage_view(leg["usage"])} for leg in values["legs"]]
    return with_dollars(values) | {"legs": legs}


def _shape(name: str, *sources: type, leave: tuple[str, ...] = (), **other: Any) -> Any:
    """A type with the fields of these dataclasses, and dollars beside nano-dollars; `other` says other types."""
    shaped: dict[str, Any] = {}
    for source in sources:
        hints = get_type_hints(source)
        for field in fields(source):
            if field.name not in leave:
                shaped[field.name] = other.get(field.name, hints[field.name])
                if field.name.endswith("_nanos"):
                    shaped[field.name.removesuffix("_nanos") + "_usd"] = str | None
    defined = [
        (own, of, msgspec.UNSET) if msgspec.UnsetType in get_args(of) else (own, of) for own, of in shaped.items()
    ]
    return msgspec.defstruct(name, defined, frozen=True, kw_only=True)


class LegView(msgspec.Struct, frozen=True, kw_only=True):
    """A billed part that the totals leave out; its usage is of the same shape as the record's."""

    kind: str
    model: str | None
    usage: dict[str, Any]


UsageView = _shape(
    "UsageView",
    Usage,
    cache_read_audio_tokens=int | None | msgspec.UnsetType,
    cache_read_image_tokens=int | None | msgspec.UnsetType,
    billed_units=dict[str, int | float] | None,
    legs=list[LegView],
)
"""What the provider reported; null where it did not."""

AttemptView = _shape("AttemptView", Attempt)
"""One try at one deployment."""

RecordView = _shape(
    "RecordView",
    Record,
    Bill,
    Reading,
    leave=("reading", "bill"),
    usage=UsageView,
    attempts=tuple[AttemptView, ...],  # type: ignore[valid-type]  # made just above
    terms=Mapping[str, str] | msgspec.UnsetType,
)
"""One exchange: how it ended, what was used, what it cost."""
