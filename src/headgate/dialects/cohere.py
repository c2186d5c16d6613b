"""Cohere's own API, v2 and v1: chat, embed, rerank, classify (facts/wire.md section 8).

What it bills (`billed_units`) is not what the model read and wrote (`tokens`): both are kept, and neither is taken for
the other (facts/stream_cases.md 2.17). v2 streams events and v1 JSON lines. Usage stands in `usage`, `meta`,
`delta.usage` or `response.meta`; an empty one tells nothing.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec.structs import replace

from headgate.dialects.asking import Wanted, budget, given, items, largest, raw_bytes, read_request, rows
from headgate.dialects.attachments import PICTURE_TOKENS, with_attachments
from headgate.dialects.base import Answer, Ask, Dialect, Metering, Operation, Tally
from headgate.dialects.json_lines import framing_of_lines, lines_of
from headgate.dialects.reading import (
    Anomalies,
    Counts,
    Seen,
    Shape,
    check_parts,
    error_text,
    merge,
    parsed,
    size,
)  # fmt: skip
from headgate.dialects.units import billing_units
from headgate.errors import HeadgateError
from headgate.framing.base import Frame, Framing
from headgate.usage import Reading, Usage


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Piece(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None


class _Message(msgspec.Struct):
    """A v2 message, or a delta of one: lists in the whole, single objects in the delta."""

    content: list[_Piece] | _Piece | str | None = None
    tool_plan: str | None = None
    tool_calls: list[_ToolCall] | _ToolCall | None = None


class _Delta(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: str | None = None
    error_type: str | None = None


class _V1ToolCall(msgspec.Struct):
    name: str | None = None
    parameters: str | None = None
    text: str | None = None


class _V1End(msgspec.Struct):
    """What ends a v1 stream: the whole answer again, of which only this is news."""

    meta: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct):
    """An event of either version, or a whole answer of any endpoint. `message` is a text where it tells an error."""

    id: str | None = None
    generation_id: str | None = None
    type: str | None = None
    event_type: str | None = None
    delta: _Delta | None = None
    response: _V1End | None = None
    message: _Message | str | None = None
    text: str | None = None
    tool_call_delta: _V1ToolCall | None = None
    finish_reason: str | None = None
    error: str | None = None
    usage: msgspec.Raw = msgspec.Raw()
    meta: msgspec.Raw = msgspec.Raw()


_BODY = Shape(_Body)


class CohereTally(Tally):
    """Reads streams of both versions, and whole answers."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage: Mapping[str, Any] = {}

    def event(self, frame: Frame) -> None:
        """Take an event or a line. An answer in one line has no type: it is a document."""
        if frame.data and frame.data[:6] != b"[DONE]":
            self._take(_BODY.read(frame.data))

    def document(self, body: bytes) -> None:
        """Take a whole answer, or lines that came under a document's name.

        One that is cut off counts as delivered with all its bytes, its text's upper bound; half a line does not.
        """
        whole = _BODY.read(body)
        lines = lines_of(body) if whole is None else []
        for line in lines:
            self._take(_BODY.read(line))
        if not lines:
            self._take(whole)
            self._seen.delivered += len(body) if whole is None else 0

    def _take(self, said: _Body | None) -> None:
        seen = self._seen
        if said is None:
            seen.anomalies["not_json"] += 1
            return
        kind = said.type or said.event_type
        if kind is None:
            seen.terminal = "document"
        elif kind in ("message-end", "stream-end"):
            seen.terminal = kind
        seen.response_id = seen.response_id or said.id or said.generation_id
        if said.finish_reason:
            seen.finish_reason = said.finish_reason
        self._take_text(said)
        if said.delta is not None:
            self._take_delta(said.delta)
        end = said.response or _V1End()
        for usage in (said.usage, said.meta, end.meta):
            self._usage = merge(self._usage, parsed(usage))

    def _take_text(self, said: _Body) -> None:
        seen, message = self._seen, said.message
        seen.delivered += size(said.text)
        if isinstance(message, _Message):
            seen.delivered += _size(message)
        if isinstance(message, str) or said.error:
            seen.error = error_text(said.error or message)
        if (call := said.tool_call_delta) is not None:
            seen.delivered += size(call.name) + size(call.parameters) + size(call.text)

    def _take_delta(self, delta: _Delta) -> None:
        seen = self._seen
        if delta.message is not None:
            seen.delivered += _size(delta.message)
        if delta.finish_reason:
            seen.finish_reason = delta.finish_reason
        if delta.error:
            seen.error = error_text(delta.error, delta.error_type)
        self._usage = merge(self._usage, parsed(delta.usage))

    @property
    def over(self) -> bool:
        """True once the end has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen."""
        anomalies = Anomalies()
        usage = cohere_usage(self._usage, anomalies)
        return self._seen.reading(usage, anomalies, final=ended or self._seen.terminal is not None)


def _size(message: _Message) -> int:
    """UTF-8 bytes that a model generated."""
    n = size(message.tool_plan)
    if isinstance(message.content, str):
        n += size(message.content)
    else:
        n += sum(size(piece.text) + size(piece.thinking) for piece in _list(message.content))
    functions = (call.function for call in _list(message.tool_calls))
    return n + sum(size(function.name) + size(function.arguments) for function in functions if function is not None)


