"""What chat and legacy completions share, and no dialect itself: answers made of choices, and the usage frame.

A stream's chunk and a whole answer have the same shape but for `delta` and `message`, so one Struct reads both.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from headgate import jsontext
from headgate.dialects.asking import Wanted, budget, given, largest, raw_bytes, rows, runs_tools, times
from headgate.dialects.attachments import with_attachments
from headgate.dialects.base import Answer, Ask, FrameFilter, Tally
from headgate.dialects.openai_wire import CompletionUsage, completion_usage, usual_completion_usage
from headgate.dialects.reading import Anomalies, Seen, Shape, Snapshot, error_text, merge, parsed, size, text
from headgate.framing.base import Frame
from headgate.framing.sse import Blocks, Part, parse_block
from headgate.usage import Reading, Usage


class _Thought(msgspec.Struct, gc=False):
    text: str | None = None


class _Piece(msgspec.Struct, gc=False):
    """A part of content that is an array, as Mistral sends it (facts/wire.md section 8)."""

    text: str | None = None
    thinking: list[_Thought] | str | None = None
    refusal: str | None = None


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: _Function | None = None


class _Audio(msgspec.Struct, gc=False):
    transcript: str | None = None


class _Message(msgspec.Struct, gc=False):
    """A delta or a message."""

    content: str | list[_Piece] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    audio: _Audio | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = None
    delta: _Message | None = None
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw()


class _Groq(msgspec.Struct, gc=False):
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    x_groq: _Groq | None = None
    error: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()


_CHUNK = Shape(_Chunk)
USAGE = msgspec.json.Decoder(CompletionUsage).decode
_COUNTED_IN_HEADERS = {b"fireworks-prompt-tokens": "prompt_tokens", b"fireworks-cached-prompt-tokens": "cached_tokens"}
"""Fireworks tells them before the body (facts/stream_cases.md 2.16), which wins where it tells them too."""
_MOST_CHOICES = 128
"""Choices that are told apart: as many as OpenAI lets a request ask for."""


class ChoicesTally(Tally):
    """Reads answers made of choices: chat and legacy completions, streamed and whole.

    Usage may stand in the chunk that finishes, after it, on every chunk, inside a choice, or in `x_groq`
    (facts/stream_cases.md section 1). It is never taken for the stream's end.
    """

    def __init__(self) -> None:
        self._seen = Seen()
        self._usage = Snapshot(USAGE)
        self._inner_usage = Snapshot(USAGE)
        """From inside a choice or `x_groq`: counts only where there is none at the top level."""
        self._running: dict[int | None, bool] = {}
        """By choice: whether it is still being generated."""
        self._usage_is_final = False
        self._headers: Mapping[str, str] = {}

    def head(self, answer: Answer) -> None:
        """Take the counts that stand in headers."""
        names = _COUNTED_IN_HEADERS
        self._headers = {names[name]: value.decode("latin-1") for name, value in answer.headers if name in names}

    def event(self, frame: Frame) -> None:
        """Take a chunk."""
        data = frame.data
        if data[:6] == b"[DONE]":
            self._seen.terminal = "[DONE]"
        elif data:
            self._take(data)

    def document(self, body: bytes) -> None:
        """Take a whole answer. One that is cut off counts as delivered with all its bytes, its text's upper bound."""
        if self._take(body):
            self._seen.terminal = "document"
        else:
            self._seen.delivered += len(body)

    def _take(self, data: bytes) -> bool:
        seen, chunk = self._seen, _CHUNK.read(data)
        if chunk is None:
            seen.anomalies["not_json"] += 1
            return False
        if not seen.model:
            seen.model = chunk.model
        if not seen.response_id:
            seen.response_id = chunk.id
        if chunk.service_tier:
            seen.service_tier = chunk.service_tier
        for choice in chunk.choices or ():
            self._take_choice(choice)
        if chunk.x_groq is not None:
            self._take_groq(chunk.x_groq)
        if chunk.usage:  # null in every chunk but the last, once it is asked for
            self._take_usage(self._usage, self._usage.read(chunk.usage))
        if chunk.error and (error := parsed(chunk.error)):
            seen.error = error_text(error, parsed(chunk.code))
        return True

    def _take_choice(self, choice: _Choice) -> None:
        seen, message = self._seen, choice.delta or choice.message
        if message is not None:
            seen.delivered += _size(message)
        if choice.text:
            seen.delivered += size(choice.text)
        if choice.finish_reason:
            seen.finish_reason = choice.finish_reason
        if choice.finish_reason or choice.index not in self._running:
            self._note_progress(choice.index, running=not choice.finish_reason)
        if choice.usage:
            self._take_usage(self._inner_usage, self._inner_usage.read(choice.usage))

    def _note_progress(self, index: int | None, *, running: bool) -> None:
        if index in self._running or len(self._running) < _MOST_CHOICES:
            self._running[index] = running

    def _take_groq(self, groq: _Groq) -> None:
        """Groq's own place for usage; in whole answers it holds cache statistics instead (facts/wire.md section 8)."""
        usage, error = self._inner_usage.read(groq.usage), parsed(groq.error)
        if isinstance(usage, CompletionUsage) or (isinstance(usage, dict) and "prompt_tokens" in usage):
            self._take_usage(self._inner_usage, usage)
        if error:
            self._seen.error = error_text(error)

    def _take_usage(self, snapshot: Snapshot[CompletionUsage], usage: Any) -> None:
        if usage is not None:
            self._usage_is_final = bool(self._running) and not any(self._running.values())
            snapshot.lay(usage)

    @property
    def over(self) -> bool:
        """True once the end has come."""
        return self._seen.terminal is not None

    def reading(self, *, ended: bool) -> Reading:
        """What has been seen. An error in a stream means that running figures were not the last."""
        seen, anomalies = self._seen, Anomalies()
        snapshot = self._usage if self._usage.said else self._inner_usage
        usual = snapshot.usual
        if usual is not None and not self._headers:
            usage = usual_completion_usage(usual, anomalies)
        else:
            raw = snapshot.members
            usage = completion_usage(merge(self._headers, raw), anomalies) if raw else Usage()
        seen.service_tier = seen.service_tier or text(snapshot.get("service_tier"))
        whole = seen.terminal is not None or (ended and seen.error is None)
        return seen.reading(usage, anomalies, final=whole or self._usage_is_final)


