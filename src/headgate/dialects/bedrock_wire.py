"""What Bedrock's runtime APIs share, and no dialect itself (facts/wire.md section 6).

Converse events and documents stand here because InvokeModel carries them too: they are the Nova models' native form.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from headgate.dialects.base import Answer, Dialect, Tally, framing_of
from headgate.dialects.reading import (
    Anomalies,
    Counts,
    Seen,
    Shape,
    check_parts,
    error_text,
    loads,
    merge,
    parsed,
    size,
    split_of,
    string,
    text,
)
from headgate.errors import HeadgateError
from headgate.framing.base import Frame, Framing
from headgate.framing.eventstream import EventStream, encode
from headgate.usage import Reading, Usage

EVENT_STREAM = "application/vnd.amazon.eventstream"


def token_usage(raw: Mapping[str, Any], anomalies: Anomalies) -> Usage:
    """Bedrock's own counts, under any of its names: Converse's, Nova's and those of the invocation metrics.

    Cache reads and writes are beside the input on the wire, unless the total shows that they are parts of it
    (facts/stream_cases.md 7.3, 7.4).
    """
    counts = Counts(raw, anomalies)
    fresh, output = (counts.first((f"{kind}Tokens",), (f"{kind}TokenCount",)) for kind in ("input", "output"))
    read, written = (
        counts.first((f"cache{kind}InputTokens",), (f"cache{kind}InputTokenCount",)) for kind in ("Read", "Write")
    )
    parts = _by_ttl(raw.get("cacheDetails"), anomalies)
    if written is None and parts:
        written = sum(parts.values())
    cached = (read or 0) + (written or 0)
    usage = Usage(
        input_tokens=None if fresh is None else fresh + _beside(fresh, output, cached, counts, anomalies),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_tokens_by_ttl=split_of(written, parts, anomalies),
        output_tokens=output,
    )
    return check_parts(usage, anomalies)


def _beside(fresh: int, output: int | None, cached: int, counts: Counts, anomalies: Anomalies) -> int:
    """How many of the cached tokens the input count leaves out: all of them, or none if the total says so."""
    total = counts.get("totalTokens")
    if total is None or output is None or total == fresh + output + cached:
        return cached
    if total == fresh + output:
        anomalies["input_includes_cache"] += 1
        return 0
    anomalies["total_mismatch"] += 1
    return cached


def _by_ttl(details: Any, anomalies: Anomalies) -> dict[str, int]:
    """Cache writes by time to live. A list of another shape is passed over."""
    parts: Counter[str] = Counter()
    for row in details if isinstance(details, list) else ():
        n = Counts(row, anomalies).get("inputTokens")
        ttl = text(row.get("ttl")) if isinstance(row, dict) else None
        if n is not None and ttl is not None:
            parts[ttl] += n
    return dict(parts)


class _Reasoning(msgspec.Struct):
    text: str | None = None
    reasoningText: "_Reasoning | None" = None  # noqa: N815  the wire's own name


class _ToolUse(msgspec.Struct):
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _Block(msgspec.Struct):
    """A content block, the start of one, or a delta of one."""

    text: str | None = None
    tool_use: _ToolUse | None = msgspec.field(default=None, name="toolUse")
    reasoning: _Reasoning | None = msgspec.field(default=None, name="reasoningContent")


class _Message(msgspec.Struct):
    content: list[_Block] | None = None


class _Output(msgspec.Struct):
    message: _Message | None = None


class _Tier(msgspec.Struct):
    type: str | None = None


class _Router(msgspec.Struct):
    model: str | None = msgspec.field(default=None, name="invokedModelId")


class _Trace(msgspec.Struct):
    router: _Router | None = msgspec.field(default=None, name="promptRouter")


class _Performance(msgspec.Struct):
    latency: str | None = None


class _Told(msgspec.Struct):
    """The payload of an event, or a whole answer: what they hold has the same names in both."""

    start: _Block | None = None
    delta: _Block | None = None
    output: _Output | None = None
    stop_reason: str | None = msgspec.field(default=None, name="stopReason")
    usage: msgspec.Raw = msgspec.Raw()
    tier: _Tier | None = msgspec.field(default=None, name="serviceTier")
    performance: _Performance | None = msgspec.field(default=None, name="performanceConfig")
    trace: _Trace | None = None
    message: msgspec.Raw = msgspec.Raw()


_TOLD = Shape(_Told)
_IGNORED = frozenset({b"messageStart", b"contentBlockStop"})


class ConverseTally(Tally):
    """Reads Converse's events and answers. Usage comes in `metadata`, after `messageStop`: only then is it over."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage: Mapping[str, Any] = {}
        self._error_type: str | None = None

    def head(self, answer: Answer) -> None:
        """Take the request's id, which no body has, and the type of an error."""
        self._seen.response_id = header(answer, b"x-amzn-requestid")
        self._error_type = error_type(answer)

    def event(self, frame: Frame) -> None:
        """Take an event."""
        if frame.event in _IGNORED:
            return
        if (error := exception_text(frame)) is not None:
            self._seen.error = error
            return
        told = _TOLD.read(frame.data)
        if told is None:
            self._seen.anomalies["not_json"] += 1
            return
        self._take(told)
        if frame.event == b"metadata":
            self._seen.terminal = "metadata"

    def document(self, body: bytes) -> None:
        """Take a whole answer. One that is cut off counts as delivered with all its bytes, its text's upper bound."""
        told = _TOLD.read(body)
        if told is None:
            self._seen.anomalies["not_json"] += 1
            self._seen.delivered += len(body)
            return
        self._seen.terminal = "document"
        self._take(told)
        if told.output is None and (message := string(told.message)) is not None:
            self._seen.error = error_text(message, self._error_type)

    def _take(self, told: _Told) -> None:
        seen = self._seen
        message = told.output.message if told.output is not None else None
        blocks = (told.start, told.delta, *(message.content or () if message is not None else ()))
        seen.delivered += sum(_block_size(block) for block in blocks if block is not None)
        seen.finish_reason = told.stop_reason or seen.finish_reason
        if told.usage:
            self._usage = merge(self._usage, parsed(told.usage))
        if told.tier is not None:
            seen.service_tier = told.tier.type or seen.service_tier
        if told.performance is not None:
            seen.terms = latency_term(told.performance.latency)
        if told.trace is not None and told.trace.router is not None:
            seen.model = told.trace.router.model or seen.model

    @property
    def over(self) -> bool:
        """True once the end has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen. Usage comes last, so that it is final where it came at all."""
        del ended
        anomalies = Anomalies()
        return self._seen.reading(token_usage(self._usage, anomalies), anomalies, final=self.over)


