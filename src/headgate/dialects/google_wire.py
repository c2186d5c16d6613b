"""What Google's APIs have in common, and no dialect itself: generateContent's answers, event streams, errors.

AI Studio and Vertex send the same bytes from different paths (facts/wire.md section 5), so each is a dialect.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from headgate.dialects.asking import Wanted, given, items, largest, read_request, rows, times
from headgate.dialects.attachments import with_attachments
from headgate.dialects.base import Answer, Ask, Dialect, Tally, framing_of
from headgate.dialects.reading import (
    MAX_MEMBERS,
    Anomalies,
    Counts,
    Seen,
    Shape,
    check_parts,
    error_text,
    merge,
    parsed,
    size,
    text,
)
from headgate.errors import HeadgateError
from headgate.framing.base import Frame, Framing
from headgate.framing.document import Document
from headgate.framing.json_array import JsonArray
from headgate.framing.sse import Part, ServerSentEvents
from headgate.usage import Reading, Usage

_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
_TIER_HEADER = b"x-gemini-service-tier"
_OUTPUT = ("candidatesTokenCount", "thoughtsTokenCount")
_TOTAL = ("promptTokenCount", "toolUsePromptTokenCount", *_OUTPUT)
"""What totalTokenCount is the sum of (facts/wire.md section 5)."""


class Events(ServerSentEvents):
    """Google's event streams: an error stands in them as bare JSON of many lines, without `data:`.

    A strict parser passes over such lines as unknown fields (facts/wire.md section 5; recorded from Vertex).
    """

    __slots__ = ()

    def _frames(self, blocks: list[bytes]) -> list[Frame]:
        return super()._frames([_with_field(block) for block in blocks])


def _with_field(block: bytes) -> bytes:
    """A block that is bare JSON as the event it stands for: JSON has no line end that a space could not replace."""
    if isinstance(block, Part) or block.lstrip(b" \t\r\n")[:1] not in {b"{", b"["}:
        return block
    return b"data: " + block.translate(_LINE_ENDS) + b"\n\n"


class _Part(msgspec.Struct):
    text: str | None = None
    functionCall: msgspec.Raw = msgspec.Raw()  # noqa: N815  Google's own names, here and below
    executableCode: msgspec.Raw = msgspec.Raw()  # noqa: N815


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct):
    content: _Content | None = None
    finishReason: str | int | None = None  # noqa: N815
    groundingMetadata: msgspec.Raw = msgspec.Raw()  # noqa: N815


class _Feedback(msgspec.Struct):
    blockReason: str | int | None = None  # noqa: N815


class _Response(msgspec.Struct):
    """A GenerateContentResponse, of embedContent and of predict too; also an error's body."""

    candidates: list[_Candidate] | None = None
    promptFeedback: _Feedback | None = None  # noqa: N815
    usageMetadata: msgspec.Raw = msgspec.Raw()  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    responseId: str | None = None  # noqa: N815
    predictions: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_RESPONSE = Shape(_Response)


