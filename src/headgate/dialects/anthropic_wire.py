"""What Anthropic's messages look like wherever they are sent: usage, events, whole answers (facts/wire.md section 4).

No dialect itself: the Messages API, Vertex and Bedrock's InvokeModel all carry them.
"""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from headgate.dialects.anthropic_usage import USAGE, MessageUsage, fallback_model, usage_of
from headgate.dialects.asking import Wanted, largest, raw_bytes, read_request, rows, runs_tools
from headgate.dialects.attachments import with_attachments
from headgate.dialects.base import Ask, Dialect, Tally
from headgate.dialects.reading import Anomalies, Seen, Shape, Snapshot, error_text, parsed, size, string, text
from headgate.errors import HeadgateError
from headgate.framing.base import Frame
from headgate.usage import Reading

_IGNORED = frozenset({b"ping", b"content_block_stop"})
_KNOWN = frozenset(
    {b"message_start", b"content_block_start", b"content_block_delta", b"message_delta", b"message_stop"}
)


class _Typed(msgspec.Struct, gc=False):
    type: str | None = None


class _Block(msgspec.Struct, gc=False):
    """A content block, or a delta of one: what the model generated has these fields, in either."""

    text: str | None = None
    thinking: str | None = None
    name: str | None = None
    partial_json: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()
    stop_reason: str | None = None


class _Message(msgspec.Struct, gc=False):
    """A message; also an error's body."""

    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    content: list[_Block] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct, gc=False):
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Block | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_TYPED, _MESSAGE, _EVENT = Shape(_Typed), Shape(_Message), Shape(_Event)


class MessagesTally(Tally):
    """Reads a message. Its usage begins in message_start and goes on, cumulative, in message_delta."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage = Snapshot(USAGE)
        self._output_known = False
        """The output count is more than message_start's placeholder."""

    def event(self, frame: Frame) -> None:
        """Take an event. Those that cannot matter are not parsed."""
        name, data = frame.event, frame.data
        if name in _IGNORED or not data:
            return
        if name not in _KNOWN:
            name = self._name(frame)
        if name == b"message_stop" and _TYPED.read(data) is not None:  # not one that breaks off
            self._seen.terminal = "message_stop"
        elif name in _KNOWN or name == b"error" or b'"error"' in data:
            event = _EVENT.read(data)
            if event is None:
                self._seen.anomalies["not_json"] += 1
            else:
                self._take(event, is_error=name == b"error")

    def _name(self, frame: Frame) -> bytes:
        """The event's name, from its data where the framing does not give a known one."""
        typed = _TYPED.read(frame.data)
        return typed.type.encode() if typed is not None and typed.type else frame.event

    def _take(self, event: _Event, *, is_error: bool) -> None:
        seen = self._seen
        if event.delta is not None:
            seen.delivered += _block_size(event.delta)
            seen.finish_reason = event.delta.stop_reason or seen.finish_reason
        if event.content_block is not None:
            seen.delivered += _block_size(event.content_block)
        if event.message is not None:
            self._take_message(event.message)
            self._output_known = False
        if event.usage:
            self._take_usage(event.usage)
        if is_error or event.error:
            self._take_error(event.error, told=is_error)

    def document(self, body: bytes) -> None:
        """Take a whole answer. One that is cut off counts as delivered with all its bytes, its text's upper bound."""
        message = _MESSAGE.read(body)
        if message is None:
            self._seen.anomalies["not_json"] += 1
            self._seen.delivered += len(body)
            return
        self._seen.terminal = "document"
        self._take_message(message)
        self._take_error(message.error, told=False)

    def _take_error(self, raw: Any, *, told: bool) -> None:
        error = parsed(raw)
        if error or told:
            self._seen.error = error_text(error)

    def _take_message(self, message: _Message) -> None:
        seen = self._seen
        if seen.response_id and message.id and message.id != seen.response_id:
            self._begin_anew()
        seen.response_id = message.id or seen.response_id
        seen.model = message.model or seen.model
        seen.finish_reason = message.stop_reason or seen.finish_reason
        seen.delivered += sum(_block_size(block) for block in message.content or ())
        self._take_usage(message.usage)

    def _begin_anew(self) -> None:
        """Another message in the same body: the reading is the last one's, as the usage of a body is."""
        self._usage = Snapshot(USAGE)
        self._output_known = False
        self._seen.terminal = self._seen.finish_reason = None
        self._seen.anomalies["several_messages"] += 1

    def _take_usage(self, usage: Any) -> None:
        """Lay a snapshot over the one before. Some services send an input of 0 last: the count before it stands."""
        new = self._usage.read(usage)
        if isinstance(new, MessageUsage):
            if new.input_tokens == 0 and self._dropped():
                new.input_tokens = None
            self._output_known = True
        elif isinstance(new, dict):
            if new.get("input_tokens") == 0 and self._dropped():
                new = new | {"input_tokens": None}
            self._output_known = self._output_known or new.get("output_tokens") is not None
        self._usage.lay(new)

    def _dropped(self) -> bool:
        """Whether there was an input before one of 0."""
        dropped = bool(self._usage.get("input_tokens"))
        if dropped:
            self._seen.anomalies["input_dropped_to_zero"] += 1
        return dropped

    @property
    def over(self) -> bool:
        """True once the end has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen. Without a message_delta the output is unknown: message_start's is a placeholder."""
        seen, usage, anomalies = self._seen, self._usage, Anomalies()
        output_counts = self._output_known or seen.terminal is not None
        if usage.said and output_counts and not self._output_known:
            anomalies["output_from_message_start"] += 1
        seen.service_tier = text(usage.get("service_tier"))
        seen.terms = {name: told for name in ("speed", "inference_geo") if (told := text(usage.get(name))) is not None}
        seen.model = fallback_model(usage.get("iterations")) or seen.model
        ended_well = seen.finish_reason is not None or (ended and seen.error is None)
        final = seen.terminal is not None or (self._output_known and ended_well)
        return seen.reading(usage_of(usage, anomalies, output_counts=output_counts), anomalies, final=final)


