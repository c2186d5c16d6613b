"""What of a prompt is no text: pictures, files, recordings, in the shapes of all dialects.

The tokens of a text are bounded by its bytes, those of a picture by its size in pixels, and those of a file by nothing
that the body shows. Few requests have any of them, so a first glance only makes sure that there is nothing but text;
what it does not know is looked at closely.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from headgate.dialects.base import Ask
from headgate.dialects.reading import loads

PICTURE_TOKENS = 50_000
"""The most that a picture takes of any model that is known: 2833 + 8 x 5667 = 48,169 of gpt-4o-mini, with `detail:
high` and the eight tiles that 768 x 2048 pixels make. Others of OpenAI take 10,000 patches at the most, Qwen-VL 16,384
(developers.openai.com, "Images and vision"; the model card of Qwen2-VL)."""

MOST_COMMAS = 1_000_000
"""Of a text that is decoded whole: there is a comma between any two values, so it bounds the memory that takes."""

_TEXT_KINDS = frozenset(
    f'"{kind}"'.encode()
    for kind in (
        "text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text", "message", "reasoning",
        "thinking", "redacted_thinking", "tool_use", "tool_result", "function_call", "function_call_output", "function",
        "custom_tool_call", "custom_tool_call_output", "local_shell_call", "local_shell_call_output",
    )
)  # fmt: skip
"""Types of messages and parts that hold text, or other parts in `content` or `output`."""
_TEXT_KEYS = frozenset(
    ("text", "thought", "thoughtSignature", "functionCall", "toolUse", "reasoningContent", "cachePoint", "role")
)
"""Keys of parts without a type, Google's and Bedrock's, that hold text."""


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    """A message, or what stands in its place, with the members that texts have; others are looked at closely."""

    type: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()
    parts: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    role: msgspec.Raw = msgspec.Raw()
    name: msgspec.Raw = msgspec.Raw()
    tool_calls: msgspec.Raw = msgspec.Raw()
    tool_call_id: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()
    refusal: msgspec.Raw = msgspec.Raw()
    id: msgspec.Raw = msgspec.Raw()
    status: msgspec.Raw = msgspec.Raw()
    call_id: msgspec.Raw = msgspec.Raw()
    arguments: msgspec.Raw = msgspec.Raw()
    summary: msgspec.Raw = msgspec.Raw()
    encrypted_content: msgspec.Raw = msgspec.Raw()


class _CacheControl(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["ephemeral"]
    ttl: str | None = None


class _TextPart(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str
    type: Literal["text", "input_text", "output_text"] = "text"
    cache_control: _CacheControl | None = None


class _TextMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What most messages are: in these members there is no place for anything but text, and calls of tools."""

    role: str | None = None
    content: str | list[_TextPart] | None = None
    name: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw()
    tool_call_id: str | None = None


_TEXTS = msgspec.json.Decoder(str | list[_TextMessage])
_TEXTS_BYTES = 64 * 1024
"""Bytes up to which a prompt is decoded to be seen as text. One that is longer is only passed over."""
_MESSAGES = msgspec.json.Decoder(list[_Message])
_PARTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def with_attachments(ask: Ask, messages: Any, tokens: int = PICTURE_TOKENS) -> Ask:
    """The ask with what is attached to its messages, which were read as Raw.

    `tokens` is the most that a picture takes in this API.
    """
    if not messages or _only_text(messages):
        return ask
    if isinstance(messages, msgspec.Raw) and bytes(messages).count(b",") > MOST_COMMAS:
        return replace(ask, stored_context=True)
    found = _Found()
    found.search(_decoded(bytes(messages)) if isinstance(messages, msgspec.Raw) else messages)
    return replace(
        ask,
        attachments=found.pictures,
        attachment_tokens=tokens if found.pictures else 0,
        prompt_bytes=ask.input_bytes - found.packed if found.packed else ask.prompt_bytes,
        stored_context=ask.stored_context or found.elsewhere,
    )


def _only_text(messages: Any) -> bool:
    """True if a glance shows that there is nothing but text; what it does not know is none."""
    if not isinstance(messages, msgspec.Raw):
        return False
    return _are_plain(messages) or _seem_text(messages)


def _are_plain(messages: msgspec.Raw) -> bool:
    """True if all of the messages are of the shape that most have; one step tells."""
    if memoryview(messages).nbytes > _TEXTS_BYTES:
        return False
    try:
        _TEXTS.decode(messages)
    except (ValueError, RecursionError):
        return False
    return True


def _seem_text(messages: msgspec.Raw) -> bool:
    start = bytes(memoryview(messages)[:1])
    if start == b'"':
        return True
    try:
        return start == b"[" and all(_is_text(message) for message in _MESSAGES.decode(messages))
    except (ValueError, RecursionError):
        return False


