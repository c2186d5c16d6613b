"""POST /completions, the legacy one; chunks and whole answers have the same shape (facts/wire.md section 1)."""

from collections.abc import Sequence
from typing import Any

from headgate.dialects.asking import Wanted, largest, read_request, whole
from headgate.dialects.base import Ask, FrameFilter, Operation, Tally
from headgate.dialects.openai_choices import ChoicesTally, UsageFrameFilter, asks_for_usage, with_usage_frame
from headgate.dialects.openai_wire import OpenAIDialect


class _Request(Wanted):
    prompt: Any = None
    max_tokens: Any = None
    n: Any = None
    best_of: Any = None
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
        return Ask(
            model=request.model,
            stream=request.stream,
            output_cap=whole(request.max_tokens),
            choices=_prompts(request.prompt) * max(1, largest(request.n, request.best_of) or 1),
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


def _prompts(prompt: Any) -> int:
    """How many prompts: an array holds several texts or token arrays, or else the tokens of one."""
    return len(prompt) if isinstance(prompt, list) and prompt and isinstance(prompt[0], str | list) else 1


DIALECT = OpenAICompletions()
