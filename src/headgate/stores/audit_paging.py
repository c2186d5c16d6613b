"""From the transcripts that a search looked at to a page of those it found."""

from collections.abc import Sequence

from headgate.audit.transcripts import SCANNED, Transcript, TranscriptPage, TranscriptsWanted


def to_scan(wanted: TranscriptsWanted, limit: int) -> int:
    """How many transcripts to look at for a page: one more than are shown, to know whether there are more."""
    return limit + 1 if wanted.text is None else max(limit, SCANNED) + 1


def page(seen: Sequence[tuple[Transcript, bool]], limit: int, scanned: int) -> TranscriptPage:
    """The page, from all that were looked at, newest first, and whether each fits."""
    within = seen[: scanned - 1]
    found: list[Transcript] = []
    last = -1
    for place, (transcript, fits) in enumerate(within):
        if fits:
            found.append(transcript)
        last = place
        if len(found) == limit:
            break
    more = within[last][0] if 0 <= last < len(seen) - 1 else None
    return TranscriptPage(tuple(found), None if more is None else (more.at_ns, more.exchange_id))
