"""The conventions' metrics, as the SDK reads them out."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from headgate.records import Ending, Record
from headgate.telemetry import semconv
from headgate.telemetry.attributes import Site
from headgate.telemetry.instruments import Instruments
from headgate.telemetry.names import Names
from headgate.telemetry.semconv import VERSIONS
from headgate.telemetry.sums import Sums
from headgate.usage import Basis, Estimate, Usage
from tests.stores.examples import a_record, some_records

SITES = {"openai": Site("openai", "api.openai.com", 443)}
SHARED = {
    "gen_ai.operation.name": "chat", "server.address": "api.openai.com", "server.port": 443,
    "gen_ai.request.model": "gpt-4o-2024-08-06", "gen_ai.response.model": "gpt-4o-2024-08-06",
}  # fmt: skip


def told(*records: Record, version: str = "latest") -> dict[str, Any]:
    instruments = Instruments(Names(frozenset()), SITES, VERSIONS[version])
    for record in records:
        instruments.saw(record)
    found = {metric.name: metric for metric in instruments.told(1, 2)}
    assert encode_metrics(_data(list(found.values()))).SerializeToString(), "the SDK's encoder takes it"
    return found


def _data(metrics: list[Metric]) -> MetricsData:
    scoped = ScopeMetrics(InstrumentationScope("headgate"), metrics, "")
    return MetricsData([ResourceMetrics(Resource({}), [scoped], "")])


def points(metric: Any) -> list[tuple[dict[str, Any], int, float]]:
    return [(dict(p.attributes), p.count, p.sum) for p in metric.data.data_points]


def test_an_exchange_is_measured() -> None:
    found = told(a_record(), a_record(total_ns=3_000_000_000))
    own = {**SHARED, "gen_ai.provider.name": "openai"}
    assert points(found["gen_ai.client.operation.duration"]) == [(own, 2, 4.0)]
    assert points(found["gen_ai.client.operation.time_to_first_chunk"]) == [(own, 2, 0.5)]
    assert points(found["gen_ai.client.token.usage"]) == [
        ({**own, "gen_ai.token.type": "input"}, 2, 200),
        ({**own, "gen_ai.token.type": "output"}, 2, 100),
    ]
    assert {name: metric.unit for name, metric in found.items()} == {
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.operation.time_to_first_chunk": "s",
        "gen_ai.client.token.usage": "{token}",
    }


def test_the_buckets_are_those_that_are_advised() -> None:
    found = told(a_record())
    (duration,) = found["gen_ai.client.operation.duration"].data.data_points
    assert tuple(duration.explicit_bounds) == semconv.SECOND_BUCKETS
    assert tuple(found["gen_ai.client.token.usage"].data.data_points[0].explicit_bounds) == semconv.TOKEN_BUCKETS


def test_the_old_convention_has_two_metrics() -> None:
    found = told(a_record(), version="1.36")
    assert found.keys() == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    ((attributes, *_),) = points(found["gen_ai.client.operation.duration"])
    assert attributes["gen_ai.system"] == "openai"


def test_an_error_is_named() -> None:
    found = told(a_record(ending=Ending.REFUSED, status=429, usage=Usage(), counted=False))
    ((attributes, *_),) = points(found["gen_ai.client.operation.duration"])
    assert attributes["error.type"] == "429"
    assert found.keys() == {"gen_ai.client.operation.duration"}


@pytest.mark.parametrize(
    "changes", [{"ending": Ending.NEVER_SENT}, {"billable": False}, {"ending": Ending.GATEWAY_DIED}]
)
def test_what_asked_no_model_is_not_measured(changes: dict[str, Any]) -> None:
    assert not told(a_record(**changes, counted=False))
    assert told(a_record(**changes)).keys() == {"gen_ai.client.token.usage"}, "a batch's results, a swept exchange"


def test_tokens_are_counted_once_and_never_estimated() -> None:
    seen = a_record(usage=Usage(input_tokens=3), basis=Basis.PARTIAL, estimate=Estimate(9, 9))
    ((attributes, *numbers),) = points(told(seen, replace(seen, counted=False))["gen_ai.client.token.usage"])
    assert (attributes["gen_ai.token.type"], numbers) == ("input", [1, 3])


def test_names_are_learnt_from_what_is_not_counted_too() -> None:
    fetched = a_record(billable=False, counted=False)
    failed = a_record(ending=Ending.UPSTREAM_CUT, served_model=None)
    ((attributes, *_), *_) = points(told(fetched, failed)["gen_ai.client.token.usage"])
    assert attributes["gen_ai.response.model"] == "gpt-4o-2024-08-06"


@settings(max_examples=50)
@given(some_records)
def test_tokens_are_those_of_the_other_sums(seen: list[Record]) -> None:
    sums, found = Sums(Names(frozenset())), Counter[tuple[Any, Any]]()
    for record in seen:
        sums.saw(record)
    usage = told(*seen).get("gen_ai.client.token.usage")
    for attributes, _, count in points(usage) if usage is not None else ():
        found[attributes["gen_ai.response.model"], attributes["gen_ai.token.type"]] += int(count)
    theirs = Counter[tuple[Any, Any]]()
    for (_, model, kind), count in sums.tokens.items():
        theirs[model, kind] += count
    assert dict(found) == dict(theirs)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=20))
def test_buckets_and_sums_are_those_of_the_sdks_own_histogram(times: list[int]) -> None:
    (ours,) = told(*(a_record(total_ns=ns) for ns in times))["gen_ai.client.operation.duration"].data.data_points
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    histogram = meters.get_meter("x").create_histogram("x", explicit_bucket_boundaries_advisory=semconv.SECOND_BUCKETS)
    for ns in times:
        histogram.record(ns / 10**9)
    data: Any = reader.get_metrics_data()
    (theirs,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    meters.shutdown()
    assert (ours.count, list(ours.bucket_counts)) == (theirs.count, list(theirs.bucket_counts))
    assert (ours.min, ours.max) == (theirs.min, theirs.max)
    assert ours.sum == pytest.approx(theirs.sum)
