"""The one thread that writes to the database file, and what waits for it.

Whatever is handed over is queued. The thread takes what is queued by the time it wakes and commits it as one
transaction: so the batches grow by themselves under load, because the queue fills while the disk syncs, and FULL costs
nothing (facts/libraries.md section 5). A command that a client waits for wakes the thread at once, with all that come
in the same turn of the event loop; records, checkpoints and settlements gather for a moment first.

When the file cannot be written, the batch is kept and tried again with growing pauses; the backlog grows, and at its
bound the gateway takes no new requests. Nothing is lost, and nothing is done twice: commands and records are known by
their ids.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from headgate.errors import ConfigError
from headgate.ledger.commands import Capture, Checkpoint, Command, Expire, Void
from headgate.ledger.store import LedgerUnavailable
from headgate.records import Record, exchange_of
from headgate.stores.bell import Bell, Ring
from headgate.stores.file_sqlite import SqliteFile, Task
from headgate.stores.queries import Reader
from headgate.stores.rollups_sqlite import Pace
from headgate.stores.spill import Spilled, alone, remove_spill, spill, spill_path, spilled

_log = logging.getLogger("headgate.records")

MAX_BATCH = 1_000
"""What goes into one transaction; more would hardly be faster (facts/libraries.md section 5)."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
"""Seconds between tries to write."""

_GATHERING = 0.01
"""Seconds that a batch waits for company. A writer that commits each record by itself takes the processor from the
event loop seven times a request; a process that is killed loses at most this much more."""

_ENTRIES_GATHER = 60.0
"""Seconds until entries are added to their sums: these are asked for rarely, and looking at every account costs
something."""

_TROUBLE = (sqlite3.Error, OSError, ConfigError)
"""What SqliteFile raises."""


Future: TypeAlias = "asyncio.Future[object]"


class _Submitted(Struct, frozen=True):
    """A command, and who awaits what becomes of it."""

    command: Command
    future: Future
    record: Record | None = None
    """Of the exchange that the command settles: kept in the same transaction."""


class _Asked(Struct, frozen=True):
    """Likewise a task."""

    task: Task
    future: Future


_Item: TypeAlias = Record | _Submitted | _Asked


@dataclass(slots=True)
class _Batch:
    records: list[Record] = field(default_factory=list)
    notes: list[Checkpoint] = field(default_factory=list)
    commands: list[_Submitted] = field(default_factory=list)
    tasks: list[_Asked] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records) + len(self.notes) + len(self.commands) + len(self.tasks)

    def add(self, item: _Item) -> None:
        match item:
            case Record():
                self.records.append(item)
            case _Submitted():
                self.commands.append(item)
            case _Asked():
                self.tasks.append(item)

    @property
    def has_records(self) -> bool:
        """Whether there is anything in it for the roll-ups."""
        return bool(self.records) or any(job.record is not None for job in self.commands)

    @property
    def futures(self) -> list[Future]:
        """Of the commands and then of the tasks."""
        return [*(job.future for job in self.commands), *(job.future for job in self.tasks)]

    def write_to(self, file: SqliteFile) -> list[object]:
        """Commit it; what becomes of the futures."""
        # The notes come first: what is known of a hold goes with its capture.
        commands = [*self.notes, *(job.command for job in self.commands)]
        settled = {len(self.notes) + i: job.record for i, job in enumerate(self.commands) if job.record is not None}
        outcomes, answers = file.write(self.records, commands, [job.task for job in self.tasks], settled)
        return [*outcomes[len(self.notes) :], *answers]

    def left(self) -> Spilled:
        """What of it has to outlive the process."""
        commands = (job.command for job in self.commands)
        resolutions = tuple(command for command in commands if isinstance(command, Capture | Void | Expire))
        settled = (job.record for job in self.commands if job.record is not None)
        return Spilled((*self.records, *settled), resolutions)


