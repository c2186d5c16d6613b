"""/messages/batches of Anthropic's API (facts/wire.md section 4).

A result's line is `{"custom_id", "result": {"type": "succeeded", "message": {...}}}`, the message a whole one.
"""

import msgspec

from headgate.dialects.anthropic_usage import message_usage
from headgate.dialects.anthropic_wire import MessagesDialect
from headgate.dialects.base import Metering, Operation, Tally
from headgate.dialects.batch_results import Batches, BatchTally, Result
from headgate.dialects.reading import Anomalies, Shape, parsed


class _Message(msgspec.Struct):
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw()


class _Result(msgspec.Struct):
    message: _Message | None = None


class _Line(msgspec.Struct):
    result: _Result | None = None


_LINE = Shape(_Line)


class ResultsTally(BatchTally):
    """Reads lines of results."""

    def result(self, line: bytes, anomalies: Anomalies) -> Result | None:
        """What a line tells: the usage of a message that succeeded."""
        told = _LINE.read(line)
        message = told.result.message if told is not None and told.result is not None else None
        usage = parsed(message.usage) if message is not None else None
        if message is None or not isinstance(usage, dict):
            return None
        return Result(message.model, message_usage(usage, anomalies))


class AnthropicBatches(Batches, MessagesDialect):
    """Batches of messages and their results."""

    name = "anthropic.batches"
    operations = (
        Operation("create", "POST", "/messages/batches", Metering.DEFERRED),
        Operation("list", "GET", "/messages/batches", Metering.FREE),
        Operation("retrieve", "GET", "/messages/batches/{id}", Metering.DEFERRED),
        Operation("delete", "DELETE", "/messages/batches/{id}", Metering.FREE),
        Operation("cancel", "POST", "/messages/batches/{id}/cancel", Metering.FREE),
        Operation("results", "GET", "/messages/batches/{id}/results", Metering.REPEATED),
    )

    def tally(self) -> Tally:
        """A fresh tally."""
        return ResultsTally()


DIALECT = AnthropicBatches()
