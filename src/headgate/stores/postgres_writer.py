"""The queue of what is to be written, and the one task that writes it.

While one transaction is committed, the next one gathers: many holds on one account share one lock and one sync of the
disk. Records, checkpoints and settlements wait 10 ms for company (docs/decisions/0013); any other command, which a
client waits for, goes at once and takes along what is queued.

A batch whose commit fails, or may have failed, is tried again as it is, with growing pauses: the ledger's commands and
the records' ids make a repeat harmless. Nothing is lost and nothing is done twice.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from headgate.ledger.commands import Checkpoint, Command
from headgate.ledger.entries import Outcome
from headgate.ledger.store import LedgerUnavailable
from headgate.records import Record
from headgate.stores.postgres_link import Away, Conflict, Unwritable

_log = logging.getLogger("headgate.stores")

MAX_BACKLOG = 50_000
"""What may wait to be written before new exchanges are refused: well below 100 MB."""
_MAX_BATCH = 1_000
"""In one transaction: more would hardly be faster, and would hold its locks longer."""
_GATHERING = 0.01
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
"""Seconds between tries to write."""
_LETTING_GO = 1.0
"""What a commit may take to break off; whoever owns its connection then cuts it."""
_TRIES = 3
"""Of a batch that is refused for its values, before its halves are tried by themselves: another process may have
written the same row at the same moment."""


@dataclass(slots=True, eq=False)
class Item:
    """Something to be written, until it is."""

    content: Record | Command
    waiting: asyncio.Future[Outcome] | None = None
    record: Record | None = None
    """Of the exchange that the command settles: kept in the same transaction."""
    done: bool = False


Commit = Callable[[Sequence[Record], Sequence[Command], Mapping[int, Record]], Awaitable[Sequence[Outcome]]]
"""Writes all of it in one transaction, or nothing; returns the commands' outcomes.

The mapping has the records of exchanges by the index of the command that settles them.

