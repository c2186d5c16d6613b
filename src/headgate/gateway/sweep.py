"""The sweep settles the exchanges of gateways that died, their own earlier lives among them.

Each process holds a lease, by the database's clock, that it renews every second. Open holds whose process let its
lease run out are orphans. What was never sent expires; what may have been sent is captured as its last checkpoint has
it, or for its prompt where there is none, and never for more than the hold (docs/architecture.md). Any process may
sweep, and two that sweep the same hold settle it once: the ledger sees to that.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence

from msgspec import Struct

from headgate.errors import HeadgateError
from headgate.gateway.checkpoint import Checkpoints
from headgate.gateway.live import Observer
from headgate.gateway.settle import Books
from headgate.ledger.commands import Capture, Expire
from headgate.ledger.entries import Hold
from headgate.ledger.store import LedgerUnavailable
from headgate.records import Attempt, Bill, Ending, Record, Settled, exchange_of
from headgate.usage import Reading

_log = logging.getLogger("headgate.ledger")

_NS = 1_000_000_000
_FORGET_AFTER_NS = 3600 * _NS
"""How long the counter of a window that is over is kept, for holds that began in it."""
_BATCH = 1_000
_SLICE = 5
"""Exchanges that are noted between two rests: less than a millisecond."""


class Lease(Struct, frozen=True):
    """How often a process tells that it lives, and after which silence it counts as dead."""

    beat_seconds: float = 1.0
    lease_seconds: float = 10.0


class Keeper:
    """Keeps the books of a running gateway: its lease, its checkpoints, and the sweep of others' orphans."""

    def __init__(
        self,
        books: Books,
        node: str,
        checkpoints: Checkpoints,
        wall_ns: Callable[[], int],
        *,
        lease: Lease,
        observers: Sequence[Observer] = (),
    ) -> None:
        """`observers` are told of the exchanges of gateways that died, by whoever settles them."""
        self._books = books
        self._node = node
        self._checkpoints = checkpoints
        self._wall_ns = wall_ns
        self._lease = lease
        self._observers = observers
        self._since: float | None = None
        """On the event loop's clock: since when this process has told without a gap that it lives."""
        self._last = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(_say_why)

    async def aclose(self) -> None:
        """Stop, and let go of the lease: what is still open may be swept at once."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._books.leave(self._node)
        except HeadgateError as error:
            _log.warning("the lease could not be given up: %s", error.message)

    async def _run(self) -> None:
        while True:
            await self._beat()
            for at, _ in enumerate(self._checkpoints.notes(), start=1):
                if at % _SLICE == 0:  # streams are relayed meanwhile
                    await asyncio.sleep(0)
            await asyncio.sleep(self._lease.beat_seconds)

    async def _beat(self) -> None:
        """Renew the lease; sweep only after a whole lease without a gap.

        After a time without the database nobody's lease is good. Whoever comes back first must not take the others,
        who are about to renew theirs, for dead.
        """
        loop, lease = asyncio.get_running_loop(), self._lease.lease_seconds
        try:
            async with asyncio.timeout(lease / 2):
                await self._books.beat(self._node, round(lease * _NS))
            now = loop.time()
            if self._since is None or now - self._last > lease:
                self._since = now
            self._last = now
            if now - self._since >= lease:
                await self.sweep()
                await self._books.forget_counters(self._wall_ns() - _FORGET_AFTER_NS)
        except (HeadgateError, LedgerUnavailable, TimeoutError) as error:
            self._since = None
            _log.warning("the ledger cannot be kept at the moment: %s", error or "it takes too long")

    async def sweep(self) -> int:
        """Settle a batch of orphans, together; returns how many there were.

        The next beat goes on: whoever settled all of them at once would not tell meanwhile that it lives.
        """
        orphans = await self._books.orphans(_BATCH)
        await asyncio.gather(*map(self._settle, orphans))
        return len(orphans)

    async def _settle(self, hold: Hold) -> None:
        now = self._wall_ns()
        note = str(Ending.GATEWAY_DIED)
        command: Capture | Expire
        if hold.sent:
            owed = hold.minimum_nanos if hold.checkpoint_nanos is None else hold.checkpoint_nanos
            command = Capture(
                hold.hold_id, hold.account_id, min(owed, hold.amount_nanos), now, hold.checkpoint_quantity, note
            )
        else:
            command = Expire(hold.hold_id, hold.account_id, now, note)
        charge = command.amount_nanos if isinstance(command, Capture) else 0
        record = died(hold, charge, now)
        outcome = await self._books.settle(command, record)
        if outcome.entries:
            _log.warning("swept %s of %s: %s", hold.hold_id, hold.node, command)
            for observer in self._observers:
                asyncio.get_running_loop().call_soon(observer.saw, record)


def _say_why(keeping: asyncio.Task[None]) -> None:
    """A fault of ours: others will take this process for dead, and its holds for orphans."""
    if not keeping.cancelled() and keeping.exception() is not None:
        _log.critical("the ledger is kept no longer: restart this gateway", exc_info=keeping.exception())


def died(hold: Hold, charge_nanos: int, now_ns: int) -> Record:
    """The record of an exchange whose gateway died, from what its hold tells about it."""
    about = json.loads(hold.about) if hold.about else {}
    before = tuple(Attempt(**attempt) for attempt in about.get("attempts", ()))
    started_at_ns = about.pop("started_at_ns", hold.placed_at_ns)
    basis = "checkpoint" if hold.checkpoint_nanos is not None else "prompt_only"
    bill = Bill(
        account=hold.account_id,
        hold_nanos=hold.amount_nanos,
        charge_nanos=charge_nanos + about.get("charge_nanos", 0),
        settled=Settled.CAPTURED if hold.sent else Settled.EXPIRED,
        flags=(str(Ending.GATEWAY_DIED), basis) if hold.sent else (str(Ending.GATEWAY_DIED),),
    )
    return Record(
        exchange_id=exchange_of(hold.hold_id),
        started_at_ns=started_at_ns,
        method=about.get("method", ""),
        path=about.get("path", ""),
        dialect=about.get("dialect"),
        operation=about.get("operation"),
        provider=about.get("provider"),
        key=about.get("key"),
        model_asked=about.get("model_asked"),
        streamed=about.get("streamed", False),
        status=500,
        ending=Ending.GATEWAY_DIED,
        reading=Reading(),
        billable=hold.sent,
        counted=False,
        first_byte_ns=None,
        total_ns=now_ns - started_at_ns,
        bytes_in=0,
        bytes_out=0,
        attempts=before,
        key_id=about.get("key_id"),
        bill=bill,
    )
