"""What is asked and what must come back, byte for byte. Pure: upstream and load generator both work it out from here.

The script of an answer travels in the model's name, so that it passes through any gateway that leaves the body alone
or edits only what it must.
"""

import json
import re
from dataclasses import dataclass
from functools import cache

_MODEL = re.compile(r"bench-(\d+)x(\d+)-(\d+)ms")
_PROMPT = "The gate at the head of the canal lets water through and measures it. " * 12
_CREATED = 1_700_000_000
KEY = "hg-bench-0123456789abcdef0123456789abcdef"
"""The key that every request brings: the operator's for one gateway, a virtual one with an account for another."""
SERVED_MODEL = "bench-model-2026-11-20"
_HEADERS = (
    b"accept: application/json\r\n"
    b"accept-encoding: identity\r\n"
    b"authorization: Bearer " + KEY.encode() + b"\r\n"
    b"content-type: application/json\r\n"
    b"user-agent: OpenAI/Python 3.52.0\r\n"
    b"x-stainless-arch: x64\r\n"
    b"x-stainless-async: async:asyncio\r\n"
    b"x-stainless-lang: python\r\n"
    b"x-stainless-os: Linux\r\n"
    b"x-stainless-package-version: 3.52.0\r\n"
    b"x-stainless-retry-count: 0\r\n"
    b"x-stainless-runtime: CPython\r\n"
)
"""As an official SDK sends them: headers cost a gateway time, so the load carries as many as real clients do."""


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: a document of 1 KB, or a stream of equal content frames.

    Args:
        chunks: content frames of the stream; 0 for a document.
        rate: content frames per second.
        first_ms: milliseconds from the request's end to the first byte.
    """

    chunks: int = 0
    rate: int = 0
    first_ms: int = 0

    @property
    def model(self) -> str:
        """The model name that asks for this script."""
        return f"bench-{self.chunks}x{self.rate}-{self.first_ms}ms"


DOCUMENT = Script()
SHORT_STREAM = Script(chunks=10, rate=50)
PACED_RATE, OPEN_RATE = 20, 2
"""Chunks a second of the streams that tell what a chunk costs, and of those that tell what an open stream weighs."""


def lasting(rate: int, seconds: float) -> Script:
    """A stream that outlasts a measurement."""
    return Script(chunks=int(rate * seconds), rate=rate)


def script_of(body: bytes) -> tuple[Script, bool]:
    """The script that a request body asks for, and whether it asks for the usage frame.

    Raises ValueError if the model is not one of `Script.model`.
    """
    asked = json.loads(body)
    named = _MODEL.fullmatch(asked["model"])
    if named is None:
        raise ValueError(f"model {asked['model']!r} names no script")
    chunks, rate, first_ms = map(int, named.groups())
    usage = bool(asked.get("stream_options", {}).get("include_usage"))
    return Script(chunks, rate, first_ms), usage


def request_body(script: Script, *, ask_usage: bool = False) -> bytes:
    """A chat completion request of about 1 KB."""
    asked: dict[str, object] = {"model": script.model, "messages": [{"role": "user", "content": _PROMPT}]}
    if script.chunks:
        asked["stream"] = True
    if ask_usage:
        asked["stream_options"] = {"include_usage": True}
    return json.dumps(asked).encode()


def request(script: Script, host: str, *, ask_usage: bool = False) -> bytes:
    """The whole HTTP request, keep-alive."""
    body = request_body(script, ask_usage=ask_usage)
    line = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n"
    return line.encode() + _HEADERS + b"\r\n" + body


def _usage(chunks: int) -> dict[str, object]:
    return {
        "prompt_tokens": 200,
        "completion_tokens": chunks,
        "total_tokens": 200 + chunks,
        "prompt_tokens_details": {"cached_tokens": 128, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


@cache
def document() -> bytes:
    """The body of a non-streamed answer, 1 KB."""
    answer = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": _CREATED,
        "model": SERVED_MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}],
        "usage": _usage(170),
        "service_tier": "default",
    }
    spare = 1024 - len(json.dumps(answer))
    answer["choices"] = [
        {"index": 0, "message": {"role": "assistant", "content": "w" * spare}, "finish_reason": "stop"}
    ]
    return json.dumps(answer).encode()


def _frame(choices: list[object], usage: object = None) -> bytes:
    event = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": SERVED_MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


def content_frame(index: int) -> bytes:
    """A content frame; all have one size, and no two of a stream are equal, so a lost or swapped one shows."""
    return _frame([{"index": 0, "delta": {"content": f" token{index:06d}"}, "logprobs": None, "finish_reason": None}])


FRAME_SIZE = len(content_frame(0))
"""Bytes of every content frame."""


@cache
def content_frames(chunks: int) -> tuple[bytes, ...]:
    """The content frames of a stream."""
    return tuple(content_frame(index) for index in range(chunks))


@cache
def opening() -> bytes:
    """The frame that names the role; it is sent with the first content frame."""
    return _frame([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])


@cache
def closing(chunks: int, *, usage: bool) -> bytes:
    """What ends a stream: the finish frame, the usage frame if it was asked for, and [DONE]."""
    finish = _frame([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}])
    return finish + (_frame([], _usage(chunks)) if usage else b"") + b"data: [DONE]\n\n"


@cache
def expected_body(script: Script, *, ask_usage: bool = False) -> bytes:
    """The body that a client must receive, whichever gateway the answer went through."""
    if not script.chunks:
        return document()
    return opening() + b"".join(content_frames(script.chunks)) + closing(script.chunks, usage=ask_usage)
