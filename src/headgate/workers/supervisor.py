"""The supervisor: it serves nothing itself, and so has nothing to die of.

It has one thread and no event loop, because it forks. What it does:

    a worker dies            another one gets its place, at once, and later after a pause
    SIGHUP                   every worker reads the settings anew
    SIGUSR2                  the program is begun anew, a newer version perhaps: new workers take the places, and
                             when all of them serve, the old ones leave; if they do not come to serve, the old ones stay
    SIGTERM, SIGINT          every worker stops in good order
    it is killed             its workers hear it, and stop in good order
"""

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from headgate.errors import HeadgateError
from headgate.workers.handover import Handover, Left, line_of
from headgate.workers.lifeline import LEAVE, READY, Lifeline
from headgate.workers.pauses import Pauses
from headgate.workers.siblings import socket_of

_log = logging.getLogger("headgate.workers")

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)
_START_SECONDS = 300.0
"""For a new worker to come to serve when it is to take an old one's place: it may have to change the database first."""


@dataclass(frozen=True, slots=True)
class Post:
    """Where a worker is put."""

    number: int
    """No other worker of this supervisor, or of those before it in its process, ever had it."""
    place: int
    lifeline: Lifeline
    folder: str
    """Where workers find each other."""


class Program(Protocol):
    """What is supervised."""

    def work(self, post: Post) -> int:
        """Be a worker, in a process of its own, to the end; returns its exit status."""

    def started(self) -> None:
        """The workers serve."""

    def reload(self) -> None:
        """The settings are read anew: workers that are started later go by them."""

    def check(self) -> "subprocess.Popen[bytes]":
        """Begin to check what would be begun anew, in a process of its own."""

    def begin_anew(self, handover: Handover) -> None:
        """Become it. Returns only if that cannot be."""


@dataclass(frozen=True, slots=True)
class Terms:
    """For how many workers, and how long each has."""

    count: int
    stop_seconds: float
    handover_seconds: float
    last_seconds: float = 30.0
    """To keep its books when the time of its streams is over; then it is killed, and others sweep what it held."""


@dataclass(slots=True, eq=False)
class _Worker:
    pid: int
    number: int
    place: int
    line: socket.socket
    began: float = field(default_factory=time.monotonic)
    ready: bool = False
    reloads: int = 0
    """How often the settings had been read anew when it began."""
    leaving: bool = False
    deadline: float | None = None


