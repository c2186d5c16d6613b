"""`python -m bench.scale`: headgate with 1 and 2 workers, and two hosts on one PostgreSQL. See docs/scaling.md.

The generator, the upstream and the database share the machine's cores with the gateways, so what is honest here is the
CPU time of a request and of a chunk, not how many there were a second.
"""

import argparse
import asyncio
import gc
import os
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import uvloop

from bench import accounts, gateways, hosts, load, machine, report, rounds, scaling, targets, workloads
from bench.__main__ import RESULTS, run_folder
from bench.figures import Results
from bench.hosts import Host
from bench.load import Door, Load, Tally
from bench.workloads import FULL, QUICK, Plan, Window, Workload
from tests.postgres_server import PostgresDatabase, PostgresServer, running_server

_PAGE = Path(__file__).parent.parent / "docs" / "scaling.md"
_HERE = Host("127.0.0.1")
_KEYS = ("c50", "chunk")
"""The workloads: requests as fast as they come, and streams at a model's pace."""
_QUESTION = "SELECT sum(charge_nanos), count(*) FROM records WHERE settled = 'captured' AND basis = 'reported'"
_BALANCE = "SELECT posted_nanos, held_nanos FROM accounts"


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to run headgate, with all accounting on: so many processes, on so many hosts, on which database."""

    name: str
    workers: int | None
    postgres: bool
    two_hosts: bool = False


SETUPS = (
    Setup("1 process, SQLite", None, postgres=False),
    Setup("2 workers, SQLite", 2, postgres=False),
    Setup("1 process, PostgreSQL", None, postgres=True),
    Setup("2 workers, PostgreSQL", 2, postgres=True),
    Setup("2 hosts, PostgreSQL", None, postgres=True, two_hosts=True),
)


@dataclass(frozen=True, slots=True)
class Up:
    """A setup that serves: where it is asked, whose CPU time is its own, and whose is its database's."""

    name: str
    doors: Sequence[Door]
    pids: Sequence[int]
    database_pid: int | None


@dataclass(frozen=True, slots=True)
class Site:
    """What the setups have in common."""

    upstream_port: int
    server: PostgresServer
    folder: Path
    hosts: Sequence[Host]
    models: Sequence[str]
    """Which need a price."""


def main(arguments: list[str]) -> int:
    """Run, print, and keep. Returns the exit status: 0, or 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description="more processes, and more hosts")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/scaling.md")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    with run_folder() as folder:
        results = uvloop.run(run(plan, Path(folder)))
    told = text(results, plan)
    print(told)
    report.write_json(RESULTS, report.as_json(results, {"mode": plan.mode}), "scale.json")
    if options.write_docs:
        report.write_page(_PAGE, told, "bench-scale")
        scaling.write_page()
    return 1 if results.failures.total() or results.notes else 0


async def run(plan: Plan, folder: Path, setups: Sequence[Setup] = SETUPS) -> Results:
    """Measure every setup in every round. Hosts are namespaces where that is possible, else processes."""
    results = Results()
    asked = [each for each in workloads.workloads(plan) if each.key in _KEYS]
    with ExitStack() as stack:
        apart = hosts.possible()
        here = stack.enter_context(hosts.two()) if apart else [_HERE, _HERE]
        server = stack.enter_context(running_server())
        if apart:
            await open_to(server, hosts.NETWORK)
        else:
            results.notes.append("the two hosts were two processes: namespaces need root and iproute2")
        every_core = frozenset(os.sched_getaffinity(0))
        direct = stack.enter_context(targets.upstream(every_core, "0.0.0.0" if apart else "127.0.0.1"))
        models = sorted({each.model for each in workloads.scripts(plan)})
        site = Site(direct.port, server, folder, here, models)
        async with AsyncExitStack() as alive:
            up = [await alive.enter_async_context(serving(setup, site, results)) for setup in setups]
            for turn in range(plan.rounds):
                for workload in asked:
                    for each in rounds.turned(up, turn) if turn < plan.paced_rounds or not workload.paced else ():
                        await measure(each, workload, results)
    return results


async def open_to(server: PostgresServer, network: str) -> None:
    """Let the server be reached from there."""
    await server.execute("ALTER SYSTEM SET listen_addresses = '*'")
    server.allow(network)
    server.stop()
    server.start()


@asynccontextmanager
async def serving(setup: Setup, site: Site, results: Results) -> AsyncIterator[Up]:
    """A setup, warmed up; when it has stopped, its books are held against the right answers."""
    home = Path(tempfile.mkdtemp(dir=site.folder))
    database = PostgresDatabase(site.server)
    if setup.postgres:
        await database.make()
    where = database.dsn() if setup.postgres else str(home / "headgate.db")
    await accounts.fill(where)
    with ExitStack() as stack:
        at = site.hosts if setup.two_hosts else [_HERE]
        started = [stack.enter_context(_gateway(setup, host, site, where, home / str(n))) for n, host in enumerate(at)]
        up = Up(
            setup.name, [d for d, _ in started], [p for _, p in started], site.server.pid if setup.postgres else None
        )
        for door in up.doors:
            await rounds.warmed_up(targets.Running(setup.name, door), results)
        yield up
    settled = await _settled(database) if setup.postgres else _settled_in(home / "headgate.db")
    results.metered[setup.name] = settled
    if settled != results.right[setup.name]:
        results.notes.append(f"{setup.name} settled {settled} of {results.right[setup.name]} answers")


@contextmanager
def _gateway(setup: Setup, host: Host, site: Site, database: str, home: Path) -> Iterator[tuple[Door, int]]:
    home.mkdir()
    port, log = targets.free_port(), home / "output.txt"
    config = settings(host, port, gateways.accounts_config(port, site.upstream_port, database, site.models))
    more = ["--workers", str(setup.workers)] if setup.workers else []
    command = [*host.within, *gateways.serving(home, config, *more)]
    with targets.launched(setup.name, command, frozenset(os.sched_getaffinity(0)), log) as process:
        targets.await_listening(setup.name, process, port, log, host.address)
        yield Door(port, host=host.address), process.pid


def settings(host: Host, port: int, config: str) -> str:
    """A headgate.toml for a host: it listens at the host's own address, and what is on this machine is outside."""
    if not host.within:
        return config
    config = config.replace("127.0.0.1", hosts.OUTSIDE).replace("[access]\n", "[access]\nrequire_keys = true\n")
    return config.replace(f'listen = "{hosts.OUTSIDE}:{port}"', f'listen = "{host.address}:{port}"')