def _size(message: _Message) -> int:
    """UTF-8 bytes that a model generated. The two names of reasoning carry the same text where both are sent."""
    content = message.content
    n = (len(content) if isinstance(content, str) and content.isascii() else _content_size(content)) if content else 0
    if reasoning := message.reasoning_content or message.reasoning:
        n += size(reasoning)
    if message.refusal:
        n += size(message.refusal)
    for call in message.tool_calls or ():
        n += _function_size(call.function) + _function_size(call.custom)
    if message.function_call is not None:
        n += _function_size(message.function_call)
    if message.audio is not None:
        n += size(message.audio.transcript)
    return n


def _content_size(content: list[_Piece] | str | None) -> int:
    if not isinstance(content, list):
        return size(content)
    n = 0
    for piece in content:
        n += size(piece.text) + size(piece.refusal)
        if isinstance(piece.thinking, list):
            n += sum(size(thought.text) for thought in piece.thinking)
        else:
            n += size(piece.thinking)
    return n


def _function_size(function: _Function | None) -> int:
    return 0 if function is None else size(function.name) + size(function.arguments) + size(function.input)


class ChatRequest(Wanted):
    """What is read of a chat request, in the spellings of all compatible services."""

    once: ClassVar[tuple[str, ...]] = (
        "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "service_tier",
    )  # fmt: skip
    bulk: ClassVar[tuple[str, ...]] = ("messages", "tools")

    messages: msgspec.Raw = msgspec.Raw()
    max_tokens: Any = None
    max_completion_tokens: Any = None
    n: Any = None
    stream_options: Any = None
    service_tier: Any = None
    tools: msgspec.Raw = msgspec.Raw()
    thinking_budget: Any = None
    thinking: Any = None
    reasoning: Any = None
    prediction: msgspec.Raw = msgspec.Raw()
    web_search_options: Any = None
    search_parameters: Any = None
    plugins: Any = None
    data_sources: Any = None
    prompt_cache_key: Any = None


_OWN_TOOLS = ("function", "custom")


def chat_ask(body: bytes, request: ChatRequest) -> Ask:
    """The ask of a chat request.

    OpenAI's cap holds reasoning. Some compatible services spend a thinking budget beside it (Qwen's `thinking_budget`
    does), so one that is named is added. The tokens of a prediction that is not taken up are billed as output.
    """
    tools = rows(request.tools)
    searches = given(request.web_search_options, request.search_parameters, request.plugins, request.data_sources)
    helped = searches or runs_tools(tools, _OWN_TOOLS)
    ask = Ask(
        model=request.model,
        stream=request.stream,
        output_cap=largest(request.max_tokens, request.max_completion_tokens),
        choices=times(request.n),
        input_bytes=len(body),
        wants_usage=asks_for_usage(request.stream_options),
        has_tools=bool(tools),
        stored_context=helped,
        thinking_budget=_beside_cap(request),
        unbounded="server_tools" if helped else None,
        service_tier=text(request.service_tier),
        sticky_id=text(request.prompt_cache_key),
    )
    return with_attachments(ask, request.messages)


def _beside_cap(request: ChatRequest) -> int:
    if not (request.thinking_budget or request.thinking or request.reasoning or request.prediction):
        return 0
    thinking, reasoning = (given if isinstance(given, dict) else {} for given in (request.thinking, request.reasoning))
    thought = budget(request.thinking_budget, thinking.get("budget_tokens"), reasoning.get("max_tokens"))
    return thought + len(raw_bytes(request.prediction))


def asks_for_usage(stream_options: Any) -> bool:
    """True if a request's `stream_options` ask for the usage frame."""
    return isinstance(stream_options, dict) and stream_options.get("include_usage") is True


def with_usage_frame(body: bytes, ask: Ask) -> bytes | None:
    """The body with `stream_options.include_usage` true, the client's other options kept; None where nothing is to do.

    Nothing is to do for an answer that is not streamed (facts/stream_cases.md 1.20), for a client that asks itself, and
    where the options are of a kind that the provider has to judge.
    """
    if not ask.stream or ask.wants_usage:
        return None
    given = jsontext.value_of(body, "stream_options")
    if given in (None, b"null"):
        return jsontext.with_member(body, "stream_options", b'{"include_usage":true}')
    told = parsed(msgspec.Raw(given))
    if not isinstance(told, dict) or told.get("include_usage") not in (None, False):
        return None
    return jsontext.with_member(body, "stream_options", jsontext.with_member(given, "include_usage", b"true"))


class _UsageFrame(msgspec.Struct):
    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_USAGE_FRAME = Shape(_UsageFrame)


class UsageFrameFilter(FrameFilter):
    """Takes out the frames that hold nothing but usage, which a client that did not ask does not expect.

    Usage in a chunk with choices, as several providers send it, stays; so does a chunk that tells an error.
    """

    BOUND = 16 * 1024
    """The most that is held back of an unfinished frame. A usage frame has under 2 KiB (recordings)."""

    def __init__(self) -> None:
        self._blocks = Blocks(self.BOUND)

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to pass on now."""
        if self._blocks.between and chunk[-2:] == b"\n\n" and has_choices(chunk) and chunk.find(b"\r") < 0:
            return chunk
        passed = [block for block in self._blocks.feed(chunk) if isinstance(block, Part) or not is_usage_frame(block)]
        ripe = self._blocks.ripe
        if ripe and not is_usage_frame(ripe):  # a client is not kept waiting for a LF that never comes
            passed.append(self._blocks.release())
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def end(self) -> bytes:
        """The unfinished frame, unless it is one to take out and only lacks its blank line."""
        rest = self._blocks.pending
        return b"" if is_usage_frame(rest) else rest


_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')


def has_choices(block: bytes) -> bool:
    """True if every list of choices in the block begins with an object, as nearly all do: none is empty then."""
    return block.count(b'"choices"') == block.count(b'"choices":[{')


def is_usage_frame(block: bytes) -> bool:
    """True if the block's event is a chunk with an empty list of choices and a usage object, and no error."""
    if _NO_CHOICES.search(block) is None:  # every chunk says "usage": null once usage is asked for
        return False
    frame = parse_block(block)
    chunk = _USAGE_FRAME.read(frame.data) if frame is not None else None
    if chunk is None or chunk.choices != [] or parsed(chunk.error):
        return False
    return isinstance(parsed(chunk.usage), dict)
