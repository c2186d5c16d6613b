from pathlib import Path

import pytest

from tests.cli.commands import Commands


@pytest.fixture
def headgate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    """The commands, on a database of their own."""
    return Commands(tmp_path / "data" / "headgate.db", monkeypatch, capsys)
