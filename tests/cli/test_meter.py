import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from headgate.cli import meter

CHAT = b"""data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}

data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}

data: [DONE]

"""


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    app = typer.Typer()
    meter.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "chat.sse"
    path.write_bytes(CHAT)
    return path


def test_one_line_per_file_with_the_names_of_the_reading(recording: Path) -> None:
    result = run("--dialect", "openai.chat", "--content-type", "text/event-stream", recording, recording)
    first, second = lines(result)
    assert result.exit_code == 0
    assert first == second
    assert first["file"] == str(recording)
    assert (first["basis"], first["served_model"], first["terminal_evidence"]) == ("reported", "m", "[DONE]")
    assert (first["usage"]["input_tokens"], first["usage"]["output_tokens"]) == (3, 1)
    assert first["usage"]["cache_read_tokens"] is None


def test_a_dash_is_standard_input() -> None:
    (line,) = lines(run("--dialect", "openai.chat", "-", stdin=CHAT))
    assert (line["file"], line["basis"]) == ("-", "reported")


def test_an_alias_names_a_dialect(recording: Path) -> None:
    (line,) = lines(run("--dialect", "mistral", recording))
    assert line["usage"]["input_tokens"] == 3


@pytest.mark.parametrize(("framing", "basis"), [("auto", "reported"), ("sse", "reported"), ("json", "estimated")])
def test_framing_overrides_what_the_body_looks_like(recording: Path, framing: str, basis: str) -> None:
    (line,) = lines(run("--dialect", "openai.chat", "--framing", framing, recording))
    assert line["basis"] == basis


def test_an_unreadable_file_is_told_and_the_others_are_read(recording: Path, tmp_path: Path) -> None:
    result = run("--dialect", "openai.chat", tmp_path / "absent", recording)
    assert result.exit_code == 2
    assert result.stderr == f"headgate meter: cannot read {tmp_path / 'absent'}: No such file or directory\n"
    assert [line["file"] for line in lines(result)] == [str(recording)]


@pytest.mark.parametrize(
    ("dialect", "message"),
    [
        ("openai.chad", "no dialect is called 'openai.chad'; there are anthropic.batches, anthropic.messages, "),
        ("openai", "no dialect is called 'openai'; there are "),
    ],
)
def test_an_unknown_dialect_is_told(recording: Path, dialect: str, message: str) -> None:
    result = run("--dialect", dialect, recording)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout
