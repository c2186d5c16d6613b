"""What an answer says, for people to read while it streams. For display only: no number comes from here."""

import json
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from headgate.framing.sse import ServerSentEvents


class Kind(Enum):
    """Whom the words are for."""

    SAID = "said"
    THOUGHT = "thought"
    """The model's reasoning, or its provider's summary of that."""
    CODE = "code"
    """Run by the provider."""


class Words(NamedTuple):
    """A piece of an answer's text."""

    text: str
    kind: Kind = Kind.SAID


_RESPONSES = {
    "response.output_text.delta": Kind.SAID,
    "response.reasoning_summary_text.delta": Kind.THOUGHT,
    "response.reasoning_text.delta": Kind.THOUGHT,
    "response.code_interpreter_call_code.delta": Kind.CODE,
}


class Listener:
    """Turns an answer's bytes into words."""

    def __init__(self, *, stream: bool) -> None:
        self._framing = ServerSentEvents()
        self._stream = stream
        self._document = b""

    def hear(self, chunk: bytes) -> list[Words]:
        """The words that this chunk completes."""
        if not self._stream:
            self._document += chunk
            return []
        return [words for frame in self._framing.feed(chunk) for words in words_of(frame.data) if words.text]

    def end(self) -> list[Words]:
        """What there is to say once the answer is whole: of embeddings, what they are."""
        data = json.loads(self._document).get("data", ()) if self._document else ()
        return [Words(f"{len(data)} vector{'s' * (len(data) != 1)}")] if data else []


def words_of(data: bytes) -> Iterator[Words]:
    """The words of one event's data, in any of the streaming dialects."""
    try:
        event = json.loads(data)
    except ValueError:
        return  # "[DONE]"
    match event.get("type"):
        case None:
            for choice in event.get("choices", ()):
                yield from _chat(choice.get("delta") or {})
        case "content_block_delta":
            yield Words(event["delta"].get("thinking", ""), Kind.THOUGHT)
            yield Words(event["delta"].get("text", ""))
        case kind if kind in _RESPONSES:
            yield Words(event["delta"], _RESPONSES[kind])


def _chat(delta: dict[str, Any]) -> Iterator[Words]:
    yield Words(delta.get("reasoning_content") or delta.get("reasoning") or "", Kind.THOUGHT)
    content = delta.get("content") or ""
    if isinstance(content, str):
        yield Words(content)
        return
    for part in content:  # Mistral's reasoning models send a list of parts
        for thought in part.get("thinking", ()):
            yield Words(thought.get("text", ""), Kind.THOUGHT)
        yield Words(part.get("text", ""))
