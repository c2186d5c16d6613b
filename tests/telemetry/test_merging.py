"""Pages of several processes as one, read by prometheus-client's own parsers."""

from collections.abc import Iterator

import pytest
from prometheus_client import openmetrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from prometheus_client.registry import Collector, CollectorRegistry

from headgate.telemetry.merging import Labelled, merged

assert openmetrics


class Some(Collector):
    """A counter and a histogram, whose help has a line that looks like another's."""

    def __init__(self, count: int) -> None:
        self._count = count

    def collect(self) -> Iterator[Metric]:
        counter = CounterMetricFamily("things", "What\n# HELP there is.", labels=("kind",))
        counter.add_metric(("a\n# HELP b",), self._count)
        yield counter
        if self._count != 2:
            yield HistogramMetricFamily("spread", "How.", buckets=[("1", self._count), ("+Inf", 9)], sum_value=3)


def page(count: int, accept: str) -> bytes:
    inner, outer = CollectorRegistry(), CollectorRegistry()
    inner.register(Some(count))
    outer.register(Labelled(inner, {"worker": str(count)}))
    return choose_encoder(accept)[0](outer)


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
def test_each_family_is_there_once_with_the_samples_of_all(accept: str) -> None:
    text = merged([page(count, accept) for count in (1, 2, 3)]).decode()
    read = read_openmetrics if "openmetrics" in accept else read_text
    found = {family.name: family for family in read(text)}
    assert set(found) == {"things", "spread"}
    things = {sample.labels["worker"]: sample.value for sample in found["things"].samples if "kind" in sample.labels}
    assert things == {"1": 1, "2": 2, "3": 3}
    assert {sample.labels["worker"] for sample in found["spread"].samples} == {"1", "3"}
    assert text.count("# EOF") == ("openmetrics" in accept)


def test_one_page_stays_as_it_is() -> None:
    own = page(1, "text/plain")
    assert merged([own]) is own
