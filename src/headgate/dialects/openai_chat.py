"""POST /chat/completions, and every service compatible with it (facts/wire.md sections 1, 7 and 8)."""

from collections.abc import Sequence
from typing import Any

from headgate.dialects.asking import Wanted, largest, read_request, whole
from headgate.dialects.base import Ask, FrameFilter, Metering, Operation, Tally
from headgate.dialects.openai_choices import ChoicesTally, UsageFrameFilter, asks_for_usage, with_usage_frame
from headgate.dialects.openai_wire import OpenAIDialect


class _Request(Wanted):
    max_tokens: Any = None
    max_completion_tokens: Any = None
    n: Any = None
    stream_options: Any = None


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
        request = read_request(body, _Request)
        return Ask(
            model=request.model,
            stream=request.stream,
            output_cap=largest(request.max_tokens, request.max_completion_tokens),
            choices=whole(request.n) or 1,
            input_bytes=len(body),
            wants_usage=asks_for_usage(request.stream_options),
        )

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
