"""The life of a WebSocket, readable aloud.

    A client asks for an upgrade. We find which API it speaks, who asks, and who serves it, connect to that provider,
    and accept the client with the provider's own headers. From then on frames pass both ways as they are. A frame
    that asks for a response is an exchange of its own, a turn: money is set aside before it goes on, and settled when
    its response has ended. What does not pass because the client may not, or cannot pay, is told in the dialect's own
    error frame, and the socket stays open. When either end closes, every turn still open is settled.

One client socket has one upstream socket for good: the provider keeps its state on it (facts/wire.md section 3). Until
it stands, an alias's next target makes up for one that cannot be reached.
"""

import asyncio
import logging
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from headgate.dialects.base import Ask
from headgate.dialects.conversation import Conversation, Turn
from headgate.errors import Busy, HeadgateError
from headgate.gateway.admit import Admission
from headgate.gateway.answering import Forwarded
from headgate.gateway.exchange import Gateway
from headgate.gateway.holder import Holder
from headgate.gateway.live import Running
from headgate.gateway.locate import Place
from headgate.gateway.record import Reached
from headgate.gateway.request import Request
from headgate.gateway.socket import BinaryFrame, ClientSocket, SocketClosed, UpstreamSocket
from headgate.gateway.spoken import Pulse, Spoken, legs_of
from headgate.gateway.standby import Standby
from headgate.gateway.tape import Tape
from headgate.providers.base import Deployment, OnClientGone
from headgate.records import Attempt, Ending
from headgate.routing.aliases import Alias, Target
from headgate.routing.models import Route

_log = logging.getLogger("headgate.session")


class Line(Struct, frozen=True):
    """A socket that stands: who is at its two ends, and in which language."""

    request: Request
    place: Place
    holder: Holder
    deployment: Deployment
    conversation: Conversation
    client: ClientSocket
    upstream: UpstreamSocket
    alias: Alias | None = None
    target: Target | None = None
    """The alias's, where one led to this deployment."""
    standby: Standby | None = None
    """The provider's end, as long as it leads nowhere: then the deployment is who serves where no alias is named."""
    tried: tuple[Attempt, ...] = ()
    """To connect, in vain, before this line stood; they are the first turn's to tell of."""


