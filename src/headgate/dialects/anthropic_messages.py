"""POST /messages: Anthropic's, and every service compatible with it (facts/wire.md section 4)."""

from headgate.dialects.anthropic_wire import MessagesDialect
from headgate.dialects.base import Metering, Operation


class AnthropicMessages(MessagesDialect):
    """Messages."""

    name = "anthropic.messages"
    operations = (
        Operation("create", "POST", "/messages"),
        Operation("count_input", "POST", "/messages/count_tokens", Metering.FREE),
    )


DIALECT = AnthropicMessages()
