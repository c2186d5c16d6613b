"""What a supervisor does when workers die, do not begin, or do not end; with real processes that do nothing else."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


class Supervised:
    """The program of program.py, read line by line."""

    def __init__(self, folder: Path, count: int = 2, **told: object) -> None:
        self.folder = folder
        self.tell(**told)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.workers.program", str(folder), str(count)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.pids: dict[int, int] = {}

    def tell(self, **told: object) -> None:
        """What workers and checks do from now on."""
        (self.folder / "told.json").write_text(json.dumps(told))

    def told(self, number: int) -> None:
        self.process.send_signal(number)

    def until(self, *wanted: str) -> list[str]:
        """The lines until all of these have come."""
        left = list(wanted)
        lines: list[str] = []
        assert self.process.stdout is not None
        while left:
            line = self.process.stdout.readline()
            assert line, (left, lines)
            lines.append(line.strip())
            if line.startswith("begins"):
                _, number, _, pid = line.split()
                self.pids[int(number)] = int(pid)
            left = [each for each in left if not line.startswith(each)]
        return lines

    def end(self) -> list[str]:
        """SIGTERM, and all that is said until the end."""
        self.told(signal.SIGTERM)
        return self.finish()

    def finish(self, status: int = signal.SIGTERM) -> list[str]:
        """All that is said until the end."""
        assert self.process.stdout is not None
        lines = self.process.stdout.read().splitlines()
        self.process.stdout.close()
        assert self.process.wait() == status
        return lines


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Supervised]:
    made = Supervised(tmp_path)
    made.until("started")
    yield made
    for stuck in tmp_path.glob("stuck-*"):
        stuck.unlink()
    made.process.kill()
    with made.process:
        pass


def test_a_stop_reaches_all_and_waits_for_them(two: Supervised) -> None:
    lines = two.end()
    assert sorted(lines[:-1]) == ["ends 1", "ends 2", "stops 1", "stops 2"]
    assert lines[-1] == f"over {-signal.SIGTERM}"
    assert not list(two.folder.glob("*/*.sock"))


def test_one_that_dies_is_followed_by_another(two: Supervised) -> None:
    os.kill(two.pids[2], signal.SIGKILL)
    assert two.until("serves 3")[0].endswith("worker 2 ended with status -9; another takes its place now")
    os.kill(two.pids[3], signal.SIGSEGV)
    assert "another takes its place in 1 s" in two.until("serves 4")[0]
    assert sorted(two.end()[:-1]) == ["ends 1", "ends 4", "stops 1", "stops 4"]


def test_settings_are_read_by_whoever_starts_workers_and_by_each(two: Supervised) -> None:
    two.told(signal.SIGHUP)
    assert two.until("reloads 1", "reloads 2")[0] == "reload"
    two.end()


def test_workers_whose_supervisor_is_killed_end(two: Supervised) -> None:
    two.told(signal.SIGKILL)
    assert sorted(two.until("ends 1", "ends 2")) == ["ends 1", "ends 2", "is alone 1", "is alone 2"]


def test_one_that_does_not_begin_ends_it_all(tmp_path: Path) -> None:
    made = Supervised(tmp_path, fails=1)
    lines = made.until("over")
    assert lines[1:] == ["headgate: this cannot be", "over 2"]
    made.finish(2)


def test_the_program_is_begun_anew_and_the_old_leave_when_the_new_serve(two: Supervised) -> None:
    pid = two.process.pid
    (two.folder / "stuck-1").touch()
    two.told(signal.SIGUSR2)
    lines = two.until("leaves 1", "ends 2", "started")
    assert lines.index("leaves 1") > lines.index(next(line for line in lines if line.startswith("begins 4 1")))
    two.told(signal.SIGUSR2)
    two.until("begins 6 1", "ends 3", "ends 4", "started")
    assert two.process.pid == pid
    assert two.process.poll() is None
    (two.folder / "stuck-1").unlink()
    assert sorted(line for line in two.end() if line.startswith("ends")) == ["ends 1", "ends 5", "ends 6"]


@pytest.mark.parametrize("told", [{"check": 2}, {"fails": 3}, {"fails": 4}])
def test_what_cannot_be_begun_leaves_the_old_as_they_were(two: Supervised, told: dict[str, object]) -> None:
    two.tell(**told)
    two.told(signal.SIGUSR2)
    if "check" in told:
        assert two.until("nothing is begun anew")[-1].endswith("has failed its check with status 2")
    else:
        assert "status 2 before it served" in two.until("the restart is given up, and the old workers go on")[-1]
    two.tell()
    os.kill(two.pids[1], signal.SIGKILL)
    two.until("serves")
    lines = two.end()
    assert "stops 2" in lines
    assert not [line for line in lines if line.startswith("leaves")]


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    made = Supervised(tmp_path)
    made.until("started")
    (tmp_path / "stuck-1").touch()
    made.told(signal.SIGTERM)
    lines = made.until("over")
    assert "worker 1 does not end, and is killed" in lines
    assert "ends 2" in lines
    assert "ends 1" not in lines
    made.finish()
