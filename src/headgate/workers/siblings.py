"""What workers ask each other: each listens on a socket in a folder of their supervisor's, which nobody else can enter.

A question is a line; an answer is all bytes until the end. One that does not answer in time is left out.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger("headgate.workers")

_PATIENCE_SECONDS = 2.0
_LONGEST = 4096

Answer = Callable[[str], Awaitable[bytes]]


def socket_of(folder: Path, number: int) -> Path:
    """Where a worker listens for the others."""
    return folder / f"{number}.sock"


class Siblings:
    """The other workers, as one of them sees them."""

    def __init__(self, folder: Path, number: int) -> None:
        """`number` is this worker's."""
        self.number = number
        self._own = socket_of(folder, number)
        self._folder = folder
        self._answers: dict[str, Answer] = {}
        self._server: asyncio.Server | None = None

    def answer(self, question: str, answer: Answer) -> None:
        """How to answer a question, given its detail."""
        self._answers[question] = answer

    async def open(self) -> None:
        """Answer from now on."""
        self._server = await asyncio.start_unix_server(self._serve, self._own, limit=_LONGEST)

    async def aclose(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
            self._own.unlink(missing_ok=True)

    async def ask(self, question: str, detail: str = "") -> list[bytes]:
        """What the others answer, in the order of their numbers."""
        paths = sorted(self._folder.glob("*.sock"), key=lambda path: int(path.stem))
        answers = await asyncio.gather(*(self._ask(path, question, detail) for path in paths if path != self._own))
        return [answer for answer in answers if answer is not None]

    async def _ask(self, path: Path, question: str, detail: str) -> bytes | None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    writer.write(json.dumps([question, detail]).encode() + b"\n")
                    return await reader.read() or None
                finally:
                    writer.close()
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            question, detail = json.loads(await reader.readline())
            if question in self._answers:
                writer.write(await self._answers[question](detail))
                await writer.drain()
        except (ValueError, OSError) as error:
            _log.warning("a worker was not answered: %s", error)
        finally:
            writer.close()
