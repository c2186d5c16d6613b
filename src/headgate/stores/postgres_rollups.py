"""Roll-ups in PostgreSQL: a task that keeps them, on a connection of its own, in one process at a time."""

import asyncio
import logging
import time
from contextlib import suppress
from typing import TypeVar

from headgate.errors import Busy
from headgate.stores import entry_sums, rolling
from headgate.stores.postgres_link import Away, Conflict, Connection, Unwritable, connect, hang_up, told_apart
from headgate.stores.postgres_records import answered
from headgate.stores.rollups import Asking

T = TypeVar("T")
_log = logging.getLogger("headgate.stores")

ROLLED_AT_ONCE = 5_000
"""Records in one transaction; nobody waits for it."""
_ENTRIES_AT_ONCE = 200_000
"""Serial numbers from an account's next entry on."""
_ENTRIES_GATHER = 60.0
"""Seconds: what they add up to is asked rarely, and looking at every account costs something."""
_PAUSE = 5.0
"""Seconds between looks at what has come."""
_LETTING_GO = 2.0
_LOCK = int.from_bytes(b"rollups")
"""Of whoever rolls or prunes: two would wait for each other's rows, or count them both."""


class Roller:
    """Belongs to the event loop in which it is started."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None
        self._alone = asyncio.Lock()
        self._failing = False
        self._entries_at = 0.0
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Roll what is there, and from now on what comes."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="headgate-postgres-roller")

    async def aclose(self) -> None:
        """Stop. What is not rolled waits for the next start, and is in every answer all the same."""
        if self._task is not None:
            self._closing.set()
            _, unfinished = await asyncio.wait([self._task], timeout=_LETTING_GO)
            for task in unfinished:
                task.cancel()
                await asyncio.wait([task])
        if self._connection is not None:
            await hang_up(self._connection)
            self._connection = None

    async def roll(self, now_ns: int, limit: int = ROLLED_AT_ONCE) -> int:
        """Add at most `limit` records to the roll-ups; returns how many. Raises Busy."""
        return await self._do(rolling.roll(limit, now_ns))

    async def prune(self, before_ns: int, limit: int = rolling.PRUNED_AT_ONCE) -> int:
        """Remove at most `limit` of the oldest records that began before then; returns how many. Raises Busy."""
        return await self._do(rolling.prune(before_ns, limit))

    async def _run(self) -> None:
        while not await self._ends_within(_PAUSE):
            try:
                while await self._keep() >= ROLLED_AT_ONCE and not await self._ends_within(0):
                    pass
                self._failing = False
            except Busy as error:
                if not self._failing:
                    _log.error("roll-ups are not kept: %s; trying again", error.__cause__)
                self._failing = True

    async def _keep(self) -> int:
        """Bring everything a step further; returns how many records or entries that were."""
        rolled = await self.roll(time.time_ns())
        if time.monotonic() < self._entries_at:
            return rolled
        kept = await self._do(entry_sums.keep(_ENTRIES_AT_ONCE))
        if kept < ROLLED_AT_ONCE // 2:
            self._entries_at = time.monotonic() + _ENTRIES_GATHER
            return rolled
        return ROLLED_AT_ONCE

    async def _ends_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)
        return self._closing.is_set()

    async def _do(self, asking: Asking[T]) -> T:
        """What comes of statements that are run in one transaction."""
        async with self._alone:
            try:
                connection = await self._connected()
                with told_apart():
                    async with connection.transaction(isolation="read_committed"):
                        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                        return await answered(connection, asking)
            except (Away, Conflict, Unwritable) as error:
                self._hang_up()
                raise Busy("The database does not answer.") from error
            except asyncio.CancelledError:
                self._hang_up()
                raise

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn)
            with told_apart():
                for statement in rolling.scratch('TEXT COLLATE "C"', "ON COMMIT DELETE ROWS"):
                    await self._connection.execute(statement)
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
