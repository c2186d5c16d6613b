"""The command as a user starts it: a process, its first lines, its end."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from headgate.cli.serve import examples, greeting
from headgate.config import Settings, load


def settings(env: dict[str, str], **more: str) -> Settings:
    return load(None, {"XDG_DATA_HOME": "/data", **env}, **more)


def test_the_greeting_says_what_is_served_and_where() -> None:
    text = greeting(settings({"OPENAI_API_KEY": "sk-secret", "ANTHROPIC_API_KEY": "sk-secret"}))
    assert "http://127.0.0.1:8080" in text
    assert "https://api.openai.com/v1" in text
    assert "no gateway keys" in text
    assert text.count("  curl ") == 3
    assert "sk-secret" not in text


def test_the_greeting_says_where_the_dashboard_is_and_how_to_get_in() -> None:
    text = greeting(settings({}))
    assert "dashboard at http://127.0.0.1:8080/dashboard, once there is an admin key: HEADGATE_ADMIN_KEY" in text
    text = greeting(settings({"HEADGATE_ADMIN_KEY": "an admin key, long enough"}))
    assert "dashboard at http://127.0.0.1:8080/dashboard, admin API at http://127.0.0.1:8080/admin/v1" in text
    assert "long enough" not in text


def test_the_greeting_without_providers_says_what_to_do() -> None:
    text = greeting(settings({}))
    assert "OPENAI_API_KEY" in text
    assert "headgate demo" in text


@pytest.mark.parametrize(
    ("env", "path"),
    [({"ANTHROPIC_API_KEY": "k"}, "/v1/messages"), ({"GROQ_API_KEY": "k"}, "/v1/chat/completions")],
)
def test_the_examples_speak_a_dialect_that_the_provider_has(env: dict[str, str], path: str) -> None:
    assert path in "\n".join(examples(settings(env), "http://x"))


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
