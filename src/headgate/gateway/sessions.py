"""A WebSocket's beginning: who asks, who serves, and both ends of the line."""

import asyncio
from contextlib import suppress
from functools import partial
from urllib.parse import parse_qsl, quote, unquote_plus

from msgspec import Struct, field
from msgspec.structs import replace

from headgate.dialects.base import Ask
from headgate.dialects.conversation import conversation_in
from headgate.errors import Busy, Forbidden, HeadgateError, UpgradeRefused, UpstreamRefused
from headgate.gateway.admit import Admission
from headgate.gateway.answering import CLIENT_CLOSED, Forwarded
from headgate.gateway.bridge import Bridge
from headgate.gateway.dialling import Dialling, End, Refused
from headgate.gateway.exchange import Gateway
from headgate.gateway.forward import prepare
from headgate.gateway.headers import to_client, to_upgrade, without_key
from headgate.gateway.locate import Place, locate
from headgate.gateway.plan import plan
from headgate.gateway.record import Reached
from headgate.gateway.request import Opening, Request
from headgate.gateway.session import Line, Session
from headgate.gateway.socket import ClientSocket, Refusal, SocketClosed, Sockets
from headgate.gateway.spoken import legs_of
from headgate.gateway.standby import Standby
from headgate.gateway.upstream import UpstreamRequest
from headgate.providers.base import Deployment, Outbound, TimeLimits
from headgate.records import Attempt, Ending
from headgate.routing.candidates import Candidates
from headgate.routing.models import Route


class Arrival(Struct, eq=False):
    """An upgrade that is being answered."""

    request: Request
    client: ClientSocket
    opening: Opening
    place: Place | None = None
    tried: list[Attempt] = field(default_factory=list)
    """To connect to a provider, in vain."""


