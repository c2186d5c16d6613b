"""Records and transcripts that are older than they are to be kept are removed, a few at a time, while the gateway runs.

Nothing else goes: entries of the ledger, holds, balances and what usage sums up to stay. Several gateways on one
database may all do this; each slice is a transaction of its own, and what one has removed the other does not find.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from headgate.errors import HeadgateError
from headgate.ledger.store import LedgerUnavailable

DAY_NS = 86_400 * 1_000_000_000
SLICE = 500
"""Records that are removed in one transaction: it is short, and who settles waits no longer than that."""

Remove = Callable[[int, int], Awaitable[int]]
"""Removes what began before a time, in nanoseconds since the epoch: the oldest, so many at most. Returns how many."""


class Pruner:
    """Removes what is older than so many days, until it is closed."""

    def __init__(
        self,
        remove: Remove,
        days: int,
        wall_ns: Callable[[], int],
        *,
        what: str = "records",
        at_once: int = SLICE,
        breath_seconds: float = 0.1,
        pause_seconds: float = 600.0,
    ) -> None:
        """`breath_seconds` between two slices of `at_once`, `pause_seconds` between the last one and the next look."""
        self._remove = remove
        self._kept_ns = days * DAY_NS
        self._wall_ns = wall_ns
        self._what = what
        self._log = logging.getLogger(f"headgate.{what}")
        self._at_once = at_once
        self._breath_seconds = breath_seconds
        self._pause_seconds = pause_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._say_why)

    def stop(self) -> None:
        """Stop; a slice that is under way is finished or undone as a whole."""
        if self._task is not None:
            self._task.cancel()

    async def aclose(self) -> None:
        """Stop, and wait until it has."""
        self.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        removed = 0
        while True:
            more = await self._slice()
            removed += more
            if removed and not more:
                days = self._kept_ns // DAY_NS
                self._log.info("%d %s were removed: they are kept for %d days", removed, self._what, days)
                removed = 0
            await asyncio.sleep(self._breath_seconds if more else self._pause_seconds)

    async def _slice(self) -> int:
        try:
            return await self._remove(self._wall_ns() - self._kept_ns, self._at_once)
        except (HeadgateError, LedgerUnavailable) as error:
            self._log.warning("old %s cannot be removed at the moment: %s", self._what, error or "it is closed")
            return 0

    def _say_why(self, pruning: "asyncio.Task[None]") -> None:
        """A fault of ours."""
        if not pruning.cancelled() and pruning.exception() is not None:
            self._log.critical("old %s are removed no longer", self._what, exc_info=pruning.exception())
