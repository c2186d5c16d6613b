"""The command as a user starts it: a process, its first lines, its end."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest


def test_a_process_serves_and_stops_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headgate", "serve", "--listen", "127.0.0.1:0", "--database", str(tmp_path / "d")]
    env = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "k"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[2]
            with urllib.request.urlopen(f"{address}/health", timeout=10) as answer:
                assert answer.status == 200
        finally:
            process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert process.returncode == -signal.SIGTERM, "uvicorn hands the signal on when it has stopped"
    assert (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--listen", "0.0.0.0:0"], "can be reached from outside"),
        (["--config", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["--listen", "nonsense"], "expected HOST:PORT"),
    ],
)
def test_a_wrong_setting_is_told_without_a_traceback(arguments: list[str], told: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "headgate", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=30)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_what_few_deployments_need_is_not_loaded_at_the_start() -> None:
    ask = "import sys, headgate.cli.working; print({'botocore', 'opentelemetry', 'pyarrow'} & {*sys.modules} or 'none')"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "none\n"
