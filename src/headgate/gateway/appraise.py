"""What an exchange that is over cost, and what its account is charged: pure, so that the client can be told at once.

The ledger is told afterwards, in `settle.py`; both say the same number because there is only this one.
"""

import logging

from msgspec import Struct, field
from msgspec.structs import replace

from headgate.gateway.hold import BYTES_PER_TOKEN
from headgate.gateway.live import Running
from headgate.gateway.tariff import Tariff, lines_of
from headgate.ledger.machine import LARGEST_NANOS
from headgate.pricing.cost import Cost
from headgate.records import Bill, Ending, Settled
from headgate.settlement import TABLE, OnUpstreamFailure, Verdict, settle
from headgate.usage import Reading, Usage

_log = logging.getLogger("headgate.exchange")


class Appraisal(Struct, frozen=True):
    """What is to be settled."""

    bill: Bill
    """As it will stand on the record."""
    captures: bool
    """The hold is captured with the bill's charge; otherwise it is voided."""
    usage: Usage = field(default_factory=Usage)
    """What the bill is for: reported, or estimated where nothing was."""

    @property
    def tokens(self) -> int:
        """Input and output together, for limits on tokens."""
        return (self.usage.input_tokens or 0) + (self.usage.output_tokens or 0)


class Appraiser(Struct, frozen=True):
    """Puts a price on a reading."""

    tariff: Tariff
    policy: OnUpstreamFailure = OnUpstreamFailure.DELIVERED

    def appraise(self, running: Running, ending: Ending, reading: Reading, *, counted: bool) -> Appraisal:
        """The settlement of an exchange: `counted` says that its usage has not been billed under another one."""
        admission, route, held = running.admission, running.route, running.held
        account = None if held is None else held.account_id
        hold_nanos = None if held is None else held.amount_nanos
        own = counted or (admission.may_cost and not admission.ask.deferred)
        unused = TABLE[ending] is Verdict.VOID and reading.usage.is_empty
        if unused or not own:
            settled = None if held is None else Settled.VOIDED
            nothing = Bill(account=account, hold_nanos=hold_nanos, settled=settled)
            if unused:
                nothing = replace(nothing, cost_nanos=0, charge_nanos=None if held is None else 0)
            return Appraisal(nothing, captures=False)
        prompt_tokens = -(-admission.ask.input_bytes // BYTES_PER_TOKEN)
        settlement = settle(ending, reading, self.policy, prompt_tokens=prompt_tokens)
        cost, flags = self._cost(settlement.usage, reading, running)
        charge = self.tariff.charge(cost, route) if settlement.charged else 0
        if max(cost.nanos or 0, charge or 0) > LARGEST_NANOS:  # no books could keep it, and nobody used so much
            cost, charge, flags = replace(cost, nanos=None, lines=()), None, (*flags, "absurd")
        bill = Bill(
            account=account,
            hold_nanos=hold_nanos,
            cost_nanos=cost.nanos,
            charge_nanos=None if held is None else charge,
            settled=None if held is None else Settled.CAPTURED if settlement.charged else Settled.VOIDED,
            price_source=str(cost.source),
            price_version=cost.version,
            lines=lines_of(cost),
            flags=(
                *settlement.flags,
                *_overrun(charge, hold_nanos),
                *flags,
                *(f"unpriced:{name}" for name in cost.unpriced),
            ),
        )
        return Appraisal(bill, captures=settlement.charged, usage=settlement.usage)

    def so_far(self, running: Running, reading: Reading) -> Appraisal:
        """What would be settled if this process died now, with this reading."""
        return self.appraise(running, Ending.GATEWAY_DIED, reading, counted=True)

    def _cost(self, usage: Usage, reading: Reading, running: Running) -> tuple[Cost, tuple[str, ...]]:
        """The cost; unknown, and flagged, where the book cannot be read: a price must not cost the settlement."""
        route = running.route
        try:
            return self.tariff.cost(usage, reading, running.admission.ask, route, running.opening.started_at_ns)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            _log.exception("%s of %s could not be priced", reading.served_model, route.deployment.name)
            return Cost(None, (), "none", self.tariff.book.version, ("book",), 0, 1), ()


def _overrun(charge: int | None, hold_nanos: int | None) -> tuple[str, ...]:
    """Flags a charge above its hold: the bound did not hold, and someone may want to know why."""
    return ("overrun",) if charge is not None and hold_nanos is not None and charge > hold_nanos else ()
