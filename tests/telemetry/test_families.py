"""The families as text: read back by Prometheus' own parser, and looked at by its own linter."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.openmetrics import parser as open_metrics
from prometheus_client.parser import text_string_to_metric_families as parsed
from prometheus_client.registry import CollectorRegistry

from headgate.gateway.live import Live, Running
from headgate.records import Bill, Ending
from headgate.stores.memory import MemoryStore
from headgate.telemetry.families import COUNTERS, HISTOGRAMS, Families, Standing
from headgate.telemetry.names import Names
from headgate.telemetry.sums import Sums
from tests.stores.examples import a_record
from tests.telemetry.promtool import promtool

ONE = {"provider": "openai", "model": "gpt-4o-2024-08-06"}


def running(exchange_id: str, held: int | None) -> Running:
    hold = None if held is None else SimpleNamespace(amount_nanos=held)
    return cast("Running", SimpleNamespace(opening=SimpleNamespace(exchange_id=exchange_id), held=hold))


def registry(sums: Sums, live: Live | None = None) -> CollectorRegistry:
    standing = Standing(live or Live(), MemoryStore(), "1.2", "host:1:ab")
    made = CollectorRegistry()
    made.register(Families(sums, standing))
    return made


def told(sums: Sums, live: Live | None = None) -> str:
    return generate_latest(registry(sums, live)).decode()


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for family in parsed(text):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[name, frozenset(labels.items())]


def filled() -> Sums:
    sums = Sums(Names(frozenset()))
    bill = Bill(cost_nanos=1, charge_nanos=2_000_000_003, hold_nanos=2_000_000_000)
    for n in range(3):
        sums.saw(a_record(total_ns=15_000_000 * (n + 1), bill=bill))
    sums.saw(a_record(ending=Ending.REFUSED, status=429, served_model=None, provider='we"ird\\\n', model_asked="no"))
    return sums


def test_counters_say_what_the_sums_hold() -> None:
    text = told(filled())
    assert value(text, "headgate_exchanges_total", **ONE, dialect="openai.chat", ending="complete") == 3
    assert value(text, "headgate_tokens_total", **ONE, kind="input") == 300
    assert value(text, "headgate_token_parts_total", **ONE, part="cache_read") == 60
    assert value(text, "headgate_attempts_total", provider="openai", status="200") == 4
    assert value(text, "headgate_exchanges_marked_total", provider="openai", mark="overrun") == 3


def test_labels_may_hold_anything() -> None:
    odd = {"provider": 'we"ird\\\n', "dialect": "openai.chat", "model": "other", "ending": "refused"}
    assert value(told(filled()), "headgate_exchanges_total", **odd) == 1


def test_dollars_are_the_sum_divided_once() -> None:
    text = told(filled())
    assert value(text, "headgate_cost_dollars_total", **ONE) == 3 / 10**9
    assert value(text, "headgate_charge_dollars_total", **ONE) == 6_000_000_009 / 10**9
    assert value(text, "headgate_overrun_dollars_total", provider="openai") == 9 / 10**9


def test_a_million_exchanges_do_not_drift() -> None:
    sums, drifted = Sums(Names(frozenset())), 0.0
    for _ in range(1_000_000):
        sums.cost_nanos.add(("openai", "m"), 100_000_007)
        drifted += 0.100000007
    assert value(told(sums), "headgate_cost_dollars_total", provider="openai", model="m") == 100_000.007
    assert drifted != 100_000.007, "which is why"


def test_histograms_are_cumulative_and_end_in_their_count() -> None:
    text = told(filled())
    name = "headgate_exchange_duration_seconds"
    counts = [value(text, f"{name}_bucket", **ONE, le=le) for le in ("0.01", "0.02", "0.04", "0.08", "327.68", "+Inf")]
    assert counts == [0, 1, 2, 3, 3, 3]
    assert value(text, f"{name}_count", **ONE) == 3
    assert value(text, f"{name}_sum", **ONE) == 90_000_000 / 10**9


def test_gauges_say_how_things_stand() -> None:
    live = Live()
    live.add(running("a", 1_500_000_000))
    live.add(running("b", None))
    text = told(Sums(Names(frozenset())), live)
    assert value(text, "headgate_exchanges_in_flight") == 2
    assert value(text, "headgate_held_dollars") == 1.5
    assert (value(text, "headgate_write_backlog"), value(text, "headgate_accepting")) == (0, 1)
    (about,) = [labels for name, labels in samples(text) if name == "headgate_build_info"]
    assert dict(about).items() >= {"version": "1.2", "node": "host:1:ab"}.items()


def test_targets_that_cool_down_are_counted() -> None:
    waits = {("eu", "m"): 1, ("eu", "n"): 2}
    gauges = Standing(Live(), MemoryStore(), "1.2", "host:1:ab", lambda: waits).gauges()
    assert [amount for name, _, _, amount in gauges if name == "headgate_targets_cooling"] == [2]


def test_a_process_that_has_seen_nothing_tells_every_family_all_the_same() -> None:
    names = {family.name for family in parsed(told(Sums(Names(frozenset()))))}
    assert {name for name, *_ in (*COUNTERS, *HISTOGRAMS)} <= names


def test_open_metrics_says_the_same() -> None:
    made = registry(filled())
    encode, _ = choose_encoder("application/openmetrics-text;version=1.0.0")
    read: Any = open_metrics.text_string_to_metric_families
    families = read(encode(made).decode())
    found = {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}
    assert found == samples(generate_latest(made).decode())


def test_a_long_scrape_is_whole() -> None:
    """More samples than are told at one breath."""
    sums = Sums(Names(frozenset(), most=2_000))
    for n in range(500):
        sums.saw(a_record(served_model=f"m{n}"))
    counted = [labels for name, labels in samples(told(sums)) if name == "headgate_exchanges_total"]
    assert len(counted) == 500


@pytest.mark.parametrize("sums", [filled(), Sums(Names(frozenset()))], ids=["filled", "empty"])
def test_promtool_finds_nothing_to_say(sums: Sums) -> None:
    assert promtool("check", "metrics", told=told(sums)) == (0, "")


def test_promtool_would_have_something_to_say() -> None:
    """The check above is one."""
    text = told(filled()).replace("headgate_exchanges_total", "headgate_exchanges")
    status, said = promtool("check", "metrics", told=text)
    assert status != 0
    assert "headgate_exchanges" in said


def test_every_record_may_differ_from_the_last() -> None:
    sums = Sums(Names(frozenset()))
    sums.saw(replace(a_record(), bill=Bill()))
    assert "headgate_cost_dollars_total{" not in told(sums), "what is not known is not 0 dollars"
