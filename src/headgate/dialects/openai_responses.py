"""/responses: created, streamed, polled, cancelled, compacted (facts/wire.md section 2); and over WebSocket."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from headgate.dialects.asking import Wanted, given, largest, read_request, rows, runs_tools
from headgate.dialects.attachments import with_attachments
from headgate.dialects.base import Ask, Metering, Operation, Tally
from headgate.dialects.conversation import Conversation, SocketDialect
from headgate.dialects.openai_responses_socket import ResponsesConversation
from headgate.dialects.openai_wire import OpenAIDialect, ResponseUsage, response_usage, usual_response_usage
from headgate.dialects.reading import Anomalies, Seen, Shape, Snapshot, error_text, merge, parsed, size, text
from headgate.errors import HeadgateError
from headgate.framing.base import Frame
from headgate.usage import Reading

_STARTS = frozenset({b"response.created", b"response.queued", b"response.in_progress"})
_TERMINALS = frozenset(
    {b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled", b"response.done"}
)
"""The last two are not in OpenAI's own union of events; compatible servers send them."""
_NOT_TEXT = frozenset(
    {b"response.audio.delta", b"response.output_audio.delta", b"response.shell_call_output_content.delta"}
)
"""Deltas of what is not text, or not generated."""


class _Typed(msgspec.Struct, gc=False):
    type: str | None = None


class _Delta(msgspec.Struct, gc=False):
    delta: str | None = None


class _Part(msgspec.Struct, gc=False):
    """A part of an output item's content or summary."""

    text: str | None = None
    refusal: str | None = None
    transcript: str | None = None


class _Item(msgspec.Struct, gc=False):
    """An output item: a message, reasoning, or the call of a tool."""

    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    code: str | None = None
    content: list[_Part] | str | None = None
    summary: list[_Part] | str | None = None


class _Added(msgspec.Struct, gc=False):
    item: _Item | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None
    model: str | None = None


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    """A response object; also a compaction, which has fewer fields, and an error's body."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    incomplete_details: _Incomplete | None = None
    output: list[_Item] | None = None
    tools: list[_Tool] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    tool_usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct, gc=False):
    """An event with a response in it, or an error in any of its three places."""

    response: _Response | None = None
    error: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()


_TYPED, _DELTA, _ADDED, _RESPONSE, _EVENT = Shape(_Typed), Shape(_Delta), Shape(_Added), Shape(_Response), Shape(_Event)

USAGE = msgspec.json.Decoder(ResponseUsage).decode


class ResponsesTally(Tally):
    """Reads a response. Its usage stands in the terminal event, whichever that is, and in every later copy of it."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage = Snapshot(USAGE)
        self._tool_usage: Mapping[str, Any] = {}
        self._image_model: str | None = None

    def event(self, frame: Frame) -> None:
        """Take an event. Those that cannot matter are not parsed."""
        name, data = frame.event, frame.data
        if name[:9] != b"response.":
            name = self._name(frame)
        if name[-6:] == b".delta":
            if name not in _NOT_TEXT and (delta := _DELTA.read(data)) is not None:
                self._seen.delivered += size(delta.delta)
        elif name in _TERMINALS:
            self._end(name.decode(), data)
        elif name in _STARTS:
            if self._seen.response_id is None:
                self._take_event(data)
        elif name == b"response.output_item.added":
            added = _ADDED.read(data)
            if added is not None and added.item is not None:
                self._seen.delivered += size(added.item.name)
        elif name == b"error" or b'"error"' in data:
            self._take_event(data, is_error=name == b"error")

    def _name(self, frame: Frame) -> bytes:
        """The event's name, from its data where the framing gives none or the default one."""
        if frame.event == b"error" or frame.data[:6] == b"[DONE]":
            return frame.event
        typed = _TYPED.read(frame.data)
        if typed is None and frame.data:
            self._seen.anomalies["not_json"] += 1
        return typed.type.encode() if typed is not None and typed.type else frame.event

    def _end(self, name: str, data: bytes) -> None:
        """Take a terminal event. One that breaks off has named the end and does not hold it: it is none."""
        if not self._take_event(data):
            return
        self._seen.terminal = name
        if name == "response.failed" and self._seen.error is None:
            self._seen.error = name

    def _take_event(self, data: bytes, *, is_error: bool = False) -> bool:
        """Take an event whole; False if it is not JSON. A bare `error` event is flat, others nest (facts/wire.md 2)."""
        event = _EVENT.read(data)
        if event is None:
            self._seen.anomalies["not_json"] += 1
            return False
        if event.response is not None:
            self._take_response(event.response)
        if error := parsed(event.error):
            self._seen.error = error_text(error)
        elif is_error:
            self._seen.error = error_text(parsed(event.message), parsed(event.code))
        return True

    def document(self, body: bytes) -> None:
        """Take a whole answer. One that is cut off counts as delivered with all its bytes, its text's upper bound."""
        response = _RESPONSE.read(body)
        if response is None:
            self._seen.anomalies["not_json"] += 1
            self._seen.delivered += len(body)
            return
        self._seen.terminal = "document"
        self._take_response(response)

    def _take_response(self, response: _Response) -> None:
        seen = self._seen
        seen.response_id = response.id or seen.response_id
        seen.model = response.model or seen.model
        seen.service_tier = response.service_tier or seen.service_tier
        if response.status not in (None, "in_progress", "queued"):
            reason = response.incomplete_details.reason if response.incomplete_details is not None else None
            seen.finish_reason = reason or response.status
        seen.delivered = max(seen.delivered, sum(_item_size(item) for item in response.output or ()))
        for tool in response.tools or ():
            if tool.type == "image_generation":
                self._image_model = tool.model
        self._usage.lay(self._usage.read(response.usage))
        self._tool_usage = merge(self._tool_usage, parsed(response.tool_usage))
        if error := parsed(response.error):
            seen.error = error_text(error, parsed(response.code))

    @property
    def over(self) -> bool:
        """True once the end has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen."""
        seen = self._seen
        anomalies = Anomalies()
        usual = self._usage.usual
        if usual is not None and not self._tool_usage:
            usage = usual_response_usage(usual, anomalies)
        else:
            usage = response_usage(self._usage.members, self._tool_usage, self._image_model, anomalies)
        return seen.reading(usage, anomalies, final=seen.terminal is not None or (ended and seen.error is None))