_T = TypeVar("_T")


def _list(value: list[_T] | _T | None) -> list[_T]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def cohere_usage(raw: Mapping[str, Any], anomalies: Anomalies) -> Usage:
    """`tokens` as tokens and `billed_units` as units.

    Images stand beside `tokens.input_tokens`, not in it: two of 259 tokens each came with 501 others (recordings).
    """
    counts = Counts(raw, anomalies)
    read, images = counts.get("tokens", "input_tokens"), counts.get("tokens", "image_tokens")
    usage = Usage(
        input_tokens=read if read is None else read + (images or 0),
        cache_read_tokens=counts.get("cached_tokens"),
        input_image_tokens=images,
        output_tokens=counts.get("tokens", "output_tokens"),
        billed_units=billing_units(raw.get("billed_units"), anomalies),
    )
    return check_parts(usage, anomalies)


class _Request(Wanted):
    once: ClassVar[tuple[str, ...]] = ("model", "stream", "max_tokens")
    bulk: ClassVar[tuple[str, ...]] = ("messages", "documents")

    max_tokens: Any = None
    messages: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    thinking: Any = None
    conversation_id: Any = None
    connectors: Any = None
    query: msgspec.Raw = msgspec.Raw()
    documents: msgspec.Raw = msgspec.Raw()
    texts: msgspec.Raw = msgspec.Raw()
    inputs: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()


class Cohere(Dialect):
    """Cohere's API."""

    name = "cohere"
    other_stream_type = "application/stream+json"
    at_origin = True
    operations = (
        Operation("chat", "POST", "/v2/chat"),
        Operation("chat_v1", "POST", "/v1/chat"),
        Operation("embed", "POST", "/v2/embed"),
        Operation("embed_v1", "POST", "/v1/embed"),
        Operation("rerank", "POST", "/v2/rerank"),
        Operation("classify", "POST", "/v1/classify"),
        Operation("tokenize", "POST", "/v1/tokenize", Metering.FREE),
        Operation("detokenize", "POST", "/v1/detokenize", Metering.FREE),
    )

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body; what is ranked, embedded or classified generates nothing. Raises BadRequest.

        Whether the cap holds thinking is not documented, so a budget that is named is added to it.
        """
        del headers
        request = read_request(body, _Request)
        if not (request.messages or request.message) and _has_things(request):
            return _ranked_or_embedded(body, request)
        tools = rows(request.tools)
        helped = given(request.connectors)
        thinking = request.thinking if isinstance(request.thinking, dict) else {}
        ask = Ask(
            model=request.model,
            stream=request.stream,
            output_cap=largest(request.max_tokens),
            input_bytes=len(body),
            has_tools=bool(tools or request.documents),
            stored_context=helped or given(request.conversation_id),
            thinking_budget=budget(thinking.get("token_budget")),
            unbounded="server_tools" if helped else None,
        )
        return with_attachments(ask, request.messages)

    def tally(self) -> Tally:
        """A fresh tally."""
        return CohereTally()

    def framing(self, head: bytes, answer: Answer) -> Framing | None:
        """Events, JSON lines, or one document."""
        return framing_of_lines(head, answer)

    def error_body(self, error: HeadgateError, exchange_id: str) -> bytes:
        """`{"id", "message"}` (recordings)."""
        return json.dumps({"id": exchange_id, "message": error.message}, ensure_ascii=False).encode()

    def error_frame(self, error: HeadgateError, exchange_id: str) -> bytes:
        """The end of a v2 stream as it tells a failure (recordings)."""
        del exchange_id
        delta = {"finish_reason": "ERROR", "error": error.message, "error_type": error.code.upper()}
        told = json.dumps({"type": "message-end", "delta": delta}, ensure_ascii=False)
        return b"event: message-end\ndata: " + told.encode() + b"\n\n"

    def error_piece(self, error: HeadgateError, exchange_id: str) -> bytes:
        """The end of a v1 stream as it tells a failure: a reason, and the response that the SDK's type owes."""
        del exchange_id
        response = {"text": "", "finish_reason": "ERROR"}
        told = {"is_finished": True, "event_type": "stream-end", "finish_reason": "ERROR", "response": response}
        return json.dumps(told | {"error": error.message}, ensure_ascii=False).encode()


def _has_things(request: _Request) -> bool:
    return bool(request.query or request.texts or request.inputs or request.images)


def _ranked_or_embedded(body: bytes, request: _Request) -> Ask:
    """A rerank's query is read with each of its documents; texts and inputs are embedded or classified one by one."""
    ranked = max(items(request.documents), 1)
    again = len(raw_bytes(request.query)) * (ranked - 1) if request.query else 0
    ask = Ask(
        model=request.model,
        output_cap=0,
        input_bytes=len(body),
        prompt_bytes=len(body) + again if again else None,
        prompts=max(ranked, items(request.texts), items(request.inputs), items(request.images)),
    )
    pictures = items(request.images)
    if pictures:
        return replace(ask, attachments=pictures, attachment_tokens=PICTURE_TOKENS)
    return with_attachments(ask, request.inputs)


DIALECT = Cohere()