def _block_size(block: _Block) -> int:
    """UTF-8 bytes that a model generated.

    A tool's input counts unless it is the `{}` that begins one, and `content` where it is a text, as in a compaction:
    tools' results are objects and arrays.
    """
    told = size(block.text or block.thinking or block.partial_json)
    if block.name:
        told += size(block.name)
    if block.input and isinstance(block.input, msgspec.Raw) and len(given := bytes(block.input)) > len(b"{}"):
        told += len(given)
    if block.content:
        told += size(string(block.content))
    return told


_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Error types by status (facts/wire.md section 4). Anthropic itself says 529 for overloaded_error."""


class MessagesRequest(Wanted):
    """What is read of a request for a message."""

    once: ClassVar[tuple[str, ...]] = ("model", "stream", "max_tokens", "service_tier", "speed")
    bulk: ClassVar[tuple[str, ...]] = ("messages", "tools")

    messages: msgspec.Raw = msgspec.Raw()
    max_tokens: Any = None
    tools: msgspec.Raw = msgspec.Raw()
    mcp_servers: Any = None
    container: Any = None
    context_management: msgspec.Raw = msgspec.Raw()
    service_tier: Any = None
    speed: Any = None
    inference_geo: Any = None
    metadata: Any = None


_OWN_TOOLS = ("custom", "bash_", "text_editor_", "computer_", "memory_")
"""Tools that clients run themselves, some of them by schemas that only Anthropic has."""
_PICTURE_TOKENS = 5_000
"""A picture takes 4,784 tokens at the most (platform.claude.com, "Images and vision": 28 x 28 pixels a token)."""


def messages_ask(body: bytes, request: MessagesRequest) -> Ask:
    """The ask of a request for a message.

    The cap holds thinking, interleaved or not: `budget_tokens` is a part of it (platform.claude.com, "Extended
    thinking"). Compaction on the way is a pass of its own, and billed beside the totals.
    """
    tools = rows(request.tools)
    helped = bool(request.mcp_servers or request.container) or runs_tools(tools, _OWN_TOOLS)
    compacts = b'"compact' in raw_bytes(request.context_management)
    ask = Ask(
        model=request.model,
        stream=request.stream,
        output_cap=largest(request.max_tokens),
        input_bytes=len(body),
        has_tools=bool(tools),
        stored_context=helped,
        unbounded="server_tools" if helped else "compaction" if compacts else None,
        service_tier=text(request.service_tier),
        speed=text(request.speed),
        inference_geo=text(request.inference_geo),
        sticky_id=text(request.metadata.get("user_id")) if isinstance(request.metadata, dict) else None,
    )
    return with_attachments(ask, request.messages, _PICTURE_TOKENS)


class MessagesDialect(Dialect):
    """An API that takes and answers Messages: what it asks, and how it tells errors."""

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body; the cap holds thinking too. Raises BadRequest."""
        del headers
        return messages_ask(body, read_request(body, MessagesRequest))

    def tally(self) -> Tally:
        """A fresh tally."""
        return MessagesTally()

    def keep_alive(self, content_type: str) -> bytes | None:
        """The API's own ping, which its clients pass over (facts/stream_cases.md 5.11)."""
        return None if super().keep_alive(content_type) is None else b'event: ping\ndata: {"type": "ping"}\n\n'

    def error_body(self, error: HeadgateError, exchange_id: str) -> bytes:
        """`{"type": "error", "error": {...}, "request_id": ...}`, the id being the exchange's."""
        kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
        told = {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": exchange_id}
        return json.dumps(told, ensure_ascii=False).encode()

    def error_frame(self, error: HeadgateError, exchange_id: str) -> bytes:
        """An `error` event. Clients pass over events without a name."""
        return b"event: error\ndata: " + self.error_body(error, exchange_id) + b"\n\n"
