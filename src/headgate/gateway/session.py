"""The life of a WebSocket, readable aloud.

    A client asks for an upgrade. We find which API it speaks, who asks, and who serves it, connect to that provider,
    and accept the client with the provider's own headers. From then on frames pass both ways as they are. A frame
    that asks for a response is an exchange of its own, a turn: money is set aside before it goes on, and settled when
    its response has ended. What does not pass because the client may not, or cannot pay, is told in the dialect's own
    error frame, and the socket stays open. When either end closes, every turn still open is settled.

One client socket has one upstream socket for good: the provider keeps its state on it (facts/wire.md section 3).
"""

import asyncio
import logging
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from headgate.dialects.base import Ask
from headgate.dialects.conversation import Conversation, Turn
from headgate.errors import Busy, HeadgateError, UpstreamUnreachable
from headgate.gateway.admit import Admission
from headgate.gateway.answering import CLIENT_CLOSED, Forwarded, unreported
from headgate.gateway.exchange import Gateway
from headgate.gateway.hold import Held
from headgate.gateway.holder import Holder
from headgate.gateway.live import Running
from headgate.gateway.locate import Place
from headgate.gateway.record import Reached
from headgate.gateway.request import Opening, Request
from headgate.gateway.socket import BinaryFrame, ClientSocket, SocketClosed, UpstreamSocket
from headgate.gateway.tape import Tape
from headgate.providers.base import Deployment, OnClientGone
from headgate.records import Attempt, Ending
from headgate.routing.models import Route
from headgate.usage import Reading

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


class Spoken(Struct, eq=False):
    """A turn, from its asking to its settlement; None is where it did not get."""

    opening: Opening
    admission: Admission
    turn: Turn | None
    """None for a frame of which nobody can tell what it asks."""
    sent: bool
    """The provider knows of it: its frame went out, or the provider began it by itself."""
    frame: bytes = b""
    """As it went on."""
    route: Route | None = None
    placing: asyncio.Task[Held | None] | None = None
    """Its hold, which is placed to the end though the line may end meanwhile: only so can its record tell of it."""
    running: Running | None = None
    """Once its hold is placed."""
    error: HeadgateError | None = None
    """Why it may not be."""
    tape: Tape | None = None
    first_byte_ns: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0


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
        if turn is not None:
            spoken = self._opened(turn, frame)
            try:
                route = await self._let_in(spoken, turn)
            except HeadgateError as error:
                await self._turn_down(spoken, error)
                return
            line.conversation.send(turn)
            if route.model is not None and route.model != turn.ask.model:
                frame = line.conversation.with_model(frame, route.model)
        self._last = asyncio.get_running_loop().time()
        await line.upstream.send(frame)
        if spoken is not None:
            spoken.sent, spoken.frame = True, frame

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
        spoken = Spoken(opening, admission, turn, sent=turn is not None and turn.unasked)
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
        return route

    def _route(self, ask: Ask) -> Route:
        """The line's own deployment, whatever the model: what the provider keeps of the socket is there."""
        line = self._line
        dialect = line.place.dialect.name if line.place.dialect is not None else None
        route = self._gateway.models.choose(dialect, ask.model or line.place.model, line.deployment.name)
        return replace(route, deployment=line.deployment)

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
        reached = Reached(admission.place, admission)
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
        opening, admission, route, running = spoken.opening, spoken.admission, spoken.route, spoken.running
        error, reading = spoken.error, turn.finish()
        sent = spoken.sent or turn.began or turn.ended
        if turn.ended or ending is None:
            ending = _ending_of(turn, reading)
        elif not sent:
            error, ending = _why_unsent(ending), Ending.NEVER_SENT
        else:
            reading = unreported(reading, turn.ask)
        status = error.status if error is not None else 200 if sent else CLIENT_CLOSED
        answered = (Attempt(route.deployment.name, 200, 0, opening.now()),) if sent and route is not None else ()
        forwarded = Forwarded(
            ending,
            status,
            upstream_status=200 if sent else None,
            reading=reading,
            attempts=answered,
            first_byte_ns=spoken.first_byte_ns,
            bytes_in=spoken.bytes_in,
            bytes_out=spoken.bytes_out,
            error=error,
        )
        reached = Reached(admission.place, admission, route, await _placed(spoken))
        await self._gateway.close(opening, admission.request, reached, forwarded, running)
        self._gateway.take(opening, admission, route, spoken.tape)


async def _placed(spoken: Spoken) -> Held | None:
    """The hold of a turn that is over. None where it was refused, or the gateway gives up: then it is given back."""
    try:
        return None if spoken.placing is None else await spoken.placing
    except (HeadgateError, asyncio.CancelledError):
        return None


def _ending_of(turn: Turn, reading: Reading) -> Ending:
    """What the settlement table calls a turn whose last frame has come."""
    if reading.in_stream_error is None:
        return Ending.COMPLETE
    return Ending.UPSTREAM_ERROR if turn.began else Ending.REFUSED


def _why_unsent(ending: Ending) -> HeadgateError | None:
    """What kept a turn from its provider, by how its line ended."""
    match ending:
        case Ending.CLIENT_LEFT:
            return None
        case Ending.UPSTREAM_CUT:
            return UpstreamUnreachable("The provider's connection was gone before this could be sent.")
        case _:
            return Busy("The gateway is stopping.")


def _went_well(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
