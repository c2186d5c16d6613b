"""The sums, and how the gateway stands, as Prometheus' families of samples. docs/observability.md has their table."""

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from headgate.gateway.live import Live
from headgate.money import NANOS_PER_DOLLAR
from headgate.records import RecordLog
from headgate.telemetry.sums import SECONDS, Histogram, Labels, Sum, Sums

_NS = 1_000_000_000
_AT_ONCE = 64
_BREATH_SECONDS = 0.0001

_PROVIDER = ("provider",)
_MODEL = ("provider", "model")
_KIND = ("provider", "model", "kind")
_BOUNDS = (*(f"{ns / _NS:g}" for ns in SECONDS), "+Inf")

COUNTERS: Sequence[tuple[str, str, Sequence[str], Callable[[Sums], Sum], int]] = (
    (
        "headgate_exchanges",
        "Exchanges that are over, by how they ended.",
        ("provider", "dialect", "model", "ending"),
        lambda sums: sums.exchanges,
        1,
    ),
    (
        "headgate_attempts",
        "Tries at a provider, by the status that it answered; none where no answer began.",
        ("provider", "status"),
        lambda sums: sums.attempts,
        1,
    ),
    (
        "headgate_exchanges_marked",
        "Exchanges that failed, were cancelled, or have figures that are estimated, missing, disputed or above a hold.",
        ("provider", "mark"),
        lambda sums: sums.marked,
        1,
    ),
    (
        "headgate_tokens",
        "Tokens that providers reported, input with all that was cached and output with all that was reasoning.",
        _KIND,
        lambda sums: sums.tokens,
        1,
    ),
    (
        "headgate_token_parts",
        "Parts of the tokens: cache_read and cache_write of the input, reasoning of the output.",
        ("provider", "model", "part"),
        lambda sums: sums.token_parts,
        1,
    ),
    (
        "headgate_tokens_estimated",
        "Tokens inferred from bytes, as far as a provider did not report them.",
        _KIND,
        lambda sums: sums.estimated_tokens,
        1,
    ),
    (
        "headgate_cost_dollars",
        "What providers ask, in US dollars, as far as prices are known.",
        _MODEL,
        lambda sums: sums.cost_nanos,
        NANOS_PER_DOLLAR,
    ),
    (
        "headgate_charge_dollars",
        "What accounts pay, in US dollars.",
        _MODEL,
        lambda sums: sums.charge_nanos,
        NANOS_PER_DOLLAR,
    ),
    (
        "headgate_overrun_dollars",
        "The parts of charges above their holds, in US dollars.",
        _PROVIDER,
        lambda sums: sums.overrun_nanos,
        NANOS_PER_DOLLAR,
    ),
)
"""Name, meaning, labels, sum, and what a sum is divided by: once, when it is told."""

HISTOGRAMS: Sequence[tuple[str, str, Callable[[Sums], Histogram]]] = (
    (
        "headgate_exchange_duration_seconds",
        "From the request to the end of the answer, of exchanges that were sent to a provider.",
        lambda sums: sums.duration,
    ),
    (
        "headgate_first_byte_seconds",
        "From the request to the first byte of the answer's body for the client.",
        lambda sums: sums.first_byte,
    ),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the gateway stands, asked when it is told."""

    live: Live
    log: RecordLog
    version: str
    node: str
    cooling: Callable[[], Mapping[tuple[str, str], int]] = dict
    """The deployments and models that cool down."""

    def gauges(self) -> Iterator[tuple[str, str, Mapping[str, str], float]]:
        """Name, meaning, labels and value."""
        running = list(self.live)
        held = sum(exchange.held.amount_nanos for exchange in running if exchange.held is not None)
        about = {"version": self.version, "python": platform.python_version(), "node": self.node}
        yield "headgate_build_info", "What runs here; always 1.", about, 1
        yield "headgate_exchanges_in_flight", "Exchanges under way in this process.", {}, len(running)
        dollars = held / NANOS_PER_DOLLAR
        yield "headgate_held_dollars", "Money set aside for them, in US dollars.", {}, dollars
        yield "headgate_write_backlog", "Records and commands that wait to be written.", {}, self.log.backlog
        accepting = int(self.log.accepting)
        yield "headgate_targets_cooling", "Targets of aliases that cool down.", {}, len(self.cooling())
        yield "headgate_accepting", "0 while requests are refused because records cannot be written.", {}, accepting


class Families:
    """A prometheus_client Collector, asked in another thread than the event loop's.

    What it reads of the sums it copies in one step each, so that a bucket and the count agree.
    """

    def __init__(self, sums: Sums, standing: Standing) -> None:
        self._sums = sums
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        for name, meaning, labels, value in self._standing.gauges():
            yield _metric(name, meaning, "gauge", partial(_single, name, labels, value))
        for name, meaning, label_names, find, per in COUNTERS:
            yield _metric(name, meaning, "counter", partial(_counted, name, label_names, find(self._sums), per))
        for name, meaning, of in HISTOGRAMS:
            yield _metric(name, meaning, "histogram", partial(_spread, name, _MODEL, of(self._sums)))


class _Paced(list[Sample]):
    """Samples that are made as they are read, so that the collector of garbage never finds thousands of them.

    Their reader stops for a breath now and then, in which the event loop has the interpreter for itself.
    """

    def __init__(self, make: Callable[[], Iterable[Sample]]) -> None:
        super().__init__()
        self._make = make

    def __iter__(self) -> Iterator[Sample]:
        for number, sample in enumerate(self._make(), 1):
            if number % _AT_ONCE == 0:
                time.sleep(_BREATH_SECONDS)
            yield sample


def _metric(name: str, meaning: str, kind: str, make: Callable[[], Iterable[Sample]]) -> Metric:
    metric = Metric(name, meaning, kind)
    metric.samples = _Paced(make)
    return metric


def _single(name: str, labels: Mapping[str, str], value: float) -> Iterator[Sample]:
    yield Sample(name, dict(labels), value)


def _counted(name: str, label_names: Sequence[str], of: Sum, per: int) -> Iterator[Sample]:
    for labels, amount in of.copy().items():
        yield Sample(f"{name}_total", _labels(label_names, labels), amount / per)


def _spread(name: str, label_names: Sequence[str], of: Histogram) -> Iterator[Sample]:
    for labels, cells in of.copy().items():
        *buckets, total_ns = cells.copy()
        own = _labels(label_names, labels)
        count = 0
        for bound, more in zip(_BOUNDS, buckets, strict=True):
            count += more
            yield Sample(f"{name}_bucket", {**own, "le": bound}, count)
        yield Sample(f"{name}_count", own, count)
        yield Sample(f"{name}_sum", own, total_ns / _NS)


def _labels(names: Sequence[str], values: Labels) -> dict[str, str]:
    return dict(zip(names, values, strict=True))
