"""The audit log in the admin API: deeds, and the transcripts of exchanges. Who reads a transcript does a deed.

A page of deeds or a transcript can be megabytes, so its text is made in a thread: the event loop has streams to relay.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from headgate.admin.export import Format
from headgate.admin.handlers import Answer, Call, Desk, Download, at_ns, given, place_of
from headgate.admin.views import moment
from headgate.audit.deeds import Deed, DeedsWanted
from headgate.audit.log import AuditLog
from headgate.audit.transcripts import Body, Transcript, TranscriptsWanted
from headgate.errors import NotFound

_NS = 1_000_000_000
_PAGE = 500
"""Deeds or transcripts that are read at a time for a file."""


class DeedView(Struct, frozen=True, kw_only=True):
    """Who did what to what, and how it ended.

    A status from 400 on was refused; from 500 on it failed, and may be done all the same. Null: nobody lived to tell.
    """

    serial: int
    at: datetime
    actor: str
    action: str
    subject: str
    status: int | None
    detail: dict[str, Any]


class DeedPage(Struct, frozen=True, kw_only=True):
    """Deeds."""

    data: list[DeedView]
    next_cursor: str | None


class HeadingView(Struct, frozen=True, kw_only=True):
    """A transcript without its texts."""

    exchange_id: str
    at: datetime
    key: str | None
    key_id: str | None
    dialect: str | None
    operation: str | None
    path: str
    request_bytes: int
    response_bytes: int


class TranscriptPage(Struct, frozen=True, kw_only=True):
    """Transcripts. A page may be short, or empty, and yet have a next one: a search looks at so many at a time."""

    data: list[HeadingView]
    next_cursor: str | None


class BodyView(Struct, frozen=True, kw_only=True):
    """A body as kept: its beginning, without secrets. `bytes` counts the whole of it, as it passed."""

    text: str
    bytes: int
    kept_bytes: int
    truncated: bool


class TranscriptView(Struct, frozen=True, kw_only=True):
    """What was said in an exchange."""

    exchange_id: str
    at: datetime
    key: str | None
    key_id: str | None
    dialect: str | None
    operation: str | None
    path: str
    request: BodyView
    response: BodyView


async def list_deeds(desk: Desk, call: Call) -> Answer:
    """What administrators did, newest first: done, refused and failed."""
    query = call.query
    before = None if query.cursor is UNSET else int(query.cursor)
    found = await desk.deeds.log.deeds(_deeds_wanted(query), query.limit + 1, before)
    shown = [deed_view(*numbered) for numbered in found[: query.limit]]
    told = {"data": shown, "next_cursor": str(shown[-1].serial) if len(found) > query.limit else None}
    return Answer(msgspec.Raw(await asyncio.to_thread(msgspec.json.encode, told)))


async def export_deeds(desk: Desk, call: Call) -> Download:
    """The same as a file of JSON lines."""
    lines = deed_lines(desk.deeds.log, _deeds_wanted(call.query))
    return await _file(desk, "headgate-audit", lines)


async def get_transcript(desk: Desk, call: Call) -> Answer:
    """What was said in an exchange, where its bodies are kept."""
    exchange_id = call.path["exchange_id"]
    transcript = await desk.deeds.log.transcript(exchange_id)
    if transcript is None:
        raise NotFound(f"No bodies are kept of an exchange '{exchange_id}'.")
    return Answer(msgspec.Raw(await asyncio.to_thread(msgspec.json.encode, transcript_view(transcript))))


async def list_transcripts(desk: Desk, call: Call) -> Answer:
    """The exchanges whose bodies are kept, newest first."""
    query = call.query
    before = None if query.cursor is UNSET else place_of(query.cursor)
    page = await desk.deeds.log.transcripts(_transcripts_wanted(query), query.limit, before)
    cursor = None if page.more is None else f"{page.more[0]}.{page.more[1]}"
    return Answer({"data": [heading_view(transcript) for transcript in page.found], "next_cursor": cursor})


async def export_transcripts(desk: Desk, call: Call) -> Download:
    """Transcripts with their texts as a file of JSON lines."""
    lines = transcript_lines(desk.deeds.log, _transcripts_wanted(call.query))
    return await _file(desk, "headgate-transcripts", lines)


async def deed_lines(log: AuditLog, wanted: DeedsWanted) -> AsyncIterator[bytes]:
    """All deeds that are wanted, newest first, as JSON lines; a page at a time."""
    before: int | None = None
    while found := await log.deeds(wanted, _PAGE, before):
        yield await asyncio.to_thread(_json_lines, [deed_view(*numbered) for numbered in found])
        before = found[-1][0]


async def transcript_lines(log: AuditLog, wanted: TranscriptsWanted) -> AsyncIterator[bytes]:
    """All transcripts that are wanted, newest first, as JSON lines; one at a time, and nothing where none is found."""
    page = await log.transcripts(wanted, _PAGE)
    while True:
        for heading in page.found:
            transcript = await log.transcript(heading.exchange_id)
            if transcript is not None:  # else it has just been pruned
                yield await asyncio.to_thread(_json_lines, [transcript_view(transcript)])
        if page.more is None:
            return
        if not page.found:
            yield b""  # the search goes on: whoever has had enough is not waited for
        page = await log.transcripts(wanted, _PAGE, page.more)


def deed_view(serial: int, deed: Deed) -> DeedView:
    """A deed for the wire."""
    return DeedView(
        serial=serial,
        at=moment(deed.at_ns),
        actor=deed.actor,
        action=deed.action,
        subject=deed.subject,
        status=deed.status,
        detail=dict(deed.detail),
    )


def heading_view(transcript: Transcript) -> HeadingView:
    """A transcript in a list, for the wire."""
    sizes: Mapping[str, Any] = {"request_bytes": transcript.request.size, "response_bytes": transcript.response.size}
    return HeadingView(**_about(transcript), **sizes)


def transcript_view(transcript: Transcript) -> TranscriptView:
    """A transcript for the wire."""
    return TranscriptView(
        **_about(transcript), request=_body_view(transcript.request), response=_body_view(transcript.response)
    )


def _about(transcript: Transcript) -> Mapping[str, Any]:
    names = ("exchange_id", "key", "key_id", "dialect", "operation", "path")
    return {"at": moment(transcript.at_ns)} | {name: getattr(transcript, name) for name in names}


def _body_view(body: Body) -> BodyView:
    return BodyView(text=body.text, bytes=body.size, kept_bytes=body.kept_bytes, truncated=body.truncated)


def _deeds_wanted(query: Any) -> DeedsWanted:
    named = {name: given(getattr(query, name)) for name in ("actor", "action", "subject", "text")}
    return DeedsWanted(at_ns(query, "since"), at_ns(query, "until"), **named)


def _transcripts_wanted(query: Any) -> TranscriptsWanted:
    return TranscriptsWanted(at_ns(query, "since"), at_ns(query, "until"), given(query.key), given(query.text))


def _json_lines(views: Sequence[DeedView | TranscriptView]) -> bytes:
    return b"".join(msgspec.json.encode(view) + b"\n" for view in views)


async def _file(desk: Desk, name: str, lines: AsyncIterator[bytes]) -> Download:
    """A download, its first piece at hand: a database that does not answer is told as such."""
    first = await anext(lines, b"")
    at = datetime.fromtimestamp(desk.clock_ns() // _NS, UTC)
    return Download(Format.JSONL.media_type, f"{name}-{at:%Y%m%dT%H%M%SZ}.jsonl", _chunks(first, lines))


async def _chunks(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for more in rest:
        yield more