class Sessions(Struct, frozen=True):
    """Serves sockets."""

    gateway: Gateway
    sockets: Sockets
    limits: TimeLimits = TimeLimits()
    drain_seconds: float = 60.0
    origins: frozenset[str] = frozenset()
    """Browser origins that may connect; "*" is any. None at all: no browser."""
    unused_seconds: float = 3600.0
    """A line on which nothing is said for so long is closed; providers close theirs after an hour as well."""
    _running: set[Session] = field(default_factory=set)

    async def serve(self, request: Request, client: ClientSocket) -> None:
        """Serve one socket to its end: every turn on it is settled and recorded when this returns."""
        arrival = Arrival(request, client, self.gateway.open(request))
        try:
            line = await self._connect(arrival, locate_socket(request))
        except HeadgateError as error:
            await self._refuse(arrival, error)
            return
        except SocketClosed:  # it did not wait for its answer
            await self._record(arrival, Forwarded(Ending.CLIENT_LEFT, CLIENT_CLOSED))
            return
        except asyncio.CancelledError:
            await self._refuse(arrival, Busy("The gateway is stopping."), Ending.GATEWAY_FAILED)
            return
        if line is None:
            return
        idle = (line.deployment.limits or self.limits).idle
        session = Session(self.gateway, line, self.drain_seconds, idle, unused_seconds=self.unused_seconds)
        self._running.add(session)
        try:
            await session.run()
        finally:
            self._running.discard(session)

    def cut(self) -> None:
        """Break off what still runs; each client is told that the gateway is stopping."""
        for session in list(self._running):
            session.cut()

    async def _connect(self, arrival: Arrival, place: Place) -> Line | None:
        """Both ends of the line; None where the provider refused its own, which the client has been told."""
        gateway, request, client, opening = self.gateway, arrival.request, arrival.client, arrival.opening
        arrival.place = place
        self._check_origin(request)
        holder = await gateway.door.holder(request)
        if not gateway.log.accepting:
            raise Busy("The gateway cannot write its records at the moment, so it takes no requests.")
        dialect, conversation = place.dialect, conversation_in(place.dialect)
        if dialect is None or conversation is None:
            raise UpgradeRefused("There is no WebSocket here. Use HTTP.")
        place = arrival.place = replace(place, model=place.model or _model_in(request.query))
        asked = Admission(request, place, Ask(model=place.model), holder, gateway.door.others(request))
        candidates = await self._candidates(asked, opening)
        if candidates is not None:
            found = await self._dialling(asked, opening, arrival.tried).among(candidates)
        else:
            home = self._home(asked)
            if conversation.client_first and self._may_name_alias(place):
                standby = Standby(partial(self._dial, home))
                await client.accept(to_client((), opening.exchange_id, resized=True, stream=False))
                return Line(request, place, holder, home.deployment, conversation, client, standby, standby=standby)
            found = await self._reach(asked, opening, home)
        if isinstance(found, Refused):
            answer = found.answer
            headers = to_client(answer.headers, opening.exchange_id, resized=True, stream=False)
            await client.refuse(answer.status, headers, answer.body)
            await self._record(arrival, Forwarded(Ending.REFUSED, answer.status))
            return None
        try:
            await client.accept(to_client(found.socket.headers, opening.exchange_id, resized=True, stream=False))
        except (SocketClosed, asyncio.CancelledError):
            await found.socket.close(1001)
            raise
        return Line(
            request, place, holder, found.deployment, conversation, client, found.socket, found.alias, found.target,
            tried=tuple(arrival.tried),
        )  # fmt: skip

    def _home(self, asked: Admission) -> Route:
        """Who serves where no alias is named. Raises what choosing does, and UpgradeRefused."""
        place, key = asked.place, asked.holder.key
        among = key.providers if key is not None else ()
        route = self.gateway.models.choose(_name(place), place.model, place.deployment, among=among)
        if key is not None:
            key.check_provider(route.deployment.name)
        if not _takes_socket(route.deployment, place):
            raise UpgradeRefused(f"Use HTTP here: {route.deployment.name} is not reached by WebSocket.")
        return route

    def _may_name_alias(self, place: Place) -> bool:
        """Whether a frame may name an alias, and so say whom the line is to lead to."""
        targets = (target for alias in self.gateway.models.list_aliases() for target in alias.targets)
        free = place.model is None and place.deployment is None
        return free and any(_takes_socket(target.deployment, place) for target in targets)

    async def _candidates(self, asked: Admission, opening: Opening) -> Candidates | None:
        """Those of the alias that is named; None where none is. Raises what planning does, and UpgradeRefused."""
        gateway, place, model = self.gateway, asked.place, asked.ask.model
        if model is None or place.deployment is not None or gateway.models.alias(model) is None:
            return None
        planned = await plan(asked, opening, gateway.models, gateway.trails, gateway.health)
        if isinstance(planned, Candidates) and not planned.keep(lambda target: _takes_socket(target.deployment, place)):
            raise UpgradeRefused(f"Use HTTP here: no target of '{model[:100]}' is reached by WebSocket.")
        return planned if isinstance(planned, Candidates) else None

    async def _dial(self, home: Route, asked: Admission, opening: Opening, tried: list[Attempt]) -> End:
        """The provider's end of a line whose client has asked for something, or said anything else, already."""
        asked = replace(asked, request=replace(asked.request, body=b""))  # a bridge keeps it for as long as it stands
        dialling, candidates = self._dialling(asked, opening, tried), await self._candidates(asked, opening)
        found = await (dialling.only(home) if candidates is None else dialling.among(candidates))
        if isinstance(found, Refused):
            status = found.answer.status
            raise UpstreamRefused(f"{found.deployment.name} refused its WebSocket with {status}.", answered=status)
        return found

    def _dialling(self, asked: Admission, opening: Opening, tried: list[Attempt]) -> Dialling:
        return Dialling(partial(self._reach, asked, opening), opening, self.gateway.clock.wall_ns, tried)

    async def _reach(self, asked: Admission, opening: Opening, route: Route) -> End | Refused:
        """Connect to a deployment. What is only reached by a bridge is, unless an alias has others: then it is seen."""
        place, deployment = asked.place, route.deployment
        if not deployment.speaks_socket(_name(place) or ""):
            bridge = self._bridge(asked, deployment)
            if asked.ask.model is not None and self.gateway.models.alias(asked.ask.model) is not None:
                await bridge.knock()
            return End(deployment, bridge)
        deployment = await self.gateway.forwarder.fresh(deployment)
        named = replace(asked.request, query=_with_model(asked.request.query, route.model))
        answer = await self.sockets.connect(self._upgrade(named, place, deployment, opening))
        return Refused(deployment, answer) if isinstance(answer, Refusal) else End(deployment, answer)

    def _bridge(self, asked: Admission, deployment: Deployment) -> Bridge:
        """The socket of a provider that speaks the dialect over HTTP."""
        request = asked.request
        gateway = self.gateway
        headers = [*to_upgrade(request.headers), (b"content-type", b"application/json"), _ACCEPTS]

        async def prepared(body: bytes, model: str | None) -> UpstreamRequest:
            ask = Ask(model=model, stream=True, input_bytes=len(body))
            post = replace(request, method="POST", headers=headers, body=body)
            admission = Admission(post, asked.place, ask, asked.holder, gateway.door.others(request))
            route = Route(await gateway.forwarder.fresh(deployment), model)
            return prepare(admission, route, self.limits, gateway.clock.wall_ns()).request

        return Bridge(gateway.forwarder.upstream, prepared, gateway.clock.new_id)

    def _check_origin(self, request: Request) -> None:
        """A page may not spend what its visitor's machine can reach, unless the operator lets it (CSWSH)."""
        origin = (request.header(b"origin") or b"").decode("latin-1")
        if origin and not self.origins & {origin, "*"}:
            raise Forbidden(f"Pages of {origin[:200]} may not connect here; the operator can allow it in `origins`.")

    def _upgrade(self, request: Request, place: Place, deployment: Deployment, opening: Opening) -> UpstreamRequest:
        """The upgrade as it goes on to the provider."""
        outbound = Outbound(
            method=b"GET",
            host=deployment.host_header,
            target=deployment.target(place.path, without_key(request.query), _name(place)),
            headers=to_upgrade(request.headers),
            body=b"",
            at_ns=opening.started_at_ns,
        )
        credential = (
            self.gateway.door.others(request) if deployment.client_keys else deployment.credential_headers(outbound)
        )
        headers = [*outbound.headers, *credential]
        limits = deployment.limits or self.limits
        return UpstreamRequest(b"GET", deployment.origin, outbound.host, outbound.target, headers, b"", limits)

    async def _refuse(self, arrival: Arrival, error: HeadgateError, ending: Ending = Ending.NEVER_SENT) -> None:
        dialect = arrival.place.dialect if arrival.place is not None else None
        body = dialect.error_body(error, arrival.opening.exchange_id) if dialect is not None else error.message.encode()
        kind = b"application/json" if dialect is not None else b"text/plain"
        with suppress(SocketClosed):
            await arrival.client.refuse(error.status, [(b"content-type", kind), *error.headers], body)
        await self._record(arrival, Forwarded(ending, error.status, error=error))

    async def _record(self, arrival: Arrival, forwarded: Forwarded) -> None:
        reached = Reached(arrival.place, legs=legs_of(arrival.tried))
        await self.gateway.close(arrival.opening, arrival.request, reached, forwarded, None)


