"""Bedrock's Converse and ConverseStream: one shape for all its models (facts/wire.md section 6)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from headgate.dialects.asking import Wanted, largest, raw_bytes, read_request, rows
from headgate.dialects.attachments import with_attachments
from headgate.dialects.base import Ask, Metering, Operation, Tally
from headgate.dialects.bedrock_wire import BedrockDialect, ConverseTally
from headgate.dialects.reading import Shape, text


class _Request(Wanted):
    once: ClassVar[tuple[str, ...]] = ("inferenceConfig", "additionalModelRequestFields")
    bulk: ClassVar[tuple[str, ...]] = ("messages", "toolConfig")

    messages: msgspec.Raw = msgspec.Raw()
    inferenceConfig: Any = None  # noqa: N815  the wire's own name, here and below
    additionalModelRequestFields: Any = None  # noqa: N815
    toolConfig: msgspec.Raw = msgspec.Raw()  # noqa: N815
    promptVariables: Any = None  # noqa: N815
    serviceTier: Any = None  # noqa: N815


class _ToolConfig(msgspec.Struct):
    tools: msgspec.Raw = msgspec.Raw()


_TOOL_CONFIG = Shape(_ToolConfig)
_PICTURE_TOKENS = 16_384
"""The most that a picture takes of the models that Bedrock has: Qwen-VL's."""


class BedrockConverse(BedrockDialect):
    """Converse, and the counting of what it would read."""

    name = "bedrock.converse"
    aliases = ("bedrock.converse-stream",)
    operations = (
        Operation("converse", "POST", "/model/{model}/converse"),
        Operation("converse_stream", "POST", "/model/{model}/converse-stream", streams=True),
        Operation("count_tokens", "POST", "/model/{model}/count-tokens", Metering.FREE),
    )

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body; the model stands in the path, and so may a stored prompt, which its variables show.

        The cap holds reasoning. A model's own fields beside it may name another cap. Raises BadRequest.
        """
        del headers
        request = read_request(body, _Request)
        config, more, tier = (
            value if isinstance(value, dict) else {}
            for value in (request.inferenceConfig, request.additionalModelRequestFields, request.serviceTier)
        )
        used = _TOOL_CONFIG.read(raw_bytes(request.toolConfig)) if request.toolConfig else None
        tools = rows(used.tools) if used is not None else []
        helped = any("systemTool" in tool for tool in tools) or "tools" in more
        ask = Ask(
            output_cap=largest(config.get("maxTokens"), more.get("max_tokens"), more.get("max_completion_tokens")),
            input_bytes=len(body),
            has_tools=bool(tools),
            stored_context=helped or request.promptVariables is not None,
            unbounded="server_tools" if helped else None,
            service_tier=text(tier.get("type")),
        )
        return with_attachments(ask, request.messages, _PICTURE_TOKENS)

    def tally(self) -> Tally:
        """A fresh tally."""
        return ConverseTally()


DIALECT = BedrockConverse()
