"""What ran, for tests/test_conformance.py, which therefore comes last; and the database server that tests share."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from tests.postgres_server import PostgresDatabase, PostgresServer, running_server

collect_ignore = ["clients", "dashboard"]
"""They need what npm installs: `make test-clients`."""

RAN: set[str] = set()
"""Node ids of the tests that were executed, passed or failed, and not skipped."""

DESELECTED: set[str] = set()
"""Node ids of the tests that an option left out."""

_LAST = "test_conformance.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name == _LAST)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    DESELECTED.update(item.nodeid for item in items)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and not report.skipped:
        RAN.add(report.nodeid)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_server() as server:
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
