"""The audit log in PostgreSQL: every statement is a transaction by itself."""

from collections.abc import Sequence

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
from headgate.stores.postgres_link import Questions

_KEEP_DEED = audit_sql.insert("deeds", DEED, "$")
_END, _PRUNE = audit_sql.end("$"), audit_sql.prune("$", returning="RETURNING TRUE")
_TYPES = {"at_ns": "bigint"} | {
    f"{body}_{column}": kind
    for body in ("request", "response")
    for column, kind in (("bytes", "bigint"), ("kept_bytes", "bigint"), ("truncated", "boolean"))
}
_ARRAYS = ", ".join(f"${n}::{_TYPES.get(name, 'text')}[]" for n, name in enumerate(TRANSCRIPT, start=1))
_KEEP_TRANSCRIPTS = (
    f"INSERT INTO transcripts ({', '.join(TRANSCRIPT)}) "  # noqa: S608 - ours
    f"SELECT * FROM unnest({_ARRAYS}) ON CONFLICT (exchange_id) DO NOTHING"
)


class PostgresAudit:
    """An AuditLog. Every method raises Busy where the server does not answer."""

    _questions: Questions

    async def keep_deed(self, deed: Deed) -> None:
        """Keep a deed; one whose id is there is passed over."""
        await self._questions.rows(_KEEP_DEED, *deed_row(storable_deed(deed)))

    async def end_deed(self, deed: Deed) -> None:
        """Add how a deed ended, once."""
        _, _, _, _, subject, status, detail = deed_row(storable_deed(deed))
        await self._questions.rows(_END, status, subject, detail, deed.deed_id)

    async def deeds(self, wanted: DeedsWanted, limit: int, before: int | None = None) -> list[tuple[int, Deed]]:
        """At most `limit` deeds with their serial numbers, newest first; below a serial number."""
        sql, values = audit_sql.deeds(storable_wanted(wanted), limit, before, "$", "strpos")
        return [deed_of(row) for row in await self._questions.rows(sql, *values)]

    async def keep_transcripts(self, transcripts: Sequence[Transcript]) -> None:
        """Keep transcripts, all or none; one that is there is passed over."""
        rows = [transcript_row(storable_transcript(transcript)) for transcript in transcripts]
        if rows:
            await self._questions.rows(_KEEP_TRANSCRIPTS, *(list(column) for column in zip(*rows, strict=True)))

    async def transcript(self, exchange_id: str) -> Transcript | None:
        """The transcript of an exchange."""
        rows = await self._questions.rows(f"{audit_sql.TRANSCRIPT_OF} $1", exchange_id)
        return next(map(transcript_of, map(tuple, rows)), None)

    async def transcripts(
        self, wanted: TranscriptsWanted, limit: int, before: tuple[int, str] | None = None
    ) -> TranscriptPage:
        """At most `limit` transcripts in descending order of (at_ns, exchange_id), below `before`."""
        scanned = to_scan(wanted, limit)
        sql, values = audit_sql.transcripts(storable_search(wanted), scanned, before, "$", "strpos")
        rows = [tuple(row) for row in await self._questions.rows(sql, *values)]
        return page([(transcript_of(row[:-1]), row[-1]) for row in rows], limit, scanned)

    async def prune_transcripts(self, before_ns: int, limit: int) -> int:
        """Remove the oldest transcripts of exchanges that began before then, at most `limit`; returns how many."""
        return len(await self._questions.rows(_PRUNE, before_ns, limit))
