"""The sums of a store in memory: records one by one, and the roll-ups of those that were removed."""

from collections.abc import Iterable, Iterator

from msgspec import structs

from headgate.records import Record
from headgate.stores.series import Series, SeriesOf, by_step, laid_out, only, ranked
from headgate.stores.spans import END_NS, Kept, Step
from headgate.stores.summary import GroupBy, UsageRow, day_of, in_order, merged, rows_of

DIMENSIONS = (None, GroupBy.MODEL, GroupBy.PROVIDER, GroupBy.KEY, GroupBy.ACCOUNT)


class Sums:
    """What removed records added to each minute, and the questions about them and those that are there."""

    def __init__(self) -> None:
        self._kept = Kept()
        self._minutes: dict[GroupBy | None, dict[int, list[UsageRow]]] = {by: {} for by in DIMENSIONS}

    def roll(self, records: Iterable[Record]) -> None:
        """Remember what records add up to that are about to be removed."""
        for record in records:
            at = Step.MINUTE.floor(record.started_at_ns)
            for by, minutes in self._minutes.items():
                minutes[at] = merged([*minutes.get(at, ()), *rows_of(record, by)])
            until = max(self._kept.pruned_until_ns, Step.HOUR.ceil(record.started_at_ns + 1))
            self._kept = self._kept._replace(pruned_until_ns=until)

    def usage(
        self, records: Iterable[Record], since_ns: int | None, until_ns: int | None, by: GroupBy
    ) -> list[UsageRow]:
        """The sums over the records that began in a span, one row for each group."""
        span = since_ns or 0, END_NS if until_ns is None else until_ns
        if by is not GroupBy.DAY:
            return in_order(merged(row for _, row in self._cells(records, *span, by)), by)
        days = (structs.replace(row, group=day_of(at)) for at, row in self._cells(records, *span, None))
        return in_order(merged(days), by)

    def series(self, records: Iterable[Record], of: SeriesOf) -> Series:
        """The sums step by step, in all or by group."""
        span = of.first_ns, of.end_ns
        records = list(records)
        total = by_step(_of(of, self._cells(records, *span, None)))
        cells = list(self._cells(records, *span, of.by)) if of.by is not None else []
        groups = [row.group for row in ranked(merged(row for _, row in cells))]
        names = groups[: of.top] if of.name is None else [of.name]
        own = by_step(_of(of, ((at, row) for at, row in cells if row.group in names)))
        others = of.name is None and len(groups) > len(names)
        return laid_out(of, {at: row for at, rows in total.items() for row in rows.values()}, names, own, others=others)

    def _cells(
        self, records: Iterable[Record], since_ns: int, until_ns: int, by: GroupBy | None
    ) -> Iterator[tuple[int, UsageRow]]:
        """Rows with the moments that they are of."""
        since, until = self._kept.knowable(since_ns), self._kept.knowable(until_ns)
        for at, rows in self._minutes[by].items():
            if since <= at < until:
                yield from ((at, row) for row in rows)
        for record in records:
            if since <= record.started_at_ns < until:
                yield from ((record.started_at_ns, row) for row in rows_of(record, by))


def _of(of: SeriesOf, cells: Iterable[tuple[int, UsageRow]]) -> Iterator[tuple[int, UsageRow]]:
    """With the beginnings of their steps, and the sums that are wanted."""
    for at, row in cells:
        yield of.step.floor(at), only([row], of.sums)[0]
