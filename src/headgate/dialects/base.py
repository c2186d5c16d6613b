"""What a dialect file fills in, and the Meter that drives it.

The relay gives a Meter the very chunks it passes on. The Meter frames them (by the body's first byte), and hands whole
frames to the dialect's Tally, which keeps what it sees. `feed` returns nothing and never raises: metering cannot
change, delay or lose a byte.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from headgate import jsontext
from headgate.errors import HeadgateError
from headgate.framing.base import Frame, Framing
from headgate.framing.document import Document
from headgate.framing.inflate import inflater
from headgate.framing.json_array import JsonArray
from headgate.framing.ndjson import JsonLines
from headgate.framing.sse import ServerSentEvents
from headgate.usage import Basis, Estimate, Reading

_SPACE = b" \t\r\n"
_SSE = "text/event-stream"
_BOM = b"\xef\xbb\xbf"


class Metering(Enum):
    """What an operation's answer means for the books."""

    COUNTED = "counted"
    """It is billed: its usage counts."""
    REPEATED = "repeated"
    """It repeats a stored response: its usage counts only if that response's has not been counted yet."""
    DEFERRED = "deferred"
    """It is billed later, by what will come under the id that its answer names: metered for that id alone."""
    FREE = "free"
    """It costs nothing: passed on, recorded, not metered."""


class Operation(Struct, frozen=True):
    """One thing a dialect can do: a method and a path below the API's version root, e.g. GET /responses/{id}."""

    name: str
    method: str
    path: str
    """With placeholders for segments or their beginnings: "/responses/{id}", "/models/{model}:generateContent"."""
    metering: Metering = Metering.COUNTED
    streams: bool = False
    """The path itself asks for a stream."""


class Ask(Struct, frozen=True):
    """The request as read. `None` means the client did not say. `bound.worst_case` makes of it what may be used."""

    model: str | None = None
    stream: bool = False
    output_cap: int | None = None
    """The largest output cap named, in tokens (facts/stream_cases.md 1.32). 0 where nothing is generated; None also
    where a cap was named that is no positive integer: it is the provider's to judge, and bounds nothing."""
    choices: int = 1
    """How many answers were asked for (`n`), over all prompts."""
    input_bytes: int = 0
    """Bytes of the request body: the base of an input estimate."""
    wants_usage: bool = False
    """The client itself asked for the usage frame of a stream."""
    response_id: str | None = None
    """The stored response that the path names."""
    previous_id: str | None = None
    """The stored response that this one goes on from."""
    sticky_id: str | None = None
    """What requests of one conversation have in common, whose prompts begin alike: where they go together, a provider's
    prompt cache helps."""
    prompt_bytes: int | None = None
    """Bytes that bound the prompt's text, where those of the body do not: pictures in it have `attachments` instead,
    and a reranker reads its query once for each document."""
    prompts: int = 1
    """Prompts that are answered apart, each in a context of its own."""
    has_tools: bool = False
    """Tools are described to the model, in words of the provider's that the body does not hold."""
    attachments: int = 0
    """Pictures in the prompt: what they take depends on their size, not on their bytes."""
    attachment_tokens: int = 0
    """The most that each of them takes."""
    stored_context: bool = False
    """The prompt goes on outside the body, or is packed in it: an earlier response, a file, a PDF. Only the model's
    context window bounds it."""
    thinking_budget: int = 0
    """Tokens that may be generated beside the cap, for each answer."""
    unbounded: str | None = None
    """Why tokens or charges may come that nothing in the request bounds, e.g. "server_tools"; None if none may."""
    deferred: bool = False
    """It is billed after its answer, by what a later request reads (Responses in the background)."""
    service_tier: str | None = None
    """The tier asked for, as the client wrote it."""
    speed: str | None = None
    """The speed asked for (Anthropic), likewise."""
    inference_geo: str | None = None
    """Where inference is asked to run (Anthropic), likewise."""


class Answer(Struct, frozen=True):
    """What is known of a response before its body: the part of the head that metering needs."""

    status: int
    content_type: str = ""
    content_encoding: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """As received, names in lower case."""


class Tally(ABC):
    """Keeps what one response says of its usage. The dialect's own part of a meter.

    Frames come in order, each exactly once; a Tally must be total over any bytes (fuzz/ holds it to that).
    """

    def head(self, answer: Answer) -> None:
        """Take what came before the body: some services count in headers."""
        del answer

    @abstractmethod
    def event(self, frame: Frame) -> None:
        """Take one frame of a stream."""

    @abstractmethod
    def document(self, body: bytes) -> None:
        """Take a whole body."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """True once the dialect's own end has come: nothing that matters follows."""

    @abstractmethod
    def reading(self, *, ended: bool) -> Reading:
        """What has been seen. `ended` says that the body came to its clean end. May be asked more than once."""