class Supervisor:
    """Looks after workers until it is told to stop."""

    def __init__(
        self, program: Program, terms: Terms, sockets: Sequence[socket.socket], folder: str, before: Handover | None
    ) -> None:
        """`before`: whom it takes over from."""
        self._program = program
        self._terms = terms
        self._sockets = sockets
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._old: dict[int, _Worker] = {}
        self._pauses: defaultdict[int, Pauses] = defaultdict(Pauses)
        self._due: dict[int, float] = {}
        """When the next worker of a place may be started."""
        self._next = 1
        self._reloads = 0
        self._serves = False
        """One does, or did."""
        self._complete = False
        """All do, or did."""
        self._stopping: int | None = None
        self._status = 0
        self._checking: subprocess.Popen[bytes] | None = None
        self._signals: list[int] = []
        if before is not None:
            self._next = before.next_number
            for left in before.workers:
                self._old[left.pid] = _Worker(left.pid, left.number, left.place, line_of(left), ready=True)
                self._old[left.pid].leaving = left.leaving
        takes_over = any(not worker.leaving for worker in self._old.values())
        self._give_up_at = time.monotonic() + _START_SECONDS if takes_over else None

    def run(self) -> int:
        """Until the end; returns the exit status, or the negative number of the signal that it ended for."""
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.settimeout(0)
        self._selector.register(woken, selectors.EVENT_READ)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda number, _: self._signals.append(number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._due = dict.fromkeys(range(self._terms.count), 0.0)
        while self._stopping is None or self._workers or self._old:
            self._start_due()
            self._wait(woken)
            while self._signals:
                self._hear(self._signals.pop(0))
            self._reap()
            self._follow_up()
        return self._status

    # Waiting

    def _wait(self, woken: socket.socket) -> None:
        now = time.monotonic()
        moments = [*self._due.values(), *(w.deadline for w in self._everyone() if w.deadline is not None)]
        moments += [now + 0.1] if self._checking is not None else []
        moments += [self._give_up_at] if self._give_up_at is not None else []
        soonest = min(moments, default=now + 60) if self._serves or self._old else now + 1
        for key, _ in self._selector.select(max(0.0, soonest - now)):
            if key.fileobj is woken:
                with suppress(BlockingIOError):
                    woken.recv(4096)
            else:
                self._listen(key.data)

    def _listen(self, worker: _Worker) -> None:
        told = b""
        with suppress(OSError):
            told = worker.line.recv(64)
        if READY in told:
            worker.ready = True
            if worker.reloads != self._reloads:  # it began by those before
                _tell(worker.pid, signal.SIGHUP)
        elif not told:
            self._selector.unregister(worker.line)  # it ends; SIGCHLD says how

    def _hear(self, number: int) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            self._stop(-number)
        elif number == signal.SIGHUP and self._stopping is None:
            self._reloads += 1
            with suppress(HeadgateError):  # the workers say so in the log, each for itself
                self._program.reload()
            for worker in self._workers.values():
                if worker.ready:
                    _tell(worker.pid, signal.SIGHUP)
        elif number == signal.SIGUSR2 and self._stopping is None:
            if self._checking is not None or any(not worker.leaving for worker in self._old.values()):
                _log.warning("a restart is under way already")
            else:
                self._checking = self._program.check()

    # Starting

    def _start_due(self) -> None:
        """The first by itself: it may have to make or change the database."""
        if self._stopping is not None or (not self._serves and self._workers):
            return
        now = time.monotonic()
        for place, at in sorted(self._due.items()):
            if at <= now:
                del self._due[place]
                self._start(place)
                if not self._serves:
                    return

    def _start(self, place: int) -> None:
        ours, theirs = socket.socketpair()
        number, self._next = self._next, self._next + 1
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # one that came now would be the supervisor's to the worker
        pid = os.fork()
        if pid == 0:
            self._become_worker(number, place, ours, theirs)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
        worker = self._workers[pid] = _Worker(pid, number, place, ours, reloads=self._reloads)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _become_worker(self, number: int, place: int, ours: socket.socket, theirs: socket.socket) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it serves
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._selector.close()
            for line in (ours, *(worker.line for worker in self._everyone())):
                line.close()
            status = self._program.work(Post(number, place, Lifeline(theirs), self._folder))
        except HeadgateError as error:
            sys.stderr.write(f"headgate: {error.message}\n")
            status = 2
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        finally:
            if sys.exc_info()[0] is not None:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    # Ending

    def _reap(self) -> None:
        for worker in self._everyone():
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._gone(worker, os.waitstatus_to_exitcode(status))

    def _gone(self, worker: _Worker, status: int) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(worker.line)
        worker.line.close()
        socket_of(Path(self._folder), worker.number).unlink(missing_ok=True)
        if self._old.pop(worker.pid, None) is not None or self._stopping is not None:
            self._workers.pop(worker.pid, None)
            return
        del self._workers[worker.pid]
        if not worker.ready and self._give_up_at is not None:
            self._give_up(f"worker {worker.number} ended with status {status} before it served")
        elif not worker.ready and not self._serves:
            self._stop(status or 1)
        else:
            pause = self._pauses[worker.place].after(time.monotonic() - worker.began)
            when = f"in {pause:g} s" if pause else "now"
            _log.error("worker %d ended with status %d; another takes its place %s", worker.number, status, when)
            self._due[worker.place] = time.monotonic() + pause

    def _stop(self, status: int) -> None:
        if self._stopping is None:
            self._stopping, self._status = status, status
        for worker in self._everyone():
            worker.deadline = time.monotonic() + self._terms.stop_seconds + self._terms.last_seconds
            _tell(worker.pid, signal.SIGTERM)

    # Taking places

    def _follow_up(self) -> None:
        now = time.monotonic()
        for worker in self._everyone():
            if worker.deadline is not None and worker.deadline <= now:
                _log.error("worker %d does not end, and is killed", worker.number)
                _tell(worker.pid, signal.SIGKILL)
                worker.deadline = now + 60
        ready = {worker.place for worker in self._workers.values() if worker.ready}
        if not self._serves and ready:
            self._serves = True
        if len(ready) == self._terms.count and self._stopping is None and not self._complete:
            self._complete = True
            self._all_serve()
        if self._give_up_at is not None and self._give_up_at <= now:
            self._give_up("the new workers do not come to serve")
        if self._checking is not None and self._checking.poll() is not None:
            self._checked(self._checking.returncode)

    def _all_serve(self) -> None:
        staying = [worker for worker in self._old.values() if not worker.leaving]
        if staying:
            _log.info("%d new workers serve, and %d old ones leave", self._terms.count, len(staying))
        for worker in staying:
            worker.leaving = True
            worker.deadline = time.monotonic() + self._terms.handover_seconds + self._terms.last_seconds
            with suppress(OSError):
                worker.line.send(LEAVE)
        self._give_up_at = None
        self._program.started()

    def _give_up(self, why: str) -> None:
        """The old workers go on, as the workers of this supervisor."""
        _log.error("the restart is given up, and the old workers go on: %s", why)
        self._give_up_at, self._serves, self._complete = None, True, True
        for worker in self._workers.values():
            _tell(worker.pid, signal.SIGTERM)
            worker.deadline = time.monotonic() + self._terms.stop_seconds + self._terms.last_seconds
        staying = {pid: worker for pid, worker in self._old.items() if not worker.leaving}
        leaving = {pid: worker for pid, worker in self._old.items() if worker.leaving}
        self._old, self._workers = leaving | self._workers, staying
        held = {worker.place for worker in self._workers.values()}
        self._due = {place: 0.0 for place in range(self._terms.count) if place not in held}
        for worker in self._workers.values():
            self._selector.register(worker.line, selectors.EVENT_READ, worker)

    def _checked(self, status: int) -> None:
        self._checking = None
        if self._stopping is not None:
            return
        if status:
            _log.error("nothing is begun anew: what would be has failed its check with status %d", status)
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        left = tuple(Left(w.pid, w.number, w.place, w.line.fileno(), w.leaving) for w in self._everyone())
        listening = tuple(each.fileno() for each in self._sockets)
        self._program.begin_anew(Handover(listening, left, self._next, self._folder))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _everyone(self) -> list[_Worker]:
        return [*self._workers.values(), *self._old.values()]


def _tell(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
