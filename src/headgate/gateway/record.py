"""A Forwarded becomes a Record, and the trail of a response id that leads back to its provider."""

from collections import OrderedDict

from msgspec import Struct
from msgspec.structs import replace

from headgate.audit.redaction import Redactor
from headgate.dialects.base import Metering
from headgate.dialects.reading import MAX_TEXT
from headgate.gateway.admit import Admission
from headgate.gateway.answering import Forwarded
from headgate.gateway.headers import bare, credentials_of
from headgate.gateway.hold import Held
from headgate.gateway.legs import Leg
from headgate.gateway.locate import Place, may_cost
from headgate.gateway.request import Opening, Request
from headgate.records import Bill, Record, RecordLog, Trail
from headgate.routing.models import Route
from headgate.usage import Basis, Reading

_REMEMBERED = 10_000
"""Response ids kept in memory: those whose records may not be on disk yet, and the ones polled most."""

_PLAIN = Redactor()
"""Knows what secrets look like, and none of ours."""


class Trails:
    """Which deployment served a stored response, and whether its usage has been counted.

    Memory first, because the log writes behind; then the log, so that it outlives a restart.
    """

    def __init__(self, log: RecordLog) -> None:
        self._log = log
        self._recent: OrderedDict[str, Trail] = OrderedDict()

    async def find(self, response_id: str) -> Trail | None:
        """The trail of a response id, if this gateway served it."""
        known = self._recent.get(response_id)
        if known is None:
            logged = await self._log.trail(response_id)
            if logged is not None:  # someone may have noted more while the log was asked
                self.note(response_id, logged)
        return self._recent.get(response_id)

    def note(self, response_id: str, trail: Trail) -> None:
        """Remember a trail. What has been counted once stays counted."""
        known = self._recent.get(response_id)
        counted = trail.counted or (known is not None and known.counted)
        self._recent[response_id] = Trail(trail.provider, counted)
        self._recent.move_to_end(response_id)
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)


def named(reading: Reading, place: Place | None) -> Reading:
    """The reading under the id in the path, where the answer names none, as a batch's results do not."""
    if place is None or place.response_id is None or reading.response_id is not None or reading.basis is Basis.NONE:
        return reading
    return replace(reading, response_id=place.response_id)


async def counts(place: Place, reading: Reading, trails: Trails, *, deferred: bool = False) -> bool:
    """Whether a reading's usage belongs in the totals: each response's once, however often it is read again.

    A background response has no usage when it is created; the first poll that brings it counts
    (facts/stream_cases.md 3.6, 3.7). A stored response that came from elsewhere never does.

    `deferred`: it goes on without its client, so what a client saw before it left is not what it used: an estimate of
    that must not stand in for the report that a poll will bring.
    """
    if place.operation is None or reading.basis is Basis.NONE:
        return False
    if place.operation.metering is Metering.COUNTED:
        return not deferred or reading.basis is Basis.REPORTED
    trail = await trails.find(reading.response_id) if reading.response_id is not None else None
    return reading.basis is Basis.REPORTED and trail is not None and not trail.counted


class Reached(Struct, frozen=True):
    """How far an exchange came; None is where it did not get."""

    place: Place | None = None
    admission: Admission | None = None
    route: Route | None = None
    held: Held | None = None
    legs: tuple[Leg, ...] = ()
    """The attempts before the last."""
    legs_settled: bool = True
    """The books say of their holds what their bills say."""


def make_record(
    opening: Opening,
    request: Request,
    reached: Reached,
    forwarded: Forwarded,
    bill: Bill,
    *,
    redactor: Redactor = _PLAIN,
) -> Record:
    """The record of an exchange that is over; what a provider's error quotes is redacted."""
    place, admission, route = reached.place, reached.admission, reached.route
    ask = admission.ask if admission is not None else None
    holder = admission.holder if admission is not None else None
    operation = place.operation if place is not None else None
    dialect = place.dialect if place is not None else None
    return Record(
        exchange_id=opening.exchange_id,
        started_at_ns=opening.started_at_ns,
        method=request.method,
        path=request.path,
        dialect=dialect.name if dialect is not None else None,
        operation=operation.name if operation is not None else None,
        provider=route.deployment.name if route is not None else None,
        key=holder.name if holder is not None else None,
        model_asked=ask.model if ask is not None else None,
        streamed=ask.stream if ask is not None else False,
        status=forwarded.status,
        ending=forwarded.ending,
        billable=may_cost(request.method, place),
        reading=_without_credentials(forwarded.reading, redactor, request, route),
        counted=forwarded.counted,
        first_byte_ns=forwarded.first_byte_ns,
        total_ns=opening.now(),
        bytes_in=forwarded.bytes_in,
        bytes_out=forwarded.bytes_out,
        attempts=forwarded.attempts,
        error=f"{forwarded.error.code}: {forwarded.error.message}" if forwarded.error is not None else None,
        key_id=holder.key.key_id if holder is not None and holder.key is not None else None,
        bill=bill,
    )


def _without_credentials(reading: Reading, redactor: Redactor, request: Request, route: Route | None) -> Reading:
    """The reading with every credential that a provider's error message quotes blotted out, and what looks like one.

    Only then is the message cut: a credential that the cut went through would not be known for one.
    """
    message = reading.in_stream_error
    if message is None:
        return reading
    redacted = redactor.redact(message, len(message[:MAX_TEXT].encode()), secrets_of(request, route))
    return replace(reading, in_stream_error=redacted.text)


def secrets_of(request: Request, route: Route | None) -> list[str]:
    """The credentials of an exchange: what the client brought, and what the deployment is called with."""
    secrets = [bare(value).decode("latin-1") for _, value in credentials_of(request.headers, request.query)]
    if route is not None:
        ours = (route.deployment.credential, *route.deployment.secrets.values())
        secrets += [secret.reveal() for secret in ours if secret is not None]
    return secrets
