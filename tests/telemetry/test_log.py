"""The log's writer: in order, without making anybody wait, and honest about what it dropped."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest

from headgate.records import Ending
from headgate.telemetry.lines import Line
from headgate.telemetry.log import ExchangeLog, Handler, LogWriter, set_up
from tests.stores.examples import a_record


class Pipe(io.RawIOBase):
    """A stream that takes a few bytes at a time, and nothing while it is held."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.free = threading.Event()
        self.free.set()
        self.asked = threading.Event()

    def write(self, data: object) -> int:
        self.asked.set()
        assert self.free.wait(30)
        taken = bytes(data)[:7]  # type: ignore[call-overload]
        self.data += taken
        return len(taken)

    @property
    def lines(self) -> list[str]:
        return self.data.decode().splitlines()


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:], logger.level = handlers, level


def line(text: str) -> Line:
    return Line(0, logging.INFO, "x", text)


def test_lines_come_out_whole_and_in_order(pipe: Pipe) -> None:
    writer = LogWriter(pipe, as_json_lines=True)
    for n in range(2_000):
        writer.put(line(str(n)))
    writer.close(30)
    assert [json.loads(text)["message"] for text in pipe.lines] == [str(n) for n in range(2_000)]


def test_a_slow_stream_makes_nobody_wait_and_its_losses_are_told(pipe: Pipe) -> None:
    pipe.free.clear()
    writer = LogWriter(pipe, as_json_lines=False, most_waiting=10)
    writer.put(line("first"))
    assert pipe.asked.wait(30), "the thread hangs in its write"
    for n in range(25):
        writer.put(line(str(n)))
    assert writer.dropped == 15
    pipe.free.set()
    writer.close(30)
    assert [text.rpartition(": ")[2] for text in pipe.lines[:11]] == ["first", *map(str, range(10))]
    assert "15 lines were dropped" in pipe.lines[11]
    assert len(pipe.lines) == 12
    assert writer.dropped == 0


def test_closing_does_not_wait_for_a_stream_that_hangs(pipe: Pipe) -> None:
    pipe.free.clear()
    writer = LogWriter(pipe, as_json_lines=False)
    writer.put(line("first"))
    assert pipe.asked.wait(30)
    writer.close(0.01)
    writer.put(line("nor does this wait"))
    pipe.free.set()


def test_what_comes_after_the_end_is_written_at_once(pipe: Pipe) -> None:
    writer = LogWriter(pipe, as_json_lines=False)
    writer.close(30)
    writer.put(line("late"))
    assert pipe.lines[0].endswith("late")


def test_a_stream_that_nobody_reads_is_no_fault() -> None:
    class Broken(Pipe):
        def write(self, data: object) -> int:
            del data
            raise BrokenPipeError

    writer = LogWriter(Broken(), as_json_lines=False)
    writer.put(line("nobody reads it"))
    writer.put(line("nor this"))
    writer.close(30)


@pytest.mark.parametrize(
    ("level", "found"), [(logging.INFO, ["complete", "upstream_cut"]), (logging.WARNING, ["upstream_cut"]), (40, [])]
)
def test_a_line_for_each_exchange(pipe: Pipe, level: int, found: list[str]) -> None:
    writer = LogWriter(pipe, as_json_lines=True)
    observer = ExchangeLog(writer, level)
    observer.saw(a_record())
    observer.saw(a_record(ending=Ending.UPSTREAM_CUT))
    writer.close(30)
    assert [json.loads(text)["ending"] for text in pipe.lines] == found


def test_what_libraries_say_goes_the_same_way(pipe: Pipe, root: logging.Logger) -> None:
    writer = LogWriter(pipe, as_json_lines=True)
    set_up(writer, logging.INFO)
    said = [1]
    logging.getLogger("uvicorn.error").warning("%s of %s", said, "two\nlines")
    said.append(2)
    logging.getLogger("headgate").debug("not this")
    try:
        int("why")
    except ValueError:
        logging.getLogger("headgate").exception("it failed")
    assert len(root.handlers) == 1
    writer.close(30)
    first, second = map(json.loads, pipe.lines)
    assert (first["message"], first["level"], first["logger"]) == ("[1] of two\nlines", "warning", "uvicorn.error")
    assert second["traceback"].endswith("literal for int() with base 10: 'why'")
    assert second["traceback"].startswith("Traceback")


def test_a_message_that_does_not_fit_its_arguments_is_told_all_the_same(pipe: Pipe) -> None:
    writer = LogWriter(pipe, as_json_lines=True)
    Handler(writer).emit(logging.LogRecord("x", 20, "", 0, "%d of %s", ("two",), None))
    writer.close(30)
    assert json.loads(pipe.lines[0])["message"] == "'%d of %s' ('two',)"
