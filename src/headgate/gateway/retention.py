"""Records that are older than they are to be kept are removed, a few at a time, while the gateway runs.

Only records go: entries of the ledger, holds, balances and what usage sums up to stay. Several gateways on one database
may all do this; each slice is a transaction of its own, and what one has removed the other does not find.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from headgate.errors import HeadgateError
from headgate.ledger.store import LedgerUnavailable

_log = logging.getLogger("headgate.records")

DAY_NS = 86_400 * 1_000_000_000
SLICE = 500
"""Records that are removed in one transaction: it is short, and who settles waits no longer than that."""


class Prunable(Protocol):
    """Records that can be removed."""

    async def prune(self, before_ns: int, limit: int = ...) -> int:
        """Remove at most `limit` of the oldest records that began before then; returns how many."""


class Pruner:
    """Removes records older than so many days, until it is closed."""

    def __init__(
        self,
        records: Prunable,
        days: int,
        wall_ns: Callable[[], int],
        *,
        breath_seconds: float = 0.1,
        pause_seconds: float = 600.0,
    ) -> None:
        """`breath_seconds` lie between two slices, `pause_seconds` between the last one and the next look."""
        self._records = records
        self._kept_ns = days * DAY_NS
        self._wall_ns = wall_ns
        self._breath_seconds = breath_seconds
        self._pause_seconds = pause_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(_say_why)

    async def aclose(self) -> None:
        """Stop; a slice that is under way is finished or undone as a whole."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        removed = 0
        while True:
            more = await self._slice()
            removed += more
            if removed and not more:
                _log.info("%d records were removed: they are kept for %d days", removed, self._kept_ns // DAY_NS)
                removed = 0
            await asyncio.sleep(self._breath_seconds if more else self._pause_seconds)

    async def _slice(self) -> int:
        try:
            return await self._records.prune(self._wall_ns() - self._kept_ns, SLICE)
        except (HeadgateError, LedgerUnavailable) as error:
            _log.warning("old records cannot be removed at the moment: %s", error)
            return 0


def _say_why(pruning: "asyncio.Task[None]") -> None:
    """A fault of ours."""
    if not pruning.cancelled() and pruning.exception() is not None:
        _log.critical("old records are removed no longer", exc_info=pruning.exception())