def _item_size(item: _Item) -> int:
    told = size(item.name) + size(item.arguments) + size(item.input) + size(item.code)
    return told + _parts_size(item.content) + _parts_size(item.summary)


def _parts_size(parts: list[_Part] | str | None) -> int:
    if isinstance(parts, list):
        return sum(size(part.text) + size(part.refusal) + size(part.transcript) for part in parts)
    return size(parts)


class _Request(Wanted):
    once: ClassVar[tuple[str, ...]] = ("model", "stream", "max_output_tokens", "service_tier")
    bulk: ClassVar[tuple[str, ...]] = ("input", "tools")

    input: msgspec.Raw = msgspec.Raw()
    max_output_tokens: Any = None
    service_tier: Any = None
    tools: msgspec.Raw = msgspec.Raw()
    previous_response_id: Any = None
    conversation: Any = None
    prompt: Any = None
    context_management: Any = None
    background: Any = None
    prompt_cache_key: Any = None


_OWN_TOOLS = ("function", "custom", "namespace", "local_shell", "apply_patch", "computer", "tool_search")
"""Tools that clients run themselves, or that bring nothing but what the request holds; a shell may be either's."""


class OpenAIResponses(OpenAIDialect, SocketDialect):
    """Responses. Usage comes unasked; `stream_options.include_usage` would be refused (facts/stream_cases.md 1.21)."""

    name = "openai.responses"
    operations = (
        Operation("create", "POST", "/responses"),
        Operation("compact", "POST", "/responses/compact"),
        Operation("count_input", "POST", "/responses/input_tokens", Metering.FREE),
        Operation("retrieve", "GET", "/responses/{id}", Metering.REPEATED),
        Operation("delete", "DELETE", "/responses/{id}", Metering.FREE),
        Operation("cancel", "POST", "/responses/{id}/cancel", Metering.REPEATED),
        Operation("list_input", "GET", "/responses/{id}/input_items", Metering.FREE),
    )

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body; the cap holds reasoning. Raises BadRequest.

        Compaction on the way is a pass of its own over the whole context.
        """
        del headers
        request = read_request(body, _Request)
        tools = rows(request.tools)
        helped = runs_tools(tools, _OWN_TOOLS)
        stored = given(request.previous_response_id, request.conversation, request.prompt, request.context_management)
        ask = Ask(
            model=request.model,
            stream=request.stream,
            output_cap=largest(request.max_output_tokens),
            input_bytes=len(body),
            has_tools=bool(tools),
            stored_context=helped or stored,
            unbounded="server_tools" if helped else "compaction" if request.context_management else None,
            deferred=request.background is True,
            service_tier=text(request.service_tier),
            previous_id=text(request.previous_response_id),
            sticky_id=_conversation_of(request.conversation) or text(request.prompt_cache_key),
        )
        return with_attachments(ask, request.input)

    def tally(self) -> Tally:
        """A fresh tally."""
        return ResponsesTally()

    def conversation(self) -> Conversation:
        """A fresh conversation."""
        return ResponsesConversation(self)

    def error_frame(self, error: HeadgateError, exchange_id: str) -> bytes:
        """A `response.failed` event: Codex passes over bare `error` events (facts/stream_cases.md 3.8).

        The stream's own response id, time and sequence are not known here; the id is made of the exchange's.
        """
        response = {
            "id": f"resp_{exchange_id}",
            "object": "response",
            "created_at": 0,
            "status": "failed",
            "error": {"code": error.code, "message": error.message},
            "incomplete_details": None,
            "model": "",
            "output": [],
            "usage": None,
        }
        event = {"type": "response.failed", "sequence_number": 0, "response": response}
        return b"event: response.failed\ndata: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def _conversation_of(conversation: Any) -> str | None:
    """The id of a stored conversation, which is named by itself or in an object."""
    return text(conversation.get("id") if isinstance(conversation, dict) else conversation)


DIALECT = OpenAIResponses()
