"""The way to the collector, and collectors that are dead, slow, or take only one of the two."""

import asyncio
import logging

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from headgate.gateway.trace import Trace
from headgate.sections import TracingSection
from headgate.telemetry.attributes import Site, of_span
from headgate.telemetry.names import Names
from headgate.telemetry.otlp import MOST_WAITING, Connection, Reach, WatchedSpans, connect
from headgate.telemetry.semconv import VERSIONS
from tests.ports import kept_port
from tests.stores.examples import a_record
from tests.telemetry.collector import collecting, values

SITES = {"openai": Site("openai", "api.openai.com", 443)}


def connected(section: TracingSection) -> Connection:
    return connect(section, SITES, Names(frozenset()), version="1.2", node="host:1:ab")


def feed(connection: Connection, times: int = 1) -> None:
    for n in range(times):
        connection.tracing.end(Trace(n + 1, n + 1), a_record(), None)
        for observer in connection.observers:
            observer.saw(a_record())


async def test_what_is_sent_arrives() -> None:
    async with collecting() as collector:
        section = TracingSection(f"{collector.url}/", headers={"authorization": "Bearer c"}, service_name="llm")
        connection = connected(section)
        feed(connection, 3)
        await connection.close()
    assert [int.from_bytes(span.span_id) for span in collector.spans] == [1, 2, 3]
    assert values(collector.spans[0].attributes) == of_span(a_record(), None, SITES, VERSIONS["latest"])
    assert collector.resources[0].items() >= {
        "service.name": "llm", "service.version": "1.2", "service.instance.id": "host:1:ab",
    }.items()  # fmt: skip
    assert {headers.get("authorization") for headers in collector.headers} == {"Bearer c"}
    (point,) = collector.metrics["gen_ai.client.operation.duration"].histogram.data_points
    assert (point.count, point.sum) == (3, 3.0)


async def test_metrics_can_be_left_out() -> None:
    async with collecting() as collector:
        connection = connected(TracingSection(collector.url, metrics=False))
        assert connection.observers == ()
        feed(connection)
        await connection.close()
        assert len(collector.spans) == 1
        assert not collector.metrics


async def test_a_dead_collector_is_told_of_once_and_drops_what_it_does_not_take(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = kept_port()
    section = TracingSection(f"http://user:secret-of-the-collector@127.0.0.1:{port}", metrics=False)
    with caplog.at_level(logging.INFO):
        connection = connected(section)
        feed(connection, 2 * MOST_WAITING)
        assert connection.exporter is not None
        while not connection.exporter.reach.lost:
            await asyncio.sleep(0.01)
        feed(connection, 2 * MOST_WAITING)
        await connection.close()
    assert [record.message for record in caplog.records] == [
        f"the collector at 127.0.0.1:{port} takes no traces: they are dropped until it does"
    ]


async def test_a_collector_that_never_answers_does_not_hold_up_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate.telemetry.otlp._CLOSE_SECONDS", 0.1)
    async with collecting() as collector:
        collector.free.clear()
        connection = connected(TracingSection(collector.url, metrics=False))
        feed(connection)
        await connection.close()
        while not collector.asked:
            await asyncio.sleep(0.01)
        assert not collector.spans


class Scripted(SpanExporter):
    def __init__(self, *results: SpanExportResult) -> None:
        self.results = list(results)

    def export(self, spans: object) -> SpanExportResult:
        del spans
        return self.results.pop(0)

    def shutdown(self) -> None:
        self.results.clear()


def test_each_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    well, badly = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    watched = WatchedSpans(Scripted(well, badly, badly, badly, well, well, badly), Reach("traces", "host:1"))
    with caplog.at_level(logging.INFO):
        for _ in range(7):
            watched.export([])
    assert [record.message for record in caplog.records] == [
        "the collector at host:1 takes no traces: they are dropped until it does",
        "the collector at host:1 takes traces again",
        "the collector at host:1 takes no traces: they are dropped until it does",
    ]


async def test_a_collector_of_traces_only_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async with collecting() as collector:
        with caplog.at_level(logging.INFO):
            connection = connected(TracingSection(collector.url))
            feed(connection)
            assert connection.meters is not None
            connection.meters.exporter.reach.note(well=False)
            await asyncio.to_thread(connection.processor.force_flush)
            await connection.close()
        assert len(collector.spans) == 1
    assert [record.message for record in caplog.records if record.name.startswith("headgate")] == [
        f"the collector at {collector.url.removeprefix('http://')} takes no metrics: they are dropped until it does"
    ]
