"""What exchanges add up to, by bounded labels, since the process started.

Sums are integers: tokens, nano-dollars, nanoseconds. They become floats, which the formats outside want, only as they
are told, each by one division of the whole sum: so a sum of a million exchanges is off by no more than that of one
(docs/decisions/0029).

Tokens are summed as `headgate usage` sums them: counted exchanges only, legs under their own model, estimates apart.
"""

from bisect import bisect_left
from collections.abc import Iterator

from headgate.records import UNPRICED, Ending, Record, Settled
from headgate.telemetry.names import NONE, Names
from headgate.usage import Basis, Usage

Labels = tuple[str, ...]

SECONDS = tuple(10_000_000 * 2**n for n in range(16))
"""Upper bounds of the histograms' buckets in nanoseconds: 0.01 s, doubled up to 327.68 s. The first fourteen are those
that OpenTelemetry's conventions for generative AI advise."""

_UNSENT = frozenset({Ending.NEVER_SENT, Ending.REFUSED})
_FAILED = frozenset({Ending.UPSTREAM_CUT, Ending.UPSTREAM_ERROR, Ending.GATEWAY_FAILED, Ending.GATEWAY_DIED})
_INFERRED = frozenset({Basis.ESTIMATED, Basis.PARTIAL})


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
        if record.counted:
            self._add_tokens(record, provider, model)
        if record.ending is not Ending.NEVER_SENT and record.ending is not Ending.GATEWAY_DIED:
            self.duration.add((provider, model), record.total_ns)
        if record.first_byte_ns is not None and record.status < 400:
            self.first_byte.add((provider, model), record.first_byte_ns)

    def _add_money(self, record: Record, provider: str, model: str) -> None:
        bill = record.bill
        self.cost_nanos.add((provider, model), bill.cost_nanos)
        self.charge_nanos.add((provider, model), bill.charge_nanos)
        if bill.charge_nanos is not None and bill.hold_nanos is not None and bill.charge_nanos > bill.hold_nanos:
            self.overrun_nanos.add((provider,), bill.charge_nanos - bill.hold_nanos)

    def _add_tokens(self, record: Record, provider: str, model: str) -> None:
        self._add_usage(record.reading.usage, provider, model)
        for leg_model, usage in _legs(record.reading.usage, None):
            self._add_usage(usage, provider, self._names.admitted(leg_model) if leg_model else model)
        estimate = record.reading.estimate
        if estimate is not None:
            self.estimated_tokens.add((provider, model, "input"), estimate.input_tokens)
            self.estimated_tokens.add((provider, model, "output"), estimate.output_tokens)

    def _add_usage(self, usage: Usage, provider: str, model: str) -> None:
        self.tokens.add((provider, model, "input"), usage.input_tokens)
        self.tokens.add((provider, model, "output"), usage.output_tokens)
        self.token_parts.add((provider, model, "cache_read"), usage.cache_read_tokens)
        self.token_parts.add((provider, model, "cache_write"), usage.cache_write_tokens)
        self.token_parts.add((provider, model, "reasoning"), usage.reasoning_tokens)


def _legs(usage: Usage, model: str | None) -> Iterator[tuple[str | None, Usage]]:
    for leg in usage.legs:
        leg_model = leg.model or model
        yield leg_model, leg.usage
        yield from _legs(leg.usage, leg_model)


def marks(record: Record) -> Iterator[str]:
    """What is to be known of an exchange beside its ending: by the rules that `headgate usage` counts by."""
    reading, bill, sent = record.reading, record.bill, record.ending not in _UNSENT
    left_early = record.ending is Ending.NEVER_SENT and record.status == 499
    if left_early or record.ending is Ending.CLIENT_LEFT:
        yield "cancelled"
    elif record.status >= 400 or record.ending in _FAILED:
        yield "failed"
    if record.counted and reading.basis in _INFERRED:
        yield "estimated"
    if record.billable and reading.basis is Basis.NONE and sent:
        yield "unmetered"
    unpriced = bill.cost_nanos is None or any(flag.startswith(UNPRICED) for flag in bill.flags)
    if unpriced and sent and (record.billable or record.counted):
        yield "unpriced"
    if bill.settled is Settled.DISPUTED:
        yield "disputed"
    if bill.charge_nanos is not None and bill.hold_nanos is not None and bill.charge_nanos > bill.hold_nanos:
        yield "overrun"
