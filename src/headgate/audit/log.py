"""AuditLog: the protocol that keeps deeds and transcripts. `stores/` fulfils it."""

from collections.abc import Sequence
from typing import Protocol

from headgate.audit.deeds import Deed, DeedsWanted
from headgate.audit.transcripts import Transcript, TranscriptPage, TranscriptsWanted


class AuditLog(Protocol):
    """Keeps deeds for good and transcripts for a while.

    What changes it waits as long as the database cannot be written, or raises Busy; it raises LedgerUnavailable once
    the store is closed. Questions raise Busy while the database cannot be read.
    """

    async def keep_deed(self, deed: Deed) -> None:
        """Keep a deed; it is on disk when this returns. One whose id is there already is passed over."""

    async def end_deed(self, deed: Deed) -> None:
        """Add how a deed ended: its status, subject and detail replace those kept. Only once: a second is passed over.

        On disk when this returns.
        """

    async def deeds(self, wanted: DeedsWanted, limit: int, before: int | None = None) -> list[tuple[int, Deed]]:
        """At most `limit` deeds with their serial numbers, newest first; below a serial number."""

    async def keep_transcripts(self, transcripts: Sequence[Transcript]) -> None:
        """Keep transcripts, all or none; they are on disk when this returns. One that is there is passed over."""

    async def transcript(self, exchange_id: str) -> Transcript | None:
        """The transcript of an exchange."""

    async def transcripts(
        self, wanted: TranscriptsWanted, limit: int, before: tuple[int, str] | None = None
    ) -> TranscriptPage:
        """At most `limit` transcripts in descending order of (at_ns, exchange_id), below `before`."""

    async def prune_transcripts(self, before_ns: int, limit: int) -> int:
        """Remove the oldest transcripts of exchanges that began before then, at most `limit`; returns how many."""
