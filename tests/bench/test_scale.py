"""More processes and more hosts: the parts that can be told without them, and a small run of two."""

import os
import tomllib
from pathlib import Path

from bench import gateways, hosts, scale, targets, workloads
from bench.figures import Results
from bench.hosts import Host
from bench.load import Load, Tally
from bench.scale import Setup, Site
from bench.script import Script
from bench.workloads import QUICK, Window, Workload
from tests.postgres_server import PostgresServer

HERE = Host("127.0.0.1")
CLOSED = Workload("c50", Load(Script(), 4), workloads.answered, 0.3)


def test_a_host_listens_at_its_own_address_and_reaches_this_machine_from_outside() -> None:
    config = gateways.accounts_config(1111, 2222, "postgresql://a:b@127.0.0.1:5/d", [])
    assert scale.settings(HERE, 1111, config) == config
    there = tomllib.loads(scale.settings(Host("10.77.32.1", ("ip",)), 1111, config))
    assert there["listen"] == "10.77.32.1:1111"
    assert there["database"] == f"postgresql://a:b@{hosts.OUTSIDE}:5/d"
    assert there["providers"]["scripted"]["base_url"] == f"http://{hosts.OUTSIDE}:2222/v1"
    assert there["access"]["require_keys"] is True


def test_each_host_has_a_name_and_an_address_of_its_own() -> None:
    first, second = hosts.commands(1), hosts.commands(2)
    assert len(first) == len(second) == 6
    assert not {*first} & {*second}


def test_what_several_doors_saw_is_added_up() -> None:
    one, two = Tally([1], [2], body_bytes=3, chunks=4), Tally([5], [6], body_bytes=7, chunks=8)
    assert scale.together([one, two]) == Tally([1, 5], [2, 6], body_bytes=10, chunks=12)


def test_the_databases_work_is_told_beside_the_gateways() -> None:
    window = Window(Tally([1_000, 1_000]), 1.0, 80_000)
    assert scale.told(CLOSED, CLOSED.load, window, 20_000)["database_us_c50"] == 10.0
    assert scale.told(CLOSED, CLOSED.load, window, None)["database_us_c50"] is None
    flow = Workload("chunk", Load(Script(10, 5), 1), workloads.flowed, 1.0, paced=True)
    assert set(scale.told(flow, flow.load, window, 20_000)) == {"cpu_us_chunk"}


async def test_both_gateways_of_a_database_are_asked_and_its_books_are_exact(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    results = Results()
    with targets.upstream(frozenset(os.sched_getaffinity(0))) as direct:
        models = sorted({each.model for each in workloads.scripts(QUICK)})
        site = Site(direct.port, postgres_server, tmp_path, [HERE, HERE], models)
        for setup in (Setup("two", None, postgres=True, two_hosts=True), Setup("workers", 2, postgres=False)):
            async with scale.serving(setup, site, results) as up:
                assert len(up.doors) == (2 if setup.two_hosts else 1)
                await scale.measure(up, CLOSED, results)
            assert results.metered[setup.name] == results.right[setup.name] > 0
            assert results.values["cpu_us_c50"][setup.name][0]
    assert results.values["database_us_c50"]["two"][0]
    assert not results.notes
    assert "| two | " in scale.text(results, QUICK)
