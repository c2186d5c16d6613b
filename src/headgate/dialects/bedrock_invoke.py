"""Bedrock's InvokeModel: each model's own native bodies, and their events in chunks (facts/wire.md section 6)."""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from headgate import jsontext
from headgate.dialects.anthropic_wire import MessagesTally
from headgate.dialects.asking import Wanted, largest, raw_bytes, read_request, rows, runs_tools, times
from headgate.dialects.attachments import with_attachments
from headgate.dialects.base import Answer, Ask, Operation, Tally
from headgate.dialects.bedrock_wire import (
    BedrockDialect,
    ConverseTally,
    error_type,
    exception_text,
    header,
    latency_term,
    token_usage,
)
from headgate.dialects.openai_choices import ChoicesTally
from headgate.dialects.reading import (
    Anomalies,
    Counts,
    Seen,
    Shape,
    error_text,
    merge,
    parsed,
    size,
    string,
    text,
)
from headgate.framing.base import Frame
from headgate.usage import Basis, Reading, Usage

_HEADERS = {
    b"x-amzn-bedrock-input-token-count": "inputTokenCount",
    b"x-amzn-bedrock-output-token-count": "outputTokenCount",
    b"x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    b"x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
"""Counts in a whole answer's head, by the names that the invocation metrics have for them."""

_METRICS = b"amazon-bedrock-invocationMetrics"
_CONVERSE_EVENTS = (
    "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
)  # fmt: skip

_MESSAGE = re.compile(r"message|message_.*|content_block_.*|ping|error")
"""The types of Claude's answers and events; Cohere's have names such as message-start."""


class _Piece(msgspec.Struct):
    """One of several answers: Titan's results, Cohere's generations, Mistral's outputs."""

    text: str | None = None
    output_text: str | None = msgspec.field(default=None, name="outputText")
    finish_reason: str | None = None
    stop_reason: str | None = None
    completion_reason: str | None = msgspec.field(default=None, name="completionReason")
    titan_output: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="tokenCount")


class _Plain(_Piece):
    """A body or event of Titan, Llama, Cohere, Mistral, or Claude's text completions."""

    completion: str | None = None
    generation: str | None = None
    results: list[_Piece] | None = None
    generations: list[_Piece] | None = None
    outputs: list[_Piece] | None = None
    titan_input: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="inputTextTokenCount")
    titan_total: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="totalOutputTextTokenCount")
    llama_input: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="prompt_token_count")
    llama_output: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="generation_token_count")


_PLAIN = Shape(_Plain)


class PlainTally(Tally):
    """Reads the bodies of models whose counts, where they have any, stand at the top level."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage: Mapping[str, Any] = {}

    def event(self, frame: Frame) -> None:
        """Take an event."""
        self._take(frame.data)

    def document(self, body: bytes) -> None:
        """Take a whole answer. One that is cut off counts as delivered with all its bytes, its text's upper bound."""
        if self._take(body):
            self._seen.terminal = "document"
        else:
            self._seen.delivered += len(body)

    def _take(self, data: bytes) -> bool:
        seen, told = self._seen, _PLAIN.read(data)
        if told is None:
            seen.anomalies["not_json"] += 1
            return False
        pieces = [*(told.results or ()), *(told.generations or ()), *(told.outputs or ())]
        for piece in (told, *pieces):
            seen.delivered += size(piece.text) + size(piece.output_text)
            seen.finish_reason = (
                piece.finish_reason or piece.stop_reason or piece.completion_reason or seen.finish_reason
            )
        seen.delivered += size(told.completion) + size(told.generation)
        self._usage = merge(self._usage, _counts(told, seen.anomalies))
        return True

    @property
    def over(self) -> bool:
        """True once the end has come: of a stream it shows in nothing but Bedrock's metrics."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen."""
        anomalies = Anomalies()
        counts = Counts(self._usage, anomalies)
        usage = Usage(input_tokens=counts.get("input"), output_tokens=counts.get("output"))
        return self._seen.reading(usage, anomalies, final=self.over or ended)


def _counts(told: _Plain, anomalies: Anomalies) -> dict[str, Any]:
    """The counts as sent; of several results, each with its own, the sum."""
    given = parsed(told.llama_input), parsed(told.titan_input)
    made = [parsed(told.llama_output), parsed(told.titan_total)]
    results = [
        Counts({"tokenCount": parsed(piece.titan_output)}, anomalies).get("tokenCount") for piece in told.results or ()
    ]
    if results and None not in results:
        made.append(sum(n for n in results if n is not None))
    return {"input": _first(given), "output": _first(made)}


