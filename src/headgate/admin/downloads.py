"""What the API gives as files: records, as many as there are.

A file is made page by page as the client takes it, so that it costs a page of memory however long it is. Pages become
text in a thread of their own: the event loop has streams to relay.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from headgate.admin.export import Format, head, pages, rendered
from headgate.admin.handlers import Call, Desk, Download, wanted
from headgate.records import Record

_NS = 1_000_000_000


async def export_records(desk: Desk, call: Call) -> Download:
    """Records of exchanges as a file, newest first: CSV or JSON lines."""
    form: Format = call.query.format
    found = pages(desk.records, wanted(call.query))
    first = await anext(found, None) or ()  # not (): CPython 3.11 takes a tuple for StopIteration's arguments
    at = datetime.fromtimestamp(desk.clock_ns() // _NS, UTC)
    return Download(form.media_type, f"headgate-records-{at:%Y%m%dT%H%M%SZ}.{form}", _chunks(form, first, found))


async def _chunks(form: Format, first: Sequence[Record], rest: AsyncIterator[Sequence[Record]]) -> AsyncIterator[bytes]:
    yield head(form) + await asyncio.to_thread(rendered, first, form)
    async for page in rest:
        yield await asyncio.to_thread(rendered, page, form)
