"""Scribe: makes transcripts of tapes when their exchanges are over, writes them, and has old ones removed.

Nothing waits for it. It redacts in a thread of its own, a batch at a time, and writes a batch in one transaction while
the next one gathers. What cannot be written waits, up to a bound; what comes beyond it is lost, and the log says how
much. Transcripts are for looking things up: money and records never depend on one.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from headgate.audit.legible import MOST, legible
from headgate.audit.log import AuditLog
from headgate.audit.redaction import MARGIN, Redactor
from headgate.audit.rules import Rule, Said
from headgate.audit.transcripts import Body, Transcript
from headgate.errors import HeadgateError
from headgate.gateway.admit import Admission
from headgate.gateway.record import secrets_of
from headgate.gateway.request import Opening
from headgate.gateway.retention import Pruner
from headgate.gateway.tape import Tape
from headgate.ledger.store import LedgerUnavailable
from headgate.routing.models import Route

_log = logging.getLogger("headgate.audit")

_BATCH_BYTES = 2 * 1024 * 1024
"""Of tapes that are redacted and written together: a transaction that others wait for should be short."""
_PENDING_BYTES = 64 * 1024 * 1024
"""Of tapes that may wait."""
_PAUSE_SECONDS = 1.0
"""Between tries to write."""
_SLICE = 40
"""Transcripts that are removed in one transaction, which settlements wait for: 5 MB of text at most by default."""
_CLOSE_SECONDS = 5.0
_LARGEST_PATH = 2_000


class Keeping(Struct, frozen=True):
    """What is kept of bodies, and for how long."""

    rules: tuple[Rule, ...] = ()
    max_bytes: int = 64 * 1024
    retention_days: int = 30


class _Taken(Struct, frozen=True):
    """A tape of an exchange that is over."""

    opening: Opening
    said: Said
    secrets: tuple[str, ...]
    tape: Tape
    request_bytes: int
    """Of all of it; the tape has as much as is made legible."""

    @property
    def size(self) -> int:
        return len(self.tape.request) + len(self.tape.kept)


class Scribe:
    """Keeps transcripts in an audit log."""

    def __init__(
        self,
        log: AuditLog,
        keeping: Keeping,
        redactor: Redactor,
        wall_ns: Callable[[], int],
        *,
        pending_bytes: int = _PENDING_BYTES,
    ) -> None:
        """`pending_bytes`: of tapes that may wait to be written."""
        self._log = log
        self._keeping = keeping
        self._redactor = redactor
        days = keeping.retention_days
        self._pruner = Pruner(log.prune_transcripts, days, wall_ns, what="transcripts", at_once=_SLICE)
        self._pending_bytes = pending_bytes
        self._waiting: deque[_Taken] = deque()
        self._bytes = 0
        self._lost = 0
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def tape(self, admission: Admission) -> Tape | None:
        """A tape for an exchange; None where no rule asks for one."""
        rules = self._keeping.rules
        if not rules:
            return None
        said = _said(admission)
        if not any(rule.fits(said) for rule in rules):
            return None
        kind = admission.request.header(b"content-type") or b""
        return Tape(admission.request.body, kind.decode("latin-1"), self._keeping.max_bytes + MARGIN)

    def take(self, opening: Opening, admission: Admission, route: Route | None, tape: Tape) -> None:
        """The tape of an exchange that is over. Never waits."""
        secrets = tuple(secrets_of(admission.request, route))
        taken = _Taken(opening, _said(admission), secrets, tape, len(tape.request))
        tape.request = tape.request[:MOST]
        if self._bytes + taken.size > self._pending_bytes:
            if not self._lost:
                _log.error("transcripts are lost: they cannot be written as fast as they come")
            self._lost += 1
            return
        self._waiting.append(taken)
        self._bytes += taken.size
        self._idle.clear()
        self._wake.set()

    def start(self) -> None:
        """Begin; on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._write())
        self._task.add_done_callback(_say_why)
        self._pruner.start()

    def retire(self) -> None:
        """Remove nothing any more: how long things are kept has been decided anew. What is taken is written as ever."""
        self._pruner.stop()

    async def settled(self) -> None:
        """Wait until all that was taken is written or given up."""
        await self._idle.wait()

    async def aclose(self) -> None:
        """Write what is left, within a time, and stop."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.settled()
        except TimeoutError:
            _log.error("transcripts are lost: they could not be written before the stop")
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._pruner.aclose()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := self._batch():
                await self._keep(await asyncio.to_thread(self._made, batch))
                self._bytes -= sum(taken.size for taken in batch)
                if self._lost:
                    _log.error("%d transcripts have been lost", self._lost)
                    self._lost = 0
            self._idle.set()

    def _batch(self) -> list[_Taken]:
        batch: list[_Taken] = []
        size = 0
        while self._waiting and size < _BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += batch[-1].size
        return batch

    def _made(self, batch: Sequence[_Taken]) -> list[Transcript]:
        """In a thread: the event loop has streams to relay."""
        return [self._transcript(taken) for taken in batch]

    def _transcript(self, taken: _Taken) -> Transcript:
        tape, said = taken.tape, taken.said
        asked = legible(tape.request, tape.request_type)
        told = legible(bytes(tape.kept), tape.content_type, tape.content_encoding)
        return Transcript(
            exchange_id=taken.opening.exchange_id,
            at_ns=taken.opening.started_at_ns,
            key=said.key,
            key_id=said.key_id,
            dialect=said.dialect,
            operation=said.operation,
            path=self._redactor.redact(said.path, _LARGEST_PATH, taken.secrets).text,
            request=self._body(asked, taken.request_bytes, taken.secrets, whole=taken.request_bytes <= MOST),
            response=self._body(told, tape.size, taken.secrets, whole=tape.size == tape.taken),
        )

    def _body(self, text: str, size: int, secrets: Sequence[str], *, whole: bool) -> Body:
        redacted = self._redactor.redact(text, self._keeping.max_bytes, secrets)
        kept = len(redacted.text.encode("utf-8", "surrogatepass"))
        return Body(redacted.text, size, kept, truncated=not (whole and redacted.whole))

    async def _keep(self, transcripts: Sequence[Transcript]) -> None:
        """Write them, however long it takes; but what can never be written is given up."""
        failing = False
        while True:
            try:
                await self._log.keep_transcripts(transcripts)
            except (ValueError, LedgerUnavailable) as error:
                _log.error("%d transcripts are lost: %s", len(transcripts), error or "the database has been closed")
            except HeadgateError as error:
                if not failing:
                    _log.error("transcripts cannot be written, and wait: %s", error.message)
                failing = True
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            return


def _said(admission: Admission) -> Said:
    place, holder = admission.place, admission.holder
    return Said(
        key=holder.name,
        key_id=holder.key_id,
        tags=() if holder.key is None else holder.key.tags,
        dialect=None if place.dialect is None else place.dialect.name,
        operation=None if place.operation is None else place.operation.name,
        path=admission.request.path,
    )


def _say_why(task: asyncio.Task[None]) -> None:
    """A fault of ours: no transcript is kept any more. All else goes on."""
    if not task.cancelled() and task.exception() is not None:
        _log.critical("transcripts are kept no longer: restart this gateway", exc_info=task.exception())
