"""`headgate demo`, as a process and as a function, over real sockets."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from headgate.cli.demo import invitation, listen, replay_process, request_of, run
from headgate.testing.replay import recordings, replay
from headgate.testing.upstream import Handler, Received, Script, ScriptedUpstream, Send

COMMAND = [sys.executable, "-m", "headgate", "demo", "--port", "0"]


@contextmanager
def demo(*options: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The command as a process whose temporary files go to `folder`."""
    environment = {**os.environ, "TMPDIR": str(folder), "COLUMNS": "100"}
    with subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_once_ends_well(tmp_path: Path) -> None:
    with demo("--once", "--speed", "30", folder=tmp_path) as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    shown = [recording for recording in recordings() if recording.stream or recording.path == "/embeddings"]
    for recording in shown:
        assert f" ✓ {recording.dialect} · {recording.provider} · {recording.model}" in out
    table = out[out.index("Metered") :]
    assert "✗" not in table
    assert "ashboard" not in out
    assert len(re.findall("✓ +✓", table)) == len(shown)
    assert list(tmp_path.iterdir()) == []


def until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    while text not in seen:
        line = process.stdout.readline()
        assert line, f"the demo ended before it said {text!r}: {seen}"
        seen += line
    return seen


def test_it_stays_up_for_the_user_and_stops_on_ctrl_c(tmp_path: Path) -> None:
    with demo("--speed", "30", folder=tmp_path) as process:
        seen = until(process, "headgate usage --db ")
        for path, body in re.findall(r"(http://\S+) -H '[^']*' \\\n +-d '([^']*)'", seen):
            headers = {"content-type": "application/json"}
            with urllib.request.urlopen(urllib.request.Request(path, body.encode(), headers)) as answer:
                assert answer.status == 200
                assert answer.headers["x-headgate-exchange-id"]
                assert answer.read()
        database = seen.partition("headgate usage --db ")[2].strip()
        (address, key), *_ = re.findall(r"Dashboard: (http://\S+)   sign in with: (\S+)", seen)
        with urllib.request.urlopen(address) as answer:
            assert answer.status == 200
        bearer = {"authorization": f"Bearer {key}"}
        live = urllib.request.Request(address.replace("/dashboard", "/admin/v1/live"), headers=bearer)
        with urllib.request.urlopen(live) as answer:
            assert json.load(answer)["running"] == 0
        usage = [sys.executable, "-m", "headgate", "usage", "--json", "--db", database]
        assert json.loads(subprocess.check_output(usage))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_stopped_while_it_plays(number: signal.Signals, tmp_path: Path) -> None:
    with demo("--speed", "0.1", folder=tmp_path) as process:
        until(process, "recorded providers")
        process.send_signal(number)
        _, err = process.communicate()
    assert (process.returncode, err) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_no_process_outlives_it_when_it_is_killed(tmp_path: Path) -> None:
    with demo("--speed", "0.1", folder=tmp_path) as process:
        until(process, "recorded providers")
        process.kill()
        # The replay process shares our end of standard error: this waits until it is gone too.
        assert process.communicate()[1] == ""


def test_a_port_that_is_taken_is_told() -> None:
    console = Console(file=StringIO(), width=200)
    with socket.create_server(("127.0.0.1", 0)) as other, listen(other.getsockname()[1], console) as taken:
        assert taken.getsockname()[1] != other.getsockname()[1]
    assert isinstance(console.file, StringIO)
    assert "Address already in use; taking a free port instead" in console.file.getvalue()


def test_the_replay_process_ends_with_the_block() -> None:
    with replay_process(speed=1.0) as url, urllib.request.urlopen(url + "/v1/models") as answer:
        assert answer.status == 200
    port = int(url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def spoilt(old: bytes, new: bytes) -> Handler:
    """The replay, with some bytes of every answer changed on the way."""
    play = replay(speed=1000)

    def handler(request: Received) -> Script:
        for step in play(request):
            yield Send(step.data.replace(old, new)) if isinstance(step, Send) else step

    return handler


@pytest.mark.parametrize(
    ("old", "new", "marks"),
    [
        (b"no such bytes", b"", "✓ ✓"),
        (b'"content":"Greet', b'"content":"GREET', "✗ ✓"),
        (b'"completion_tokens":11', b'"completion_tokens":12', "✗ ✗"),
        (b"data: [DONE]", b"data: [GONE]", "✗ ✗"),
    ],
)
async def test_it_is_right_only_if_every_byte_and_every_number_is(
    old: bytes, new: bytes, marks: str, tmp_path: Path
) -> None:
    console = Console(file=StringIO(), width=80)
    async with ScriptedUpstream(spoilt(old, new)) as upstream:
        right = await run(tmp_path / "headgate.db", upstream.url, console, 0, once=True)
    assert right is (marks == "✓ ✓")
    assert isinstance(console.file, StringIO)
    (row,) = [line for line in console.file.getvalue().splitlines() if re.match(r" openai.chat · openai .*4,588", line)]
    assert re.sub(" +", " ", row).rstrip().endswith(f"4,588 {marks}")


def test_requests_name_their_provider() -> None:
    for recording in recordings():
        assert request_of(recording)["model"] == f"{recording.provider}/{recording.model}"
        assert request_of(recording).keys() == recording.request.keys()


def test_the_invitation_is_ready_to_paste() -> None:
    text = invitation(8123, Path("/tmp/x/headgate.db"))
    bodies = re.findall(r"-d '([^']*)'", text)
    assert [json.loads(body)["model"] for body in bodies] == [
        "deepseek/deepseek-reasoner",
        "claude-sonnet-4-0",
        "gpt-5",
    ]
    assert text.count("http://127.0.0.1:8123/v1/") == 3
