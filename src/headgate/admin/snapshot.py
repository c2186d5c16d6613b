"""What is under way at one moment, as those who look on are shown it.

Reading a meter and putting a price on it takes a tenth of a millisecond or two, and there may be thousands of them: a
snapshot is made in slices, between which the event loop relays whatever has come.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from headgate.admin.texts import usd_from_nanos
from headgate.admin.views import moment
from headgate.gateway.live import Live, Running
from headgate.usage import Basis, Reading

SHOWN = 200
"""Exchanges that a snapshot shows; more than anybody can watch."""
_SLICE = 5
"""Exchanges between two rests: less than a millisecond."""


class Phase(StrEnum):
    """How far an exchange has come."""

    WAITING = "waiting"
    """Nothing of an answer has come yet."""
    STREAMING = "streaming"
    """The answer is on its way."""


class ExchangeView(Struct, frozen=True, kw_only=True):
    """An exchange under way. Spent is what it would be charged if it broke off now; null is unknown."""

    exchange_id: str
    started_at: datetime
    elapsed_ms: int
    key: str | None
    key_id: str | None
    account: str | None
    model: str | None
    provider: str
    dialect: str | None
    operation: str | None
    streamed: bool
    phase: Phase
    delivered_bytes: int
    input_tokens: int | None
    output_tokens: int | None
    estimated: bool
    """The provider has not told its figures yet."""
    hold_nanos: int | None
    hold_usd: str | None
    spent_nanos: int | None
    spent_usd: str | None


class LiveView(Struct, frozen=True, kw_only=True):
    """What is under way here: how many exchanges there are, and the newest of them."""

    at: datetime
    node: str
    running: int
    exchanges: list[ExchangeView]


class Snapshots:
    """Takes snapshots of a gateway's exchanges."""

    def __init__(self, live: Live, node: str, clock_ns: Callable[[], int]) -> None:
        self._live = live
        self._node = node
        self._clock_ns = clock_ns

    @property
    def running(self) -> int:
        """How many exchanges are under way."""
        return len(self._live)

    @property
    def node(self) -> str:
        """This process's name."""
        return self._node

    async def take(self) -> LiveView:
        """A snapshot. What ended while it was taken is not in it."""
        views = []
        for at, running in enumerate(self._live.newest(SHOWN)):
            if at % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            if self._live.running(running.opening.exchange_id) is running:
                views.append(self._view(running))
        views = [view for view in views if self._live.running(view.exchange_id) is not None]
        return LiveView(at=moment(self._clock_ns()), node=self._node, running=len(self._live), exchanges=views)

    def _view(self, running: Running) -> ExchangeView:
        opening, admission, held = running.opening, running.admission, running.held
        place, holder = admission.place, admission.holder
        reading = Reading() if running.meter is None else running.meter.so_far()
        told = reading.basis is not Basis.NONE
        spent, usage = None, reading.usage
        if running.meter is not None:
            appraisal = running.appraiser.so_far(running, reading)
            bill, usage = appraisal.bill, appraisal.usage
            spent = bill.cost_nanos if held is None else bill.charge_nanos
        hold = None if held is None else held.amount_nanos
        return ExchangeView(
            exchange_id=opening.exchange_id,
            started_at=moment(opening.started_at_ns),
            elapsed_ms=opening.now() // 1_000_000,
            key=holder.name,
            key_id=holder.key_id,
            account=holder.account_id,
            model=running.route.model or admission.ask.model,
            provider=running.route.deployment.name,
            dialect=None if place.dialect is None else place.dialect.name,
            operation=None if place.operation is None else place.operation.name,
            streamed=admission.ask.stream,
            phase=Phase.STREAMING if told or (running.answered and running.meter is None) else Phase.WAITING,
            delivered_bytes=reading.delivered_bytes,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            estimated=reading.basis is not Basis.REPORTED,
            hold_nanos=hold,
            hold_usd=None if hold is None else usd_from_nanos(hold),
            spent_nanos=spent,
            spent_usd=None if spent is None else usd_from_nanos(spent),
        )