class Session:
    """One line, until either end closes it."""

    def __init__(
        self, gateway: Gateway, line: Line, drain_seconds: float, idle_seconds: float, *, unused_seconds: float
    ) -> None:
        """`idle_seconds`: how long a provider may be silent that owes an answer; `unused_seconds`: how long both."""
        self._gateway = gateway
        self._line = line
        self._drain_seconds = drain_seconds
        self._idle_seconds = idle_seconds
        self._unused_seconds = unused_seconds
        self._last = 0.0
        """On the event loop's clock: when a frame last went on to the provider, or came from it."""
        self._tried = list(line.tried)
        self._spoken: dict[Turn, Spoken] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._client_end: SocketClosed | BinaryFrame | None = None
        self._upstream_end: SocketClosed | BinaryFrame | None = None
        self._cut = asyncio.Event()

    async def run(self) -> None:
        """Pass frames both ways until the line is closed; then settle what is open."""
        outgoing = asyncio.create_task(self._outgoing())
        incoming = asyncio.create_task(self._incoming())
        cut = asyncio.create_task(self._cut.wait())
        try:
            await asyncio.wait({outgoing, incoming, cut}, return_when=asyncio.FIRST_COMPLETED)
            if _went_well(outgoing) and (self._client_end is None or self._drains):  # the provider has more to say
                await asyncio.wait({incoming, cut}, timeout=self._drain_seconds, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._cut.set()
            raise
        finally:
            for task in (outgoing, incoming, cut):
                task.cancel()
            await asyncio.gather(outgoing, incoming, return_exceptions=True)
            ending = self._ending(outgoing, incoming)
            for spoken in list(self._spoken.values()):
                self._settle(spoken, ending)
            try:
                await self._hang_up()
            finally:  # cancelled, each of them spills
                await asyncio.gather(*self._settling, return_exceptions=True)

    def cut(self) -> None:
        """The gateway stops: end the line now, and settle what is open."""
        self._cut.set()

    @property
    def _drains(self) -> bool:
        """Whether what is open is heard to its end, though its client has left."""
        owed = any(spoken.sent for spoken in self._spoken.values())
        return owed and self._line.deployment.on_client_gone is OnClientGone.DRAIN

    def _ending(self, *tasks: asyncio.Task[None]) -> Ending:
        """How the turns ended that are still open."""
        faults = [task.exception() for task in tasks if not (_went_well(task) or task.cancelled())]
        for fault in faults:
            _log.error("a socket's session failed", exc_info=fault)
        if self._client_end is not None:
            return Ending.CLIENT_LEFT
        return Ending.GATEWAY_FAILED if faults or self._cut.is_set() else Ending.UPSTREAM_CUT

    async def _hang_up(self) -> None:
        """Each end is told what the other said."""
        client, upstream = self._line.client, self._line.upstream
        match self._client_end:
            case BinaryFrame():
                await client.close(1003, "Text frames only.")
            case SocketClosed() as closed:
                await upstream.close(closed.code, closed.reason)
            case None if self._cut.is_set():
                await client.close(1012, "The gateway is stopping.")
        if isinstance(self._upstream_end, SocketClosed):
            await client.close(self._upstream_end.code, self._upstream_end.reason)
        await client.close(1011, "The provider's connection was lost.")
        await upstream.close(1001)

    async def _outgoing(self) -> None:
        """The client's frames, until either end is gone."""
        while self._client_end is None:
            try:
                frame = await self._line.client.receive()
            except (SocketClosed, BinaryFrame) as end:
                self._client_end = end
                return
            try:
                await self._pass_on(frame)
            except SocketClosed:  # what the provider said before that, and how it ended, is still to be heard
                return

    async def _pass_on(self, frame: bytes) -> None:
        """A client's frame to the provider; what may not pass is turned down. Raises SocketClosed: it was not sent."""
        line, spoken = self._line, None
        try:
            turn = line.conversation.ask(frame)
        except HeadgateError as error:
            await self._turn_down(self._opened(None, frame), error)
            return
        if turn is not None or line.standby is not None:
            spoken = self._opened(turn, frame)
            try:
                await self._stand(spoken)
                route = None if turn is None else await self._let_in(spoken, turn)
            except HeadgateError as error:
                await self._turn_down(spoken, error)
                return
            if turn is not None and route is not None:
                frame = self._asking(turn, route, frame)
        self._last = asyncio.get_running_loop().time()
        await line.upstream.send(frame)
        if spoken is not None:
            spoken.sent, spoken.frame = True, frame

    def _asking(self, turn: Turn, route: Route, frame: bytes) -> bytes:
        """A frame that asks, as it goes on."""
        conversation = self._line.conversation
        conversation.send(turn)
        if route.model is None or route.model == turn.ask.model:
            return frame
        return conversation.with_model(frame, route.model)

    async def _stand(self, spoken: Spoken) -> None:
        """Have the line lead to a provider, if it does not yet. Raises what dialling does."""
        line = self._line
        if line.standby is not None:
            self._last = asyncio.get_running_loop().time()
            end = await line.standby.stand(spoken.admission, spoken.opening, spoken.tried)
            self._line = replace(line, deployment=end.deployment, alias=end.alias, target=end.target, standby=None)

    async def _tell(self, frame: bytes) -> int:
        """Send to the client, unless it has left; returns the bytes that went out."""
        if self._client_end is not None:
            return 0
        try:
            await self._line.client.send(frame)
        except SocketClosed as end:
            self._client_end = end
            return 0
        return len(frame)

    def _opened(self, turn: Turn | None, frame: bytes) -> Spoken:
        """An exchange begins. From here on the line's end settles it, wherever it stands then."""
        line = self._line
        ask = Ask() if turn is None else turn.ask
        admission = Admission(replace(line.request, body=frame), line.place, ask, line.holder)
        opening = self._gateway.open(line.request)
        spoken = Spoken(opening, admission, turn, sent=turn is not None and turn.unasked, tried=self._tried)
        self._tried = []
        if turn is not None:
            self._spoken[turn] = spoken
        return spoken

    async def _let_in(self, spoken: Spoken, turn: Turn) -> Route:
        """Set money aside for a turn. Raises what the holder, the route and `place` do.

        The holder is looked up anew: a key that has been revoked opens no more turns on a socket that stands, whoever
        begins them.
        """
        gateway = self._gateway
        route = spoken.route = self._route(turn.ask)
        if not gateway.log.accepting:
            raise Busy("The gateway cannot write its records at the moment, so it takes no requests.")
        holder = await gateway.door.holder(self._line.request)
        admission = spoken.admission = replace(spoken.admission, holder=holder)
        if holder.key is not None:
            holder.key.check_provider(route.deployment.name)
            holder.key.check_model(turn.ask.model or self._line.place.model, route.model)
        spoken.placing = asyncio.create_task(gateway.holds.place(admission, route, spoken.opening, sent=True))
        held = await asyncio.shield(spoken.placing)
        spoken.running = Running(spoken.opening, admission, route, held, gateway.appraiser, turn)
        gateway.live.add(spoken.running)
        spoken.tape = self._tape(spoken)
        if self._alias(turn.ask) is not None:
            spoken.pulse = Pulse(gateway.health, route, spoken.opening)
        return route

    def _route(self, ask: Ask) -> Route:
        """The line's own deployment, whatever the model: what the provider keeps of the socket is there."""
        line = self._line
        if line.target is not None and self._alias(ask) is line.alias:
            return Route(line.deployment, line.target.model)
        dialect = line.place.dialect.name if line.place.dialect is not None else None
        route = self._gateway.models.choose(dialect, ask.model or line.place.model, line.deployment.name)
        return replace(route, deployment=line.deployment)

    def _alias(self, ask: Ask) -> Alias | None:
        """What a turn's model names, if it is one of the operator's own."""
        model = ask.model or self._line.place.model
        return None if model is None else self._gateway.models.alias(model)

    def _tape(self, spoken: Spoken) -> Tape | None:
        """A tape for a turn; one that the provider began by itself has no request."""
        tape = self._gateway.tape(spoken.admission)
        if tape is not None and spoken.turn is not None and spoken.turn.unasked:
            tape.request = b""
        return tape

    async def _turn_down(self, spoken: Spoken, error: HeadgateError) -> None:
        """Nothing of the client's frame went on; the socket stays open."""
        if spoken.turn is not None:
            del self._spoken[spoken.turn]
        opening, admission = spoken.opening, spoken.admission
        told = self._line.conversation.refusal(error, opening.exchange_id, spoken.turn or admission.request.body)
        reached = Reached(admission.place, admission, legs=legs_of(spoken.tried))
        forwarded = Forwarded(Ending.NEVER_SENT, error.status, bytes_out=len(told), error=error)
        await self._gateway.close(opening, admission.request, reached, forwarded, None)
        spoken.tape = self._tape(spoken)
        if await self._tell(told) and spoken.tape is not None:
            spoken.tape.line(told)
        self._gateway.take(opening, admission, None, spoken.tape)

    async def _incoming(self) -> None:
        """The provider's frames, until either end is gone, or nobody waits for them any more."""
        while self._upstream_end is None and (self._client_end is None or self._drains):
            try:
                frame = await self._next()
            except (SocketClosed, BinaryFrame) as end:
                self._upstream_end = end
                return
            await self._hear(frame)

    async def _next(self) -> bytes:
        """The provider's next frame. Raises SocketClosed, also in its place where it, or both ends, fell silent."""
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        while True:
            limit = self._idle_seconds if self._spoken else self._unused_seconds
            if loop.time() - self._last >= limit:
                if self._spoken:
                    raise SocketClosed(1011, "The provider fell silent in the middle of its answer.")
                raise SocketClosed(1001, "Nothing was said for too long.")
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._idle_seconds, self._unused_seconds)):
                    return await self._line.upstream.receive()

    async def _hear(self, frame: bytes) -> None:
        heard = self._line.conversation.hear(frame)
        spoken = None if heard.turn is None else self._spoken.get(heard.turn)
        if spoken is None and heard.turn is not None and heard.turn.unasked:
            spoken = await self._unasked(heard.turn, frame)
            if spoken.error is not None:
                return
        if spoken is not None:
            spoken.bytes_in += len(frame)
            spoken.first_byte_ns = spoken.first_byte_ns or spoken.opening.now()
            if spoken.pulse is not None and heard.turn is not None:
                spoken.pulse.heard(heard.turn, frame)
        told = await self._tell(frame)
        if spoken is not None:
            spoken.bytes_out += told
            if told and spoken.tape is not None:
                spoken.tape.line(frame)
            if heard.ends:
                self._settle(spoken, None)

    async def _unasked(self, turn: Turn, frame: bytes) -> Spoken:
        """A turn that the provider began by itself: it is let in like any other, or the line ends here.

        The provider works on it by then, so what it has used is on record either way; without a hold nobody pays it.
        """
        spoken = self._opened(turn, frame)
        try:
            await self._let_in(spoken, turn)
        except HeadgateError as error:
            spoken.error, spoken.bytes_in = error, len(frame)
            spoken.tape = self._tape(spoken)
            told = self._line.conversation.refusal(error, spoken.opening.exchange_id, turn)
            spoken.bytes_out = await self._tell(told)
            if spoken.bytes_out and spoken.tape is not None:
                spoken.tape.line(told)
            self._upstream_end = SocketClosed(1013 if isinstance(error, Busy) else 1008, error.message)
        return spoken

    def _settle(self, spoken: Spoken, ending: Ending | None) -> None:
        """Settle a turn in a task of its own; without an ending its own frames tell how it ended."""
        if spoken.turn is not None:
            del self._spoken[spoken.turn]
            spoken.sent = spoken.sent and not self._line.upstream.holds_back(spoken.frame)
            task = asyncio.create_task(self._close(spoken, spoken.turn, ending))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def _close(self, spoken: Spoken, turn: Turn, ending: Ending | None) -> None:
        admission, route, forwarded = spoken.admission, spoken.route, spoken.concluded(turn, ending)
        held, legs = await spoken.placed(), legs_of(spoken.tried)
        reached = Reached(admission.place, admission, route, held, legs)
        await self._gateway.close(spoken.opening, admission.request, reached, forwarded, spoken.running)
        self._gateway.take(spoken.opening, admission, route, spoken.tape)


def _went_well(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