Raises Away, Conflict or Unwritable.
"""


class Writer:
    """Belongs to the event loop in which it is made; only `put_record` may be called from elsewhere."""

    def __init__(self, commit: Commit, name: str, max_backlog: int = MAX_BACKLOG) -> None:
        self._commit = commit
        self._name = name
        self._max_backlog = max_backlog
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._queue: deque[Item] = deque()
        self._notes: dict[str, Checkpoint] = {}
        self._batch: list[Item] = []
        self._arrived, self._awaited, self._closing = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._failures = 0
        self._task = self._loop.create_task(self._run(), name="headgate-postgres-writer")

    @property
    def accepting(self) -> bool:
        """False while the backlog is at its bound."""
        return self.backlog < self._max_backlog and not self._task.done()

    @property
    def backlog(self) -> int:
        """How many items wait to be written, or are being written."""
        return len(self._queue) + len(self._batch)

    def put_record(self, record: Record) -> None:
        """Take a record for writing: never waits, never raises. From any thread."""
        if self._closing.is_set():
            _log.error("record %s came after the store was closed and is lost", record.exchange_id)
            return
        self._queue.append(Item(record))
        if threading.get_ident() == self._thread:
            self._arrived.set()
        else:
            self._loop.call_soon_threadsafe(self._arrived.set)

    def put_note(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint for writing; one of its hold that still waits is replaced."""
        self._notes[checkpoint.hold_id] = checkpoint
        self._arrived.set()

    def put(self, command: Command, record: Record | None = None) -> asyncio.Future[Outcome]:
        """Have a command applied, and a record kept with it. Raises LedgerUnavailable after the end.

        The future raises LedgerUnavailable if the end comes first, ValueError if the command can never be written.
        """
        if self._closing.is_set() or self._task.done():
            raise LedgerUnavailable(f"{command!r} came after the store was closed.")
        waiting: asyncio.Future[Outcome] = self._loop.create_future()
        self._queue.append(Item(command, waiting, record))
        self._arrived.set()
        if record is None:  # no client waits for a settlement
            self._awaited.set()
        return waiting

    async def aclose(self, seconds: float) -> list[Record | Command]:
        """Write what is left and stop, within some seconds. Returns what could not be written; its waiters are told."""
        self._closing.set()
        self._arrived.set()
        _, unfinished = await asyncio.wait([self._task], timeout=seconds)
        for task in unfinished:
            task.cancel()
            await asyncio.wait([task], timeout=_LETTING_GO)
        left = [item for item in (*self._batch, *self._queue) if not item.done]
        self._batch.clear()
        self._queue.clear()
        for item in left:
            if item.waiting is not None and not item.waiting.done():
                item.waiting.set_exception(LedgerUnavailable("The store was closed before it could be written."))
        return [part for item in left for part in (item.content, item.record) if part is not None]

    async def _run(self) -> None:
        while await self._gather() and await self._write(self._batch):
            self._batch.clear()
            await asyncio.sleep(0)  # those whose commands are done may bring their next ones in time

    async def _gather(self) -> bool:
        """Take what is queued; False once the store is closed and nothing is left."""
        while not (self._queue or self._notes):
            if self._closing.is_set():
                return False
            self._arrived.clear()
            await self._arrived.wait()
        if not (self._awaited.is_set() or self._closing.is_set()):
            await _set_within(self._awaited, _GATHERING)
        # The notes come first: what is known of a hold goes with its capture.
        notes, self._notes = self._notes, {}
        self._batch += map(Item, notes.values())
        self._batch += [self._queue.popleft() for _ in range(min(_MAX_BATCH, len(self._queue)))]
        if not self._queue:
            self._awaited.clear()
        return True

    async def _write(self, batch: Sequence[Item]) -> bool:
        """Commit a batch, however long it takes; False if the store is closed first."""
        pause, refusals = _FIRST_PAUSE, 0
        while True:
            last_try = self._closing.is_set()
            try:
                await self._try(batch)
            except Conflict as error:
                _log.info("a transaction gave way to another and is tried again: %s", error)
                continue
            except Unwritable as error:
                refusals += 1
                if refusals == _TRIES:
                    return await self._write_parts(batch, error)
                continue
            except Away as error:
                self._note_failure(error)
            else:
                self._note_success()
                return True
            if last_try:
                return False
            await _set_within(self._closing, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _try(self, batch: Sequence[Item]) -> None:
        records = [item.content for item in batch if isinstance(item.content, Record)]
        commands = [(item, command) for item in batch if not isinstance(command := item.content, Record)]
        settled = {at: item.record for at, (item, _) in enumerate(commands) if item.record is not None}
        outcomes = await self._commit(records, [command for _, command in commands], settled)
        for item in batch:
            item.done = True
        for (item, _), outcome in zip(commands, outcomes, strict=True):
            if item.waiting is not None and not item.waiting.done():
                item.waiting.set_result(outcome)

    async def _write_parts(self, batch: Sequence[Item], error: Unwritable) -> bool:
        """Find the one that cannot be written, and write the others."""
        if len(batch) > 1:
            half = len(batch) // 2
            return await self._write(batch[:half]) and await self._write(batch[half:])
        (item,) = batch
        if item.record is not None:  # the settlement may be writable without it
            _log.error("a record can never be written (%s) and is lost: %r", error, item.record)
            item.record = None
            return await self._write(batch)
        item.done = True
        _log.error("this can never be written (%s) and is lost: %r", error, item.content)
        if item.waiting is not None and not item.waiting.done():
            item.waiting.set_exception(ValueError(f"{item.content!r:.200} cannot be kept: {error}"))
        return True

    def _note_failure(self, error: Away) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.error("%s cannot be written: %s. What is to be written waits; trying again.", self._name, error)

    def _note_success(self) -> None:
        if self._failures:
            _log.warning("%s is written again, after %d failed tries", self._name, self._failures)
            self._failures = 0


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not longer than that."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
