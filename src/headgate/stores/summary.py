"""What records add up to, by model, provider, key, account or day.

The rules stand here, in Python, for single records; `queries.py` says the same in SQL, and the conformance suite holds
the two together.

Tokens and reported cost are summed over counted records only, so that polling a stored response adds nothing. What a
provider did not report is unknown, not zero: a sum over nothing but unknowns is None. Estimates have their own sums.

Cost and charge are summed over all records: a bill is made once, and what repeats a reading has none.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from headgate.records import Mark, Record, bears
from headgate.stores.rows import COUNTS
from headgate.stores.spans import Step
from headgate.usage import Estimate, Usage, excess, legs_within

_EPOCH = date(1970, 1, 1)


class GroupBy(StrEnum):
    """What a summary has one row for each of."""

    MODEL = "model"
    """The model that served, or else the one asked for."""
    PROVIDER = "provider"
    KEY = "key"
    ACCOUNT = "account"
    DAY = "day"
    """The day in UTC on which the exchange began, e.g. "2026-11-01"."""


class UsageRow(msgspec.Struct, frozen=True):
    """The sums over one group of exchanges. Token sums carry the names of Usage.

    A Struct, because a page may show ten thousand of them: a frozen dataclass takes ten times as long.
    """

    group: str | None
    """None for exchanges that never got a model, provider, key or account."""
    exchanges: int = 0
    errors: int = 0
    """That failed. This and the following count the marks of records."""
    cancelled: int = 0
    estimated: int = 0
    unmetered: int = 0
    unpriced: int = 0
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    reported_cost_nanos: int | None = None
    estimated_input_tokens: int | None = None
    """Of estimates what is above the providers' own figures: added to those, each token counts once."""
    estimated_output_tokens: int | None = None
    cost_nanos: int | None = None
    """What providers ask, estimates and legs included; all of it under the model of the answer itself."""
    charge_nanos: int | None = None
    """What accounts pay."""

    def __add__(self, other: "UsageRow") -> "UsageRow":
        """Both rows' sums, under this row's group."""
        sums: dict[str, Any] = {name: _plus(getattr(self, name), getattr(other, name)) for name in SUMS}
        return UsageRow(self.group, **sums)

    def as_json(self, by: GroupBy | None = None) -> dict[str, Any]:
        """Plain JSON values under the field names of this class; the group, if any, under the name of what it is."""
        group = {} if by is None else {str(by): self.group}
        return group | {name: getattr(self, name) for name in SUMS}


SUMS = UsageRow.__struct_fields__[1:]


def summarise(records: Iterable[Record], by: GroupBy) -> list[UsageRow]:
    """One row for each group, in the order of `in_order`."""
    return in_order(merged(part for record in records for part in rows_of(record, by)), by)


def merged(rows: Iterable[UsageRow]) -> list[UsageRow]:
    """Rows of the same group added up."""
    sums: dict[str | None, UsageRow] = {}
    for row in rows:
        known = sums.get(row.group)
        sums[row.group] = row if known is None else known + row
    return list(sums.values())


def total(rows: Iterable[UsageRow]) -> UsageRow:
    """All rows added up, whatever their groups."""
    return sum(rows, start=UsageRow(None))


def in_order(rows: Iterable[UsageRow], by: GroupBy) -> list[UsageRow]:
    """Days in the order of time, anything else the busiest first; no group comes last among its equals."""
    if by is GroupBy.DAY:
        return sorted(rows, key=lambda row: row.group or "")
    return sorted(rows, key=lambda row: (-row.exchanges, row.group is None, row.group or ""))


def rows_of(record: Record, by: GroupBy | None) -> Iterator[UsageRow]:
    """What one record adds to the sums of its group, and with its legs to those of others."""
    yield _row(record, by)
    yield from leg_rows(record, by)


def leg_rows(record: Record, by: GroupBy | None) -> Iterator[UsageRow]:
    """What a counted record's legs add: tokens that its totals leave out, under each leg's own model."""
    if record.counted:
        own_model = record.reading.served_model or record.model_asked
        for model, usage in legs_within(record.reading.usage, own_model):
            yield replace(_counted(usage), group=model if by is GroupBy.MODEL else _group(record, by))


def _row(record: Record, by: GroupBy | None) -> UsageRow:
    """One record without its legs."""
    reading = record.reading
    sums = _counted(reading.usage, reading.estimate) if record.counted else UsageRow(None)
    return replace(
        sums,
        group=_group(record, by),
        exchanges=1,
        errors=int(bears(record, Mark.FAILED)),
        cancelled=int(bears(record, Mark.CANCELLED)),
        estimated=int(bears(record, Mark.ESTIMATED)),
        unmetered=int(bears(record, Mark.UNMETERED)),
        unpriced=int(bears(record, Mark.UNPRICED)),
        cost_nanos=record.bill.cost_nanos,
        charge_nanos=record.bill.charge_nanos,
    )


def _counted(usage: Usage, estimate: Estimate | None = None) -> UsageRow:
    missing = excess(estimate or Estimate(), usage)
    return UsageRow(
        None,
        **{name: getattr(usage, name) for name in COUNTS},
        estimated_input_tokens=missing.input_tokens,
        estimated_output_tokens=missing.output_tokens,
    )


def _group(record: Record, by: GroupBy | None) -> str | None:
    match by:
        case GroupBy.MODEL:
            return record.reading.served_model or record.model_asked
        case GroupBy.PROVIDER:
            return record.provider
        case GroupBy.KEY:
            return record.key
        case GroupBy.ACCOUNT:
            return record.bill.account
        case GroupBy.DAY:
            return day_of(record.started_at_ns)
        case None:
            return None


def day_of(at_ns: int) -> str:
    """The day in UTC that a moment lies in, e.g. "2026-11-01"."""
    return (_EPOCH + timedelta(days=at_ns // Step.DAY.ns)).isoformat()


def _plus(one: int | None, other: int | None) -> int | None:
    """The sum of what is known of two numbers."""
    return other if one is None else one if other is None else one + other
