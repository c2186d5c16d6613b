"""The audit log in SQLite."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from headgate.audit.deeds import Deed, DeedsWanted
from headgate.audit.transcripts import Transcript, TranscriptPage, TranscriptsWanted
from headgate.stores import audit_sql
from headgate.stores.audit_paging import page, to_scan
from headgate.stores.audit_rows import (
    DEED,
    TRANSCRIPT,
    deed_of,
    deed_row,
    storable_deed,
    storable_search,
    storable_transcript,
    storable_wanted,
    transcript_of,
    transcript_row,
)

T = TypeVar("T")

_KEEP_DEED = audit_sql.insert("deeds", DEED, "?")
_KEEP_TRANSCRIPT = audit_sql.insert("transcripts", TRANSCRIPT, "?")
_END, _PRUNE = audit_sql.end("?"), audit_sql.prune("?")


class _File(Protocol):
    """What a SqliteStore does for its parts."""

    def _change(self, task: Callable[[sqlite3.Connection], T]) -> Awaitable[T]: ...

    def _ask_aside(self, question: Callable[[sqlite3.Connection], T]) -> Awaitable[T]: ...


class SqliteAudit:
    """An AuditLog: changes by the store's one writer, questions in a thread of their own."""

    async def keep_deed(self: _File, deed: Deed) -> None:
        """Keep a deed; one whose id is there is passed over."""
        await self._change(partial(_execute, sql=_KEEP_DEED, rows=[deed_row(storable_deed(deed))]))

    async def end_deed(self: _File, deed: Deed) -> None:
        """Add how a deed ended, once."""
        _, _, _, _, subject, status, detail = deed_row(storable_deed(deed))
        await self._change(partial(_execute, sql=_END, rows=[(status, subject, detail, deed.deed_id)]))

    async def deeds(self: _File, wanted: DeedsWanted, limit: int, before: int | None = None) -> list[tuple[int, Deed]]:
        """At most `limit` deeds with their serial numbers, newest first; below a serial number."""
        sql, values = audit_sql.deeds(storable_wanted(wanted), limit, before, "?", "instr")
        return await self._ask_aside(lambda db: [deed_of(row) for row in db.execute(sql, values)])

    async def keep_transcripts(self: _File, transcripts: Sequence[Transcript]) -> None:
        """Keep transcripts, all or none; one that is there is passed over."""
        rows = [transcript_row(storable_transcript(transcript)) for transcript in transcripts]
        await self._change(partial(_execute, sql=_KEEP_TRANSCRIPT, rows=rows))

    async def transcript(self: _File, exchange_id: str) -> Transcript | None:
        """The transcript of an exchange."""
        sql = f"{audit_sql.TRANSCRIPT_OF} ?1"
        rows = await self._ask_aside(lambda db: db.execute(sql, (exchange_id,)).fetchall())
        return next(map(transcript_of, rows), None)

    async def transcripts(
        self: _File, wanted: TranscriptsWanted, limit: int, before: tuple[int, str] | None = None
    ) -> TranscriptPage:
        """At most `limit` transcripts in descending order of (at_ns, exchange_id), below `before`."""
        scanned = to_scan(wanted, limit)
        sql, values = audit_sql.transcripts(storable_search(wanted), scanned, before, "?", "instr")
        rows = await self._ask_aside(lambda db: db.execute(sql, values).fetchall())
        return page([(transcript_of(row[:-1]), bool(row[-1])) for row in rows], limit, scanned)

    async def prune_transcripts(self: _File, before_ns: int, limit: int) -> int:
        """Remove the oldest transcripts of exchanges that began before then, at most `limit`; returns how many."""
        return await self._change(lambda db: db.execute(_PRUNE, (before_ns, limit)).rowcount)


def _execute(db: sqlite3.Connection, sql: str, rows: Sequence[Sequence[object]]) -> None:
    db.executemany(sql, rows)
