"""POST /chat/completions, and every service compatible with it (facts/wire.md sections 1, 7 and 8)."""

from collections.abc import Sequence

from headgate.dialects.asking import read_request
from headgate.dialects.base import Ask, FrameFilter, Metering, Operation, Tally
from headgate.dialects.openai_choices import ChatRequest, ChoicesTally, UsageFrameFilter, chat_ask, with_usage_frame
from headgate.dialects.openai_wire import OpenAIDialect


class OpenAIChat(OpenAIDialect):
    """Chat completions."""

    name = "openai.chat"
    aliases = ("mistral",)
    operations = (
        Operation("create", "POST", "/chat/completions"),
        Operation("list", "GET", "/chat/completions", Metering.FREE),
        Operation("retrieve", "GET", "/chat/completions/{id}", Metering.FREE),
        Operation("update", "POST", "/chat/completions/{id}", Metering.FREE),
        Operation("delete", "DELETE", "/chat/completions/{id}", Metering.FREE),
        Operation("list_messages", "GET", "/chat/completions/{id}/messages", Metering.FREE),
    )

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body. Raises BadRequest."""
        del headers
        return chat_ask(body, read_request(body, ChatRequest))

    def tally(self) -> Tally:
        """A fresh tally."""
        return ChoicesTally()

    def with_usage_frame(self, body: bytes, ask: Ask) -> bytes | None:
        """The body with the usage frame asked for; None where there is nothing to ask."""
        return with_usage_frame(body, ask)

    def usage_frame_filter(self) -> FrameFilter:
        """What takes the usage frame out again."""
        return UsageFrameFilter()


DIALECT = OpenAIChat()
