"""What a run of the tests tells at its end, in however many processes; and the database server that tests share."""

import asyncio
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import NAMED
from tests.outcome import Outcome
from tests.postgres_server import PostgresDatabase, PostgresServer, running_server

collect_ignore = ["clients", "dashboard"]
"""They need what npm installs: `make test-clients`."""

ARTEFACT = Path(__file__).parents[1] / "build" / "corpus_replayed.json"

OUTCOME = Outcome(collect_ignore)


def pytest_collection_finish(session: pytest.Session) -> None:
    OUTCOME.selected.update(item.nodeid for item in session.items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(ids: Collection[str]) -> None:
    OUTCOME.selected.update(ids)


def pytest_deselected(items: Collection[pytest.Item]) -> None:
    OUTCOME.deselected |= bool(items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    OUTCOME.deselected |= getattr(node, "workeroutput", {}).get("deselected", False)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    OUTCOME.heard(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run is no success in which a test did not run that docs/conformance.md names."""
    config: Any = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["deselected"] = OUTCOME.deselected
    elif session.exitstatus == pytest.ExitCode.OK and not config.option.collectonly and OUTCOME.left_out():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was replayed, "n of n", and leave it in build/ for whoever quotes it; and what ought to have run."""
    if replayed := OUTCOME.replayed():
        terminalreporter.section("recorded responses replayed through the running gateway")
        for dialect, (right, total) in replayed.items():
            terminalreporter.line(f"{dialect}: {right} of {total}")
        ARTEFACT.parent.mkdir(exist_ok=True)
        ARTEFACT.write_text(json.dumps(replayed, indent=1) + "\n")
    missed = OUTCOME.left_out()
    if not config.option.collectonly and (missed or OUTCOME.is_whole):
        terminalreporter.section(f"the {len(NAMED)} tests that docs/conformance.md names")
        terminalreporter.line(f"did not run: {', '.join(missed)}" if missed else "all of them ran")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_server(synced=False) as server:  # no test takes the power away
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """A fresh database on the running server, which the test may stop, start and kill."""
    postgres_server.start()
    database = PostgresDatabase(postgres_server)
    asyncio.run(database.make())
    yield database
    postgres_server.start()
    asyncio.run(database.drop())
