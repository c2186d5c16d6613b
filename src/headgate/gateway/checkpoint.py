"""What the books would say if this process died now: noted about once a second for every stream under way."""

from dataclasses import dataclass

from headgate.gateway.appraise import Appraiser
from headgate.gateway.live import Live, Running
from headgate.ledger.commands import Checkpoint
from headgate.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Notes how far each exchange has come."""

    ledger: Ledger
    live: Live
    appraiser: Appraiser

    def note(self) -> int:
        """Note every exchange that has delivered more since the last time; returns how many there were."""
        return sum(self._note(running) for running in self.live)

    def _note(self, running: Running) -> bool:
        held, meter = running.held, running.meter
        if held is None or meter is None:
            return False
        reading = meter.so_far()
        if reading.delivered_bytes == running.delivered:
            return False
        running.delivered = reading.delivered_bytes
        appraisal = self.appraiser.so_far(running, reading)
        charge = appraisal.bill.charge_nanos or 0
        self.ledger.note(Checkpoint(held.hold_id, held.account_id, min(charge, held.amount_nanos), appraisal.tokens))
        return True
