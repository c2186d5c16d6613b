"""An exchange's request goes out: one attempt at its deployment, and what becomes of the call.

`answering.py` has the way back.
"""

import asyncio

from msgspec import Struct, field
from msgspec.structs import replace

from headgate.dialects import registry
from headgate.dialects.base import FrameFilter
from headgate.errors import HeadgateError, Source, UpstreamUnreachable
from headgate.gateway.admit import Admission
from headgate.gateway.answering import Answering, Conclude, Forwarded, unanswered
from headgate.gateway.habits import REFUSALS, Habits, OptionRefused, Peeked
from headgate.gateway.headers import to_upstream, without_key
from headgate.gateway.kept import keep
from headgate.gateway.live import Running
from headgate.gateway.receipt import Trailers
from headgate.gateway.relay import Patience
from headgate.gateway.request import Client
from headgate.gateway.spare import Spare
from headgate.gateway.trace import Trace
from headgate.gateway.upstream import (
    Call,
    CallAborted,
    Clearance,
    Credentials,
    Head,
    Upstream,
    UpstreamRequest,
)
from headgate.providers.base import Deployment, OnClientGone, Outbound, TimeLimits
from headgate.records import Attempt, Ending
from headgate.routing.models import Route


class Bounds(Struct, frozen=True):
    """How long and how far an exchange may go."""

    limits: TimeLimits = TimeLimits()
    drain_seconds: float = 60.0
    patience: Patience = Patience()


class Outgoing(Struct, frozen=True):
    """What is sent, and what has to be taken out of the answer because of how it was sent."""

    request: UpstreamRequest
    strip: FrameFilter | None
    asks: bool = False
    """The body holds a usage option that the client did not write."""


