"""The books, checked now and then while the gateway runs, and what has come up since it started.

A check adds up every entry that there is, so one runs at a time, and the next comes after twenty times as long as the
last one took, if that is more than a quarter of an hour.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from headgate.admin.books import Finding, Verdict
from headgate.errors import HeadgateError
from headgate.records import Ending, Record, Settled

_log = logging.getLogger("headgate.admin")

FIRST_SECONDS = 30.0
"""After the start: whoever has just started a gateway has other things to see to."""
EVERY_SECONDS = 900.0
_SHARE = 20
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of the books found."""

    at_ns: int
    """When it was done, since the epoch."""
    took_ns: int
    accounts: int
    wrong: tuple[str, ...]
    """Accounts whose entries or open holds do not add up to their balances."""

    @property
    def balanced(self) -> bool:
        """Whether the books add up."""
        return not self.wrong


class Bookkeeping:
    """Checks the books, by itself and on demand, and remembers the last check."""

    def __init__(
        self,
        check: Callable[[], Awaitable[list[Finding]]],
        clock_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        *,
        first_seconds: float = FIRST_SECONDS,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        """`check` looks at all accounts; it may raise HeadgateError where the database cannot be asked."""
        self._check = check
        self._clock_ns = clock_ns
        self._monotonic_ns = monotonic_ns
        self._first_seconds = first_seconds
        self._every_seconds = every_seconds
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.last: Checked | None = None

    def start(self) -> None:
        """Begin to check now and then; on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(_say_why)

    async def aclose(self) -> None:
        """Check no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def check(self) -> Sequence[Finding]:
        """Check now, after a check that runs already. Raises HeadgateError where the database cannot be asked."""
        async with self._one_at_a_time:
            began_ns = self._monotonic_ns()
            findings = await self._check()
            wrong = tuple(f.account_id for f in findings if f.verdict is Verdict.WRONG)
            if wrong and (self.last is None or self.last.wrong != wrong):
                _log.error("the books do not add up, in the accounts %s", ", ".join(wrong[:20]))
            took_ns = self._monotonic_ns() - began_ns
            self.last = Checked(self._clock_ns(), took_ns, len(findings), wrong)
            return findings

    async def _run(self) -> None:
        pause = self._first_seconds
        while True:
            await asyncio.sleep(pause)
            began_ns = self._monotonic_ns()
            try:
                await self.check()
            except HeadgateError as error:
                _log.warning("the books could not be checked: %s", error.message)
            took = (self._monotonic_ns() - began_ns) / _NS
            pause = max(self._every_seconds, _SHARE * took)


@dataclass(slots=True)
class Since:
    """What has come up since the start, counted from ended exchanges. An Observer."""

    exchanges: int = 0
    disputed: int = 0
    """Settlements whose hold had been resolved already, with another amount."""
    orphans: int = 0
    """Exchanges of gateways that died, settled by this one."""
    faults: int = 0
    """Exchanges that headgate itself failed."""
    flags: dict[str, int] = field(default_factory=dict)
    """What was inexact about bills, by name and without what stands behind a colon: "estimated", "overrun", ..."""

    def saw(self, record: Record) -> None:
        """An exchange is over."""
        self.exchanges += 1
        self.disputed += record.bill.settled is Settled.DISPUTED
        self.orphans += record.ending is Ending.GATEWAY_DIED
        self.faults += record.ending is Ending.GATEWAY_FAILED
        for flag in dict.fromkeys(flag.partition(":")[0] for flag in record.bill.flags):
            self.flags[flag] = self.flags.get(flag, 0) + 1


def _say_why(task: "asyncio.Task[None]") -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("the books are not checked any more", exc_info=error)
