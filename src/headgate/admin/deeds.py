"""Deeds: what administrators do is kept before it is done, and how it ended behind it.

What cannot be kept is not done. What shows others' words is kept before it is shown. Sign-ins are noted without anyone
waiting, and of a burst of wrong keys the first ones and the number: guessing must not fill the database.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from headgate.audit.deeds import Deed
from headgate.audit.log import AuditLog
from headgate.audit.redaction import Redactor
from headgate.errors import Busy, HeadgateError
from headgate.ledger.store import LedgerUnavailable

_log = logging.getLogger("headgate.audit")

NOBODY = "nobody"
"""Who has no name, because his key was refused."""
_LARGEST_TEXT = 16 * 1024
"""Bytes that are kept of one text of a detail."""
_DEEPEST = 20
_NOT_JSON = 1_000
"""Bytes that are kept of a body that is no JSON."""
_WINDOW_NS = 60 * 1_000_000_000
_MOST_REFUSED = 10
"""Refused sign-ins that are kept in a window; the next one that is kept tells how many were passed over."""
_NOUNS = {"accounts": "account", "keys": "key", "budgets": "budget", "records": "exchange"}


@dataclass(slots=True)
class Doing:
    """A deed under way, as whoever does it may still describe it."""

    subject: str
    status: int = 200
    """How it ends unless an error leaves the block."""


class Deeds:
    """Keeps deeds in an audit log."""

    def __init__(
        self,
        log: AuditLog,
        redactor: Redactor,
        clock_ns: Callable[[], int],
        random: Callable[[int], bytes],
        *,
        patience_seconds: float = 30.0,
    ) -> None:
        """`random` gives so many random bytes."""
        self.log = log
        self._redactor = redactor
        self._clock_ns = clock_ns
        self._random = random
        self._patience_seconds = patience_seconds
        self._refused = _Window()
        self._noting: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def doing(self, actor: str, action: str, subject: str, detail: Mapping[str, Any]) -> AsyncIterator[Doing]:
        """Keep a deed, do it inside the block, and keep how it ended.

        Raises Busy, and the block is not entered, if the deed cannot be kept. If its end cannot be, that is logged.
        """
        deed = self._deed(actor, action, subject, detail)
        await self._before(deed)
        doing = Doing(subject)
        status: int | None = 500
        more: dict[str, Any] = {}
        try:
            yield doing
            status = doing.status
        except HeadgateError as error:
            status = error.status
            more = {"error": {"code": error.code, "message": self._text(error.message)}}
            raise
        except asyncio.CancelledError:
            status = None
            raise
        finally:
            if status is not None:
                ended = replace(deed, subject=self._text(doing.subject), status=status, detail={**deed.detail, **more})
                await asyncio.shield(self._aside(self._end(ended)))  # who leaves meanwhile does not take it along

    async def keep(self, actor: str, action: str, subject: str, detail: Mapping[str, Any], status: int) -> None:
        """Keep a deed that changes nothing, such as reading what was said. Raises Busy if it cannot be kept."""
        await self._before(replace(self._deed(actor, action, subject, detail), status=status))

    def note(self, actor: str, action: str, subject: str, detail: Mapping[str, Any], status: int) -> None:
        """Keep a deed that is done, without waiting. One that cannot be kept is logged."""
        deed = replace(self._deed(actor, action, subject, detail), status=status)
        self._aside(self._note(deed))

    def note_refusal(self, client: str) -> None:
        """A sign-in with a wrong key, from an address."""
        passed_over = self._refused.take(self._clock_ns())
        if passed_over is not None:
            detail = {"from": client} | ({"passed_over": passed_over} if passed_over else {})
            self.note(NOBODY, "sign_in", "session", detail, 401)

    async def settled(self, seconds: float | None = None) -> None:
        """Wait until what was noted, and how deeds ended, has been kept; for so long at most."""
        if self._noting:
            await asyncio.wait(self._noting, timeout=seconds)

    def _aside(self, keeping: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(keeping)
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)
        return task

    def _deed(self, actor: str, action: str, subject: str, detail: Mapping[str, Any]) -> Deed:
        deed_id = f"deed_{self._random(10).hex()}"
        return Deed(deed_id, self._clock_ns(), actor, action, self._text(subject), detail=self._clean(detail))

    def _clean(self, value: Any, depth: int = 0) -> Any:
        """A JSON value whose texts hold no secret."""
        if isinstance(value, str):
            return self._text(value)
        if depth > _DEEPEST:
            return "[...]"
        if isinstance(value, Mapping):
            return {self._text(name): self._clean(item, depth + 1) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item, depth + 1) for item in value]
        return value

    def _text(self, text: str) -> str:
        return self._redactor.redact(text, _LARGEST_TEXT).text

    async def _before(self, deed: Deed) -> None:
        """Keep a deed that waits to be done. Raises Busy."""
        if not await self._written(self.log.keep_deed(deed)):
            raise Busy("The audit log cannot be written at the moment, so nothing was done.")

    async def _end(self, deed: Deed) -> None:
        if not await self._written(self.log.end_deed(deed)):
            _log.error(
                "%s of %s was begun and ended (%s), but the audit log may not have kept how: it cannot be written",
                deed.action, deed.actor, deed.status,
            )  # fmt: skip

    async def _note(self, deed: Deed) -> None:
        if not await self._written(self.log.keep_deed(deed)):
            _log.error(
                "%s of %s (%s) may not be kept: the audit log cannot be written",
                deed.action, deed.actor, deed.status,
            )  # fmt: skip

    async def _written(self, writing: Coroutine[Any, Any, None]) -> bool:
        """Whether it is on disk. False is not known: what was not written in time may still be."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                await writing
        except (TimeoutError, Busy, LedgerUnavailable):
            return False
        return True


@dataclass(slots=True)
class _Window:
    """Lets so many through in each window of time."""

    began_ns: int = field(default=-_WINDOW_NS)
    taken: int = 0
    passed_over: int = 0

    def take(self, now_ns: int) -> int | None:
        """How many were passed over since the last that was taken; None if this one is passed over too."""
        if now_ns - self.began_ns >= _WINDOW_NS:
            self.began_ns, self.taken = now_ns, 0
        if self.taken >= _MOST_REFUSED:
            self.passed_over += 1
            return None
        self.taken += 1
        passed_over, self.passed_over = self.passed_over, 0
        return passed_over


def subject_of(path: str, parameters: Mapping[str, str]) -> str:
    """What a request is about: "account/team-a" for /accounts/{account}/top-ups, "key" for /keys."""
    first = path.split("/")[1]
    return "/".join((_NOUNS.get(first, first), *(str(value)[:200] for value in parameters.values())))


def detail_of(body: bytes, idempotency_key: str | None = None) -> dict[str, Any]:
    """What was asked for, as it was given. Never raises."""
    told: dict[str, Any] = {} if idempotency_key is None else {"idempotency_key": idempotency_key}
    if not body:
        return told
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return told | {"body": body[:_NOT_JSON].decode("utf-8", "replace")}
    return {**value, **told} if isinstance(value, dict) else {"body": value, **told}