class GenerateTally(Tally):
    """Reads answers of generateContent and its relatives; in a stream each event or array element is a whole one."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage: Mapping[str, Any] = {}
        self._tools: dict[str, set[str]] = {}

    def head(self, answer: Answer) -> None:
        """Take the tier that served, which only answers that are no streams have there (facts/stream_cases.md 2.12)."""
        tier = next((value for name, value in answer.headers if name == _TIER_HEADER), b"")
        self._seen.service_tier = tier.decode("latin-1") or None

    def event(self, frame: Frame) -> None:
        """Take one response of a stream."""
        response = _RESPONSE.read(frame.data)
        if response is None:
            self._seen.anomalies["not_json"] += 1
        else:
            self._take(response)

    def document(self, body: bytes) -> None:
        """Take a whole answer. One that is cut off counts as delivered with all its bytes, its text's upper bound."""
        response = _RESPONSE.read(body)
        if response is None:
            self._seen.anomalies["not_json"] += 1
            self._seen.delivered += len(body)
            return
        self._seen.terminal = "document"
        self._take(response)

    def _take(self, response: _Response) -> None:
        seen = self._seen
        seen.model = response.modelVersion or seen.model
        seen.response_id = response.responseId or seen.response_id
        for candidate in response.candidates or ():
            self._take_candidate(candidate)
        blocked = response.promptFeedback and response.promptFeedback.blockReason
        if blocked is not None:
            seen.finish_reason = str(blocked)
        self._take_usage(parsed(response.usageMetadata))
        if response.predictions:
            self._take_usage(_prediction_usage(parsed(response.predictions)))
        if error := parsed(response.error):
            seen.error = status_text(error)

    def _take_candidate(self, candidate: _Candidate) -> None:
        seen = self._seen
        if candidate.finishReason is not None:
            seen.finish_reason = str(candidate.finishReason)
        parts = candidate.content.parts if candidate.content is not None else None
        seen.delivered += sum(_part_size(part) for part in parts or ())
        grounding = parsed(candidate.groundingMetadata)
        if isinstance(grounding, dict) and isinstance(queries := grounding.get("webSearchQueries"), list):
            asked = self._tools.setdefault(_grounding_tool(grounding), set())
            asked.update(query for each in queries[:MAX_MEMBERS] if len(asked) < MAX_MEMBERS and (query := text(each)))

    def _take_usage(self, new: Any) -> None:
        """Lay a snapshot over the one before. One that adds up by itself is whole: what it lacks is 0, not unsaid.

        Totals may go down within a stream, and a count may be missing from the last one because it is 0 (recordings of
        hosted tools); early ones of Vertex have a traffic type only and erase nothing.
        """
        if not isinstance(new, dict):
            return
        tier, traffic = text(new.get("serviceTier")), text(new.get("trafficType"))
        self._seen.service_tier = tier or traffic or self._seen.service_tier
        if tier and traffic:
            self._seen.terms = {"traffic_type": traffic}
        self._usage = merge({} if _is_whole(new) else self._usage, new)

    @property
    def over(self) -> bool:
        """True once a whole answer has come; a stream is over only when its body ends, for STOP may come early."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen."""
        seen = self._seen
        ended_well = ended and seen.error is None
        finished = "finish" if ended_well and seen.finish_reason is not None else None
        anomalies = Anomalies()
        tools = {name: len(asked) for name, asked in self._tools.items() if asked}
        usage = generate_usage(self._usage, tools, anomalies)
        reading = seen.reading(usage, anomalies, final=seen.terminal is not None or ended_well)
        return replace(reading, terminal_evidence=seen.terminal or finished)


def _part_size(part: _Part) -> int:
    return size(part.text) + sum(len(bytes(raw)) for raw in (part.functionCall, part.executableCode) if _is_raw(raw))


def _is_raw(value: Any) -> bool:
    return isinstance(value, msgspec.Raw)


def _grounding_tool(grounding: Mapping[str, Any]) -> str:
    """Which tool was asked: queries to Google Maps stand in the same place, and only what they found tells."""
    chunks = grounding.get("groundingChunks")
    found = [chunk for chunk in chunks if isinstance(chunk, dict)] if isinstance(chunks, list) else []
    return "google_maps" if found and all("maps" in chunk for chunk in found) else "google_search"


def _is_whole(usage: Mapping[str, Any]) -> bool:
    """True if the snapshot tells of output, and its parts make up its own total."""
    parts = [usage.get(name) for name in _TOTAL]
    told = any(type(usage.get(name)) is int for name in _OUTPUT)
    return told and sum(n for n in parts if type(n) is int) == usage.get("totalTokenCount")


