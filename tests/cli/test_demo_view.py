"""What the demo shows, rendered to text; and what it takes for right."""

from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console

from headgate.cli.demo_view import Board, Play, metered, print_answer
from headgate.records import Ending, Record
from headgate.testing.replay import Recording, recordings
from headgate.usage import Basis, Reading, Usage

CHAT, DEEPSEEK = recordings()[:2]


def record_of(play: Play) -> Record:
    size = len(play.body)
    reading = Reading(
        usage=Usage(**play.recording.usage), basis=Basis.REPORTED, served_model="served", terminal_evidence="[DONE]"
    )
    return Record(
        exchange_id="ex_1", started_at_ns=0, method="POST", path="/v1/chat/completions", dialect="openai.chat",
        operation="create", provider="openai", key=None, model_asked="asked", streamed=True, status=200,
        ending=Ending.COMPLETE, reading=reading, billable=True, counted=True,
        first_byte_ns=343_400_000, total_ns=9, bytes_in=size,
        bytes_out=size,
    )  # fmt: skip


def played(recording: Recording = CHAT) -> Play:
    play = Play(recording)
    for piece in recording.pieces():
        play.take(piece)
    play.end()
    play.record = record_of(play)
    return play


def screen(*things: object, width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=StringIO(), width=width, height=height, color_system=None)
    console.print(*things, sep="\n")
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_play_that_came_through_is_right() -> None:
    play = played()
    assert (play.exact, play.metered_right) == (True, True)


def test_a_changed_byte_is_not_exact() -> None:
    play = played()
    play.body[7] ^= 1
    assert (play.exact, play.metered_right) == (False, True)


def test_a_record_that_counts_other_bytes_is_not_exact() -> None:
    play = played()
    for wrong in (replace(record_of(play), bytes_in=1), replace(record_of(play), bytes_out=1)):
        play.record = wrong
        assert not play.exact


@pytest.mark.parametrize(
    "usage", [{"output_tokens": 12}, {"reasoning_tokens": None}, {"tool_calls": {"web_search": 1}}, {"legs": ()}]
)
def test_usage_is_right_only_if_every_field_is(usage: dict[str, object]) -> None:
    play = played()
    wrong = Usage(**{**play.recording.usage, **usage})
    play.record = replace(record_of(play), reading=Reading(usage=wrong, basis=Basis.REPORTED))
    assert play.metered_right is ("legs" in usage)


def test_an_estimate_or_an_unfinished_stream_is_not_right() -> None:
    play = played()
    assert play.record is not None
    play.record = replace(play.record, reading=replace(play.record.reading, basis=Basis.PARTIAL))
    assert not play.metered_right
    play.record = replace(record_of(play), ending=Ending.INCOMPLETE)
    assert not play.metered_right
    play.record = None
    assert not play.metered_right
    assert not play.exact


def test_the_board_fits_the_terminal() -> None:
    plays = [Play(recording) for recording in recordings()[:7]]
    for play in plays:
        play.take(play.recording.body)
    for width, height in ((80, 24), (120, 50), (60, 10)):
        lines = screen(Board(plays), width=width, height=height)
        assert len(lines) <= max(height, 2 * len(plays))
        assert all(len(line) <= width for line in lines)


def test_the_board_shows_the_last_words() -> None:
    play = Play(DEEPSEEK)
    play.take(DEEPSEEK.body)
    assert screen(Board([play]), height=6) == [
        " … openai.chat · deepseek · deepseek-reasoner  67,651 B",
        " │ zero information. If they're just being polite, they might not reply further",
        " │ - and that's okay too.",
        " │ Hello there! 😊 How can I help you today?",
    ]


def test_an_answer_is_cut_where_nothing_can_be_redrawn() -> None:
    console = Console(file=StringIO(), width=80, color_system=None)
    print_answer(played(DEEPSEEK), console)
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == " ✓ openai.chat · deepseek · deepseek-reasoner  67,651 B"
    assert len(lines) == 1 + 8 + 1
    assert lines[-1] == " │ ... and 8 more lines"


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_has_every_number(width: int) -> None:
    lines = screen(metered([played(), played(DEEPSEEK)]), width=width)
    assert all(len(line) <= width for line in lines)
    (row,) = [line for line in lines if "6" in line and "198" in line]
    assert row.split() == ["openai.chat", "·", "openai", "6", "0", "212", "198", "343", "ms", "67,651", "✓", "✓"]


def test_the_table_shows_what_is_unknown_wrong_or_missing() -> None:
    unknown, wrong, missing = played(), played(), played()
    unknown.record = replace(record_of(unknown), first_byte_ns=None, reading=Reading())
    wrong.body[0] ^= 1
    missing.record = None
    text = screen(metered([unknown, wrong, missing]))
    assert [line.split()[3:] for line in text if line.lstrip().startswith("openai.chat")] == [
        ["-", "-", "-", "-", "-", "4,588", "✓", "✗"],
        ["28", "0", "11", "0", "343", "ms", "4,588", "✗", "✓"],
        ["no", "record"],
    ]
