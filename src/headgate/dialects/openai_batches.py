"""/batches of OpenAI's API, and the content of files, among them the batches' results.

A result's line is `{"custom_id", "response": {"status_code", "body": {...}}}`, the body being a whole answer of the
endpoint that the batch is for (developers.openai.com, "Batch API").
"""

import msgspec

from headgate.dialects.base import Metering, Operation, Tally
from headgate.dialects.batch_results import Batches, BatchTally, Result
from headgate.dialects.openai_wire import OpenAIDialect, completion_usage, response_usage
from headgate.dialects.reading import Anomalies, Shape, parsed


class _Body(msgspec.Struct):
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw()


class _Response(msgspec.Struct):
    body: _Body | None = None


class _Line(msgspec.Struct):
    response: _Response | None = None


_LINE = Shape(_Line)


class ResultsTally(BatchTally):
    """Reads lines of results."""

    def result(self, line: bytes, anomalies: Anomalies) -> Result | None:
        """What a line tells: the usage of a completion, an embedding or a response."""
        told = _LINE.read(line)
        body = told.response.body if told is not None and told.response is not None else None
        usage = parsed(body.usage) if body is not None else None
        if body is None or not isinstance(usage, dict):
            return None
        if "input_tokens" in usage:
            return Result(body.model, response_usage(usage, {}, None, anomalies))
        return Result(body.model, completion_usage(usage, anomalies))


class OpenAIBatches(Batches, OpenAIDialect):
    """Batches and their results."""

    name = "openai.batches"
    operations = (
        Operation("create", "POST", "/batches", Metering.DEFERRED),
        Operation("list", "GET", "/batches", Metering.FREE),
        Operation("retrieve", "GET", "/batches/{id}", Metering.DEFERRED),
        Operation("cancel", "POST", "/batches/{id}/cancel", Metering.FREE),
        Operation("results", "GET", "/files/{id}/content", Metering.REPEATED),
    )

    def tally(self) -> Tally:
        """A fresh tally."""
        return ResultsTally()


DIALECT = OpenAIBatches()
