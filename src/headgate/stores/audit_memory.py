"""The audit log in memory."""

from collections.abc import Sequence
from dataclasses import replace

from headgate.audit.deeds import Deed, DeedsWanted
from headgate.audit.transcripts import Transcript, TranscriptPage, TranscriptsWanted
from headgate.stores.audit_paging import page, to_scan
from headgate.stores.audit_rows import storable_deed, storable_search, storable_transcript, storable_wanted

KEPT = 10_000
"""Deeds, and transcripts, that are kept before the oldest are forgotten: transcripts of some 120 kB, usually less."""


class MemoryAudit:
    """An AuditLog that forgets when the process ends."""

    def __init__(self, kept: int = KEPT) -> None:
        self._most = kept
        self._deeds: dict[str, tuple[int, Deed]] = {}
        self._serial = 0
        self._transcripts: dict[str, Transcript] = {}

    async def keep_deed(self, deed: Deed) -> None:
        """Keep a deed; one whose id is there is passed over."""
        deed = storable_deed(deed)
        if deed.deed_id not in self._deeds:
            self._serial += 1
            self._deeds[deed.deed_id] = (self._serial, deed)
            if len(self._deeds) > self._most:
                del self._deeds[next(iter(self._deeds))]

    async def end_deed(self, deed: Deed) -> None:
        """Add how a deed ended, once."""
        deed = storable_deed(deed)
        serial, known = self._deeds.get(deed.deed_id, (0, deed))
        if serial and known.status is None:
            ended = replace(known, status=deed.status, subject=deed.subject, detail=deed.detail)
            self._deeds[deed.deed_id] = (serial, ended)

    async def deeds(self, wanted: DeedsWanted, limit: int, before: int | None = None) -> list[tuple[int, Deed]]:
        """At most `limit` deeds with their serial numbers, newest first; below a serial number."""
        wanted = storable_wanted(wanted)
        fit = [(n, deed) for n, deed in self._deeds.values() if (before is None or n < before) and wanted.fits(deed)]
        return fit[::-1][:limit]

    async def keep_transcripts(self, transcripts: Sequence[Transcript]) -> None:
        """Keep transcripts; one that is there is passed over."""
        for transcript in map(storable_transcript, transcripts):
            self._transcripts.setdefault(transcript.exchange_id, transcript)
        while len(self._transcripts) > self._most:
            del self._transcripts[next(iter(self._transcripts))]

    async def transcript(self, exchange_id: str) -> Transcript | None:
        """The transcript of an exchange."""
        return self._transcripts.get(exchange_id)

    async def transcripts(
        self, wanted: TranscriptsWanted, limit: int, before: tuple[int, str] | None = None
    ) -> TranscriptPage:
        """At most `limit` transcripts in descending order of (at_ns, exchange_id), below `before`."""
        wanted, scanned = storable_search(wanted), to_scan(wanted, limit)
        places = {(t.at_ns, t.exchange_id): t for t in self._transcripts.values() if wanted.covers(t)}
        window = [places[place] for place in sorted(places, reverse=True) if before is None or place < before]
        seen = [(t.without_texts(), wanted.holds(t)) for t in window[:scanned]]
        return page(seen, limit, scanned)

    async def prune_transcripts(self, before_ns: int, limit: int) -> int:
        """Remove the oldest transcripts of exchanges that began before then, at most `limit`; returns how many."""
        old = sorted((t.at_ns, t.exchange_id) for t in self._transcripts.values() if t.at_ns < before_ns)[:limit]
        for _, exchange_id in old:
            del self._transcripts[exchange_id]
        return len(old)
