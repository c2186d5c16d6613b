"""An Admission and a Route become a Forwarded: one attempt, its call, its answer.

Every path out of here has told the client something true: the provider's own answer, a whole error in the client's
dialect, an error frame inside a stream that had begun, or a broken connection where nothing honest can be added.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace

from headgate.dialects import registry
from headgate.dialects.base import Answer, Ask, FrameFilter
from headgate.errors import Busy, HeadgateError, UpstreamUnreachable
from headgate.gateway.admit import Admission
from headgate.gateway.answer import answer_error, tell_failure
from headgate.gateway.habits import REFUSALS, Habits, OptionRefused, Peeked
from headgate.gateway.headers import to_client, to_upstream, value_of, without_key
from headgate.gateway.relay import Patience, Relayed, Watch, relay
from headgate.gateway.request import Client, ClientGone, Opening
from headgate.gateway.upstream import Call, CallAborted, Credentials, Head, TimeLimits, Upstream, UpstreamRequest
from headgate.providers.base import OnClientGone, Outbound
from headgate.records import Attempt, Ending
from headgate.routing.models import Route
from headgate.usage import Basis, Estimate, Reading


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how far an exchange may go."""

    limits: TimeLimits = TimeLimits()
    drain_seconds: float = 60.0
    patience: Patience = Patience()


