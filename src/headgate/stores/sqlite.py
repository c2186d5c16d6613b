"""Records in a SQLite file, written by one thread.

`append` puts a record on a queue. The writer thread sleeps until there is one, takes whatever else is queued by then,
and commits it all as one transaction: a lone record goes to disk at once, and under load the batches grow by
themselves, because records gather while the disk syncs (facts/libraries.md section 5: FULL costs nothing that way).

When the file cannot be written, the writer keeps its batch and tries again with growing pauses; the backlog grows, and
at its bound the gateway takes no new requests. Nothing is lost and nothing is written twice.
"""

import logging
import sqlite3
import threading
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue

from headgate.errors import ConfigError
from headgate.records import Record, Trail
from headgate.stores.queries import SqliteRecords, TrailLookup
from headgate.stores.spill import remove_spill, spill, spill_path, spilled
from headgate.stores.table import RecordTable

_log = logging.getLogger("headgate.records")

MAX_BACKLOG = 50_000
"""Records waiting to be written at which the log stops accepting: well below 100 MB."""
MAX_BATCH = 1_000
"""Records in one transaction; more would hardly be faster (facts/libraries.md section 5)."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
"""Seconds between tries to write."""

_GATHERING = 0.01
"""Seconds that a batch waits for company. A writer that commits each record by itself takes the processor from the
event loop seven times a request; a process that is killed loses at most this much more."""

_TROUBLE = (sqlite3.Error, OSError, ConfigError)
"""What RecordTable raises."""


class SqliteRecordLog(SqliteRecords):
    """A RecordLog in a SQLite file, and all the questions of SqliteRecords. Thread-safe.

    Opening it makes or migrates the file and reads in what an earlier stop spilled. Raises ConfigError if the file
    cannot be opened or a newer headgate has written it.
    """

    def __init__(self, path: Path, *, max_backlog: int = MAX_BACKLOG, close_seconds: float = 10.0) -> None:
        super().__init__(path)
        self._max_backlog = max_backlog
        self._close_seconds = close_seconds
        self._trails = TrailLookup(path)
        self._queue: SimpleQueue[Record | None] = SimpleQueue()
        self._batch: list[Record] = []
        self._closing = threading.Event()
        self._failures = 0
        self._table: RecordTable | None = _opened(path)
        self._writer = threading.Thread(target=self._run, name="headgate-records", daemon=True)
        self._writer.start()

    def append(self, record: Record) -> None:
        """Take a record for writing: never waits, never raises."""
        if self._closing.is_set():
            _log.error("record %s came after the log was closed and is lost", record.exchange_id)
        else:
            self._queue.put(record)

    @property
    def accepting(self) -> bool:
        """False while the backlog is at its bound."""
        return self._queue.qsize() + len(self._batch) < self._max_backlog

    def trail(self, response_id: str) -> Trail | None:
        """The provider of the newest exchange of that response id on disk, and whether any of them was counted."""
        return self._trails.find(response_id)

    def close(self) -> None:
        """Write what is left and stop, within the time given; what cannot be written is spilled for the next start."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._queue.put(None)
        self._trails.close()
        self._writer.join(self._close_seconds)
        queued = _drained(self._queue)  # before the batch is looked at: a writer that wakes up now finds nothing more
        left = [*self._batch, *queued]
        self._queue.put(None)
        if left:
            self._spill(left)

    def _run(self) -> None:
        while self._gather() and self._write_batch():
            self._batch.clear()
        if self._table is not None:
            self._table.close()

    def _gather(self) -> bool:
        """Wait for a record, and take what is queued behind it; False once the log is closed and nothing is left."""
        record = self._queue.get()
        if record is not None and self._queue.empty():
            self._closing.wait(_GATHERING)
        while record is not None:
            self._batch.append(record)
            if len(self._batch) == MAX_BATCH or self._queue.empty():
                return True
            record = self._queue.get()
        self._queue.put(None)  # the end mark, for the next time
        return bool(self._batch)

    def _write_batch(self) -> bool:
        """Commit the batch, however long it takes; False if the log is closed first."""
        pause = _FIRST_PAUSE
        while True:
            last_try = self._closing.is_set()
            try:
                self._commit()
            except _TROUBLE as error:
                self._note_failure(error)
            else:
                self._note_success()
                return True
            if last_try:
                return False
            self._closing.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _commit(self) -> None:
        if self._table is None:
            self._trails.close()  # it may look at a file that is no longer there
            self._table = RecordTable(self.path)
        self._table.write(self._batch)

    def _note_failure(self, error: Exception) -> None:
        if self._table is not None:
            self._table.close()
            self._table = None
        self._failures += 1
        if self._failures == 1:
            _log.error("records cannot be written to %s: %s. They wait in memory; trying again.", self.path, error)

    def _note_success(self) -> None:
        if self._failures:
            _log.warning("records are written to %s again, after %d failed tries", self.path, self._failures)
            self._failures = 0

    def _spill(self, left: list[Record]) -> None:
        try:
            spill(self.path, left)
        except OSError as error:
            _log.error(
                "%d records are lost, %s to %s: they could be written neither to %s nor beside it: %s",
                len(left), left[0].exchange_id, left[-1].exchange_id, self.path, error,
            )  # fmt: skip
        else:
            _log.error(
                "%d records could not be written to %s; they are in %s, and the next start reads them in",
                len(left), self.path, spill_path(self.path),
            )  # fmt: skip


def _opened(path: Path) -> RecordTable:
    """The table, with what an earlier stop spilled in it. Raises ConfigError."""
    with ExitStack() as undo:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            table = RecordTable(path)
            undo.callback(table.close)
            records = spilled(path)
            if records:
                table.write(records)
                _log.warning("%d records that an earlier stop had spilled are now in %s", len(records), path)
            remove_spill(path)
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"{path}: cannot be opened as the record store: {error}.") from error
        undo.pop_all()
    return table


def _drained(queue: SimpleQueue[Record | None]) -> list[Record]:
    left: list[Record] = []
    while True:
        try:
            record = queue.get_nowait()
        except Empty:
            return left
        if record is not None:
            left.append(record)
