"""A WebSocket's beginning: who asks, who serves, and both ends of the line."""

import asyncio
from contextlib import suppress
from urllib.parse import parse_qsl, quote, unquote_plus

from msgspec import Struct, field
from msgspec.structs import replace

from headgate.dialects.base import Ask
from headgate.dialects.conversation import conversation_in
from headgate.errors import Busy, Forbidden, HeadgateError, UpgradeRefused
from headgate.gateway.admit import Admission
from headgate.gateway.answering import CLIENT_CLOSED, Forwarded
from headgate.gateway.bridge import Bridge
from headgate.gateway.exchange import Gateway
from headgate.gateway.forward import prepare
from headgate.gateway.headers import EXCHANGE_ID, to_client, to_upgrade, without_key
from headgate.gateway.holder import Holder
from headgate.gateway.locate import Place, locate
from headgate.gateway.record import Reached
from headgate.gateway.request import Opening, Request
from headgate.gateway.session import Line, Session
from headgate.gateway.socket import ClientSocket, Refusal, SocketClosed, Sockets
from headgate.gateway.upstream import UpstreamRequest
from headgate.providers.base import Deployment, Outbound, TimeLimits
from headgate.records import Ending
from headgate.routing.models import Route


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
        opening = self.gateway.open(request)
        place: Place | None = None
        try:
            place = locate_socket(request)
            line = await self._connect(request, place, client, opening)
        except HeadgateError as error:
            await self._refuse(error, request=request, place=place, client=client, opening=opening)
            return
        except SocketClosed:  # it did not wait for its answer
            await self._record(request, place, opening, Forwarded(Ending.CLIENT_LEFT, CLIENT_CLOSED))
            return
        except asyncio.CancelledError:
            stopping = Busy("The gateway is stopping.")
            await self._refuse(
                stopping, request=request, place=place, client=client, opening=opening, ending=Ending.GATEWAY_FAILED
            )
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

    async def _connect(self, request: Request, place: Place, client: ClientSocket, opening: Opening) -> Line | None:
        """Both ends of the line; None where the provider refused its own, which the client has been told."""
        gateway = self.gateway
        self._check_origin(request)
        holder = await gateway.door.holder(request)
        if not gateway.log.accepting:
            raise Busy("The gateway cannot write its records at the moment, so it takes no requests.")
        dialect, conversation = place.dialect, conversation_in(place.dialect)
        if dialect is None or conversation is None:
            raise UpgradeRefused("There is no WebSocket here. Use HTTP.")
        place = replace(place, model=place.model or _model_in(request.query))
        among = holder.key.providers if holder.key is not None else ()
        route = gateway.models.choose(dialect.name, place.model, place.deployment, among=among)
        if holder.key is not None:
            holder.key.check_provider(route.deployment.name)
        if not route.deployment.speaks_socket(dialect.name):
            bridge = self._bridge(request, place, holder, route.deployment)
            await client.accept([(EXCHANGE_ID, opening.exchange_id.encode())])
            return Line(request, place, holder, route.deployment, conversation, client, bridge)
        deployment = await gateway.forwarder.fresh(route.deployment)
        named = replace(request, query=_with_model(request.query, route.model))
        answer = await self.sockets.connect(self._upgrade(named, place, deployment, opening))
        if isinstance(answer, Refusal):
            headers = to_client(answer.headers, opening.exchange_id, resized=True, stream=False)
            await client.refuse(answer.status, headers, answer.body)
            await self._record(request, place, opening, Forwarded(Ending.REFUSED, answer.status))
            return None
        try:
            await client.accept(to_client(answer.headers, opening.exchange_id, resized=True, stream=False))
        except (SocketClosed, asyncio.CancelledError):
            await answer.close(1001)
            raise
        return Line(request, place, holder, deployment, conversation, client, answer)

    def _bridge(self, request: Request, place: Place, holder: Holder, deployment: Deployment) -> Bridge:
        """The socket of a provider that speaks the dialect over HTTP. Raises UpgradeRefused where it may not be."""
        if not deployment.websocket or place.operation is None or place.operation.method != "POST":
            raise UpgradeRefused(f"Use HTTP here: {deployment.name} is not reached by WebSocket.")
        gateway = self.gateway
        headers = [*to_upgrade(request.headers), (b"content-type", b"application/json"), _ACCEPTS]

        async def prepared(body: bytes, model: str | None) -> UpstreamRequest:
            ask = Ask(model=model, stream=True, input_bytes=len(body))
            asked = replace(request, method="POST", headers=headers, body=body)
            admission = Admission(asked, place, ask, holder, gateway.door.others(request))
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

    async def _refuse(
        self,
        error: HeadgateError,
        *,
        request: Request,
        place: Place | None,
        client: ClientSocket,
        opening: Opening,
        ending: Ending = Ending.NEVER_SENT,
    ) -> None:
        dialect = place.dialect if place is not None else None
        body = dialect.error_body(error, opening.exchange_id) if dialect is not None else error.message.encode()
        kind = b"application/json" if dialect is not None else b"text/plain"
        with suppress(SocketClosed):
            await client.refuse(error.status, [(b"content-type", kind), *error.headers], body)
        await self._record(request, place, opening, Forwarded(ending, error.status, error=error))

    async def _record(self, request: Request, place: Place | None, opening: Opening, forwarded: Forwarded) -> None:
        await self.gateway.close(opening, request, Reached(place), forwarded, None)


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