def _is_text(message: _Message) -> bool:
    if message.type and bytes(message.type) not in _TEXT_KINDS:
        return False
    return (
        (not message.content or _are_text(message.content))
        and (not message.parts or _are_text(message.parts))
        and (not message.output or _are_text(message.output))
    )


def _are_text(parts: msgspec.Raw) -> bool:
    start = bytes(memoryview(parts)[:1])
    if start != b"[":
        return start in {b'"', b"n"}  # a string or null
    for part in _PARTS.decode(parts):
        kind = part.get("type")
        if kind is None:
            if not _TEXT_KEYS.issuperset(part):
                return False
        elif bytes(kind) not in _TEXT_KINDS or "file_id" in part:
            return False
        if any(not _are_text(part[name]) for name in ("content", "output") if name in part):
            return False
    return True


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return loads(body)


class _Found:
    """Counts the parts of a decoded body that are no text."""

    def __init__(self) -> None:
        self.pictures = 0
        self.packed = 0
        """Bytes of pictures in the body, which are no text to be counted."""
        self.elsewhere = False

    def search(self, value: Any) -> None:
        """Look at every object in the value."""
        rest = [value]
        while rest:
            node = rest.pop()
            if isinstance(node, dict):
                self._look(node)
                known = "source" if node.get("type") == "image" else None
                rest.extend(child for key, child in node.items() if key != known and isinstance(child, dict | list))
            elif isinstance(node, list):
                rest.extend(child for child in node if isinstance(child, dict | list))

    def _look(self, node: Mapping[str, Any]) -> None:
        self._openai(node)
        self._typed(node)
        self._google(node)
        self._bedrock(node)
        pictures = node.get("images")  # of Ollama's messages, in base64
        for picture in pictures if isinstance(pictures, list) else ():
            if isinstance(picture, str):
                self._picture(picture)
        picture = node.get("image")  # of Jina's inputs
        if isinstance(picture, str) and picture.startswith(("http", "data:")):
            self._picture(picture if picture.startswith("data:") else None)

    def _openai(self, node: Mapping[str, Any]) -> None:
        """Parts of chat and of responses, and Mistral's and Cohere's, which are alike."""
        url = node.get("image_url")
        if url is not None:
            url = url.get("url") if isinstance(url, dict) else url
            # Some services take a PDF or a film under the name of a picture.
            if isinstance(url, str) and url.startswith("data:") and not url.startswith("data:image/"):
                self.elsewhere = True
            else:
                self._picture(url if isinstance(url, str) and url.startswith("data:") else None)
        elif node.get("type") == "input_image":
            self._picture(None)
        elif any(key in node for key in ("file_id", "file_data", "file_url")):
            self.elsewhere = True
        if any(key in node for key in ("video_url", "audio_url", "document_url")):
            self.elsewhere = True
        heard = node.get("audio")  # an earlier answer's, by its id
        if node.get("type") == "item_reference" or (isinstance(heard, dict) and "id" in heard):
            self.elsewhere = True

    def _typed(self, node: Mapping[str, Any]) -> None:
        """Anthropic's blocks and those of Google's interactions: a type, and a source or what one would hold."""
        kind, source = node.get("type"), node.get("source", node)
        if not isinstance(source, dict) or not ("source" in node or "data" in node or "uri" in node):
            return
        if kind == "image":
            self._picture(source.get("data"))
        elif kind in ("document", "video"):
            self.elsewhere = self.elsewhere or source.get("type") not in {"text", "content"}
        elif kind == "audio":
            self.elsewhere = self.elsewhere or "uri" in source

    def _google(self, node: Mapping[str, Any]) -> None:
        """Gemini's parts. Sound in the body stays with its bytes: a second has hundreds of them, and 32 tokens."""
        for name in ("inlineData", "inline_data", "fileData", "file_data"):
            part = node.get(name)
            if isinstance(part, dict):
                mime = str(part.get("mimeType", part.get("mime_type", "")))
                if mime.startswith("image/"):
                    self._picture(part.get("data"))
                elif name[:4] == "file" or not mime.startswith(("audio/", "text/")):
                    self.elsewhere = True

    def _bedrock(self, node: Mapping[str, Any]) -> None:
        """Converse's blocks, named by what they are."""
        for name in ("image", "document", "video", "audio"):
            part = node.get(name)
            source = part.get("source") if isinstance(part, dict) else None
            if not isinstance(source, dict):
                continue
            if name == "image":
                self._picture(source.get("bytes"))
            elif not ("text" in source or "content" in source or (name == "audio" and "bytes" in source)):
                self.elsewhere = True

    def _picture(self, data: Any) -> None:
        self.pictures += 1
        self.packed += len(data) if isinstance(data, str) else 0
