"""An answer on its way to the client: its head, its body, its end, and what it turns out to have been.

Every path out of here has told the client something true: the provider's own answer, a whole error in the client's
dialect, an error frame inside a stream that had begun, or a broken connection where nothing honest can be added.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from headgate.dialects.base import Answer, Ask, FrameFilter
from headgate.errors import Busy, HeadgateError, UpstreamCut, UpstreamUnreachable
from headgate.gateway.admit import Admission
from headgate.gateway.answer import answer_error, tell_failure
from headgate.gateway.appraise import Appraisal
from headgate.gateway.envelope import Envelope
from headgate.gateway.headers import to_client, value_of
from headgate.gateway.holdback import HoldBack
from headgate.gateway.keepalive import KeepAlive
from headgate.gateway.live import Running
from headgate.gateway.rates import rate_headers, without_rates
from headgate.gateway.receipt import ANNOUNCED, Trailers, comment, receipt, takes_comment, takes_trailers
from headgate.gateway.relay import Patience, Relayed, Watch, relay
from headgate.gateway.request import Client, ClientGone, Opening
from headgate.gateway.spare import Spare
from headgate.gateway.upstream import Call, CallAborted, Head, Headers
from headgate.records import Attempt, Ending
from headgate.usage import Basis, Estimate, Reading


class Forwarded(Struct, frozen=True):
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
    counted: bool = False
    """Its usage belongs in the totals."""
    appraisal: Appraisal | None = None
    """None until it is concluded."""
    untold: bool = False
    """The client has been told nothing of it: another attempt follows, or an earlier one's answer is told."""


Conclude = Callable[[Forwarded], Awaitable[Forwarded]]
"""Gives a Forwarded its appraisal, so that the client can be told it."""


_SSE = "text/event-stream"
_CUT_SHORT = {"unterminated_frame", "corrupt_frame", "undecodable_encoding", "not_json"}
"""What a meter notes where it does not stand between two frames, or cannot know."""

CLIENT_CLOSED = 499
"""The status on record where the client left before one was sent (nginx's convention)."""


async def unanswered(
    cause: HeadgateError | CallAborted, call: Call, client: Client, admission: Admission, opening: Opening
) -> Forwarded:
    """No head came: the upstream failed, or the client left first."""
    if isinstance(cause, HeadgateError):
        unsent = isinstance(cause, UpstreamUnreachable) or not call.sent
        ending = Ending.NEVER_SENT if unsent else Ending.UPSTREAM_CUT
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


