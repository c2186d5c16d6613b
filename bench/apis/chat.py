"""OpenAI's chat completions. Pure."""

import json

from bench.apis.base import (
    CACHED_TOKENS,
    CREATED,
    DOCUMENT_BYTES,
    DOCUMENT_TOKENS,
    PROMPT_TOKENS,
    SERVED_MODEL,
    Meaning,
    Wire,
    compact,
    events,
    padded,
    token,
)

OPENAI_SDK = (
    b"user-agent: OpenAI/Python 3.52.0\r\n"
    b"x-stainless-arch: x64\r\n"
    b"x-stainless-async: async:asyncio\r\n"
    b"x-stainless-lang: python\r\n"
    b"x-stainless-os: Linux\r\n"
    b"x-stainless-package-version: 3.52.0\r\n"
    b"x-stainless-retry-count: 0\r\n"
    b"x-stainless-runtime: CPython\r\n"
)


def _ask(model: str, prompt: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}]}


def _usage(tokens: int) -> dict[str, object]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": tokens,
        "total_tokens": PROMPT_TOKENS + tokens,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _document_of(text: str) -> bytes:
    answer = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": CREATED,
        "model": SERVED_MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": _usage(DOCUMENT_TOKENS),
        "service_tier": "default",
    }
    return json.dumps(answer).encode()


def _document() -> bytes:
    return padded(_document_of, DOCUMENT_BYTES)


def _frame(choices: list[object], usage: object = None) -> bytes:
    event = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": SERVED_MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + compact(event) + b"\n\n"


def _opening() -> bytes:
    return _frame([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])


def _content(index: int) -> bytes:
    return _frame([{"index": 0, "delta": {"content": token(index)}, "logprobs": None, "finish_reason": None}])


def _closing_with(usage: bytes) -> bytes:
    finish = _frame([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}])
    return finish + usage + b"data: [DONE]\n\n"


def _closing(chunks: int) -> bytes:
    del chunks
    return _closing_with(b"")


def _closing_asked(chunks: int) -> bytes:
    return _closing_with(_frame([], _usage(chunks)))


def _read_document(body: bytes) -> Meaning:
    answer = json.loads(body)
    (choice,) = answer["choices"]
    text, finish = choice["message"]["content"], choice["finish_reason"]
    return Meaning(text, finish == "stop", answer["usage"]["completion_tokens"])


def _read_stream(body: bytes) -> Meaning:
    told = list(events(body))
    choices = [choice for data in told if data != b"[DONE]" for choice in json.loads(data)["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    finished = any(choice.get("finish_reason") == "stop" for choice in choices)
    return Meaning(text, finished and told[-1] == b"[DONE]", None)


CHAT = Wire(
    "chat", "/v1/chat/completions", b"authorization: Bearer ", OPENAI_SDK,
    _ask, _document, _opening, _content, _closing, _closing_asked, _read_document, _read_stream,
)  # fmt: skip
