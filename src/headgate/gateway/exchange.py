"""The life of a request, readable aloud.

    A request comes in. We find which API it speaks, admit it, choose who serves it, and forward it: the relay passes
    the answer's bytes straight on while the meter watches. Then we record what happened. Whatever happens, there is
    exactly one record.

The same, with what can go wrong at each step, is told in docs/life-of-a-request.md.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from headgate.access.keys import Keys
from headgate.errors import HeadgateError
from headgate.gateway.admit import Admission, admit
from headgate.gateway.answer import answer_error
from headgate.gateway.forward import CLIENT_CLOSED, Forwarded, Forwarder
from headgate.gateway.locate import Place, locate
from headgate.gateway.record import Reached, Trails, counts, make_record, named
from headgate.gateway.request import Client, Opening, Request
from headgate.records import Ending, RecordLog, Trail
from headgate.routing.models import Models, Route

_log = logging.getLogger("headgate.exchange")


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and names, passed in so that every run can be replayed."""

    wall_ns: Callable[[], int]
    """Nanoseconds since the Unix epoch."""
    monotonic_ns: Callable[[], int]
    new_id: Callable[[], str]
    """A fresh exchange id."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts an exchange needs, and its spine."""

    forwarder: Forwarder
    models: Models
    keys: Keys
    log: RecordLog
    trails: Trails
    clock: Clock

    async def exchange(self, request: Request, client: Client) -> None:
        """Serve one request and record it. Runs in a task of its own, so that a client's leaving cannot cancel it."""
        opening = self._open()
        place: Place | None = None
        admission: Admission | None = None
        route: Route | None = None
        try:
            place = locate(request)
            admission = admit(request, place, self.keys, self.log)
            route = self._plan(admission)
            forwarded = await self.forwarder.forward(admission, route, client, opening)
        except HeadgateError as error:
            forwarded = await _refuse(error, place, client, opening)
        except Exception:  # noqa: BLE001  the one place where a fault of ours must still end in an answer and a record
            _log.exception("exchange %s failed", opening.exchange_id)
            fault = HeadgateError("The gateway failed to handle this request.")
            forwarded = replace(await _refuse(fault, place, client, opening), ending=Ending.GATEWAY_FAILED)
        self._record(opening, request, Reached(place, admission, route), forwarded)

    def _open(self) -> Opening:
        clock = self.clock
        return Opening(clock.new_id(), clock.wall_ns(), clock.monotonic_ns(), clock.monotonic_ns)

    def _plan(self, admission: Admission) -> Route:
        """Choose the deployment. Raises NotFound or UnknownModel."""
        place, ask = admission.place, admission.ask
        trail = self.trails.find(ask.response_id) if ask.response_id is not None else None
        free_choice = place.opaque or (place.deployment is not None and not place.metered)
        dialect = place.dialect.name if place.dialect is not None and not free_choice else None
        return self.models.choose(dialect, ask.model, place.deployment, hint=trail.provider if trail else None)

    def _record(self, opening: Opening, request: Request, reached: Reached, forwarded: Forwarded) -> None:
        reading = named(forwarded.reading, reached.place)
        if reading is not forwarded.reading:
            forwarded = replace(forwarded, reading=reading)
        counted = reached.place is not None and counts(reached.place, reading, self.trails)
        if reading.response_id is not None and reached.route is not None:
            self.trails.note(reading.response_id, Trail(reached.route.deployment.name, counted))
        self.log.append(make_record(opening, request, reached, forwarded, counted=counted))


async def _refuse(error: HeadgateError, place: Place | None, client: Client, opening: Opening) -> Forwarded:
    """Answer with an error before anything was sent upstream."""
    dialect = place.dialect if place is not None else None
    sent = await answer_error(client, error, dialect, opening.exchange_id)
    return Forwarded(Ending.NEVER_SENT, error.status if sent else CLIENT_CLOSED, bytes_out=sent, error=error)
