"""The hold of an exchange that is over is resolved: the one place, beside the sweep, where money moves.

It runs in the exchange's own task, which no client can cancel. The record is written in the same transaction, so that
no crash leaves a settlement without its record, or a record that tells of a settlement that never was.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Protocol

from msgspec import Struct, field

from headgate.gateway.appraise import Appraisal
from headgate.gateway.hold import Held
from headgate.ledger.commands import Capture, Place, Resolution, Void
from headgate.ledger.entries import Outcome
from headgate.ledger.store import Ledger, LedgerUnavailable
from headgate.records import Record, RecordLog, disputed

_log = logging.getLogger("headgate.ledger")


class Books(Ledger, RecordLog, Protocol):
    """A ledger and a record log in one database."""

    async def settle(self, resolution: Resolution, record: Record) -> Outcome:
        """Resolve a hold and keep its exchange's record, in one transaction; both are on disk when this returns.

        Where the resolution does not stand, the record is kept as `disputed`. Raises LedgerUnavailable if the books
        are closed while this waits: then both have been spilled for the next start.
        """


class Settler(Struct, frozen=True):
    """Resolves holds."""

    books: Books
    _abandoning: set["asyncio.Task[None]"] = field(default_factory=set)

    def abandon(self, place: Place) -> None:
        """Give back a hold that nobody waited for: it may be written yet, and nothing will be sent for it."""
        task = asyncio.get_running_loop().create_task(self._give_back(place))
        self._abandoning.add(task)
        task.add_done_callback(self._abandoning.discard)

    async def _give_back(self, place: Place) -> None:
        with suppress(LedgerUnavailable):  # then it is spilled, and given back at the next start
            await self.books.submit(Void(place.hold_id, place.account_id, place.at_ns, "the ledger was too slow"))

    def resolve(self, held: Held, appraisal: Appraisal, note: str, at_ns: int) -> "asyncio.Task[bool]":
        """Capture or void the hold of an attempt that is over while its exchange goes on.

        The task tells whether the books say so. Nothing has to wait for it but the exchange's record.
        """
        resolution = _resolution(held, appraisal, at_ns, note)
        return asyncio.get_running_loop().create_task(self._resolve(resolution))

    async def _resolve(self, resolution: Resolution) -> bool:
        with suppress(LedgerUnavailable):  # then it is spilled
            outcome = await self.books.submit(resolution)
            if not outcome.stands:
                _log.error("%s could not be settled: %s; the books say %s", resolution, outcome.result, outcome.hold)
                return False
        return True

    async def settle(self, held: Held | None, appraisal: Appraisal | None, record: Record, at_ns: int) -> Record:
        """Capture or void, once, and record it. Waits until it is on disk; without a hold the record just follows.

        A charge that is not known captures nothing beyond what is known, and stays flagged on the bill. Gives back the
        record as it is kept.
        """
        if held is None or appraisal is None:
            self.books.append(record)
            return record
        resolution = _resolution(held, appraisal, at_ns, str(record.ending))
        # Cancelled, the gateway stops and cannot wait for its database: then the books spill both.
        with suppress(LedgerUnavailable, asyncio.CancelledError):
            outcome = await self.books.settle(resolution, record)
            if not outcome.stands:
                _log.error("%s could not be settled: %s; the books say %s", resolution, outcome.result, outcome.hold)
                return disputed(record)
        return record


def _resolution(held: Held, appraisal: Appraisal, at_ns: int, note: str) -> Resolution:
    if not appraisal.captures:
        return Void(held.hold_id, held.account_id, at_ns, note)
    amount = appraisal.bill.charge_nanos or 0
    return Capture(held.hold_id, held.account_id, amount, at_ns, appraisal.tokens, note)
