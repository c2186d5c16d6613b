"""The metrics of OpenTelemetry's conventions for generative AI clients. Needs the extra `otel`.

All exchanges are counted, whether their traces are kept or not. Models have the bounded names of `names.py`.
"""

from opentelemetry.metrics import Meter

from headgate.records import Ending, Record
from headgate.telemetry import semconv
from headgate.telemetry.attributes import Sites, common, of_tokens
from headgate.telemetry.names import Names
from headgate.telemetry.semconv import Convention

_NS = 1_000_000_000


class Instruments:
    """An Observer."""

    def __init__(self, meter: Meter, models: Names, sites: Sites, names: Convention) -> None:
        self._models = models
        self._sites = sites
        self._names = names
        self._tokens = meter.create_histogram(
            semconv.TOKEN_USAGE,
            unit="{token}",
            description="Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=semconv.TOKEN_BUCKETS,
        )
        self._duration = meter.create_histogram(
            semconv.DURATION,
            unit="s",
            description="GenAI operation duration.",
            explicit_bucket_boundaries_advisory=semconv.SECOND_BUCKETS,
        )
        self._first_chunk = None
        if names.first_chunk_metric is not None:
            self._first_chunk = meter.create_histogram(
                names.first_chunk_metric,
                unit="s",
                description="Time to receive the first chunk of a streamed answer.",
                explicit_bucket_boundaries_advisory=semconv.SECOND_BUCKETS,
            )

    def saw(self, record: Record) -> None:
        """Count an exchange that was sent to a provider for something that costs."""
        unsent = record.ending in {Ending.NEVER_SENT, Ending.GATEWAY_DIED}
        if unsent or not record.billable:
            return
        attributes = common(record, self._sites, self._names)
        attributes[semconv.REQUEST_MODEL] = attributes[semconv.RESPONSE_MODEL] = self._models.of(record)
        self._duration.record(record.total_ns / _NS, attributes)
        if self._first_chunk is not None and record.streamed and record.first_byte_ns is not None:
            self._first_chunk.record(record.first_byte_ns / _NS, attributes)
        for kind, count in of_tokens(record):
            self._tokens.record(count, {**attributes, semconv.TOKEN_TYPE: kind})
