"""What exchanges add up to, by bounded labels, since the process started.

Sums are integers: tokens, nano-dollars, nanoseconds. They become floats, which the formats outside want, only as they
are told, each by one division of the whole sum: so a sum of a million exchanges is off by no more than that of one
(docs/decisions/0029).

Tokens are summed as `headgate usage` sums them: counted exchanges only, legs under their own model, estimates apart
and only as far as they are above the report.
"""

from bisect import bisect_left
from collections.abc import Iterator

from headgate.records import Bill, Ending, Mark, Record, Settled, bears
from headgate.telemetry.names import NONE, Names
from headgate.usage import Usage, excess

Labels = tuple[str, ...]

SECONDS = tuple(10_000_000 * 2**n for n in range(16))
"""Upper bounds of the histograms' buckets in nanoseconds: 0.01 s, doubled up to 327.68 s. The first fourteen are those
that OpenTelemetry's conventions for generative AI advise."""

_MARKS = tuple(Mark)


class Sum(dict[Labels, int]):
    """One number for each set of labels."""

    def add(self, labels: Labels, amount: int | None) -> None:
        """Add what is known of an amount; where nothing is, there is no 0 either."""
        if amount is not None:
            self[labels] = self.get(labels, 0) + amount


class Histogram(dict[Labels, list[int]]):
    """For each set of labels how many fell in each of the buckets SECONDS, how many above, and last their sum."""

    def add(self, labels: Labels, ns: int) -> None:
        """Add a time in nanoseconds."""
        cells = self.get(labels)
        if cells is None:
            cells = self[labels] = [0] * (len(SECONDS) + 2)
        cells[bisect_left(SECONDS, ns)] += 1
        cells[-1] += ns


class Sums:
    """An Observer. Fed on the event loop; another thread may read copies of what it holds."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.exchanges = Sum()
        """By provider, dialect, model and ending."""
        self.attempts = Sum()
        """By provider and status."""
        self.marked = Sum()
        """By provider and mark."""
        self.tokens = Sum()
        """By provider, model and kind."""
        self.token_parts = Sum()
        """By provider, model and part."""
        self.estimated_tokens = Sum()
        """By provider, model and kind."""
        self.cost_nanos = Sum()
        """By provider and model."""
        self.charge_nanos = Sum()
        """By provider and model."""
        self.overrun_nanos = Sum()
        """By provider."""
        self.duration = Histogram()
        """By provider and model."""
        self.first_byte = Histogram()
        """By provider and model."""

    def saw(self, record: Record) -> None:
        """Add an exchange that is over."""
        provider, model = record.provider or NONE, self._names.of(record)
        self.exchanges.add((provider, record.dialect or NONE, model, str(record.ending)), 1)
        for attempt in record.attempts:
            self.attempts.add((attempt.provider, NONE if attempt.status is None else str(attempt.status)), 1)
        for mark in marks(record):
            self.marked.add((provider, mark), 1)
        self._add_money(record, provider, model)
        for of_model, usage in self._names.used(record):
            self._add_usage(usage, provider, of_model)
        if record.counted:
            self._add_estimate(record, provider, model)
        if record.ending is not Ending.NEVER_SENT and record.ending is not Ending.GATEWAY_DIED:
            self.duration.add((provider, model), record.total_ns)
        if record.first_byte_ns is not None and record.status < 400:
            self.first_byte.add((provider, model), record.first_byte_ns)

    def _add_money(self, record: Record, provider: str, model: str) -> None:
        bill = record.bill
        self.cost_nanos.add((provider, model), bill.cost_nanos)
        self.charge_nanos.add((provider, model), bill.charge_nanos)
        self.overrun_nanos.add((provider,), _overrun_nanos(bill))

    def _add_estimate(self, record: Record, provider: str, model: str) -> None:
        reading = record.reading
        if reading.estimate is not None:
            missing = excess(reading.estimate, reading.usage)
            self.estimated_tokens.add((provider, model, "input"), missing.input_tokens)
            self.estimated_tokens.add((provider, model, "output"), missing.output_tokens)

    def _add_usage(self, usage: Usage, provider: str, model: str) -> None:
        self.tokens.add((provider, model, "input"), usage.input_tokens)
        self.tokens.add((provider, model, "output"), usage.output_tokens)
        self.token_parts.add((provider, model, "cache_read"), usage.cache_read_tokens)
        self.token_parts.add((provider, model, "cache_write"), usage.cache_write_tokens)
        self.token_parts.add((provider, model, "reasoning"), usage.reasoning_tokens)


def marks(record: Record) -> Iterator[str]:
    """What is to be known of an exchange beside its ending: the marks of records, and what became of its money."""
    for mark in _MARKS:
        if bears(record, mark):
            yield str(mark)
    if record.bill.settled is Settled.DISPUTED:
        yield "disputed"
    if _overrun_nanos(record.bill):
        yield "overrun"


def _overrun_nanos(bill: Bill) -> int | None:
    """The part of a charge above its hold, in nano-dollars; None where there is none."""
    if bill.charge_nanos is None or bill.hold_nanos is None or bill.charge_nanos <= bill.hold_nanos:
        return None
    return bill.charge_nanos - bill.hold_nanos
