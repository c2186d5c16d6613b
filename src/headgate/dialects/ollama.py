"""Ollama's own API: chat, generate, embed, as JSON lines unless the request says otherwise (facts/wire.md section 8).

Counts come with the last line. A count that is absent, as of a prompt that was cached, is unknown and not 0
(facts/stream_cases.md 7.11). A line with `error` ends a stream whose status was 200.
"""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from headgate import jsontext
from headgate.dialects.asking import Wanted, items, largest, read_request
from headgate.dialects.attachments import PICTURE_TOKENS, with_attachments
from headgate.dialects.base import Answer, Ask, Dialect, Metering, Operation, Tally
from headgate.dialects.json_lines import framing_of_lines, lines_of
from headgate.dialects.reading import Anomalies, Counts, Seen, Shape, check_parts, error_text, parsed, size
from headgate.errors import HeadgateError
from headgate.framing.base import Frame, Framing
from headgate.usage import Reading, Usage


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Line(msgspec.Struct):
    """A line of a stream, or a whole answer."""

    model: str | None = None
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: msgspec.Raw = msgspec.Raw()
    prompt_eval_cached_count: msgspec.Raw = msgspec.Raw()
    eval_count: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_LINE = Shape(_Line)
_COUNTS = ("prompt_eval_count", "prompt_eval_cached_count", "eval_count")


class OllamaTally(Tally):
    """Reads lines, and whole answers."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._counts: dict[str, Any] = {}

    def event(self, frame: Frame) -> None:
        """Take a line."""
        self._take(_LINE.read(frame.data))

    def document(self, body: bytes) -> None:
        """Take a whole answer, or lines that came under a document's name.

        One that is cut off counts as delivered with all its bytes, its text's upper bound; half a line does not.
        """
        whole = _LINE.read(body)
        lines = lines_of(body) if whole is None else []
        for line in lines:
            self._take(_LINE.read(line))
        if not lines:
            self._take(whole)
            self._seen.delivered += len(body) if whole is None else 0

    def _take(self, line: _Line | None) -> None:
        seen = self._seen
        if line is None:
            seen.anomalies["not_json"] += 1
            return
        if line.done is None:  # embeddings, which never come in parts, and errors
            seen.terminal = "document"
        elif line.done:
            seen.terminal = "done"
        seen.model = seen.model or line.model
        seen.finish_reason = line.done_reason or seen.finish_reason
        seen.delivered += size(line.response) + size(line.thinking) + _size(line.message)
        self._counts |= {name: value for name in _COUNTS if (value := parsed(getattr(line, name))) is not None}
        if error := parsed(line.error):
            seen.error = error_text(error)

    @property
    def over(self) -> bool:
        """True once the end has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen."""
        anomalies = Anomalies()
        counts = Counts(self._counts, anomalies)
        usage = Usage(
            input_tokens=counts.get("prompt_eval_count"),
            cache_read_tokens=counts.get("prompt_eval_cached_count"),
            output_tokens=counts.get("eval_count"),
        )
        final = ended or self._seen.terminal is not None
        return self._seen.reading(check_parts(usage, anomalies), anomalies, final=final)


def _size(message: _Message | None) -> int:
    """UTF-8 bytes that a model generated; a call's arguments, an object here, as the text they came in."""
    if message is None:
        return 0
    n = size(message.content) + size(message.thinking)
    for call in message.tool_calls or ():
        if (function := call.function) is not None:
            raw = function.arguments
            n += size(function.name) + (len(bytes(raw)) if isinstance(raw, msgspec.Raw) else 0)
    return n


class _Request(Wanted):
    once: ClassVar[tuple[str, ...]] = ("model", "stream", "options")

    options: Any = None
    messages: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()


class Ollama(Dialect):
    """Ollama's API."""

    name = "ollama"
    stream_type = "application/x-ndjson"
    at_origin = True
    operations = (
        Operation("chat", "POST", "/api/chat"),
        Operation("generate", "POST", "/api/generate"),
        Operation("embed", "POST", "/api/embed"),
        Operation("embeddings", "POST", "/api/embeddings"),
        Operation("list", "GET", "/api/tags", Metering.FREE),
        Operation("running", "GET", "/api/ps", Metering.FREE),
        Operation("version", "GET", "/api/version", Metering.FREE),
        Operation("show", "POST", "/api/show", Metering.FREE),
    )

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body. It asks for a stream unless it says that it does not; its cap holds thinking.

        Only an embedding has `input`. Raises BadRequest.
        """
        del headers
        request = read_request(body, _Request)
        options = request.options if isinstance(request.options, dict) else {}
        ask = Ask(
            model=request.model,
            stream=request.stream or jsontext.value_of(body, "stream") in (None, b"null"),
            output_cap=0 if request.input else largest(options.get("num_predict")),
            input_bytes=len(body),
            prompts=max(items(request.input), 1),
            has_tools=bool(request.tools),
        )
        if request.images:  # generate's own
            return replace(ask, attachments=items(request.images), attachment_tokens=PICTURE_TOKENS)
        return with_attachments(ask, request.messages)

    def tally(self) -> Tally:
        """A fresh tally."""
        return OllamaTally()

    def framing(self, head: bytes, answer: Answer) -> Framing | None:
        """JSON lines, or one document."""
        return framing_of_lines(head, answer)

    def error_body(self, error: HeadgateError, exchange_id: str) -> bytes:
        """`{"error": "..."}` (recordings)."""
        del exchange_id
        return json.dumps({"error": error.message}, ensure_ascii=False).encode()

    def error_frame(self, error: HeadgateError, exchange_id: str) -> bytes:
        """The same as a line (facts/stream_cases.md 7.12)."""
        return self.error_body(error, exchange_id) + b"\n"


DIALECT = Ollama()