def _balanced(charged: int | None, count: int, posted: int, held: int) -> int:
    return count if (posted, held) == (accounts.CREDIT_NANOS - int(charged or 0), 0) else 0


def _settled_in(path: Path) -> int:
    with closing(sqlite3.connect(path)) as books:
        ((charged, count),), ((posted, held),) = books.execute(_QUESTION), books.execute(_BALANCE)
    return _balanced(charged, count, posted, held)


async def _settled(database: PostgresDatabase) -> int:
    ((charged, count),) = await database.query(_QUESTION)
    ((posted, held),) = await database.query(_BALANCE)
    return _balanced(charged, count, posted, held)


async def measure(up: Up, workload: Workload, results: Results) -> None:
    """One window of a workload, shared out over the doors."""
    asked = replace(workload.load, lanes=workload.load.lanes // len(up.doors))
    gc.collect()
    async with AsyncExitStack() as stack:
        tallies = [await stack.enter_async_context(load.running(door, asked)) for door in up.doors]
        await asyncio.sleep(workloads.WARM_UP_SECONDS)
        for tally in tallies:
            tally.restart()
        before, base, start = _cpu(up.pids), _cpu_of(up.database_pid), perf_counter()
        await asyncio.sleep(workload.seconds)
        cpu, database = _cpu(up.pids) - before, _cpu_of(up.database_pid) - base
        window = Window(together(tallies), perf_counter() - start, cpu)
    for tally in tallies:
        results.count(up.name, tally.right, tally.failures)
    results.add(up.name, **told(workload, asked, window, database if up.database_pid else None))
    if (pace := workload.pace(replace(asked, lanes=workload.load.lanes), window)) < workloads.KEPT_PACE:
        results.notes.append(f"{up.name} passed only {pace:.0%} of the chunks in time")


def told(workload: Workload, asked: Load, window: Window, database_ns: int | None) -> dict[str, float | None]:
    """The figures of a window, with what the database did for each answer."""
    figures = dict(workload.tell(workload.key, asked, window))
    if not workload.paced:
        figures[f"database_us_{workload.key}"] = replace(window, cpu_ns=database_ns).cpu_us(len(window.tally.latencies))
    return figures


def together(tallies: Sequence[Tally]) -> Tally:
    """What all doors' lanes have seen."""
    whole = Tally()
    for tally in tallies:
        whole.latencies += tally.latencies
        whole.first_bytes += tally.first_bytes
        whole.body_bytes += tally.body_bytes
        whole.chunks += tally.chunks
    return whole


def _cpu(pids: Sequence[int]) -> int:
    return sum(map(machine.cpu_ns, pids))


def _cpu_of(pid: int | None) -> int:
    return machine.cpu_ns(pid) if pid is not None else 0


_COLUMNS: Sequence[tuple[str, str, int]] = (
    ("cpu_us_c50", "CPU µs per request", 0),
    ("database_us_c50", "the database's CPU µs per request", 0),
    ("rps_c50", "requests/s, sharing the cores", 0),
    ("cpu_us_chunk", "CPU µs per streamed chunk", 1),
)


def text(results: Results, plan: Plan) -> str:
    """The table in Markdown."""
    about = {**machine.description(), "mode": plan.mode, "rounds": str(plan.rounds)}
    lines = [f"- {key}: {value}" for key, value in about.items()]
    lines += [
        "",
        report.line(["", *(label for _, label, _ in _COLUMNS)]),
        report.line(["---", *["---:"] * len(_COLUMNS)]),
    ]
    for name in results.right:
        by_column = ((results.values.get(key, {}).get(name, []), digits) for key, _, digits in _COLUMNS)
        lines.append(report.line([name, *(report.cell(values, digits) for values, digits in by_column)]))
    lines += ["", *report.remarks(results)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