class FrameFilter(ABC):
    """Takes frames that headgate itself caused out of what the client sees. Everything else passes byte for byte."""

    @abstractmethod
    def feed(self, chunk: bytes) -> bytes:
        """The bytes to pass on now; may hold back the tail of an unfinished frame."""

    @abstractmethod
    def end(self) -> bytes:
        """The bytes held back."""


class Dialect(ABC):
    """One wire API. Stateless; one instance per process."""

    name: str
    """The name in records and on the command line, e.g. "openai.chat"."""
    aliases: tuple[str, ...] = ()
    """Other names `headgate meter --dialect` takes for it."""
    operations: tuple[Operation, ...]
    stream_type: str = _SSE
    """The content type of its streams: those that `error_frame` can be written into."""
    other_stream_type: str | None = None
    """Another content type that its streams may have, JSON lines or an array: those that `error_piece` fits into."""
    at_origin: bool = False
    """Its paths are whole, with their version, and hang at the server's root instead of a version root."""

    @abstractmethod
    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body. Raises BadRequest when it is not this dialect's JSON or names its model twice."""

    @abstractmethod
    def tally(self) -> Tally:
        """A fresh tally for one response."""

    @abstractmethod
    def error_body(self, error: HeadgateError, exchange_id: str) -> bytes:
        """The error as the body of a whole answer, in this API's own shape."""

    @abstractmethod
    def error_frame(self, error: HeadgateError, exchange_id: str) -> bytes:
        """The error as it is told inside an event stream that has begun, whole frames, ready to write."""

    def error_piece(self, error: HeadgateError, exchange_id: str) -> bytes:
        """The error as a line, or an element of an array, of a stream of `other_stream_type`; without its end."""
        return self.error_body(error, exchange_id)

    def keep_alive(self, content_type: str) -> bytes | None:
        """What means nothing between two frames of such a stream, and can be sent in a silence; None for nothing.

        A comment, for its clients that are known to pass over it. It is one line and not a whole event: a blank line
        behind it would dispatch an empty event where an id was set before (facts/stream_cases.md 8.15).
        """
        return b": keep-alive\n" if content_type.startswith(self.stream_type) and self.stream_type == _SSE else None

    def framing(self, head: bytes, answer: Answer) -> Framing | None:
        """The framing of a body that begins with `head`; None while that does not show it."""
        del answer
        return framing_of(head)

    def meter(self, answer: Answer, ask: Ask | None = None) -> "Meter":
        """What watches one response in this dialect."""
        return Meter(self.tally(), answer, ask, choose=lambda head: self.framing(head, answer))

    def with_usage_frame(self, body: bytes, ask: Ask) -> bytes | None:
        """The body with the stream's usage asked for, or None where there is nothing to ask (architecture, 2)."""
        del body, ask
        return None

    def usage_frame_filter(self) -> FrameFilter | None:
        """What takes the usage frame that `with_usage_frame` caused out again."""
        return None

    def with_model(self, body: bytes, model: str) -> bytes:
        """The body with its top-level `model` set, every other byte as it was."""
        return jsontext.with_member(body, "model", json.dumps(model, ensure_ascii=False).encode())


