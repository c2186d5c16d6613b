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
from dataclasses import dataclass, replace

from headgate.dialects.base import Ask
from headgate.dialects.conversation import Conversation, Turn
from headgate.errors import Busy, HeadgateError
from headgate.gateway.admit import Admission
from headgate.gateway.answering import Forwarded, unreported
from headgate.gateway.exchange import Gateway
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


@dataclass(frozen=True, slots=True)
class Line:
    """A socket that stands: who is at its two ends, and in which language."""

    request: Request
    place: Place
    holder: Holder
    deployment: Deployment
    conversation: Conversation
    client: ClientSocket
    upstream: UpstreamSocket


@dataclass(slots=True, eq=False)
class Spoken:
    """A turn under way."""

    running: Running
    turn: Turn
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
        line = self._line
        return line.deployment.on_client_gone is OnClientGone.DRAIN and bool(line.conversation.open)

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
        line = self._line
        while self._client_end is None:
            try:
                frame = await line.client.receive()
            except (SocketClosed, BinaryFrame) as end:
                self._client_end = end
                return
            passed = await self._asked(frame)
            if passed is not None:
                self._last = asyncio.get_running_loop().time()
                try:
                    await line.upstream.send(passed)
                except SocketClosed:  # what it said before that, and how it ended, is still to be heard
                    return

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

    async def _asked(self, frame: bytes) -> bytes | None:
        """A client's frame as it goes on; None for one that was turned down, and the client told so."""
        opening = self._gateway.open(self._line.request)
        admission = Admission(replace(self._line.request, body=frame), self._line.place, Ask(), self._holder)
        turn: Turn | None = None
        try:
            turn = self._line.conversation.ask(frame)
            if turn is None:
                return frame
            admission = replace(admission, ask=turn.ask)
            return await self._begin(turn, admission, opening)
        except HeadgateError as error:
            await self._turn_down(error, opening, admission, turn or frame)
            return None

    @property
    def _holder(self) -> Holder:
        return self._line.holder

    async def _begin(self, turn: Turn, admission: Admission, opening: Opening) -> bytes:
        """Set money aside for a turn; returns its frame as it goes on. Raises what the holder, the route, `place` do.

        The holder is looked up anew: a key that has been revoked opens no more turns on a socket that stands.
        """
        if not self._gateway.log.accepting:
            raise Busy("The gateway cannot write its records at the moment, so it takes no requests.")
        admission = replace(admission, holder=await self._gateway.door.holder(self._line.request))
        route = self._route(turn.ask, admission.holder)
        await self._place(turn, admission, route, opening)
        self._line.conversation.send(turn)
        frame = admission.request.body
        if route.model is not None and route.model != turn.ask.model:
            frame = self._line.conversation.with_model(frame, route.model)
        return frame

    def _route(self, ask: Ask, holder: Holder) -> Route:
        """The line's own deployment, whatever the model: what the provider keeps of the socket is there."""
        line = self._line
        dialect = line.place.dialect.name if line.place.dialect is not None else None
        route = self._gateway.models.choose(dialect, ask.model or line.place.model, line.deployment.name)
        if holder.key is not None:
            holder.key.check_provider(line.deployment.name)
            holder.key.check_model(ask.model or line.place.model, route.model)
        return replace(route, deployment=line.deployment)

    async def _place(self, turn: Turn, admission: Admission, route: Route, opening: Opening) -> Spoken:
        held = await self._gateway.holds.place(admission, route, opening, sent=True)
        running = Running(opening, admission, route, held, meter=turn)
        self._gateway.live.add(running)
        spoken = self._spoken[turn] = Spoken(running, turn, self._tape(admission, asked=not turn.unasked))
        return spoken

    def _tape(self, admission: Admission, *, asked: bool = True) -> Tape | None:
        """A tape for a turn; one that the provider began by itself has no request."""
        tape = self._gateway.tape(admission)
        if tape is not None and not asked:
            tape.request = b""
        return tape

    async def _turn_down(
        self, error: HeadgateError, opening: Opening, admission: Admission, about: Turn | bytes
    ) -> None:
        """Nothing of the frame went on; the socket stays open."""
        told = self._line.conversation.refusal(error, opening.exchange_id, about)
        reached = Reached(admission.place, admission)
        forwarded = Forwarded(Ending.NEVER_SENT, error.status, bytes_out=len(told), error=error)
        await self._gateway.close(opening, admission.request, reached, forwarded, None)
        tape = self._tape(admission)
        if await self._tell(told) and tape is not None:
            tape.line(told)
        self._gateway.take(opening, admission, None, tape)

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
            if spoken is None:
                return
        if spoken is not None:
            spoken.bytes_in += len(frame)
            spoken.first_byte_ns = spoken.first_byte_ns or spoken.running.opening.now()
        told = await self._tell(frame)
        if spoken is not None:
            spoken.bytes_out += told
            if told and spoken.tape is not None:
                spoken.tape.line(frame)
            if heard.ends:
                self._settle(spoken, None)

    async def _unasked(self, turn: Turn, frame: bytes) -> Spoken | None:
        """A turn that the provider began by itself: it is held for like any other, or the line ends here."""
        opening, ask = self._gateway.open(self._line.request), turn.ask
        admission = Admission(replace(self._line.request, body=frame), self._line.place, ask, self._holder)
        try:
            return await self._place(turn, admission, self._route(ask, self._holder), opening)
        except HeadgateError as error:
            await self._turn_down(error, opening, admission, turn)
            self._upstream_end = SocketClosed(1008, error.message)
            return None

    def _settle(self, spoken: Spoken, ending: Ending | None) -> None:
        """Settle a turn in a task of its own; without an ending its own frames tell how it ended."""
        self._spoken.pop(spoken.turn, None)
        task = asyncio.create_task(self._close(spoken, ending))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _close(self, spoken: Spoken, ending: Ending | None) -> None:
        running, turn = spoken.running, spoken.turn
        reading = turn.finish()
        if not turn.ended:
            reading = unreported(reading, turn.ask)
        ended = running.opening.now()
        name = running.route.deployment.name
        forwarded = Forwarded(
            ending or _ending_of(turn, reading),
            200,
            upstream_status=200,
            reading=reading,
            attempts=(Attempt(name, 200, 0, ended),),
            first_byte_ns=spoken.first_byte_ns,
            bytes_in=spoken.bytes_in,
            bytes_out=spoken.bytes_out,
        )
        admission = running.admission
        reached = Reached(admission.place, admission, running.route, running.held)
        await self._gateway.close(running.opening, admission.request, reached, forwarded, running)
        self._gateway.take(running.opening, admission, running.route, spoken.tape)


def _ending_of(turn: Turn, reading: Reading) -> Ending:
    """What the settlement table calls a turn whose last frame has come."""
    if reading.in_stream_error is None:
        return Ending.COMPLETE
    return Ending.UPSTREAM_ERROR if turn.began else Ending.REFUSED


def _went_well(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
