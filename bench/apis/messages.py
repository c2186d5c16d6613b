"""Anthropic's Messages. Pure."""

import json

from bench.apis.base import (
    CACHED_TOKENS,
    DOCUMENT_BYTES,
    DOCUMENT_TOKENS,
    PROMPT_TOKENS,
    SERVED_MODEL,
    Meaning,
    Wire,
    events,
    named_event,
    padded,
    token,
)

_SDK = (
    b"anthropic-version: 2023-06-01\r\n"
    b"user-agent: AsyncAnthropic/Python 1.9.0\r\n"
    b"x-stainless-arch: x64\r\n"
    b"x-stainless-async: async:asyncio\r\n"
    b"x-stainless-lang: python\r\n"
    b"x-stainless-os: Linux\r\n"
    b"x-stainless-package-version: 1.9.0\r\n"
    b"x-stainless-retry-count: 0\r\n"
    b"x-stainless-runtime: CPython\r\n"
    b"x-stainless-timeout: 600\r\n"
)
_MAX_TOKENS = 4096


def _ask(model: str, prompt: str) -> dict[str, object]:
    return {"model": model, "max_tokens": _MAX_TOKENS, "messages": [{"role": "user", "content": prompt}]}


def _usage(tokens: int) -> dict[str, object]:
    return {
        "input_tokens": PROMPT_TOKENS - CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": CACHED_TOKENS,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens,
        "service_tier": "standard",
    }


def _message(content: list[object], stop: str | None, tokens: int) -> dict[str, object]:
    return {
        "model": SERVED_MODEL,
        "id": "msg_01234567890123456789",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": _usage(tokens),
    }


def _document_of(text: str) -> bytes:
    return json.dumps(_message([{"type": "text", "text": text}], "end_turn", DOCUMENT_TOKENS)).encode()


def _document() -> bytes:
    return padded(_document_of, DOCUMENT_BYTES)


def _opening() -> bytes:
    begun = named_event({"type": "message_start", "message": _message([], None, 1)}, spaces=4)
    block: dict[str, object] = {"type": "text", "text": ""}
    opened = named_event({"type": "content_block_start", "index": 0, "content_block": block}, spaces=3)
    return begun + opened + named_event({"type": "ping"})


def _content(index: int) -> bytes:
    delta = {"type": "text_delta", "text": token(index)}
    return named_event({"type": "content_block_delta", "index": 0, "delta": delta}, spaces=8)


def _closing(chunks: int) -> bytes:
    ended: dict[str, object] = {"stop_reason": "end_turn", "stop_sequence": None}
    return (
        named_event({"type": "content_block_stop", "index": 0}, spaces=4)
        + named_event({"type": "message_delta", "delta": ended, "usage": {"output_tokens": chunks}}, spaces=6)
        + named_event({"type": "message_stop"}, spaces=7)
    )


def _read_document(body: bytes) -> Meaning:
    answer = json.loads(body)
    (block,) = answer["content"]
    return Meaning(block["text"], answer["stop_reason"] == "end_turn", answer["usage"]["output_tokens"])


def _read_stream(body: bytes) -> Meaning:
    told = [json.loads(data) for data in events(body)]
    text = "".join(event["delta"]["text"] for event in told if event["type"] == "content_block_delta")
    ends = [event for event in told if event["type"] == "message_delta"]
    tokens = ends[-1]["usage"]["output_tokens"] if ends else None
    return Meaning(text, told[-1]["type"] == "message_stop", tokens)


MESSAGES = Wire(
    "messages", "/v1/messages", b"x-api-key: ", _SDK,
    _ask, _document, _opening, _content, _closing, _closing, _read_document, _read_stream,
)  # fmt: skip
