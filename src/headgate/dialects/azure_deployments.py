"""Azure OpenAI's older paths, which name the deployment and an api-version (facts/wire.md section 7).

Bodies are those of OpenAI's chat, completions and embeddings; the model is the deployment in the path. All three
answers are read alike: an embeddings answer has no choices, and its usage is a prompt's.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from headgate.dialects.asking import prompts, read_request, times
from headgate.dialects.base import Ask, FrameFilter, Operation, Tally
from headgate.dialects.openai_choices import ChatRequest, ChoicesTally, UsageFrameFilter, chat_ask, with_usage_frame
from headgate.dialects.openai_wire import OpenAIDialect

_ROOT = "/openai/deployments/{model}"


class _Request(ChatRequest):
    """A chat's, a completion's or an embedding's."""

    prompt: msgspec.Raw = msgspec.Raw()
    best_of: Any = None
    input: msgspec.Raw = msgspec.Raw()


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
        """Read a request body: what it has tells which of the three it is. Raises BadRequest."""
        del headers
        request = read_request(body, _Request)
        ask = chat_ask(body, request)
        if request.messages:
            return ask
        if request.input and not request.prompt:
            return replace(ask, output_cap=0, prompts=prompts(request.input))
        several = prompts(request.prompt)
        return replace(ask, prompts=several, choices=several * max(ask.choices, times(request.best_of)))

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
