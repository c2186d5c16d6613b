"""What the books would say if this process died now: noted about once a second for every stream under way."""

from collections.abc import Iterator

from msgspec import Struct

from headgate.gateway.live import Live, Running
from headgate.ledger.commands import Checkpoint
from headgate.ledger.store import Ledger


class Checkpoints(Struct, frozen=True):
    """Notes how far each exchange has come."""

    ledger: Ledger
    live: Live

    def notes(self) -> Iterator[bool]:
        """Note every exchange that has delivered more since the last time, one after another.

        Each step tells whether there was anything to note. It takes some tenth of a millisecond, so whoever steps rests
        in between: there may be thousands.
        """
        for running in self.live:
            under_way = self.live.running(running.opening.exchange_id) is running
            yield under_way and self._note(running)

    def _note(self, running: Running) -> bool:
        held, meter = running.held, running.meter
        if held is None or meter is None:
            return False
        reading = meter.so_far()
        if reading.delivered_bytes == running.delivered:
            return False
        running.delivered = reading.delivered_bytes
        appraisal = running.appraiser.so_far(running, reading)
        charge = appraisal.bill.charge_nanos or 0
        self.ledger.note(Checkpoint(held.hold_id, held.account_id, min(charge, held.amount_nanos), appraisal.tokens))
        return True
