"""The log: lines are put in a queue and written by a thread, so that a terminal or pipe that is slow stops no exchange.

The queue is bounded. What finds it full is dropped and counted, and the next line that is written says how many were.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from headgate.records import Record
from headgate.telemetry.lines import Line, as_json, as_text, level_of

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

MOST_WAITING = 10_000
_GATHERING = 0.02
"""Seconds that a line waits for company: one write for many."""
_AT_ONCE = 500


class Stream(Protocol):
    """Where lines go: a binary file without a buffer of its own."""

    def write(self, data: bytes | memoryview, /) -> int | None:
        """Write; may take as long as it likes. Gives back how much was taken."""


class LogWriter:
    """Writes lines, in the order in which they came. Thread-safe."""

    def __init__(self, stream: Stream, *, as_json_lines: bool, most_waiting: int = MOST_WAITING) -> None:
        self._stream = stream
        self._shape: Callable[[Line | Record], str] = as_json if as_json_lines else as_text
        self._most = most_waiting
        self._waiting: deque[Line | Record] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="headgate-log", daemon=True)
        self._thread.start()

    def put(self, line: Line | Record) -> None:
        """Take a line, or the record that makes one: never waits, never raises."""
        if len(self._waiting) >= self._most:
            self._dropped += 1
            return
        if self._closing.is_set() and not self._thread.is_alive():
            self._write([line])  # the process ends: nobody waits, and nothing is written later
            return
        self._waiting.append(line)
        if not self._wake.is_set():
            self._wake.set()

    @property
    def dropped(self) -> int:
        """How many lines were dropped that nobody has been told of yet."""
        return self._dropped

    def close(self, seconds: float = 2.0) -> None:
        """Write what waits, for so long at most. What comes later is written at once, if the stream takes anything."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._closing.wait(_GATHERING)
            self._wake.clear()  # before the queue is looked at: whoever comes later sets it again
            while self._waiting:
                self._write(self._taken())
            if self._closing.is_set():
                return

    def _taken(self) -> Iterable[Line | Record]:
        lines = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
        dropped, self._dropped = self._dropped, 0
        if dropped:
            last = lines[-1]
            at_ns = last.at_ns if isinstance(last, Line) else last.started_at_ns + last.total_ns
            told = f"{dropped} lines were dropped: the log is written too slowly"
            lines.append(Line(at_ns, logging.WARNING, "headgate.log", told))
        return lines

    def _write(self, lines: Iterable[Line | Record]) -> None:
        told = "".join(map(self._shape, lines))
        data = memoryview(told.encode(errors="backslashreplace"))
        try:
            while data:
                data = data[self._stream.write(data) or len(data) :]
        except (OSError, ValueError):  # nobody reads it any more, and there is no other place to say so
            return


class Handler(logging.Handler):
    """What the gateway and its libraries say, on its way to the writer."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Put a line. Its arguments are written out here: they may change."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a fault of whoever said it; all the same he meant something
            message = f"{record.msg!r} {record.args!r}"
        trace = _FORMATTER.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
        at_ns = int(record.created * 1_000_000) * 1_000
        self._writer.put(Line(at_ns, record.levelno, record.name, message, trace=trace))


_FORMATTER = logging.Formatter()


class ExchangeLog:
    """An Observer: one line for each exchange. It puts the record, and the writer's thread makes a line of it."""

    def __init__(self, writer: LogWriter, level: int = logging.INFO) -> None:
        self._writer = writer
        self._level = level

    def saw(self, record: Record) -> None:
        """An exchange is over."""
        if level_of(record) >= self._level:
            self._writer.put(record)


def set_up(writer: LogWriter, level: int) -> None:
    """Send what anybody logs to the writer, and nowhere else."""
    logging.basicConfig(level=level, handlers=[Handler(writer)], force=True)
