"""Anthropic's messages at Vertex' paths (facts/wire.md sections 4 and 5).

The path names the model, and the body the API's version. Its verb is no sign of a stream: `:streamRawPredict` answers
whole where the body does not ask for one (facts/stream_cases.md 6.11).
"""

from headgate.dialects.anthropic_wire import MessagesDialect
from headgate.dialects.base import Metering, Operation

_MODEL = "/{version}/projects/{project}/locations/{location}/publishers/anthropic/models/{model}"


class VertexMessages(MessagesDialect):
    """Messages by way of Google Cloud."""

    name = "vertex.messages"
    at_origin = True
    operations = (
        # Before the others: it counts what a request would be, and only its name tells it from a model's.
        Operation("count_input", "POST", _MODEL.replace("{model}", "count-tokens:rawPredict"), Metering.FREE),
        Operation("create", "POST", f"{_MODEL}:rawPredict"),
        Operation("stream", "POST", f"{_MODEL}:streamRawPredict"),
    )


DIALECT = VertexMessages()