def prepare(
    admission: Admission,
    route: Route,
    limits: TimeLimits,
    at_ns: int,
    *,
    ask_usage: bool = True,
    trace: Trace | None = None,
) -> Outgoing:
    """The request as it goes on: the client's own bytes, apart from the two named edits (architecture, 1 and 2).

    `limits` hold where the deployment has none of its own. `at_ns` is the wall clock, for a credential that signs the
    request: it comes last, over what is sent. Without `ask_usage` the second edit is left out, for a deployment that
    refuses it. With a `trace` the request names the exchange as what it is a part of.
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
    headers = to_upstream(request.headers, (), metered=place.metered)
    outbound = Outbound(
        method=request.method.encode(),
        host=deployment.host_header,
        target=deployment.target(path, without_key(request.query), dialect),
        headers=headers if trace is None else trace.carried(headers),
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
        limits=deployment.limits or limits,
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


class Forwarder(Struct, frozen=True):
    """Forwards: one attempt at one deployment, and a second only where the first was refused for an edit of ours."""

    upstream: Upstream
    bounds: Bounds = Bounds()
    habits: Habits = field(default_factory=Habits)
    credentials: Credentials | None = None
    trailers: Trailers = Trailers.ASKED

    def ready(self, route: Route) -> bool:
        """Whether a request for that deployment would go out at once."""
        return not route.deployment.short_lived and self.upstream.ready(route.deployment.origin)

    async def fresh(self, deployment: Deployment) -> Deployment:
        """The deployment with credentials that are good now. Raises UpstreamUnreachable if there are none to be had."""
        if self.credentials is None or not deployment.short_lived:
            return deployment
        return await self.credentials.freshen(deployment)

    async def forward(
        self,
        running: Running,
        client: Client,
        conclude: Conclude,
        clearance: Clearance | None = None,
        spare: Spare | None = None,
    ) -> Forwarded:
        """Make the attempt and pass its answer on; or nothing of it, where a spare can make up for it.

        A refusal of the usage option is not passed on: the request goes once more, without it. It is remembered only
        if the deployment takes that, so that a client's own bad request, quoted in an error, cannot end the metering.
        Raises UpstreamUnreachable if the deployment's short-lived credential cannot be had.
        """
        route, name = running.route, running.route.deployment.name
        started = running.opening.now()
        if route.deployment.short_lived:
            try:
                route = replace(route, deployment=await self.fresh(route.deployment))
            except UpstreamUnreachable as error:
                if spare is None or not spare.broke():
                    raise
                tried = Attempt(name, None, started, running.opening.now(), error.code, route.model, Ending.NEVER_SENT)
                return Forwarded(Ending.NEVER_SENT, error.status, attempts=(tried,), error=error, untold=True)
        attempt = _Try(self, running, route, client, conclude, clearance, spare)
        asks = self.habits.takes_option(name)
        try:
            return await attempt.make(ask_usage=asks)
        except OptionRefused as refused:
            now = running.opening.now()
            first = Attempt(name, refused.status, started, now, refused.code, route.model, Ending.REFUSED)
        forwarded = await attempt.make(ask_usage=False)
        if forwarded.upstream_status is not None and forwarded.upstream_status < 400:
            self.habits.note_refusal(name)
        return replace(forwarded, attempts=(first, *forwarded.attempts))


class _Try(Struct, frozen=True):
    """What is needed to try a deployment."""

    forwarder: Forwarder
    running: Running
    route: Route
    client: Client
    conclude: Conclude
    clearance: Clearance | None
    spare: Spare | None = None

    async def make(self, *, ask_usage: bool) -> Forwarded:
        """One attempt. Raises OptionRefused, the client told nothing, if it failed for the usage option alone."""
        bounds, running, client, route = self.forwarder.bounds, self.running, self.client, self.route
        admission, opening = running.admission, running.opening
        outgoing = prepare(
            admission, route, bounds.limits, opening.started_at_ns, ask_usage=ask_usage, trace=opening.trace
        )
        call: Call = self.forwarder.upstream.open(outgoing.request, self.clearance)
        farewell = Farewell(call, route.deployment.on_client_gone, bounds.drain_seconds)
        client.on_gone(farewell)
        started = opening.now()
        try:
            try:
                head = await call.head()
            except (HeadgateError, CallAborted) as cause:
                forwarded = await self._unanswered(cause, call)
            else:
                if outgoing.asks and head.status in REFUSALS:
                    call = Peeked(call)
                    if await call.names_option() and not client.gone:
                        raise OptionRefused(head.status)
                forwarded = await self._answered(call, head, outgoing.strip)
        finally:
            farewell.over()
        code = forwarded.error.code if forwarded.error else None
        attempt = Attempt(
            route.deployment.name,
            forwarded.upstream_status,
            started,
            opening.now(),
            code,
            route.model,
            forwarded.ending,
        )
        return replace(forwarded, attempts=(attempt,))

    async def _unanswered(self, cause: HeadgateError | CallAborted, call: Call) -> Forwarded:
        """No head came."""
        theirs = isinstance(cause, HeadgateError) and cause.source is Source.UPSTREAM
        if isinstance(cause, HeadgateError) and theirs and self.spare is not None and self.spare.broke():
            unsent = isinstance(cause, UpstreamUnreachable) or not call.sent
            ending = Ending.NEVER_SENT if unsent else Ending.UPSTREAM_CUT
            return Forwarded(ending, cause.status, error=cause, untold=True)
        return await unanswered(cause, call, self.client, self.running.admission, self.running.opening)

    async def _answered(self, call: Call, head: Head, strip: FrameFilter | None) -> Forwarded:
        """An answer begins: it is passed on, or kept where another target is tried."""
        spare, client, forwarder = self.spare, self.client, self.forwarder
        if spare is not None and spare.heard(head) and not client.gone:
            spare.kept = await keep(call, head)
            size = 0 if spare.kept is None else len(spare.kept.body)
            return Forwarded(Ending.REFUSED, head.status, head.status, bytes_in=size, untold=True)
        answering = Answering(self.running, head, strip, forwarder.trailers, self.conclude)
        return await answering.pass_on(call, client, forwarder.bounds.patience, spare)
