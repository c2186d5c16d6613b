import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.dialects import attachments
from headgate.dialects.attachments import MOST_COMMAS, PICTURE_TOKENS, with_attachments
from headgate.dialects.base import Ask

DATA = base64.b64encode(b"\x89PNG" * 300).decode()
URL = "https://example.org/a"
INLINE = f"data:image/png;base64,{DATA}"


def found(messages: Any) -> tuple[int, int, bool]:
    """Pictures, their bytes in the body, and whether the prompt goes on outside it; read strictly and leniently."""
    text = messages if isinstance(messages, bytes) else json.dumps(messages).encode()
    before = Ask(model="m", input_bytes=len(text))
    ask = with_attachments(before, msgspec.Raw(text))
    if not isinstance(messages, bytes):
        assert with_attachments(before, messages) == ask
    packed = 0 if ask.prompt_bytes is None else ask.input_bytes - ask.prompt_bytes
    changed: dict[str, Any] = {"attachments": 0, "attachment_tokens": 0, "prompt_bytes": None, "stored_context": False}
    assert replace(ask, **changed) == before
    assert ask.attachment_tokens == (PICTURE_TOKENS if ask.attachments else 0)
    return ask.attachments, packed, ask.stored_context


TEXT: list[Any] = [
    "Hi",
    [],
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": []}],
    [{"role": "user", "content": [{"type": "text", "text": '{"type":"image_url"}'}]}],
    [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "a"}]}]}],
    [{"role": "assistant", "content": [{"type": "tool_use", "input": {"type": "image", "source": "here"}}]}],
    [{"type": "function_call_output", "output": "a"}, {"type": "reasoning", "summary": []}],
    [{"role": "user", "parts": [{"text": "Hi"}, {"functionCall": {"args": {"uri": "x"}}}]}],
    [{"role": "user", "content": [{"text": "Hi"}, {"cachePoint": {"type": "default"}}]}],
    [{"role": "tool", "content": [{"toolResult": {"content": [{"text": "a"}, {"json": {"image": "b"}}]}}]}],
    [{"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "plain"}}]}],
    [{"role": "user", "content": [{"type": "something_new", "of": ["text", 1, None]}]}],
    [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": DATA}}]}],
    [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": DATA}}]}],
]

PICTURES: list[tuple[Any, int]] = [
    ({"type": "image_url", "image_url": {"url": URL}}, 0),
    ({"type": "image_url", "image_url": {"url": INLINE}}, len(INLINE)),
    ({"type": "image_url", "image_url": URL}, 0),  # Mistral
    ({"type": "input_image", "image_url": INLINE}, len(INLINE)),
    ({"type": "input_image", "file_id": "file_1"}, 0),
    ({"type": "image", "source": {"type": "base64", "data": DATA}}, len(DATA)),
    ({"type": "image", "source": {"type": "url", "url": URL}}, 0),
    ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, 0),
    ({"type": "image", "data": DATA, "mime_type": "image/png"}, len(DATA)),
    ({"type": "image", "uri": URL}, 0),
    ({"inlineData": {"mimeType": "image/png", "data": DATA}}, len(DATA)),
    ({"inline_data": {"mime_type": "image/png", "data": DATA}}, len(DATA)),
    ({"fileData": {"mimeType": "image/png", "fileUri": "gs://a"}}, 0),
    ({"image": {"format": "png", "source": {"bytes": DATA}}}, len(DATA)),
    ({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://a"}}}}, 0),
]

ELSEWHERE: list[Any] = [
    {"type": "file", "file": {"file_id": "file_1"}},
    {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{DATA}"}},
    {"type": "image_url", "image_url": {"url": f"data:application/pdf;base64,{DATA}"}},
    {"type": "input_file", "file_url": URL},
    {"type": "video_url", "video_url": {"url": URL}},
    {"type": "audio_url", "audio_url": {"url": URL}},
    {"type": "document_url", "document_url": URL},
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}},
    {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    {"type": "container_upload", "file_id": "file_1"},
    {"type": "audio", "uri": URL},
    {"type": "video", "data": DATA},
    {"fileData": {"mimeType": "video/mp4", "fileUri": URL}},
    {"file_data": {"file_uri": URL}},
    {"inlineData": {"mimeType": "application/pdf", "data": DATA}},
    {"document": {"format": "pdf", "source": {"bytes": DATA}}},
    {"video": {"source": {"s3Location": {"uri": "s3://a"}}}},
]


@pytest.mark.parametrize("messages", TEXT, ids=repr)
def test_text_has_no_attachments(messages: Any) -> None:
    assert found(messages) == (0, 0, False)


@pytest.mark.parametrize(("part", "packed"), PICTURES, ids=lambda value: repr(value)[:60])
def test_a_pictures_tokens_are_not_its_bytes(part: Any, packed: int) -> None:
    for key in ("content", "parts"):
        assert found([{"role": "user", key: [{"type": "text", "text": "?"}, part, part]}]) == (2, 2 * packed, False)
    inside = {"type": "tool_result", "content": [part]}
    assert found([{"role": "user", "content": [inside]}]) == (1, packed, False)


@pytest.mark.parametrize("part", ELSEWHERE, ids=lambda value: repr(value)[:60])
def test_nothing_in_the_body_bounds_a_file(part: Any) -> None:
    assert found([{"role": "user", "content": [part]}]) == (0, 0, True)


def test_what_stands_beside_the_content() -> None:
    assert found([{"role": "assistant", "audio": {"id": "audio_1"}}]) == (0, 0, True)
    assert found([{"type": "item_reference", "id": "msg_1"}]) == (0, 0, True)
    assert found([{"role": "user", "content": "?", "images": [DATA, DATA, 5]}]) == (2, 2 * len(DATA), False)
    assert found([{"image": URL}, {"image": INLINE}, {"text": "a"}]) == (2, len(INLINE), False)  # Jina's embeddings


def test_an_escape_hides_nothing() -> None:
    hidden = (
        b'[{"cont\\u0065nt":[{"type":"text","im\\u0061ge_url":{"url":"https://x"},"typ\\u0065":"im\\u0061ge_url"}]}]'
    )
    assert found(hidden) == (1, 0, False)


def test_what_only_a_lenient_parser_reads_is_read() -> None:
    assert found(b'[{"content":[{"type":"image_url","image_url":{"url":"\\ud800"},"n":NaN}]}]') == (1, 0, False)


def test_a_text_that_would_take_too_much_memory_is_not_looked_at() -> None:
    assert found(b"[" + b"{}," * (MOST_COMMAS + 1) + b'{"content":{}}]') == (0, 0, True)


WORDS = (
    "role", "content", "type", "text", "parts", "source", "data", "uri", "url", "image", "image_url", "images",
    "file_id", "audio", "document", "video", "inlineData", "mimeType", "fileData", "bytes", "cache_control", "ttl",
    "name", "id", "ephemeral", "input_text", "input_image", "message", "output", "tool_calls",
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(WORDS),
    lambda kids: st.lists(kids, max_size=3) | st.dictionaries(st.sampled_from(WORDS), kids, max_size=4),
)
MESSAGE = st.dictionaries(
    st.sampled_from(("role", "content", "name", "type", "tool_calls", "tool_call_id")), ANYTHING, max_size=4
)


@given(st.lists(MESSAGE, max_size=3) | ANYTHING)
def test_a_glance_and_a_close_look_find_the_same(messages: Any) -> None:
    """Whatever the first glance takes for text, in that the others find nothing else."""
    raw = msgspec.Raw(json.dumps(messages).encode())
    ask = with_attachments(Ask(input_bytes=99), raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attachments, "_TEXTS_BYTES", 0)
        assert with_attachments(Ask(input_bytes=99), raw) == ask


TEXTS: list[Any] = [
    "Hi",
    [],
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "name": "a"}],
    [{"role": "assistant", "tool_calls": [{"id": "c"}]}, {"role": "tool", "tool_call_id": "c", "content": "a"}],
    [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}],
    [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}],
]


@pytest.mark.parametrize("messages", TEXTS, ids=repr)
def test_what_most_requests_hold_is_known_in_one_step(messages: Any) -> None:
    assert attachments._are_plain(msgspec.Raw(json.dumps(messages).encode()))


@pytest.mark.parametrize("kind", [{}, [], ["image"], 5, None, True])
def test_a_type_of_another_kind_is_none(kind: Any) -> None:
    assert found([{"content": [{"type": kind, "source": {}}]}]) == (0, 0, False)


def test_a_part_with_text_and_a_file_is_no_text() -> None:
    assert found([{"content": [{"type": "text", "text": "a", "file_id": "file_1"}]}]) == (0, 0, True)