class Writer:
    """Opens or makes the file, reads in what an earlier stop spilled, and starts the thread. Thread-safe.

    Raises ConfigError if the file cannot be opened or a newer headgate has written it.
    """

    def __init__(self, path: Path, reader: Reader, max_backlog: int, close_seconds: float) -> None:
        self._path = path
        self._reader = reader
        self._max_backlog = max_backlog
        self._close_seconds = close_seconds
        self._lock = threading.Lock()
        self._queue: deque[_Item] = deque()
        self._notes: dict[str, Checkpoint] = {}
        self._batch, self._under_way = _Batch(), 0
        self._closing = threading.Event()
        self._bell = Bell()
        self._failures = 0
        self._rolling, self._adding = Pace(), Pace(_ENTRIES_GATHER)
        self._file: SqliteFile | None = _opened(path)
        self._mark = self._file.mark
        self._thread = threading.Thread(target=self._run, name="headgate-writer", daemon=True)
        self._thread.start()

    def append(self, record: Record) -> None:
        """Take a record: never waits, never raises."""
        with self._lock:
            closed = self._closing.is_set()
            if not closed:
                self._queue.append(record)
        if closed:
            _log.error("record %s came after the log was closed and is lost", record.exchange_id)
        else:
            self._bell.ring(Ring.GATHER)

    def note(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint: never waits, never raises. It replaces an older one of its hold."""
        with self._lock:
            self._notes[checkpoint.hold_id] = checkpoint
        self._bell.ring(Ring.GATHER)

    def submit(self, command: Command, record: Record | None = None) -> Future:
        """Take a command, and the record to keep with it; what becomes of it is an Outcome.

        Raises LedgerUnavailable after the end.
        """
        loop = asyncio.get_running_loop()
        future: Future = loop.create_future()
        self._put(_Submitted(command, future, record))
        if record is not None:  # no client waits for a settlement
            self._bell.ring(Ring.GATHER)
        else:
            self._bell.ring_soon(loop)
        return future

    def ask(self, task: Task) -> Future:
        """Take a task; what becomes of it is what it returns. Raises LedgerUnavailable after the end."""
        loop = asyncio.get_running_loop()
        future: Future = loop.create_future()
        self._put(_Asked(task, future))
        self._bell.ring_soon(loop)
        return future

    def _put(self, item: _Submitted | _Asked) -> None:
        with self._lock:
            if self._closing.is_set():
                raise LedgerUnavailable("the ledger has been closed")
            self._queue.append(item)

    @property
    def accepting(self) -> bool:
        """False while the backlog is at its bound."""
        return self.backlog < self._max_backlog

    @property
    def backlog(self) -> int:
        """How many items wait to be written, or are being written."""
        return len(self._queue) + self._under_way

    def close(self) -> None:
        """Write what is left and stop, within the time given; what cannot be written is spilled for the next start."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        self._bell.ring(Ring.AT_ONCE)
        self._thread.join(self._close_seconds)
        # The queue first: a writer that wakes up now finds nothing more.
        queued, unwritten = self._taken(len(self._queue)), self._batch
        for batch in (unwritten, queued):
            _tell((future, LedgerUnavailable("closed before it could be written")) for future in batch.futures)
        first, then = unwritten.left(), queued.left()
        left = Spilled(first.records + then.records, first.resolutions + then.resolutions)
        if not left.empty:
            self._spill(left)

    def _run(self) -> None:
        while self._gather() and self._write_batch():
            self._tidy()
        if self._file is not None:
            self._file.close()

    def _gather(self) -> bool:
        """Wait for something, and take what is queued behind it; False once all is done and the end has come."""
        while True:
            closing = self._closing.is_set()
            if not closing:
                while not self._bell.heard(self._rest_seconds(), _GATHERING):
                    self._tidy()
            self._bell.looks()
            self._batch = self._taken(MAX_BATCH)
            self._under_way = len(self._batch)
            if self._queue:
                self._bell.ring(Ring.AT_ONCE)
            if self._batch or closing:
                return bool(self._batch)

    def _taken(self, most: int) -> _Batch:
        batch = _Batch()
        with self._lock:
            for _ in range(min(most, len(self._queue))):
                batch.add(self._queue.popleft())
            batch.notes, self._notes = list(self._notes.values()), {}
        return batch

    def _write_batch(self) -> bool:
        """Commit the batch, however long it takes; False if the end comes first."""
        pause = _FIRST_PAUSE
        while True:
            last_try = self._closing.is_set()
            try:
                answers = self._commit()
            except _TROUBLE as error:
                self._note_failure(error)
            else:
                self._note_success()
                _tell(zip(self._batch.futures, answers, strict=True))
                if self._batch.has_records:
                    self._rolling.more_came()
                if self._batch.commands:
                    self._adding.more_came()
                self._batch, self._under_way = _Batch(), 0
                return True
            if last_try:
                return False
            self._closing.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _rest_seconds(self) -> float | None:
        """How long there is nothing to bring up to date; None if there is nothing at all."""
        waits = (pace.wait_seconds for pace in (self._rolling, self._adding))
        return min((seconds for seconds in waits if seconds is not None), default=None)

    def _tidy(self) -> None:
        """Bring roll-ups and the sums of entries a step further if it is time; what fails is done some other time."""
        for pace, work in ((self._rolling, self._roll), (self._adding, self._add)):
            if pace.due and not self._closing.is_set():
                try:
                    pace.went_on(work())
                except _TROUBLE as error:
                    self._note_failure(error)
                    pace.went_on(0)
                    pace.more_came()
                else:
                    self._note_success()

    def _roll(self) -> int:
        return self._opened().roll(time.time_ns())

    def _add(self) -> int:
        return self._opened().keep_entries()

    def _commit(self) -> list[object]:
        return self._batch.write_to(self._opened())

    def _opened(self) -> SqliteFile:
        """The file, opened anew after a failure."""
        if self._file is None:
            self._reader.let_go()  # it may look at a file that is no longer there
            self._file = SqliteFile(self._path, self._mark)
        return self._file

    def _note_failure(self, error: Exception) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._failures += 1
        if self._failures == 1:
            _log.error("%s cannot be written to: %s. What is to be written waits; trying again.", self._path, error)

    def _note_success(self) -> None:
        if self._failures:
            _log.warning("%s is written to again, after %d failed tries", self._path, self._failures)
            self._failures = 0

    def _spill(self, left: Spilled) -> None:
        try:
            with alone(self._path):
                spill(self._path, left)
        except OSError as error:
            _log.error(
                "%s are lost: they could be written neither to %s nor beside it (%s): %s",
                left, self._path, error, ", ".join(_ids(left)),
            )  # fmt: skip
        else:
            _log.error(
                "%s could not be written to %s; they are in %s, and the next start reads them in",
                left, self._path, spill_path(self._path),
            )  # fmt: skip


def _ids(left: Spilled) -> Iterable[str]:
    yield from (record.exchange_id for record in left.records)
    yield from (repr(command) for command in left.resolutions)


def _tell(answers: Iterable[tuple[Future, object]]) -> None:
    """Hand each answer to who awaits it, with one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Future, object]]] = {}
    for future, answer in answers:
        by_loop.setdefault(future.get_loop(), []).append((future, answer))
    for loop, own in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, own)
        except RuntimeError:
            continue  # that loop is closed: nobody waits any more


def _settle(answers: Iterable[tuple[Future, object]]) -> None:
    for future, answer in answers:
        if future.done():  # who waited has stopped waiting
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _opened(path: Path) -> SqliteFile:
    """The file, with what an earlier stop spilled in it. Raises ConfigError."""
    with ExitStack() as undo:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = SqliteFile(path)
            undo.callback(file.close)
            if spill_path(path).exists():
                with alone(path):
                    _read_in(file, path)
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"{path}: cannot be opened as the record store: {error}.") from error
        undo.pop_all()
    return file


def _read_in(file: SqliteFile, path: Path) -> None:
    left = spilled(path)
    if not left.empty:
        _replay(file, left)
        _log.warning("%s that an earlier stop had spilled are now in %s", left, path)
    remove_spill(path)


def _replay(file: SqliteFile, left: Spilled) -> None:
    """Write what was spilled. A hold's id tells its exchange: the record goes by what becomes of its last, as ever."""
    at = {exchange_of(command.hold_id): number for number, command in enumerate(left.resolutions)}
    settled = {at[record.exchange_id]: record for record in left.records if record.exchange_id in at}
    others = [record for record in left.records if record.exchange_id not in at]
    outcomes, _ = file.write(others, left.resolutions, settled=settled)
    for command, outcome in zip(left.resolutions, outcomes, strict=True):
        if isinstance(outcome, ValueError) or not outcome.stands:
            _log.error("a spilled settlement is refused (%s): %r", getattr(outcome, "result", outcome), command)