def _prediction_usage(predictions: Any) -> dict[str, Any] | None:
    """The tokens of Vertex' embeddings, counted text by text: `statistics.token_count` (facts/wire.md section 5)."""
    rows = predictions if isinstance(predictions, list) else []
    found = [Counts(row, Anomalies()).get("embeddings", "statistics", "token_count") for row in rows]
    told = [n for n in found if n is not None]
    return {"promptTokenCount": sum(told)} if told else None


def generate_usage(raw: Mapping[str, Any], tools: Mapping[str, int], anomalies: Anomalies) -> Usage:
    """A usageMetadata. Tool-use prompts are input beside the prompt, and cached content is part of the prompt.

    Thoughts are output beside the candidates, except where the total shows that they are within
    (facts/stream_cases.md 6.1 to 6.3).
    """
    counts = Counts(raw, anomalies)
    prompt, tool_use, candidates, thoughts = (counts.get(name) for name in _TOTAL)
    total = counts.get("totalTokenCount")
    read, made = added(prompt, tool_use), added(candidates, thoughts)
    if total is not None and read is not None and (added(read, made) or 0) != total:
        if candidates is not None and read + candidates == total:
            made = candidates
        else:
            anomalies["total_mismatch"] += 1
    usage = Usage(
        input_tokens=read,
        cache_read_tokens=counts.get("cachedContentTokenCount"),
        cache_read_audio_tokens=_tokens_of(_AUDIO, raw, "cacheTokensDetails"),
        cache_read_image_tokens=_tokens_of(_IMAGE, raw, "cacheTokensDetails"),
        input_audio_tokens=_tokens_of(_AUDIO, raw, "promptTokensDetails", "toolUsePromptTokensDetails"),
        input_image_tokens=_tokens_of(_IMAGE, raw, "promptTokensDetails", "toolUsePromptTokensDetails"),
        output_tokens=made,
        reasoning_tokens=thoughts,
        output_audio_tokens=_tokens_of(_AUDIO, raw, "candidatesTokensDetails"),
        output_image_tokens=_tokens_of(_IMAGE, raw, "candidatesTokensDetails"),
        tool_calls=tools or None,
    )
    return check_parts(usage, anomalies)


def added(*counts: int | None) -> int | None:
    """The sum of those that are told; None if none is."""
    told = [n for n in counts if n is not None]
    return sum(told) if told else None


_AUDIO, _IMAGE = ("AUDIO", 4), ("IMAGE", 2)
"""A modality's name and, for clients that ask for enums as numbers, its number."""


def _tokens_of(modality: tuple[str, int], raw: Mapping[str, Any], *details: str) -> int | None:
    return modality_tokens(raw, modality, *details, key="tokenCount")


def modality_tokens(raw: Mapping[str, Any], names: Sequence[str | int], *details: str, key: str) -> int | None:
    """The tokens of a modality over these lists of `{"modality", key}`; None if none of them names it."""
    lists = [rows for detail in details if isinstance(rows := raw.get(detail), list)]
    rows = [row for rows in lists for row in rows[:MAX_MEMBERS] if isinstance(row, dict)]
    return added(*(Counts(row, Anomalies()).get(key) for row in rows if row.get("modality") in names))


