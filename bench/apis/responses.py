"""OpenAI's Responses. Pure."""

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
    events,
    named_event,
    padded,
    said,
    token,
)
from bench.apis.chat import OPENAI_SDK

_ITEM = "msg_0123456789abcdef0123456789abcdef0123456789abcdef"
_BEFORE = 4
"""Events before the first content frame."""
_AT = {"content_index": 0, "item_id": _ITEM, "output_index": 0}


def _ask(model: str, prompt: str) -> dict[str, object]:
    return {"model": model, "input": prompt}


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _item(text: str | None) -> dict[str, object]:
    status, content = ("in_progress", []) if text is None else ("completed", [_part(text)])
    return {"id": _ITEM, "type": "message", "status": status, "content": content, "role": "assistant"}


def _usage(tokens: int) -> dict[str, object]:
    return {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": PROMPT_TOKENS + tokens,
    }


def _response(text: str | None, tokens: int = 0) -> dict[str, object]:
    """The response as it stands before it has said anything, and when it has said everything."""
    done = text is not None
    return {
        "id": "resp_0123456789abcdef0123456789abcdef0123456789abcdef",
        "object": "response",
        "created_at": CREATED,
        "status": "completed" if done else "in_progress",
        "background": False,
        "completed_at": CREATED + 1 if done else None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": SERVED_MODEL,
        "output": [_item(text)] if done else [],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default" if done else "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(tokens) if done else None,
        "user": None,
        "metadata": {},
    }


def _document() -> bytes:
    return padded(lambda text: json.dumps(_response(text, DOCUMENT_TOKENS), indent=2).encode(), DOCUMENT_BYTES)


def _event(kind: str, number: int, **more: object) -> bytes:
    return named_event({"type": f"response.{kind}", **more, "sequence_number": number})


def _opening() -> bytes:
    return (
        _event("created", 0, response=_response(None))
        + _event("in_progress", 1, response=_response(None))
        + _event("output_item.added", 2, item=_item(None), output_index=0)
        + _event("content_part.added", 3, **_AT, part=_part(""))
    )


def _content(index: int) -> bytes:
    """The provider hides how long a token is behind padding; here it also hides how long the number is."""
    number = index + _BEFORE
    hidden = "0123456789abcdef"[len(str(number)) :]
    return _event("output_text.delta", number, **_AT, delta=token(index), logprobs=[], obfuscation=hidden)


def _closing(chunks: int) -> bytes:
    text, number = said(chunks), chunks + _BEFORE
    return (
        _event("output_text.done", number, **_AT, logprobs=[], text=text)
        + _event("content_part.done", number + 1, **_AT, part=_part(text))
        + _event("output_item.done", number + 2, item=_item(text), output_index=0)
        + _event("completed", number + 3, response=_response(text, chunks))
    )


def _read_document(body: bytes) -> Meaning:
    answer = json.loads(body)
    ((part,),) = (item["content"] for item in answer["output"])
    return Meaning(part["text"], answer["status"] == "completed", answer["usage"]["output_tokens"])


def _read_stream(body: bytes) -> Meaning:
    told = [json.loads(data) for data in events(body) if data != b"[DONE]"]
    text = "".join(event["delta"] for event in told if event["type"] == "response.output_text.delta")
    last = told[-1]
    whole = last["type"] == "response.completed"
    return Meaning(text, whole, last["response"]["usage"]["output_tokens"] if whole else None)


RESPONSES = Wire(
    "responses", "/v1/responses", b"authorization: Bearer ", OPENAI_SDK,
    _ask, _document, _opening, _content, _closing, _closing, _read_document, _read_stream,
)  # fmt: skip
