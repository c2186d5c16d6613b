"""POST /completions, the legacy one; chunks and whole answers have the same shape (facts/wire.md section 1)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from headgate.dialects.asking import Wanted, largest, prompts, read_request, times
from headgate.dialects.base import Ask, FrameFilter, Operation, Tally
from headgate.dialects.openai_choices import ChoicesTally, UsageFrameFilter, asks_for_usage, with_usage_frame
from headgate.dialects.openai_wire import OpenAIDialect
from headgate.dialects.reading import text


class _Request(Wanted):
    once: ClassVar[tuple[str, ...]] = ("model", "stream", "stream_options", "max_tokens", "n", "best_of")
    bulk: ClassVar[tuple[str, ...]] = ("prompt",)

    prompt: msgspec.Raw = msgspec.Raw()
    max_tokens: Any = None
    n: Any = None
    best_of: Any = None
    service_tier: Any = None
    stream_options: Any = None


class OpenAICompletions(OpenAIDialect):
    """Legacy completions."""

    name = "openai.completions"
    operations = (Operation("create", "POST", "/completions"),)

    def read_ask(self, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Ask:
        """Read a request body. Each of several prompts is answered `n` times, and `best_of` are generated for it.

        Raises BadRequest.
        """
        del headers
        request = read_request(body, _Request)
        several = prompts(request.prompt)
        return Ask(
            model=request.model,
            stream=request.stream,
            output_cap=largest(request.max_tokens),
            choices=several * max(times(request.n), times(request.best_of)),
            input_bytes=len(body),
            wants_usage=asks_for_usage(request.stream_options),
            prompts=several,
            service_tier=text(request.service_tier),
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


DIALECT = OpenAICompletions()
