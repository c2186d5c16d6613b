"""A provider whose answers a story can hold back, word by word."""

import asyncio
import json
from typing import Any

from headgate.testing.upstream import LAST_CHUNK, Received, Script, WaitFor, chunk, head, response

MODEL = "gpt-4o-mini"
INPUT_NANOS, OUTPUT_NANOS = 1_000, 2_000
"""What a token of MODEL costs: a dollar and two a million, as `stage.config` has it."""
PROMPT_TOKENS = 100
WORDS = "word " * 8
"""Forty bytes: ten tokens, as long as nobody has told how many there are."""


class Provider:
    """Answers chat completions: whole at once, or as a stream that waits for `say` and `end`."""

    def __init__(self, *, output_tokens: int = 77) -> None:
        self.usage = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": output_tokens,
            "total_tokens": PROMPT_TOKENS + output_tokens,
        }
        self.price_nanos = PROMPT_TOKENS * INPUT_NANOS + output_tokens * OUTPUT_NANOS
        """What one answer costs."""
        self._words = [asyncio.Event() for _ in range(8)]
        self._end = asyncio.Event()

    def say(self, words: int) -> None:
        """Let streams come as far as so many times WORDS."""
        for event in self._words[:words]:
            event.set()

    def end(self) -> None:
        """Let streams come to their ends."""
        self.say(len(self._words))
        self._end.set()

    def __call__(self, request: Received) -> Script:
        """The upstream's handler."""
        asked = json.loads(request.body)
        if asked.get("stream"):
            yield from self._stream(asked["model"])
            return
        message = {"role": "assistant", "content": WORDS}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": choices}
        yield from response([json.dumps(answer | {"usage": self.usage}).encode()])

    def _stream(self, model: str) -> Script:
        yield head(content_type="text/event-stream")
        for event in self._words:
            yield WaitFor(event)
            yield _frame(model, [{"index": 0, "delta": {"content": WORDS}, "finish_reason": None}])
        yield WaitFor(self._end)
        yield _frame(model, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        yield _frame(model, [], self.usage)
        yield chunk(b"data: [DONE]\n\n")
        yield LAST_CHUNK


def _frame(model: str, choices: list[Any], usage: dict[str, int] | None = None) -> Any:
    told = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices}
    return chunk(b"data: " + json.dumps(told | {"usage": usage}).encode() + b"\n\n")
