"""The life of a request, readable aloud.

    A request comes in. We find which API it speaks, admit it, choose who serves it, set money aside for it, and
    forward it: the relay passes the answer's bytes straight on while the meter watches. Where several may serve it, a
    failure of one before anything was passed on is made up for by the next, each with money set aside for it. What it
    used is priced, the client is told, the hold is settled, and we record what happened. Whatever happens, there is
    exactly one settlement of each hold and exactly one record.

The same, with what can go wrong at each step, is told in docs/life-of-a-request.md.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from headgate.audit.redaction import Redactor
from headgate.errors import Busy, HeadgateError
from headgate.gateway.admit import Admission, admit
from headgate.gateway.answer import answer_error
from headgate.gateway.answering import CLIENT_CLOSED, Forwarded
from headgate.gateway.appraise import Appraiser
from headgate.gateway.attempts import Attempts, Parts
from headgate.gateway.forward import Forwarder
from headgate.gateway.hold import Holds
from headgate.gateway.holder import Doorkeeper
from headgate.gateway.legs import added_up, billed
from headgate.gateway.live import Live, Observer, Running
from headgate.gateway.locate import Place, locate
from headgate.gateway.plan import plan
from headgate.gateway.record import Reached, Trails, counts, make_record, named
from headgate.gateway.request import Client, Opening, Request
from headgate.gateway.scribe import Scribe
from headgate.gateway.settle import Settler
from headgate.gateway.tape import Tape, TapedClient
from headgate.gateway.trace import Tracing
from headgate.records import Bill, Ending, RecordLog, Trail, disputed
from headgate.routing.health import Health
from headgate.routing.models import Models, Route
from headgate.usage import Reading

_NO_BILL = Bill(cost_nanos=0)
"""Of an exchange that never had a route: nothing was sent, so it is known to have cost nothing."""

_log = logging.getLogger("headgate.exchange")


class Clock(Struct, frozen=True):
    """Time and names, passed in so that every run can be replayed."""

    wall_ns: Callable[[], int]
    """Nanoseconds since the Unix epoch."""
    monotonic_ns: Callable[[], int]
    new_id: Callable[[], str]
    """A fresh exchange id."""


class Gateway(Struct, frozen=True):
    """The parts an exchange needs, and its spine."""

    door: Doorkeeper
    models: Models
    holds: Holds
    forwarder: Forwarder
    appraiser: Appraiser
    settler: Settler
    log: RecordLog
    trails: Trails
    clock: Clock
    live: Live = field(default_factory=Live)
    observers: Sequence[Observer] = ()
    redactor: Redactor = field(default_factory=Redactor)
    """For what providers quote in their errors."""
    scribe: Scribe | None = None
    """Keeps what was said, where a rule asks for it; None where none does."""
    tracing: Tracing | None = None
    health: Health = field(default_factory=Health)
    """How the targets of aliases have fared."""

    async def exchange(self, request: Request, client: Client) -> None:
        """Serve one request, settle and record it. Runs in a task of its own, which no client's leaving can cancel."""
        opening = self.open(request)
        place: Place | None = None
        admission: Admission | None = None
        attempts: Attempts | None = None
        tape: Tape | None = None
        try:
            place = locate(request)
            admission = await admit(request, place, self.door, self.log)
            tape = self.tape(admission)
            client = client if tape is None else TapedClient(client, tape)
            planned = await plan(admission, opening, self.models, self.trails, self.health)
            attempts = Attempts(self._parts(), opening, admission, planned)
            forwarded = await attempts.make(client)
        except HeadgateError as error:
            forwarded = await _refuse(error, place, client, opening)
        except asyncio.CancelledError:  # the gateway stops, and this client does not take what it is sent
            client.abort()
            stopped = Busy("The gateway is stopping.")
            forwarded = Forwarded(Ending.GATEWAY_FAILED, stopped.status, reading=_seen(attempts), error=stopped)
        except Exception:  # noqa: BLE001  the one place where a fault of ours must still end in an answer and a record
            _log.exception("exchange %s failed", opening.exchange_id)
            fault = HeadgateError("The gateway failed to handle this request.")
            refused = await _refuse(fault, place, client, opening)
            forwarded = replace(refused, ending=Ending.GATEWAY_FAILED, reading=_seen(attempts))
        reached, running = Reached(place, admission), None
        if attempts is not None:
            reached, running = await attempts.reached(place), attempts.running
            forwarded = attempts.completed(forwarded)
        await self.close(opening, request, reached, forwarded, running)
        self.take(opening, admission, reached.route, tape)

    def open(self, request: Request) -> Opening:
        """An exchange begins."""
        clock = self.clock
        trace = None if self.tracing is None else self.tracing.begin(request.headers)
        return Opening(clock.new_id(), clock.wall_ns(), clock.monotonic_ns(), clock.monotonic_ns, trace)

    def tape(self, admission: Admission) -> Tape | None:
        """A tape for an exchange, where one is wanted."""
        return None if self.scribe is None else self.scribe.tape(admission)

    def take(self, opening: Opening, admission: Admission | None, route: Route | None, tape: Tape | None) -> None:
        """An exchange is over, and so is its tape."""
        if self.scribe is not None and admission is not None and tape is not None:
            self.scribe.take(opening, admission, route, tape)

    def _parts(self) -> Parts:
        return Parts(
            self.holds, self.forwarder, self.settler, self.live, self.appraiser, self.conclude, self.clock.wall_ns
        )

    async def conclude(self, running: Running, forwarded: Forwarded) -> Forwarded:
        """What it used, and what that costs: known before the client has the end of its answer."""
        place, deferred = running.admission.place, running.admission.ask.deferred
        reading = named(forwarded.reading, place)
        counted = running.counted or await counts(place, reading, self.trails, deferred=deferred)
        running.counted = counted
        if reading.response_id is not None:
            self.trails.note(reading.response_id, Trail(running.route.deployment.name, counted))
        appraisal = self.appraiser.appraise(running, forwarded.ending, reading, counted=counted)
        return replace(forwarded, reading=reading, counted=counted, appraisal=appraisal)

    async def close(
        self,
        opening: Opening,
        request: Request,
        reached: Reached,
        forwarded: Forwarded,
        running: Running | None,
    ) -> None:
        """Settle and record, whatever happened. Without a route there was nothing to pay for."""
        if running is None and reached.admission is not None and reached.route is not None:
            running = Running(opening, reached.admission, reached.route, reached.held, self.appraiser)
        if forwarded.appraisal is None and running is not None:
            forwarded = await self.conclude(running, forwarded)
        appraisal = forwarded.appraisal
        legs = reached.legs
        bill = added_up(legs, _NO_BILL if appraisal is None else appraisal.bill)
        last = billed(forwarded.attempts, appraisal, reached.held)
        forwarded = replace(forwarded, attempts=(*(attempt for leg in legs for attempt in leg.attempts), *last))
        record = make_record(opening, request, reached, forwarded, bill, redactor=self.redactor)
        if not reached.legs_settled:
            record = disputed(record)
        record = await self.settler.settle(reached.held, appraisal, record, self.clock.wall_ns())
        self.live.close(record)
        for observer in self.observers:  # each in a call of its own: what fails there is the loop's to report
            asyncio.get_running_loop().call_soon(observer.saw, record)
        if self.tracing is not None and opening.trace is not None and opening.trace.sampled:
            ask = None if reached.admission is None else reached.admission.ask
            asyncio.get_running_loop().call_soon(self.tracing.end, opening.trace, record, ask)


def _seen(attempts: Attempts | None) -> Reading:
    """What the meter saw of an answer that is given up."""
    running = None if attempts is None else attempts.running
    return running.meter.so_far() if running is not None and running.meter is not None else Reading()


async def _refuse(error: HeadgateError, place: Place | None, client: Client, opening: Opening) -> Forwarded:
    """Answer with an error before anything was sent upstream."""
    dialect = place.dialect if place is not None else None
    sent = await answer_error(client, error, dialect, opening.exchange_id)
    return Forwarded(Ending.NEVER_SENT, error.status if sent else CLIENT_CLOSED, bytes_out=sent, error=error)