def _takes_socket(deployment: Deployment, place: Place) -> bool:
    """Whether a line can lead to a deployment: it has WebSockets of its own, or answers by HTTP what is posted."""
    dialect = _name(place) or ""
    posted = place.operation is not None and place.operation.method == "POST" and deployment.speaks(dialect)
    return deployment.speaks_socket(dialect) or (posted and deployment.websocket)


def _model_in(query: bytes) -> str | None:
    """The model that an upgrade's query names, as Realtime's does."""
    return dict(parse_qsl(query.decode("latin-1"))).get("model")


def _with_model(query: bytes, model: str | None) -> bytes:
    """The query with the model named as the provider knows it; unchanged where it says that already, or no model."""
    given = _model_in(query)
    if model is None or given is None or given == model:
        return query
    parts = query.split(b"&")
    return b"&".join(
        b"model=" + quote(model, safe="").encode() if unquote_plus(part.partition(b"=")[0].decode("latin-1")) == "model"
        else part
        for part in parts
    )  # fmt: skip


_ACCEPTS = (b"accept", b"text/event-stream")


def locate_socket(request: Request) -> Place:
    """What an upgrade is addressed to. Raises UpgradeRefused where no dialect is spoken over a socket."""
    for method in ("POST", "GET"):  # Responses are asked for by POST where there is no socket
        with suppress(HeadgateError):
            place = locate(replace(request, method=method))
            if conversation_in(place.dialect) is not None:
                return place
    raise UpgradeRefused("There is no WebSocket here. Use HTTP.")


def _name(place: Place) -> str | None:
    return place.dialect.name if place.dialect is not None else None
