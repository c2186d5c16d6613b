"""Any fault of the network, anywhere in any exchange, on either side of the gateway.

Always: one record and one settlement; books that balance to the nano-dollar; no request that hangs beyond its limits;
no socket, task or hold that is left over; and a client that was told the truth.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings

from headgate.testing.corpus import Case
from tests.faults.plays import CASES, Play, plays
from tests.faults.stage import Played, Stage, staged
from tests.faults.verdict import judge

PLAYS = int(os.environ.get("HEADGATE_PLAYS", "120"))

pytestmark = pytest.mark.timeout(120 + PLAYS)


class Theatre:
    """A stage on an event loop of its own: hypothesis calls a test as a plain function, many times."""

    def __init__(self, runner: asyncio.Runner, folder: Path) -> None:
        self._runner = runner
        self._folder = folder
        self._stages = 0
        self._stack = AsyncExitStack()
        self._stage: Stage | None = None

    def show(self, play: Play) -> Played:
        """Play, and judge what came of it; after a failure the next one gets a stage of its own."""
        if self._stage is None:
            self._stages += 1
            folder = self._folder / str(self._stages)
            self._stage = self._runner.run(self._stack.enter_async_context(staged(folder)))
        try:
            played = self._runner.run(self._stage.play(play))
            judge(played)
        except BaseException:
            self.close()
            raise
        return played

    def close(self) -> None:
        self._stage = None
        self._runner.run(self._stack.aclose())


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        theatre = Theatre(runner, tmp_path_factory.mktemp("faults"))
        yield theatre
        theatre.close()


@given(play=plays())
@settings(
    max_examples=PLAYS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a play with a stall takes its time: shrinking would not end
    report_multiple_bugs=False,
)
def test_whatever_goes_wrong(theatre: Theatre, play: Play) -> None:
    theatre.show(play)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dialect}/{case.id}")
def test_each_case_comes_whole_where_nothing_goes_wrong(theatre: Theatre, case: Case) -> None:
    theatre.show(Play(case, (case.body,)))
