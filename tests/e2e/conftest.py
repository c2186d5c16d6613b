"""End-to-end tests run on the event loop of `headgate serve`; at the end they tell how much of the corpus passed."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.e2e.tally import TALLY

ARTEFACT = Path(__file__).parents[2] / "build" / "corpus_replayed.json"


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say "n of n", and leave it in build/ for whoever quotes it."""
    if not TALLY.total:
        return
    terminalreporter.section("recorded responses replayed through the running gateway")
    for dialect, (right, total) in sorted(TALLY.counts().items()):
        terminalreporter.line(f"{dialect}: {right} of {total}")
    ARTEFACT.parent.mkdir(exist_ok=True)
    ARTEFACT.write_text(json.dumps(TALLY.counts(), indent=1) + "\n")
