"""What `headgate serve` makes of its options and of sockets that it is given."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from headgate.cli.working import Reading
from headgate.errors import ConfigError

ENV = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "OPENAI_API_KEY": "k"}


def test_options_go_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "headgate.toml"
    file.write_text('listen = "127.0.0.1:1"\nworkers = 3\n')
    settings = Reading(file, None, None, None)()
    assert (settings.port, settings.workers) == (1, 3)
    settings = Reading(file, "127.0.0.1:2", tmp_path / "own.db", 2)()
    assert (settings.port, settings.workers, settings.database) == (2, 2, tmp_path / "own.db")
    assert Reading(file, "127.0.0.1:2", None, None)("127.0.0.1:4").port == 4
    with pytest.raises(ConfigError, match="can be reached from outside"):
        Reading(file, "127.0.0.1:2", None, None)("0.0.0.0:4")


@pytest.mark.parametrize(("text", "status", "told"), [("workers = 2", 0, "good"), ("workers = 0", 2, "workers")])
def test_a_check_tells_whether_the_settings_are_good_and_serves_nothing(
    tmp_path: Path, text: str, status: int, told: str
) -> None:
    file = tmp_path / "headgate.toml"
    file.write_text(text)
    command = [sys.executable, "-m", "headgate", "serve", "--check", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENV, timeout=30)
    assert done.returncode == status
    assert told in done.stdout + done.stderr


WITH_SOCKET = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "headgate", *sys.argv[2:]])
"""


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
def test_a_socket_of_systemds_is_listened_on(tmp_path: Path, workers: list[str]) -> None:
    """As `systemd-socket-activate` hands it over: open before the gateway is, and after it."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        port = listening.getsockname()[1]
        command = [sys.executable, "-c", WITH_SOCKET, str(listening.fileno()), "serve", *workers]
        with subprocess.Popen(
            [*command, "--database", str(tmp_path / "d")], pass_fds=[listening.fileno()], env=ENV,
            stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as answer:
                assert answer.status == 200, "whoever comes before it is there waits"
            assert process.stdout is not None
            assert process.stdout.readline().split()[2] == f"http://127.0.0.1:{port}"
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        with socket.create_connection(("127.0.0.1", port)):
            assert process.returncode == -signal.SIGTERM


def test_a_public_socket_of_systemds_needs_keys_whatever_the_file_says(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listening:
        command = [sys.executable, "-c", WITH_SOCKET, str(listening.fileno()), "serve"]
        done = subprocess.run(
            [*command, "--database", str(tmp_path / "d")], pass_fds=[listening.fileno()], env=ENV,
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.returncode == 2
        assert "can be reached from outside" in done.stderr


def test_workers_that_cannot_open_the_database_end_the_command(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    command = [sys.executable, "-m", "headgate", "serve", "--workers", "2", "--listen", "127.0.0.1:0"]
    done = subprocess.run(
        [*command, "--database", str(tmp_path / "d")], env=ENV, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 2
    assert done.stderr.count("cannot be opened as the record store") == 1


def test_as_many_files_are_taken_as_the_hard_limit_allows() -> None:
    program = (
        "import resource; from headgate.cli.working import raise_file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512)); raise_file_limit()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=ENV)
    assert done.stdout == "(512, 512)\n"
