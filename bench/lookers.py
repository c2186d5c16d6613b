"""People who look at the dashboard: each keeps its live view open, and asks what its overview shows again and again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

KEY = "the admin key of the bench"
FEWEST = 3
"""Live views that each of them has to be shown in a measuring window, or nobody looked."""
_LONGEST_LINE = 4 * 1024 * 1024
_EVERY_SECONDS = 5.0
"""As the overview's page does."""
_OVERVIEW = (
    "/usage?by=model&since={hour_ago}",
    "/usage?by=key&since={hour_ago}",
    "/series?step=minute&by=model&since={hour_ago}",
    "/series?step=minute&since={hour_ago}",
    "/records?limit=50",
    "/health",
)


@asynccontextmanager
async def looking(port: int, number: int) -> AsyncIterator[list[int]]:
    """So many look at the gateway on 127.0.0.1:`port`; gives how many live views each was shown, at the end.

    Raises OSError if it cannot be reached, RuntimeError if it shows nothing.
    """
    seen = [0] * number
    tasks = [asyncio.create_task(look(port, seen, place)) for place in range(number) for look in (_watch, _browse)]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if not isinstance(end, asyncio.CancelledError) and isinstance(end, BaseException):
            raise end


async def _watch(port: int, seen: list[int], place: int) -> None:
    async with _asked(port, "/live/events") as answer:
        while line := await answer.readline():
            seen[place] += line.startswith(b"event: live")
    raise RuntimeError("the live view ended by itself")


async def _browse(port: int, seen: list[int], place: int) -> None:
    await asyncio.sleep(_EVERY_SECONDS * place / len(seen))
    while True:
        hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for path in _OVERVIEW:
            async with _asked(port, path.format(hour_ago=hour_ago)) as answer:
                await answer.read()
        await asyncio.sleep(_EVERY_SECONDS)


@asynccontextmanager
async def _asked(port: int, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """The answer to a question, on a connection of its own. Raises RuntimeError if it is a refusal."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LONGEST_LINE)
    try:
        head = f"GET /admin/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"the dashboard's {path} is answered with {status.decode().strip()}")
        yield reader
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
