"""POST /messages: Anthropic's, and every service compatible with it (facts/wire.md section 4)."""

from headgate.dialects.anthropic_wire import MessagesDialect
from headgate.dialects.base import Metering, Operation


class AnthropicMessages(MessagesDialect):
    """Messages."""

    name = "anthropic.messages"
    operations = (
        Operation("create", "POST", "/messages"),
        Operation("count_input", "POST", "/messages/count_tokens", Metering.FREE),
        # A result file mixes many responses, so what a batch used is not counted yet.
        Operation("create_batch", "POST", "/messages/batches", Metering.FREE),
        Operation("list_batches", "GET", "/messages/batches", Metering.FREE),
        Operation("retrieve_batch", "GET", "/messages/batches/{batch}", Metering.FREE),
        Operation("delete_batch", "DELETE", "/messages/batches/{batch}", Metering.FREE),
        Operation("cancel_batch", "POST", "/messages/batches/{batch}/cancel", Metering.FREE),
        Operation("batch_results", "GET", "/messages/batches/{batch}/results", Metering.FREE),
    )


DIALECT = AnthropicMessages()