@dataclass(frozen=True, slots=True)
class Forwarded:
    """How forwarding went."""

    ending: Ending
    status: int
    upstream_status: int | None = None
    """None where the upstream sent no head."""
    reading: Reading = Reading()
    attempts: tuple[Attempt, ...] = ()
    first_byte_ns: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    error: HeadgateError | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent, and what has to be taken out of the answer because of how it was sent."""

    request: UpstreamRequest
    strip: FrameFilter | None
    asks: bool = False
    """The body holds a usage option that the client did not write."""


_SSE = "text/event-stream"
_CUT_SHORT = {"unterminated_frame", "corrupt_frame", "undecodable_encoding"}
"""What a meter notes where it does not stand between two frames, or cannot know."""

CLIENT_CLOSED = 499
"""The status on record where the client left before one was sent (nginx's convention)."""


def prepare(admission: Admission, route: Route, limits: TimeLimits, at_ns: int, *, ask_usage: bool = True) -> Outgoing:
    """The request as it goes on: the client's own bytes, apart from the two named edits (architecture, 1 and 2).

    `at_ns` is the wall clock, for a credential that signs the request: it comes last, over what is sent. Without
    `ask_usage` the second edit is left out, for a deployment that refuses it.
    """
    request, place, ask, deployment = admission.request, admission.place, admission.ask, route.deployment
    path, body, strip, asking = place.path, request.body, None, None
    if place.dialect is not None and route.model is not None and route.model != ask.model:
        if place.model is None:
            body = place.dialect.with_model(body, route.model)
        elif place.operation is not None:
            path = registry.with_parameter(place.operation, path, "model", route.model)
    if ask_usage and place.dialect is not None and place.metered and deployment.asks_for_usage(request.query):
        asking = place.dialect.with_usage_frame(body, ask)
        if asking is not None:
            body = asking
            strip = None if ask.wants_usage else place.dialect.usage_frame_filter()
    dialect = place.dialect.name if place.dialect is not None else None
    deployment = deployment.at(path)
    outbound = Outbound(
        method=request.method.encode(),
        host=deployment.host_header,
        target=deployment.target(path, without_key(request.query), dialect),
        headers=to_upstream(request.headers, (), metered=place.metered),
        body=body,
        at_ns=at_ns,
    )
    credential = admission.credentials if deployment.client_keys else deployment.credential_headers(outbound)
    outgoing = UpstreamRequest(
        method=outbound.method,
        origin=deployment.origin,
        host=outbound.host,
        target=outbound.target,
        headers=[*outbound.headers, *credential],
        body=body,
        limits=limits,
    )
    return Outgoing(outgoing, strip, asks=asking is not None)


class Farewell:
    """What becomes of a call whose client leaves, by the deployment's policy (architecture, decision 7)."""

    def __init__(self, call: Call, policy: OnClientGone, drain_seconds: float) -> None:
        self._call = call
        self._policy = policy
        self._seconds = drain_seconds
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> None:
        """The client left: cut now, or give the upstream its time to finish."""
        if self._policy is OnClientGone.CUT:
            self._call.abort()
        else:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._call.abort)

    def over(self) -> None:
        """The call is over, whether the client left or not. Aborting a finished call does nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self._call.abort()


@dataclass(frozen=True, slots=True)
class Forwarder:
    """Forwards: one attempt at one deployment, and a second only where the first was refused for an edit of ours."""

    upstream: Upstream
    bounds: Bounds = Bounds()
    habits: Habits = field(default_factory=Habits)
    credentials: Credentials | None = None

    async def forward(self, admission: Admission, route: Route, client: Client, opening: Opening) -> Forwarded:
        """Make the attempt and pass its answer on.

        A refusal of the usage option is not passed on: the request goes once more, without it. It is remembered only
        if the deployment takes that, so that a client's own bad request, quoted in an error, cannot end the metering.
        Raises UpstreamUnreachable if the deployment's short-lived credential cannot be had.
        """
        if self.credentials is not None and route.deployment.short_lived:
            route = replace(route, deployment=await self.credentials.freshen(route.deployment))
        name = route.deployment.name
        asks = self.habits.takes_option(name)
        started = opening.now()
        try:
            return await self._attempt(admission, route, client, opening, ask_usage=asks)
        except OptionRefused as refused:
            first = Attempt(name, refused.status, started, opening.now(), refused.code)
        forwarded = await self._attempt(admission, route, client, opening, ask_usage=False)
        if forwarded.upstream_status is not None and forwarded.upstream_status < 400:
            self.habits.note_refusal(name)
        return replace(forwarded, attempts=(first, *forwarded.attempts))

    async def _attempt(
        self, admission: Admission, route: Route, client: Client, opening: Opening, *, ask_usage: bool
    ) -> Forwarded:
        """One attempt. Raises OptionRefused, the client told nothing, if it failed for the usage option alone."""
        outgoing = prepare(admission, route, self.bounds.limits, opening.started_at_ns, ask_usage=ask_usage)
        call: Call = self.upstream.open(outgoing.request)
        farewell = Farewell(call, route.deployment.on_client_gone, self.bounds.drain_seconds)
        client.on_gone(farewell)
        started = opening.now()
        try:
            try:
                head = await call.head()
            except (HeadgateError, CallAborted) as cause:
                forwarded = await _unanswered(cause, call, client, admission, opening)
            else:
                if outgoing.asks and head.status in REFUSALS:
                    call = Peeked(call)
                    if await call.names_option() and not client.gone:
                        raise OptionRefused(head.status)
                answering = _Answering(admission, head, outgoing.strip, opening)
                forwarded = await answering.pass_on(call, client, self.bounds.patience)
        finally:
            farewell.over()
        code = forwarded.error.code if forwarded.error else None
        attempt = Attempt(route.deployment.name, forwarded.upstream_status, started, opening.now(), code)
        return replace(forwarded, attempts=(attempt,))


async def _unanswered(
    cause: HeadgateError | CallAborted, call: Call, client: Client, admission: Admission, opening: Opening
) -> Forwarded:
    """No head came: the upstream failed, or the client left first."""
    if isinstance(cause, HeadgateError):
        ending = Ending.NEVER_SENT if isinstance(cause, UpstreamUnreachable) else Ending.UPSTREAM_CUT
        sent = await answer_error(client, cause, admission.place.dialect, opening.exchange_id)
        return Forwarded(ending, cause.status, bytes_out=sent, error=cause)
    if not client.gone:
        error = Busy("The gateway is stopping.")
        sent = await answer_error(client, error, admission.place.dialect, opening.exchange_id)
        return Forwarded(Ending.GATEWAY_FAILED, error.status, bytes_out=sent, error=error)
    if not call.sent:
        return Forwarded(Ending.NEVER_SENT, CLIENT_CLOSED)
    reading = unreported(Reading(), admission.ask) if admission.place.billed else Reading()
    return Forwarded(Ending.CLIENT_LEFT, CLIENT_CLOSED, reading=reading)


class _Answering:
    """An answer whose head has come, on its way to the client."""

    def __init__(self, admission: Admission, head: Head, strip: FrameFilter | None, opening: Opening) -> None:
        self._admission = admission
        self._opening = opening
        self._head = head
        self._answer = Answer(
            head.status,
            value_of(head.headers, b"content-type"),
            value_of(head.headers, b"content-encoding"),
            head.headers,
        )
        dialect, metered = admission.place.dialect, admission.place.metered
        self._stream_type = dialect.stream_type if dialect is not None else _SSE
        self._streams = self._answer.content_type.startswith(self._stream_type) and not self._answer.content_encoding
        meter = dialect.meter(self._answer, admission.ask) if dialect is not None and metered else None
        self._watch = Watch(meter, strip if self._streams else None)
        self._started = False

    async def pass_on(self, call: Call, client: Client, patience: Patience) -> Forwarded:
        """Head, body and end to the client."""
        resized = self._watch.strip is not None
        headers = to_client(self._head.headers, self._opening.exchange_id, resized=resized, stream=self._streams)
        with suppress(ClientGone):  # the relay finds out by itself, and the policy decides whether it reads on
            await client.start(self._head.status, headers)
        self._started = client.started
        relayed = await relay(call, client, self._watch, self._opening.now, patience)
        forwarded = self._forwarded(relayed)
        with suppress(ClientGone):  # it has had all there was to have
            await self._finish(client, forwarded, relayed)
        return forwarded

    def _forwarded(self, relayed: Relayed) -> Forwarded:
        meter = self._watch.meter
        reading = meter.finish(ended=relayed.ended) if meter is not None else Reading()
        if self._admission.place.billed and not relayed.ended and self._head.status < 400:
            reading = unreported(reading, self._admission.ask)
        ending = ending_of(relayed, self._head.status, reading, metered=meter is not None)
        return Forwarded(
            ending=ending,
            status=self._head.status if self._started else CLIENT_CLOSED,
            upstream_status=self._head.status,
            reading=reading,
            first_byte_ns=relayed.first_byte_ns,
            bytes_in=relayed.bytes_in,
            bytes_out=relayed.bytes_out,
            error=_error(relayed) if ending is not Ending.COMPLETE else None,
        )

    async def _finish(self, client: Client, forwarded: Forwarded, relayed: Relayed) -> None:
        """End the client's answer as the upstream's ended: well, or told as failed."""
        open_ended = self._streams and self._between_frames(forwarded.reading, relayed)
        whole = forwarded.ending is Ending.COMPLETE and open_ended
        if relayed.ended or whole:  # whole by the dialect's own evidence, though the connection broke after it
            await client.end()
        elif forwarded.error is not None and not relayed.left:
            dialect = self._admission.place.dialect
            await tell_failure(client, forwarded.error, dialect, self._opening.exchange_id, inband=open_ended)

    def _between_frames(self, reading: Reading, relayed: Relayed) -> bool:
        """Whether a frame can follow what the client has: by its last bytes, or where it is binary, by the meter."""
        if self._stream_type == _SSE:
            return relayed.between_frames
        return self._watch.meter is not None and not _CUT_SHORT & reading.anomalies.keys()


def _error(relayed: Relayed) -> HeadgateError | None:
    if relayed.error is not None or relayed.left or relayed.ended:
        return relayed.error
    return Busy("The gateway is stopping.")


def ending_of(relayed: Relayed, status: int, reading: Reading, *, metered: bool) -> Ending:
    """What the settlement table calls this outcome. An error told inside the response outweighs how it closed."""
    if status >= 400:
        return Ending.REFUSED
    if reading.in_stream_error is not None:
        return Ending.UPSTREAM_ERROR
    if relayed.left and (relayed.ended or reading.terminal_evidence is None):  # drained to the end, or cut before it
        return Ending.CLIENT_LEFT
    if reading.terminal_evidence is not None or (relayed.ended and not metered):
        return Ending.COMPLETE
    if relayed.ended:
        return Ending.INCOMPLETE
    return Ending.UPSTREAM_CUT if relayed.error is not None else Ending.GATEWAY_FAILED


def unreported(reading: Reading, ask: Ask) -> Reading:
    """A reading that broke off before anything was reported: the prompt was read all the same, so it is estimated."""
    if reading.basis is not Basis.NONE:
        return reading
    return replace(reading, basis=Basis.ESTIMATED, estimate=Estimate(-(-ask.input_bytes // 4), 0))
