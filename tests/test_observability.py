"""docs/observability.md tells what there is: its names are those that are told, and its rules hold up."""

import re
from pathlib import Path

from headgate.gateway.live import Live
from headgate.stores.memory import MemoryStore
from headgate.telemetry.families import COUNTERS, HISTOGRAMS, Standing
from tests.telemetry.promtool import promtool

TEXT = (Path(__file__).parent.parent / "docs" / "observability.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)


def test_the_table_has_every_metric_with_its_type_and_labels() -> None:
    rows = re.findall(r"^\| `(headgate_\w+)` \| (\w+) \| ([\w, ]*) ?\|", TEXT, re.MULTILINE)
    told = {name: (kind, labels.strip()) for name, kind, labels in rows}
    counters = {f"{name}_total": ("counter", ", ".join(labels)) for name, _, labels, *_ in COUNTERS}
    histograms = {name: ("histogram", "provider, model") for name, *_ in HISTOGRAMS}
    standing = Standing(Live(), MemoryStore(), "1", "node")
    gauges = {name: ("gauge", ", ".join(labels)) for name, _, labels, _ in standing.gauges()}
    assert told == counters | histograms | gauges


def test_the_alert_rules_are_rules_about_metrics_that_there_are(tmp_path: Path) -> None:
    (rules,) = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("groups:")]
    file = tmp_path / "rules.yml"
    file.write_text(rules)
    status, said = promtool("check", "rules", str(file))
    assert status == 0, said
    names = set(re.findall(r"headgate_\w+", rules))
    known = set(re.findall(r"^\| `(headgate_\w+)`", TEXT, re.MULTILINE))
    assert {re.sub(r"_bucket$", "", name) for name in names} <= known


def test_the_scrape_config_is_one(tmp_path: Path) -> None:
    (config,) = [text for kind, text in BLOCKS if kind == "yaml" and "scrape_configs" in text]
    key = tmp_path / "headgate.key"
    key.write_text("key")
    file = tmp_path / "prometheus.yml"
    file.write_text(config.replace("/etc/prometheus/headgate.key", str(key)))
    status, said = promtool("check", "config", str(file))
    assert status == 0, said
