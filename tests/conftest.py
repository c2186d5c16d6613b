"""What ran, for tests/test_conformance.py, which therefore comes last."""

from collections.abc import Sequence

import pytest

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