class Meter:
    """Watches one response: undoes its encoding, frames it, and gives whole frames to the tally."""

    __slots__ = ("_choose", "_event", "_framing", "_head", "_inflate", "_input_bytes", "_status", "_tally")

    def __init__(
        self,
        tally: Tally,
        answer: Answer,
        ask: Ask | None = None,
        framing: Framing | None = None,
        choose: Callable[[bytes], Framing | None] | None = None,
    ) -> None:
        """`choose` finds the framing from a body's beginning; `framing` is for who knows it beforehand."""
        tally.head(answer)
        self._tally = tally
        self._event = tally.event
        self._choose = choose or framing_of
        self._status = answer.status
        self._input_bytes = ask.input_bytes if ask else 0
        self._inflate = inflater(answer.content_encoding)
        self._framing = framing
        self._head = b""

    def feed(self, chunk: bytes) -> None:
        """Watch a chunk as the upstream sent it. Never raises."""
        framing = self._framing
        if framing is not None and self._inflate is None:  # as for nearly every chunk, without another call
            for frame in framing.feed(chunk):
                self._event(frame)
        elif self._inflate is None:
            self._see(chunk)
        else:
            for piece in self._inflate.feed(chunk):
                self._see(piece)

    def _see(self, chunk: bytes) -> None:
        framing = self._framing
        if framing is None:
            chunk = _without_blank_lines(self._head + chunk)
            framing = self._framing = self._choose(chunk)
        if framing is None:
            self._head = chunk
            return
        for frame in framing.feed(chunk):  # none of a document, which comes at its end
            self._event(frame)

    @property
    def over(self) -> bool:
        """True once the dialect's own end has come, whether or not the body has ended."""
        return self._tally.over

    @property
    def rests(self) -> bool:
        """True between two elements of an array, where white space means nothing."""
        return isinstance(self._framing, JsonArray) and self._framing.rests

    def last(self, piece: bytes) -> bytes | None:
        """A line or an element as the last of a body that has broken off, behind `finish`; None where none can follow.

        Before the first byte of a body only a line can: of an array not even the bracket is there.
        """
        framing = self._framing
        if framing is None and not self._head.strip(_SPACE):
            framing = self._choose(piece)
        if isinstance(framing, JsonArray):
            return framing.last(piece)
        return piece + b"\n" if isinstance(framing, JsonLines) and not framing.unterminated else None

    def so_far(self) -> Reading:
        """What the reading would be if nothing more came; may be asked at any time."""
        return with_estimate(self._tally.reading(ended=False), self._input_bytes)

    def finish(self, *, ended: bool) -> Reading:
        """The reading. `ended` says that the body came to its clean end; call once, when no more bytes will come.

        A body that ends within a frame has not, however well its connection closed: where HTTP tells no length, a
        connection that breaks may look like the end.
        """
        framing = self._framing
        anomalies: dict[str, int] = {}
        if framing is not None:
            rest = framing.end()
            for frame in rest:
                if isinstance(framing, Document):
                    self._tally.document(frame.data)
                else:
                    self._event(frame)
            ended = ended and not (framing.unterminated and not _are_json(rest))
            if framing.oversize:
                anomalies["frame_over_bound"] = framing.oversize
            if framing.corrupt:
                anomalies["corrupt_frame"] = framing.corrupt
            if framing.unterminated:
                anomalies["unterminated_frame"] = 1
        elif self._head.strip(_SPACE):  # too little to tell what it would have been
            anomalies["unterminated_frame"] = 1
        if self._inflate is not None:
            ended = ended and (self._inflate.whole or self._inflate.failed)
            if self._inflate.failed:
                anomalies["undecodable_encoding"] = 1
        reading = _noting(anomalies, self._tally.reading(ended=ended))
        return reading if self._status >= 400 else with_estimate(reading, self._input_bytes)


def _noting(anomalies: Mapping[str, int], reading: Reading) -> Reading:
    return replace(reading, anomalies={**reading.anomalies, **anomalies}) if anomalies else reading


def _are_json(frames: Sequence[Frame]) -> bool:
    """Whether the last frames lack nothing but their end, as the last one of a well-meant stream may."""
    try:
        for frame in frames:
            json.loads(frame.data)
    except (ValueError, RecursionError):
        return False
    return bool(frames)


def framing_of(head: bytes) -> Framing | None:
    """The framing that a body's first bytes show; None if they are white space or the beginning of a mark only.

    The content type is no guide: event streams arrive as application/json and documents where a stream was asked for
    (facts/stream_cases.md 6.9, 7.13), and some servers send blank lines before a document to keep it alive (7.14).
    """
    start = head.lstrip(_SPACE).removeprefix(_BOM).lstrip(_SPACE)
    if not start or _BOM.startswith(start):
        return None
    return Document() if start[:1] in b"{[" else ServerSentEvents()


def _without_blank_lines(head: bytes) -> bytes:
    """A body's beginning without its blank lines, which mean nothing in any framing and may come without end.

    A space on the first line that is not blank does mean something in an event stream, so one is kept.
    """
    start = head.lstrip(_SPACE)
    if start == head and start[:1] != _BOM[:1]:
        return head
    rest = start.removeprefix(_BOM)
    text = rest.lstrip(_SPACE)
    before, mark, after = head.removesuffix(start), start.removesuffix(rest), rest.removesuffix(text)
    return _last_line(before) + mark + _last_line(after) + text


def _last_line(space: bytes) -> bytes:
    return b" " if space and not space.endswith((b"\n", b"\r")) else b""


def with_estimate(reading: Reading, input_bytes: int) -> Reading:
    """The reading with what was not reported estimated from what passed; unchanged where all was reported.

    Four bytes a token is a middling guess (facts/libraries.md section 6): it is kept apart and flagged by the basis.
    """
    if reading.basis is Basis.REPORTED or not (reading.delivered_bytes or reading.basis is Basis.PARTIAL):
        return reading
    usage = reading.usage
    estimate = Estimate(
        input_tokens=-(-input_bytes // 4) if usage.input_tokens is None and input_bytes else None,
        output_tokens=-(-reading.delivered_bytes // 4),
    )
    basis = Basis.PARTIAL if reading.basis is Basis.PARTIAL else Basis.ESTIMATED
    return replace(reading, basis=basis, estimate=estimate)
