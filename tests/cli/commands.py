"""Runs the real commands on a real SQLite file, in this process."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from headgate import cli


class Ran(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """The output without the layout of tables and lines."""
        return " ".join(self.out.split())


@dataclass
class Commands:
    """`headgate ...` on one database."""

    database: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Ran:
        """Run one, as from a shell: errors and exit statuses included."""
        self.monkeypatch.setattr(sys, "argv", ["headgate", *arguments, "--database", str(self.database)])
        self.monkeypatch.setenv("COLUMNS", "160")
        self.monkeypatch.setenv("TERMINAL_WIDTH", "160")
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self.capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    def good(self, *arguments: str) -> Ran:
        """Run one that has to succeed."""
        ran = self(*arguments)
        assert ran.status == 0, ran
        return ran

    def refused(self, *arguments: str) -> str:
        """Run one that has to be refused, in one line; gives it."""
        ran = self(*arguments)
        assert (ran.status, ran.out) == (2, ""), ran
        assert ran.err.startswith("headgate: ")
        assert ran.err.count("\n") == 1, ran.err
        return ran.err
