"""Runs the real commands on a real SQLite file, in this process."""

import asyncio
import json
import os
import pty
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from headgate import cli
from headgate.records import Record
from headgate.stores.sqlite import SqliteStore


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


def filled(path: Path, *records: Record) -> Path:
    """An SQLite file with these records."""

    async def fill() -> None:
        store = SqliteStore(path, max_backlog=10**9)
        for record in records:
            store.append(record)
        await store.aclose()

    asyncio.run(fill())
    return path


def multiplied(path: Path, number: int) -> Path:
    """A file with so many records, a nanosecond apart, each a copy of the one that is there but for id and time."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA synchronous = OFF")
        names = [name for _, name, *_ in db.execute("PRAGMA table_info(records)") if name != "arrival"]
        own = {"exchange_id": "exchange_id || '_' || n", "started_at_ns": "started_at_ns + n"}
        db.execute(f"""
            WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {number - 1})
            INSERT INTO records ({", ".join(names)})
            SELECT {", ".join(own.get(name, name) for name in names)} FROM records, numbers
        """)
    return path


def on_a_terminal(*arguments: str | Path) -> tuple[int, str, str]:
    """Run a command whose standard error is a terminal; gives its status, its output, and what the terminal got."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-m", "headgate", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        told = bytearray()
        reader = threading.Thread(target=_read_all, args=(ours, told))
        reader.start()
        assert process.stdout is not None
        out = process.stdout.read()
        status = process.wait()
        reader.join()
    os.close(ours)
    return status, out.decode(), told.decode()


def _read_all(terminal: int, into: bytearray) -> None:
    """A terminal whose other end is closed fails instead of telling the end."""
    with suppress(OSError):
        while data := os.read(terminal, 65_536):
            into += data