def _first(values: Sequence[Any]) -> Any:
    return next((value for value in values if value is not None), None)


class _Chunk(msgspec.Struct):
    bytes: str | None = None


class _Signs(msgspec.Struct):
    """What tells one model's native form from another's. `Raw` is a view, so that nothing is copied or read."""

    type: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    metrics: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name=_METRICS.decode())


_CHUNK, _SIGNS = Shape(_Chunk), Shape(_Signs)


class InvokeTally(Tally):
    """Reads native answers by the form that the first of their objects shows.

    The model's own usage counts. What it does not say is taken from Bedrock's metrics, which disagree with it on tool
    calls (recordings), or from the head (facts/stream_cases.md 1.15, 7.2).
    """

    def __init__(self) -> None:
        self._inner: Tally | None = None
        self._response_id: str | None = None
        self._service_tier: str | None = None
        self._latency: str | None = None
        self._error_type: str | None = None
        self._headers: Mapping[str, Any] = {}
        self._metrics: Mapping[str, Any] = {}
        self._error: str | None = None
        self._anomalies = Anomalies()

    def head(self, answer: Answer) -> None:
        """Take the counts, the tier and the request's id."""
        self._headers = {_HEADERS[name]: value.decode("latin-1") for name, value in answer.headers if name in _HEADERS}
        self._response_id = header(answer, b"x-amzn-requestid")
        self._service_tier = header(answer, b"x-amzn-bedrock-service-tier")
        self._latency = header(answer, b"x-amzn-bedrock-performanceconfig-latency")
        self._error_type = error_type(answer)

    def event(self, frame: Frame) -> None:
        """Take a chunk, and the native event inside it; or an exception."""
        if (error := exception_text(frame)) is not None:
            self._error = error
            return
        chunk = _CHUNK.read(frame.data)
        try:
            data = b64decode((chunk.bytes if chunk is not None else None) or "", validate=True)
        except (binascii.Error, ValueError):  # ValueError: a letter outside ASCII
            data = b""
        if not data:
            self._anomalies["unreadable_chunk"] += 1
        elif frame.event == b"chunk":
            self._take_native(data)

    def _take_native(self, data: bytes) -> None:
        signs = _SIGNS.read(data)
        if self._inner is None:
            self._inner = _reader_of(data, signs)
        if signs is not None:
            self._metrics = merge(self._metrics, parsed(signs.metrics))
        if isinstance(self._inner, ConverseTally):
            for event in _converse_events(data):
                self._inner.event(event)
        else:
            self._inner.event(Frame(b"", data))

    def document(self, body: bytes) -> None:
        """Take a whole answer, or an error's `message`."""
        signs = _SIGNS.read(body)
        self._inner = _reader_of(body, signs)
        self._inner.document(body)
        if signs is not None and (message := string(signs.message)) is not None:
            self._error = error_text(message, self._error_type)

    @property
    def over(self) -> bool:
        """True once the end has come. The metrics are in the last event."""
        return bool(self._metrics) or (self._inner is not None and self._inner.over)

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen, the model's own figures first."""
        reading = (self._inner or PlainTally()).reading(ended=ended and self._error is None)
        anomalies = self._anomalies + reading.anomalies
        metrics, headers = (token_usage(raw, anomalies) for raw in (self._metrics, self._headers))
        if not reading.usage.is_empty and self._metrics and not _agree(reading.usage, metrics):
            anomalies["invocation_metrics_differ"] += 1
        usage = _filled(_filled(reading.usage, metrics), headers)
        evidence = reading.terminal_evidence or ("invocationMetrics" if self._metrics else None)
        final = evidence is not None or reading.basis is Basis.REPORTED
        return replace(
            reading,
            usage=usage,
            basis=Basis.NONE if usage.is_empty else Basis.REPORTED if final else Basis.PARTIAL,
            response_id=reading.response_id or text(self._response_id),
            service_tier=text(self._service_tier) or reading.service_tier,
            terms={**reading.terms, **latency_term(self._latency)},
            terminal_evidence=evidence,
            in_stream_error=self._error or reading.in_stream_error,
            anomalies=dict(anomalies),
        )


