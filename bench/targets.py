"""What stands between the load and the upstream, as processes: started, awaited, stopped. Each is in gateways.py."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Door
from bench.machine import pinned

_START_SECONDS = 90.0
"""The slowest needs a quarter of it on a quiet machine."""
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.02
_CONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A target that listens. `pid` is None where there is no process to measure."""

    name: str
    door: Door
    pid: int | None = None
    home: Path | None = None
    """The folder of its files."""
    watchable: bool = False
    """It has a dashboard to look at."""
    slow: bool = False
    """It gets the smaller loads."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.door.port


def _no_headers(api: str, upstream_port: int) -> bytes:
    del api, upstream_port
    return b""


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway under test.

    Args:
        name: its column.
        prepare: writes its configuration into an empty folder, for its own port and the upstream's, and gives the
            command that runs it in the foreground.
        metered: counts in the folder of one that has stopped the exchanges it metered; None for one that does not.
        watchable: it has a dashboard to look at.
        exact: it passes answers on as they are; else they are checked for their meaning.
        slow: it gets smaller loads, as it cannot keep up with the others'.
        headers: header lines by which it learns what to do, for an API and the upstream's port.
        program: the file without which it cannot run, if there is one.
        install: the command that brings it.
    """

    name: str
    prepare: Callable[[Path, int, int], list[str]]
    metered: Callable[[Path], int] | None = None
    watchable: bool = False
    exact: bool = True
    slow: bool = False
    headers: Callable[[str, int], bytes] = _no_headers
    program: Callable[[], str | None] = lambda: sys.executable
    install: tuple[str, ...] = ()

    def door(self, port: int, upstream_port: int) -> Door:
        """Where it is asked, and how."""
        return Door(port, self.exact, lambda api: self.headers(api, upstream_port))


@contextmanager
def upstream(cores: frozenset[int], host: str = "127.0.0.1") -> Iterator[Running]:
    """The scripted upstream, listening at that address; it stands in the table as `direct`."""
    port = free_port()
    with launched("upstream", [sys.executable, "-m", "bench.upstream", str(port), host], cores, None) as process:
        await_listening("upstream", process, port, None)
        yield Running("direct", Door(port))


@contextmanager
def gateway(target: Target, upstream_port: int, cores: frozenset[int], folder: Path) -> Iterator[Running]:
    """A gateway, listening, its configuration and output in a new folder below `folder`."""
    port, home = free_port(), home_of(target, folder)
    log = home / "output.txt"
    with launched(target.name, target.prepare(home, port, upstream_port), cores, log) as process:
        await_listening(target.name, process, port, log)
        yield Running(
            target.name, target.door(port, upstream_port), process.pid, home, target.watchable, target.slow
        )  # fmt: skip


def home_of(target: Target, folder: Path) -> Path:
    """A new folder for its files."""
    return Path(tempfile.mkdtemp(prefix=f"{target.name.replace(', ', '-')}-", dir=folder))


@contextmanager
def launched(
    name: str, command: list[str], cores: frozenset[int], log: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on its cores until the end of the block; then it is asked to stop, and waited for.

    Raises RuntimeError if it does not stop in time.
    """
    with (log or Path(os.devnull)).open("wb") as output, pinned(cores):
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT if log else None)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"{name} did not stop within {_STOP_SECONDS:.0f} s of SIGTERM") from None


def await_listening(
    name: str, process: subprocess.Popen[bytes], port: int, log: Path | None, host: str = "127.0.0.1"
) -> None:
    """Wait until it takes connections. Raises RuntimeError, with what it said, if it ends or takes too long."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    said = log.read_text(errors="replace").strip() if log else ""
    raise RuntimeError(f"{name} does not listen on port {port}: {said or 'it said nothing'}")


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