class Answering:
    """An answer whose head has come, on its way to the client."""

    def __init__(
        self, running: Running, head: Head, strip: FrameFilter | None, trailers: Trailers, conclude: Conclude
    ) -> None:
        self._running = running
        self._admission = admission = running.admission
        self._opening = running.opening
        self._conclude = conclude
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
        running.meter, running.answered = meter, True
        self._watch = Watch(meter, strip if self._streams else None)
        told = meter is not None and head.status < 400
        self._encloses = told and not self._streams and not admission.ask.stream
        self._trails = told and not self._encloses and takes_trailers(admission.request, trailers)
        self._comments = told and self._streams and self._stream_type == _SSE and takes_comment(admission.request)
        other = dialect.other_stream_type if dialect is not None and told and admission.ask.stream else None
        self._pieces = (
            other is not None and self._answer.content_type.startswith(other) and not self._answer.content_encoding
        )
        """It is a stream of the other type, so that the meter knows what can follow in it."""
        self._started = False
        self._given_up = False

    async def pass_on(self, call: Call, client: Client, patience: Patience, spare: Spare | None = None) -> Forwarded:
        """Head, body and end to the client; or nothing at all, where a spare can make up for what came."""
        envelope = Envelope(client) if self._encloses else None
        beginning = self._beginning(call, client, spare)
        to = envelope or beginning or client
        self._watch = self._watch_silence(patience)
        try:
            with suppress(ClientGone):  # the relay finds out by itself, and the policy decides whether it reads on
                await to.start(self._head.status, self._headers(), trailers=self._trails)
            relayed = await relay(call, to, self._watch, self._opening.now, patience)
        finally:
            if beginning is not None:
                beginning.rest()
        self._started = to.started or (to is not client and not client.gone)
        forwarded = self._forwarded(relayed)
        seal = envelope or beginning
        if spare is not None and seal is not None and seal.sealed and self._failed(spare, forwarded, client):
            reading = replace(forwarded.reading, delivered_bytes=0)
            ending = Ending.UPSTREAM_ERROR if forwarded.ending is Ending.UPSTREAM_ERROR else Ending.UPSTREAM_CUT
            return await self._conclude(
                replace(forwarded, ending=ending, untold=True, reading=reading, bytes_out=0, first_byte_ns=None)
            )
        if beginning is not None:
            forwarded = await _opened(beginning, forwarded)
        whole = relayed.ended or forwarded.ending is Ending.COMPLETE
        if envelope is not None and envelope.sealed and not whole:  # so nothing of it was delivered
            forwarded = replace(forwarded, reading=replace(forwarded.reading, delivered_bytes=0))
            return await self._replaced(client, await self._conclude(forwarded))
        forwarded = await self._conclude(forwarded)
        with suppress(ClientGone):  # it has had all there was to have
            await self._finish(to, envelope, forwarded, relayed)
        return forwarded

    def _watch_silence(self, patience: Patience) -> Watch:
        """With keep-alives, where some are wanted and the dialect has a form for them in what comes."""
        own = self._running.route.deployment.limits
        seconds = patience.keep_alive_seconds if own is None else own.keep_alive
        dialect, watch = self._admission.place.dialect, self._watch
        comes = watch.meter is not None and (self._streams or self._admission.ask.stream)
        if seconds == inf or dialect is None or not comes or self._answer.content_encoding or self._head.status >= 400:
            return watch
        form = dialect.keep_alive(self._answer.content_type)
        return (
            watch if form is None else replace(watch, keep_alive=KeepAlive(form, seconds), by_meter=not self._streams)
        )

    def _beginning(self, call: Call, client: Client, spare: Spare | None) -> HoldBack | None:
        """What holds back the beginning of a stream, where another target could be tried."""
        if spare is None or not spare.hold_back_seconds or self._encloses or self._head.status >= 400:
            return None

        def failed() -> bool:
            meter = self._watch.meter
            if not self._given_up and meter is not None and meter.so_far().in_stream_error is not None:
                self._given_up = spare.broke()
                if self._given_up:
                    call.abort()
            return self._given_up

        return HoldBack(client, spare.hold_back_seconds, failed, self._opening.now)

    def _failed(self, spare: Spare, forwarded: Forwarded, client: Client) -> bool:
        """Whether what came is a failure that is not told. An end without evidence is one where nothing came."""
        empty = forwarded.ending is Ending.INCOMPLETE and self._streams and not forwarded.reading.delivered_bytes
        if client.gone or not (empty or forwarded.ending in {Ending.UPSTREAM_CUT, Ending.UPSTREAM_ERROR}):
            return False
        return self._given_up or spare.broke()

    @property
    def _resized(self) -> bool:
        return self._watch.strip is not None or self._comments or self._watch.keep_alive is not None

    def _headers(self) -> Headers:
        headers = to_client(self._head.headers, self._opening.exchange_id, resized=self._resized, stream=self._streams)
        if self._trails and value_of(headers, b"content-length"):  # then there is no chunked body to end in trailers
            self._trails = False
        limits = rate_headers(self._running.held, self._opening.started_at_ns)
        if limits:  # the provider's own are about the operator's account with it
            headers = [*without_rates(headers), *limits]
        return [*headers, ANNOUNCED] if self._trails else headers

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
            error=self._error(relayed, ending, reading),
        )

    def _error(self, relayed: Relayed, ending: Ending, reading: Reading) -> HeadgateError | None:
        """What went wrong beyond what the answer itself says.

        A stream that ends in good order, but neither with its dialect's own end nor with a reason for it, was cut off
        somewhere before the provider's last server: clients would take it for the whole (facts/stream_cases.md 8.25).
        """
        if ending is Ending.COMPLETE:
            return None
        if ending is Ending.INCOMPLETE and self._owes_more(reading) and reading.finish_reason is None:
            return UpstreamCut("The provider's answer stopped before its end.")
        return _error(relayed)

    async def _replaced(self, client: Client, forwarded: Forwarded) -> Forwarded:
        """Nothing of a document that broke off has gone out, so the client is told the failure, whole."""
        if forwarded.error is None:  # it left
            return replace(forwarded, bytes_out=0, first_byte_ns=None)
        dialect = self._admission.place.dialect
        sent = await answer_error(client, forwarded.error, dialect, self._opening.exchange_id)
        status = forwarded.error.status if sent else CLIENT_CLOSED
        return replace(forwarded, status=status, bytes_out=sent, first_byte_ns=None)

    async def _finish(self, client: Client, envelope: Envelope | None, forwarded: Forwarded, relayed: Relayed) -> None:
        """End the client's answer as the upstream's ended: well, or told as failed."""
        open_ended = self._streams and self._between_frames(forwarded.reading, relayed)
        sealed = envelope is not None and envelope.sealed
        whole = forwarded.ending is Ending.COMPLETE and (open_ended or sealed)
        told = receipt(forwarded.appraisal) if forwarded.appraisal is not None else ()
        if envelope is not None:
            await envelope.open(told, resized=not relayed.ended)
        if whole or (relayed.ended and forwarded.error is None):  # by the dialect's own evidence, if not by HTTP's
            if self._comments and open_ended and forwarded.appraisal is not None:
                await client.write(comment(forwarded.appraisal))
            await client.end(told if self._trails else ())
        elif forwarded.error is None and not relayed.left:  # whole, but for what broke off behind its end
            client.abort()
        elif forwarded.error is not None and not relayed.left:
            await tell_failure(client, self._told(forwarded.error, open_ended=open_ended))

    def _told(self, error: HeadgateError, *, open_ended: bool) -> bytes | None:
        """The error as the last that the client gets of a stream; None where nothing can follow what it has."""
        dialect, meter = self._admission.place.dialect, self._watch.meter
        promised = not self._resized and value_of(self._head.headers, b"content-length")
        if dialect is None or promised:
            return None
        if self._pieces and meter is not None:
            return meter.last(dialect.error_piece(error, self._opening.exchange_id))
        return dialect.error_frame(error, self._opening.exchange_id) if open_ended else None

    def _owes_more(self, reading: Reading) -> bool:
        """Whether what has ended is a stream without its end. An array that is closed has ended, whatever was in it."""
        meter = self._watch.meter
        if not self._pieces or meter is None:
            return self._streams
        return "unterminated_frame" in reading.anomalies or meter.last(b"{}") is not None

    def _between_frames(self, reading: Reading, relayed: Relayed) -> bool:
        """Whether a frame can follow what the client has: by its last bytes, or where it is binary, by the meter."""
        if self._stream_type == _SSE:
            return relayed.between_frames
        return self._watch.meter is not None and not _CUT_SHORT & reading.anomalies.keys()


async def _opened(beginning: HoldBack, forwarded: Forwarded) -> Forwarded:
    """What was held back goes on at the latest when there is no more."""
    if beginning.sealed:
        try:
            await beginning.open()
        except ClientGone:
            return replace(forwarded, bytes_out=0, first_byte_ns=None)
    first = forwarded.first_byte_ns
    return replace(forwarded, first_byte_ns=None if first is None else max(first, beginning.opened_ns or 0))


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
