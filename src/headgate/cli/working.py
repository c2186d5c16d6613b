"""What `headgate serve` runs: a gateway in this process, or workers and their supervisor.

Imported by the command when it runs, so what is heavy stands at the top here.
"""

import asyncio
import atexit
import gc
import io
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import typer

from headgate import wiring
from headgate.cli.greeting import greeting
from headgate.cli.progress import waiting
from headgate.config import Settings, load
from headgate.errors import HeadgateError
from headgate.net.http_protocol import ClientLimits
from headgate.net.server import bind, make_server
from headgate.telemetry.log import LEVELS, LogWriter, set_up
from headgate.wiring_reload import as_far_as_possible
from headgate.workers.handover import Handover, taken
from headgate.workers.ports import activated, completed, opened, shares
from headgate.workers.siblings import Siblings
from headgate.workers.supervisor import Post, Supervisor, Terms


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the settings come from."""

    config: Path | None
    listen: str | None
    database: Path | None
    workers: int | None

    def __call__(self, at: str | None = None) -> Settings:
        """The settings as they are now, as if they were to listen there. Raises ConfigError."""
        settings = load(self.config, listen=at or self.listen)
        if self.database is not None:
            settings = replace(settings, database=self.database)
        return settings if self.workers is None else replace(settings, workers=self.workers)


def run(reading: Reading) -> None:
    """Serve until a signal ends it."""
    before = taken(os.environ)
    sockets = before.listening() if before is not None else activated()
    for name in ("LISTEN_PID", "LISTEN_FDS"):
        os.environ.pop(name, None)
    if sockets:  # whether keys are needed depends on where it does listen
        reading = replace(reading, listen=_address(sockets[0]))
    settings = reading()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something that could be given other settings
    raise_file_limit()
    if settings.workers is None:
        taken_here = sockets or [bind(settings.host, settings.port)]
        serve(settings, reading, taken_here, on_started=partial(_greet, settings, taken_here[0]))
    else:
        supervise(settings, reading, sockets, before)


def raise_file_limit() -> None:
    """Take as many open files as the hard limit allows, as workers will too: a stream has two.

    The soft limit, 1,024 in most shells, is for programs that wait with `select`, which no more than that can be given.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # where the kernel has a bound below the one that it tells, as macOS does
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def supervise(settings: Settings, reading: Reading, sockets: list[socket.socket], before: Handover | None) -> None:
    """Serve with workers; `sockets` are those that there are already."""
    count = settings.workers or 1
    sockets = completed(sockets, count) if sockets else opened(settings.host, settings.port, count)
    log = _log_to_stderr(settings)
    log.close()  # its thread is gone, and it writes at once: who forks has one thread
    set_up(log, LEVELS[settings.log.level])
    folder = before.folder if before is not None else tempfile.mkdtemp(prefix="headgate-")
    limits = settings.limits
    terms = Terms(count, limits.stop_seconds, limits.handover_seconds)
    program = Served(settings, reading, sockets, greets=before is None)
    gc.collect()
    gc.freeze()  # so that a collection does not make each worker a copy of what they share
    status = Supervisor(program, terms, sockets, folder, before).run()
    rmtree(folder, ignore_errors=True)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        signal.raise_signal(-status)
    sys.exit(status)


class Served:
    """What a supervisor supervises."""

    def __init__(self, settings: Settings, reading: Reading, sockets: Sequence[socket.socket], *, greets: bool) -> None:
        self._settings = settings
        self._reading = reading
        self._sockets = sockets
        self._greets = greets

    def work(self, post: Post) -> int:
        """Be a worker."""
        own, others = shares(self._sockets, post.place, self._settings.workers or 1)
        serve(self._settings, self._reading, own, looked_into=others, post=post)
        return 0

    def started(self) -> None:
        """Say so, the first time."""
        if self._greets:
            _greet(self._settings, self._sockets[0])
            self._greets = False

    def reload(self) -> None:
        """What workers that are started later go by. Raises ConfigError."""
        host, port = self._settings.host, self._settings.port
        self._settings = as_far_as_possible(self._reading(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"),
                                            self._settings)  # fmt: skip

    def check(self) -> "subprocess.Popen[bytes]":
        """Begin to check what would be begun anew: that the program as it is now starts, and takes the settings."""
        own = [sys.executable, *sys.orig_argv[1:], "--check"]
        return subprocess.Popen(own, stdout=subprocess.DEVNULL)  # noqa: S603 - as this process was begun

    def begin_anew(self, handover: Handover) -> None:
        """Become the program as it is now."""
        os.execve(sys.executable, sys.orig_argv, handover.env(os.environ))  # noqa: S606 - likewise


def serve(
    settings: Settings,
    reading: Reading,
    sockets: list[socket.socket],
    *,
    on_started: Callable[[], None] = lambda: None,
    looked_into: Sequence[socket.socket] = (),
    post: Post | None = None,
) -> None:
    """Be a gateway, to the end."""
    log = _log_to_stderr(settings)
    atexit.register(log.close)
    set_up(log, LEVELS[settings.log.level])
    siblings = None if post is None else Siblings(Path(post.folder), post.number)
    with waiting("Opening the database"):  # a new version may have to change it first
        assembly = wiring.build(settings, log=log, company=siblings)

    # What stands now stands for good, the price book above all: the collector need not look at it again and again, and
    # what an exchange leaves behind is freed by its references. A quarter of a request's CPU (docs/performance.md).
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)

    def started() -> None:
        on_hangup(partial(assembly.reloading.reload, reading))
        if post is not None:
            leave = partial(server.leave, settings.limits.handover_seconds)
            post.lifeline.attach(leave, partial(os.kill, os.getpid(), signal.SIGTERM))
            post.lifeline.ready()
        on_started()

    limits = settings.limits
    patience = ClientLimits(limits.client_head_seconds, limits.client_body_seconds, limits.client_idle_seconds)
    server = make_server(assembly.application, limits.stop_seconds, started, client_limits=patience)
    server.looked_into = looked_into
    server.run(sockets=sockets)


def on_hangup(reload: "Callable[[], Coroutine[Any, Any, None]]") -> None:
    """Read the settings anew whenever SIGHUP comes; on the running event loop. What is wrong with them is logged."""
    loop = asyncio.get_running_loop()
    under_way: set[asyncio.Task[None]] = set()

    async def reloaded() -> None:
        with suppress(HeadgateError):  # which is in the log
            await reload()

    def begin() -> None:
        task = loop.create_task(reloaded())
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)


def _log_to_stderr(settings: Settings) -> LogWriter:
    stream = io.FileIO(sys.stderr.fileno(), "w", closefd=False)
    return LogWriter(stream, as_json_lines=settings.log.format == "json")


def _greet(settings: Settings, taken: socket.socket) -> None:
    typer.echo(greeting(replace(settings, port=taken.getsockname()[1])))


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