_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""google.rpc.Code by HTTP status, as google/rpc/code.proto maps them; it has no 402, and credit is a resource."""


def status_text(error: Any) -> str:
    """`STATUS: message` of an error object; its number where it has no status."""
    if isinstance(error, dict) and error.get("status"):
        error = error | {"code": error["status"]}
    return error_text(error)


class GoogleDialect(Dialect):
    """An API of Google's: whole paths, its framings, and how it tells errors."""

    at_origin = True
    other_stream_type = "application/json"

    def framing(self, head: bytes, answer: Answer) -> Framing | None:
        """A stream is an array unless `alt=sse` was asked for; an error may stand in an array of one as well."""
        del answer
        usual = framing_of(head)
        if isinstance(usual, Document) and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[":
            return JsonArray()
        return Events() if isinstance(usual, ServerSentEvents) else usual

    def keep_alive(self, content_type: str) -> bytes | None:
        """A blank line: Google's client reads whatever is no `data:` as JSON, and fails on comments.

        Between two elements of an array it means nothing either.
        """
        return b"\r\n" if content_type.startswith((self.stream_type, "application/json")) else None

    def error_body(self, error: HeadgateError, exchange_id: str) -> bytes:
        """`{"error": {"code", "message", "status"}}`; the exchange's id stands in a header."""
        del exchange_id
        status = _STATUSES.get(error.status, "INVALID_ARGUMENT" if error.status < 500 else "UNAVAILABLE")
        told = {"code": error.status, "message": error.message, "status": status}
        return json.dumps({"error": told}, ensure_ascii=False).encode()

    def error_frame(self, error: HeadgateError, exchange_id: str) -> bytes:
        """A data line with the error's body; Google's client raises on its `error` member."""
        return b"data: " + self.error_body(error, exchange_id) + b"\r\n\r\n"


class _Request(Wanted):
    once: ClassVar[tuple[str, ...]] = ("model", "stream", "generationConfig", "generation_config")
    bulk: ClassVar[tuple[str, ...]] = ("contents", "tools", "requests")

    generationConfig: Any = None  # noqa: N815
    generation_config: Any = None
    contents: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()
    requests: msgspec.Raw = msgspec.Raw()
    instances: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    cachedContent: Any = None  # noqa: N815
    cached_content: Any = None
    serviceTier: Any = None  # noqa: N815
    service_tier: Any = None


_OWN_TOOLS = frozenset({"functionDeclarations", "function_declarations", "computerUse", "computer_use"})
"""Kinds of tools that clients run themselves: a tool is named by its only key."""
_PICTURE_TOKENS = 10_000
"""A picture takes 2,240 tokens at the most where its resolution is a setting. Models before that cut it into tiles of
258 tokens, the more the longer it is: 38 tiles are a strip of one to twelve (ai.google.dev, "Media resolution" and
"Image understanding")."""
_REQUEST_TYPE = b"x-vertex-ai-llm-shared-request-type"
"""The header that asks for a tier at Vertex."""


def _embeds(request: _Request) -> bool:
    """What is embedded is one `content`, or in `requests`; what is answered, `contents`."""
    return not request.contents and bool(request.content or request.requests)


class GenerateDialect(GoogleDialect):
    """The generateContent API, at whichever paths."""

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body. The path tells the model and whether a stream is asked for.

        The cap holds thoughts too: with 8192 and a thinking budget of 2048, a model thought for 7862 tokens and stopped
        at the cap. Google takes both spellings of a member. Raises BadRequest.
        """
        request = read_request(body, _Request)
        settings = request.generationConfig or request.generation_config
        config = settings if isinstance(settings, dict) else {}
        tools = rows(request.tools)
        helped = any(not _OWN_TOOLS.issuperset(tool) for tool in tools)
        tier = next((value.decode("latin-1") for name, value in headers if name == _REQUEST_TYPE), None)
        ask = Ask(
            model=request.model,
            stream=request.stream,
            output_cap=0
            if _embeds(request)
            else largest(config.get("maxOutputTokens"), config.get("max_output_tokens")),
            choices=max(times(config.get("candidateCount")), times(config.get("candidate_count"))),
            input_bytes=len(body),
            prompts=max(items(request.requests), 1),
            has_tools=bool(tools),
            stored_context=helped or given(request.cachedContent, request.cached_content),
            unbounded="server_tools" if helped else "predictions" if request.instances else None,
            service_tier=text(request.serviceTier) or text(request.service_tier) or tier,
        )
        return with_attachments(ask, request.contents or request.content or request.requests, _PICTURE_TOKENS)

    def tally(self) -> Tally:
        """A fresh tally."""
        return GenerateTally()
