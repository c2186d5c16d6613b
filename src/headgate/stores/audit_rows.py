"""Deeds and transcripts as rows, and back: the same columns in every database."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from headgate.audit.deeds import Deed, DeedsWanted
from headgate.audit.transcripts import Body, Transcript, TranscriptsWanted
from headgate.stores.storable import require_storable, storable_text

DEED = ("deed_id", "at_ns", "actor", "action", "subject", "status", "detail")
TRANSCRIPT = (
    "exchange_id", "at_ns", "key", "key_id", "dialect", "operation", "path",
    "request_bytes", "request_kept_bytes", "request_truncated",
    "response_bytes", "response_kept_bytes", "response_truncated",
    "request_text", "response_text",
)  # fmt: skip
"""The texts stand last: a list is read without them."""
HEADING = TRANSCRIPT[:-2]


def storable_deed(deed: Deed) -> Deed:
    """The deed, its texts made such that they can be kept. Raises ValueError for an id or a number that cannot be."""
    return require_storable(
        Deed(
            deed.deed_id,
            deed.at_ns,
            storable_text(deed.actor),
            storable_text(deed.action),
            storable_text(deed.subject),
            deed.status,
            json.loads(storable_text(deed.detail_text)),
        )
    )


def deed_row(deed: Deed) -> tuple[Any, ...]:
    """The deed in the order of DEED."""
    return deed.deed_id, deed.at_ns, deed.actor, deed.action, deed.subject, deed.status, deed.detail_text


def deed_of(row: Sequence[Any]) -> tuple[int, Deed]:
    """The serial number and the deed of a row that begins with the number."""
    serial, deed_id, at_ns, actor, action, subject, status, detail = row
    return serial, Deed(deed_id, at_ns, actor, action, subject, status, json.loads(detail))


def storable_transcript(transcript: Transcript) -> Transcript:
    """Likewise for a transcript."""
    return require_storable(
        replace(
            transcript,
            key=_text(transcript.key),
            path=storable_text(transcript.path),
            request=_body(transcript.request),
            response=_body(transcript.response),
        )
    )


def transcript_row(transcript: Transcript) -> tuple[Any, ...]:
    """The transcript in the order of TRANSCRIPT."""
    asked, told = transcript.request, transcript.response
    return (
        transcript.exchange_id, transcript.at_ns, transcript.key, transcript.key_id, transcript.dialect,
        transcript.operation, transcript.path,
        asked.size, asked.kept_bytes, asked.truncated, told.size, told.kept_bytes, told.truncated,
        asked.text, told.text,
    )  # fmt: skip


def transcript_of(row: Sequence[Any]) -> Transcript:
    """The transcript of a row of TRANSCRIPT, or of HEADING: then without its texts."""
    exchange_id, at_ns, key, key_id, dialect, operation, path, *sizes = row[:13]
    asked, told = tuple(row[13:]) or ("", "")
    return Transcript(
        exchange_id, at_ns, key, key_id, dialect, operation, path,
        Body(asked, sizes[0], sizes[1], bool(sizes[2])), Body(told, sizes[3], sizes[4], bool(sizes[5])),
    )  # fmt: skip


def storable_wanted(wanted: DeedsWanted) -> DeedsWanted:
    """What is asked for, as it could have been kept."""
    return DeedsWanted(
        wanted.since_ns, wanted.until_ns, _text(wanted.actor), _text(wanted.action), _text(wanted.subject),
        _text(wanted.text),
    )  # fmt: skip


def storable_search(wanted: TranscriptsWanted) -> TranscriptsWanted:
    """Likewise for transcripts."""
    return replace(wanted, key=_text(wanted.key), text=_text(wanted.text))


def _text(text: str | None) -> str | None:
    return None if text is None else storable_text(text)


def _body(body: Body) -> Body:
    return replace(body, text=storable_text(body.text))
