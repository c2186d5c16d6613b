"""Azure OpenAI's older paths, which name the deployment and an api-version (facts/wire.md section 7).

Bodies are those of OpenAI's chat, completions and embeddings; the model is the deployment in the path. All three
answers are read alike: an embeddings answer has no choices, and its usage is a prompt's.
"""

from collections.abc import Sequence
from typing import Any

from headgate.dialects.asking import Wanted, largest, read_request, whole
from headgate.dialects.base import Ask, FrameFilter, Operation, Tally
from headgate.dialects.openai_choices import ChoicesTally, UsageFrameFilter, asks_for_usage, with_usage_frame
from headgate.dialects.openai_wire import OpenAIDialect

_ROOT = "/openai/deployments/{model}"


class _Request(Wanted):
    max_tokens: Any = None
    max_completion_tokens: Any = None
    n: Any = None
    stream_options: Any = None


class AzureDeployments(OpenAIDialect):
    """Chat, completions and embeddings of a deployment."""

    name = "azure.deployments"
    at_origin = True
    operations = (
        Operation("chat", "POST", f"{_ROOT}/chat/completions"),
        Operation("complete", "POST", f"{_ROOT}/completions"),
        Operation("embed", "POST", f"{_ROOT}/embeddings"),
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


DIALECT = AzureDeployments()