def _reader_of(data: bytes, signs: _Signs | None) -> Tally:
    """What reads the form that an object has."""
    if signs is None:
        return PlainTally()
    if _MESSAGE.fullmatch(string(signs.type) or ""):
        return MessagesTally()
    if signs.choices:
        return ChoicesTally()
    events = any(data.lstrip().startswith(b'{"' + name.encode() + b'"') for name in _CONVERSE_EVENTS)
    return ConverseTally() if signs.output or events else PlainTally()


def _converse_events(data: bytes) -> list[Frame]:
    """Nova's event as Converse would send it: its name is the object's key, beside the metrics."""
    try:
        named = [(name, jsontext.value_of(data, name)) for name in _CONVERSE_EVENTS]
    except ValueError:
        return []
    return [Frame(name.encode(), event) for name, event in named if event is not None]


def _agree(own: Usage, metrics: Usage) -> bool:
    """Whether both say the same, as far as both say anything."""
    pairs = (own.input_tokens, metrics.input_tokens), (own.output_tokens, metrics.output_tokens)
    return all(one == other for one, other in pairs if one is not None and other is not None)


def _filled(own: Usage, other: Usage) -> Usage:
    """The usage, its input or output as another source has it where it is unknown: totals never part from details."""
    if own.input_tokens is None:
        own = replace(
            own,
            input_tokens=other.input_tokens,
            cache_read_tokens=other.cache_read_tokens,
            cache_read_audio_tokens=other.cache_read_audio_tokens,
            cache_read_image_tokens=other.cache_read_image_tokens,
            cache_write_tokens=other.cache_write_tokens,
        )
    return own if own.output_tokens is not None else replace(own, output_tokens=other.output_tokens)


class _Request(Wanted):
    once: ClassVar[tuple[str, ...]] = (
        "model", "max_tokens", "max_completion_tokens", "max_tokens_to_sample", "max_gen_len", "textGenerationConfig",
        "inferenceConfig", "n", "num_generations", "imageGenerationConfig",
    )  # fmt: skip
    bulk: ClassVar[tuple[str, ...]] = ("messages", "tools")

    messages: msgspec.Raw = msgspec.Raw()
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_tokens_to_sample: Any = None
    max_gen_len: Any = None
    textGenerationConfig: Any = None  # noqa: N815  the wire's own name
    inferenceConfig: Any = None  # noqa: N815  the wire's own name
    imageGenerationConfig: Any = None  # noqa: N815  the wire's own name
    n: Any = None
    num_generations: Any = None
    tools: msgspec.Raw = msgspec.Raw()
    context_management: msgspec.Raw = msgspec.Raw()


_PICTURE_TOKENS = 16_384
_OWN_TOOLS = ("function", "custom", "bash_", "text_editor_", "computer_", "memory_")
_TIER = b"x-amzn-bedrock-service-tier"


class BedrockInvoke(BedrockDialect):
    """InvokeModel, whole and as a stream."""

    name = "bedrock.invoke"
    aliases = ("bedrock.invoke-with-response-stream",)
    operations = (
        Operation("invoke", "POST", "/model/{model}/invoke"),
        Operation("invoke_stream", "POST", "/model/{model}/invoke-with-response-stream", streams=True),
    )

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body, whichever model's; the model stands in the path. Raises BadRequest."""
        request = read_request(body, _Request)
        titan, nova, pictures = (
            config if isinstance(config, dict) else {}
            for config in (request.textGenerationConfig, request.inferenceConfig, request.imageGenerationConfig)
        )
        tools = rows(request.tools)
        helped = runs_tools(tools, _OWN_TOOLS)
        compacts = b'"compact' in raw_bytes(request.context_management)
        cap = largest(
            request.max_tokens,
            request.max_completion_tokens,
            request.max_tokens_to_sample,
            request.max_gen_len,
            titan.get("maxTokenCount"),
            nova.get("maxTokens"),
            nova.get("max_new_tokens"),
        )
        ask = Ask(
            output_cap=cap,
            choices=max(times(request.n), times(request.num_generations), times(pictures.get("numberOfImages"))),
            input_bytes=len(body),
            has_tools=bool(tools),
            stored_context=helped,
            unbounded="server_tools" if helped else "compaction" if compacts else "images" if pictures else None,
            service_tier=next((value.decode("latin-1") for name, value in headers if name == _TIER), None),
        )
        return with_attachments(ask, request.messages, _PICTURE_TOKENS)

    def tally(self) -> Tally:
        """A fresh tally."""
        return InvokeTally()


DIALECT = BedrockInvoke()
