"""Records in PostgreSQL: inserting them, durably and once, and the questions about them.

PostgreSQL's texts cannot hold NUL, and a provider's can. So NUL is written as U+001A and `0`, and U+001A as itself and
`1`; what is read comes back as it was.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar, cast

from headgate.errors import Busy
from headgate.records import Record, Trail, Wanted
from headgate.stores import records_sql, rollups, searching
from headgate.stores.postgres_link import Connection, Questions
from headgate.stores.rollups import Asking
from headgate.stores.rows import COLUMNS, Row, from_row, to_row, without_surrogates
from headgate.stores.searching import Found
from headgate.stores.series import Series, SeriesOf
from headgate.stores.summary import GroupBy, UsageRow

# A repeat of an exchange id is the same record again, after a commit whose success could not be seen.
_INSERT = (
    f"INSERT INTO records ({', '.join(COLUMNS)}) "  # noqa: S608 - ours
    f"VALUES ({', '.join(f'${n}' for n, _ in enumerate(COLUMNS, start=1))}) ON CONFLICT (exchange_id) DO NOTHING"
)
T = TypeVar("T")
_UNUSUAL = re.compile("[\0\x1a\ud800-\udfff]")


async def insert_records(db: Connection, records: Sequence[Record]) -> None:
    """Write records in one transaction, or inside the one that is open; one that is there already is passed over."""
    if records:
        await db.executemany(_INSERT, [written(to_row(record)) for record in records])


class PostgresRecords:
    """The questions about records. Every method but `trail` raises Busy where the server does not answer."""

    _questions: Questions

    async def trail(self, response_id: str) -> Trail | None:
        """The provider of the newest exchange of that response id on disk, and whether any of them was counted.

        None also while the server does not answer, which is logged.
        """
        try:
            rows = await self._questions.rows(records_sql.trail("$1", "arrival"), *written((response_id,)))
        except Busy:
            return None
        return next((Trail(_read(provider), counted) for provider, counted in rows), None)

    async def find(self, exchange_id: str) -> Record | None:
        """The record of an exchange, if it is on disk."""
        rows = await self._questions.rows(f"{records_sql.RECORD} WHERE exchange_id = $1", *written((exchange_id,)))
        return next(map(_record, rows), None)

    async def records(self, since_ns: int | None = None, limit: int = 100) -> list[Record]:
        """The newest records, newest first; `since_ns`, since the Unix epoch, leaves out what began before it."""
        rows = await self._questions.rows(records_sql.newest("$1", "$2", "arrival"), since_ns or 0, limit)
        return [_record(row) for row in rows]

    async def search(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> list[Record]:
        """At most `limit` records in descending order of (started_at_ns, exchange_id), below `before`."""
        question = partial(searching.page, wanted, limit, before, most=None)
        return (await self._questions.at_once(lambda db: answered(db, question()))).records

    async def page(self, wanted: Wanted, limit: int, before: tuple[int, str] | None = None) -> Found:
        """The same; fewer where they are hard to find, and where to go on."""
        return await self._questions.at_once(lambda db: answered(db, searching.page(wanted, limit, before)))

    async def arrived(self, after: int, limit: int, missing: Sequence[int] = ()) -> list[tuple[int, Record]]:
        """At most `limit` records written after a number, each with its number, and those of missed numbers."""
        query = records_sql.arrived("arrival", "$1", "= ANY($2::bigint[])", "$3")
        rows = await self._questions.rows(query, after, list(missing), limit)
        return [(number, _record(row)) for number, *row in rows]

    async def last_arrivals(self, limit: int) -> list[int]:
        """The numbers of the records that were written last."""
        rows = await self._questions.rows(records_sql.last_arrivals("arrival", "$1"), limit)
        return [number for (number,) in rows]

    async def older_than(self, before_ns: int) -> tuple[int, int | None]:
        """How many records began before then, and when the first of them did; nanoseconds since the epoch."""
        ((number, first_ns),) = await self._questions.rows(records_sql.older_than("$1"), before_ns)
        return number, first_ns

    async def usage(self, since_ns: int | None, by: GroupBy, until_ns: int | None = None) -> list[UsageRow]:
        """The sums over the records that began in a span, one row for each group."""
        return await self._questions.at_once(lambda db: answered(db, rollups.usage(since_ns, until_ns, by)))

    async def series(self, of: SeriesOf) -> Series:
        """The sums step by step, in all or by group."""
        return await self._questions.at_once(lambda db: answered(db, rollups.series(of)))


async def answered(db: Connection, asking: Asking[T], seconds: float | None = None) -> T:
    """What comes of statements that are run in the transaction that is open, each within `seconds` if that is given."""
    try:
        sql, values = next(asking)
        while True:
            rows = await db.fetch(sql.replace("?", "$"), *written(values), timeout=seconds)
            sql, values = asking.send([[_read(value) for value in row] for row in rows])
    except StopIteration as end:
        return cast("T", end.value)


def _record(row: Sequence[Any]) -> Record:
    return from_row([_read(value) for value in row])


def written(row: Row) -> Row:
    """The values as PostgreSQL takes them."""
    if not any(isinstance(value, str) and _UNUSUAL.search(value) for value in row):
        return row
    return tuple(
        value.replace("\x1a", "\x1a1").replace("\0", "\x1a0") if isinstance(value, str) else value
        for value in without_surrogates(row)
    )


def _read(value: Any) -> Any:
    if isinstance(value, str) and "\x1a" in value:
        return value.replace("\x1a0", "\0").replace("\x1a1", "\x1a")
    return value