def _block_size(block: _Block) -> int:
    """UTF-8 bytes that a model generated. A tool's input is text in a delta and an object in an answer."""
    told = size(block.text)
    if block.reasoning is not None:
        told += size((block.reasoning.reasoningText or block.reasoning).text)
    if block.tool_use is not None:
        told += size(block.tool_use.name)
        given = block.tool_use.input
        as_text = string(given)
        if as_text is not None:
            told += size(as_text)
        elif isinstance(given, msgspec.Raw) and len(raw := bytes(given)) > len(b"{}"):
            told += len(raw)
    return told


def header(answer: Answer, name: bytes) -> str | None:
    """The first value of a header, by lower-case name; None if there is none."""
    return next((value.decode("latin-1") for key, value in answer.headers if key == name), None)


def latency_term(latency: str | None) -> dict[str, str]:
    """The term of an answer that was served with another latency than the standard one: "optimized" has its price."""
    told = text(latency)
    return {} if told is None or told == "standard" else {"latency": told}


def error_type(answer: Answer) -> str | None:
    """The type of an error as its header names it; what follows a colon there is a link to its documentation."""
    told = header(answer, b"x-amzn-errortype")
    return told.partition(":")[0] if told else None


def exception_text(frame: Frame) -> str | None:
    """What an exception or error frame tells; None for any other frame (facts/stream_cases.md 7.5)."""
    kind, colon, name = frame.event.partition(b":")
    if not colon or kind not in {b"exception", b"error"}:
        return None
    told = loads(frame.data)
    message = told.get("message") if isinstance(told, dict) else frame.data.decode("utf-8", "replace")
    return error_text(message, name.decode("utf-8", "replace"))


_EXCEPTIONS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    402: "ServiceQuotaExceededException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    413: "ValidationException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}
"""Exception types by status (the service model of botocore 1.44)."""
_IN_STREAM = {503: "serviceUnavailableException", 504: "modelTimeoutException"}
"""Those that may come inside a stream, by status."""


class BedrockDialect(Dialect):
    """What both dialects of the runtime share: whole paths, the event stream, the shape of errors."""

    at_origin = True
    stream_type = EVENT_STREAM

    def framing(self, head: bytes, answer: Answer) -> Framing | None:
        """An event stream by its first byte, the highest of a length: no JSON text begins with so low a one."""
        del answer
        return EventStream() if head[:1] in {b"\0", b"\1"} else framing_of(head)

    def error_body(self, error: HeadgateError, exchange_id: str) -> bytes:
        """`{"message": ..., "__type": ...}`: the type stands in the body for lack of the header x-amzn-errortype.

        AWS' SDKs look there next (botocore 1.44, parsers.py).
        """
        kind = _EXCEPTIONS.get(error.status, "ValidationException" if error.status < 500 else "InternalServerException")
        return _json({"message": error.message, "__type": kind, "exchangeId": exchange_id})

    def error_frame(self, error: HeadgateError, exchange_id: str) -> bytes:
        """An exception message, which ends the stream for AWS' SDKs."""
        kind = _IN_STREAM.get(error.status, "internalServerException")
        headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
        return encode(headers, _json({"message": error.message, "exchangeId": exchange_id}))


def _json(value: Mapping[str, str]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
