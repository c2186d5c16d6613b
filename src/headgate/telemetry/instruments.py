"""The metrics of OpenTelemetry's conventions for generative AI clients. Needs the extra `otel`.

All exchanges are counted, whether their traces are kept or not, and tokens are those of `sums.py`. Models have the
bounded names of `names.py`. The sums are our own: the SDK's instruments clean and hash every attribute each time, which
takes fifteen times as long.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from opentelemetry.sdk.metrics.export import AggregationTemporality, Histogram, HistogramDataPoint, Metric

from headgate.records import Ending, Record
from headgate.telemetry import semconv
from headgate.telemetry.attributes import Attributes, Sites, common, error_type, first_chunk_ns
from headgate.telemetry.names import Names
from headgate.telemetry.semconv import Convention

_NS = 1_000_000_000
_SECONDS = tuple(round(bound * _NS) for bound in semconv.SECOND_BUCKETS)
_TOKENS = tuple(round(bound) for bound in semconv.TOKEN_BUCKETS)

Key = tuple[str | None, ...]
"""Dialect, operation, deployment, model, error and the type of tokens."""


class Spread:
    """How many values fell in which bucket, and what they add up to; all integers."""

    __slots__ = ("counts", "least", "most", "total")

    def __init__(self, bounds: Sequence[int], first: int) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0
        self.least = self.most = first

    def add(self, bounds: Sequence[int], value: int) -> None:
        """Add a value."""
        self.counts[bisect_left(bounds, value)] += 1
        self.total += value
        if value < self.least:
            self.least = value
        elif value > self.most:
            self.most = value


@dataclass(frozen=True, slots=True)
class Spreads:
    """One metric: a Spread for each set of attributes."""

    name: str
    description: str
    unit: str
    bounds: Sequence[int]
    per: int
    """What a value is divided by as it is told."""
    by_key: dict[Key, Spread]

    def add(self, key: Key, value: int) -> None:
        """Add a value; on the event loop."""
        found = self.by_key.get(key)
        if found is None:
            found = self.by_key[key] = Spread(self.bounds, value)
        found.add(self.bounds, value)

    def told(self, attributes: Callable[[Key], Attributes], start_ns: int, now_ns: int) -> Metric:
        """As the SDK's exporters have it; in another thread."""
        points = []
        for key, spread in self.by_key.copy().items():
            counts = spread.counts.copy()
            points.append(
                HistogramDataPoint(
                    attributes=attributes(key),
                    start_time_unix_nano=start_ns,
                    time_unix_nano=now_ns,
                    count=sum(counts),
                    sum=spread.total / self.per,
                    bucket_counts=counts,
                    explicit_bounds=[bound / self.per for bound in self.bounds],
                    min=spread.least / self.per,
                    max=spread.most / self.per,
                )
            )
        return Metric(self.name, self.description, self.unit, Histogram(points, AggregationTemporality.CUMULATIVE))


class Instruments:
    """An Observer."""

    def __init__(self, models: Names, sites: Sites, names: Convention) -> None:
        self._models = models
        self._sites = sites
        self._names = names
        self._examples: dict[Key, Attributes] = {}
        used = "Number of input and output tokens used."
        self._tokens = Spreads(semconv.TOKEN_USAGE, used, "{token}", _TOKENS, 1, {})
        self._duration = Spreads(semconv.DURATION, "GenAI operation duration.", "s", _SECONDS, _NS, {})
        self._first_chunk: Spreads | None = None
        if names.first_chunk_metric is not None:
            first = "Time to receive the first chunk of a streamed answer."
            self._first_chunk = Spreads(names.first_chunk_metric, first, "s", _SECONDS, _NS, {})

    def saw(self, record: Record) -> None:
        """Count what was reported, once, and time what was sent to a provider for something that costs."""
        own = self._models.of(record)  # whatever is counted of it: names are learnt from every exchange
        if record.billable and record.ending is not Ending.NEVER_SENT and record.ending is not Ending.GATEWAY_DIED:
            key = self._key(record, own)
            self._duration.add(key, record.total_ns)
            first_ns = first_chunk_ns(record)
            if self._first_chunk is not None and first_ns is not None:
                self._first_chunk.add(key, first_ns)
        for model, usage in self._models.used(record):
            key = self._key(record, model)
            for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                if count is not None:
                    self._tokens.add((*key, kind), count)

    def _key(self, record: Record, model: str) -> Key:
        key = (record.dialect, record.operation, record.provider, model, error_type(record))
        if key not in self._examples:
            self._examples[key] = self._attributes(record, model)
        return key

    def told(self, start_ns: int, now_ns: int) -> Iterator[Metric]:
        """What has been counted since the start; times in nanoseconds since the Unix epoch. In another thread."""
        for spreads in (self._duration, self._tokens, self._first_chunk):
            if spreads is not None and spreads.by_key:
                yield spreads.told(self._of_key, start_ns, now_ns)

    def _attributes(self, record: Record, model: str) -> Attributes:
        shared = common(record, self._sites, self._names)
        return shared | {semconv.REQUEST_MODEL: model, semconv.RESPONSE_MODEL: model}

    def _of_key(self, key: Key) -> Attributes:
        *shared, last = key
        if len(key) == _WITH_TYPE and last is not None:
            return {**self._examples[tuple(shared)], semconv.TOKEN_TYPE: last}
        return self._examples[key]


_WITH_TYPE = 6
