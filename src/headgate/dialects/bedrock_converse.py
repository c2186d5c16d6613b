"""Bedrock's Converse and ConverseStream: one shape for all its models (facts/wire.md section 6)."""

from collections.abc import Sequence
from typing import Any

from headgate.dialects.asking import Wanted, read_request, whole
from headgate.dialects.base import Ask, Metering, Operation, Tally
from headgate.dialects.bedrock_wire import BedrockDialect, ConverseTally


class _Request(Wanted):
    inferenceConfig: Any = None  # noqa: N815  the wire's own name


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
        """Read a request body; the model stands in the path. Raises BadRequest."""
        del headers
        config = read_request(body, _Request).inferenceConfig
        cap = whole(config.get("maxTokens")) if isinstance(config, dict) else None
        return Ask(output_cap=cap, input_bytes=len(body))

    def tally(self) -> Tally:
        """A fresh tally."""
        return ConverseTally()


DIALECT = BedrockConverse()
